"""Every setting of a run: name, type, default, allowed values and help, in one place.

The command line builds its options from `RunSettings`, the server describes and validates REST requests with it, and
the Python API takes it as it is. Import stays light (pydantic only), so that usage errors answer at once.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from imil.errors import BadInput

Fill = Literal["none", "least_confident", "out_of_fold"]
Selection = Literal["highest_confidence", "least_confident", "class_balanced", "out_of_fold", "random"]
Combine = Literal["union", "intersection", "majority", "staple"]

FEEDBACK = (
    "blackout",
    "randomise",
    "cutmix",
    "mixup",
    "rrr",
    "cam_align",
    "propagate",
    "counterfactual",
    "counterfactual+propagate",
    "cutout",
    "unedited",
)
"""The feedback modes that come with IMIL, and the combination that is offered by name. Others can be combined with +,
and those that are added by `imil.training.modes.register_mode` or `imil.training.edits.register_edit` can be set too.
"""
EDITS = frozenset({"blackout", "randomise", "cutmix", "mixup", "cutout", "unedited"})
"""Modes that say what the unchosen cells of a fed-back image become: only one of them can be meant."""
_MIXING = frozenset({"cutmix", "mixup"})
"""Modes that mix labels: they can't go with images that are mixed afterwards."""
_LOOKING = frozenset({"rrr", "cam_align"})
"""Modes that say where in an image the model isn't to look: they can't go with mixed images either."""


def mode_names(feedback: str) -> list[str]:
    """The single modes that the setting ``feedback`` names, e.g. two for ``counterfactual+propagate``."""
    return [name.strip() for name in feedback.split("+")]


