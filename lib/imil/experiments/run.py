"""An experiment from its name to its report: what ``imil experiment`` does, and what a script may call.

Trainings run in processes of their own, so a script needs the usual guard::

    if __name__ == "__main__":
        request = Request("compare", Study.open(Path("my-study")), resolve("quick"), arms=("imil", "random_cells"))
        run_experiment(request, Path("my-comparison"))
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from imil.errors import BadInput, NotFound
from imil.experiments.catalogue import EXPERIMENTS
from imil.experiments.conduct import conduct
from imil.experiments.folder import ExperimentFolder
from imil.experiments.live import read_live
from imil.experiments.panels import Panel, SimulatedPanel
from imil.experiments.plan import Design, design, needs_reader
from imil.experiments.processes import local_processes
from imil.experiments.recordings import load_recording, newest_recorded_run
from imil.experiments.results import NOBODY
from imil.experiments.schedule import Backend, Progress
from imil.settings import RunSettings
from imil.study import Study

SEEDS = (0, 1, 2, 3, 4)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        experiment: a name in `imil.experiments.catalogue.EXPERIMENTS`.
        settings: of the baseline. Its seed is the first of ``seeds``.
        preset: where the settings came from; ``paper`` has the paper's own values stand beside the results.
        arms: names or patterns; empty for all.
        reader: ``auto``, ``oracle``, ``live``, or what `imil.experiments.recordings.load_recording` takes. ``auto`` is
            an oracle where the study has lesion masks, or else its newest run that was read; or else, with the preset
            ``paper``, ``live``.
        server: for ``live``: address of a running server of the study; empty to start one on ``port``.
    """

    experiment: str
    study: Study
    settings: RunSettings
    preset: str = ""
    seeds: Sequence[int] = SEEDS
    arms: Sequence[str] = ()
    reader: str = "auto"
    server: str = ""
    port: int = 0


def run_experiment(
    request: Request,
    out: Path,
    backend: Callable[[], Backend] | None = None,
    *,
    say: Say = print,
    progress: Progress | None = None,
) -> list[Path]:
    """Carry out an experiment and write its report.

    Args:
        request: what to do.
        out: folder of the experiment. What an earlier call left there is taken up if it's the same experiment.
        backend: makes the place where trainings run, once everything has been checked; None for processes of this
            machine, as many as there is room for.
        say: told in sentences what is going on.
        progress: told about the trainings.

    Returns:
        The files written.

    Raises:
        NotFound: if there is no such experiment, arm or recording.
        BadInput, Conflict: if study, settings, reader or folder can't be used; nothing is trained then.
    """
    folder = ExperimentFolder(out)
    plan = plan_of(request, folder, say=say)
    outcome = conduct(plan, folder, backend() if backend else local_processes(request.settings.device), progress)
    from imil.experiments.report import write_outcome
    from imil.experiments.tables import build_table

    say("Writing the report")
    return write_outcome(outcome, build_table(outcome), out)


def plan_of(request: Request, folder: ExperimentFolder, *, say: Say = print) -> Design:
    """The design of a request, checked, with its folder claimed. A live reader has read when this returns."""
    if request.experiment not in EXPERIMENTS:
        raise NotFound(f"There is no experiment {request.experiment!r}; there are {', '.join(EXPERIMENTS)}.")
    experiment = EXPERIMENTS[request.experiment]

    def planned(panel: Panel | None) -> Design:
        return design(
            request.study,
            experiment,
            request.settings,
            preset=request.preset,
            seeds=request.seeds,
            arms=request.arms,
            panel=panel,
        )

    if not needs_reader(experiment, request.settings, request.arms):
        plan = planned(None)
    else:
        reader = _automatic_reader(request) if request.reader == "auto" else request.reader
        if experiment.new_answers and reader != "oracle":
            raise BadInput(
                f"The arms of the experiment {experiment.name} ask about different images, which neither recorded "
                "answers nor one reading can give; it needs lesion masks and --reader oracle."
            )
        if reader == "live":
            # Refuses what no reader could mend, before anybody reads.
            folder.claim(replace(planned(SimulatedPanel()).conditions, reader=NOBODY))
        panel = _panel(request, reader, say)
        say(f"Feedback comes from {panel.description}.")
        plan = planned(panel)
    folder.claim(plan.conditions)
    return plan


def _panel(request: Request, reader: str, say: Say) -> Panel:
    study = request.study
    if reader == "oracle":
        _check_oracle(study)
        return SimulatedPanel()
    if reader == "live":
        settings = request.settings.model_copy(update={"seed": request.seeds[0]})
        readings = study.state_dir / "readings" / request.experiment
        reader = str(read_live(study, settings, readings, url=request.server, port=request.port, say=say))
    return load_recording(study, reader)


def _automatic_reader(request: Request) -> str:
    study = request.study
    if _has_lesions(study):
        return "oracle"
    recorded = newest_recorded_run(study)
    if recorded is not None:
        return str(recorded)
    if request.preset == "paper":
        return "live"
    raise BadInput(
        f"The study {study.folder} has neither lesion masks nor answers of a reader, so nobody can give feedback; use "
        "--reader live to have a radiologist answer, --reader with a run's number or a feedback.csv, add a column "
        "lesion_mask to its manifest.csv, or leave those arms out with --arms."
    )


def _check_oracle(study: Study) -> None:
    if not _has_lesions(study):
        raise BadInput(
            f"The study {study.folder} has no lesion masks of training images, so no oracle can read it; add a column "
            "lesion_mask to its manifest.csv, or use --reader live, or --reader with a run's number or a feedback.csv."
        )


def _has_lesions(study: Study) -> bool:
    return any(case.lesion_mask for case in study.cases if case.split == "train")
