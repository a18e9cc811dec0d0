"""Making and opening studies."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset

from imil.cases import read_manifest
from imil.errors import BadInput, Conflict, NotFound
from imil.images import read_square
from imil.study import Study, create_study


def picture(path: Path, value: int = 100, shape: tuple[int, int] = (12, 16)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full(shape, value, np.uint8)
    pixels[0, 0] = 255 - value
    Image.fromarray(pixels).save(path)
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Ten images in each of two class folders."""
    for number in range(10):
        picture(tmp_path / "study" / "normal" / f"n {number}.png", number)
        picture(tmp_path / "study" / "tb" / "deeper" / f"tü{number}.png", 100 + number)
    return tmp_path / "study"


@pytest.fixture
def listed(classes: Path) -> Path:
    """The same with a manifest that has no splits."""
    rows = [
        f"{path.relative_to(classes)},{path.relative_to(classes).parts[0]}" for path in sorted(classes.rglob("*.png"))
    ]
    (classes / "manifest.csv").write_text("image,label\n" + "\n".join(rows) + "\n")
    return classes


def refused(folder: Path, source: str, *words: str, error: type[Exception] = BadInput, **options: object) -> None:
    before = files(folder) if folder.exists() else {}
    with pytest.raises(error) as found:
        create_study(folder, source, **options)  # type: ignore[arg-type]
    for word in words:
        assert word in str(found.value)
    assert "\n" not in str(found.value)
    assert (files(folder) if folder.exists() else {}) == before
    assert not (folder / ".imil").exists()


def test_folders(classes: Path) -> None:
    (classes / "normal" / "readme.txt").write_text("x")
    (classes / ".hidden" / "x").mkdir(parents=True)
    picture(classes / ".hidden" / "x" / "a.png")
    study = create_study(classes, "folders", seed=3)
    assert study.classes == ["normal", "tb"]
    assert len(study.cases) == 20
    assert study.case("tb/deeper/tü3.png").label == "tb"
    assert Counter((case.label, case.split) for case in study.cases) == {
        ("normal", "train"): 8, ("normal", "test"): 2, ("tb", "train"): 8, ("tb", "test"): 2
    }  # fmt: skip
    info = json.loads((classes / ".imil" / "study.json").read_text())
    assert (info["version"], info["source"], info["seed"]) == (1, "folders", 3)
    assert "test share 0.2" in info["split"]
    assert Study.open(classes).cases == study.cases == read_manifest(classes / "manifest.csv")


def test_dicom_without_suffix_counts_as_an_image(classes: Path) -> None:
    dicom(classes / "tb" / "1.2.840.113619", pixels=True)
    assert create_study(classes, "folders").case("tb/1.2.840.113619").label == "tb"


def test_shenzhen(tmp_path: Path) -> None:
    for number in range(1, 8):
        picture(tmp_path / "CXR_png" / f"CHNCXR_{number:04}_{number % 2}.png")
        (tmp_path / "CXR_png" / f"CHNCXR_{number:04}_{number % 2}.txt").write_text("reading")
        picture(tmp_path / "mask" / f"CHNCXR_{number:04}_{number % 2}_mask.png")
    study = create_study(tmp_path, "shenzhen")
    assert len(study.cases) == 7
    case = study.case("CXR_png/CHNCXR_0003_1.png")
    assert (case.label, case.patient) == ("tb", "0003")
    assert study.case("CXR_png/CHNCXR_0004_0.png").label == "normal"


def test_shenzhen_needs_its_file_names_once(tmp_path: Path, classes: Path) -> None:
    refused(classes, "shenzhen", "CHNCXR_0001_0.png", "20 other files", "n 0.png")
    picture(tmp_path / "s" / "a" / "CHNCXR_0001_0.png")
    picture(tmp_path / "s" / "b" / "CHNCXR_0001_0.png")
    refused(tmp_path / "s", "shenzhen", "twice", "a/CHNCXR_0001_0.png")


