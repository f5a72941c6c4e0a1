"""The one loop that makes a call again: how often, after how long, and when never."""

import pytest

from huracan_sync.errors import CallRefused, ContentMismatch, HuracanError, RateLimited, ServiceFault, Unreachable
from huracan_sync.remote.errors import Verdict, of_silence, verdict_of
from huracan_sync.remote.rate_limit import Pacing, repeat


class Calls:
    """A call that fails so often before it succeeds, and what was waited meanwhile."""

    def __init__(self, verdict: Verdict, failures: int, patience_s: float = 900.0) -> None:
        self.verdict, self.failures, self.made, self.waits = verdict, failures, 0, []
        self.pacing = Pacing(
            sleep=lambda _: None, chance=lambda: 1.0, observe=lambda wait: self.waits.append(wait.seconds),
            patience_s=patience_s,
        )  # fmt: skip

    def act(self) -> str | Verdict:
        self.made += 1
        return self.verdict if self.made <= self.failures else "done"

    def run(self, *, repeatable: bool = True) -> str:
        return repeat(self.act, self.pacing, "files/upload", repeatable=repeatable)


FAULT = Verdict(ServiceFault("503"), retry=True, committed=None)
BUSY = Verdict(RateLimited("429"), retry=True, attempts=None, after_s=60.0, throttled=True)


@pytest.mark.parametrize(
    ("verdict", "attempts"),
    [
        (FAULT, 8),
        (of_silence(Unreachable("no answer", sent=True)), 5),
        (Verdict(ContentMismatch("damaged"), retry=True, attempts=2), 2),
        (Verdict(CallRefused("400")), 1),
        (BUSY, 12),  # a minute and ever more each: a quarter of an hour in all
        (verdict_of(ServiceFault("a page")), 8),
        (verdict_of(Unreachable("no answer", sent=False)), 5),
        (verdict_of(CallRefused("no")), 1),
        (verdict_of(RateLimited("429", retry_after_s=60.0)), 12),
        (verdict_of(RateLimited("429", retry_after_s=1000.0)), 1),
    ],
)
def test_how_often_a_call_is_made(verdict: Verdict, attempts: int) -> None:
    calls = Calls(verdict, failures=1000)
    with pytest.raises(type(verdict.error)):
        calls.run()
    assert calls.made == attempts
    calls = Calls(verdict, failures=attempts - 1)
    assert calls.run() == "done"


def test_the_pauses_grow_and_the_servers_own_are_kept_to() -> None:
    calls = Calls(FAULT, failures=7)
    calls.run()
    assert calls.waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
    calls = Calls(BUSY, failures=4)
    calls.run()
    assert calls.waits == [60.5, 61.0, 62.0, 64.0]  # many machines must not all return every second


@pytest.mark.parametrize(("sent", "made"), [(True, 1), (False, 5)])
def test_what_may_have_happened_is_not_done_twice(*, sent: bool, made: int) -> None:
    error = Unreachable("no answer", sent=sent)
    calls = Calls(of_silence(error), failures=1000)
    with pytest.raises(HuracanError) as caught:
        calls.run(repeatable=False)
    assert calls.made == made
    assert caught.value.facts.get("committed", False) is (None if sent else False)
