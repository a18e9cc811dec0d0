"""The module's panel: its sections, what tells them to refresh, and the keys."""

from __future__ import annotations

from typing import Any, Callable

import qt
import slicer

from ..arrangement import Arrangement
from ..grid import MATTERS
from ..i18n import _
from ..opencase import OpenCase
from ..openfind import OpenFind
from ..plots import TrainingPlot
from ..preferences import Preferences
from ..review import CONNECTED, DISCONNECTED, Review
from ..viewer import Viewer
from ..wording import APPROVAL, AWAITING
from .answerpanel import AnswerPanel
from .casepanel import CONNECTION, CasePanel
from .connectionpanel import ConnectionPanel
from .displaypanel import DisplayPanel
from .insightpanel import InsightPanel
from .keyactions import CONNECTION_TAB, QUEUE_TAB, REVIEW_TAB, TRAINING_TAB, KeyActions
from .markpanel import MarkPanel
from .queuepanel import QueuePanel
from .shortcuts import LISTS, Shortcuts, as_html
from .statuspanel import StatusPanel
from .trainingpanel import TrainingPanel
from .widgets import guarded, make_copyable, on, report_errors_to

COPYABLE = (
    "problem_label",
    "empty_label",
    "image_label",
    "details_label",
    "foreign_rationale_label",
    "insight_label",
    "find_label",
    "training_label",
    "differences_label",
    "result_label",
)


