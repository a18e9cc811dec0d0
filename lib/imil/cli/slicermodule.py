"""`imil slicer-module`: where the module for 3D Slicer is, and how to add it there."""

from pathlib import Path
from typing import Annotated

import typer

import imil
from imil.errors import NotFound

STEPS = """\
The module for 3D Slicer (5.8 or newer) is in this folder:

  {folder}

1. In 3D Slicer, choose Edit > Application Settings > Modules.
2. At Additional module paths, press Add and choose that folder; or drag it from the file manager onto the list.
3. Press OK and let 3D Slicer restart.
4. Choose the module IMIL: press Ctrl+F and type its name.
5. Type the address that `imil serve` printed, and your name, and press Connect.

Nothing is installed into 3D Slicer's Python. If 3D Slicer runs on another machine, copy the folder there first.
To try the module without changing any setting: Slicer --additional-module-path "{folder}"
"""


def slicer_module(
    path_only: Annotated[
        bool, typer.Option("--path-only", help="Print the folder alone, for scripts.", show_default=False)
    ] = False,
) -> None:
    """Say which folder to add in 3D Slicer, and how.

    The module shows the queued cases, their heat maps and the grid, and sends the answers to `imil serve`.
    """
    folder = module_folder()
    typer.echo(folder if path_only else STEPS.format(folder=folder), nl=path_only)


def module_folder() -> Path:
    """The folder that 3D Slicer loads the module from: inside the installed package, or in the repository.

    Raises:
        NotFound: if it's in neither place.
    """
    package = Path(imil.__file__).resolve().parent
    for folder in (package / "slicer-module" / "IMIL", package.parent.parent / "slicer_module" / "IMIL"):
        if (folder / "IMILLib").is_dir():
            return folder
    raise NotFound(f"The module for 3D Slicer isn't installed beside {package}; take slicer_module from the sources.")
