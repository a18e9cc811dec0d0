import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from imil.casefeedback import CaseFeedback
from imil.errors import BadInput, ImilError
from imil.grid import Grid
from imil.readers import (
    ConsoleReader,
    OracleReader,
    RandomCellsReader,
    ReaderCase,
    ReaderLeft,
    Reading,
    SloppyReader,
    WrongCellsReader,
    opposite_cells,
    shuffled_cells,
    simulated_residents,
)
from imil.readers.console import parse
from imil.readers.pictures import heat_table, side_by_side, terminal_lines
from imil.readers.simulated import hottest_cell, place


def make_case(**overrides) -> ReaderCase:
    """A 40 x 60 image with a 4 x 4 grid (cells of 10 x 15 pixels); the model looked at cell 15, the bottom right."""
    heatmap = np.zeros((8, 8), np.float32)
    heatmap[6:, 6:] = 1
    values = {
        "id": "site/a b.png",
        "image": np.linspace(0, 1, 2400, dtype=np.float32).reshape(40, 60),
        "heatmap": heatmap,
        "grid": Grid.square(4, (40, 60)),
        "label": "normal",
        "prediction": "tb",
        "confidence": 0.934,
        "probabilities": (0.066, 0.934),
        "classes": ("normal", "tb"),
    }
    return ReaderCase(**(values | overrides))