class RunSettings(BaseModel):
    """What a run does.

    Training's defaults are the paper's (Rao et al., section 3.3) where it names one. What becomes of readers' answers
    (``feedback``, ``selection``) is by default what heals most in the benchmark `imil.experiments.refocus`; the preset
    ``paper`` has the paper's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: Annotated[str, Field(description="Network: one of IMIL's own, or any classifier of timm by its name.")] = (
        "resnet50"
    )
    pretrained: Annotated[
        str,
        Field(description="Start weights: empty for none, 'timm' for timm's own download, or a local file."),
    ] = ""
    image_size: Annotated[int, Field(ge=8, le=4096, description="Side of the square network input, in pixels.")] = 224
    epochs: Annotated[int, Field(ge=1, le=100_000, description="Number of training epochs in all.")] = 100
    imil_epochs: Annotated[
        tuple[int, ...],
        Field(description="Epochs after which training stops for a round of feedback, e.g. 70 or 70,85; empty: never."),
    ] = (70,)
    num_outliers: Annotated[int, Field(ge=1, le=100_000, description="Cases queued for a reader in each round.")] = 20
    grid_size: Annotated[int, Field(ge=1, le=64, description="Cells along each side of the feedback grid.")] = 4
    feedback: Annotated[
        str,
        Field(
            description="What readers' cells do to training: all else black (blackout, the paper) or random "
            "(randomise); chosen cells put into other images (cutmix, mixup); the model penalised for looking "
            "elsewhere (rrr, cam_align); what nobody chose swapped between all images (propagate); what misled it "
            "found in all images, taken off and added as a decoy (counterfactual); several joined by +; or, as "
            "controls, a random square black (cutout), or nothing (unedited).",
            json_schema_extra={"enum": list(FEEDBACK)},
        ),
    ] = "counterfactual"
    feedback_repeat: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description="How often a case with a reader's cells is drawn in an epoch; 0: as often as the mode needs.",
        ),
    ] = 0
    randomise_with: Annotated[
        Literal["images", "noise", "shuffle"],
        Field(description="What randomise fills cells with: other images, noise, or the image's own shuffled cells."),
    ] = "images"
    penalty: Annotated[
        float, Field(ge=0, le=1e6, description="Weight of the penalty of rrr and cam_align; 0: the mode's own.")
    ] = 0.0
    propagate_by: Annotated[
        Literal["position", "influence"],
        Field(
            description="Which cells propagate swaps: all that (almost) no reader chose, or only those of them whose "
            "swap moves the model's output."
        ),
    ] = "position"
    propagate_tolerance: Annotated[
        float,
        Field(ge=0, le=0.5, description="Share of fed-back images in which a cell may be chosen and still be swapped."),
    ] = 0.1
    decoys: Annotated[
        float, Field(ge=0, le=1, description="Probability that counterfactual pastes a decoy into an image it draws.")
    ] = 0.5
    rewind: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="How far propagate and counterfactual move the network back to the weights that training began "
            "with, before the epoch after a round: 0 not at all, 1 all the way.",
        ),
    ] = 0.8
    insight: Annotated[
        Literal["wait", "go_on"],
        Field(
            description="Whether training waits for a reader to look at what propagate and counterfactual learnt, and "
            "to veto any of it, or goes on at once."
        ),
    ] = "wait"
    extra_draws: Annotated[
        int,
        Field(
            ge=0,
            le=1_000_000,
            description="Cases drawn once more, at random, in each epoch after the first of imil_epochs (a control).",
        ),
    ] = 0
    selection: Annotated[
        Selection,
        Field(
            description="Which cases are queued: the most confident mispredictions (the paper), the least confident "
            "predictions, the hardest of each class in equal numbers, the mispredictions of models trained on the "
            "other folds, or random ones (a control)."
        ),
    ] = "class_balanced"
    fill: Annotated[
        Fill,
        Field(
            description="What fills the queue when there are too few mispredictions: nothing (the paper), the least "
            "confident cases, or the mispredictions of models trained on the other folds."
        ),
    ] = "none"
    folds: Annotated[int, Field(ge=2, le=20, description="Number of folds for out_of_fold.")] = 3
    requeue: Annotated[bool, Field(description="Allow a case to be queued again in a later round of the run.")] = False
    heatmap: Annotated[str, Field(description="Heat-map method.")] = "gradcam"
    target_layer: Annotated[
        str, Field(description="Layer of the heat map by its dotted name; empty: found automatically.")
    ] = ""
    optimizer: Annotated[Literal["sgd", "adam", "adamw"], Field(description="Optimizer.")] = "sgd"
    lr: Annotated[float, Field(gt=0, le=10, description="Learning rate.")] = 0.001
    momentum: Annotated[float, Field(ge=0, lt=1, description="Momentum of SGD; ignored by the others.")] = 0.0
    weight_decay: Annotated[float, Field(ge=0, le=1, description="Weight decay.")] = 0.0
    schedule: Annotated[
        Literal["constant", "cosine", "restarts", "step"],
        Field(
            description="Learning-rate schedule: constant, cosine to zero, cosine to zero that starts afresh after "
            "each round, or a tenth at 1/2 and 3/4 of the epochs."
        ),
    ] = "constant"
    batch_size: Annotated[int, Field(ge=1, le=65_536, description="Images a step.")] = 64
    accumulate: Annotated[int, Field(ge=1, le=1024, description="Steps whose gradients are summed for one update.")] = 1
    class_weights: Annotated[
        Literal["none", "balanced"],
        Field(description="Weights of the classes in the loss: equal, or inverse to share."),
    ] = "none"
    augmentation: Annotated[
        Literal["none", "affine", "mixup", "cutmix", "cutout"],
        Field(
            description="Random changes at each draw: none (the paper's baseline and IMIL), small rotations, shifts "
            "and zooms, or what the paper compares with."
        ),
    ] = "none"
    amp: Annotated[bool, Field(description="Mixed precision (on a GPU).")] = False
    device: Annotated[str, Field(description="'auto' (a GPU if there is one), 'cpu', or a torch device.")] = "auto"
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="Seed of everything random in the run.")] = 0
    readers_per_case: Annotated[int, Field(ge=1, le=20, description="Readers who must answer each case.")] = 1
    combine: Annotated[
        Combine,
        Field(
            description="How several readers' cells become one: those that any, all or at least half of them chose, or "
            "by STAPLE, which weighs readers by how reliable they seem."
        ),
    ] = "union"
    lease_seconds: Annotated[
        int, Field(ge=10, le=86_400, description="Seconds a case stays reserved for the reader who took it.")
    ] = 900

    @model_validator(mode="after")
    def _imil_epochs_lie_inside(self) -> "RunSettings":
        if list(self.imil_epochs) != sorted(set(self.imil_epochs)):
            raise ValueError(
                f"The epochs in imil_epochs must rise without repeats, e.g. 70,85, not {list(self.imil_epochs)}"
            )
        for epoch in self.imil_epochs:
            if not 1 <= epoch < self.epochs:
                raise ValueError(
                    f"The setting imil_epochs has {epoch}, but a round needs an epoch from 1 to {self.epochs - 1} "
                    f"(epochs is {self.epochs}, and at least one must follow the round)"
                )
        return self

    @model_validator(mode="after")
    def _fill_goes_with_selection(self) -> "RunSettings":
        if self.fill == "out_of_fold" and self.selection != "highest_confidence":
            raise ValueError(
                f"The settings fill=out_of_fold and selection={self.selection} contradict each other: fill=out_of_fold "
                "goes with selection=highest_confidence only; use fill=none or least_confident"
            )
        return self

    @model_validator(mode="after")
    def _modes_go_together(self) -> "RunSettings":
        names = mode_names(self.feedback)
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            raise ValueError(f"The setting feedback={self.feedback} names {repeated or 'nothing'} twice; name it once")
        edits = [name for name in names if name in EDITS]
        if len(edits) > 1:
            raise ValueError(
                f"The setting feedback={self.feedback} contradicts itself: {edits[0]} and {edits[1]} both say what "
                "becomes of the cells that weren't chosen; name one of them"
            )
        mixed, looked = ([name for name in names if name in group] for group in (_MIXING, _LOOKING))
        if mixed and looked:
            raise ValueError(
                f"The setting feedback={self.feedback} contradicts itself: {mixed[0]} lets another image's label count "
                f"outside of the chosen cells, and {looked[0]} forbids the model to look there; name one of them"
            )
        mixing = next((name for name in names if name in _MIXING | _LOOKING), None)
        if mixing is not None and self.augmentation in ("mixup", "cutmix"):
            raise ValueError(
                f"The settings feedback={self.feedback} and augmentation={self.augmentation} contradict each other: "
                f"{mixing} needs images that aren't mixed afterwards; use augmentation=none, affine or cutout"
            )
        return self

    @property
    def needs_folds(self) -> bool:
        """Whether a round needs predictions by models that were trained on the other folds."""
        return "out_of_fold" in (self.selection, self.fill)


PRESETS: dict[str, dict[str, Any]] = {
    "imil": {},
    "paper": {"feedback": "blackout", "selection": "highest_confidence"},
    "quick": {
        "network": "imil_resnet8",
        "image_size": 64,
        "epochs": 40,
        "imil_epochs": (28,),
        "optimizer": "adamw",
        "lr": 0.003,
        "weight_decay": 1e-4,
        "schedule": "restarts",
        "batch_size": 16,
    },
}
"""Named sets of settings. `imil` is `RunSettings` as it stands; `quick` is for the demo on two cores."""
DEFAULT_PRESET = "imil"


def resolve(preset: str = "", **overrides: Any) -> RunSettings:
    """The settings of a preset with single ones replaced.

    Args:
        preset: a name in `PRESETS`; empty means `DEFAULT_PRESET`.
        overrides: any field of `RunSettings`; strings are converted ("70,85" for a list).

    Raises:
        BadInput: one sentence that names the setting, its value and what is allowed.
    """
    name = preset or DEFAULT_PRESET
    if name not in PRESETS:
        raise BadInput(f"There is no preset {name!r}; the presets are {', '.join(PRESETS)}.")
    unknown = sorted(set(overrides) - set(RunSettings.model_fields))
    if unknown:
        raise BadInput(f"There is no setting {unknown[0]!r}; the settings are {', '.join(RunSettings.model_fields)}.")
    values = PRESETS[name] | overrides
    if "imil_epochs" in values:
        values["imil_epochs"] = _epoch_list(values["imil_epochs"])
    try:
        return RunSettings(**values)
    except ValidationError as error:
        raise BadInput(_sentence(error)) from None


def describe() -> dict[str, dict[str, Any]]:
    """Each setting's ``type, default, help`` and, where they exist, ``choices, minimum, maximum`` - as JSON values."""
    schema = RunSettings.model_json_schema()["properties"]
    described: dict[str, dict[str, Any]] = {}
    for name, entry in schema.items():
        fields = {"type": entry["type"], "default": entry["default"], "help": entry["description"]}
        for ours, theirs in (
            ("choices", "enum"),
            ("minimum", "minimum"),
            ("minimum", "exclusiveMinimum"),
            ("maximum", "maximum"),
            ("maximum", "exclusiveMaximum"),
        ):
            if theirs in entry:
                fields[ours] = entry[theirs]
        described[name] = fields
    return described


def _epoch_list(value: Any) -> tuple[Any, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, Mapping):
        raise BadInput(f"imil_epochs is {value!r}; allowed is a list of epochs such as 70 or 70,85.")
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    if not first["loc"]:
        return f"{message}."
    name = str(first["loc"][0])
    allowed = describe()[name]
    hint = f" ({allowed['help']})"
    return f"The setting {name} can't be {first['input']!r}: {message[0].lower()}{message[1:]}{hint}"
