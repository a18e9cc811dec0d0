"""The reader's session against a real server process: what she does arrives once, whatever happens in between."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from IMILLib.review import Review

from imil.store import Action
from imil.study import Study
from tests.monailabel_app.server_process import Server, serve, stop
from tests.reviewable import grey_study, open_round
from tests.slicer_module.bad_server import BadServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("review")
    grey_study(folder / "study", per_class=10)
    running = serve(folder / "study", folder / "server.log")
    yield running
    stop(running)


@pytest.fixture
def study(server: Server) -> Iterator[Study]:
    """The server's study with a fresh round open."""
    opened = Study.open(server.study)
    open_round(opened, [case.id for case in opened.cases if case.split == "train"][:8])
    yield opened
    opened.store.close()


@pytest.fixture
def sessions() -> Iterator[list[Review]]:
    """Reviews to be closed at the end; afterwards none of their threads is left."""
    opened: list[Review] = []
    yield opened
    for review in opened:
        review.close()
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("IMIL")]
    assert not left


MakeReview = Callable[..., Review]


@pytest.fixture
def connect(sessions: list[Review], tmp_path: Path, server: Server, study: Study) -> MakeReview:
    def make(reader: str = "Ada", *, url: str = server.url, folder: str = "kept", ahead: int = 2) -> Review:
        review = Review(tmp_path / folder, ahead=ahead)
        sessions.append(review)
        review.connect(url, reader)
        until(review, lambda: review.connection == "connected" and review.queue is not None)
        if review.waiting == "" or "Fetching" in review.waiting:
            until(review, lambda: review.case is not None)
        return review

    return make