def mask(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    painted = np.zeros((40, 60), np.uint8)
    for top, bottom, left, right in boxes:
        painted[top:bottom, left:right] = 1
    return painted


# -- simulated readers -------------------------------------------------------------------------------------------------


def test_the_oracle_chooses_the_cells_that_the_lesion_touches():
    # 10 rows x 20 columns: cell 5 gets all of its 150 pixels, cell 6 the other 50 (a third of it).
    reading = OracleReader().read(make_case(lesion_mask=mask((10, 20, 15, 35))))
    assert (reading.action, reading.cells) == ("grid", (5, 6))


def test_a_sliver_in_a_neighbouring_cell_is_left_out():
    lesion = mask((10, 20, 15, 31))  # 150 pixels in cell 5, 10 in cell 6: 7 % of the cell, 6 % of the lesion
    assert OracleReader().read(make_case(lesion_mask=lesion)).cells == (5,)
    assert OracleReader(min_share=0).read(make_case(lesion_mask=lesion)).cells == (5, 6)


def test_a_small_lesion_counts_by_its_own_size():
    lesion = mask((9, 11, 14, 16))  # one pixel in each of four cells
    assert OracleReader().read(make_case(lesion_mask=lesion)).cells == (0, 1, 4, 5)


def test_if_no_cell_has_enough_the_fullest_is_chosen():
    lesion = mask((0, 1, 0, 3), (30, 31, 0, 2))
    assert OracleReader(min_share=1).read(make_case(lesion_mask=lesion)).cells == (0,)


def test_a_normal_case_is_judged_by_its_lungs():
    lungs = mask((0, 20, 0, 15), (20, 22, 0, 15))  # cells 0 and 4 full, a fifth of cell 8
    reading = OracleReader().read(make_case(lung_mask=lungs, lesion_mask=mask()))
    assert reading.cells == (0, 4)
    assert "towards the lungs in the upper left of the image." in reading.rationale


def test_without_masks_the_oracle_skips_and_says_why():
    reading = OracleReader().read(make_case())
    assert reading.action == "skip"
    assert "neither a lesion mask nor a lung mask" in reading.rationale


def test_the_rationale_has_the_papers_form():
    reading = OracleReader().read(make_case(lesion_mask=mask((0, 10, 0, 15))))
    assert reading.rationale == (
        "The model was focused on the lower right of the image so I switched the focus towards the finding in the "
        "upper left of the image."
    )


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(BadInput, match=r"'site/a b.png' is 40 x 40 pixels, but its image is 40 x 60"):
        OracleReader().read(make_case(lesion_mask=np.ones((40, 40), np.uint8)))


def test_the_oracle_marks_what_misleads_even_where_disease_lies_in_it():
    # 10 rows x 20 columns: cell 5 gets all of its 150 pixels, cell 6 the other 50; the marker is in 6 and 7.
    case = make_case(lesion_mask=mask((10, 20, 15, 35)), misleading_mask=mask((12, 18, 40, 50)))
    reading = OracleReader().read(case)
    assert (reading.action, reading.cells, reading.misleading) == ("grid", (5,), (6, 7))
    assert reading.rationale == (
        "The model was focused on the lower right of the image so I switched the focus towards the finding in the "
        "centre of the image, away from what misled it in the middle right of the image."
    )


def test_a_sliver_of_what_misleads_counts_by_its_share_of_the_cell_or_of_the_mark():
    lungs = mask((20, 40, 0, 60))
    # 100 pixels in cell 0 and 2 in cell 1: 1.3 % of the cell, 2 % of the mark.
    sliver = make_case(lung_mask=lungs, misleading_mask=mask((0, 10, 5, 15), (4, 6, 15, 16)))
    assert OracleReader().read(sliver).misleading == (0,)
    assert OracleReader(misleading_share=0).read(sliver).misleading == (0, 1)
    # 3 more, 2 % of the cell.
    assert OracleReader().read(replace(sliver, misleading_mask=mask((0, 10, 5, 15), (4, 7, 15, 16)))).misleading == (
        0,
        1,
    )
    # A small mark of 9 pixels, one of them in cell 1: less than 1 % of the cell, but 11 % of the mark.
    small = mask((0, 4, 13, 15), (0, 1, 15, 16))
    assert OracleReader().read(replace(sliver, misleading_mask=small)).misleading == (0, 1)
    nothing = OracleReader().read(replace(sliver, misleading_mask=mask()))
    assert (nothing.misleading, "misled" in nothing.rationale) == ((), False)


def test_with_all_chosen_cells_misleading_the_oracle_takes_what_is_left():
    oracle = OracleReader()
    lesion, lungs = mask((10, 20, 15, 31)), mask((0, 40, 0, 30))  # cell 5, a sliver in cell 6; columns 0 and 1
    covered = make_case(lesion_mask=lesion, lung_mask=lungs, misleading_mask=mask((12, 14, 20, 24)))
    assert (oracle.read(covered).cells, oracle.read(covered).misleading) == ((6,), (5,))
    both = replace(covered, misleading_mask=mask((12, 14, 20, 40)))
    reading = oracle.read(both)
    assert (reading.cells, reading.misleading) == ((0, 1, 4, 8, 9, 12, 13), (5, 6))
    assert "towards the lungs" in reading.rationale
    none_left = oracle.read(replace(both, misleading_mask=mask((0, 40, 0, 60))))
    assert (none_left.action, none_left.misleading) == ("skip", ())
    assert "something that misleads" in none_left.rationale
    # Without lungs at the usual share, those that they touch at all: cell 0 is full and misleads, 4 is a fifth.
    touched = make_case(lung_mask=mask((0, 12, 0, 15)), misleading_mask=mask((0, 10, 0, 15)))
    assert oracle.read(touched).cells == (4,)


@pytest.mark.parametrize("options", [{"min_share": -0.1}, {"lung_share": 1.5}, {"misleading_share": -1}])
def test_shares_outside_0_to_1_are_refused(options):
    with pytest.raises(BadInput, match="from 0 to 1"):
        OracleReader(**options)


def test_random_cells_depend_on_seed_and_case_only():
    readings = [RandomCellsReader(seed=3, count=4).read(make_case(id=case)) for case in "abcabc"]
    assert readings[:3] == readings[3:]
    assert len({reading.cells for reading in readings}) == 3
    assert all(len(set(reading.cells)) == 4 and max(reading.cells) < 16 for reading in readings)
    assert RandomCellsReader(seed=4).read(make_case(id="a")).cells != readings[0].cells


def test_random_cells_are_at_most_all_cells():
    assert RandomCellsReader(count=99).read(make_case()).cells == tuple(range(16))
    with pytest.raises(BadInput, match="at least 1"):
        RandomCellsReader(count=0)
    with pytest.raises(BadInput, match="is -1; it must be at least 0"):
        RandomCellsReader(misleading=-1)


def test_wrong_cells_are_the_complement():
    case = make_case(lesion_mask=mask((10, 20, 15, 35)))
    assert WrongCellsReader().read(case).cells == tuple(cell for cell in range(16) if cell not in (5, 6))


def test_wrong_cells_turn_what_misleads_round_too():
    case = make_case(lesion_mask=mask((10, 20, 15, 45)), misleading_mask=mask((0, 5, 0, 5)))
    readings = [WrongCellsReader(seed=seed).read(case) for seed in range(20)]
    assert {reading.cells for reading in readings} == {(0, 1, 2, 3, 4, *range(7, 16))}
    assert {reading.misleading for reading in readings} == {(5,), (6,)}


def test_wrong_cells_skip_what_the_oracle_skips_or_takes_whole():
    assert WrongCellsReader().read(make_case()).action == "skip"
    assert WrongCellsReader().read(make_case(lesion_mask=mask((0, 40, 0, 60)))).action == "skip"


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([0], "the upper left of the image"),
        ([15], "the lower right of the image"),
        ([5, 6, 9, 10], "the centre of the image"),
        ([4, 8], "the middle left of the image"),
        ([1, 2], "the upper centre of the image"),
    ],
)
def test_places_in_words(cells, words):
    assert place(Grid.square(4, (40, 60)), cells) == words


