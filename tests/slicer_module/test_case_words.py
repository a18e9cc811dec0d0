"""Cases, answers and reasons in words."""

from typing import get_args

import pytest
from IMILLib import casewords, rationale
from IMILLib.records import Case, PreviousAnswer, QueueRow, Receipt

from imil.outliers import Reason


@pytest.mark.parametrize(
    ("focus", "switch", "sentence"),
    [
        (
            "the marker",
            "the lung",
            "The model was focused on the marker so I switched the focus to the lung.",
        ),
        (" the marker. ", "", "The model was focused on the marker."),
        ("", "the  lung\n", "I switched the focus to the lung."),
        ("", " ", ""),
        (
            "so I switched the focus to",
            "{x} (a.b)*",
            "The model was focused on so I switched the focus to so I switched the focus to {x} (a.b)*.",
        ),
    ],
)
def test_the_sentence(focus: str, switch: str, sentence: str) -> None:
    assert rationale.sentence(focus, switch) == sentence


@pytest.mark.parametrize(
    ("focus", "switch"), [("the marker", "the lung"), ("the marker", ""), ("", "a.b (c)"), ("", "")]
)
def test_a_sentence_is_taken_apart_again(focus: str, switch: str) -> None:
    assert rationale.blanks(rationale.sentence(focus, switch)) == (focus, switch)


def test_another_sentence_is_not_taken_apart() -> None:
    assert rationale.blanks("It looked at the text.") is None


def test_long_names_can_be_broken_anywhere_sensible() -> None:
    name = "a/b_c-" + "x" * 50 + ".png"
    broken = casewords.breakable(name)
    assert broken.replace(casewords.BREAK_HERE, "") == name
    assert max(len(piece) for piece in broken.split(casewords.BREAK_HERE)) <= casewords.LONGEST_PIECE
    assert casewords.unbroken(broken) == name


def test_only_long_words_are_broken() -> None:
    plain = "Nothing answers at http://host:8000, as it seems."
    assert casewords.breakable(plain) == plain
    broken = casewords.breakable(f"{plain} http://{'a' * 40}/x")
    assert broken.startswith(plain + " http:")
    assert casewords.BREAK_HERE in broken


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0, "0 %"), (0.004, "under 1 %"), (0.5, "50 %"), (0.994, "99 %"), (0.996, "over 99 %"), (1.0, "100 %")],
)
def test_percent_never_claims_certainty(share: float, words: str) -> None:
    assert casewords.percent(share) == words


@pytest.mark.parametrize(
    ("cells", "misleading", "words"),
    [
        (0, 0, "Nothing is marked yet."),
        (1, 0, "1 cell matters."),
        (5, 1, "5 cells matter, 1 misled the model."),
        (0, 2, "2 misled the model."),
    ],
)
def test_marks_in_words(cells: int, misleading: int, words: str) -> None:
    assert casewords.marked(cells, misleading) == words


def test_an_earlier_answer_says_what_a_new_one_does() -> None:
    answer = PreviousAnswer("grid", (1, 2), (3,), "", "", 5.0)
    assert casewords.earlier(answer, True) == (
        "You answered this case: 2 cells matter, 1 misled the model. A new answer replaces it."
    )
    assert casewords.earlier(PreviousAnswer("relabel", (), (), "tb", "", 1.0), True) == (
        "You answered this case: relabelled tb. A new answer replaces it."
    )
    assert casewords.earlier(None, True) == "You answered this case. A new answer replaces it."
    assert casewords.earlier(None, False) == ""


def test_receipts_and_waiting_answers() -> None:
    assert casewords.confirmed(None) == ""
    assert casewords.confirmed(Receipt(3, 17, 20, False)) == "Saved; 17 left."
    assert casewords.confirmed(Receipt(3, 0, 20, False)) == "Saved; that was the last case of this round."
    assert casewords.waiting(0, 0) == ""
    assert casewords.waiting(2, 1) == "2 answers wait to be sent. 1 answer was refused."


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, "open"),
        ({"holder": "Bo", "state": "leased"}, "held"),
        ({"holder": "Ada", "state": "leased"}, "for you"),
        ({"mine": True, "action": "grid", "state": "done"}, "yours"),
        ({"mine": True, "action": "skip", "state": "done"}, "yours: skipped"),
        ({"readers": ["Bo"], "state": "done"}, "done"),
    ],
)
def test_a_row_says_how_it_stands(changed: dict[str, object], words: str) -> None:
    values = {"id": "a.png", "position": 1, "state": "open", "label": "a", "prediction": "b", "confidence": 0.9}
    row = QueueRow.parse({**values, **changed})
    assert casewords.row_state(row, "Ada") == words
    assert casewords.row_reader(row) == (", ".join(row.readers) or row.holder)


def test_each_reason_of_the_server_is_said_in_words() -> None:
    def why(reason: str) -> str:
        edges = (0, 1)
        case = Case("a", 1, 1, 1, 1, 1, "tb", "tb", 1.0, (1.0,), ("tb",), reason, edges, edges, "cam", "", "", "", None)
        return casewords.why_queued(case)

    queued = set(get_args(Reason)) - {"recorded"}  # which no server sends
    sentences = {why(reason) for reason in queued}
    assert len(sentences) == len(queued)
    assert all(sentence.endswith(".") and "_" not in sentence for sentence in sentences)
    assert why("of a later version") == "of a later version"
