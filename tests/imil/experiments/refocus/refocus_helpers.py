"""Results of the benchmark that are made up, and a benchmark so small that it's over in seconds."""

import json

from imil.experiments.refocus.arms import choose_arms
from imil.experiments.refocus.plan import Plan
from imil.experiments.refocus.presets import SETTINGS, Size, choose_settings
from imil.experiments.refocus.results import ArmResult
from imil.experiments.refocus.run import run_refocus
from imil.experiments.refocus.table import MEASURES, World
from tests.imil.experiments.experiment_helpers import InProcess


def tiny_plan(*arms, settings=("corner",), shortcuts=(1.0,), seeds=(100,), **training):
    few = {"epochs": 3, "imil_epochs": (1,), "num_outliers": 6} | training
    return Plan(
        tuple(choose_settings(settings)), tuple(choose_arms(arms)), shortcuts, seeds, Size(train=40, test=24), few
    )


def carried_out(plan, out):
    """The facts of its report, and the keys of the tasks that were done."""
    backend = InProcess()
    written = run_refocus(plan, out, lambda: backend, command="imil experiment refocus", say=lambda sentence: None)
    assert all(path.is_file() for path in written)
    return json.loads((out / "refocus.json").read_text()), backend.started


def made_world(accuracies, *, setting="corner", shortcut=0.95, refused=()):
    """Results by arm, from the accuracies of its seeds 0, 1, ..."""
    results = {
        arm: {
            seed: made_result(arm, seed, accuracy, setting, shortcut, arm in refused)
            for seed, accuracy in enumerate(of)
        }
        for arm, of in accuracies.items()
    }
    return World(SETTINGS[setting], shortcut, results)


def made_result(arm, seed, accuracy, setting="corner", shortcut=0.95, refused=False):
    measures = dict.fromkeys(MEASURES, None) | {"accuracy": accuracy, "auroc": 0.5, "ece": 0.1, "brier": 0.2}
    said = "There is nothing to learn from." if refused else ""
    return ArmResult(setting, shortcut, arm, seed, measures, refused=said)