def test_the_hottest_cell_is_found_at_the_heat_maps_own_size():
    assert hottest_cell(make_case()) == 15


ALL_OF_ROW_1 = mask((10, 20, 0, 60))  # cells 4 to 7


def test_a_sloppy_reader_errs_at_its_rates():
    reader = SloppyReader(miss=0.25, extra=0.1, seed=1)
    said = [set(reader.read(make_case(id=str(n), lesion_mask=ALL_OF_ROW_1)).cells) for n in range(800)]
    right = {4, 5, 6, 7}
    # 3200 and 9600 draws: five standard errors are 0.038 and 0.015.
    assert sum(len(right - cells) for cells in said) / 3200 == pytest.approx(0.25, abs=0.04)
    assert sum(len(cells - right) for cells in said) / 9600 == pytest.approx(0.1, abs=0.016)


def test_a_sloppy_reader_errs_in_what_misleads_at_its_rates():
    marker = mask((0, 10, 0, 30))  # cells 0 and 1
    cases = [make_case(id=str(n), lesion_mask=ALL_OF_ROW_1, misleading_mask=marker) for n in range(800)]
    plain = [SloppyReader(miss=0.25, extra=0.1, seed=1).read(case) for case in cases]
    found = [
        SloppyReader(miss=0.25, extra=0.1, overlook=0.5, false_misleading=0.1, seed=1).read(case) for case in cases
    ]
    assert [reading.cells for reading in found] == [reading.cells for reading in plain]
    right = [{0, 1} - set(reading.cells) for reading in found]
    assert [set(reading.misleading) for reading in plain] == right
    seen = [bool(cells & set(reading.misleading)) for reading, cells in zip(found, right, strict=True) if cells]
    # All or none of them, in half of the cases: five standard errors are 0.09.
    assert sum(seen) / len(seen) == pytest.approx(0.5, abs=0.09)
    assert all(right[n] & set(found[n].misleading) in (set(), right[n]) for n in range(800))
    free = [set(range(2, 16)) - set(reading.cells) for reading in found]
    wrongly = sum(len(set(found[n].misleading) & free[n]) for n in range(800))
    assert wrongly / sum(len(cells) for cells in free) == pytest.approx(0.1, abs=0.016)
    assert not any(set(reading.cells) & set(reading.misleading) for reading in found)


