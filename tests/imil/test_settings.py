"""One definition of the settings for the command line, REST and Python."""

import json
import subprocess
import sys

import pytest

from imil.errors import BadInput
from imil.settings import PRESETS, RunSettings, describe, resolve


def test_the_paper_preset_is_the_papers():
    settings = resolve("paper")
    changed = {"feedback": "blackout", "selection": "highest_confidence"}
    assert settings == RunSettings(**changed)
    assert (settings.network, settings.image_size, settings.batch_size) == ("resnet50", 224, 64)
    assert (settings.optimizer, settings.lr, settings.momentum) == ("sgd", 0.001, 0.0)
    assert (settings.epochs, settings.imil_epochs, settings.num_outliers, settings.grid_size) == (100, (70,), 20, 4)
    assert (settings.feedback, settings.fill, settings.heatmap) == ("blackout", "none", "gradcam")


def test_without_a_preset_answers_are_carried_over_to_all_images():
    settings = resolve()
    assert settings == resolve("imil") == RunSettings()
    assert (settings.feedback, settings.selection, settings.insight) == ("counterfactual", "class_balanced", "wait")


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_valid(preset):
    resolve(preset)


@pytest.mark.parametrize("value", ["5, 9", [5, 9], (5, 9), ["5", "9"]])
def test_epochs_are_read_from_text_and_lists(value):
    assert resolve("quick", imil_epochs=value).imil_epochs == (5, 9)


@pytest.mark.parametrize("value", ["", [], ()])
def test_no_round_at_all_is_allowed(value):
    assert resolve(imil_epochs=value).imil_epochs == ()


@pytest.mark.parametrize(
    ("overrides", "names"),
    [
        ({"lr": -1}, ["lr", "-1", "greater than 0"]),
        ({"epochs": "many"}, ["epochs", "many", "valid integer"]),
        ({"fill": "all"}, ["fill", "all", "least_confident"]),
        ({"imil_epochs": "70,200"}, ["imil_epochs", "200", "1 to 99"]),
        ({"imil_epochs": [100]}, ["imil_epochs", "100", "1 to 99"]),
        ({"imil_epochs": [85, 70]}, ["imil_epochs", "85, 70", "rise"]),
        ({"imil_epochs": {"a": 1}}, ["imil_epochs", "list of epochs"]),
        ({"num_outlier": 3}, ["num_outlier", "num_outliers"]),
        ({"selection": "worst"}, ["selection", "worst", "class_balanced"]),
        ({"combine": "mean"}, ["combine", "mean", "majority"]),
        (
            {"selection": "out_of_fold", "fill": "out_of_fold"},
            ["fill=out_of_fold and selection=out_of_fold contradict", "use fill=none or least_confident"],
        ),
        ({"selection": "class_balanced", "fill": "out_of_fold"}, ["selection=class_balanced contradict"]),
        ({"feedback": "blackout+cutmix"}, ["feedback=blackout+cutmix contradicts itself", "name one of them"]),
        ({"feedback": "mixup+rrr"}, ["feedback=mixup+rrr contradicts itself", "mixup lets", "rrr forbids"]),
        ({"feedback": "cam_align", "augmentation": "mixup"}, ["feedback=cam_align and augmentation=mixup contradict"]),
        ({"preset": "papr"}, ["papr", "imil, paper, quick"]),
    ],
)
def test_a_bad_setting_is_one_sentence_with_name_value_and_what_is_allowed(overrides, names):
    with pytest.raises(BadInput) as error:
        resolve(**overrides)
    for name in names:
        assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_the_description_is_json_and_complete():
    described = json.loads(json.dumps(describe()))
    assert set(described) == set(RunSettings.model_fields)
    assert described["fill"]["choices"] == ["none", "least_confident", "out_of_fold"]
    assert described["lr"]["default"] == 0.001
    assert all({"type", "default", "help"} <= set(entry) for entry in described.values())


def test_settings_survive_json():
    settings = resolve("quick")
    assert RunSettings(**json.loads(settings.model_dump_json())) == settings


def test_importing_imil_is_light():
    code = "import sys, imil, imil.settings; print([m for m in ('torch', 'numpy', 'sqlalchemy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
