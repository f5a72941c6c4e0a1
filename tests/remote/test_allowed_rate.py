"""What rate a server allows, by its refusals: learned, kept, and tried again when all has been calm."""

import heapq

import pytest

from huracan_sync.remote.allowed_rate import BELOW, CALM_S, LEAST, SETTLING_S, SOON_S, AllowedRate

LATENCY_S, RETRY_AFTER_S = 0.08, 1.25


class Server:
    """Takes so many calls a second, and refuses the others."""

    def __init__(self, per_s):
        self.per_s = per_s
        self.taken, self.refused = [], 0

    def takes(self, now):
        taken = sum(at > now - 1.0 for at in self.taken) < self.per_s
        if taken:
            self.taken.append(now)
        else:
            self.refused += 1
        return taken


def make(rate, server, count, *, at_once=8, now=0.0):
    """Make `count` calls, so many at once; the second in which the last was answered."""
    answers, waiting, refused_at = [], count, -9.0
    free, not_before = at_once, 0.0
    while waiting or answers:
        while waiting and free:
            waiting, free = waiting - 1, free - 1
            at = rate.turn(max(now, not_before))
            heapq.heappush(answers, (at + LATENCY_S, at))
        now, at = heapq.heappop(answers)
        free += 1
        if at < not_before and at > refused_at:  # it was waiting for its turn when all were told to pause
            free -= 1
            at = rate.turn(not_before)
            heapq.heappush(answers, (at + LATENCY_S, at))
        elif server.takes(at):
            rate.answered(now)
        else:
            waiting += 1
            if now - refused_at > 1.0:
                refused_at = now
                rate.refused(now)
            not_before = max(not_before, now + RETRY_AFTER_S)
    return now


@pytest.mark.parametrize("per_s", [5, 12, 40])
def test_a_long_run_takes_little_more_than_the_server_allows(per_s):
    server = Server(per_s)
    count = 40 * per_s
    took = make(AllowedRate(), server, count)
    assert took <= 1.15 * count / per_s
    assert server.refused <= max(0.03 * count, 9)


@pytest.mark.parametrize("before", [4, 8])
def test_who_begins_in_a_second_that_others_have_filled_finds_the_rate_all_the_same(before):
    server = Server(12)
    server.taken = [-0.3] * before
    took = make(AllowedRate(), server, 480)
    assert took <= 1.3 * 480 / 12
    assert server.refused <= 0.03 * 480


def test_without_refusals_nothing_waits():
    rate = AllowedRate()
    for number in range(100):
        assert rate.turn(number / 1000) == number / 1000
        rate.answered(number / 1000)


def test_calls_are_spread_evenly_at_a_little_less_than_what_was_answered():
    rate = AllowedRate()
    for number in range(10):
        rate.answered(number / 100)
    rate.refused(0.1)
    turns = [rate.turn(1.0) for _ in range(3)]
    assert turns == pytest.approx([1.0, 1.0 + 1 / (10 * BELOW), 1.0 + 2 / (10 * BELOW)])


def test_what_is_answered_after_the_refusal_was_allowed_too():
    rate = AllowedRate()
    rate.answered(0.1)
    rate.refused(0.1)
    for _ in range(4):
        rate.answered(0.15)
    rate.turn(0.16)  # a call that was refused lines up again while others are still being answered
    for _ in range(5):
        rate.answered(0.17)
    rate.answered(0.17 + SETTLING_S)
    rate.turn(2.0)
    assert rate.turn(2.0) == pytest.approx(2.0 + 1 / (10 * BELOW))


def test_who_is_refused_at_once_tries_once_a_second():
    rate = AllowedRate()
    rate.refused(0.0)
    rate.turn(1.0)
    assert rate.turn(1.0) == pytest.approx(1.0 + 1 / (LEAST * BELOW))


@pytest.mark.parametrize(("began", "calm_s"), [(-1.0, CALM_S), (-0.5, SOON_S)])
def test_a_higher_rate_is_tried_when_all_has_been_calm(began, calm_s):
    rate = AllowedRate()
    rate.answered(began)
    rate.answered(0.0)
    rate.refused(0.0)
    rate.turn(1.0)
    for second in range(1, int(calm_s)):
        rate.answered(second)
    assert rate.turn(1000.0) < rate.turn(1000.0) - 0.5
    for second in range(int(calm_s) + 1, int(calm_s) + 60):
        rate.answered(second)
    rate.turn(2000.0)
    assert rate.turn(2000.0) < 2000.1
