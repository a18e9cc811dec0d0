"""Command-line options made from `imil.settings.RunSettings`: same names, help and defaults as over REST."""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from imil.settings import PRESETS, describe

StudyFolder = Annotated[
    Path,
    typer.Argument(
        metavar="STUDY",
        help="Folder of the study, made by `imil study create`.",
        show_default=False,
        exists=True,
        file_okay=False,
    ),
]
RunNumber = Annotated[
    int | None, typer.Option("--run", metavar="NUMBER", help="Number of the run; the newest one if left out.")
]


def takes_settings(command: Callable[..., None], *, without: Sequence[str] = ()) -> Callable[..., None]:
    """Give a command one option for each setting of a run, ``without`` some.

    The command's parameter ``overrides`` receives those that were typed, by setting name. Values stay text: they are
    converted and checked by `imil.settings.resolve`, which is the one place that knows what is allowed.
    """
    settings = [parameter for parameter in _setting_parameters() if parameter.name not in without]
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(command).parameters.values()
        if parameter.name != "overrides"
    ]

    def with_overrides(**values: Any) -> None:
        typed = {parameter.name: values.pop(parameter.name) for parameter in settings}
        command(**values, overrides={name: value for name, value in typed.items() if value is not None})

    parameters = [*own, *settings]
    with_overrides.__name__ = command.__name__
    with_overrides.__doc__ = command.__doc__
    with_overrides.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    with_overrides.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return with_overrides


def _setting_parameters() -> list[inspect.Parameter]:
    return [_parameter(name, entry) for name, entry in describe().items()]


def _parameter(name: str, entry: dict[str, Any]) -> inspect.Parameter:
    flag = f"--{name.replace('_', '-')}"
    annotation: Any
    if entry["type"] == "boolean":
        option = typer.Option(f"{flag}/--no-{flag[2:]}", help=_help(name, entry), show_default=False)
        annotation = Annotated[bool | None, option]
    else:
        option = typer.Option(flag, metavar=_metavar(entry), help=_help(name, entry), show_default=False)
        annotation = Annotated[str | None, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _metavar(entry: dict[str, Any]) -> str:
    if "choices" in entry:
        return f"[{'|'.join(entry['choices'])}]"
    return {"integer": "<int>", "number": "<float>", "array": "<list>"}.get(entry["type"], "<str>")


def _help(name: str, entry: dict[str, Any]) -> str:
    """The setting's help with its range and each preset's value, e.g. ``[1 to 64; paper: 4]``."""
    notes = [f"{entry['minimum']} to {entry['maximum']}"] if "minimum" in entry and "maximum" in entry else []
    values = {preset: _as_typed(fields.get(name, entry["default"])) for preset, fields in PRESETS.items()}
    if len(set(values.values())) == 1:
        notes += [f"default: {next(iter(values.values()))}"]
    else:
        notes += [f"{preset}: {value}" for preset, value in values.items()]
    return f"{entry['help']} [{'; '.join(notes)}]"


def _as_typed(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ",".join(str(part) for part in value) or "none"
    return str(value) if value != "" else "empty"
