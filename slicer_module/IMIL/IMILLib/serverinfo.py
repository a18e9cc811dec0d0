"""What a server says of itself and of its study: the reply to ``GET /info/``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .errors import ServerError
from .fields import Fields, is_metrics, is_object, nonsense
from .i18n import _

CONTRACT = 3
"""The least version of the server's interface that has all that the module needs."""
STRATEGY = "imil_outlier"


@dataclass(frozen=True)
class RunStatus:
    """Where a study stands; the fields are those of ``GET /info/`` in the REST reference.

    ``run`` is None before the first run, ``seconds_left`` None where there is no estimate; ``metrics`` has by split the
    values by name, None where one is undefined.
    """

    state: str
    run: int | None
    kind: str
    round: int
    rounds: int
    epoch: int
    epochs: int
    seconds_left: float | None
    reviewed: int
    queued: int
    classes: tuple[str, ...]
    grid_size: int
    training: bool
    message: str
    metrics: dict[str, dict[str, float | None]]

    @classmethod
    def parse(cls, value: object) -> RunStatus:
        """From JSON. Raises ServerError ``nonsense``."""
        what = _("the run")
        read = Fields(value, what)
        metrics = read.objects("metrics", {})
        for split in metrics.values():
            if not is_metrics(split):
                raise nonsense(what, "metrics", split)
        return cls(
            state=read.text("state"),
            run=read.whole_or_none("run"),
            kind=read.text("kind", ""),
            round=read.whole("round", default=0),
            rounds=read.whole("rounds", default=0),
            epoch=read.whole("epoch", default=0),
            epochs=read.whole("epochs", default=0),
            seconds_left=read.number_or_none("seconds_left", 0, 1e12),
            reviewed=read.whole("reviewed", default=0),
            queued=read.whole("queued", default=0),
            classes=read.texts("classes"),
            grid_size=read.whole("grid_size", default=0),
            training=read.flag("training", False),
            message=read.text("message", ""),
            metrics=metrics,
        )


@dataclass(frozen=True)
class ServerInfo:
    """What a server is and where its study stands.

    Attributes:
        settings: what ``POST /train/classifier`` takes: by name ``type, default, help`` and perhaps ``choices,
            minimum, maximum``.
        presets: by name, settings by name.
        present: values of the settings by name: those of a run that goes on, else the defaults.
        history: of each epoch ``{"epoch": 1, "train": {...}, "test": {...}}``.
        scores: of each scoring ``{"round", "epoch", "split", "metrics"}``.
    """

    name: str
    version: str
    study: str
    labels: tuple[str, ...]
    status: RunStatus
    settings: dict[str, dict[str, Any]]
    presets: dict[str, dict[str, Any]]
    present: dict[str, Any]
    history: tuple[dict[str, Any], ...]
    scores: tuple[dict[str, Any], ...]

    @property
    def feedback(self) -> str:
        """The feedback mode of the run that goes on; empty without one."""
        mode = self.present.get("feedback")
        goes_on = self.status.run is not None and self.status.state != "completed"
        return mode if goes_on and isinstance(mode, str) else ""

    @classmethod
    def parse(cls, value: object) -> ServerInfo:
        """From JSON. Raises ServerError: ``not_imil``, ``older``, ``nonsense``."""
        what = _("the server's description")
        read = Fields(value, what)
        run = _run_of(read.objects("strategies", {}), value)
        trainer = _object(read.objects("trainers"), "classifier", what)
        stats = _object(read.objects("train_stats", {}), "classifier", what)
        return cls(
            name=read.text("name", "IMIL"),
            version=read.text("version", ""),
            study=Fields(read.objects("datastore", {}), what).text("name", ""),
            labels=read.texts("labels"),
            status=RunStatus.parse(run),
            settings=_checked(trainer, "settings", is_object),
            presets=_checked(trainer, "presets", is_object),
            present=_present(Fields(trainer, what).objects("config", {})),
            history=Fields(stats, what).items("history", _is_epoch, ()),
            scores=Fields(stats, what).items("scores", _is_score, ()),
        )


def _run_of(strategies: dict[str, Any], info: object) -> dict[str, Any]:
    """The status of the study; says who is there if it isn't an IMIL server of these days."""
    strategy = strategies.get(STRATEGY)
    if not strategies or not isinstance(strategy, dict):
        name = info.get("name") if isinstance(info, dict) else None
        known = isinstance(info, dict) and "trainers" in info and isinstance(name, str)
        sentence = (
            _("This is the MONAI Label server {name!r}, but IMIL doesn't run on it; start one with `imil serve`.")
            if known
            else _("The server there is not a MONAI Label server with IMIL; check address and port.")
        )
        raise ServerError("not_imil", sentence.format(name=str(name)[:60]))
    run = Fields(strategy, STRATEGY).objects("run")
    if Fields(run, _("the run")).whole("contract", default=1) < CONTRACT:
        raise ServerError(
            "older",
            _("The IMIL server there is older than this module needs; bring IMIL up to date on the server."),
        )
    return run


def _present(config: dict[str, Any]) -> dict[str, Any]:
    """Of a list of choices the first is the present one."""
    return {name: value[0] if isinstance(value, list) and value else value for name, value in config.items()}


def _object(values: dict[str, Any], name: str, what: str) -> dict[str, Any]:
    return Fields(values, what).objects(name, {})


def _checked(values: dict[str, Any], name: str, check: Any) -> dict[str, Any]:
    found = Fields(values, name).objects(name, {})
    for value in found.values():
        if not check(value):
            raise nonsense(_("the server's description"), name, value)
    return found


def _is_epoch(value: object) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("epoch"), int):
        return False
    return all(is_metrics(split) for name, split in value.items() if name != "epoch")


def _is_score(value: object) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("split"), str):
        return False
    return isinstance(value.get("epoch"), int) and is_metrics(value.get("metrics"))