def test_csv_without_splits_is_completed_and_kept(listed: Path) -> None:
    original = (listed / "manifest.csv").read_bytes()
    study = create_study(listed, "csv")
    assert (listed / "manifest.original.csv").read_bytes() == original
    assert Counter(case.split for case in study.cases) == {"train": 16, "test": 4}
    assert read_manifest(listed / "manifest.csv") == study.cases


def test_csv_with_splits_stays_as_it_is(listed: Path) -> None:
    lines = (listed / "manifest.csv").read_text().splitlines()
    text = "\n".join(
        [lines[0] + ",split", *(f"{line},{'train' if number % 3 else 'val'}" for number, line in enumerate(lines[1:]))]
    )
    (listed / "manifest.csv").write_text(text)
    study = create_study(listed, "csv")
    assert (listed / "manifest.csv").read_text() == text
    assert not (listed / "manifest.original.csv").exists()
    assert study.info.split == "given by the manifest"


def test_csv_from_elsewhere(listed: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "labels.csv"
    (listed / "manifest.csv").rename(elsewhere)
    assert len(create_study(listed, "csv", csv=elsewhere).cases) == 20
    assert "split" not in elsewhere.read_text()


def test_somebodys_manifest_is_never_overwritten(listed: Path, tmp_path: Path) -> None:
    refused(listed, "folders", "manifest.csv is there already", error=Conflict)
    other = tmp_path / "other.csv"
    other.write_text((listed / "manifest.csv").read_text().replace("tb\n", "TB\n"))
    refused(listed, "csv", "manifest.csv is there already", error=Conflict, csv=other)
    (listed / "manifest.original.csv").write_text("precious")
    refused(listed, "csv", "manifest.original.csv is there already", error=Conflict)


def test_the_same_study_again_is_the_same(listed: Path) -> None:
    first = create_study(listed, "csv")
    before = files(listed)
    assert create_study(listed, "csv").cases == first.cases
    assert create_study(listed, "folders").cases == first.cases
    with pytest.raises(Conflict, match="is a study already"):
        create_study(listed, "folders", seed=1)
    assert files(listed) == before


def test_folders_that_hold_no_study(tmp_path: Path) -> None:
    refused(tmp_path / "none", "folders", "isn't a folder")
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(empty, "folders", "no class folders", "it's empty")
    refused(empty, "shenzhen", "it's empty")
    refused(empty, "csv", "no manifest")
    refused(empty, "excel", "'excel'", "csv, folders and shenzhen")
    refused(empty, "folders", "only goes with", csv=tmp_path / "a.csv")
    (empty / "a").mkdir()
    (empty / "a" / "x.tif").write_text("x")
    (empty / "b.mp4").write_text("x")
    refused(empty, "folders", ".mp4, .tif", ".png")


def test_one_class_only(classes: Path) -> None:
    (classes / "normal").rename(classes.parent / "away")
    refused(classes, "folders", "single class 'tb'", "10 images")


def test_a_class_with_a_single_patient(classes: Path) -> None:
    picture(classes / "rare" / "only.png")
    refused(classes, "folders", "'rare'", "'rare/only.png'", "single patient")


def test_a_link_that_leads_nowhere_and_a_loop(classes: Path) -> None:
    (classes / "tb" / "loop").symlink_to(classes)
    assert len(create_study(classes, "folders").cases) >= 20
    for path in ("manifest.csv", ".imil/study.json", ".imil/hashes.json"):
        (classes / path).unlink()
    (classes / ".imil").rmdir()
    (classes / "tb" / "gone.png").symlink_to(classes / "nowhere.png")
    refused(classes, "folders", "gone.png leads nowhere")


def dicom(path: Path, *, pixels: bool) -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    found = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128, is_implicit_VR=False, is_little_endian=True)
    found.SOPClassUID, found.Modality = meta.MediaStorageSOPClassUID, "CR"
    if pixels:
        found.Rows, found.Columns, found.SamplesPerPixel, found.PixelRepresentation = 4, 6, 1, 0
        found.BitsAllocated, found.BitsStored, found.HighBit = 16, 12, 11
        found.PhotometricInterpretation, found.PixelData = "MONOCHROME1", np.arange(24, dtype=np.uint16).tobytes()
    found.save_as(path)


