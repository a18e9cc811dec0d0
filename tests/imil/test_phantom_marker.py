"""The phantoms' markers: what they look like, where they are, and what a written set says of them."""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from imil.cases import read_manifest
from imil.errors import BadInput
from imil.images import read_mask
from imil.phantom import CLASSES, Phantoms, PhantomSettings, generate, write_phantoms
from imil.phantom.settings import MarkerKind, Place
from imil.phantom.stamps import draw_stamp

COUNT, SEED = 40, 6
BASE = PhantomSettings(size=64, registered=True)
THINGS = [kind for kind in get_args(MarkerKind) if kind != "exposure"]
ALL = list(product(THINGS, get_args(Place)))


@pytest.fixture(scope="module")
def bare() -> Phantoms:
    return generate(COUNT, SEED, BASE)


@pytest.fixture(scope="module", params=ALL, ids="-".join)
def marked(request: pytest.FixtureRequest) -> tuple[Phantoms, str, str]:
    kind, place = request.param
    return generate(COUNT, SEED, replace(BASE, shortcut=0.8, marker=kind, place=place)), kind, place


def test_a_marker_shows_where_its_mask_says_and_changes_nothing_else(
    marked: tuple[Phantoms, str, str], bare: Phantoms
) -> None:
    phantoms, _, _ = marked
    assert (phantoms.marker_mask.shape, phantoms.marker_mask.dtype) == ((COUNT, 64, 64), np.uint8)
    np.testing.assert_array_equal(phantoms.lung, bare.lung)
    np.testing.assert_array_equal(phantoms.lesion, bare.lesion)
    assert phantoms.labels == bare.labels
    assert 10 < phantoms.marker.sum() < 30
    for row in range(COUNT):
        mask = phantoms.marker_mask[row] == 1
        change = phantoms.pixels[row] - bare.pixels[row]
        top, bottom, left, right = phantoms.marker_box[row]
        assert mask.any() == phantoms.marker[row] == change.any()
        assert not np.delete(np.delete(mask, np.s_[top:bottom], 0), np.s_[left:right], 1).any()
        if mask.any():
            assert bottom - top == right - left >= 7
            assert change[mask].mean() > 0.1
            change[top:bottom, left:right] = 0
            assert not change.any()


def test_a_marker_is_where_its_place_says(marked: tuple[Phantoms, str, str]) -> None:
    phantoms, _, place = marked
    masks, lungs = phantoms.marker_mask[phantoms.marker] == 1, phantoms.lung[phantoms.marker] == 1
    inside = (masks & lungs).sum(axis=(1, 2)) / masks.sum(axis=(1, 2))
    boxes = phantoms.marker_box[phantoms.marker]
    middles = (boxes[:, [0, 2]] + boxes[:, [1, 3]]) / 2
    if place in ("lung", "lung_random"):
        assert inside.min() > 0.8
        # The patient's right lung is on the film's left.
        left = (middles[:, 1] < 32).mean()
        assert left == 1 if place == "lung" else 0.2 < left < 0.8
    else:
        assert inside.max() < 0.05
    spread = float(middles.std(axis=0).max())
    assert spread < 1.5 if place == "lung" else spread > 4


@pytest.mark.parametrize("kind", THINGS)
def test_the_place_in_the_lung_fits_nearly_all_registered_patients(kind: str) -> None:
    settings = replace(BASE, shortcut=1.0, prevalence=0.99, marker=kind, place="lung")  # type: ignore[arg-type]
    phantoms = generate(100, 8, settings)
    masks = phantoms.marker_mask[phantoms.marker] == 1
    assert len(masks) == 99
    inside = (masks & (phantoms.lung[phantoms.marker] == 1)).sum(axis=(1, 2)) / masks.sum(axis=(1, 2))
    assert (inside == 1).mean() >= 0.98


