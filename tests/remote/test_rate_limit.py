"""How much at once, how long to wait: with a clock of our own, so nothing here waits."""

import itertools
import threading

import pytest

from huracan_sync.remote.rate_limit import Pacing, Wait
from huracan_sync.remote.shared_rate import SharedPacing
from huracan_sync.remote.steady_rate import SteadyPacing


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


def shared(time, share):
    return SharedPacing(share, clock=time.clock, sleep=time.sleep, chance=lambda: 1.0)


def calls(one, time, count):
    """When each of so many calls began. (With the chance of these tests a call waits 1.25 times its turn.)"""
    began = []
    for _ in range(count):
        with one.slot():
            began.append(time.now)
        one.succeeded()
    return began


def test_a_share_of_a_rate_keeps_calls_apart_and_tries_a_little_more_each_time(time):
    began = calls(shared(time, 1.25 * 0.2), time, 30)
    gaps = [after - before for before, after in itertools.pairwise(began)]
    assert gaps[0] < gaps[1] == pytest.approx(0.5, rel=0.1)
    assert all(after < before for before, after in itertools.pairwise(gaps[1:]))
    assert gaps[-1] > 0.2
    assert calls(pacing(time), time, 3)[-1] == time.now  # without one they follow each other at once


def test_an_objection_doubles_the_distance_down_to_a_least_rate(time):
    one = shared(time, 1.25)
    for _ in range(20):
        time.now += 5
        one.throttled(0.0)
    _, first, second = calls(one, time, 3)
    assert second - first == pytest.approx(1.6, rel=0.1)


def test_who_waits_for_a_turn_does_not_when_the_run_ends_early(time):
    one = shared(time, 0.001)
    calls(one, time, 1)
    one.hurry.set()
    before = time.now
    calls(one, time, 1)
    assert time.now == before


def test_calls_line_up_at_the_rate_that_a_refusal_told(time):
    one = SteadyPacing(clock=time.clock, sleep=time.sleep, chance=lambda: 1.0)
    for _ in range(10):
        with one.slot():
            one.succeeded()
    assert time.slept == []
    one.throttled(2.0, calls=True)
    for _ in range(3):
        with one.slot():
            pass
    assert time.slept == pytest.approx([2.0, 1 / 9.6, 1 / 9.6])


def test_a_lock_that_is_taken_tells_no_rate(time):
    one = SteadyPacing(clock=time.clock, sleep=time.sleep, chance=lambda: 1.0)
    one.throttled(0.5)
    for _ in range(3):
        with one.slot():
            pass
    assert time.slept == [0.5]


def test_who_waits_for_a_turn_when_all_are_told_to_pause_lines_up_again(time):
    one = SteadyPacing(clock=time.clock, sleep=time.sleep, chance=lambda: 1.0)
    one.succeeded()
    one.throttled(0.0, calls=True)
    with one.slot():
        pass
    told = iter([5.0])

    def sleep(seconds):
        for pause in told:
            one.throttled(pause, calls=True)
        time.sleep(seconds)

    one._sleep = sleep
    with one.slot():
        assert time.now >= 105.0