def until(review: Review, condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, (review.connection, review.waiting, review.problem, review.pending)
        review.pump(0.02)


def settle(review: Review, seconds: float = 20.0) -> None:
    """Until no request is under way."""
    until(review, lambda: not review.busy and not any(not entry.kind for entry in review.pending), seconds)


def events(study: Study) -> list:
    run = study.store.latest_run()
    assert run is not None
    return study.store.events(run.id)


def mark(review: Review, *cells: int) -> None:
    assert review.case is not None
    review.case.marks.replace(cells, ())


def test_connecting_brings_queue_and_first_case(connect: MakeReview) -> None:
    review = connect()
    assert review.queue is not None
    assert review.queue.total == 8
    assert review.case is not None
    assert review.case.case.position == 1
    assert review.case.picture.pixels.shape == (48, 64)
    assert review.case.heat_map.max() == 1.0
    assert review.waiting == ""


def test_next_case_is_there_at_once_and_the_answer_arrives(connect: MakeReview, study: Study) -> None:
    review = connect()
    settle(review)
    mark(review, 5, 6)
    first = review.case.case.id
    review.submit("the model was focused on the marker so I switched the focus to the lung")
    assert review.case is not None
    assert review.case.case.position == 2
    assert review.pending
    settle(review)
    assert [(event.case_id, event.cells, event.action) for event in events(study)] == [(first, (5, 6), Action.GRID)]
    assert review.last_receipt is not None
    assert review.last_receipt.remaining == 7
    assert "marker" in events(study)[0].rationale


def test_whole_queue(connect: MakeReview, study: Study) -> None:
    review = connect()
    for number in range(8):
        until(review, lambda: review.case is not None)
        assert review.case.case.position == number + 1
        mark(review, number)
        review.submit()
    settle(review)
    until(review, lambda: "Continue training" in review.waiting)
    assert [event.cells for event in events(study)] == [(number,) for number in range(8)]
    assert review.case is None


def test_earlier_answer_can_be_changed(connect: MakeReview, study: Study) -> None:
    review = connect()
    mark(review, 1)
    review.submit("first")
    settle(review)
    review.previous()
    until(review, lambda: review.case is not None and review.case.case.position == 1)
    settle(review)
    assert review.case.answered
    assert review.case.marks.cells == (1,)
    assert review.case.rationale == "first"
    mark(review, 2)
    review.submit("second")
    settle(review)
    assert [(event.cells, event.replace) for event in events(study)] == [((1,), False), ((2,), True)]
    run = study.store.latest_run()
    assert [event.cells for event in study.store.effective(run.id)] == [(2,)]
    # The next open case comes, not the one after the changed one by chance.
    until(review, lambda: review.case is not None)
    assert review.case.case.position == 2


def test_earlier_answer_is_there_in_a_new_session(connect: MakeReview) -> None:
    first = connect()
    mark(first, 3)
    first.submit("why")
    settle(first)
    second = connect(folder="other")
    row = next(row for row in second.queue.rows if row.position == 1)
    assert row.mine
    assert row.action == "grid"
    second.open(row.id)
    until(second, lambda: second.case is not None and second.case.case.position == 1)
    assert second.case.marks.cells == (3,)
    assert second.case.rationale == "why"


def test_skip_relabel_exclude(connect: MakeReview, study: Study) -> None:
    review = connect()
    label = review.case.case.label
    with pytest.raises(ValueError, match="at least one cell"):
        review.submit()
    with pytest.raises(ValueError, match="can't be"):
        review.relabel(label)
    with pytest.raises(ValueError, match="unfit"):
        review.exclude(" ")
    review.skip()
    until(review, lambda: review.case is not None)
    review.exclude("not a chest")
    until(review, lambda: review.case is not None)
    review.relabel("tb" if review.case.case.label == "normal" else "normal")
    settle(review)
    assert [event.action for event in events(study)] == [Action.SKIP, Action.EXCLUDE, Action.RELABEL]


def test_two_readers_never_get_the_same_case(connect: MakeReview, study: Study) -> None:
    ada, ben = connect("Ada"), connect("Ben", folder="ben")
    for _ in range(4):
        for review in (ada, ben):
            review.refresh()
            settle(review)
            if review.case is not None:
                mark(review, 0)
                review.submit()
                settle(review)
    answered = [event.case_id for event in events(study)]
    assert len(set(answered)) == len(answered) == 8
    assert {event.reader for event in events(study)} == {"Ada", "Ben"}
    assert ada.problem is None
    assert ben.problem is None


def test_reader_is_told_that_the_rest_is_with_others(connect: MakeReview) -> None:
    connect("Ada", ahead=20)
    ben = connect("Ben", folder="ben")
    assert ben.case is None
    assert "other readers" in ben.waiting


def test_disconnecting_gives_the_cases_back(connect: MakeReview) -> None:
    ada = connect("Ada", ahead=20)
    settle(ada)
    ada.disconnect()
    until(ada, lambda: not ada.busy)
    ben = connect("Ben", folder="ben")
    until(ben, lambda: ben.case is not None)
    assert ben.case.case.position == 1


def test_answers_wait_for_a_dead_server_and_arrive_once(connect: MakeReview, server: Server, study: Study) -> None:
    with BadServer(server.url) as proxy:
        review = connect(url=proxy.url)
        settle(review)
        proxy.mode = "refuse"
        mark(review, 7)
        review.submit("kept")
        until(review, lambda: review.connection == "offline")
        assert len(review.pending) == 1
        assert review.problem is not None
        assert "Nothing answers" in review.problem.sentence
        # The cases fetched ahead can be answered all the same.
        assert review.case is not None
        assert review.case.case.position == 2
        mark(review, 8)
        review.submit()
        assert events(study) == []
        proxy.mode = "pass"
        until(review, lambda: review.connection == "connected" and not review.pending, 40)
        settle(review)
    assert [event.cells for event in events(study)] == [(7,), (8,)]
    assert review.problem is None


def test_answers_outlive_the_session(connect: MakeReview, server: Server, study: Study) -> None:
    with BadServer(server.url) as proxy:
        first = connect(url=proxy.url)
        settle(first)
        proxy.mode = "refuse"
        mark(first, 4)
        first.submit()
        until(first, lambda: first.connection == "offline")
        proxy.mode = "pass"
        second = connect(url=proxy.url)  # Slicer was killed and started again: nothing of the first is closed
        until(second, lambda: not second.pending)
        settle(second)
    assert [event.cells for event in events(study)] == [(4,)]


def test_reply_that_never_comes_is_no_second_answer(connect: MakeReview, server: Server, study: Study) -> None:
    with BadServer(server.url) as proxy:
        review = connect(url=proxy.url)
        settle(review)
        proxy.mode = "cut"  # the request gets through, the reply doesn't
        mark(review, 9)
        review.submit()
        until(review, lambda: review.connection == "offline")
        proxy.mode = "pass"
        until(review, lambda: review.connection == "connected" and not review.pending, 40)
        settle(review)
    assert [event.cells for event in events(study)] == [(9,)]


def test_unsubmitted_marks_outlive_the_session(connect: MakeReview) -> None:
    first = connect()
    mark(first, 2, 3)
    first.case.rationale = "half a sen"
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        first.pump(0.02)
    second = connect()  # the first was killed
    assert second.case.case.id == first.case.case.id
    assert second.case.marks.cells == (2, 3)
    assert second.case.rationale == "half a sen"
    assert second.case.seconds >= 1.0


def test_marks_survive_looking_at_another_case(connect: MakeReview) -> None:
    review = connect(ahead=0)
    mark(review, 11)
    review.next()
    until(review, lambda: review.case is not None and review.case.case.position == 2)
    review.previous()
    until(review, lambda: review.case is not None and review.case.case.position == 1)
    assert review.case.marks.cells == (11,)


def test_round_closed_by_somebody_else(connect: MakeReview, study: Study) -> None:
    review = connect()
    settle(review)
    run = study.store.latest_run()
    study.store.close_round(run.id, 1, early=True)
    mark(review, 1)
    review.submit()
    until(review, lambda: any(entry.kind for entry in review.pending))
    assert review.problem.kind == "stale"
    assert review.problem.choices == ("discard",)
    assert "round 1" in review.problem.sentence
    review.resolve(review.problem.key, "discard")
    assert review.pending == []
    assert review.problem is None
    until(review, lambda: review.case is None)
    assert "Training was stopped" in review.waiting


def test_round_closed_while_a_case_is_open(connect: MakeReview, study: Study) -> None:
    review = connect()
    mark(review, 1)
    study.store.close_round(study.store.latest_run().id, 1, early=True)
    review.refresh()
    until(review, lambda: review.case is None)
    assert review.problem.kind == "stale"
    assert "was closed while" in review.problem.sentence


def test_case_answered_in_another_window_can_be_replaced(connect: MakeReview, study: Study) -> None:
    first, second = connect(), connect(folder="second window")
    assert first.case.case.id == second.case.case.id
    mark(first, 1)
    first.submit()
    settle(first)
    mark(second, 2)
    second.submit()
    until(second, lambda: any(entry.kind for entry in second.pending))
    assert second.problem.kind == "answered"
    assert second.problem.choices == ("replace", "discard")
    second.resolve(second.problem.key, "replace")
    settle(second)
    assert [event.cells for event in events(study)] == [(1,), (2,)]


def test_lost_reservation_is_told(connect: MakeReview, study: Study) -> None:
    ada = connect("Ada", ahead=0)
    settle(ada)
    run = study.store.latest_run()
    study.store.release(run.id, 1, "Ada")
    ben = connect("Ben", folder="ben", ahead=0)
    assert ben.case.case.id == ada.case.case.id
    mark(ada, 1)
    ada.submit()
    until(ada, lambda: any(entry.kind for entry in ada.pending))
    assert ada.problem.kind == "taken"
    assert "'Ben'" in ada.problem.sentence
    assert ada.problem.choices == ("retry", "discard")
    until(ada, lambda: ada.case is not None)  # the way on


@pytest.mark.parametrize("mode", ["garbage", "html", "cut", "wrong types"])
def test_nonsense_is_told_in_a_sentence(sessions: list[Review], server: Server, tmp_path: Path, mode: str) -> None:
    with BadServer(server.url) as proxy:
        proxy.mode = mode
        review = Review(tmp_path)
        sessions.append(review)
        review.connect(proxy.url, "Ada")
        until(review, lambda: review.problem is not None)
        assert review.connection == "disconnected"
        assert review.problem.sentence.endswith(".")
        assert "Traceback" not in review.problem.sentence


def test_connecting_needs_a_name_and_an_address(sessions: list[Review], tmp_path: Path) -> None:
    review = Review(tmp_path)
    sessions.append(review)
    with pytest.raises(ValueError, match="name"):
        review.connect("http://127.0.0.1:1", " ")
    with pytest.raises(ValueError, match="ftp"):
        review.connect("ftp://somewhere", "Ada")


def test_pauses_are_left_out_of_the_time(connect: MakeReview, study: Study) -> None:
    review = connect()
    review.pause_case()
    time.sleep(1.0)
    review.resume_case()
    mark(review, 1)
    review.submit()
    settle(review)
    assert events(study)[0].seconds < 0.9


def test_file_that_is_no_answer_is_set_aside_and_told(
    connect: MakeReview, sessions: list[Review], server: Server, study: Study, tmp_path: Path
) -> None:
    folder = tmp_path / "kept" / "answers"
    folder.mkdir(parents=True)
    (folder / "20260101T000000-broken.json").write_text('{"answer": ')
    review = Review(tmp_path / "kept")
    sessions.append(review)
    told: list[str] = []
    review.observe(
        lambda topic: told.append(review.problem.sentence) if topic == "problem" and review.problem else None
    )
    review.connect(server.url, "Ada")
    until(review, lambda: review.case is not None)
    assert len(told) == 1
    assert "set aside" in told[0]
    assert [path.read_text() for path in folder.rglob("*broken*")] == ['{"answer": ']
    mark(review, 1)
    review.submit()
    settle(review)
    assert len(events(study)) == 1


def test_round_closed_while_the_server_was_out_of_reach(connect: MakeReview, server: Server, study: Study) -> None:
    with BadServer(server.url) as proxy:
        review = connect(url=proxy.url)
        settle(review)
        mark(review, 1)
        proxy.mode = "refuse"
        review.refresh()
        until(review, lambda: review.connection == "offline")
        assert review.case is not None
        study.store.close_round(study.store.latest_run().id, 1, early=True)
        proxy.mode = "pass"
        until(review, lambda: review.connection == "connected", 40)
        until(review, lambda: review.case is None)
    assert review.problem.kind == "stale"


def test_after_going_back_the_next_case_is_the_one_that_follows(connect: MakeReview) -> None:
    review = connect(ahead=1)
    for position in (2, 3, 4, 5):
        review.next()
        until(review, lambda position=position: review.case is not None and review.case.case.position == position)
        settle(review)
    review.previous()
    review.previous()
    until(review, lambda: review.case is not None and review.case.case.position == 3)
    settle(review)
    mark(review, 1)
    review.submit()
    until(review, lambda: review.case is not None)
    assert review.case.case.position == 4


def test_decision_isn_t_covered_by_what_is_merely_told(connect: MakeReview, study: Study) -> None:
    review = connect()
    settle(review)
    study.store.close_round(study.store.latest_run().id, 1, early=True)
    mark(review, 1)
    review.submit()
    until(review, lambda: any(entry.kind for entry in review.pending))
    settle(review)
    assert review.problem.choices == ("discard",)
    assert "normal/case" in review.problem.sentence
    review.resolve(review.problem.key, "discard")
    while review.problem is not None:
        assert not review.problem.choices
        review.dismiss_problem()


def test_old_failure_is_gone_with_a_new_connection(sessions: list[Review], server: Server, tmp_path: Path) -> None:
    review = Review(tmp_path)
    sessions.append(review)
    told: list[object] = []
    review.observe(lambda topic: told.append(review.problem) if topic == "problem" else None)
    review.connect("http://127.0.0.1:1", "Ada")
    until(review, lambda: review.problem is not None)
    review.connect(server.url, "Ada")
    assert told[-1] is None
    until(review, lambda: review.connection == "connected")


def test_reason_without_signs_that_are_no_text(connect: MakeReview, study: Study) -> None:
    review = connect()
    mark(review, 1)
    review.submit("the \0marker \ud800")
    settle(review)
    assert [event.rationale for event in events(study)] == ["the marker "]
