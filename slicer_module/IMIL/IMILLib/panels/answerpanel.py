"""The reader's answer: her reason, what she decides, and what became of it."""

from __future__ import annotations

from typing import Any, Callable

from .. import rationale
from ..casewords import confirmed, earlier, waiting
from ..i18n import _
from ..preferences import FOCUS, SWITCH, Preferences
from ..records import PreviousAnswer
from ..review import OFFLINE, Review
from .widgets import fill, icon, on, quietly, set_picture, show_text


class AnswerPanel:
    """Submit, skip, relabel and exclude, the sentence of the reason, and the answers that wait.

    Args:
        on_answered: called after an answer was given, to give the view the keyboard again.
        in_sight: whether the reader sees the image; if not, it says so. Nothing is answered unseen.
    """

    def __init__(
        self,
        ui: Any,
        review: Review,
        preferences: Preferences,
        icons: str,
        on_answered: Callable[[], None],
        in_sight: Callable[[], bool],
    ) -> None:
        self._ui, self._review, self._preferences, self._icons = ui, review, preferences, icons
        self._on_answered, self._in_sight = on_answered, in_sight
        self._other_sentence = ""
        self._objection = ""
        self._given: dict[tuple[str, ...], PreviousAnswer] = {}
        """What she answered since the server last described the case, by `_key`."""
        on(ui.submit_button.clicked, self.submit)
        on(ui.skip_button.clicked, self.skip)
        on(ui.relabel_button.clicked, self._toggle_relabel)
        on(ui.relabel_confirm_button.clicked, self.relabel)
        on(ui.exclude_button.clicked, self._toggle_exclude)
        on(ui.exclude_confirm_button.clicked, self.exclude)
        on(ui.send_now_button.clicked, review.retry)
        on(ui.decide_button.clicked, review.show_refused)
        for combo in (ui.focus_combo, ui.switch_combo):
            on(combo.editTextChanged, self._reason_changed)

    # -- answers -----------------------------------------------------------------------------------------------------

    def submit(self) -> None:
        """Send the marks."""
        self._answer("grid", lambda: self._review.submit(self._sentence()))

    def skip(self) -> None:
        """Send that she has no opinion."""
        self._answer("skip", lambda: self._review.skip(self._sentence()))

    def relabel(self) -> None:
        """Send the class chosen in the list."""
        label = self._ui.relabel_combo.currentText
        self._answer("relabel", lambda: self._review.relabel(label, self._sentence()), label)

    def exclude(self) -> None:
        """Send that the image is unfit, and why."""
        self._answer("exclude", lambda: self._review.exclude(self._ui.exclude_edit.text.strip()))

    def ask_relabel(self) -> None:
        """Show the list of classes and give it the keyboard."""
        if self._review.case is not None:
            self._open(self._ui.relabel_button)

    def ask_exclude(self) -> None:
        """Show the line for the reason and give it the keyboard."""
        if self._review.case is not None:
            self._open(self._ui.exclude_button)

    def close_questions(self) -> None:
        """Hide both."""
        self._open(None)

    @property
    def asking(self) -> bool:
        """Whether one of them is open."""
        return bool(self._ui.relabel_button.checked or self._ui.exclude_button.checked)

    def focus_reason(self) -> None:
        """Give the first blank the keyboard."""
        self._ui.focus_combo.setFocus()

    # -- what is shown -----------------------------------------------------------------------------------------------

    def refresh_case(self) -> None:
        """After another case came onto the screen."""
        opened = self._review.case
        self.forget_objection()
        self._open(None)
        if opened is None:
            return
        case = opened.case
        show_text(self._ui.previous_answer_label, earlier(self._given.get(self._key()) or case.answer, opened.answered))
        self._ui.submit_button.setText(_("Submit again") if opened.answered else _("Submit"))
        others = [name for name in case.classes if name != case.label]
        fill(self._ui.relabel_combo, others, case.prediction)
        self._ui.relabel_button.setEnabled(bool(others))
        quietly(self._ui.exclude_edit, self._ui.exclude_edit.setText, "")
        self._show_reason(opened.rationale)

    def object(self, sentence: str) -> None:
        """Say why what she tried can't be done."""
        self._objection = sentence
        self.refresh_answers()

    def forget_objection(self) -> None:
        """The reader went on: what was wrong with her last try doesn't matter any more."""
        if self._objection:
            self._objection = ""
            self.refresh_answers()

    def refresh_answers(self) -> None:
        """After a receipt, or when answers wait."""
        ui, pending = self._ui, self._review.overdue
        refused = sum(1 for entry in pending if entry.kind)
        # Beside the warning that no server answers, an older confirmation would say the opposite.
        receipt = None if self._review.connection == OFFLINE else self._review.last_receipt
        said = self._objection or confirmed(receipt)
        show_text(ui.receipt_label, said)
        ui.receipt_icon.setVisible(bool(said))
        set_picture(ui.receipt_icon, icon(self._icons, "state_warning" if self._objection else "state_ok"))
        text = waiting(len(pending) - refused, refused)
        show_text(ui.pending_label, text)
        ui.pending_box.setVisible(bool(text))
        ui.decide_button.setVisible(bool(refused))
        ui.send_now_button.setVisible(len(pending) > refused)

    # -- inner -------------------------------------------------------------------------------------------------------

    def _answer(self, action: str, send: Callable[[], None], new_label: str = "") -> None:
        if not self._in_sight():
            return
        key, opened = self._key(), self._review.case
        reader, (focus, switch) = self._review.reader, self._blanks()
        self._objection = ""
        try:
            send()
        except ValueError as error:
            self.object(str(error))
            return
        if opened is not None:
            marks = opened.marks
            self._given[key] = PreviousAnswer(action, marks.cells, marks.misleading, new_label, "", 0.0)
        self._preferences.add_phrase(reader, FOCUS, focus)
        self._preferences.add_phrase(reader, SWITCH, switch)
        self._fill_blanks(self._blanks())  # the next case is on the screen already, without these words in its lists
        self.refresh_answers()
        self._on_answered()

    def _key(self) -> tuple[str, ...]:
        """Of this reader's answer to the case on the screen."""
        review = self._review
        if review.case is None:
            return ()
        case = review.case.case
        return review.url, review.reader, str(case.run), str(case.round), case.id

    def _blanks(self) -> tuple[str, str]:
        return self._ui.focus_combo.currentText, self._ui.switch_combo.currentText

    def _sentence(self) -> str:
        return rationale.sentence(*self._blanks()) or self._other_sentence

    def _reason_changed(self) -> None:
        opened = self._review.case
        if opened is not None:
            opened.rationale = self._sentence()
            self._review.touch()
        show_text(self._ui.foreign_rationale_label, "" if any(self._blanks()) else self._other_sentence)

    def _show_reason(self, sentence: str) -> None:
        """Put a reason into the blanks; one that isn't made like that is shown, and kept until they are filled in."""
        parts = rationale.blanks(sentence)
        self._other_sentence = "" if parts is not None else sentence
        self._fill_blanks(parts or ("", ""))
        show_text(self._ui.foreign_rationale_label, self._other_sentence)

    def _fill_blanks(self, words: tuple[str, str]) -> None:
        """Write into both, and offer the reader's recent words."""
        reader = self._review.reader
        for combo, blank, text in zip((self._ui.focus_combo, self._ui.switch_combo), (FOCUS, SWITCH), words):
            fill(combo, self._preferences.phrases(reader, blank), "")
            quietly(combo, combo.setEditText, text)

    def _toggle_relabel(self) -> None:
        self._open(self._ui.relabel_button if self._ui.relabel_button.checked else None)

    def _toggle_exclude(self) -> None:
        self._open(self._ui.exclude_button if self._ui.exclude_button.checked else None)

    def _open(self, button: Any) -> None:
        """Show the question behind one of the two buttons, or none."""
        ui = self._ui
        for candidate, box in ((ui.relabel_button, ui.relabel_box), (ui.exclude_button, ui.exclude_box)):
            candidate.setChecked(candidate is button)
            box.setVisible(candidate is button)
        if button is ui.relabel_button:
            ui.relabel_combo.setFocus()
        elif button is ui.exclude_button:
            ui.exclude_edit.setFocus()
