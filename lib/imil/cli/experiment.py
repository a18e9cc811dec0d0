"""`imil experiment NAME`: comparisons that end in a table with intervals, and in pictures."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imil.cli.errors import INTERRUPTED
from imil.cli.options import StudyFolder, takes_settings
from imil.errors import BadInput
from imil.experiments.catalogue import EXPERIMENTS, PRESET, QUICK
from imil.settings import PRESETS, RunSettings, resolve

if TYPE_CHECKING:
    from imil.experiments.schedule import Backend

app = typer.Typer(
    help="Compare ways to train on a study: a table with intervals, and pictures.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


_QUICK_HELP = (
    f"A trial, minutes on two processors: {QUICK['network']}, {QUICK['image_size']} pixels, {QUICK['epochs']} epochs, "
    f"the round after epoch {QUICK['imil_epochs'][0]}."
)


def _command(name: str, question: str) -> Any:
    @partial(takes_settings, without=("seed",))
    def command(
        study: StudyFolder,
        out: Annotated[
            Path | None,
            typer.Option(
                "--out",
                help=f"Folder of the experiment; STUDY-{name} here if left out. The same command goes on where it was.",
                file_okay=False,
            ),
        ] = None,
        preset: Annotated[
            str,
            typer.Option(
                "--preset",
                help=f"Named set of settings: {', '.join(PRESETS)}. With `paper` written out, the paper's own "
                "values stand beside yours.",
                show_default="the paper's settings",
            ),
        ] = "",
        quick: Annotated[bool, typer.Option("--quick", help=_QUICK_HELP)] = False,
        seeds: Annotated[
            str, typer.Option("--seeds", help="Seeds, e.g. 0,1,2. Each arm is trained once with each.")
        ] = "0,1,2,3,4",
        arms: Annotated[
            str, typer.Option("--arms", help="Only these arms, e.g. imil,mixup or 'random_*'; all if left out.")
        ] = "",
        reader: Annotated[
            str,
            typer.Option(
                "--reader",
                help="Who gives feedback: oracle (goes by the lesion masks), live (a radiologist, over a server), the "
                "number of a run that was read, or a feedback.csv. auto: the first that there is.",
            ),
        ] = "auto",
        server: Annotated[
            str, typer.Option("--server", help="With --reader live: a running server; one is started if left out.")
        ] = "",
        port: Annotated[
            int, typer.Option("--port", min=0, max=65_535, help="With --reader live: where the started server listens.")
        ] = 8000,
        jobs: Annotated[
            int | None,
            typer.Option("--jobs", min=1, max=4096, help="Trainings at a time; as many as there is room for."),
        ] = None,
        ray: Annotated[
            str, typer.Option("--ray", metavar="ADDRESS", help="Train on this Ray cluster, e.g. auto or ray-head:6379.")
        ] = "",
        *,
        overrides: dict[str, Any],
    ) -> None:
        settings, chosen = _settings(preset, quick, overrides)
        chosen_seeds = numbers(seeds)
        if ray and jobs is not None:
            raise BadInput("--jobs is about this machine; a Ray cluster knows how many trainings it has room for.")
        _run(name, study, out, settings, chosen, chosen_seeds, names(arms), reader, server, port, jobs, ray)

    command.__name__, command.__doc__ = name, question
    return command


for _found in EXPERIMENTS.values():
    app.command(_found.name)(_command(_found.name, _found.question))


def _settings(preset: str, quick: bool, overrides: dict[str, Any]) -> tuple[RunSettings, str]:
    if not quick:
        return resolve(preset or PRESET, **overrides), preset
    if preset:
        raise BadInput(f"--quick has its own settings, so it can't go with --preset {preset}; leave one of them out.")
    return resolve(PRESET, **(QUICK | overrides)), "quick trial"


def numbers(seeds: str) -> list[int]:
    """The seeds in a list such as ``0,1,2``.

    Raises:
        BadInput: if one isn't a whole number from 0.
    """
    found = []
    for part in names(seeds):
        if not part.isdecimal() or int(part) > 2**31 - 1:
            raise BadInput(f"The seed {part!r} isn't a whole number from 0 to {2**31 - 1}; give some as in 0,1,2.")
        found.append(int(part))
    return found


def names(text: str) -> list[str]:
    """The parts of a list with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _run(
    name: str,
    folder: Path,
    out: Path | None,
    settings: RunSettings,
    preset: str,
    seeds: list[int],
    arms: list[str],
    reader: str,
    server: str,
    port: int,
    jobs: int | None,
    ray: str,
) -> None:
    from imil.study import Study

    study = Study.open(folder)  # a wrong folder is told about before the slow imports
    from rich.console import Console

    from imil.cli.progress import TrainingsBar
    from imil.experiments.plan import default_out
    from imil.experiments.run import Request, run_experiment

    request = Request(name, study, settings, preset, seeds, arms, reader, server, port)
    try:
        with TrainingsBar(Console()) as bar:
            written = run_experiment(
                request,
                out or default_out(folder, name),
                lambda: backend_for(jobs, ray, settings.device),
                say=bar.say,
                progress=bar,
            )
    except KeyboardInterrupt:
        typer.echo("Stopped. What is done stays; the same command goes on.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    for path in written:
        typer.echo(f"Written: {path}")


def backend_for(jobs: int | None, ray: str, device: str) -> "Backend":
    """Where trainings run: the Ray cluster at that address, or processes of this machine."""
    if ray:
        from imil.experiments.cluster import RayCluster

        return RayCluster(ray)
    from imil.experiments.processes import local_processes

    return local_processes(device, jobs)
