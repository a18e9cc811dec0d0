"""The rules of a study's rounds: what is asked of an answer or a correction, and what follows from it.

Which requests to train are allowed when is in `imil.plans`.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from imil import findings
from imil.answers import check_cells, check_form, check_key, check_reader
from imil.casefeedback import CaseFeedback
from imil.combination import Combination
from imil.errors import BadInput, Conflict
from imil.grid import Grid
from imil.plans import Plan, Plans, StartRequest
from imil.roundfeedback import combinations_of, feedback_of
from imil.runstatus import Status, shown_run, status_of
from imil.settings import RunSettings
from imil.store import (
    Action,
    Answer,
    InsightCorrection,
    InsightRecord,
    QueueEntry,
    Receipt,
    Reservation,
    Run,
    RunState,
    Store,
)
from imil.store.insights import refuse_unless_awaiting
from imil.study import Study
from imil.trainlock import is_held

__all__ = ["CaseFeedback", "Plan", "Rounds", "StartRequest", "Status"]


MAX_AHEAD = 20
"""Most cases that a reader may reserve beyond the one she is at."""


class Rounds:
    """The rules over one study. Holds no state of its own: several may be used at once, in several processes."""

    def __init__(self, study: Study) -> None:
        self._study = study

    @property
    def _store(self) -> Store:
        return self._study.store

    # -- training ----------------------------------------------------------------------------------------------------

    def plan(self, request: StartRequest) -> Plan:
        """What the request leads to now, see `imil.plans.Plans.plan`. Nothing is written."""
        return Plans(self._study).plan(request)

    def begin(self, plan: Plan, *, learns: bool = False) -> Run:
        """Make the move of a plan, in one transaction, see `imil.plans.Plans.begin`. Hold the train lock."""
        return Plans(self._study).begin(plan, learns=learns)

    def feedback(
        self, run_id: int, up_to_round: int | None = None, *, with_open: bool = False
    ) -> dict[str, CaseFeedback]:
        """What training is to change, by case id, see `imil.roundfeedback.feedback_of`."""
        return feedback_of(self._store, run_id, up_to_round, with_open=with_open)

    def combinations(
        self, run_id: int, up_to_round: int | None = None, *, with_open: bool = False
    ) -> dict[int, Combination]:
        """By its number, what the answers of each closed round come to, see `imil.roundfeedback.combinations_of`."""
        return combinations_of(self._store, run_id, up_to_round, with_open=with_open)

    # -- what a round taught -----------------------------------------------------------------------------------------

    def insight(self, run_id: int | None = None, round: int | None = None) -> dict[str, Any]:  # noqa: A002
        """What a run's round has taught, as `imil.findings.described` has it; empty if there is nothing.

        Args:
            run_id: the run; None for the newest one.
            round: its round; None for the newest that taught something.

        Raises:
            NotFound: if there is no such run.
        """
        run = self._store.latest_run() if run_id is None else self._store.run(run_id)
        record = None if run is None else self._store.insight(run.id, round)
        return {} if run is None or record is None else self._described(run, record)

    def correct(self, sent: InsightCorrection) -> dict[str, Any]:
        """Record a reader's veto or correction of what the round taught; the insight as it then stands.

        The same key again writes nothing.

        Raises:
            BadInput: if the correction can't be, see `imil.findings.checked`.
            NotFound: if the run or image doesn't exist.
            Conflict: if the run doesn't await approval of this round, or see `imil.store.Store.correct`.
        """
        sent = replace(sent, reader=check_reader(sent.reader), key=check_key(sent.key))
        if self._store.known_correction(sent) is None:
            if sent.case_id:
                self._study.case(sent.case_id)
            run = self._newest(sent.run)
            refuse_unless_awaiting(run, sent.round)
            record = self._store.insight(run.id, sent.round)
            if record is None:
                raise Conflict(f"Round {sent.round} of run {run.id} has taught nothing yet that could be corrected.")
            earlier = self._store.corrections(record.id)
            checked = findings.checked(sent, record.summary, earlier, self._trained(record))
            self._store.correct(replace(sent, cells=checked.cells), record.id)
        return self.insight()

    def _described(self, run: Run, record: InsightRecord) -> dict[str, Any]:
        is_open = run.state is RunState.AWAITING_APPROVAL and record.round == run.round
        corrections = self._store.corrections(record.id)
        return findings.described(record, corrections, lambda case_id: self._trained(record)[case_id], is_open=is_open)

    def _trained(self, record: InsightRecord) -> dict[str, str]:
        """By id, the class that each image was trained as from then on; without those that readers excluded."""
        labels = {case.id: case.label for case in self._study.cases if case.split == "train"}
        for case_id, said in self.feedback(record.run, record.round, with_open=True).items():
            if said.action == "relabel":
                labels[case_id] = said.new_label
            elif said.action == "exclude":
                labels.pop(case_id, None)
        return labels

    # -- review ------------------------------------------------------------------------------------------------------

    def next_case(self, reader: str, run: int | None = None) -> QueueEntry | None:
        """The next case for a reader, reserved for the run's ``lease_seconds``; None when there is none for now.

        Args:
            reader: the reader's name.
            run: the run the reader believes to be under review; None for the newest.

        Raises:
            BadInput: if the name can't be.
            NotFound, Conflict: if ``run`` doesn't exist, or isn't the newest.
        """
        reader = check_reader(reader)
        newest = self._store.latest_run() if run is None else self._newest(run)
        if newest is None or newest.state is not RunState.AWAITING_REVIEW:
            return None
        return self._store.lease_next(newest.id, newest.round, reader, _lease_seconds(newest))

    def reserve(self, reader: str, image: str = "", ahead: int = 0) -> Reservation | None:
        """A case for a reader and the ones after it, all reserved anew for the run's ``lease_seconds``.

        Args:
            reader: the reader's name.
            image: the case to open; empty for the next one, as `next_case` gives it.
            ahead: how many cases to reserve beyond it, 0 to `MAX_AHEAD`; see `imil.store.Store.reserve`.

        Returns:
            None if there is no case for this reader for now; never None for a named image.

        Raises:
            BadInput: if the name or ``ahead`` can't be.
            NotFound: if the image doesn't exist, or isn't in the open round's queue.
            Conflict: if the image is named but no round is open, or other readers hold or have answered it.
        """
        reader = check_reader(reader)
        if isinstance(ahead, bool) or not isinstance(ahead, int) or not 0 <= ahead <= MAX_AHEAD:
            raise BadInput(f"The field ahead is {ahead!r}; it must be a whole number from 0 to {MAX_AHEAD}.")
        if image:
            self._study.case(image)
        run = self._store.latest_run()
        if run is not None and run.state is RunState.AWAITING_REVIEW:
            seconds = _lease_seconds(run)
            return self._store.reserve(run.id, run.round, reader, seconds, case_id=image, ahead=ahead)
        if image:
            state = "there is no run yet" if run is None else f"run {run.id} is {run.state}"
            raise Conflict(f"The image {image!r} can't be opened for review now: no round is open, {state}.")
        return None

    def release(self, reader: str) -> int:
        """Give back all cases of the open round that are reserved for a reader; how many there were.

        Raises:
            BadInput: if the name can't be.
        """
        reader = check_reader(reader)
        run = self._store.latest_run()
        return 0 if run is None else self._store.release(run.id, run.round, reader)

    def submit(self, answer: Answer, mask: npt.NDArray[np.uint8] | None = None, grid: Grid | None = None) -> Receipt:
        """Check an answer and record it.

        Args:
            answer: its cells may be empty where the mask shows them.
            mask: uint8 (rows, cols) of the image: 1 matters, 2 misled the model; None if the caller has only cells.
            grid: the run's grid over this image; None: over the mask, or where there is none any image.

        Returns:
            the receipt; the first one again for a known key.

        Raises:
            BadInput: if the answer can't be, whatever the state (see `imil.answers`).
            NotFound: if the run or image doesn't exist, or the image isn't in the round's queue.
            Conflict: if run or round aren't under review, or see `imil.store.Store.append`.
        """
        answer = check_form(answer)
        known = self._repeated(answer, mask)
        if known is not None:
            return known
        self._study.case(answer.case_id)
        run = self._newest(answer.run)
        if answer.round != run.round or run.state is not RunState.AWAITING_REVIEW:
            raise Conflict(
                f"The answer is for round {answer.round} of run {run.id}, which takes no answers now: the run is at "
                f"round {run.round}, {run.state}."
            )
        answer = check_cells(answer, mask, _grid(int(run.settings["grid_size"]), mask, grid))
        if answer.action is Action.RELABEL:
            self._check_label(answer, run)
        return self._store.append(answer, image_sha256=self._study.sha256(answer.case_id))

    def _repeated(self, answer: Answer, mask: npt.NDArray[np.uint8] | None) -> Receipt | None:
        """The first receipt, if the key is known. Comes before all questions of state, which may have moved on."""
        if not answer.cells and not answer.misleading and mask is not None and mask.any():
            run = self._store.run(answer.run)
            answer = check_cells(answer, mask, _grid(int(run.settings["grid_size"]), mask, None))
        return self._store.receipt(answer)

    def _check_label(self, answer: Answer, run: Run) -> None:
        entry = self._store.queue_entry(run.id, answer.round, answer.case_id)
        if answer.new_label not in run.classes or answer.new_label == entry.label:
            others = ", ".join(repr(name) for name in run.classes if name != entry.label)
            raise BadInput(
                f"The new label of {answer.case_id!r} can't be {answer.new_label!r}: it has the label {entry.label!r}; "
                f"allowed is {others}."
            )

    def _newest(self, run_id: int) -> Run:
        """The run, if it's the newest one of its kind that has rounds."""
        newest = self._store.latest_run()
        if newest is None or run_id != newest.id:
            self._store.run(run_id)  # raises NotFound
            raise Conflict(
                f"Run {run_id} takes no answers: only the newest run does, {newest.id if newest else 'none'}."
            )
        return newest

    # -- status ------------------------------------------------------------------------------------------------------

    def status(self, run_id: int | None = None) -> Status:
        """Where a run stands, see `imil.runstatus`. Raises NotFound if there is no such run."""
        return status_of(self._study.state_dir, self._study.classes, self._store, run_id)

    def shown_run(self) -> Run | None:
        """The run that `status` is about, or None before the first."""
        return shown_run(self._store, is_held(self._study.state_dir))


def _lease_seconds(run: Run) -> float:
    return float(run.settings.get("lease_seconds", RunSettings.model_fields["lease_seconds"].default))


def _grid(size: int, mask: npt.NDArray[np.uint8] | None, grid: Grid | None) -> Grid:
    if grid is None:
        height, width = mask.shape if mask is not None else (size, size)
        return Grid(size, size, height, width)
    if (grid.rows, grid.cols) != (size, size):
        raise BadInput(f"The grid is {grid.rows} x {grid.cols} cells, but the run's grid is {size} x {size}.")
    return grid
