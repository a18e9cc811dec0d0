"""Phantom radiographs: what they promise, how they're written, and that the sample data can be made again."""

import os
import shlex
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binom

from imil.cases import STATE_FOLDER, class_names, read_manifest
from imil.errors import BadInput, ImilError
from imil.images import read_image, read_mask
from imil.phantom import CLASSES, Phantoms, PhantomSettings, generate, write_phantoms
from imil.phantom.processes import for_all

SAMPLE_DATA = Path(__file__).parents[2] / "sample-data"
# The command in sample-data/README.md, as a call.
SAMPLE_COUNT, SAMPLE_SEED, SAMPLE_TEST_SHARE = 310, 7, 0.29
SAMPLE_SETTINGS = PhantomSettings(size=128, shortcut=0.95)
SMALL = PhantomSettings(size=96, shortcut=0.5)


@pytest.fixture(scope="module")
def phantoms() -> Phantoms:
    return generate(60, 11, SMALL)


def test_shapes_types_and_ranges(phantoms: Phantoms) -> None:
    assert phantoms.pixels.shape == phantoms.lesion.shape == phantoms.lung.shape == (60, 96, 96)
    assert (phantoms.pixels.dtype, phantoms.lesion.dtype, phantoms.lung.dtype) == (np.float32, np.uint8, np.uint8)
    # Each picture reaches both ends: formats without a window of their own then show the same grey values.
    np.testing.assert_array_equal(phantoms.pixels.min(axis=(1, 2)), 0)
    np.testing.assert_array_equal(phantoms.pixels.max(axis=(1, 2)), 1)
    assert set(np.unique(phantoms.lesion)) == set(np.unique(phantoms.lung)) == {0, 1}
    assert phantoms.marker.shape == (60,)
    assert phantoms.marker_box.shape == (60, 4)


def test_only_tb_has_lesions_and_they_lie_in_the_lungs(phantoms: Phantoms) -> None:
    diseased = np.array([label == CLASSES[1] for label in phantoms.labels])
    assert diseased.sum() == 30
    np.testing.assert_array_equal(phantoms.lesion.any(axis=(1, 2)), diseased)
    assert not (phantoms.lesion & ~phantoms.lung & 1).any()


def test_lungs_are_two_dark_fields(phantoms: Phantoms) -> None:
    share = phantoms.lung.mean(axis=(1, 2))
    assert share.min() > 0.12
    assert share.max() < 0.45
    for picture, lung in zip(phantoms.pixels, phantoms.lung, strict=True):
        body = picture[48:, 20:76][lung[48:, 20:76] == 0]
        assert picture[lung == 1].mean() < body.mean() - 0.2
        assert lung[:, :48].any()
        assert lung[:, 48:].any()


def test_every_lesion_is_big_enough_to_see_at_the_smallest_size() -> None:
    phantoms = generate(300, 5, PhantomSettings(size=64, prevalence=0.9))
    areas = phantoms.lesion.sum(axis=(1, 2))[[label == CLASSES[1] for label in phantoms.labels]]
    assert areas.min() >= 4


def test_the_same_seed_gives_the_same_pictures_and_another_seed_others(phantoms: Phantoms) -> None:
    again = generate(60, 11, SMALL)
    np.testing.assert_array_equal(again.pixels, phantoms.pixels)
    np.testing.assert_array_equal(again.lesion, phantoms.lesion)
    assert again.labels == phantoms.labels
    assert np.abs(generate(3, 12, SMALL).pixels - phantoms.pixels[:3]).mean() > 0.01


def test_a_picture_depends_on_its_number_and_not_on_how_many_are_made(phantoms: Phantoms) -> None:
    few = generate(3, 11, SMALL, start=17)
    np.testing.assert_array_equal(few.pixels, phantoms.pixels[17:20])
    np.testing.assert_array_equal(few.lung, phantoms.lung[17:20])
    np.testing.assert_array_equal(few.marker_box, phantoms.marker_box[17:20])
    assert few.labels == phantoms.labels[17:20]


