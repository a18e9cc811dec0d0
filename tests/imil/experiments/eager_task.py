"""What processes of their own do in tests of kills. Imports no more than such a process has already."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from imil.experiments import resuming
from imil.experiments.schedule import Task


def save_every_epoch(task: Task) -> None:
    """Do a task with a checkpoint after every epoch."""
    resuming.SAVE_SECONDS = 0.0
    task.run("cpu", 1)


@dataclass(frozen=True)
class Sleeps:
    """A task that writes its process's number to a file, then takes its time: a test kills it meanwhile."""

    key: str
    path: Path
    seconds: float = 60.0
    needs: tuple[str, ...] = ()
    done: bool = False

    def run(self, device: str, threads: int) -> None:
        self.path.write_text(str(os.getpid()))
        time.sleep(self.seconds)
