"""What the rounds of a run say about its training cases, once their readers' answers have been combined."""

from collections import defaultdict

from imil.casefeedback import CaseFeedback
from imil.combination import Combination, combine_answers
from imil.settings import RunSettings
from imil.store import Event, Store


def feedback_of(
    store: Store, run_id: int, up_to_round: int | None = None, *, with_open: bool = False
) -> dict[str, CaseFeedback]:
    """What training is to change, by case id: the combined answers of all closed rounds up to one, itself included.

    Where a case was queued in several rounds, the last round that says anything about it counts. A closed round takes
    no more answers, so this never changes under a training run. ``with_open`` adds the round that isn't closed yet.
    """
    feedback: dict[str, CaseFeedback] = {}
    for combination in combinations_of(store, run_id, up_to_round, with_open=with_open).values():
        feedback |= combination.feedback
    return feedback


def combinations_of(
    store: Store, run_id: int, up_to_round: int | None = None, *, with_open: bool = False
) -> dict[int, Combination]:
    """By its number, what the answers of each closed round come to, up to a round, itself included.

    How several readers' cells are combined is the run's setting ``combine``. ``with_open`` adds the round that isn't
    closed yet.
    """
    by_round: dict[int, list[Event]] = defaultdict(list)
    for event in store.effective(run_id, up_to_round, closed_only=not with_open):
        by_round[event.round].append(event)
    if not by_round:
        return {}
    method = RunSettings(**store.run(run_id).settings).combine
    return {number: combine_answers(events, method) for number, events in sorted(by_round.items())}
