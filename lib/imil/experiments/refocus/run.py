"""The benchmark from its options to its report: what ``imil experiment refocus`` does, and what a script may call.

Trainings run in processes of their own, so a script needs the usual guard::

    if __name__ == "__main__":
        plan = Plan(tuple(choose_settings(["corner"])), tuple(choose_arms(["counterfactual"])), seeds=(0, 1))
        run_refocus(plan, Path("my-refocus"), command="my_script.py")
"""

from collections.abc import Callable
from pathlib import Path

from imil.errors import BadInput
from imil.experiments.folder import ExperimentFolder
from imil.experiments.processes import local_processes
from imil.experiments.refocus.plan import Plan, result_path, tasks
from imil.experiments.refocus.results import read_result
from imil.experiments.refocus.table import World
from imil.experiments.schedule import Backend, Progress, alone, carry_out

Say = Callable[[str], None]


def run_refocus(
    plan: Plan,
    out: Path,
    backend: Callable[[], Backend] | None = None,
    *,
    command: str,
    say: Say = print,
    progress: Progress | None = None,
) -> list[Path]:
    """Carry out the benchmark and write its report.

    Args:
        plan: what to do.
        out: folder of the benchmark. What an earlier call left there is taken up.
        backend: makes the place where trainings run; None for processes of this machine, as many as there is room for.
        command: what was typed, for the report.
        say: told in sentences what is going on.
        progress: told about the trainings.

    Returns:
        The files written, the page first.

    Raises:
        BadInput, Conflict: if the folder can't be used; nothing is trained then.
        ImilError: if a training fails; what was finished before stays, and isn't done again.
    """
    folder = ExperimentFolder(out)
    folder.claim(plan.conditions)
    with alone(folder):
        read_worlds(plan, folder)  # a damaged result is told about now rather than after hours
        running = backend() if backend else local_processes(plan.device)
        try:
            carry_out(tasks(plan, folder), running, progress)
        finally:
            running.close()
    from imil.experiments.refocus.report import write_report

    say("Writing the report")
    return write_report(plan, read_worlds(plan, folder), out, command)


def report_refocus(plan: Plan, out: Path, *, command: str) -> list[Path]:
    """Write the report of the results that are there, and train nothing; others may be training meanwhile.

    Args:
        plan: which results belong in it.
        out: folder of the benchmark.
        command: what was typed, for the report.

    Returns:
        The files written, the page first.

    Raises:
        BadInput: if the folder has no result that belongs in it, or a damaged one.
        Conflict: if it was made under other conditions.
    """
    folder = ExperimentFolder(out)
    if not folder.description.is_file():
        raise BadInput(f"{out} isn't the folder of a benchmark, so there is nothing to report; leave out --report.")
    folder.claim(plan.conditions)
    worlds = read_worlds(plan, folder)
    if not any(by_seed for world in worlds for by_seed in world.results.values()):
        raise BadInput(f"{out} has no result of these settings, strengths, arms and seeds yet; leave out --report.")
    from imil.experiments.refocus.report import write_report

    return write_report(plan, worlds, out, command)


def read_worlds(plan: Plan, folder: ExperimentFolder) -> list[World]:
    """The results that are there, by setting and strength."""
    worlds = []
    for setting, shortcut in plan.worlds():
        paths = {
            arm.name: {seed: result_path(folder, setting.name, shortcut, arm.name, seed) for seed in plan.seeds}
            for arm in plan.arms_of(setting)
        }
        results = {
            name: {seed: read_result(path) for seed, path in by_seed.items() if path.is_file()}
            for name, by_seed in paths.items()
        }
        worlds.append(World(setting, shortcut, results))
    return worlds
