"""The settings form against the library's own settings, and training in words and tables."""

from dataclasses import asdict

import pytest
from IMILLib import training
from IMILLib.records import RunStatus
from IMILLib.settingsform import CHOICE, EPOCHS, FLAG, MODES, NUMBER, TEXT, WHOLE, Field, SettingsForm
from IMILLib.settingsgroups import GIVEN_ANEW, grouped, has_effect

from imil import plans
from imil.settings import FEEDBACK, PRESETS, RunSettings, describe, resolve


@pytest.fixture
def form() -> SettingsForm:
    return SettingsForm(describe(), PRESETS)


def field(form: SettingsForm, name: str) -> Field:
    return next(field for field in form.fields if field.name == name)


def test_every_setting_has_a_field_of_its_kind(form: SettingsForm) -> None:
    assert [field.name for field in form.fields] == list(RunSettings.model_fields)
    kinds = {field.name: field.kind for field in form.fields}
    assert {
        name: kinds[name] for name in ("network", "image_size", "lr", "requeue", "fill", "feedback", "imil_epochs")
    } == {
        "network": TEXT,
        "image_size": WHOLE,
        "lr": NUMBER,
        "requeue": FLAG,
        "fill": CHOICE,
        "feedback": MODES,
        "imil_epochs": EPOCHS,
    }
    assert field(form, "image_size").limits == "8 to 4096"
    assert field(form, "seed").limits == "0 to 2147483647"
    assert field(form, "network").limits == ""


def test_nothing_touched_sends_the_preset_alone(form: SettingsForm) -> None:
    assert form.request() == {"preset": "imil"}
    form.choose("quick")
    assert form.request() == {"preset": "quick"}
    assert (form.differences, form.problems) == ("", ())
    assert form.value(field(form, "imil_epochs")) == [28]


def test_only_what_differs_from_the_preset_is_sent(form: SettingsForm) -> None:
    form.choose("quick")
    form.put(field(form, "epochs"), 30)
    form.put(field(form, "imil_epochs"), "10, 20")
    form.put(field(form, "lr"), "0.01")
    form.put(field(form, "requeue"), True)
    form.put(field(form, "network"), "imil_resnet8")  # the preset's own
    assert form.request() == {"preset": "quick", "epochs": 30, "imil_epochs": [10, 20], "requeue": True, "lr": 0.01}
    assert resolve(**form.request()).imil_epochs == (10, 20)
    assert "Rounds after epochs: 10, 20 (preset: 28)" in form.differences
    form.put(field(form, "epochs"), 40)
    assert "epochs" not in form.request()
    form.reset()
    assert form.request() == {"preset": "quick"}


def test_choosing_another_preset_forgets_changes(form: SettingsForm) -> None:
    form.put(field(form, "epochs"), 7)
    form.choose("quick")
    assert form.changed == {}


def test_whatever_the_form_lets_through_the_library_takes(form: SettingsForm) -> None:
    typed = {
        "image_size": "64",
        "epochs": "8",
        "imil_epochs": "2 5",
        "lr": "5e-3",
        "fill": "least_confident",
        "momentum": "0.9",
    }
    for name, text in typed.items():
        form.put(field(form, name), text)
    assert form.problems == ()
    settings = resolve(**form.request())
    assert (settings.image_size, settings.imil_epochs, settings.lr, settings.momentum) == (64, (2, 5), 0.005, 0.9)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("lr", "fast", "Learning rate can't be 'fast'; it must be a number, 0 to 10."),
        ("lr", "11", "Learning rate can't be '11'; it must be a number, 0 to 10."),
        ("epochs", "1.5", "Epochs can't be '1.5'; it must be a whole number, 1 to 100000."),
        (
            "feedback",
            "rrr+heal",
            f"Feedback mode can't be 'heal'; choose one of: {', '.join(FEEDBACK)}.",
        ),
        ("imil_epochs", "70, soon", "Rounds after epochs can't be 'soon'; it must be a whole number."),
        ("fill", "some", "Fill can't be 'some'; choose one of: none, least_confident, out_of_fold."),
        ("imil_epochs", "100", "A round can't follow epoch 100: rounds come after epochs 1 to 99."),
    ],
)
def test_what_cannot_be_used_is_said_and_not_sent(form: SettingsForm, name: str, text: str, sentence: str) -> None:
    form.put(field(form, name), text)
    assert form.problems == (sentence,)
    form.put(field(form, name), form.value(field(form, name)) if name != "imil_epochs" else "70")
    assert form.problems == ()


def test_fewer_epochs_than_the_rounds_need_is_said(form: SettingsForm) -> None:
    form.put(field(form, "epochs"), 50)
    assert form.problems == ("A round can't follow epoch 70: rounds come after epochs 1 to 49.",)
    form.put(field(form, "imil_epochs"), "")
    assert form.problems == ()
    assert resolve(**form.request()).imil_epochs == ()


def test_a_server_without_presets_or_with_unknown_types_still_has_a_form() -> None:
    form = SettingsForm({"new": {"type": "object", "default": None}}, {})
    assert (form.preset, form.fields[0].kind, form.request()) == ("", TEXT, {})
    assert form.fields[0].text(None) == ""


def test_modes_are_chosen_by_name_or_joined(form: SettingsForm) -> None:
    feedback = field(form, "feedback")
    assert feedback.choices == FEEDBACK
    for typed in ("counterfactual", "counterfactual+propagate", "rrr + propagate"):
        form.put(feedback, typed)
        assert form.problems == ()
        assert resolve(**form.request()).feedback == typed.replace(" ", "")