def test_a_marker_changes_its_box_and_nothing_else(phantoms: Phantoms) -> None:
    without = generate(60, 11, replace(SMALL, shortcut=None))
    assert not without.marker.any()
    assert not without.marker_box.any()
    assert 15 <= phantoms.marker.sum() <= 45
    for index in range(60):
        changed = phantoms.pixels[index] != without.pixels[index]
        assert changed.any() == phantoms.marker[index]
        top, bottom, left, right = phantoms.marker_box[index]
        changed[top:bottom, left:right] = False
        assert not changed.any()
        assert not phantoms.lung[index, top:bottom, left:right].any()
        assert 0 <= top <= bottom <= 96 // 3
        assert 0 <= left <= right <= 96


def test_marker_outside_the_lungs_in_many_poses() -> None:
    phantoms = generate(600, 3, PhantomSettings(size=64, shortcut=0.5))
    for lung, (top, bottom, left, right) in zip(phantoms.lung, phantoms.marker_box, strict=True):
        assert not lung[top:bottom, left:right].any()


@pytest.mark.parametrize("shortcut", [0.9, 0.5, 0.1, 1.0])
def test_marker_agrees_with_the_class_as_often_as_asked(shortcut: float) -> None:
    phantoms = generate(400, 21, PhantomSettings(size=64, shortcut=shortcut))
    for label, chance in zip(CLASSES, (1 - shortcut, shortcut), strict=True):
        marked = phantoms.marker[[name == label for name in phantoms.labels]]
        low, high = binom.interval(0.9999, len(marked), chance)
        assert low <= marked.sum() <= high


@pytest.mark.parametrize(("count", "prevalence"), [(100, 0.5), (40, 0.25), (10, 0.9)])
def test_prevalence_holds_in_any_stretch(count: int, prevalence: float) -> None:
    settings = PhantomSettings(size=64, prevalence=prevalence)
    for start in (0, 7):
        labels = generate(count, 2, settings, start=start).labels
        assert abs(labels.count(CLASSES[1]) - count * prevalence) <= 1


def test_registered_patients_stand_alike() -> None:
    free, registered = (generate(40, 9, PhantomSettings(size=64, registered=value)).lung for value in (False, True))
    columns = np.arange(64)
    spread = [
        np.std((masks.sum(axis=1) * columns).sum(axis=1) / masks.sum(axis=(1, 2))) for masks in (free, registered)
    ]
    assert spread[1] < 0.6 * spread[0]


