"""The trainer `classifier`: checks requests in the server, trains in MONAI Label's own process."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from monailabel.interfaces.tasks.train import TrainTask

from imil.errors import BadInput, ImilError
from imil.rounds import Plan, Rounds, StartRequest
from imil.settings import PRESETS, describe
from imil.store import RunState
from imil.study import Study
from imil.training.modes import mode_classes
from imil.trainlock import TrainLock
from monailabel_app.history import train_stats

if TYPE_CHECKING:
    from imil.runs import Progress

WEIGHTS_FOLDER = "weights"
"""Folder of the study whose files may be named as ``pretrained`` over REST."""
_FLAGS = {
    "new_run": "Start a new run even if there is one.",
    "continue_early": "Go on with the answers there are, although cases of the open round are still unanswered.",
    "without_feedback": "Train the newest run's model on from its round without feedback, for comparison.",
    "reopen": "Take answers to the round again, instead of training on with what was learnt from it.",
}
MORE_CASES = "more_cases"
"""Field of a request: how many cases to add to the open round; 0 for none."""
_STOCK_FIELDS = frozenset({"model", "client_id", "user", "gpus", "local_rank", "multi_gpu"})
"""What MONAI Label's clients and server add to a request; it means nothing here."""


class ClassifierTrainer(TrainTask):
    """Trains up to the next round, or to the end. All state is in the study, so a killed process loses no answer."""

    def __init__(self, study: Study, rounds: Rounds) -> None:
        super().__init__("Trains a classifier and stops at chosen epochs for feedback")
        self._study = study
        self._rounds = rounds
        self._described = {"settings": describe(), "presets": PRESETS}

    def info(self) -> dict[str, Any]:
        """MONAI Label's description, with each setting's type, default, range and help, and the presets."""
        return {"description": self.description, "config": self.config()} | self._described

    def config(self) -> dict[str, Any]:
        """What a request may hold, with the value it has if left out; where there are choices, a list with that first.

        That is the default, or while a run isn't completed that run's value: MONAI Label's own clients send everything
        back, and a run keeps the settings that it began with.
        """
        run = self._study.store.latest_run()
        values = {} if run is None or run.state is RunState.COMPLETED else run.settings
        return _config(self._described["settings"], values)

    def stats(self) -> dict[str, Any]:
        """Where the run that status is about stands, see `monailabel_app.history`."""
        return train_stats(self._study.store, self._rounds.shown_run())

    def check(self, request: Mapping[str, Any]) -> Plan:
        """What the request would do; nothing is started or written.

        Raises:
            BadInput, NotFound: if a setting is unknown or has a value that isn't allowed.
            Conflict: if the state of the study doesn't allow it now.
        """
        plan = self._rounds.plan(start_request(request, self._study.folder))
        mode_classes(plan.settings.feedback)  # refuses a mode that doesn't exist, which nobody but torch's side knows
        return plan

    def reopen(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Open the round again, if that's what the request asks for; the run's number and state.

        It's done at once, in the server: no process is needed for it.

        Raises:
            BadInput, Conflict: as `check` says.
        """
        plan = self.check(request)
        with TrainLock(self._study.state_dir):
            run = self._rounds.begin(plan)
        return {"run": run.id, "round": run.round, "state": str(run.state)}

    def __call__(self, request: dict[str, Any], datastore: Any) -> dict[str, Any]:
        """Train to the next stop. Runs in a process of its own, which ends with one sentence if that's impossible."""
        from imil.runs import advance

        try:
            run = advance(self._study, self.check(request), print_progress)
        except ImilError as error:
            raise SystemExit(str(error)) from None
        return {
            "run": run.id,
            "state": str(run.state),
            "epoch": run.epoch,
            "epochs": run.epochs,
            "message": run.message,
        }


def start_request(request: Mapping[str, Any], folder: Path) -> StartRequest:
    """The request's flags, preset and settings.

    Raises:
        BadInput: if one is unknown, or has a value that isn't allowed.
    """
    fields = {name: value for name, value in request.items() if name not in _STOCK_FIELDS}
    flags = {name: _flag(name, fields.pop(name, False)) for name in _FLAGS}
    more = fields.pop(MORE_CASES, 0)
    preset = fields.pop("preset", "")
    if not isinstance(preset, str):
        raise BadInput(f"The field preset is {preset!r}; the presets are {', '.join(PRESETS)}.")
    if "pretrained" in fields:
        fields["pretrained"] = _pretrained(fields["pretrained"], folder)
    if preset:
        fields["preset"] = preset
    return StartRequest(settings=fields or None, more_cases=more, **flags)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadInput(f"The field {name} is {value!r}; it must be true or false.")
    return value


def _pretrained(value: Any, folder: Path) -> str:
    """Nothing that a client names may reach a file outside the study's own folder of weights."""
    if value in ("", "timm"):
        return str(value)
    if not isinstance(value, str) or PurePosixPath(value).name != value or value in (".", "..") or "\\" in value:
        raise BadInput(
            f"The setting pretrained is {value!r}; over REST it's empty, 'timm', or the bare name of a file in the "
            f"study's folder {WEIGHTS_FOLDER}."
        )
    path = folder / WEIGHTS_FOLDER / value
    if not path.is_file():
        raise BadInput(f"The setting pretrained names {value!r}, but the study has no file {WEIGHTS_FOLDER}/{value}.")
    return str(path)


def _config(settings: Mapping[str, Mapping[str, Any]], values: Mapping[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = {"preset": ["", *PRESETS]}
    for name, entry in settings.items():
        value = values.get(name, entry["default"])
        if "choices" in entry:
            config[name] = [value, *(choice for choice in entry["choices"] if choice != value)]
        elif isinstance(value, list | tuple):
            # A list would be taken for choices.
            config[name] = ",".join(str(part) for part in value)
        else:
            config[name] = value
    return config | dict.fromkeys(_FLAGS, False) | {MORE_CASES: 0}


def print_progress(now: "Progress") -> None:
    """One line of progress; MONAI Label keeps the last lines that the process prints for ``GET /train/``."""
    parts = [f"run {now.run}: {now.phase}, epoch {now.epoch} of {now.epochs}", now.message]
    for split, values in now.metrics.items():
        parts.append(f"{split} " + " ".join(f"{name} {value:.4g}" for name, value in values.items()))
    print("; ".join(part for part in parts if part), flush=True)
