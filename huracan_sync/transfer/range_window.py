"""How a large file is asked for: in few long ranges, more of them at once only while that brings more. Pure.

Where a connection is fast, each further one costs more CPU than it brings; where it is slow, four bring four times as
much. So two are begun with, and the others when a block took too long. A range that is nearly there makes room for
the next one, so that nobody waits for an answer between them.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Container

MOST = 4
"""Ranges under way at once. Each is verified and kept block by block: a kill costs less than a block of each."""
FIRST = 2
FAST = 64 * 1024 * 1024
"""Bytes a second of one connection that are enough: two of them fill a line of a gigabit."""
NEARLY = 2
"""Blocks that a range which is nearly there still misses, at least: more where they arrive faster than an answer."""
LONGEST = 64
SHORTEST = 2
"""Blocks that one request asks for, at most and at least."""


class RangeWindow:
    """Which ranges of one file are under way, and how many may be."""

    def __init__(self) -> None:
        self._missing: dict[int, int] = {}  # by the first block of a range
        self._at_once = FIRST
        self._answer = math.inf  # seconds to the first byte of a range, the least that was seen
        self._blocks, self._seconds = 0, 0.0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._missing

    def has_room(self) -> bool:
        """Whether another range may be asked for now."""
        nearly = self._nearly()
        busy = sum(missing > nearly for missing in self._missing.values())
        return busy < self._at_once and len(self._missing) < MOST

    def _nearly(self) -> int:
        """Blocks of a range that arrive while the next one is asked for."""
        if not self._seconds or math.isinf(self._answer):
            return NEARLY
        return max(NEARLY, math.ceil(self._answer * self._blocks / self._seconds))

    def begin(self, blocks: range) -> None:
        """A range is asked for."""
        self._missing[blocks.start] = len(blocks)

    def answered(self, seconds: float) -> None:
        """The first byte of a range has come, so long after it was asked for."""
        self._answer = min(self._answer, seconds)

    def arrived(self, number: int, size: int, seconds: float) -> None:
        """A block has arrived, so many bytes in so much time."""
        self._missing[max(first for first in self._missing if first <= number)] -= 1
        self._blocks, self._seconds = self._blocks + 1, self._seconds + seconds
        if size < FAST * seconds:
            self._at_once = MOST

    def end(self, blocks: range) -> None:
        """A range has come to its end, whole or not."""
        del self._missing[blocks.start]


def ranges(count: int, arrived: Container[int]) -> deque[range]:
    """How the blocks of a file that have not arrived are asked for: in few long ranges, a request each."""
    missing = [number for number in range(count) if number not in arrived]
    longest = max(SHORTEST, min(LONGEST, -(-len(missing) // MOST)))
    made: deque[range] = deque()
    for number in missing:
        if made and made[-1].stop == number and len(made[-1]) < longest:
            made[-1] = range(made[-1].start, number + 1)
        else:
            made.append(range(number, number + 1))
    return made
