"""The frozen settings of the benchmark, and which of them are chosen."""

import pytest

from imil.errors import BadInput, NotFound
from imil.experiments.refocus.presets import SETTINGS, check_shortcuts, choose_settings, training_settings


def test_the_settings_are_those_of_the_benchmark():
    assert list(SETTINGS) == [
        "corner",
        "unregistered",
        "lung",
        "lung_random",
        "unregistered_lung",
        "none",
        "exposure",
    ]
    assert {setting.phantom.marker for setting in SETTINGS.values()} == {"letter", "ring", "tube", "patch", "exposure"}


def test_where_the_marker_is_and_where_patients_stand():
    found = {name: (setting.phantom.place, setting.phantom.registered) for name, setting in SETTINGS.items()}
    assert found["corner"] == ("corner", True)
    assert found["unregistered"] == ("outside", False)
    assert found["lung"] == ("lung", True)
    assert found["lung_random"] == ("lung_random", True)
    assert found["unregistered_lung"] == ("lung_random", False)


def test_without_markers_there_is_no_strength():
    assert SETTINGS["none"].shortcuts([0.95, 1.0]) == (None,)
    assert SETTINGS["corner"].shortcuts([0.95, 1.0]) == (0.95, 1.0)
    assert SETTINGS["corner"].drawn_with(0.95).shortcut == 0.95


def test_training_has_the_size_of_the_radiographs_and_the_arm_s_own_settings():
    chosen = training_settings(3, {"feedback": "propagate"})
    assert (chosen.seed, chosen.feedback, chosen.selection) == (3, "propagate", "class_balanced")
    assert {setting.phantom.size for setting in SETTINGS.values()} == {chosen.image_size}


def test_settings_are_chosen_by_name_in_their_order():
    assert [setting.name for setting in choose_settings(["lung", "corner"])] == ["corner", "lung"]
    assert len(choose_settings([])) == len(SETTINGS)
    with pytest.raises(NotFound, match="no setting 'edge'; the settings are corner, "):
        choose_settings(["edge"])


def test_strengths_that_were_not_calibrated_are_refused():
    assert check_shortcuts([1.0, 0.95]) == (0.95, 1.0)
    with pytest.raises(BadInput, match=r"shortcut of 0\.8; choose from 0\.9, 0\.95, 1"):
        check_shortcuts([0.8])
    with pytest.raises(BadInput, match="each once"):
        check_shortcuts([1.0, 1.0])
