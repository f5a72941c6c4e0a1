"""The content hash of bytes that come one after the other."""

from __future__ import annotations

import hashlib

from huracan_sync.tree.content_hash import BLOCK_SIZE, combine


class ContentHasher:
    """Hashes a stream in pieces of any size. One thread at a time."""

    def __init__(self) -> None:
        self._closed: list[bytes] = []
        self._open = hashlib.sha256()
        self._room = BLOCK_SIZE
        self.size = 0

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes of the stream."""
        view = memoryview(data)
        self.size += len(view)
        while len(view) >= self._room:
            self._open.update(view[: self._room])
            self._closed.append(self._open.digest())
            view = view[self._room :]
            self._open, self._room = hashlib.sha256(), BLOCK_SIZE
        if view:
            self._open.update(view)
            self._room -= len(view)

    def blocks(self) -> bytes:
        """The concatenated digests of the blocks so far, the unfinished one included."""
        tail = b"" if self._room == BLOCK_SIZE else self._open.digest()
        return b"".join(self._closed) + tail

    def digest(self) -> bytes:
        """The content hash (32 bytes) of everything taken so far."""
        return combine(self.blocks())