class Panel:
    """Joins the reader's session, the view and the widgets. It decides nothing: state goes to widgets, clicks go to
    the session.

    Attributes:
        connection, case, marks, display, answer, insight, queue, training, status: the sections.

    Args:
        root: the widget of ``IMIL.ui``; ``ui`` has its named widgets.
        review: the session; ``viewer`` shows its case; ``arrangement`` is that of Slicer's views.
        icons: folder of the icons.
    """

    def __init__(
        self, root: Any, ui: Any, review: Review, viewer: Viewer, arrangement: Arrangement, icons: str
    ) -> None:
        self._root, self._ui, self._review, self._viewer = root, ui, review, viewer
        self._entered = self._greet = False
        self._begun: OpenCase | None = None
        self._told = 0
        preferences = Preferences()
        self._plot = TrainingPlot(arrangement)
        self.status = StatusPanel(ui, review, icons)
        self.connection = ConnectionPanel(ui, review, preferences, icons)
        self.case = CasePanel(ui, review, self._go_to)
        self.marks = MarkPanel(ui, review, viewer, icons, self.in_sight)
        self.display = DisplayPanel(ui, review, viewer, preferences)
        self.answer = AnswerPanel(ui, review, preferences, icons, viewer.focus, self.in_sight)
        self.insight = InsightPanel(ui, review, viewer, self.in_sight)
        self.queue = QueuePanel(ui, review, self.show_review)
        self.training = TrainingPanel(ui, review, self._plot, self._plot_changed)
        self.keys = Shortcuts(slicer.util.mainWindow(), root, self._actions(), self._can_review)
        self._focus_changed = guarded(self.keys.refresh)
        ui.keys_label.setText(as_html())
        for name in COPYABLE:
            make_copyable(getattr(ui, name))
        viewer.on_marks = guarded(self._marks_changed)
        viewer.on_cell = guarded(self._cell_changed)
        on(ui.tabs.currentChanged, self._tab_changed)
        report_errors_to(self.status.show_unexpected)
        review.observe(self._on_topic)
        self.refresh()

    def enter(self) -> None:
        """The module is on the screen."""
        if self._entered:
            return
        self._entered = True
        self.keys.install()
        slicer.app.focusChanged.connect(self._focus_changed)
        self._viewer.activate()
        if not self.case.paused:
            self._review.resume_case()
        self._show_case()
        self._begin()

    def exit(self) -> None:
        """Another module is on the screen: no keys, no clock, no grid; the connection stays."""
        if not self._entered:
            return
        self._entered = False
        slicer.app.focusChanged.disconnect(self._focus_changed)
        self.keys.remove()
        self.training.hide_plot()
        self._viewer.deactivate()
        self._review.pause_case()

    def scene_closing(self) -> None:
        """Our nodes are about to vanish."""
        self._plot.forget()
        self._viewer.forget()

    def scene_closed(self) -> None:
        """There is a scene again."""
        if self._entered:
            self.training.hide_plot()
            self._show_case()

    def close(self) -> None:
        """For good."""
        self.exit()
        self._plot.remove()
        self._viewer.remove()
        report_errors_to(None)

    def refresh(self) -> None:
        """Everything."""
        for topic in ("connection", "status", "queue", "case", "insight", "answers", "problem"):
            self._on_topic(topic)
        self._tab_changed()

    # -- topics ------------------------------------------------------------------------------------------------------

    def _on_topic(self, topic: str) -> None:
        {
            "connection": self._on_connection,
            "status": self._on_status,
            "round": self._on_round,
            "queue": self._on_queue,
            "case": self._on_case,
            "answers": self.answer.refresh_answers,
            "problem": self.status.refresh_problem,
            "training": self._on_training,
            "insight": self._on_insight,
            "find": self._on_find,
        }[topic]()

    def _on_connection(self) -> None:
        state = self._review.connection
        if state == DISCONNECTED:
            self._greet = True
        self._on_status()
        self.connection.refresh()
        self.answer.refresh_answers()
        self.keys.refresh()

    def _on_status(self) -> None:
        self.status.refresh()
        if self._review.case is None:
            self._show_case()
        self.case.refresh_empty()
        self.case.refresh_guidance()
        self.insight.refresh()
        self.training.refresh()
        status = self._review.status
        if self._greet and self._review.connection == CONNECTED and status is not None:
            # Once for each connection: the tab in which something can be done now.
            self._greet = False
            self._ui.tabs.setCurrentIndex(REVIEW_TAB if status.state in (AWAITING, APPROVAL) else TRAINING_TAB)

    def _on_round(self) -> None:
        self.training.hide_plot()
        self.show_review()

    def _on_queue(self) -> None:
        self.status.refresh()
        self.case.refresh_steps()
        self.case.refresh_empty()
        self.insight.refresh()
        self.training.refresh_comparison()
        if self._ui.tabs.currentIndex == QUEUE_TAB:
            self.queue.refresh()

    def _on_training(self) -> None:
        self.training.replied()
        self.insight.replied()

    def _on_insight(self) -> None:
        """What the round taught is known, or known to be another thing."""
        insight = self._review.insight
        self.case.refresh_empty()
        self.insight.refresh()
        number = insight.insight.number if insight.open else 0
        if number and number != self._told:
            self._on_round()  # it came just now: there is something to look at
        self._told = number
        self.keys.refresh()

    def _on_find(self) -> None:
        """Another image, or another find in it, is on the screen."""
        self._show_case()
        self._viewer.refresh_overlay()
        self.insight.refresh_find()
        self.insight.refresh_cell()
        focus = qt.QApplication.focusWidget()
        if self._entered and self._can_review() and (focus is None or focus.objectName not in LISTS):
            self._viewer.focus()
        self.keys.refresh()

    def _on_case(self) -> None:
        self._show_case()
        self.insight.refresh()
        self.case.refresh()
        opened = self._review.case
        if opened is None or opened is not self._begun:
            # Brush and reason belong to a case: they begin anew with another one only.
            self._begun = opened
            self.answer.refresh_case()
            self.marks.choose(MATTERS)
            self.display.preview(False)
        self.marks.refresh()
        self.marks.refresh_cell()
        self.display.refresh()
        if self._ui.tabs.currentIndex == QUEUE_TAB:
            self.queue.refresh()
        if self._entered and self._can_review():
            self._viewer.focus()
        self.keys.refresh()

    def _cell_changed(self) -> None:
        self.marks.refresh_cell()
        self.insight.refresh_cell()

    def _marks_changed(self) -> None:
        if self._review.case is None:
            self.insight.object("")
            self.insight.refresh_find()
            return
        self._review.touch()
        self.case.resume()
        self.answer.forget_objection()
        self.marks.refresh()
        self.display.refresh()

    # -- where things are --------------------------------------------------------------------------------------------

    @property
    def _open(self) -> OpenCase | OpenFind | None:
        """What the reader works on."""
        return self._review.case or self._review.insight.opened

    def _show_case(self) -> None:
        if self._entered:
            opened = self._open
            if (opened is None) == self._plot.beside_image:
                self.training.hide_plot()  # it was arranged for the other state of affairs
            if opened is None and (self._review.fetching or self._review.insight.fetching):
                self._viewer.wait()
            else:
                self._viewer.show(opened)

    def in_sight(self) -> bool:
        """Whether the reader sees what she would mark or answer; if not, she is told."""
        if self._open is None or self._viewer.on_screen:
            return True
        tell = self.answer if self._review.case is not None else self.insight
        tell.object(_("The image isn't on the screen; press Esc to bring it back."))
        focus = qt.QApplication.focusWidget()
        if focus is None or not self._root.isAncestorOf(focus):
            self._root.setFocus()  # where Esc is ours: a view that went away gave the keyboard to any widget
        return False

    def bring_back(self) -> None:
        """Put the case on the screen if the reader, or another module, has put something else there."""
        if self._entered and self._open is not None and not self._viewer.on_screen:
            self._show_case()
            self.answer.forget_objection()
            self.insight.object("")

    def _plot_changed(self) -> None:
        """The plot appeared or went away: the case makes room for it, or has the views for itself again."""
        node = slicer.vtkMRMLLayoutNode
        self._viewer.layout = node.SlicerLayoutOneUpRedSliceView
        if self._plot.shown:
            self._viewer.layout = node.SlicerLayoutFourUpPlotView if self._plot.beside_image else None
        elif self._entered:
            self._viewer.arrange()

    def show_review(self) -> None:
        """The tab Review, with the case on the screen."""
        self._ui.tabs.setCurrentIndex(REVIEW_TAB)
        self.bring_back()
        if self._entered:
            self._viewer.focus()

    def _go_to(self, place: str) -> None:
        self._ui.tabs.setCurrentIndex(CONNECTION_TAB if place == CONNECTION else TRAINING_TAB)

    def _tab_changed(self) -> None:
        ui, current = self._ui, self._ui.tabs.currentIndex
        # A tab widget is as high as its highest page, so those that aren't shown are emptied.
        for index, page in enumerate((ui.review_page, ui.queue_page, ui.training_page, ui.connection_page)):
            page.setVisible(index == current)
        if current == QUEUE_TAB:
            self.queue.refresh()
            self.queue.choose_open_case()
        elif current == REVIEW_TAB:
            self.bring_back()
        self.keys.refresh()

    def _begin(self) -> None:
        """Put the keyboard where it's needed first."""
        ui = self._ui
        if self._review.connection != DISCONNECTED:
            self._viewer.focus()
        elif not ui.url_edit.text:
            ui.url_edit.setFocus()
        else:
            (ui.connect_button if ui.reader_edit.text else ui.reader_edit).setFocus()

    # -- keys --------------------------------------------------------------------------------------------------------

    def _can_review(self) -> bool:
        return self._open is not None and self._ui.tabs.currentIndex == REVIEW_TAB

    def _actions(self) -> dict[str, Callable[[], Any]]:
        actions = KeyActions(self, self._root, self._ui, self._review, self._viewer)
        return actions.by_name()