def test_what_a_sloppy_reader_overlooks_leaves_her_other_errors_alone():
    case = make_case(lesion_mask=ALL_OF_ROW_1, misleading_mask=mask((0, 10, 0, 30)))
    some, all_of_it = (
        set(SloppyReader(miss=0, extra=0, overlook=overlook, false_misleading=0.4, seed=2).read(case).misleading)
        for overlook in (0, 1)
    )
    assert all_of_it
    assert some == all_of_it | {0, 1}


def test_a_sloppy_reader_depends_on_seed_and_case_only():
    def cells(seed, name):
        return SloppyReader(miss=0.4, extra=0.3, seed=seed).read(make_case(id=name, lesion_mask=ALL_OF_ROW_1)).cells

    assert [cells(1, name) for name in "abcd"] == [cells(1, name) for name in "dcba"][::-1]
    assert len({cells(1, name) for name in "abcd"}) > 1
    assert [cells(2, name) for name in "abcd"] != [cells(1, name) for name in "abcd"]


def test_a_sloppy_reader_never_answers_with_an_empty_grid():
    reader = SloppyReader(miss=1, extra=0)
    lesion = mask((10, 20, 10, 35))  # 50 pixels in cell 4, 150 in 5, 50 in 6
    assert reader.read(make_case(lesion_mask=lesion)).cells == (5,)
    lungs = mask((0, 10, 0, 8), (30, 40, 46, 60))  # 80 pixels in cell 0, 140 in 15
    assert reader.read(make_case(lesion_mask=mask(), lung_mask=lungs)).cells == (15,)
    assert reader.read(make_case()).action == "skip"


def test_a_sloppy_reader_without_errors_is_the_oracle():
    case = make_case(lesion_mask=ALL_OF_ROW_1)
    assert SloppyReader(miss=0, extra=0).read(case).cells == (4, 5, 6, 7)
    assert SloppyReader(miss=1, extra=1).read(case).cells == (0, 1, 2, 3, *range(8, 16))
    rates = {"miss": 0, "extra": 0}
    for options in ({"miss": 1.1}, {"extra": -1}, {"overlook": 2}, {"false_misleading": -0.5}):
        with pytest.raises(BadInput, match="from 0 to 1"):
            SloppyReader(**(rates | options))


def test_the_simulated_residents_differ_in_skill():
    residents = simulated_residents()
    assert [reader.name for reader in residents] == ["reader 1", "reader 2", "reader 3"]
    cases = [make_case(id=str(n), lesion_mask=ALL_OF_ROW_1) for n in range(100)]
    errors = [sum(len({4, 5, 6, 7} ^ set(reader.read(case).cells)) for case in cases) for reader in residents]
    assert errors[0] < errors[1] < errors[2]
    again = [reader.read(cases[0]) for reader in simulated_residents()]
    assert again == [reader.read(cases[0]) for reader in residents]


# -- controls ----------------------------------------------------------------------------------------------------------

CHOSEN = CaseFeedback("a", "grid", 4, (5, 6, 9), (0,))


def test_shuffled_cells_are_as_many_from_seed_and_case():
    found = shuffled_cells(CHOSEN, 7)
    assert (found.case_id, found.action, found.grid_size) == ("a", "grid", 4)
    assert len(set(found.cells)) == 3
    reading = RandomCellsReader(7, 3, misleading=1).read(make_case(id="a"))
    assert (found.cells, found.misleading) == (reading.cells, reading.misleading)
    assert len(set(found.misleading) - set(found.cells)) == 1
    without = shuffled_cells(replace(CHOSEN, misleading=()), 7)
    assert (without.cells, without.misleading) == (found.cells, ())
    assert len({shuffled_cells(CHOSEN, seed).cells for seed in range(20)}) > 10
    assert shuffled_cells(replace(CHOSEN, cells=tuple(range(16))), 7).cells == tuple(range(16))