def test_unreadable_images_are_named_by_their_path(classes: Path) -> None:
    path = classes / "tb" / "deeper" / "bad.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 50)).astype(np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:1500])
    refused(classes, "folders", "tb/deeper/bad.png", "truncated")
    path.unlink()
    dicom(classes / "tb" / "a.dcm", pixels=False)
    refused(classes, "folders", "tb/a.dcm", "without pixels")
    (classes / "tb" / "a.dcm").unlink()
    image = SimpleITK.GetImageFromArray(np.full((5, 5), np.nan, np.float32))
    SimpleITK.WriteImage(image, str(classes / "tb" / "nan.nii.gz"))
    refused(classes, "folders", "tb/nan.nii.gz", "NaN")
    (classes / "tb" / "nan.nii.gz").unlink()
    SimpleITK.WriteImage(SimpleITK.Image(5, 6, 7, SimpleITK.sitkInt16), str(classes / "tb" / "volume.nrrd"))
    refused(classes, "folders", "tb/volume.nrrd", "5 x 6 x 7")


def test_a_1x1_image_is_an_image(classes: Path) -> None:
    picture(classes / "tb" / "dot.png", shape=(1, 1))
    study = create_study(classes, "folders")
    assert study.pixels(8).shape == (21, 8, 8)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("none.png,tb", ["line 22", "none.png"]),
        ("normal/n 0.png,tb", ["line 22", "twice"]),
        ("normal/n 0.png,", ["line 22", "empty"]),
        ("../outside.png,tb", ["line 22", "leads out"]),
    ],
)
def test_wrong_manifests_write_nothing(listed: Path, line: str, words: list[str]) -> None:
    with (listed / "manifest.csv").open("a") as file:
        file.write(line + "\n")
    refused(listed, "csv", *words)


def test_an_unknown_column_writes_nothing(listed: Path) -> None:
    text = (listed / "manifest.csv").read_text()
    (listed / "manifest.csv").write_text(text.replace("\n", ",age\n", 1))
    refused(listed, "csv", "unknown column 'age'")


def test_masks_must_fit_their_images(listed: Path) -> None:
    lines = (listed / "manifest.csv").read_text().splitlines()
    mask = picture(listed / "masks" / "m.png", 0, shape=(12, 16))
    (listed / "manifest.csv").write_text(
        "\n".join(
            [
                lines[0] + ",lesion_mask,misleading_mask",
                lines[1] + ",masks/m.png,masks/m.png",
                *(f"{line},," for line in lines[2:]),
            ]
        )
    )
    study = create_study(listed, "csv")
    first = study.cases[0].id
    lesion = study.lesion_mask(first)
    assert lesion is not None
    assert (lesion.dtype, lesion.shape, lesion.sum()) == (np.uint8, (12, 16), 1)
    assert lesion[0, 0] == 1
    np.testing.assert_array_equal(study.misleading_mask(first), lesion)
    assert study.lung_mask(first) is None
    assert study.lesion_mask(study.cases[1].id) is None
    (listed / ".imil" / "study.json").unlink()
    (listed / ".imil" / "hashes.json").unlink()
    (listed / ".imil").rmdir()
    picture(mask, 0, shape=(16, 12))
    refused(listed, "csv", "masks/m.png", "16 x 12")


