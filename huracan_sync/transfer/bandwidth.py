"""A limit of bandwidth, shared by all threads and both directions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class TokenBucket:
    """Lets `rate` bytes a second pass. The wire asks it before bytes move."""

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Begin empty.

        Args:
            rate: bytes a second.
            clock: monotonic seconds.
            sleep: waits that many seconds.
        """
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()  # guards _free_at
        self._free_at = clock()

    def __call__(self, size: int, /) -> None:
        """Return when `size` more bytes may move: bytes queue in the order they were asked for."""
        with self._lock:
            now = self._clock()
            self._free_at = max(self._free_at, now) + size / self._rate
            wait = self._free_at - now
        if wait > 0:
            self._sleep(wait)
