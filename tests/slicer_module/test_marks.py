import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from IMILLib.grid import MATTERS, MISLED
from IMILLib.marks import Marks

CELLS = st.integers(0, 5)
BRUSHES = st.sampled_from([MATTERS, MISLED])


class MarksWithHistory(RuleBasedStateMachine):
    """Marks against the plainest model: the list of all states there were, and where we are in it."""

    def __init__(self):
        super().__init__()
        self.marks = Marks(6)
        self.states = [[0] * 6]
        self.at = 0
        self.now = [0] * 6
        self.stroke = False
        self.notices = 0
        self.expected_notices = 0
        self.marks.observe(self._noticed)

    def _noticed(self):
        self.notices += 1

    def _becomes(self, values):
        if values == self.now:
            return
        self.now = values
        self.expected_notices += 1
        if not self.stroke:
            self._step()

    def _step(self):
        if self.now != self.states[self.at]:
            self.states[self.at + 1 :] = [self.now]
            self.at += 1

    @rule(cell=CELLS, mark=st.integers(0, 2))
    def set_mark(self, cell, mark):
        self.marks.set_mark(cell, mark)
        self._becomes([mark if c == cell else value for c, value in enumerate(self.now)])

    @rule(cell=CELLS, mark=BRUSHES)
    def toggle(self, cell, mark):
        self.marks.toggle(cell, mark)
        self._becomes([(0 if v == mark else mark) if c == cell else v for c, v in enumerate(self.now)])

    @rule(mark=BRUSHES)
    def mark_all(self, mark):
        self.marks.mark_all(mark)
        self._becomes([mark] * 6)

    @rule()
    def clear(self):
        self.marks.clear()
        self._becomes([0] * 6)

    @rule(mark=BRUSHES)
    def invert(self, mark):
        self.marks.invert(mark)
        self._becomes([{0: mark, mark: 0}.get(value, value) for value in self.now])

    @rule()
    def begin_stroke(self):
        self.marks.begin_stroke()
        self._step()
        self.stroke = True

    @precondition(lambda self: self.stroke)
    @rule()
    def end_stroke(self):
        self.marks.end_stroke()
        self._step()
        self.stroke = False

    @rule()
    def undo(self):
        self.marks.undo()
        self._move(-1)

    @rule()
    def redo(self):
        self.marks.redo()
        self._move(1)

    def _move(self, by):
        self._step()
        self.stroke = False
        if 0 <= self.at + by < len(self.states):
            self.at += by
            self.now = self.states[self.at]
            self.expected_notices += 1

    @rule(cells=st.sets(CELLS), misleading=st.sets(CELLS))
    def replace(self, cells, misleading):
        misleading = misleading - cells
        self.marks.replace(cells, misleading)
        self.now = [MATTERS if c in cells else MISLED if c in misleading else 0 for c in range(6)]
        self.states, self.at, self.stroke = [self.now], 0, False
        self.expected_notices += 1

    @invariant()
    def agrees(self):
        changed = self.now != self.states[self.at]
        assert self.marks.values == tuple(self.now)
        assert self.marks.cells == tuple(c for c, v in enumerate(self.now) if v == MATTERS)
        assert self.marks.misleading == tuple(c for c, v in enumerate(self.now) if v == MISLED)
        assert self.marks.can_undo == (self.at > 0 or changed)
        assert self.marks.can_redo == (self.at + 1 < len(self.states) and not changed)
        assert self.notices == self.expected_notices


MarksWithHistory.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestMarksWithHistory = MarksWithHistory.TestCase


def test_an_observer_can_leave():
    marks, seen = Marks(3), []
    leave = marks.observe(lambda: seen.append(marks.values))
    marks.toggle(1, MISLED)
    leave()
    leave()
    marks.clear()
    assert seen == [(0, MISLED, 0)]


def test_what_does_not_exist_is_refused_and_changes_nothing():
    marks = Marks(3)
    for change in (
        lambda: marks.set_mark(3, 1),
        lambda: marks.toggle(-1, 1),
        lambda: marks.replace([0, 7], []),
    ):
        with pytest.raises(ValueError, match="doesn't exist: there are the cells 0 to 2"):
            change()
    with pytest.raises(ValueError, match="3 isn't a mark"):
        marks.set_mark(0, 3)
    assert marks.values == (0, 0, 0)
    assert not marks.can_undo
