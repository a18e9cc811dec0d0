"""Whether the settings are of use: how right a model is that never saw a shortcut, and one that did.

    python -m imil.experiments.refocus.calibration --settings corner,lung --seeds 100,101

It looks at no feedback mode. Seeds from 100 on are for this; those of the benchmark itself are never looked at.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from imil.experiments.refocus.data import read_test, read_training, write
from imil.experiments.refocus.measures import measure
from imil.experiments.refocus.presets import (
    CLEAN,
    CLEAN_AT_LEAST,
    CONFOUNDED_AT_MOST,
    REPORTED_SHORTCUTS,
    Setting,
    Size,
    choose_settings,
    training_settings,
)
from imil.experiments.refocus.sources import DrawnRadiographs
from imil.phantom import CLASSES
from imil.training.engine import TrainingEngine


@dataclass(frozen=True)
class Checked:
    """Accuracies of one setting and seed, where the marker is independent of the class.

    Attributes:
        clean: of a model that was trained so.
        confounded: by strength, of models that were trained with the shortcut.
    """

    setting: str
    seed: int
    clean: float
    confounded: dict[float, float]

    @property
    def fits(self) -> bool:
        """Whether the setting is of use with this seed."""
        return self.clean >= CLEAN_AT_LEAST and max(self.confounded.values(), default=0) <= CONFOUNDED_AT_MOST


def check(
    settings: Sequence[Setting], shortcuts: Sequence[float], seeds: Sequence[int], size: Size | None = None
) -> Iterator[Checked]:
    """Measure each setting with each seed. Without markers there is but the clean model."""
    with TemporaryDirectory() as folder:
        for setting in settings:
            for seed in seeds:
                found = {
                    shortcut: _accuracy(Path(folder), setting, shortcut, seed, size or Size())
                    for shortcut in (CLEAN, *(shortcuts if setting.marked else ()))
                }
                yield Checked(setting.name, seed, found.pop(CLEAN), found)


def _accuracy(folder: Path, setting: Setting, shortcut: float, seed: int, size: Size) -> float:
    training, test = folder / "training.npz", folder / f"{setting.name}-{seed}.npz"
    source = DrawnRadiographs(setting, size)
    write(training, source.training(shortcut if setting.marked else None, seed))
    if not test.is_file():
        write(test, source.test(seed))
    chosen = training_settings(seed)
    engine = TrainingEngine(chosen, CLASSES, read_training(training).data)
    engine.fit(chosen.epochs)
    return float(measure(engine.predict, read_test(test))["accuracy"] or 0.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each setting and seed; the status is 1 if one isn't of use."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--settings", default="", help="names, e.g. corner,lung; all if left out")
    parser.add_argument("--shortcuts", default="", help="strengths, e.g. 0.95,1.0; those two if left out")
    parser.add_argument("--seeds", default="100,101,102", help="seeds, e.g. 100,101")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    shortcuts = [float(one) for one in chosen.shortcuts.split(",") if one] or list(REPORTED_SHORTCUTS)
    names = [one for one in chosen.settings.split(",") if one]
    print(f"{'setting':<18} seed  clean  {'  '.join(f'{one:>5g}' for one in shortcuts)}", flush=True)
    status = 0
    for found in check(choose_settings(names), shortcuts, [int(one) for one in chosen.seeds.split(",")]):
        values = "  ".join(f"{found.confounded[one]:.3f}" if one in found.confounded else "    -" for one in shortcuts)
        print(
            f"{found.setting:<18} {found.seed:>4}  {found.clean:.3f}  {values}{'' if found.fits else '  no'}",
            flush=True,
        )
        status |= not found.fits
    return int(status)


if __name__ == "__main__":
    raise SystemExit(main())
