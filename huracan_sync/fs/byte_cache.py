"""Bytes kept in memory up to a limit; what was not used for the longest time goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict

from huracan_sync.remote.forked import renewed_in_child


class ByteCache:
    """Thread-safe."""

    def __init__(self, limit: int) -> None:
        """An empty cache that holds at most `limit` bytes."""
        self._limit = limit
        self.renew_in_child()
        renewed_in_child(self)

    def renew_in_child(self) -> None:
        """See `forked`: a thread of the parent may have been at work on what is kept."""
        self._lock = threading.Lock()  # guards the two below
        self._kept: OrderedDict[tuple[object, ...], bytes] = OrderedDict()
        self._size = 0

    def get(self, name: tuple[object, ...]) -> bytes | None:
        """What is kept under that name."""
        with self._lock:
            data = self._kept.get(name)
            if data is not None:
                self._kept.move_to_end(name)
            return data

    def put(self, name: tuple[object, ...], data: bytes) -> None:
        """Keep it, if there is room."""
        with self._lock:
            before = self._kept.pop(name, b"")
            self._kept[name] = data
            self._size += len(data) - len(before)
            while self._size > self._limit:
                _, dropped = self._kept.popitem(last=False)
                self._size -= len(dropped)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._size = 0
