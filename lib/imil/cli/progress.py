"""The progress bar of a training run at the console."""

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from imil import runs

PHASES = {
    "reading": "Reading images",
    "learning": "Learning",
    "training": "Training",
    "folds": "Training on the folds",
    "queue": "Choosing cases",
    "awaiting_review": "Awaiting review",
    "awaiting_approval": "Awaiting approval",
    "completed": "Completed",
}


class _Bar:
    """A context for as long as which a bar is shown."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


class TrainingBar(_Bar):
    """A context that shows a run's `imil.runs.Progress`; on a file or pipe it stays silent until the end."""

    def __init__(self, console: Console) -> None:
        super().__init__(
            Progress(
                TextColumn("{task.description:<17}"),
                BarColumn(bar_width=14),
                MofNCompleteColumn(),
                TextColumn("{task.fields[metrics]}"),
                TimeElapsedColumn(),
                console=console,
            )
        )
        self._metrics = ""

    def __call__(self, now: "runs.Progress") -> None:
        """Show where the run is."""
        if now.metrics:
            self._metrics = metrics_text(now.metrics)
        phase = now.message if now.phase == "folds" else PHASES.get(now.phase, now.phase)
        if self._task is None:
            self._task = self._bar.add_task(phase, total=now.epochs, metrics="")
        self._bar.update(self._task, description=phase, completed=now.epoch, metrics=self._metrics)


class TrainingsBar(_Bar):
    """A context that shows how many trainings of an experiment are done; on a file or pipe, a line now and then."""

    def __init__(self, console: Console) -> None:
        super().__init__(
            Progress(
                TextColumn("{task.description:<10}"),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[running]}"),
                console=console,
            )
        )
        self._console = console
        self._told = 0

    def say(self, sentence: str) -> None:
        """Print a sentence above the bar."""
        self._console.print(sentence, soft_wrap=True, markup=False, highlight=False)

    def __call__(self, done: int, total: int, running: Sequence[str]) -> None:
        """Show how far the experiment is."""
        names = ", ".join(running[:3]) + (", ..." if len(running) > 3 else "")
        if self._task is None:
            self._task = self._bar.add_task("Trainings", total=total, running=names)
        self._bar.update(self._task, completed=done, total=total, running=names)
        # Without a terminal the bar is silent: a line for each tenth of the way.
        if not self._console.is_terminal and done * 10 // max(total, 1) > self._told:
            self._told = done * 10 // max(total, 1)
            self.say(f"{done} of {total} trainings are done.")


def metrics_text(metrics: dict[str, dict[str, float]]) -> str:
    """Training loss and accuracy by split, e.g. ``loss 0.412, accuracy train 0.86, test 0.81``."""
    loss = [f"loss {values['loss']:.3f}" for split, values in metrics.items() if split == "train"]
    accuracy = [f"{split} {values['accuracy']:.2f}" for split, values in metrics.items()]
    return ", ".join([*loss, f"accuracy {', '.join(accuracy)}"])