def test_settings_come_in_groups_and_those_without_effect_are_known(form: SettingsForm) -> None:
    groups = dict(grouped(form.fields))
    assert list(groups)[:2] == ["Rounds", "Feedback"]
    assert sorted(each.name for fields in groups.values() for each in fields) == sorted(RunSettings.model_fields)
    assert [each.name for each in groups["Feedback"]] == list(GIVEN_ANEW) == list(plans.GIVEN_ANEW)
    of_modes = {"randomise_with", "penalty", "propagate_by", "propagate_tolerance", "decoys", "rewind", "insight"}
    shown = lambda: {name for name in of_modes if has_effect(name, form.values)}  # noqa: E731
    form.put(field(form, "feedback"), "blackout")
    assert shown() == set()
    for mode, names in {
        "randomise": {"randomise_with"},
        "rrr": {"penalty"},
        "propagate": {"propagate_by", "propagate_tolerance", "rewind", "insight"},
        "counterfactual+propagate": of_modes - {"randomise_with", "penalty"},
    }.items():
        form.put(field(form, "feedback"), mode)
        assert shown() == names


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (0, "less than a minute"),
        (29, "less than a minute"),
        (31, "about 1 min"),
        (3000, "about 50 min"),
        (3600, "about 1 h"),
        (5000, "about 1 h 23 min"),
        (90_000, "about 25 h"),
    ],
)
def test_durations(seconds: float | None, words: str) -> None:
    assert training.duration(seconds) == words


def status(**changed: object) -> RunStatus:
    values = {
        "state": "training",
        "run": 2,
        "round": 0,
        "rounds": 1,
        "epoch": 8,
        "epochs": 24,
        "seconds_left": 125.0,
        "training": True,
    }
    return RunStatus.parse({"classes": ["a", "b"], **values, **changed})


def test_progress_says_what_the_time_left_is_to() -> None:
    assert training.progress(status()) == "Epoch 8 of 24, about 2 min to the next round"
    assert training.progress(status(round=1, epoch=20)) == "Epoch 20 of 24, round 1 of 1, about 2 min to the end"
    assert training.progress(status(training=False)) == "Epoch 8 of 24"


@pytest.mark.parametrize(
    ("changed", "allowed"),
    [
        ({"state": "none", "run": None, "training": False}, "start"),
        ({}, "stop"),
        ({"training": False}, "start resume"),
        ({"training": False, "round": 1, "epoch": 14}, "start resume reopen"),
        ({"training": False, "round": 1, "epoch": 15}, "start resume"),
        ({"state": "failed", "training": False}, "start resume"),
        ({"state": "awaiting_review", "training": False, "reviewed": 3, "queued": 5}, "start early more"),
        ({"state": "awaiting_review", "training": False, "reviewed": 5, "queued": 5}, "start resume more"),
        ({"state": "awaiting_review", "training": True, "reviewed": 5, "queued": 5}, "stop"),
        ({"state": "awaiting_approval", "training": False, "reviewed": 5, "queued": 5}, "start resume reopen"),
        ({"state": "completed", "training": False}, "start"),
    ],
)
def test_what_can_be_asked(changed: dict[str, object], allowed: str) -> None:
    can = asdict(training.actions(status(**changed), True, 14))
    assert {name for name, may in can.items() if may} == set(allowed.split())
    assert not any(asdict(training.actions(status(**changed), False, 14)).values())


def epoch(number: int, loss: float, accuracy: float, auroc: float | None = None) -> dict[str, object]:
    metrics = {"loss": loss, "accuracy": accuracy, "auroc": auroc, "ece": 0.1, "brier": 0.2}
    return {"epoch": number, "train": dict(metrics, loss=0.0), "test": metrics}


def test_before_and_after_feedback() -> None:
    history = [epoch(1, 1.0, 0.5), epoch(2, 0.8, 0.6, 0.7), epoch(3, 0.9, 0.7, 0.7)]
    found = training.compare(history, (), 2)
    assert found is not None
    assert (found.before, found.after, found.split) == (2, 3, "test")
    assert {change.name: change.verdict for change in found.changes} == {
        "loss": "worse",
        "accuracy": "better",
        "auroc": "same",
        "ece": "same",
        "brier": "same",
    }
    assert found.table()[:3] == [
        ["Test", "Before, epoch 2", "After, epoch 3", ""],
        ["Loss", "0.800", "0.900", "▼ worse"],
        ["Accuracy", "60.0 %", "70.0 %", "▲ better"],
    ]


def test_an_undefined_metric_is_left_out_of_the_comparison() -> None:
    found = training.compare([epoch(1, 1.0, 0.5), epoch(2, 0.8, 0.6, 0.7)], (), 1)
    assert found is not None
    assert "auroc" not in [change.name for change in found.changes]


def test_scores_stand_in_for_a_missing_history() -> None:
    scores = [
        {"round": 1, "epoch": 14, "split": "test", "metrics": {"accuracy": 0.5}},
        {"round": 1, "epoch": 24, "split": "test", "metrics": {"accuracy": 0.75}},
    ]
    found = training.compare((), scores, 0)
    assert found is not None
    assert (found.before, found.after, found.changes[0].verdict) == (14, 24, "better")


def test_nothing_to_compare() -> None:
    assert training.compare((), (), 0) is None
    assert training.compare([epoch(1, 1.0, 0.5)], (), 1) is None
    assert training.compare([epoch(1, 1.0, 0.5), epoch(2, 1.0, 0.5)], (), 0) is None


def test_metric_table_has_a_row_for_each_split() -> None:
    table = training.metric_table({"test": {"loss": 0.5, "accuracy": None}, "train": {"loss": 0.25, "accuracy": 1.0}})
    assert table == [["", "Loss", "Accuracy"], ["Training", "0.250", "100.0 %"], ["Test", "0.500", "–"]]
    assert training.metric_table({}) == []
