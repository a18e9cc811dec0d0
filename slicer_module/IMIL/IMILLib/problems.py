"""What a reader has to be told, and perhaps to decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

DISK, STALE, ANSWERED, TAKEN, TRAINING = "disk", "stale", "answered", "taken", "training"
"""Kinds besides those of `errors.ServerError`: something can't be kept on disk; the round is over; she has answered
already; somebody else has the case; training ended with an error."""
RETRY, REPLACE, DISCARD = "retry", "replace", "discard"
"""What can be done about an answer that the server refused."""
CHOICES = {STALE: (DISCARD,), ANSWERED: (REPLACE, DISCARD)}
"""What can be done by the kind of refusal; `RETRY` and `DISCARD` for all others."""


@dataclass(frozen=True)
class Problem:
    """Something the reader should know.

    Attributes:
        kind: one of the above, or a kind of `errors.ServerError`.
        sentence: for her.
        key: of the answer it's about, if it's about one.
        choices: of `RETRY`, `REPLACE`, `DISCARD`; what `review.Review.resolve` takes.
    """

    kind: str
    sentence: str
    key: str = ""
    choices: tuple[str, ...] = ()

    @classmethod
    def refused(cls, kind: str, sentence: str, key: str) -> Problem:
        """An answer that the server refused, with what can be done about it."""
        return cls(kind, sentence, key, CHOICES.get(kind, (RETRY, DISCARD)))

    @classmethod
    def of(cls, error: Exception) -> Problem:
        """A failed request or file as a problem."""
        return cls(getattr(error, "kind", "nonsense"), str(error))


class Problems:
    """What the reader hasn't dismissed.

    Args:
        on_change: called after something was added or taken away.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._problems: list[Problem] = []
        self._on_change = on_change

    @property
    def foremost(self) -> Problem | None:
        """What she should know now: what she has to decide comes before what was merely told, the last last."""
        decisions = [problem for problem in self._problems if problem.choices]
        return next(iter(decisions + self._problems[::-1]), None)

    def add(self, problem: Problem) -> None:
        """One more; one of the same kind about the same answer makes way for it."""
        same = (problem.kind, problem.key)
        self._problems = [other for other in self._problems if (other.kind, other.key) != same] + [problem]
        self._on_change()

    def keep(self, wanted: Callable[[Problem], bool]) -> None:
        """Forget all others."""
        self._problems = [problem for problem in self._problems if wanted(problem)]
        self._on_change()
