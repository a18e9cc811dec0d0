"""`imil phantom`: procedural chest radiographs with known lesions."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Formats(StrEnum):
    """File formats of a set."""

    PNG = "png"
    MIXED = "mixed"


class Marker(StrEnum):
    """What gives the class away."""

    LETTER = "letter"
    RING = "ring"
    TUBE = "tube"
    PATCH = "patch"
    EXPOSURE = "exposure"


class Place(StrEnum):
    """Where the marker is."""

    CORNER = "corner"
    OUTSIDE = "outside"
    LUNG = "lung"
    LUNG_RANDOM = "lung_random"


def phantom(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.", show_default=False)],
    count: Annotated[int, typer.Option("--count", min=1, help="Number of pictures.")] = 200,
    size: Annotated[int, typer.Option("--size", help="Rows and columns of each picture.")] = 256,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the series.")] = 0,
    test_share: Annotated[float, typer.Option("--test-share", help="Share of pictures in the test set.")] = 0.25,
    shortcut: Annotated[
        float | None,
        typer.Option(
            "--shortcut",
            help="Chance that a tb picture carries the marker (a normal one: one minus it); 0.5 tells nothing about "
            "the class. Left out: no markers.",
            show_default=False,
        ),
    ] = None,
    test_shortcut: Annotated[
        float, typer.Option("--test-shortcut", help="The same for the test set, where --shortcut is given.")
    ] = 0.5,
    marker: Annotated[
        Marker,
        typer.Option(
            "--marker",
            help="What it is: a lead letter, a ring, a tube-like line, a faint patch; or no thing but a brighter film.",
        ),
    ] = Marker.LETTER,
    place: Annotated[
        Place,
        typer.Option(
            "--place",
            help="Where it is: in an upper corner, anywhere outside the lungs, at one place in the right lung (for all "
            "pictures, with --registered), anywhere in a lung.",
        ),
    ] = Place.CORNER,
    prevalence: Annotated[float, typer.Option("--prevalence", help="Share of tb pictures.")] = 0.5,
    lesion_contrast: Annotated[
        float, typer.Option("--lesion-contrast", help="Strength of the disease; 0 makes the classes look the same.")
    ] = 1.0,
    noise: Annotated[float, typer.Option("--noise", help="Strength of noise and grain.")] = 1.0,
    registered: Annotated[
        bool, typer.Option("--registered", help="All patients in the same position, scale and rotation.")
    ] = False,
    formats: Annotated[
        Formats, typer.Option("--formats", help="png, or mixed: some as DICOM, NIfTI and 16-bit PNG.")
    ] = Formats.PNG,
) -> None:
    """Write procedural chest radiographs, ready to be a study.

    They come with lesion and lung masks, a manifest and, if asked for, a marker that gives the class away, with masks
    of it.
    """
    from imil.phantom import PhantomSettings, write_phantoms

    settings = PhantomSettings(
        size=size,
        shortcut=shortcut,
        test_shortcut=test_shortcut,
        marker=marker.value,
        place=place.value,
        prevalence=prevalence,
        registered=registered,
        lesion_contrast=lesion_contrast,
        noise=noise,
    )
    cases = write_phantoms(folder, count, test_share=test_share, seed=seed, settings=settings, formats=formats.value)
    typer.echo(f"{len(cases)} phantoms written to {folder}")
    typer.echo(f"Next: imil study create {folder} --from csv")
