"""The pacing of jobs with many files: calls keep the rate that the refusals tell, instead of coming in bursts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from huracan_sync.remote.allowed_rate import AllowedRate
from huracan_sync.remote.rate_limit import Pacing


class SteadyPacing(Pacing):
    """Shared by all threads that use one login."""

    def __init__(self, **options: Any) -> None:
        """As `Pacing`."""
        super().__init__(**options)
        self._allowed = AllowedRate()  # guarded by _free
        self._told = 0.0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """See `Pacing`; waits for its turn."""
        with super().slot():
            self._wait_for_turn()
            yield

    def succeeded(self) -> None:
        """See `Pacing`."""
        super().succeeded()
        with self._free:
            self._allowed.answered(self._clock())

    def throttled(self, pause_s: float, *, calls: bool = False) -> None:
        """See `Pacing`."""
        super().throttled(pause_s, calls=calls)
        with self._free:
            now = self._clock()
            if calls and now - self._told > 1.0:  # one burst of refusals is one objection
                self._told = now
                self._allowed.refused(now)

    def _wait_for_turn(self) -> None:
        while True:  # what was told to pause meanwhile lines up again, so that nothing comes in bursts
            with self._free:
                now = self._clock()
                turn = self._allowed.turn(now)
            if turn > now and not self.hurry.is_set():
                self._sleep(turn - now)
            if self._not_before <= self._clock() or self.hurry.is_set():
                return
            self._wait_out()
