"""The manifest and the split."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imil.cases import Case, assign_splits, class_names, read_manifest, write_manifest
from imil.errors import BadInput


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "sub/c d.png", "sub/ü.png", "mask.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def manifest(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "manifest.csv"
    path.write_bytes(text.encode(encoding))
    return path


def cases(*groups: tuple[str, str, int]) -> list[Case]:
    """(label, patient, number of images) each."""
    return [
        Case(f"{patient}-{label}-{number}", label, patient)
        for label, patient, count in groups
        for number in range(count)
    ]


def test_all_columns_are_read(folder: Path) -> None:
    path = manifest(
        folder,
        "image,label,patient,split,lesion_mask,lung_mask,misleading_mask\n"
        "a.png, tb ,p1,train,mask.png,,\n"
        '"sub/c d.png",normal,,test,,mask.png,./mask.png\n',
    )
    assert read_manifest(path) == [
        Case("a.png", "tb", "p1", "train", "mask.png"),
        Case("sub/c d.png", "normal", "sub/c d.png", "test", "", "mask.png", "mask.png"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_byte_order_mark_line_ends_and_blank_lines_do_no_harm(folder: Path, encoding: str, newline: str) -> None:
    path = manifest(folder, newline.join(["image,label", "sub/ü.png,ä", "", "a.png,b", ",", ""]), encoding)
    assert [(case.id, case.label) for case in read_manifest(path)] == [("sub/ü.png", "ä"), ("a.png", "b")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["image", "missing"]),
        ("image,label\n", ["no images"]),
        ("image\na.png\n", ["'label'", "missing"]),
        ("image,label,age\na.png,x,3\n", ["'age'", "lesion_mask"]),
        ("image,label,label\na.png,x,y\n", ["'label'", "2 times"]),
        ("image,label\na.png,x\nnone.png,y\n", ["line 3", "none.png"]),
        ("image,label\na.png,x\na.png,y\n", ["line 3", "twice", "line 2"]),
        ("image,label\na.png,x\nsub/.././a.png,y\n", ["line 3", "leads out"]),
        ("image,label\na.png,x\n.//a.png,y\n", ["line 3", "twice"]),
        ("image,label\na.png,\n", ["line 2", "empty"]),
        ("image,label\n,x\n", ["line 2", "names no file"]),
        ("image,label\na.png,x\nb.png,x\n", ["single class", "'x'"]),
        ("image,label\n../a.png,x\n", ["line 2", "leads out"]),
        ("image,label\n/etc/passwd,x\n", ["line 2", "leads out"]),
        ("image,label\nC:\\a.png,x\n", ["line 2", "leads out"]),
        ("image,label\nsub\\a.png,x\n", ["line 2", "use /"]),
        ("image,label\n.imil/a.png,x\n", [".imil"]),
        ("image,label\n" + "a" * 300 + ".png,x\n", ["line 2", "no file"]),
        ("image,label\na\0.png,x\n", ["isn't text"]),
        ("image,label\na.png,x\x1b[31m\n", ["label", "isn't text"]),
        ("image,label\na.png,x,y\n", ["line 2", "3 values for 2"]),
        ('image,label\n"a.png,x\n', ["valid CSV"]),
        ("image,label,split\na.png,x,training\n", ["'training'", "train, val, test"]),
        ("image,label,lesion_mask\na.png,x,no.png\n", ["line 2", "lesion_mask", "no.png"]),
        ("image,label,lung_mask\na.png,x,../mask.png\n", ["line 2", "lung_mask", "leads out"]),
        ("image,label,misleading_mask\na.png,x,no.png\n", ["line 2", "misleading_mask", "no.png"]),
    ],
)
def test_what_cannot_be_used_is_named(folder: Path, text: str, words: list[str]) -> None:
    with pytest.raises(BadInput) as error:
        read_manifest(manifest(folder, text))
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_other_encodings_missing_files_and_folders_are_refused(folder: Path) -> None:
    with pytest.raises(BadInput, match="UTF-8"):
        read_manifest(manifest(folder, "image,label\nsub/ü.png,x\n", "latin-1"))
    with pytest.raises(BadInput, match="can't be read"):
        read_manifest(folder / "other.csv")
    with pytest.raises(BadInput, match="can't be read"):
        read_manifest(folder)


def test_links_inside_the_folder_are_fine(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "far.png"
    elsewhere.write_bytes(b"x")
    (folder / "link.png").symlink_to(elsewhere)
    assert read_manifest(manifest(folder, "image,label\nlink.png,x\na.png,y\n"))[0].id == "link.png"


def test_a_manifest_survives_writing_and_reading(folder: Path) -> None:
    before = [
        Case("a.png", 'comma, "quote"', "p, 1", "train", "mask.png"),
        Case("sub/ü.png", "β", "sub/ü.png", "test", "", "", "mask.png"),
    ]
    write_manifest(folder / "m.csv", before)
    assert read_manifest(folder / "m.csv") == before
    assert [path.name for path in folder.glob("*.tmp")] == []


def test_class_names_are_sorted() -> None:
    assert class_names(cases(("b", "1", 1), ("a", "2", 1), ("b", "3", 1))) == ["a", "b"]


def test_shenzhen_sizes_give_530_and_132() -> None:
    groups = [("tb", f"t{number}", 1) for number in range(336)] + [("normal", f"n{number}", 1) for number in range(326)]
    for seed in range(5):
        found = Counter((case.label, case.split) for case in assign_splits(cases(*groups), seed=seed))
        assert found == {("tb", "train"): 269, ("tb", "test"): 67, ("normal", "train"): 261, ("normal", "test"): 65}


def test_the_split_depends_on_the_seed_and_nothing_else() -> None:
    groups = cases(*[("a" if number % 3 else "b", str(number), 1) for number in range(60)])
    first = {case.id: case.split for case in assign_splits(groups, seed=1)}
    assert {case.id: case.split for case in assign_splits(groups[::-1], seed=1)} == first
    assert {case.id: case.split for case in assign_splits(groups, seed=2)} != first


def test_given_splits_stay() -> None:
    given_cases = [Case("a", "x", "a", "train"), Case("b", "y", "b", "train"), Case("c", "x", "c", "val")]
    assert assign_splits(given_cases) == given_cases


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ([Case("a", "x", "a", "train"), Case("b", "y", "b", "")], ["1 of 2", "'b'"]),
        ([Case("a", "x", "p", "train"), Case("b", "y", "p", "test")], ["'p'", "train", "test"]),
        ([Case("a", "x", "a", "train"), Case("b", "y", "b", "test")], ["'y'", "train"]),
        (cases(("x", "p", 3), ("y", "q", 1), ("y", "r", 1)), ["'x'", "'p'", "single patient"]),
        (cases(("a", "p", 1), ("a", "q", 1), ("b", "q", 1), ("b", "r", 1), ("c", "p", 1), ("c", "r", 1)), ["No split"]),
    ],
)
def test_splits_that_cannot_be_are_named(wrong: list[Case], words: list[str]) -> None:
    with pytest.raises(BadInput) as error:
        assign_splits(wrong)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
def test_a_share_outside_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(BadInput, match="test_share"):
        assign_splits(cases(("a", "1", 1), ("a", "2", 1), ("b", "3", 1), ("b", "4", 1)), test_share=share)


patients_of_one_label = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 7)), min_size=2, max_size=80).filter(
    lambda found: all(count > 1 for count in Counter(label for label, _ in found).values())
)


@settings(deadline=None)
@given(patients_of_one_label, st.floats(0.05, 0.95), st.integers(0, 2**32))
def test_whole_patients_and_shares_within_one_patient(groups: list[tuple[str, int]], share: float, seed: int) -> None:
    before = cases(*[(label, f"p{number}", count) for number, (label, count) in enumerate(groups)])
    after = assign_splits(before, test_share=share, seed=seed)
    assert [(case.id, case.label, case.patient) for case in after] == [(c.id, c.label, c.patient) for c in before]
    assert all(
        len({case.split for case in after if case.patient == patient}) == 1 for patient in {c.patient for c in after}
    )
    for label in class_names(before):
        sizes = [count for name, count in groups if name == label]
        found = Counter(case.split for case in after if case.label == label)
        assert found["train"] > 0
        assert found["test"] > 0
        assert abs(found["test"] - share * sum(sizes)) <= max(sizes)


@settings(deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=5), min_size=8, max_size=40), st.integers(0, 2**32)
)
def test_patients_with_several_labels_stay_whole(groups: list[list[str]], seed: int) -> None:
    before = [
        Case(f"{patient}-{number}", label, f"p{patient}")
        for patient, labels in enumerate(groups)
        for number, label in enumerate(labels)
    ]
    try:
        after = assign_splits(before, seed=seed)
    except BadInput as error:
        assert "single patient" in str(error) or "No split" in str(error)  # noqa: PT017
        return
    splits: dict[str, set[str]] = {}
    for case in after:
        splits.setdefault(case.patient, set()).add(case.split)
    assert all(len(found) == 1 for found in splits.values())
    for split in ("train", "test"):
        assert {case.label for case in after if case.split == split} == set(class_names(before))
