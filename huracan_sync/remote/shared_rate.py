"""The pacing of a worker that has a share of a login's rate.

Dropbox publishes no limit, and refused calls count as well. A worker begins with its share of a modest rate and keeps
its calls apart: each success brings them a little nearer, each objection doubles the distance. So many workers stay
together below a limit that none of them knows.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from huracan_sync.remote.rate_limit import MOST_AT_ONCE, Pacing

LOGIN_CALLS_PER_S = 10.0
"""What all that share a login begin with, together."""
FASTER, SLOWER, SLOWEST = 1.02, 0.5, 1 / 16
"""What a success and an objection make of a rate, and how little of it is left at least."""


class SharedPacing(Pacing):
    """Shared by all threads of one worker."""

    def __init__(self, share: float, *, chance: Callable[[], float] = random.random, **more: Any) -> None:
        """Make a pacing.

        Args:
            share: of the login's rate, and of its calls under way at once.
            chance: a number in [0, 1).
            more: as `Pacing` takes them.
        """
        at_once = max(1, round(MOST_AT_ONCE * share))
        self._rate = LOGIN_CALLS_PER_S * share
        """Calls a second."""
        self._least = self._rate * SLOWEST
        self._draw = chance
        self._next_call = 0.0
        self._slowed = 0.0
        super().__init__(**{"start": min(8, at_once), "most": at_once, "chance": chance, **more})

    @contextmanager
    def slot(self) -> Iterator[None]:
        """See `Pacing`; waits for its turn first."""
        self._wait_turn()
        with super().slot():
            yield

    def succeeded(self) -> None:
        """See `Pacing`."""
        super().succeeded()
        with self._free:
            self._rate *= FASTER

    def throttled(self, pause_s: float, *, calls: bool = False) -> None:  # noqa: ARG002 - this one halves in any case
        """See `Pacing`."""
        super().throttled(pause_s)
        with self._free:
            now = self._clock()
            if now - self._slowed > 1.0:  # one burst of refusals is one objection
                self._slowed, self._rate = now, max(self._least, self._rate * SLOWER)

    def _wait_turn(self) -> None:
        """Wait until so much time has passed since the call before."""
        with self._free:
            now, chance = self._clock(), self._draw
            turn = max(now, self._next_call)
            # Workers that begin together do not go on together; a first call mostly opens sessions and sends nothing.
            distance = 0.75 + 0.5 * chance() if self._next_call else 0.75 * chance()
            self._next_call = turn + distance / self._rate
        if turn > now and not self.hurry.is_set():
            self._sleep(turn - now)