def test_a_folder_that_cannot_be_written(listed: Path, tmp_path: Path) -> None:
    """Files of more than a few bytes can't be written in this process: a full disk."""
    code = f"""
import resource, sys
from pathlib import Path
from imil.errors import BadInput
from imil.study import create_study
resource.setrlimit(resource.RLIMIT_FSIZE, ({{limit}}, resource.RLIM_INFINITY))
try:
    create_study(Path({str(listed)!r}), "csv")
except BadInput as error:
    sys.exit(str(error))
"""
    before = files(listed)
    manifest = len(before["manifest.csv"])
    for limit in (10, manifest + 10, 2 * manifest):  # it ends at the copy, at the manifest, at the hashes
        done = subprocess.run(
            [sys.executable, "-c", code.format(limit=limit)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "can't be written" in done.stderr, limit
        assert files(listed) == before
        assert not (listed / ".imil").exists()


def test_opening_what_is_no_study(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(BadInput, match="imil study create"):
            Study.open(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"version": 2, "something": "new"}', "newer version of IMIL"),
        ("{", "damaged"),
        ("[]", "damaged"),
        ("{}", "no version"),
        ('{"version": 1, "source": "csv"}', "created"),
    ],
)
def test_damaged_and_newer_studies(classes: Path, text: str, words: str) -> None:
    create_study(classes, "folders")
    (classes / ".imil" / "study.json").write_text(text)
    before = files(classes)
    with pytest.raises(BadInput, match=words):
        Study.open(classes)
    with pytest.raises(BadInput, match=words):
        create_study(classes, "folders")
    assert files(classes) == before


def test_unknown_ids_are_not_paths(classes: Path) -> None:
    study = create_study(classes, "folders")
    assert study.image_path("normal/n 1.png") == classes / "normal" / "n 1.png"
    for wrong in ("../study/normal/n 1.png", "normal/n 1", "manifest.csv", ""):
        for method in (study.case, study.image_path, study.sha256, study.lesion_mask, study.misleading_mask):
            with pytest.raises(NotFound):
                method(wrong)


def test_pixels_are_those_of_the_cases_in_order_and_follow_changes(classes: Path) -> None:
    study = create_study(classes, "folders")
    pixels = study.pixels(8)
    np.testing.assert_array_equal(pixels, [read_square(classes / case.id, 8) for case in study.cases])
    picture(classes / study.cases[4].id, 200)
    changed = Study.open(classes).pixels(8)
    assert (changed[4] != pixels[4]).any()
    np.testing.assert_array_equal(np.delete(changed, 4, 0), np.delete(pixels, 4, 0))


def test_hashes_are_computed_once_for_each_version_of_a_file(classes: Path) -> None:
    study = create_study(classes, "folders")
    first = study.cases[0].id
    path = classes / first
    before = study.sha256(first)
    assert json.loads((classes / ".imil" / "hashes.json").read_text())[first][2] == before
    stat = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # in the checksum of the last chunk, so it's still a PNG of the same length
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert Study.open(classes).sha256(first) == before  # same size, same time: not read again
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    after = Study.open(classes).sha256(first)
    assert after != before
    assert json.loads((classes / ".imil" / "hashes.json").read_text())[first][2] == after
    (classes / ".imil" / "hashes.json").write_text("{")
    assert Study.open(classes).sha256(first) == after


def test_a_changed_manifest_is_read_again(classes: Path) -> None:
    study = create_study(classes, "folders")
    assert study.refresh() is False
    text = (classes / "manifest.csv").read_text()
    (classes / "manifest.csv").write_text(text.replace(",tb,", ",tbc,"))
    assert study.classes == ["normal", "tb"]
    assert study.refresh() is True
    assert study.classes == ["normal", "tbc"]
    (classes / "manifest.csv").write_text(text.replace(",train", ","))
    with pytest.raises(BadInput, match="has no split"):
        study.refresh()
    assert study.classes == ["normal", "tbc"]
    with pytest.raises(BadInput, match="has no split"):
        Study.open(classes)


def test_the_database_comes_from_the_environment_or_the_study(classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = create_study(classes, "folders")
    assert study.database_url == ""
    path = classes / ".imil" / "study.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"database": "sqlite:///a.db"}))
    assert Study.open(classes).database_url == "sqlite:///a.db"
    monkeypatch.setenv("IMIL_DATABASE", "sqlite:///b.db")
    assert Study.open(classes).database_url == "sqlite:///b.db"


def test_the_store_lies_in_the_study(classes: Path) -> None:
    study = create_study(classes, "folders")
    assert study.store.latest_run() is None
    assert study.store is study.store
    assert (classes / ".imil" / "imil.db").is_file()
    study.store.close()


def test_importing_studies_loads_nothing_heavy() -> None:
    heavy = ("torch", "SimpleITK", "pydicom", "PIL", "sqlalchemy")
    code = f"import sys, imil.study; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
