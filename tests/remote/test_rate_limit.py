"""How much at once, how long to wait: with a clock of our own, so nothing here waits."""

import threading

import pytest

from huracan_sync.remote.rate_limit import Pacing, Wait


class Time:
    def __init__(self):
        self.now = 100.0
        self.slept = []

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def time():
    return Time()


def pacing(time, **options):
    return Pacing(clock=time.clock, sleep=time.sleep, chance=lambda: 1.0, **options)


def test_it_grows_by_one_for_a_round_of_welcome_calls(time):
    one = pacing(time, start=4, most=6)
    for _ in range(5):
        one.succeeded()
    assert one.limit == 5
    for _ in range(100):
        one.succeeded()
    assert one.limit == 6


def test_one_burst_of_refusals_halves_it_once(time):
    one = pacing(time, start=16)
    for _ in range(10):
        one.throttled(1.0)
    assert one.limit == 8
    time.now += 5
    one.throttled(1.0)
    assert one.limit == 4
    for _ in range(10):
        time.now += 5
        one.throttled(0.0)
    assert one.limit == 1


def test_everyone_waits_out_a_pause_that_one_was_asked_for(time):
    one = pacing(time)
    one.throttled(15.0)
    with one.slot():
        assert time.now == 115.0


def test_full_jitter_grows_and_is_bounded(time):
    one = pacing(time)
    assert [one.backoff(n) for n in (1, 2, 3, 7, 50)] == [0.5, 1.0, 2.0, 30.0, 30.0]
    assert Pacing(chance=lambda: 0.0).backoff(5) == 0.0


def test_every_wait_is_shown_before_it_is_made(time):
    shown = []
    one = pacing(time, observe=lambda wait: shown.append((wait, list(time.slept))))
    one.pause(Wait(3.0, "Dropbox asks to slow down", "files/upload", 1))
    assert shown == [(Wait(3.0, "Dropbox asks to slow down", "files/upload", 1), [])]
    assert time.slept == [3.0]


def test_no_more_slots_than_the_limit_and_commits_one_at_a_time():
    one = Pacing(start=3, most=3)
    inside, most, commits, lock = [0], [0], [0], threading.Lock()

    def work():
        with one.slot():
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            with one.commit():
                commits[0] += 1
                assert commits[0] == 1
                commits[0] -= 1
            with lock:
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert 1 <= most[0] <= 3