def test_opposite_cells_are_those_that_were_not_chosen():
    others = (0, 1, 2, 3, 4, 7, 8, 10, 11, 12, 13, 14, 15)
    assert opposite_cells(replace(CHOSEN, misleading=())) == CaseFeedback("a", "grid", 4, others)
    assert opposite_cells(replace(CHOSEN, cells=tuple(range(16)), misleading=())) is None


def test_the_opposite_of_misleading_is_a_cell_that_mattered():
    found = [opposite_cells(CHOSEN, seed) for seed in range(30)]
    # What misled is said to matter, and each of the chosen cells is at times said to mislead.
    assert all(feedback is not None and 0 in feedback.cells for feedback in found)
    assert {feedback.misleading for feedback in found if feedback} == {(5,), (6,), (9,)}
    many = opposite_cells(CaseFeedback("a", "grid", 4, (5,), (0, 1, 2)))
    assert many is not None
    assert many.misleading == (5,)


def test_controls_never_mark_a_cell_twice():
    full = CaseFeedback("a", "grid", 2, (0, 1), (2, 3))
    shuffled, opposite = shuffled_cells(full, 3), opposite_cells(full, 3)
    assert sorted(shuffled.cells + shuffled.misleading) == [0, 1, 2, 3]
    assert opposite is not None
    assert (opposite.cells, opposite.misleading) == ((2, 3), (0, 1))
    crowded = RandomCellsReader(count=14, misleading=5).read(make_case())
    assert sorted(crowded.cells + crowded.misleading) == list(range(16))


@pytest.mark.parametrize("other", [CaseFeedback("a", "exclude"), CaseFeedback("a", "relabel", 4, (1,), (), "tb")])
def test_feedback_without_a_grid_stays_as_it_is(other):
    assert shuffled_cells(other, 1) is other
    assert opposite_cells(other) is other


# -- the console -------------------------------------------------------------------------------------------------------


def read(typed: str, **options) -> tuple[Reading, str]:
    output = io.StringIO()
    reader = ConsoleReader("ada", stdin=io.StringIO(typed), stdout=output, **options)
    return reader.read(make_case()), output.getvalue()


def test_it_says_what_the_reader_needs_to_know():
    reading, output = read("5 6\n\n")
    assert "Case 1: site/a b.png" in output
    assert "The model says tb (93% sure). The true label is normal." in output
    assert "15: 100%" in output
    assert reading == Reading("grid", (5, 6))


def test_cells_and_rationale():
    reading, output = read("6, 5 -15\nThe model was focused on a rib so I switched the focus towards the apex\n")
    assert reading.cells == (5, 6)
    assert reading.misleading == (15,)
    assert reading.rationale == "The model was focused on a rib so I switched the focus towards the apex"
    assert "so I switched the focus towards" in output


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("s\n", Reading("skip")),
        ("SKIP\n", Reading("skip")),
        ("x\nunreadable\n", Reading("exclude", rationale="unreadable")),
        ("r tb\n\n", Reading("relabel", new_label="tb")),
        ("relabel TB\n\n", Reading("relabel", new_label="tb")),
        (" 0\n\n", Reading("grid", (0,))),
        ("5 5 5\n\n", Reading("grid", (5,))),
    ],
)
def test_commands(typed, expected):
    assert read(typed)[0] == expected


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("\n", "Nothing was typed"),
        ("16\n", "Cell 16 doesn't exist"),
        ("5-7\n", "'5-7' isn't a cell number; type numbers from 0 to 15"),
        ("five\n", "'five' isn't a cell number"),
        ("5 -5\n", "both as relevant and as misleading"),
        ("-5\n", "Only misleading cells"),
        ("r flu\n", "'flu' isn't a class; the classes are normal, tb"),
        ("r\n", "'' isn't a class"),
        ("r normal\n", "'normal' already"),
        ("\u0665\n", "isn't a cell number"),
        ("9999999999\n", "isn't a cell number"),
    ],
)
def test_what_cannot_be_used_is_explained_and_asked_again(typed, message):
    reading, output = read(typed + "5\n\n")
    assert message in output
    assert "Please try again." in output
    assert reading == Reading("grid", (5,))


