import pytest
from hypothesis import given
from hypothesis import strategies as st
from IMILLib.stopwatch import Stopwatch


class Clock:
    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watch(clock):
    watch = Stopwatch(clock)
    watch.start()
    return watch


def test_before_the_start_nothing_is_counted(clock):
    watch = Stopwatch(clock)
    clock.now += 50
    watch.touch()
    watch.pause()
    assert (watch.seconds, watch.running) == (0, False)


def test_pauses_do_not_count_and_do_not_nest(clock, watch):
    clock.now += 10
    watch.pause()
    watch.pause()
    clock.now += 100
    assert (watch.seconds, watch.running) == (10, False)
    watch.resume()
    watch.resume()
    clock.now += 5
    assert (watch.seconds, watch.running) == (15, True)


def test_starting_again_counts_from_nought(clock, watch):
    clock.now += 10
    watch.start()
    clock.now += 2
    assert watch.seconds == 2


def test_who_left_is_counted_up_to_the_last_sign(clock, watch):
    clock.now += 30
    watch.touch()
    clock.now += 120
    assert (watch.seconds, watch.running) == (150, True)
    clock.now += 1
    assert (watch.seconds, watch.running) == (30, False)
    clock.now += 3000
    watch.touch()
    clock.now += 7
    assert (watch.seconds, watch.running) == (37, True)


def test_a_sign_does_not_end_a_pause(clock, watch):
    clock.now += 10
    watch.pause()
    clock.now += 10
    watch.touch()
    clock.now += 10
    assert (watch.seconds, watch.running) == (10, False)


def test_pausing_after_leaving_counts_up_to_the_last_sign(clock, watch):
    clock.now += 500
    watch.pause()
    clock.now += 10
    watch.resume()
    clock.now += 3
    assert watch.seconds == 3


def test_an_own_limit(clock):
    watch = Stopwatch(clock, idle_limit=5)
    watch.start()
    clock.now += 6
    assert (watch.seconds, watch.running) == (0, False)


@given(st.lists(st.tuples(st.sampled_from(["touch", "pause", "resume"]), st.integers(0, 200))))
def test_never_more_than_the_time_that_went_by(steps):
    clock = Clock(0.0)
    watch = Stopwatch(clock)
    watch.start()
    counted = 0.0
    running_for = 0.0
    for step, wait in steps:
        running_for += wait if watch.running else 0
        clock.now += wait
        getattr(watch, step)()
        assert 0 <= counted <= watch.seconds <= running_for
        counted = watch.seconds
