"""What was learnt as it arrives, and as the module expects it to be once the server has what a reader said."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from IMILLib.corrections import PendingCorrection
from IMILLib.errors import ServerError
from IMILLib.grid import CellGrid
from IMILLib.guidance import learns, needs_each_class, what_to_mark
from IMILLib.insightrecords import Correction, Find, Insight
from IMILLib.insightwords import cells_in_order, find_state
from IMILLib.openfind import rim
from IMILLib.outbox import Outbox

from imil.grid import Grid
from imil.rounds import Rounds
from imil.settings import EDITS, FEEDBACK, mode_names
from imil.store import InsightCorrection
from imil.study import Study
from imil.training.requirements import CLASSWISE
from tests.learnt import SWAPPED, await_approval
from tests.reviewable import grey_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    made = grey_study(tmp_path_factory.mktemp("learnt") / "study", per_class=6)
    yield made
    made.store.close()


@pytest.fixture
def told(study: Study) -> dict[str, Any]:
    """What the server would tell of a run that awaits approval."""
    await_approval(study, [case.id for case in study.cases if case.split == "train"][:4])
    return Rounds(study).insight()


def correction(told: dict[str, Any], action: str, image: str = "", cells: tuple[int, ...] = ()) -> Correction:
    return Correction(told["run"], told["round"], "Ada", action, image, cells, str(uuid.uuid4()))


def test_all_that_the_server_tells_is_read(told: dict[str, Any]) -> None:
    insight = Insight.parse(told)
    assert (insight.run, insight.round, insight.number) == (told["run"], 1, told["insight"])
    assert (insight.open, insight.looks, insight.grid_size) == (True, True, 4)
    assert (insight.swapped, insight.vetoed) == (SWAPPED, ())
    assert (insight.sentences, insight.notes) == (tuple(told["sentences"]), ("Made for a test.",))
    assert insight.cells[5].chosen == insight.cells[0].misled == 1.0
    assert sum(cell.heat for cell in insight.cells) == pytest.approx(1)
    first = told["images"][0]
    assert insight.finds[0] == Find(first["id"], "tb", first["queued"], first["score"], 1.25, (0,))
    cells = [facts.cell for facts in cells_in_order(insight)]
    assert set(cells[:4]) == set(SWAPPED)
    heats = [insight.cells[cell].heat for cell in cells[4:]]
    assert heats == sorted(heats, reverse=True)


def test_what_is_expected_is_what_the_server_then_says(study: Study, told: dict[str, Any]) -> None:
    """Step by step: vetoes, corrections and restorations of finds, of images without one, and of cells."""
    finds = [image["id"] for image in told["images"]]
    unfound = next(case for case in study.cases if case.split == "train" and case.id not in finds)
    rows = [Find(unfound.id, unfound.label, study.store.queue(told["run"], 1)[0].case_id == unfound.id)]
    steps = [
        ("veto", finds[0], ()),
        ("correct", finds[1], (5, 6)),
        ("veto", finds[1], ()),
        ("veto", "", (0, 15)),
        ("restore", "", (15,)),
        ("correct", unfound.id, (9,)),
        ("restore", finds[0], ()),
        ("veto", unfound.id, ()),
    ]
    expected = Insight.parse(told)
    for action, image, cells in steps:
        said = correction(told, action, image, cells)
        expected = expected.with_corrections([said], rows)
        sent = InsightCorrection(action, image, cells, run=said.run, round=1, reader="Ada", key=said.key)
        stands = Insight.parse(Rounds(study).correct(sent))
        assert (expected.swapped, expected.vetoed, expected.said) == (stands.swapped, stands.vetoed, stands.said)
        for find in stands.finds:
            ours = expected.find(find.id)
            assert ours is not None
            assert (ours.vetoed, ours.corrected) == (find.vetoed, find.corrected)
            assert ours.cells == find.cells or not find.corrected
        assert {find.id for find in expected.finds} == {find.id for find in stands.finds}
    assert find_state(stands, stands.finds[0], "Ada") == "found"
    assert find_state(stands, stands.find(finds[1]), "Ben") == "vetoed (Ada)"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("grid_size", 0),
        ("grid_size", 5),
        ("cells", []),
        ("grid_cells_swapped", [16]),
        ("open", "yes"),
        ("images", None),
    ],
)
def test_nonsense_is_named(told: dict[str, Any], field: str, value: object) -> None:
    with pytest.raises(ServerError) as caught:
        Insight.parse({**told, field: value})
    assert caught.value.kind == "nonsense"


def test_a_correction_is_kept_on_disk_as_it_was(tmp_path: Path, told: dict[str, Any]) -> None:
    box: Outbox[PendingCorrection] = Outbox(tmp_path, PendingCorrection)
    kept = [
        PendingCorrection(correction(told, "correct", "tb/ä #1.png", (3, 7)), "http://h", f"2026-11-21T12:00:0{n}Z")
        for n in (1, 0)
    ]
    for entry in kept:
        box.put(entry)
    assert box.entries("http://h", "Ada") == kept[::-1]
    assert box.entries("http://h", "Ben") == []
    box.remove(kept[0].key)
    assert box.entries() == kept[1:]
    (path,) = tmp_path.glob("*.json")
    path.write_text(path.read_text().replace('"correct"', '"paint"'))
    assert box.entries() == []
    assert len(box.set_aside()) == 1


@pytest.mark.parametrize(("size", "shape"), [(4, (48, 64)), (7, (64, 51)), (64, (64, 100))])
def test_cells_of_any_image_are_the_servers(size: int, shape: tuple[int, int]) -> None:
    server, ours = Grid.square(size, shape), CellGrid.square(size, shape)
    assert (ours.row_edges, ours.col_edges) == (tuple(server.row_edges), tuple(server.col_edges))


def test_the_rim_is_what_is_near_the_border() -> None:
    mask = np.zeros((300, 400), bool)
    mask[0:30, 50:90] = True
    inside = np.zeros_like(mask)
    inside[3:27, 53:87] = True
    np.testing.assert_array_equal(rim(mask), mask & ~inside)


def test_guidance_fits_the_servers_rules() -> None:
    assert {mode for mode in FEEDBACK if needs_each_class(mode)} == {
        mode for mode in FEEDBACK if not CLASSWISE.isdisjoint(mode_names(mode))
    }
    assert [mode for mode in FEEDBACK if learns(mode)] == ["propagate", "counterfactual", "counterfactual+propagate"]
    assert what_to_mark("blackout") == ""
    assert all(what_to_mark(mode) for mode in FEEDBACK if learns(mode) or mode in EDITS & CLASSWISE)
    assert "even if disease lies in the same cell" in what_to_mark("rrr+counterfactual")
    assert "disease" not in what_to_mark("propagate").split("Answer")[0]