def test_help():
    assert parse("?", make_case()) is None
    assert "these cells matter" in read("?\ns\n")[1]


def test_a_rationale_that_is_too_long_is_asked_again():
    reading, output = read("5\n" + "x" * 2001 + "\nshort\n")
    assert "2001 characters; at most 2000" in output
    assert reading.rationale == "short"


@pytest.mark.parametrize("typed", ["", "5\n", "q\n", "5\nQuit\n"])
def test_leaving_is_clear(typed):
    with pytest.raises(ReaderLeft, match=r"'site/a b\.png'.*before it stand"):
        read(typed)


def test_a_reader_needs_a_name():
    with pytest.raises(BadInput, match="no name"):
        ConsoleReader("  ")


def test_names_from_files_cannot_command_the_terminal():
    output = io.StringIO()
    ConsoleReader("ada", stdin=io.StringIO("s\n"), stdout=output).read(make_case(id="a\x1b[2Jb", label="no\x07rmal"))
    assert "a?[2Jb" in output.getvalue()
    assert "\x1b" not in output.getvalue()
    assert "\x07" not in output.getvalue()


def test_pictures_are_written_under_harmless_names(tmp_path):
    output = io.StringIO()
    reader = ConsoleReader("ada", pictures=tmp_path / "pictures", stdin=io.StringIO("s\ns\n"), stdout=output)
    reader.read(make_case())
    reader.read(make_case(id="../../etc/passwd"))
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert names == ["001-site_a_b.png.png", "002-.._.._etc_passwd.png"]
    assert f"Picture: {tmp_path / 'pictures' / names[0]}" in output.getvalue()
    with Image.open(tmp_path / "pictures" / names[0]) as picture:
        assert picture.size == (2 * 768 + 8, 512)


def test_a_picture_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "pictures").write_text("a file")
    reader = ConsoleReader("ada", pictures=tmp_path / "pictures", stdin=io.StringIO("s\n"), stdout=io.StringIO())
    with pytest.raises(ImilError, match="can't be written"):
        reader.read(make_case())


def test_the_picture_shows_the_image_then_heat_and_grid():
    picture = np.asarray(side_by_side(make_case(image=np.full((40, 60), 0.5, np.float32)), min_side=40))
    assert picture.shape == (40, 128, 3)
    assert (picture[:, :60] == 128).all()
    right = picture[:, 68:].astype(int)
    assert (right[10] == 255).all()  # a grid line
    cold, hot = right[3, 3], right[38, 58]
    assert cold[2] > cold[0]  # blue
    assert hot[0] > hot[2]  # red


def test_the_terminal_picture_fits_and_has_the_cell_numbers():
    lines = terminal_lines(make_case(), columns=80)
    plain = ["".join(part.split("m", 1)[-1] for part in line.split("\x1b[")) for line in lines]
    assert all(len(line) == 2 * 39 + 2 for line in plain)
    assert sum("15" in line for line in plain) == 1
    assert terminal_lines(make_case(grid=Grid.square(40, (40, 60))), columns=20)


def test_the_terminal_picture_is_drawn_when_asked():
    assert "\N{UPPER HALF BLOCK}" in read("s\n", terminal=True)[1]
    assert "\N{UPPER HALF BLOCK}" not in read("s\n")[1]


def test_the_heat_table_by_hand():
    table = heat_table(make_case(heatmap=np.array([[0, 1], [0.25, 0.5]], np.float32), grid=Grid.square(2, (2, 2))))
    assert table == ["0:   0%   1: 100%", "2:  25%   3:  50%"]
