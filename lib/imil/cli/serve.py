"""`imil serve`: the MONAI Label server of a study."""

from typing import Annotated

import typer

from imil.cli.options import StudyFolder


def serve(
    study: StudyFolder,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; the default lets only this machine in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="TCP port; 0 takes any that is free.")] = 8000,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the server's whole log.")] = False,
) -> None:
    """Serve a study to 3D Slicer and MONAI Label clients.

    It runs until it's interrupted.
    """
    from imil.serve import serve as run_server

    run_server(study, host, port, verbose=verbose)