def test_lesion_contrast_and_noise_are_tunable() -> None:
    quiet = PhantomSettings(size=96, noise=0)
    with_disease, without = generate(8, 4, quiet), generate(8, 4, replace(quiet, lesion_contrast=0))
    np.testing.assert_array_equal(with_disease.lesion, without.lesion)
    inside = with_disease.lesion == 1
    assert (with_disease.pixels - without.pixels)[inside].mean() > 0.05
    noisy = [generate(8, 4, replace(quiet, noise=noise)).pixels for noise in (1, 3)]
    some, much = (np.abs(pixels - with_disease.pixels).mean() for pixels in noisy)
    assert 0.002 < some < 0.03
    assert 2 * some < much < 4 * some


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"size": 32}, "size 32"),
        ({"size": 128.0}, "size 128.0"),
        ({"size": 4096}, "size 4096"),
        ({"shortcut": 1.5}, "shortcut 1.5"),
        ({"test_shortcut": -0.1}, "test_shortcut -0.1"),
        ({"shortcut": True}, "shortcut True"),
        ({"prevalence": 0.0}, "prevalence 0.0"),
        ({"prevalence": 1}, "prevalence 1"),
        ({"lesion_contrast": float("nan")}, "lesion_contrast nan"),
        ({"noise": -1}, "noise -1"),
    ],
)
def test_settings_out_of_range_are_refused(values: dict[str, float], named: str) -> None:
    with pytest.raises(BadInput, match=named):
        PhantomSettings(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(("count", "seed", "named"), [(0, 0, "count 0"), (2, -1, "seed -1"), (True, 0, "count True")])
def test_count_and_seed_are_checked(count: int, seed: int, named: str) -> None:
    with pytest.raises(BadInput, match=named):
        generate(count, seed)


def test_a_written_set_is_a_manifest_with_images_and_masks(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    cases = write_phantoms(folder, 20, seed=4, settings=SMALL)
    assert read_manifest(folder / "manifest.csv") == cases
    assert class_names(cases) == list(CLASSES)
    assert [case.split for case in cases] == ["train"] * 15 + ["test"] * 5
    assert len({case.patient for case in cases}) == 20
    made = generate(20, 4, SMALL)
    for index, case in enumerate(cases):
        assert case.label == made.labels[index]
        np.testing.assert_array_equal(read_mask(folder / case.lung_mask, (96, 96)), made.lung[index])
        assert bool(case.lesion_mask) == (case.label == CLASSES[1])
        if case.lesion_mask:
            np.testing.assert_array_equal(read_mask(folder / case.lesion_mask, (96, 96)), made.lesion[index])
        shown = read_image(folder / case.id).as_uint8()
        np.testing.assert_allclose(shown, made.pixels[index] * 255, atol=0.51)
    named = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    listed = {name for case in cases for name in (case.id, *case.masks) if name}
    assert named == listed | {"manifest.csv", "README.md"}


def test_each_format_shows_the_same_picture(tmp_path: Path) -> None:
    cases = write_phantoms(tmp_path / "set", 42, test_share=0, seed=1, settings=SMALL, formats="mixed")
    suffixes = [case.id.partition(".")[2] for case in cases]
    assert (suffixes.count("dcm"), suffixes.count("nii.gz"), suffixes.count("png")) == (1, 1, 40)
    assert Image.open(tmp_path / "set" / cases[31].id).mode.startswith("I;16")
    made = generate(42, 1, SMALL)
    for index in (0, 5, 18, 31):
        shown = read_image(tmp_path / "set" / cases[index].id).as_uint8()
        np.testing.assert_allclose(shown, made.pixels[index] * 255, atol=1.01)


def test_dicom_files_are_monochrome1_with_a_window(tmp_path: Path) -> None:
    import pydicom

    cases = write_phantoms(tmp_path / "set", 12, test_share=0, seed=1, settings=SMALL, formats="mixed")
    dataset = pydicom.dcmread(tmp_path / "set" / cases[5].id)
    assert (dataset.Modality, dataset.PhotometricInterpretation, dataset.BitsStored) == ("CR", "MONOCHROME1", 12)
    stored = dataset.pixel_array
    low = float(dataset.WindowCenter) - 0.5 - (float(dataset.WindowWidth) - 1) / 2
    # Some values lie beyond the window on both sides, so that a reader which ignores it shows another picture.
    assert stored.min() < low
    assert stored.max() > low + float(dataset.WindowWidth) - 1


def test_a_shortcut_in_training_is_independent_of_the_class_in_the_test_set(tmp_path: Path) -> None:
    settings = PhantomSettings(size=64, shortcut=1.0, test_shortcut=0.0)
    cases = write_phantoms(tmp_path / "set", 16, test_share=0.5, seed=1, settings=settings)
    bare = generate(16, 1, replace(settings, shortcut=None)).pixels
    for case, plain in zip(cases, bare, strict=True):
        shown = read_image(tmp_path / "set" / case.id).as_uint8()
        marked = bool((np.abs(shown - plain * 255) > 1).any())
        assert marked == ((case.label == CLASSES[1]) == (case.split == "train"))


def test_a_folder_with_something_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(BadInput, match="isn't empty"):
        write_phantoms(tmp_path, 8)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(BadInput, match="is a file"):
        write_phantoms(tmp_path / "mine.txt", 8)


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    write_phantoms(tmp_path / "set", 4, test_share=0, settings=SMALL)
    assert (tmp_path / "set" / "manifest.csv").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"count": 1}, "without class"),
        ({"count": 4, "test_share": 0.25}, "test set of 1 without class"),
        ({"count": 8, "test_share": 1.0}, "test_share 1.0"),
        ({"count": 8, "formats": "tiff"}, "formats 'tiff'"),
        ({"count": 0}, "count 0"),
    ],
)
def test_sets_that_cannot_be_made_leave_nothing(tmp_path: Path, values: dict[str, float], named: str) -> None:
    with pytest.raises(BadInput, match=named):
        write_phantoms(tmp_path / "set", **values)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_failure_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("imil.phantom.writer.write_manifest", full)
    with pytest.raises(BadInput, match="No space left"):
        write_phantoms(tmp_path / "set", 4, test_share=0, settings=SMALL)
    assert list(tmp_path.iterdir()) == []


