"""The progress bar of a training run at the console."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from imil import runs

PHASES = {
    "reading": "Reading images",
    "training": "Training",
    "folds": "Training on the folds",
    "queue": "Choosing cases",
    "awaiting_review": "Awaiting review",
    "completed": "Completed",
}


class TrainingBar:
    """A context that shows a run's `imil.runs.Progress`; on a file or pipe it stays silent until the end."""

    def __init__(self, console: Console) -> None:
        self._bar = Progress(
            TextColumn("{task.description:<16}"),
            BarColumn(bar_width=14),
            MofNCompleteColumn(),
            TextColumn("{task.fields[metrics]}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._task: TaskID | None = None
        self._metrics = ""

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, now: "runs.Progress") -> None:
        """Show where the run is."""
        if now.metrics:
            self._metrics = metrics_text(now.metrics)
        phase = now.message if now.phase == "folds" else PHASES.get(now.phase, now.phase)
        if self._task is None:
            self._task = self._bar.add_task(phase, total=now.epochs, metrics="")
        self._bar.update(self._task, description=phase, completed=now.epoch, metrics=self._metrics)


def metrics_text(metrics: dict[str, dict[str, float]]) -> str:
    """Training loss and accuracy by split, e.g. ``loss 0.412, accuracy train 0.86, test 0.81``."""
    loss = [f"loss {values['loss']:.3f}" for split, values in metrics.items() if split == "train"]
    accuracy = [f"{split} {values['accuracy']:.2f}" for split, values in metrics.items()]
    return ", ".join([*loss, f"accuracy {', '.join(accuracy)}"])
