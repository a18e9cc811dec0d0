"""Markers on a user's own radiographs."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from imil.cases import read_manifest, write_manifest
from imil.errors import BadInput, NotFound
from imil.experiments.refocus.presets import choose_own
from imil.experiments.refocus.request import plan_of
from imil.experiments.refocus.sources import OwnRadiographs, own_digest, read_own
from imil.training.modes import finder
from tests.conftest import write_tiny_images
from tests.imil.experiments.refocus.refocus_helpers import carried_out


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_images(tmp_path_factory.mktemp("own") / "chest", count=24)


def source(folder, name, side=64):
    (setting,) = choose_own([name])
    return OwnRadiographs(setting, folder, side)


@pytest.mark.parametrize("name", ["corner", "unregistered", "lung", "lung_random"])
def test_markers_are_put_on_where_the_class_says_and_change_nothing_else(folder, name):
    plain, marked = source(folder, name).training(None, 0), source(folder, name).training(1.0, 0)
    positive = marked["labels"] == 1
    assert (marked["marked"] == positive).all()
    assert (marked["marker"].any((1, 2)) == positive).all()
    differ = plain["pixels"] != marked["pixels"]
    assert differ[positive].any((1, 2)).all()
    assert not differ[~positive].any()


def test_test_images_are_there_with_the_marker_and_without(folder):
    found = source(folder, "corner").test(0)
    assert (found["with"] != found["without"]).any((1, 2)).all()
    assert (found["without"] == source(folder, "none").test(0)["without"]).all()
    assert "with" not in source(folder, "none").test(0)


def test_exposure_has_no_place(folder):
    found = source(folder, "exposure").training(1.0, 0)
    assert found["marked"].any()
    assert not found["marker"].any()


def test_without_a_lung_mask_the_middle_of_the_film_stands_for_the_lungs(folder, tmp_path):
    bare = shutil.copytree(folder, tmp_path / "bare")
    cases = read_manifest(bare / "manifest.csv")
    assert all(case.lung_mask for case in cases)
    write_manifest(bare / "manifest.csv", [replace(cases[0], lung_mask=""), *cases[1:]])
    lungs, others = (source(where, "corner", side=100).training(None, 0)["lung"] for where in (bare, folder))
    assert cases[0].split == "train"
    assert lungs[0, 20:80, 12:88].all()
    assert lungs[0].sum() == 60 * 76
    assert (lungs[1:] == others[1:]).all()


def test_places_of_markers_depend_on_the_seed_and_not_on_the_strength(folder):
    one = source(folder, "lung_random")
    first, again, other = one.training(1.0, 1), one.training(0.95, 1), one.training(1.0, 2)
    both = first["marked"] & again["marked"]
    assert (first["pixels"][both] == again["pixels"][both]).all()
    assert (first["pixels"][first["marked"]] != other["pixels"][first["marked"]]).any()


def test_the_digest_changes_with_a_label(folder, tmp_path):
    before = own_digest(folder)
    manifest = folder / "manifest.csv"
    text = manifest.read_text()
    try:
        manifest.write_text(text.replace(",normal,", ",healthy,"))
        assert own_digest(folder) != before
    finally:
        manifest.write_text(text)


def test_what_cannot_be_used_is_refused(folder, tmp_path):
    with pytest.raises(BadInput, match=r"manifest\.csv"):
        read_own(tmp_path)
    with pytest.raises(NotFound, match="no setting 'unregistered_lung' for your own images"):
        plan_of(settings=["unregistered_lung"], images=folder)
    with pytest.raises(BadInput, match="The setting network can be changed for your own images only"):
        plan_of(training={"network": "resnet50"})
    with pytest.raises(BadInput, match="image_size"):
        plan_of(images=folder, training={"image_size": 2})


def test_a_benchmark_on_own_images_is_carried_out(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(finder, "STEPS", 5)
    monkeypatch.setattr(finder, "REFINING_STEPS", 5)
    plan = plan_of(
        settings=["corner"],
        arms=["counterfactual", "lung_mask"],
        shortcuts=[1.0],
        seeds=[0],
        images=folder,
        training={"network": "imil_resnet8", "image_size": 48, "epochs": 2, "imil_epochs": (1,), "device": "cpu"}
        | {"num_outliers": 6},
    )
    facts, _ = carried_out(plan, tmp_path / "out")
    assert {row["arm"] for row in facts["rows"]} == {"baseline", "clean", "counterfactual", "lung_mask"}
    assert facts["images"]["drawn"] is False
    assert facts["settings"][0]["calibrated"] is None
    assert "put on your own radiographs" in (tmp_path / "out" / "report.html").read_text()
    assert np.isfinite(facts["rows"][0]["accuracy"])
