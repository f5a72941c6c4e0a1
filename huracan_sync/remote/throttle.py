"""How fast bytes move over a wire: as its throttle allows, and not at all once it is cut short."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from huracan_sync.errors import Stopped
from huracan_sync.remote.forked import renewed_in_child

DEBT_S = 0.1
"""Who woke up late may make up for so many seconds."""
SHAPED = 16 * 1024
"""Bytes at a time where a throttle shapes them: so little that no connection is silent for long at a low rate."""


class Throttle(Protocol):
    """Asked before bytes move."""

    def __call__(self, size: int, /) -> float:
        """In how many seconds `size` more bytes may move."""


class Shape:
    """The throttle of a wire, and whether it was cut short. Safe for several threads."""

    def __init__(self, throttle: Throttle | None) -> None:
        self.throttle = throttle
        self.is_cut = threading.Event()

    def most(self, size: int) -> int:
        """How many of `size` bytes move at a time."""
        return min(size, SHAPED) if self.throttle else size

    def wait(self, size: int) -> None:
        """Return when `size` more bytes may move.

        Raises:
            Stopped: none may.
        """
        self.is_cut.wait(self.throttle(size) if self.throttle and size else 0.0)
        self.check()

    def check(self) -> None:
        """Raise `Stopped` when nothing may move."""
        if self.is_cut.is_set():
            raise Stopped("ended early; what was under way was cut short")

    def pieces(self, body: Iterable[bytes | memoryview]) -> Iterator[memoryview]:
        """The body in pieces, each when it may move."""
        for piece in body:
            view = memoryview(piece)
            for at in range(0, len(view), SHAPED):
                part = view[at : at + SHAPED]
                self.wait(len(part))
                yield part


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