@pytest.mark.parametrize(("kind", "size"), product(THINGS, (64, 256)))
def test_stamps_are_coverages_that_grow_with_the_film(kind: MarkerKind, size: int) -> None:
    stamp = draw_stamp(np.random.default_rng(0), kind, size, "R")
    assert stamp.dtype == np.float32
    assert 7 * size / 64 <= stamp.shape[0] == stamp.shape[1] <= size / 4
    assert 0 <= stamp.min() < 0.1
    assert 0.3 < stamp.max() <= 1


def test_tubes_differ_and_other_things_are_alike() -> None:
    for kind in THINGS:
        shapes = {draw_stamp(np.random.default_rng(seed), kind, 128, "L").tobytes() for seed in range(4)}  # type: ignore[arg-type]
        assert len(shapes) == (4 if kind == "tube" else 1)


def test_exposure_brightens_the_whole_film(bare: Phantoms) -> None:
    bright = generate(COUNT, SEED, replace(BASE, shortcut=0.8, marker="exposure"))
    assert 10 < bright.marker.sum() < 30
    assert not bright.marker_mask.any()
    assert not bright.marker_box.any()
    np.testing.assert_array_equal(bright.pixels[~bright.marker], bare.pixels[~bright.marker])
    np.testing.assert_array_equal(bright.pixels.min(axis=(1, 2)), 0)
    np.testing.assert_array_equal(bright.pixels.max(axis=(1, 2)), 1)
    change = (bright.pixels - bare.pixels)[bright.marker]
    assert change.min() >= 0
    # A few times what films differ by anyway: enough for a network to prefer it to the disease.
    shift = change.mean(axis=(1, 2)).mean() / bare.pixels.mean(axis=(1, 2)).std()
    assert 2 < shift < 5


def test_markers_agree_with_the_class_whatever_they_are() -> None:
    for kind in get_args(MarkerKind):
        phantoms = generate(30, 1, replace(BASE, shortcut=1.0, marker=kind))
        np.testing.assert_array_equal(phantoms.marker, [label == CLASSES[1] for label in phantoms.labels])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"marker": "pen"}, "marker 'pen' is unknown; choose one of letter, ring, tube, patch, exposure"),
        ({"place": "heart"}, "place 'heart' is unknown; choose one of corner, outside, lung, lung_random"),
        ({"marker": "exposure", "place": "lung"}, "has no place 'lung'; leave place out"),
    ],
)
def test_unknown_markers_and_places_are_refused(values: dict[str, str], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        PhantomSettings(**values)  # type: ignore[arg-type]


def test_a_written_set_has_masks_of_its_markers(tmp_path: Path) -> None:
    settings = PhantomSettings(size=64, shortcut=0.7, marker="ring", place="lung_random")
    folder = tmp_path / "set"
    cases = write_phantoms(folder, 12, seed=2, settings=settings)
    made = generate(12, 2, settings)
    assert {bool(case.misleading_mask) for case in cases} == {True, False}
    for index, case in enumerate(cases):
        if case.split == "train":
            assert bool(case.misleading_mask) == made.marker[index]
            if case.misleading_mask:
                found = read_mask(folder / case.misleading_mask, (64, 64))
                np.testing.assert_array_equal(found, made.marker_mask[index])
    listed = {case.misleading_mask for case in cases} - {""}
    assert {f"masks/misleading/{path.name}" for path in (folder / "masks/misleading").iterdir()} == listed
    text = " ".join((folder / "README.md").read_text().split())
    assert "--shortcut 0.7 --marker ring --place lung_random" in text
    assert "A ring anywhere in a lung is a shortcut" in text


def test_a_set_without_things_on_the_film_has_no_such_masks(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "set", 8, settings=replace(BASE, shortcut=0.9, marker="exposure"))
    assert not (tmp_path / "set" / "masks" / "misleading").exists()
    assert not any(case.misleading_mask for case in read_manifest(tmp_path / "set" / "manifest.csv"))
    text = (tmp_path / "set" / "README.md").read_text()
    assert "--marker exposure" in text
    assert "A film that is a little too bright is a shortcut" in text
