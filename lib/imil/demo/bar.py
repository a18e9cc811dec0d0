"""The demo's progress bar."""

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

# The parts of the bar, in the order they come; the numbers are about how many seconds each takes on two cores.
PARTS = {
    "study": 1,
    "server": 14,
    "training": 36,
    "review": 3,
    "learning": 30,
    "healing": 18,
    "comparison": 18,
    "report": 12,
    "story": 16,
}


class Bar:
    """One progress bar over all parts, with what is going on; a line for each part where there is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description:<42}"),
            BarColumn(bar_width=28),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[detail]:<16}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._progress.add_task("", total=sum(PARTS.values()), detail="")
        self._part = ""
        self._done = 0.0

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def start(self, part: str, description: str) -> None:
        """Begin a part; those before it are done."""
        names = list(PARTS)
        self._part = part
        self._done = float(sum(PARTS[name] for name in names[: names.index(part)]))
        self._progress.update(self._task, description=description, completed=self._done, detail="")
        if not self._console.is_terminal:
            self._console.print(f"{description} ...")

    def at(self, value: float, total: float, unit: str) -> None:
        """Where the part stands, e.g. epoch 7 of 24."""
        share = value / total if total else 0
        detail = f"{unit} {value:.0f} of {total:.0f}" if unit else ""
        self._progress.update(self._task, completed=self._done + share * PARTS[self._part], detail=detail)

    def finish(self) -> None:
        """All parts are done."""
        self._progress.update(self._task, description="Done", completed=sum(PARTS.values()), detail="")
