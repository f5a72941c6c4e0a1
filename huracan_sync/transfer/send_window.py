"""How many parts of large files go out at once: as many as fill the link, and no more.

What is under way when the power fails is sent again, so it should be little; but a sender that waits for an answer
before sending more leaves the link idle meanwhile. So a part takes up room only while its own bytes go out: when the
last of them has left, the next part may go, and the answers come when they come. That keeps one link busy however long
its answers take. More go out at once

- where several connections together bring more bytes a second than few: when a step to more of them was worth next to
  nothing, it is taken back;
- where more parts wait for their answers than go out, so that one more makes little difference.
"""

from __future__ import annotations

import time
from collections.abc import Callable

SIZES = (1, 2, 4, 8)
WORTH = 1.25
"""How many times as fast it must be with the next size to be worth it."""
ROUNDS = 4
"""How often as many parts as go out at once must have left before their speed is taken for the link's."""
ALONE = 32
"""How many parts go out one by one before a second connection is tried: for less it makes little difference."""


SLOW = 32 * 1024 * 1024
"""Bytes a second that one connection carries at most, where more of them bring more."""


class ConnectionPace:
    """How fast one connection carries a part. A slow one is worth two, with half of the part each: in the same memory.

    What an answer takes in any case is told by a call without content, and is no reason for more of them.
    """

    def __init__(self) -> None:
        self._latency = float("inf")
        self._is_slow = False

    @property
    def is_slow(self) -> bool:
        """Whether the bytes of the last part took most of its time, and long."""
        return self._is_slow

    def empty_call(self, seconds: float) -> None:
        """A call without content took so long."""
        self._latency = min(self._latency, seconds)

    def arrived(self, size: int, seconds: float) -> None:
        """Content of this size took so long, its answer included."""
        carried = seconds - self._latency
        self._is_slow = carried > self._latency and size < SLOW * carried


class Passage:
    """One part on its way. Each of its steps counts once."""

    def __init__(self, window: SendWindow) -> None:
        self._window = window
        self._goes_out = True
        self._waits = False
        window.going_out += 1

    def left(self, size: int) -> None:
        """The last of its `size` bytes has left; again, when the call is made again."""
        if self._goes_out:
            self._goes_out, self._waits = False, True
            self._window.going_out -= 1
            self._window.waiting += 1
            self._window.measure(size)

    def end(self) -> None:
        """It has arrived, or failed."""
        self._window.going_out -= self._goes_out
        self._window.waiting -= self._waits
        self._goes_out = self._waits = False


class SendWindow:
    """Lives in the caller's thread."""

    def __init__(self, at_once: int = SIZES[0], *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin small, or with what nobody could go on from after a kill.

        Args:
            at_once: parts that go out at once to begin with, one of `SIZES`.
            clock: monotonic seconds.
        """
        self.going_out = 0
        """Parts whose bytes go out."""
        self.waiting = 0
        """Parts whose bytes have left, and whose answers have not come."""
        self._clock = clock
        self._level = SIZES.index(at_once)
        self._settled = False
        self._rate_before = 0.0
        self._left = 0
        self._bytes = 0
        self._since = 0.0

    @property
    def size(self) -> int:
        """Parts that may go out at once where none waits."""
        return SIZES[self._level]

    @property
    def has_room(self) -> bool:
        """Whether one more may go."""
        # As many as go out at once may also wait at once, on any link.
        return self.going_out < self.size + max(0, self.waiting - self.size) // 2

    def begin(self) -> Passage:
        """A part begins to go out."""
        return Passage(self)

    def measure(self, size: int) -> None:
        """A part of so many bytes has left just now."""
        if self._settled:
            return
        # The first ones began before there were so many (or on a cold link); the next ones are measured.
        first = self.size if self._level else ALONE - ROUNDS
        self._left += 1
        if self._left <= first:
            self._since, self._bytes = self._clock(), 0
            return
        self._bytes += size
        if self._left == first + ROUNDS * self.size:
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
            self._left = 0