def test_the_sample_data_can_be_made_again(tmp_path: Path) -> None:
    again = tmp_path / "sample-data"
    cases = write_phantoms(
        again,
        SAMPLE_COUNT,
        test_share=SAMPLE_TEST_SHARE,
        seed=SAMPLE_SEED,
        settings=SAMPLE_SETTINGS,
        formats="mixed",
    )
    assert _files(again) == _files(SAMPLE_DATA) - {"LICENSE"}
    for name in ("manifest.csv", "README.md"):
        assert (again / name).read_text() == (SAMPLE_DATA / name).read_text()
    for case in cases:
        old, new = (read_image(folder / case.id).as_uint8().astype(int) for folder in (SAMPLE_DATA, again))
        assert np.abs(old - new).max() <= 1, case.id
        for mask in filter(None, case.masks):
            old, new = (read_mask(folder / mask, old.shape) for folder in (SAMPLE_DATA, again))
            # A pixel right on the edge may fall to either side on another machine.
            assert np.count_nonzero(old != new) <= 2, mask


def test_the_sample_data_is_small_and_its_readme_has_the_command() -> None:
    assert sum((SAMPLE_DATA / name).stat().st_size for name in _files(SAMPLE_DATA)) <= 6e6
    text = (SAMPLE_DATA / "README.md").read_text()
    (command,) = [line.strip() for line in text.splitlines() if line.strip().startswith("imil phantom")]
    assert shlex.split(command) == shlex.split(
        f"imil phantom sample-data --count {SAMPLE_COUNT} --size 128 --seed {SAMPLE_SEED} "
        f"--test-share {SAMPLE_TEST_SHARE} --formats mixed --shortcut 0.95"
    )
    assert "CC0-1.0" in (SAMPLE_DATA / "LICENSE").read_text()


def _files(folder: Path) -> set[str]:
    """All files, but for what a study that was made in the folder keeps there."""
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {name.as_posix() for name in names if name.parts[0] != STATE_FOLDER}


def test_many_processes_draw_what_one_does() -> None:
    settings = PhantomSettings(size=64, shortcut=0.9)
    together = generate(70, 5, settings)
    alone = [generate(1, 5, settings, start=number) for number in (0, 1, 33, 69)]
    for number, single in zip((0, 1, 33, 69), alone, strict=True):
        np.testing.assert_array_equal(together.pixels[number], single.pixels[0])
        np.testing.assert_array_equal(together.lesion[number], single.lesion[0])
        assert together.marker[number] == single.marker[0]


@pytest.mark.skipif(os.cpu_count() == 1, reason="one processor does everything in one process")
def test_a_process_that_fails_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    parent = os.getpid()

    def work(numbers: Iterable[int]) -> None:
        if os.getpid() != parent:
            raise ValueError("no luck today")

    with pytest.raises(ImilError, match="processes that draw phantoms failed"):
        for_all(work, 1000)
    assert "no luck today" in capfd.readouterr().err
