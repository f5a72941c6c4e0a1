"""How many parts of large files may be under way at once: as many as fill the link, and no more.

What is under way when the power fails is sent again, so it should be little; but parts that are sent together also
wait for their answers together, and then the link is idle. So it begins with a few, and as long as more of them bring
more bytes a second, there are more; when the last step brought next to nothing, it is taken back.
"""

from __future__ import annotations

import time
from collections.abc import Callable

SIZES = (4, 6, 8, 12)
WORTH = 1.06
"""How many times as fast it must be with the next size to be worth it."""


class Window:
    """Lives in the caller's thread."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin small.

        Args:
            clock: monotonic seconds.
        """
        self._clock = clock
        self._level = 0
        self._under_way = 0
        self._settled = False
        self._rate_before = 0.0
        self._arrived = 0
        self._bytes = 0
        self._since = 0.0

    @property
    def size(self) -> int:
        """Parts that may be under way."""
        return SIZES[self._level]

    @property
    def has_room(self) -> bool:
        """Whether one more may begin."""
        return self._under_way < self.size

    def begin(self) -> None:
        """A part begins."""
        self._under_way += 1

    def end(self, size: int) -> None:
        """A part of `size` bytes has arrived, or failed (0)."""
        self._under_way -= 1
        if self._settled or not size:
            return
        # The first `size` arrivals are of parts that began before there were so many; the next ones are measured.
        self._arrived += 1
        if self._arrived <= self.size:
            self._since, self._bytes = self._clock(), 0
            return
        self._bytes += size
        if self._arrived == 2 * self.size:
            self._judge(self._bytes / max(self._clock() - self._since, 1e-6))

    def _judge(self, rate: float) -> None:
        if self._level and rate < WORTH * self._rate_before:
            self._level -= 1
            self._settled = True
        elif self._level + 1 == len(SIZES):
            self._settled = True
        else:
            self._rate_before = rate
            self._level += 1
            self._arrived = 0
