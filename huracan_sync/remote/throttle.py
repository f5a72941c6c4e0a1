"""How fast bytes move over a wire: as its throttle allows, and not at all once it is cut short."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Protocol

from huracan_sync.errors import Stopped

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
