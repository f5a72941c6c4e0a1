"""How many calls are under way at once, and how long to wait when Dropbox objects.

Laws: a pause that one call was asked for, all calls wait out. Concurrency grows by one for every round of calls that
all succeeded, and halves when the server objects. Dropbox takes one write at a time in a namespace, so commits queue
here instead of being refused there. Every wait is a fact shown to the observer: who asked, and for how long.

`repeat` is the one loop that makes a call again. What an answer means, and how often such a call may be made, is
decided in `remote.errors`. A caller of this loop never retries.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from huracan_sync.remote.errors import Verdict
from huracan_sync.remote.forked import renewed_in_child

T = TypeVar("T")

MOST_AT_ONCE = 24
"""Calls of one login under way at once, at most."""


class Wait(msgspec.Struct, frozen=True):
    """A pause before a call is made again."""

    seconds: float
    why: str
    """A sentence: who asked, or what happened."""
    route: str
    attempt: int
    """How often the call has been made, this failure included."""


def unseen(_: Wait) -> None:
    """The default observer: does nothing."""


class Pacing:
    """Shared by all threads that use one login."""

    def __init__(
        self,
        *,
        start: int = 8,
        most: int = MOST_AT_ONCE,
        patience_s: float = 900.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
        chance: Callable[[], float] | None = None,
        observe: Callable[[Wait], None] = unseen,
    ) -> None:
        """Make a pacing.

        Args:
            start: calls under way at once, to begin with.
            most: calls under way at once, at most.
            patience_s: how long one call may wait in all before its error is raised.
            clock: monotonic seconds.
            sleep: waits that many seconds; by default until `hurry` is set, at most.
            chance: a number in [0, 1); by default random.
            observe: told before every wait.
        """
        self.hurry = threading.Event()
        """Set when nobody shall wait any more, because the run ends early."""
        self.patience_s = patience_s
        self.observe = observe
        self._most = most
        self._clock = clock
        self._sleep = sleep or self.hurry.wait
        self._chance = chance
        self._free = threading.Condition()  # guards the four below
        self._limit = float(start)
        self._running = 0
        self._not_before = 0.0
        self._last_objection = 0.0
        self._commits = threading.Lock()
        renewed_in_child(self)

    def renew_in_child(self) -> None:
        """See `forked`: calls that were under way are the parent's."""
        threading.Event.__init__(self.hurry)  # in place: `_sleep` may be its wait
        self._free, self._running, self._commits = threading.Condition(), 0, threading.Lock()

    @property
    def limit(self) -> int:
        """Calls that may be under way at once, now."""
        return int(self._limit)

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Room for one call; waits for it, and for the end of a pause."""
        with self._free:
            while self._running >= int(self._limit):
                self._free.wait()
            self._running += 1
        try:
            self._wait_out()
            yield
        finally:
            with self._free:
                self._running -= 1
                self._free.notify()

    @contextmanager
    def commit(self) -> Iterator[None]:
        """Only one commit at a time: the namespace has one write lock."""
        with self._commits:
            yield

    def succeeded(self) -> None:
        """A call succeeded."""
        with self._free:
            self._limit = min(float(self._most), self._limit + 1.0 / self._limit)
            self._free.notify()

    def throttled(self, pause_s: float, *, calls: bool = False) -> None:  # noqa: ARG002 - see steady_rate
        """The server asked everyone to slow down. `calls`: there were too many of them, whatever they did."""
        with self._free:
            now = self._clock()
            self._not_before = max(self._not_before, now + pause_s)
            if now - self._last_objection > 1.0:  # one burst of refusals is one objection
                self._last_objection = now
                self._limit = max(1.0, self._limit / 2)

    def backoff(self, attempt: int) -> float:
        """Seconds to wait after the `attempt`-th failure when the server did not say: full jitter."""
        if self._chance is None:
            import random  # noqa: PLC0415 - 5 ms, and only what goes wrong needs it

            self._chance = random.random
        return self._chance() * min(30.0, 0.5 * 2.0 ** min(attempt - 1, 10))

    def pause(self, wait: Wait) -> None:
        """Tell the observer, then wait."""
        self.observe(wait)
        self._sleep(wait.seconds)

    def _wait_out(self) -> None:
        while (left := self._not_before - self._clock()) > 0 and not self.hurry.is_set():
            self._sleep(left)


def repeat(call: Callable[[], T | Verdict], pacing: Pacing, route: str, *, repeatable: bool = True) -> T:
    """Call `call` until it succeeds or its verdict is final.

    Args:
        call: makes the call once; returns its result, or the verdict on its failure.
        pacing: how long to wait, and who watches the waits.
        route: what is called, for the observer.
        repeatable: whether making the call twice does no harm.

    Raises:
        HuracanError: of the last verdict. Its fact `committed` is None when the call may have taken effect.
    """
    attempt, waited = 0, 0.0
    while True:
        outcome = call()
        if not isinstance(outcome, Verdict):
            return outcome
        attempt += 1
        pause = _pause_before_retry(outcome, attempt, waited, pacing, repeatable=repeatable)
        if pause is None:
            raise outcome.error
        if outcome.throttled:
            pacing.throttled(pause, calls=outcome.after_s is not None)
        pacing.pause(Wait(pause, str(outcome.error), route, attempt))
        waited += pause


def _pause_before_retry(
    verdict: Verdict, attempt: int, waited: float, pacing: Pacing, *, repeatable: bool
) -> float | None:
    """Seconds to wait, or None when the call must not be made again."""
    if not verdict.retry:
        return None
    if verdict.committed is None and not repeatable:
        verdict.error.facts["committed"] = None
        return None
    if verdict.attempts is not None and attempt >= verdict.attempts:
        return None
    pause = pacing.backoff(attempt)
    if verdict.after_s is not None:
        # All who were refused together should not return together; and refused calls count against the rate, so many
        # machines that came back every second or two would be refused for ever.
        pause += verdict.after_s
    return pause if waited + pause <= pacing.patience_s else None
