"""One state of a file, or `FileChanged`."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from huracan_sync.disk.files import Root, Stamp, located, open_folder
from huracan_sync.disk.origin_mark import marked
from huracan_sync.errors import FileChanged, local_failure
from huracan_sync.tree.content_hash import BLOCK_SIZE
from huracan_sync.tree.content_hasher import ContentHasher
from huracan_sync.tree.paths import RelPath

if TYPE_CHECKING:
    from huracan_sync.disk.last_folder import LastFolder

SAMPLE = 4096
"""Bytes at both ends of a log's prefix that tell whether it is still the same log."""
TICK_NS = 10_000_000
"""Many kernels stamp what is written with the time of their last tick, of which there are 100 to 1000 a second."""


class StableRead:
    """One open file whose bytes all belong to one state. Safe for several threads (`pread`)."""

    def __init__(
        self,
        root: Root,
        path: RelPath,
        *,
        prefix_only: bool = False,
        last: LastFolder | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Open `path` below `root`.

        Args:
            root: the folder.
            path: the file, below it.
            prefix_only: the file is only ever appended to (a log): its growth while it is read is no change, and
                the bytes that were there at the opening are a consistent state, as long as both ends of them stay:
                a log that is rotated is truncated and written again.
            last: the folder that the file before lay in, where many are read one after the other.
            clock_ns: nanoseconds since 1970.
            sleep: waits that many seconds.

        Raises:
            FileChanged: it is gone, or no regular file any more.
            LocalFailure: it cannot be read.
        """
        self.path = path
        self._prefix_only = prefix_only
        folder_path, inner = located(root, path)
        try:
            folder = last.open(folder_path, inner, open_folder) if last else open_folder(folder_path, inner)
            try:
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                self._fd = os.open(inner.rpartition("/")[2], flags, dir_fd=folder)
            finally:
                if not last:
                    os.close(folder)
        except FileNotFoundError as error:
            raise FileChanged(f"{path} disappeared before it could be read", path=path) from error
        except OSError as error:
            raise local_failure(error, path, "read") from error
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise FileChanged(f"{path} is no regular file any more", path=path)
        self.stamp = Stamp.of(status)
        self.marked = marked(self._fd)
        """The content hash under which the file was marked as one that nobody has signed; empty: it is not marked."""
        # What is written in the tick of the last change leaves no trace in the stamp: it must not come after we read.
        left_ns = self.stamp.ctime_ns + TICK_NS - clock_ns()
        if 0 < left_ns <= TICK_NS:
            sleep(left_ns / 1e9)
        self._ends = self._both_ends() if prefix_only else b""

    def read(self, offset: int, size: int) -> bytes:
        """Exactly the bytes at `offset`, `size` of them or up to the size at the opening.

        Raises:
            FileChanged: they are not there any more.
        """
        wanted = max(0, min(size, self.stamp.size - offset))
        try:
            data = os.pread(self._fd, wanted, offset)  # into the very bytes: a copy would be in memory twice
        except OSError as error:
            raise local_failure(error, self.path, "read") from error
        if len(data) == wanted:
            return data
        rest = bytearray(wanted - len(data))
        self.read_into(offset + len(data), memoryview(rest))
        return data + rest

    def read_into(self, offset: int, view: memoryview) -> None:
        """Fill the view with the bytes at `offset`.

        Raises:
            FileChanged: they are not there any more.
        """
        try:
            while view:  # a signal or a network disk may give less at once
                done = os.preadv(self._fd, [view], offset)
                if not done:
                    raise FileChanged(f"{self.path} became shorter while it was read", path=self.path)
                offset, view = offset + done, view[done:]
        except OSError as error:
            raise local_failure(error, self.path, "read") from error

    def check_unchanged(self, sent: Callable[[], bytes] | None = None) -> None:
        """Say whether everything read so far belongs to one state.

        Args:
            sent: the content hash of all that was there at the opening, once all of it was read: what of a log was
                changed between its ends shows when it is read once more.

        Raises:
            FileChanged: it does not.
        """
        now = Stamp.of(os.fstat(self._fd))
        if now != self.stamp and not (self._has_grown(now) and self._both_ends() == self._ends and self._is(sent)):
            raise FileChanged(f"{self.path} changed while it was read", path=self.path)

    def _has_grown(self, now: Stamp) -> bool:
        return self._prefix_only and now.inode == self.stamp.inode and now.size >= self.stamp.size

    def _is(self, sent: Callable[[], bytes] | None) -> bool:
        if sent is None:
            return True
        hasher = ContentHasher()
        for offset in range(0, self.stamp.size, BLOCK_SIZE):
            hasher.update(self.read(offset, BLOCK_SIZE))
        return hasher.digest() == sent()

    def _both_ends(self) -> bytes:
        """The first and the last bytes of what was there at the opening."""
        size = min(SAMPLE, self.stamp.size)
        return self.read(0, size) + self.read(self.stamp.size - size, size)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
