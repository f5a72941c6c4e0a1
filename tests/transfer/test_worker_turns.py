"""Who reads or places small files: one worker at a time, until a file takes long."""

import threading

import pytest

from huracan_sync.transfer.worker_pool import LONG_S, ONCE_S, DiskTurns


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def work(turns, clock, files, seconds):
    with turns.turn(files):
        clock.now += seconds
    return turns.are_over


def test_where_a_file_takes_little_the_turns_go_on(clock):
    turns = DiskTurns(clock=clock)
    assert not work(turns, clock, 100, ONCE_S + 99 * LONG_S)
    assert not work(turns, clock, 1, ONCE_S)  # what is loaded once is no matter of the disk


def test_where_it_takes_long_they_are_over(clock):
    turns = DiskTurns(clock=clock)
    assert work(turns, clock, 100, ONCE_S + 101 * LONG_S)
    assert work(turns, clock, 100, 0.0)


class Worker:
    """A thread that has a turn, or waits for one."""

    def __init__(self, turns):
        self.has_it, self.may_end = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._run, args=(turns,))
        self.thread.start()

    def _run(self, turns):
        with turns.turn(1):
            self.has_it.set()
            self.may_end.wait(60)

    def end(self):
        self.may_end.set()
        self.thread.join(60)


def test_one_at_a_time_and_all_at_once_when_they_are_over(clock):
    turns = DiskTurns(clock=clock)
    first = Worker(turns)
    assert first.has_it.wait(60)
    others = [Worker(turns) for _ in range(3)]
    assert not any(other.has_it.wait(0.05) for other in others)
    clock.now += 1
    first.end()
    assert all(other.has_it.wait(60) for other in others)
    for other in others:
        other.end()


def test_a_turn_that_fails_leaves_it_to_the_next(clock):
    turns = DiskTurns(clock=clock)
    with pytest.raises(OSError, match="full"), turns.turn(1):
        raise OSError("full")
    assert not work(turns, clock, 1, 0.0)
