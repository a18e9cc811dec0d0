"""What a round taught, on its way from the engine to the study's files and store, and back with readers' corrections.

All of it is in ``round-<n>-insight.pt`` in the run's folder; the store has a summary of it, from which clients are
answered (`imil.findings`), and the corrections.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from imil.casefeedback import CaseFeedback
from imil.errors import BadInput
from imil.files import sha256_of
from imil.grid import Grid
from imil.store import InsightRecord, Run, Store
from imil.study import Study
from imil.training import checkpoints
from imil.training.insight import Insight


def insight_path(study: Study, run_id: int, number: int) -> Path:
    """The file with what the answers to a run's round ``number`` taught."""
    return study.run_dir(run_id) / f"round-{number}-insight.pt"


def keep(
    study: Study, run: Run, insight: Insight, feedback: Mapping[str, CaseFeedback], *, wait: bool
) -> InsightRecord:
    """Write what a run's open round taught to its file, then to the store, with the run's move.

    Args:
        study: the study.
        run: in state training; its last round is still open.
        insight: what was learnt.
        feedback: what it was learnt from.
        wait: the run waits for approval; otherwise the round is closed.
    """
    return study.store.save_insight(
        run.id,
        run.round,
        feedback=insight.feedback,
        file_sha256=write(study, run, run.round, insight),
        summary=summarised(study, run, insight, feedback),
        seconds=insight.seconds,
        wait=wait,
    )


def write(study: Study, run: Run, number: int, insight: Insight) -> str:
    """Write the file, all or nothing; its SHA-256."""
    path = insight_path(study, run.id, number)
    checkpoints.save(path, insight.state_dict())
    return sha256_of(path)


def read(study: Study, record: InsightRecord) -> Insight:
    """What was learnt, before any correction.

    Raises:
        NotFound: if the file is gone.
        BadInput: if it's damaged, or another one than was written.
    """
    path = insight_path(study, record.run, record.round)
    insight = Insight.from_state(checkpoints.load(path))
    if sha256_of(path) != record.file_sha256:
        raise BadInput(f"The file {path} isn't the one that was written; delete it to have it found out again.")
    return insight


def corrected(study: Study, record: InsightRecord, insight: Insight) -> Insight:
    """The insight as training uses it: with all corrections that readers made."""
    return insight.corrected(study.store.corrections(record.id))


def summarised(study: Study, run: Run, insight: Insight, feedback: Mapping[str, CaseFeedback]) -> dict[str, Any]:
    """What the store keeps, in JSON values: all that clients are told, see `imil.findings`."""
    heat, heat_in = heat_shares(study.store, run.id, run.round, insight.grid_size, feedback)
    relabelled = {case: said.new_label for case, said in feedback.items() if said.action == "relabel"}
    excluded = {case for case, said in feedback.items() if said.action == "exclude"}
    labels = {case: relabelled.get(case, study.case(case).label) for case in insight.case_ids if case not in excluded}
    queued = study.store.queued_case_ids(run.id)
    return {
        "grid_size": insight.grid_size,
        "cells_swapped": list(insight.cells),
        "cells": [
            {
                "cell": cell,
                "chosen": float(insight.chosen[cell]),
                "misled": float(insight.misled[cell]),
                "heat": None if heat is None else float(heat[cell]),
                "influence": float(insight.influence[cell]) if len(insight.influence) else None,
            }
            for cell in range(insight.grid_size**2)
        ],
        "looks": insight.looks,
        "classes": [{"name": name, "images": list(labels.values()).count(name)} for name in run.classes],
        "images": _images(insight, labels, queued),
        "queued": sorted(queued),
        "heat_in": heat_in,
        "notes": list(insight.notes),
    }


def _images(insight: Insight, labels: Mapping[str, str], queued: set[str]) -> list[dict[str, Any]]:
    """The images with finds, the surest first."""
    found = [index for index in np.flatnonzero(insight.found).tolist() if insight.case_ids[index] in labels]
    if len(insight.scores):
        found.sort(key=lambda index: (-float(insight.scores[index]), insight.case_ids[index]))
    return [
        {
            "id": insight.case_ids[index],
            "label": labels[insight.case_ids[index]],
            "queued": insight.case_ids[index] in queued,
            "score": float(insight.scores[index]) if len(insight.scores) else None,
            "influence": float(insight.find_influence[index]) if len(insight.find_influence) else None,
            "cells": touched(insight.finds[index], insight.grid_size),
        }
        for index in found
    ]


def touched(find: npt.NDArray[np.uint8], size: int) -> list[int]:
    """The cells of a grid of ``size`` x ``size`` that a find (F, F) touches."""
    grid = Grid.square(size, (find.shape[0], find.shape[1]))
    return [cell for cell in range(grid.num_cells) if find[grid.cell_slices(cell)].any()]


def heat_shares(
    store: Store, run_id: int, number: int, size: int, feedback: Mapping[str, CaseFeedback]
) -> tuple[npt.NDArray[np.float64] | None, dict[str, Any]]:
    """Where the heat maps of a round's queued images pointed, and whether that's where its readers chose.

    Returns:
        float64 (size * size,), the mean over the queued images of the share of the heat map that lies in each cell,
        None if all maps are empty; and for the cells called ``relevant`` and ``misleading`` in how many ``images``
        there are any, and the mean ``share`` of these images' heat that lies in them, None where no image has any.
    """
    shares = dict(_shares(store, run_id, number, size))
    answered = [feedback[case] for case in shares if case in feedback and feedback[case].action == "grid"]
    heat_in: dict[str, Any] = {}
    for name in ("relevant", "misleading"):
        named = {said.case_id: said.cells if name == "relevant" else said.misleading for said in answered}
        inside = [float(shares[case][list(cells)].sum()) for case, cells in named.items() if cells]
        heat_in[name] = {"share": float(np.mean(inside)) if inside else None, "images": len(inside)}
    return (np.mean(list(shares.values()), axis=0) if shares else None), heat_in


def _shares(store: Store, run_id: int, number: int, size: int) -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
    """By case, the share of its heat map in each cell, float64 (size * size,); without maps that are zero."""
    for entry in store.queue(run_id, number):
        heatmap = store.heatmap(run_id, number, entry.case_id).astype(np.float64)
        grid = Grid.square(size, (heatmap.shape[0], heatmap.shape[1]))
        rows = np.add.reduceat(heatmap, grid.row_edges[:-1], axis=0)
        cells = np.add.reduceat(rows, grid.col_edges[:-1], axis=1)
        if cells.sum() > 0:
            yield entry.case_id, (cells / cells.sum()).ravel()
