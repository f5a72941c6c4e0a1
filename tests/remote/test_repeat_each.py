"""Of many things in one call those are asked for again that may be done later, and no others."""

import pytest

from huracan_sync.errors import Conflict, RateLimited, Revoked
from huracan_sync.remote.errors import FAULT_ATTEMPTS, Verdict
from huracan_sync.remote.rate_limit import Pacing
from huracan_sync.remote.repeat_each import repeat_each

LATER, NEVER = Verdict(RateLimited("later"), retry=True), Verdict(Conflict("never"))


@pytest.fixture
def run():
    """Repeats calls whose verdicts are given, the last of them for ever; what each call was about, and the waits."""

    def repeated(*rounds, count=3):
        asked, waits = [], []

        def call(waiting):
            verdicts = rounds[min(len(asked), len(rounds) - 1)]
            asked.append(list(waiting))
            return {number: verdicts[number] for number in waiting}

        repeat_each(call, count, Pacing(sleep=waits.append, clock=lambda: 0.0), "files/x")
        return asked, waits

    return repeated


def test_only_what_waits_is_asked_for_again(run):
    asked, waits = run([None, LATER, LATER], [None, None, LATER], [None, None, None])
    assert asked == [[0, 1, 2], [1, 2], [2]]
    assert len(waits) == 2


def test_what_is_final_is_left(run):
    assert run([NEVER, LATER, None], [NEVER, None, None])[0] == [[0, 1, 2], [1]]


def test_nothing_asks_for_ever(run):
    asked, _ = run([LATER, None, LATER])
    assert (len(asked), asked[-1]) == (FAULT_ATTEMPTS, [0, 2])


def test_nothing_to_ask_for_makes_no_call(run):
    assert run([], count=0) == ([], [])


def test_an_error_of_the_call_itself_ends_it():
    def call(_):
        raise Revoked("over")

    with pytest.raises(Revoked):
        repeat_each(call, 1, Pacing(sleep=lambda _: None), "files/x")
