"""Parts of a remote file, several at once, and a file read front to back with the next parts on their way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future

from huracan_sync.remote.forked import renewed_in_child
from huracan_sync.tree.content_hash import BLOCK_SIZE

PART = 2 * BLOCK_SIZE
"""Bytes asked for in one request of a long range."""
PARTS_AHEAD = 4
"""Parts on their way while an earlier one is read."""

Fetch = Callable[[int, int], bytes]
"""Gives the bytes from a start up to, not including, an end."""


def fetch_range(threads: Executor, fetch: Fetch, start: int, end: int) -> bytes:
    """The bytes of a range, a long one by several requests at once."""
    if end - start <= PART:
        return fetch(start, end)
    cuts = [*range(start, end, PART), end]
    return b"".join(threads.map(fetch, cuts[:-1], cuts[1:]))


class ReadAhead:
    """A file read in order from `start`. Parts double from `first` bytes up to `PART`. One thread at a time."""

    def __init__(self, threads: Executor, fetch: Fetch, *, start: int, end: int, first: int) -> None:
        self._threads = threads
        self._fetch = fetch
        self._at = start
        self._asked = start
        self._end = end
        self._length = first
        self._parts: deque[Future[bytes]] = deque()
        self._current = memoryview(b"")
        renewed_in_child(self)

    def renew_in_child(self) -> None:
        """See `forked`: what is on its way arrives at the parent; the child asks again."""
        self._parts.clear()
        self._asked = self._at + len(self._current)

    def read(self, length: int) -> bytes:
        """The next bytes, fewer only at the end of the file."""
        pieces: list[memoryview] = []
        missing = min(length, self._end - self._at)
        while missing > 0:
            if not self._current:
                self._ask(missing)
                self._current = memoryview(self._parts.popleft().result())
            piece, self._current = self._current[:missing], self._current[missing:]
            pieces.append(piece)
            missing -= len(piece)
            self._at += len(piece)
        return b"".join(pieces)

    def _ask(self, wanted: int) -> None:
        """Have enough parts on their way: what is wanted now, and as much ahead as has proved worth it."""
        ahead = PARTS_AHEAD if self._length == PART else 1
        while self._asked < self._end and (len(self._parts) < ahead or self._asked - self._at < wanted):
            end = min(self._asked + self._length, self._end)
            self._parts.append(self._threads.submit(self._fetch, self._asked, end))
            self._asked = end
            if self._length < PART:
                self._length = min(2 * self._length, PART)
                ahead = PARTS_AHEAD if self._length == PART else 1
            if len(self._parts) >= 4 * PARTS_AHEAD:
                return

    def close(self) -> None:
        """Give up what is on its way."""
        for part in self._parts:
            part.cancel()
        self._parts.clear()
        self._current = memoryview(b"")
