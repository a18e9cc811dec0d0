"""What a round taught, before a reader: kept up to date, with an image on the screen and her vetoes on their way."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Callable

from .client import Client
from .corrections import Corrections, PendingCorrection
from .errors import ServerError
from .i18n import _
from .insightrecords import CORRECT, RESTORE, VETO, Correction, Find, Insight
from .link import CONNECTED, Link
from .marks import Marks
from .openfind import LoadedFind, OpenFind, load
from .outbox import Outbox
from .problems import STALE, Problem
from .records import QueueRow, RunStatus
from .wording import APPROVAL, AWAITING

if TYPE_CHECKING:
    from collections.abc import Hashable

DRAWS = 4
"""Random images that are drawn to find one that isn't listed."""
PATIENCE = 20.0
"""What was learnt is asked for again after this many times as long as that took: it may be megabytes."""


class InsightDesk:
    """Keeps the insight of the run's round, and opens its images.

    Topics of ``on_change``: ``insight`` (what is known of it), ``find`` (another image, or find, is on the screen).

    Attributes:
        opened: the image on the screen, or None.

    Args:
        link: the connection.
        outbox: where corrections are kept until the server has them.
        clock: seconds, rising.
        queue: the rows of the round's queue.
        on_change: called with a topic.
        on_problem: called with something the reader should know.
    """

    def __init__(
        self,
        link: Link,
        outbox: Outbox[PendingCorrection],
        clock: Callable[[], float],
        queue: Callable[[], Sequence[QueueRow]],
        on_change: Callable[[str], None],
        on_problem: Callable[[Problem], None],
    ) -> None:
        self.opened: OpenFind | None = None
        self._link, self._clock, self._queue = link, clock, queue
        self._on_change, self._on_problem = on_change, on_problem
        self._corrections = Corrections(outbox, link, self._confirmed, self._refused, on_problem)
        self._told: Insight | None = None
        self._expected: tuple[Insight, tuple[Correction, ...], Insight] | None = None
        self._others: tuple[Find, ...] = ()
        self._left: dict[str, Marks] = {}  # of images that she left before she sent what she painted
        self._asking = self._loading = self._choosing = False
        self._due = 0.0
        self._wanted = self._failed = self._complaint = ""

    # -- what there is -----------------------------------------------------------------------------------------------

    @property
    def insight(self) -> Insight | None:
        """What the present round taught, with this reader's corrections that are on their way; None if nothing."""
        told, status = self._told, self._link.status
        if told is None or status is None or status.state == AWAITING:
            return None
        if (told.run, told.round) != (status.run, status.round):
            return None
        said = [entry.correction for entry in self.pending]
        ours = tuple(each for each in said if (each.run, each.round) == (told.run, told.round))
        if not ours:
            return told
        if self._expected is None or self._expected[0] is not told or self._expected[1] != ours:
            self._expected = (told, ours, told.with_corrections(ours, self._unfound(told)))
        return self._expected[2]

    @property
    def open(self) -> bool:
        """Whether it can be vetoed and corrected now."""
        status, insight = self._link.status, self.insight
        return insight is not None and insight.open and status is not None and status.state == APPROVAL

    @property
    def rows(self) -> tuple[Find, ...]:
        """The images to look at: those with finds, the surest first, then the round's others, then those asked for."""
        insight = self.insight
        return () if insight is None else (*insight.finds, *self._unfound(insight))

    @property
    def pending(self) -> list[PendingCorrection]:
        """Corrections that the server hasn't confirmed."""
        return self._corrections.pending

    @property
    def fetching(self) -> bool:
        """An image is on its way, and none is on the screen."""
        return self.open and self.opened is None and not self._failed

    @property
    def unsent(self) -> list[str]:
        """The images in which she painted cells that she didn't send."""
        here = [] if self.opened is None or not self.opened.painted else [self.opened.image]
        return [*self._left, *here]

    def row(self, image: str) -> Find | None:
        """The entry of an image among `rows`."""
        return next((row for row in self.rows if row.id == image), None)

    # -- which image -------------------------------------------------------------------------------------------------

    def show(self, image: str) -> None:
        """Put an image on the screen, with what was found in it."""
        self._wanted, self._failed = image, ""
        self._load()

    def step(self, by: int) -> None:
        """The image so many rows further down."""
        names = [row.id for row in self.rows]
        if self._wanted in names:
            place = names.index(self._wanted) + by
            if 0 <= place < len(names):
                self.show(names[place])

    def show_another(self) -> None:
        """Any training image, perhaps one in which something was missed."""
        client = self._link.client
        if client is not None and not self._choosing:
            self._choosing = True
            listed, here = {row.id for row in self.rows}, self._wanted
            self._link.back.call(lambda: _any_other(client, listed, here), self._chosen, self._not_chosen)

    # -- what she says -----------------------------------------------------------------------------------------------

    def veto(self) -> None:
        """Nothing is to be done to what was found in the image on the screen.

        Raises:
            ValueError: a sentence, if that can't be said now.
        """
        find = self._find_on_screen()
        if not find.found:
            raise ValueError(_("Nothing was found in this image, so there is nothing to veto."))
        self._say(VETO, find.id)

    def correct(self) -> None:
        """It's in the painted cells of the image on the screen. Raises ValueError as `veto`."""
        find = self._find_on_screen()
        cells = self.opened.painted if self.opened is not None else ()
        if not cells:
            raise ValueError(_("Mark the cells in which it really is first: click or drag in the image."))
        self._say(CORRECT, find.id, cells)
        if self.opened is not None:
            self.opened.marks.replace((), ())

    def restore(self) -> None:
        """The image on the screen is as it was found. Raises ValueError as `veto`."""
        find = self._find_on_screen()
        if not (find.vetoed or find.corrected):
            raise ValueError(_("Nobody has corrected this image; it is as it was found."))
        self._say(RESTORE, find.id)

    def veto_cells(self, cells: Iterable[int]) -> None:
        """Don't swap these cells between images. Raises ValueError as `veto`."""
        self._say_of_cells(VETO, cells, _("Choose cells in the table that are swapped."))

    def restore_cells(self, cells: Iterable[int]) -> None:
        """Swap these cells all the same. Raises ValueError as `veto`."""
        self._say_of_cells(RESTORE, cells, _("Choose cells in the table that somebody has vetoed."))

    # -- connection and time -----------------------------------------------------------------------------------------

    def begin(self, url: str, reader: str) -> None:
        """A connection was made, or is there again."""
        self._asking = self._loading = self._choosing = False
        self._corrections.begin(url, reader)
        self.ask()

    def look(self, before: RunStatus, now: RunStatus) -> None:
        """The server said how the run is."""
        if (before.run, before.round, before.state) != (now.run, now.round, now.state):
            self._moved(before.state == APPROVAL)
        elif now.state == APPROVAL and self._clock() >= self._due:
            self.ask()  # others may have corrected something

    def ask(self) -> None:
        """Ask the server for it, unless that's being done."""
        client, status = self._link.client, self._link.status
        if self._asking or client is None or self._link.state != CONNECTED or status is None or not status.round:
            return
        self._asking = True
        began = self._clock()
        self._link.back.call(client.insight, lambda insight: self._answered(began, insight), self._not_answered)

    def pump(self) -> None:
        """Send what waits, and open the first image by itself."""
        self._corrections.send()
        if self.fetching and not self._loading and not self._wanted and self.rows:
            self.show(self.rows[0].id)

    def retry(self) -> None:
        """Send all that waits again, now."""
        self._corrections.retry()

    def interrupted(self) -> None:
        """The connection is gone, and with it what was under way."""
        self._corrections.interrupted()
        self._asking = self._loading = self._choosing = False

    def clear(self) -> None:
        """Leave the server; corrections stay on disk."""
        self.interrupted()
        self._told, self._others = None, ()
        self._close()
        self._on_change("insight")

    # -- inner -------------------------------------------------------------------------------------------------------

    def _unfound(self, insight: Insight) -> tuple[Find, ...]:
        """The round's images without a find, and others that she asked for."""
        queued = [Find(row.id, row.label, True) for row in self._queue()]
        known = {find.id for find in insight.finds}
        return tuple({each.id: each for each in (*queued, *self._others) if each.id not in known}.values())

    def _moved(self, was_open: bool) -> None:
        if was_open and self.unsent:
            sentence = _("The run went on before you sent the cells that you marked in {names}; they were not used.")
            self._on_problem(Problem(STALE, sentence.format(names=", ".join(self.unsent))))
        self._close()
        self.ask()
        self._on_change("insight")

    def _close(self) -> None:
        self._wanted = self._failed = ""
        self._left.clear()
        if self.opened is not None:
            self.opened = None
            self._on_change("find")

    def _find_on_screen(self) -> Find:
        find = None if self.opened is None else self.row(self.opened.image)
        self._check_open()
        if find is None:
            raise ValueError(_("There is no image on the screen; choose one in the table."))
        if find.id != self._wanted:
            raise ValueError(_("Another image is on its way; wait until you see it."))
        return find

    def _check_open(self) -> None:
        if not self.open:
            raise ValueError(_("Training went on; what was learnt can't be changed any more."))

    def _say_of_cells(self, action: str, cells: Iterable[int], otherwise: str) -> None:
        self._check_open()
        insight = self.insight
        allowed = () if insight is None else insight.swapped if action == VETO else insight.vetoed
        named = tuple(sorted(set(cells) & set(allowed)))
        if not named:
            raise ValueError(otherwise)
        self._say(action, "", named)

    def _say(self, action: str, image: str, cells: tuple[int, ...] = ()) -> None:
        insight, client = self.insight, self._link.client
        if insight is None or client is None:
            return
        key = str(uuid.uuid4())
        said = Correction(insight.run, insight.round, client.reader, action, image, cells, key)
        self._corrections.add(said, client.url)
        self._on_change("insight")
        self._load()

    # -- replies -----------------------------------------------------------------------------------------------------

    def _answered(self, began: float, insight: Insight | None) -> None:
        self._asking = False
        self._complaint = ""
        self._due = self._clock() + PATIENCE * (self._clock() - began)
        self._arrived(insight)

    def _not_answered(self, error: Exception) -> None:
        self._asking = False
        self._link.failed(error)
        if not (isinstance(error, ServerError) and error.offline) and str(error) != self._complaint:
            self._complaint = str(error)  # it's asked for again and again
            self._on_problem(Problem.of(error))

    def _confirmed(self, insight: Insight) -> None:
        self._arrived(insight)
        self._on_change("insight")  # there is one less on its way

    def _refused(self) -> None:
        self.ask()
        self._on_change("insight")

    def _arrived(self, insight: Insight | None) -> None:
        before = self._told
        if before is not None and insight is not None and before.number == insight.number:
            if len(insight.said) < len(before.said):
                return  # it was asked for before the last correction arrived
        elif insight is not before:
            self._others = ()
        if insight != before:
            self._told = insight
            self._on_change("insight")
        self._load()

    def _load(self) -> None:
        client, insight, find = self._link.client, self.insight, self.row(self._wanted)
        if self._loading or client is None or insight is None or find is None or find.id == self._failed:
            return
        opened, version = self.opened, _version(insight, find)
        here = opened if opened is not None and opened.image == find.id else None
        if here is not None and here.version == version:
            if here.vetoed != find.vetoed:
                here.vetoed = find.vetoed
                self._on_change("find")
            return
        unsent = any(entry.correction.image == find.id for entry in self.pending)
        if self._link.state != CONNECTED or (unsent and not find.corrected):
            return  # until the server has a restoration, it sends what was corrected before
        self._loading = True
        picture = None if here is None else here.picture
        self._link.back.call(
            lambda: load(client, find, insight.grid_size, version, picture),
            self._loaded,
            lambda error: self._not_loaded(find.id, error),
        )

    def _loaded(self, loaded: LoadedFind) -> None:
        self._loading = False
        if loaded.find.id == self._wanted:
            if self.opened is not None and self.opened.image == loaded.find.id:
                self.opened.take(loaded)
            else:
                self._open(loaded)
            self._on_change("find")
        self._load()

    def _open(self, loaded: LoadedFind) -> None:
        if self.opened is not None and self.opened.painted:
            self._left[self.opened.image] = self.opened.marks
        self.opened = OpenFind(loaded, self.open, self._left.pop(loaded.find.id, None))

    def _not_loaded(self, image: str, error: Exception) -> None:
        self._loading = False
        if isinstance(error, ServerError) and error.offline:
            self._link.failed(error)
            return
        self._failed = image
        self._on_problem(Problem.of(error))
        self._on_change("find")
        self._load()

    def _chosen(self, find: Find) -> None:
        self._choosing = False
        if self.row(find.id) is None:
            self._others = (*self._others, find)
            self._on_change("insight")
        self.show(find.id)

    def _not_chosen(self, error: Exception) -> None:
        self._choosing = False
        self._link.failed(error)
        self._on_problem(Problem.of(error))


def _any_other(client: Client, listed: set[str], here: str) -> Find:
    """A random image that isn't listed if there is one among a few, else at least another one than this."""
    drawn = [client.any_image() for _draw in range(DRAWS)]
    return min(drawn, key=lambda find: (find.id in listed, find.id == here))


def _version(insight: Insight, find: Find) -> Hashable:
    """What the picture of a find depends on."""
    return insight.number, find.found, find.cells if find.corrected else None
