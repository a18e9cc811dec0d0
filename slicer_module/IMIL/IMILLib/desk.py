"""The cases a reader has before her: the one on the screen, and those fetched ahead."""

from __future__ import annotations

from typing import Callable

from .drafts import Draft, Drafts
from .errors import ServerError
from .i18n import _
from .link import CONNECTED, Link
from .opencase import LoadedCase, OpenCase, load
from .problems import DISK, Problem
from .records import Case
from .stopwatch import Stopwatch

DRAFT_SECONDS = 1.0
"""How long after a change what was marked is on disk."""
RENEW_SECONDS = 60.0
"""How often a reservation is renewed while its case is open."""
KEPT_BEHIND = 2
"""Cases that stay in memory after they left the screen."""


class Desk:
    """Fetches cases ahead and puts one on the screen.

    Attributes:
        current: the case on the screen, or None.
        waiting: why there is none: a sentence, or empty.

    Args:
        link: the connection.
        drafts: where unfinished work is kept.
        clock: seconds, rising.
        ahead: number of cases to fetch ahead.
        on_case: called when another case, or none, is on the screen.
        on_problem: called with something the reader should know.
    """

    def __init__(
        self,
        link: Link,
        drafts: Drafts,
        clock: Callable[[], float],
        ahead: int,
        on_case: Callable[[], None],
        on_problem: Callable[[Problem], None],
    ) -> None:
        self.current: OpenCase | None = None
        self.waiting = ""
        self.ahead = ahead
        self._link, self._drafts, self._clock = link, drafts, clock
        self._on_case, self._on_problem = on_case, on_problem
        self._loaded: dict[str, OpenCase] = {}  # the one used last comes last
        self._loading: set[str] = set()
        self._reserved: dict[str, int] = {}  # of the cases that are the reader's, the position in the queue
        self._wanted = self._guess = ""
        self._asking = self._ask_soon = False
        self._next_save = self._next_renewal = 0.0
        self._saved: Draft | None = None

    # -- which case ------------------------------------------------------------------------------------------------

    def want(self, case_id: str = "") -> None:
        """Put a case on the screen, at once if it's here; by default the next one that is reserved for the reader."""
        self._leave()
        case_id = case_id or next(iter(self._reserved), "")
        opened = self._loaded.get(case_id)
        self._wanted = case_id
        if opened is None:
            self._show(None, _("Fetching the next case."))
        else:
            self._show(opened)
        self.ask(case_id)

    def answered(self, following: str = "") -> None:
        """The case on the screen has been answered: bring the next one.

        Args:
            following: the case after it in the queue that isn't answered, as far as is known.

        The server is asked by the next `pump`: after the answer is on its way, and after the view is drawn.
        """
        if self.current is None:
            return
        self.current.answered = True
        name = self.current.case.id
        self._forget_draft(self.current)
        self._reserved.pop(name, None)
        here = self.current.case.position
        self._leave()
        places = self._reserved
        if following and not any(place > here for place in places.values()):
            ready = self._wanted = self._guess = following  # she went back: go on from here
        else:
            order = sorted(places, key=lambda case_id: (places[case_id] < here, places[case_id]))
            ready = next((case_id for case_id in order if case_id in self._loaded), "")
            self._guess = ""
            self._wanted = ready or next(iter(order), "")
        self._show(self._loaded.get(ready), _("Fetching the next case."))
        self._ask_soon = True

    def ask(self, case_id: str = "") -> None:
        """Ask the server for a case, and for those after it."""
        client = self._link.client
        if client is None or self._link.state != CONNECTED:
            self._explain_offline()
            return
        self._asking = True
        ahead = self.ahead
        self._link.front.call(
            lambda: client.next_cases(case_id, ahead),
            lambda cases: self._got_cases(cases, case_id),
            lambda error: self._no_cases(error, case_id),
        )

    def clear(self, waiting: str = "") -> None:
        """Take everything off the desk; what was begun stays on disk."""
        self._leave()
        self._loaded.clear()
        self._loading.clear()
        self._reserved = {}
        self._wanted = self._guess = ""
        self._asking = self._ask_soon = False
        self._show(None, waiting)

    def reopen(self) -> None:
        """After a reconnection: what was being fetched is fetched again."""
        self._loading.clear()
        self._asking = False
        if self.current is None:
            self.want(self._wanted)
        else:
            self.ask()

    # -- time --------------------------------------------------------------------------------------------------------

    @property
    def fetching(self) -> bool:
        """A case is on its way, or asked for."""
        return bool(self._asking or self._ask_soon or self._loading)

    def pump(self) -> None:
        """Ask for the cases after the one that was answered, keep what is marked on disk, and the reservation alive."""
        if self._ask_soon:
            self._ask_soon = False
            self.ask("" if self.current is not None else self._guess)
        now = self._clock()
        if self.current is None:
            return
        if now >= self._next_save:
            self._next_save = now + DRAFT_SECONDS
            self.save()
        if now >= self._next_renewal and not self._asking and not self.current.answered:
            self._next_renewal = now + RENEW_SECONDS
            if self._link.state == CONNECTED:
                self.ask(self.current.case.id)

    def save(self) -> None:
        """Write the draft of the case on the screen, if it changed."""
        opened = self.current
        if opened is None or opened.answered:
            return
        draft = Draft(tuple(opened.marks.cells), tuple(opened.marks.misleading), opened.rationale)
        if draft == self._saved:
            return
        self._saved = draft
        try:
            kept = Draft(draft.cells, draft.misleading, draft.rationale, opened.seconds)
            self._drafts.save(self._place(opened.case), kept)
        except OSError as error:
            sentence = _("What you mark here can't be kept on disk ({reason}) until you submit it.")
            self._on_problem(Problem(DISK, sentence.format(reason=error.strerror or error)))

    # -- replies -----------------------------------------------------------------------------------------------------

    def _got_cases(self, cases: list[Case], case_id: str) -> None:
        self._asking = False
        for case in cases:
            if case.id in self._loaded:
                self._loaded[case.id].renew(case)
        open_ones = [case for case in cases if case.answer is None]
        self._reserved = {case.id: case.position for case in open_ones if not self._is_answered(case.id)}
        for case in cases:
            if case.id not in self._loaded and case.id not in self._loading:
                self._fetch(case)
        opened = self.current
        if opened is None:
            self._bring(cases)
        elif not case_id and not opened.answered and opened.case.id not in [case.id for case in cases]:
            self.ask(opened.case.id)  # it was fetched ahead, but isn't hers any more: take it, or be told who has it

    def _bring(self, cases: list[Case]) -> None:
        """Nothing is on the screen: show what was wanted, or the first that is reserved, as soon as it's loaded."""
        names = [case.id for case in cases]
        if self._wanted not in names:
            self._wanted = next(iter(self._reserved), "")
        if not self._wanted:
            self._show(None, "")
        elif self._wanted in self._loaded:
            self._show(self._loaded[self._wanted])

    def _no_cases(self, error: Exception, case_id: str) -> None:
        self._asking = False
        if isinstance(error, ServerError) and error.offline:
            self._link.failed(error)
            self._explain_offline()
            return
        self._link.look_now()  # perhaps the round is over
        if not case_id or case_id != self._guess:
            self._on_problem(Problem.of(error))
        if self.current is None and case_id:
            self._wanted = ""
            self.ask()

    def _fetch(self, case: Case) -> None:
        client = self._link.client
        if client is None:
            return
        self._loading.add(case.id)
        self._link.back.call(lambda: load(client, case), self._fetched, lambda error: self._not_fetched(case, error))

    def _fetched(self, loaded: LoadedCase) -> None:
        case = loaded.case
        self._loading.discard(case.id)
        cells = (len(case.row_edges) - 1) * (len(case.col_edges) - 1)
        draft = self._drafts.load(self._place(case), cells)
        opened = OpenCase(loaded, Stopwatch(self._clock), draft if case.answer is None else None)
        self._loaded[case.id] = opened
        self._make_room()
        if self.current is None and case.id == self._wanted:
            self._show(opened)

    def _not_fetched(self, case: Case, error: Exception) -> None:
        self._loading.discard(case.id)
        if isinstance(error, ServerError) and error.offline:
            self._link.failed(error)
            self._explain_offline()
        elif case.id == self._wanted and self.current is None:
            self._on_problem(Problem.of(error))
            self._show(None, _("The case {name} can't be shown; open another one in the queue.").format(name=case.id))

    # -- what is on the screen ---------------------------------------------------------------------------------------

    def _show(self, opened: OpenCase | None, waiting: str = "") -> None:
        changed = opened is not self.current or waiting != self.waiting
        self.current = opened
        self.waiting = "" if opened is not None else waiting
        if opened is not None:
            self._loaded[opened.case.id] = self._loaded.pop(opened.case.id)
            self._wanted = opened.case.id
            self._saved = None
            self._next_save = self._clock() + DRAFT_SECONDS
            self._next_renewal = self._clock() + RENEW_SECONDS
            opened.stopwatch.resume()
        if changed:
            self._on_case()

    def _leave(self) -> None:
        if self.current is not None:
            self.current.stopwatch.pause()
            self.save()
            self.current = None

    def _explain_offline(self) -> None:
        if self.current is None:
            self._show(None, _("The server doesn't answer. The next case comes when it does."))

    def _make_room(self) -> None:
        keep = {self._wanted, *self._reserved}
        behind = [name for name, opened in self._loaded.items() if name not in keep and opened is not self.current]
        for name in behind[: max(0, len(behind) - KEPT_BEHIND)]:
            del self._loaded[name]

    def _is_answered(self, case_id: str) -> bool:
        return case_id in self._loaded and self._loaded[case_id].answered

    def _forget_draft(self, opened: OpenCase) -> None:
        try:
            self._drafts.remove(self._place(opened.case))
        except OSError as error:
            self._on_problem(Problem(DISK, str(error)))

    def _place(self, case: Case) -> tuple[object, ...]:
        client = self._link.client
        where = ("", "") if client is None else (client.url, client.reader)
        return (*where, case.run, case.round, case.id)
