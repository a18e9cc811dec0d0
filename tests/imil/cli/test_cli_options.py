"""The options of `imil train` come from the settings: same names, help, defaults; values pass through unchanged."""

import inspect

import pytest

from imil.cli.errors import as_flags
from imil.cli.options import takes_settings
from imil.settings import PRESETS, RunSettings, describe, resolve


@takes_settings
def command(study: str, *, overrides):
    """A command."""
    command.called = (study, overrides)


def options():
    return {
        name: parameter.annotation.__metadata__[0]
        for name, parameter in inspect.signature(command).parameters.items()
        if name != "study"
    }


def test_there_is_one_option_for_each_setting_with_its_help():
    assert list(options()) == list(RunSettings.model_fields)
    for name, option in options().items():
        assert option.help.startswith(describe()[name]["help"])
        flag = option.default if isinstance(option.default, str) else option.param_decls[0]
        assert flag.split("/")[0] == f"--{name.replace('_', '-')}"


def test_the_help_names_range_and_the_value_of_each_preset():
    assert options()["image_size"].help.endswith("[8 to 4096; imil: 224; paper: 224; quick: 64]")
    quick = PRESETS["quick"]["imil_epochs"][0]
    assert options()["imil_epochs"].help.endswith(f"[imil: 70; paper: 70; quick: {quick}]")
    assert options()["amp"].help.endswith("[default: no]")
    assert options()["pretrained"].help.endswith("[default: empty]")


def test_only_what_was_typed_reaches_the_command():
    nothing = dict.fromkeys(RunSettings.model_fields)
    command(study="a", **nothing)
    assert command.called == ("a", {})
    command(study="a", **(nothing | {"lr": "0.5", "amp": False, "imil_epochs": "3,5"}))
    assert command.called == ("a", {"lr": "0.5", "amp": False, "imil_epochs": "3,5"})


@pytest.mark.parametrize("name", list(RunSettings.model_fields))
def test_every_default_can_be_typed(name):
    default = getattr(RunSettings(), name)
    typed = ",".join(map(str, default)) if isinstance(default, tuple) else default
    assert getattr(resolve("", **{name: typed if isinstance(typed, bool) else str(typed)}), name) == default


def test_advice_for_rest_becomes_advice_for_the_command_line():
    assert (
        as_flags('Run 1 is completed; send "new_run": true for another.')
        == "Run 1 is completed; use --new-run for another."
    )
    assert as_flags("Nothing to send.") == "Nothing to send."
