"""The throttle that an option like `--bandwidth-limit` makes: so many bytes a second, over all threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from huracan_sync.remote.forked import renewed_in_child

DEBT_S = 0.1
"""A caller that woke up late may make up for so many seconds."""


class TokenBucket:
    """The throttle that lets `rate` bytes a second pass, shared by all threads and both directions."""

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin empty.

        Args:
            rate: bytes a second.
            clock: monotonic seconds.
        """
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()  # guards _free_at
        self._free_at = clock()
        renewed_in_child(self)

    def renew_in_child(self) -> None:
        """See `forked`."""
        self._lock = threading.Lock()

    def __call__(self, size: int, /) -> float:
        """In how many seconds `size` more bytes may move: bytes queue in the order they were asked for."""
        with self._lock:
            now = self._clock()
            self._free_at = max(self._free_at, now - DEBT_S) + size / self._rate
            return max(0.0, self._free_at - now)
