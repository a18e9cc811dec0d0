"""The module's panel: its sections, what tells them to refresh, and the keys."""

from __future__ import annotations

from typing import Any, Callable

import qt
import slicer

from ..arrangement import Arrangement
from ..grid import MATTERS, MISLED
from ..i18n import _
from ..opencase import OpenCase
from ..plots import TrainingPlot
from ..preferences import Preferences
from ..review import CONNECTED, DISCONNECTED, Review
from ..viewer import Viewer
from ..wording import AWAITING
from .answerpanel import AnswerPanel
from .casepanel import CONNECTION, CasePanel
from .connectionpanel import ConnectionPanel
from .displaypanel import DisplayPanel
from .markpanel import MarkPanel
from .queuepanel import QueuePanel
from .shortcuts import Shortcuts, as_html
from .statuspanel import StatusPanel
from .trainingpanel import TrainingPanel
from .widgets import guarded, make_copyable, on, report_errors_to

COPYABLE = (
    "problem_label",
    "empty_label",
    "image_label",
    "details_label",
    "foreign_rationale_label",
    "training_label",
    "differences_label",
    "result_label",
)
REVIEW_TAB, QUEUE_TAB, TRAINING_TAB, CONNECTION_TAB = range(4)


class Panel:
    """Joins the reader's session, the view and the widgets. It decides nothing: state goes to widgets, clicks go to
    the session.

    Attributes:
        connection, case, marks, display, answer, queue, training, status: the sections.

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
        preferences = Preferences()
        self._plot = TrainingPlot(arrangement)
        self.status = StatusPanel(ui, review, icons)
        self.connection = ConnectionPanel(ui, review, preferences, icons)
        self.case = CasePanel(ui, review, self._go_to)
        self.marks = MarkPanel(ui, review, viewer, icons, self._in_sight)
        self.display = DisplayPanel(ui, review, viewer, preferences)
        self.answer = AnswerPanel(ui, review, preferences, icons, viewer.focus, self._in_sight)
        self.queue = QueuePanel(ui, review, self._show_review)
        self.training = TrainingPanel(ui, review, self._plot, self._plot_changed)
        self.keys = Shortcuts(slicer.util.mainWindow(), root, self._actions(), self._can_review)
        self._focus_changed = guarded(self.keys.refresh)
        ui.keys_label.setText(as_html())
        for name in COPYABLE:
            make_copyable(getattr(ui, name))
        viewer.on_marks = guarded(self._marks_changed)
        viewer.on_cell = guarded(self.marks.refresh_cell)
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
        for topic in ("connection", "status", "queue", "case", "answers", "problem"):
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
            "training": self.training.replied,
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
        self.training.refresh()
        status = self._review.status
        if self._greet and self._review.connection == CONNECTED and status is not None:
            # Once for each connection: the tab in which something can be done now.
            self._greet = False
            self._ui.tabs.setCurrentIndex(REVIEW_TAB if status.state == AWAITING else TRAINING_TAB)

    def _on_round(self) -> None:
        self.training.hide_plot()
        self._show_review()

    def _on_queue(self) -> None:
        self.status.refresh()
        self.case.refresh_steps()
        self.case.refresh_empty()
        self.training.refresh_comparison()
        if self._ui.tabs.currentIndex == QUEUE_TAB:
            self.queue.refresh()

    def _on_case(self) -> None:
        self._show_case()
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

    def _marks_changed(self) -> None:
        self._review.touch()
        self.case.resume()
        self.answer.forget_objection()
        self.marks.refresh()
        self.display.refresh()

    # -- where things are --------------------------------------------------------------------------------------------

    def _show_case(self) -> None:
        if self._entered:
            opened = self._review.case
            if (opened is None) == self._plot.beside_image:
                self.training.hide_plot()  # it was arranged for the other state of affairs
            if opened is None and self._review.fetching:
                self._viewer.wait()
            else:
                self._viewer.show(opened)

    def _in_sight(self) -> bool:
        """Whether the reader sees what she would mark or answer; if not, she is told."""
        if self._review.case is None or self._viewer.on_screen:
            return True
        self.answer.object(_("The image isn't on the screen; press Esc to bring it back."))
        focus = qt.QApplication.focusWidget()
        if focus is None or not self._root.isAncestorOf(focus):
            self._root.setFocus()  # where Esc is ours: a view that went away gave the keyboard to any widget
        return False

    def _bring_back(self) -> None:
        """Put the case on the screen if the reader, or another module, has put something else there."""
        if self._entered and self._review.case is not None and not self._viewer.on_screen:
            self._show_case()
            self.answer.forget_objection()

    def _plot_changed(self) -> None:
        """The plot appeared or went away: the case makes room for it, or has the views for itself again."""
        node = slicer.vtkMRMLLayoutNode
        self._viewer.layout = node.SlicerLayoutOneUpRedSliceView
        if self._plot.shown:
            self._viewer.layout = node.SlicerLayoutFourUpPlotView if self._plot.beside_image else None
        elif self._entered:
            self._viewer.arrange()

    def _show_review(self) -> None:
        self._ui.tabs.setCurrentIndex(REVIEW_TAB)
        self._bring_back()
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
            self._bring_back()
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
        return self._review.case is not None and self._ui.tabs.currentIndex == REVIEW_TAB

    def _actions(self) -> dict[str, Callable[[], None]]:
        ui, viewer = self._ui, self._viewer
        return {
            "submit": self._enter_key,
            "skip": self.answer.skip,
            "relabel": self.answer.ask_relabel,
            "exclude": self.answer.ask_exclude,
            "next": self._review.next,
            "previous": self._review.previous,
            "up": lambda: self._in_sight() and viewer.move_cursor(-1, 0),
            "down": lambda: self._in_sight() and viewer.move_cursor(1, 0),
            "left": lambda: self._in_sight() and viewer.move_cursor(0, -1),
            "right": lambda: self._in_sight() and viewer.move_cursor(0, 1),
            "toggle": lambda: self._in_sight() and viewer.toggle_cursor(),
            "matters": lambda: self.marks.choose(MATTERS),
            "misled": lambda: self.marks.choose(MISLED),
            "all": self.marks.mark_all,
            "none": self.marks.clear,
            "invert": self.marks.invert,
            "undo": self.marks.undo,
            "redo": self.marks.redo,
            "blink": self.display.blink,
            "preview": self.display.toggle_preview,
            "reason": self.answer.focus_reason,
            "pause": self.case.toggle_pause,
            "back": self._back,
            "tab_review": self._show_review,
            "tab_queue": lambda: self._to_tab(QUEUE_TAB, ui.queue_table),
            "tab_training": lambda: self._to_tab(TRAINING_TAB, ui.tabs),
            "tab_connection": lambda: self._to_tab(CONNECTION_TAB, ui.url_edit),
        }

    def _to_tab(self, index: int, widget: Any) -> None:
        self._ui.tabs.setCurrentIndex(index)
        widget.setFocus()

    def _back(self) -> None:
        self.answer.close_questions()
        self.display.preview(False)
        self._bring_back()
        self._viewer.focus()

    def _enter_key(self) -> None:
        """Enter does what the widget with the keyboard says, else what the tab is for."""
        ui, focus = self._ui, qt.QApplication.focusWidget()
        if focus is not None and self._root.isAncestorOf(focus) and focus.inherits("QAbstractButton"):
            focus.click()
            return
        current = ui.tabs.currentIndex
        if current == CONNECTION_TAB:
            self.connection.connect()
        elif current == QUEUE_TAB:
            self.queue.open_selected()
        elif current == REVIEW_TAB and self._review.case is not None:
            if ui.relabel_button.checked:
                self.answer.relabel()
            elif ui.exclude_button.checked:
                self.answer.exclude()
            else:
                self.answer.submit()
