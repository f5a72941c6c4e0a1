"""How an open file reads ahead: not at all for the jumps of a columnar format, far ahead for a file read in order."""

from __future__ import annotations

from collections.abc import Callable

from fsspec.caching import BaseCache, register_cache

from huracan_sync.transfer.ranges import ReadAhead

FIRST = 256 * 1024
"""Bytes of the first part that is read ahead."""
IN_ORDER = 2
"""Reads that go on where the one before ended, after which the next ones are expected to do the same."""


class AdaptiveCache(BaseCache):
    """fsspec's cache of an open file, called `adaptive`: exact ranges until reads come in order."""

    name = "adaptive"

    def __init__(
        self,
        blocksize: int,
        fetcher: Callable[[int, int], bytes],
        size: int,
        *,
        read_ahead: Callable[[int, int], ReadAhead] | None = None,
    ) -> None:
        """As every cache of fsspec.

        Args:
            blocksize: not used.
            fetcher: gives a range.
            size: of the file, in bytes.
            read_ahead: begins to read in order from a byte on, with parts of so many bytes at first.
        """
        super().__init__(blocksize, fetcher, size)
        self._read_ahead = read_ahead
        self._next = -1
        self._in_order = 0
        self._ahead: ReadAhead | None = None

    def _fetch(self, start: int | None, stop: int | None) -> bytes:
        start = start or 0
        stop = self.size if stop is None else min(stop, self.size)
        if start >= stop:
            return b""
        if start != self._next:
            self.close()
            self._in_order = 0
        else:
            self._in_order += 1
        self._next = stop
        if self._ahead is None and self._in_order >= IN_ORDER and self._read_ahead is not None:
            self._ahead = self._read_ahead(start, max(FIRST, stop - start))
        return self._ahead.read(stop - start) if self._ahead else self.fetcher(start, stop)

    def close(self) -> None:
        """Give up what is on its way."""
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None


register_cache(AdaptiveCache, clobber=True)
