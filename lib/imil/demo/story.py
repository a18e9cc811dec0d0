"""What the demo shows: models before and after a round, on new images from which the marker has been removed.

The sample data is drawn by a program, so images of the same kind can be drawn that no model has seen, each with the
marker and without, alike in all else. What a model makes of the difference is what it makes of the marker.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imil import runs
from imil.demo.storypage import Example, draw, render
from imil.errors import NotFound
from imil.experiments.refocus.data import TestPart as Drawn
from imil.experiments.refocus.data import as_test_part
from imil.experiments.refocus.measures import Predict, measure
from imil.experiments.refocus.presets import Setting, Size
from imil.experiments.refocus.sources import DrawnRadiographs
from imil.models import Model, load_model
from imil.phantom import PhantomSettings
from imil.rounds import Rounds
from imil.settings import RunSettings
from imil.store import IMIL, WITHOUT_FEEDBACK, Run
from imil.study import Study
from imil.training import checkpoints
from imil.training.engine import TrainingEngine

IMAGES = 600
SEED = 20
"""Of the new images; their series isn't the sample data's."""
COLUMNS = (
    ("accuracy_with", "right, all with the marker"),
    ("accuracy_without", "right, marker removed"),
    ("flipped", "changed by the marker"),
)
"""Measures that are shown: accuracies, and the share of images whose predicted class changes with the marker."""
SHOWN_OF_A_CLASS = 2


@dataclass(frozen=True)
class ToldModel:
    """A model and what it's worth; ``measures`` as in `imil.experiments.refocus.measures`."""

    name: str
    title: str
    measures: Mapping[str, float | None]


@dataclass(frozen=True)
class Story:
    """What the demo shows.

    Attributes:
        page: the HTML page.
        images: number of new images.
        models: before the round, and at the end of each run.
        sentences: what the models are worth, in words.
        taught: what the answers taught, in words.
    """

    page: Path
    images: int
    models: list[ToldModel]
    sentences: list[str]
    taught: list[str]


def tell(study: Study, taught: list[str], out: Path) -> Story:
    """Measure the demo's models, and write ``story.html``, ``story.json`` and ``story.png`` to ``out``.

    Args:
        study: the demo's study; its runs have come to their ends.
        taught: what the answers taught, in sentences.
        out: folder.

    Raises:
        NotFound: if a run is missing.
    """
    models = _models(study, out)
    images = _new_images(models["before"].settings.image_size)
    told = [ToldModel(name, TITLES[name], measure(_predictor(model), images)) for name, model in models.items()]
    story = Story(out / "story.html", len(images.data), told, _sentences(told), taught)
    picture = draw(_examples(images, models))
    (out / "story.png").write_bytes(picture)
    facts = asdict(story) | {"page": story.page.name}
    (out / "story.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    story.page.write_text(render(facts, COLUMNS, picture), encoding="utf-8")
    return story


TITLES = {
    "before": "Before the round",
    "without_feedback": "After it, without feedback",
    "blackout": "After it, by blackout",
    "counterfactual": "After it, by counterfactual",
}
"""The models, in the order in which they are shown."""


def _models(study: Study, out: Path) -> dict[str, Model]:
    healed, plain = (study.store.latest_run(kind) for kind in (IMIL, WITHOUT_FEEDBACK))
    if healed is None or plain is None:
        raise NotFound(f"The study {study.folder} lacks the run with feedback or the one without.")
    before = runs.round_checkpoint_path(study, healed.id, 1)
    blackout = out / "blackout.pt"
    _train_by_blackout(study, healed, before, blackout)
    paths = {
        "before": before,
        "without_feedback": runs.checkpoint_path(study, plain.id),
        "blackout": blackout,
        "counterfactual": runs.checkpoint_path(study, healed.id),
    }
    models = {name: load_model(paths[name]) for name in TITLES}
    blackout.unlink()
    return models


def _train_by_blackout(study: Study, run: Run, before: Path, after: Path) -> None:
    """Train on from the round of ``run``, with its answers, but by blackout."""
    settings = RunSettings(**(run.settings | {"feedback": "blackout"}))
    data = runs.split_data(study, settings.image_size, "train")
    engine = TrainingEngine(settings, run.classes, data, state=checkpoints.load(before))
    engine.set_feedback(Rounds(study).feedback(run.id), 1)
    engine.fit(settings.epochs)
    checkpoints.save(after, engine.state_dict())


def _predictor(model: Model) -> Predict:
    return lambda data: model.predict(data.pixels[data.rows])


def _new_images(side: int) -> Drawn:
    setting = Setting("demo", "Sample data", "As the sample data.", PhantomSettings(size=side))
    return as_test_part(DrawnRadiographs(setting, Size(test=IMAGES)).test(SEED))


def _sentences(told: Sequence[ToldModel]) -> list[str]:
    shares = {model.name: {key: f"{model.measures[key] or 0:.0%}" for key, _ in COLUMNS} for model in told}
    worth = {name: f"{one['accuracy_with']} and {one['accuracy_without']}" for name, one in shares.items()}
    before, blackout, healed = (shares[name]["flipped"] for name in ("before", "blackout", "counterfactual"))
    return [
        f"Before the round the model gets {shares['before']['accuracy_with']} of new images right with the marker on "
        f"all of them, and {shares['before']['accuracy_without']} with it on none; the marker alone changes {before} "
        "of its answers.",
        f"Twenty answers later: by blackout {worth['blackout']} ({blackout} changed), by counterfactual "
        f"{worth['counterfactual']} ({healed} changed).",
    ]


def _examples(images: Drawn, models: Mapping[str, Model]) -> list[Example]:
    """Images of both classes with the marker, and their heat maps for the class that it goes with."""
    assert images.with_marker is not None
    labels = images.data.labels
    shown = np.concatenate([np.flatnonzero(labels == label)[:SHOWN_OF_A_CLASS] for label in (1, 0)])
    pixels: npt.NDArray[np.uint8] = images.with_marker.pixels[shown]
    classes = next(iter(models.values())).classes
    chances = {name: model.predict(pixels)[:, 1] for name, model in models.items()}
    heat = {name: model.heat_maps(pixels, [1] * len(pixels)).maps for name, model in models.items()}
    drawn = [name for name in TITLES if name != "without_feedback"]
    return [
        Example(
            image=image.astype(np.float32) / 255,
            title=f"{classes[int(label)]}, with the marker",
            heat=[(TITLES[name], heat[name][number], f"{classes[1]}: {chances[name][number]:.0%}") for name in drawn],
        )
        for number, (image, label) in enumerate(zip(pixels, labels[shown], strict=True))
    ]
