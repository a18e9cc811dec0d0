"""`imil experiment refocus`: the benchmark with a known truth."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from imil.cli.errors import INTERRUPTED
from imil.cli.experiment import backend_for, names, numbers
from imil.errors import BadInput


def refocus(
    out: Annotated[
        Path,
        typer.Option("--out", help="Folder of the benchmark. The same command goes on where it was.", file_okay=False),
    ] = Path("refocus"),
    quick: Annotated[
        bool,
        typer.Option("--quick", help="A trial, minutes on two processors: a few settings, arms and seeds."),
    ] = False,
    settings: Annotated[
        str, typer.Option("--settings", help="Only these settings, e.g. corner,lung; all if left out.")
    ] = "",
    shortcuts: Annotated[
        str, typer.Option("--shortcuts", help="Strengths of the shortcut: 0.9, 0.95, 1.0.", show_default="0.95,1.0")
    ] = "",
    arms: Annotated[
        str,
        typer.Option(
            "--arms",
            help="Only these arms, e.g. blackout,'counterfactual*', or '*' for all; if left out, all modes, and the "
            "controls of those that learn.",
        ),
    ] = "",
    seeds: Annotated[str, typer.Option("--seeds", help="Seeds, e.g. 0,1,2.", show_default="0,1,2,3,4")] = "",
    images: Annotated[
        Path | None,
        typer.Option(
            "--images",
            help="Put the markers on your own radiographs instead of drawn ones: a folder with a manifest.csv of two "
            "classes and the splits train and test.",
            file_okay=False,
        ),
    ] = None,
    network: Annotated[
        str, typer.Option("--network", help="With --images: network, e.g. resnet50.", show_default="resnet18")
    ] = "",
    image_size: Annotated[
        int | None, typer.Option("--image-size", help="With --images: side in pixels.", show_default="224")
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs",
            min=2,
            help="With --images: epochs in all; the round comes after seven of ten.",
            show_default="40",
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(
            "--device", help="With --images: auto (a GPU if there is one), cpu, or a torch device.", show_default="auto"
        ),
    ] = "",
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, max=4096, help="Trainings at a time; as many as there is room for.")
    ] = None,
    ray: Annotated[
        str, typer.Option("--ray", metavar="ADDRESS", help="Train on this Ray cluster, e.g. auto or ray-head:6379.")
    ] = "",
    report: Annotated[
        bool, typer.Option("--report", help="Train nothing; write the report of the results that are there already.")
    ] = False,
) -> None:
    """How much of a shortcut's harm does feedback heal? A benchmark on drawn radiographs with a known truth."""
    if ray and jobs is not None:
        raise BadInput("--jobs is about this machine; a Ray cluster knows how many trainings it has room for.")
    if report and (ray or jobs is not None):
        raise BadInput("--report trains nothing, so it goes with neither --jobs nor --ray; leave one of them out.")
    from imil.experiments.refocus.request import plan_of

    plan = plan_of(
        quick=quick,
        settings=names(settings),
        shortcuts=_strengths(shortcuts),
        arms=names(arms),
        seeds=numbers(seeds),
        images=images,
        training=_training(network, image_size, epochs, device),
    )
    from rich.console import Console

    from imil.cli.progress import TrainingsBar
    from imil.experiments.refocus.run import report_refocus, run_refocus

    command = shlex.join(["imil", *sys.argv[1:]])
    try:
        if report:
            written = report_refocus(plan, out, command=command)
        else:
            with TrainingsBar(Console()) as bar:
                written = run_refocus(
                    plan,
                    out,
                    lambda: backend_for(jobs, ray, plan.device),
                    command=command,
                    say=bar.say,
                    progress=bar,
                )
    except KeyboardInterrupt:
        typer.echo("Stopped. What is done stays; the same command goes on.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    for path in written:
        typer.echo(f"Written: {path}")


def _training(network: str, image_size: int | None, epochs: int | None, device: str) -> dict[str, Any]:
    """Those that were given."""
    given = {"network": network, "image_size": image_size, "epochs": epochs, "device": device}
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value}
    return chosen | ({"imil_epochs": (max(1, round(0.7 * epochs)),)} if epochs else {})


def _strengths(text: str) -> list[float]:
    found = []
    for part in names(text):
        try:
            found.append(float(part))
        except ValueError:
            raise BadInput(f"The shortcut {part!r} isn't a number; give some as in 0.95,1.0.") from None
    return found
