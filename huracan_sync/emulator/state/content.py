"""Content on disk: stored in segment files, written once per content hash.

Small bodies share a segment; a large one gets a segment of its own, removed when nothing needs it. A file, and each
piece of an upload session, is a list of extents: (segment, first byte, length). So finishing a session copies nothing.
"""

import os
import secrets
import shutil
import threading
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from huracan_sync.emulator.state.records import Extent

BLOCK = 4 * 1024 * 1024
SMALL = 1024 * 1024  # a body up to this size is kept in memory and lands in a shared segment
_SHARED = 64 * 1024 * 1024  # a shared segment is not grown beyond this
_CHUNK = 256 * 1024
_WRITTEN_AT_ONCE = 64 * 1024  # more of it, and Linux takes large pages, and ten times as long to get hold of them
_OPEN = 128  # segments kept open for reading


class Blocks:
    """The SHA-256 of every 4 MiB block of a stream."""

    def __init__(self) -> None:
        self._done: list[bytes] = []
        self._current = sha256()
        self._filled = 0

    def update(self, data: bytes | memoryview) -> None:
        """Hash the next bytes."""
        view = memoryview(data)
        while view:
            part = view[: BLOCK - self._filled]
            self._current.update(part)
            self._filled += len(part)
            if self._filled == BLOCK:
                self._done.append(self._current.digest())
                self._current, self._filled = sha256(), 0
            view = view[len(part) :]

    def digests(self) -> bytes:
        """Return the digests so far, joined; an incomplete last block counts."""
        return b"".join(self._done) + (self._current.digest() if self._filled else b"")


def content_hash(digests: bytes) -> str:
    """Return Dropbox's content hash, from the digests of the blocks."""
    return sha256(digests).hexdigest()


class Segment:
    """A segment file. It is closed when nothing refers to it any more."""

    def __init__(self, number: int, path: Path, *, new: bool = False) -> None:
        self.number = number
        self.path = path
        self.size = 0 if new else path.stat().st_size
        self.fd = os.open(path, os.O_RDWR | (os.O_CREAT | os.O_TRUNC if new else 0), 0o600)

    def __del__(self) -> None:
        if hasattr(self, "fd"):
            os.close(self.fd)

    def write(self, data: bytes) -> None:
        """Append; safe to call from another thread, one call at a time."""
        view = memoryview(data)
        while view:
            done = os.pwrite(self.fd, view[:_WRITTEN_AT_ONCE], self.size)
            self.size += done
            view = view[done:]


class Content:
    """All segments of one emulator."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in folder.parent.glob("gone-*"):
            shutil.rmtree(left, ignore_errors=True)
        self._open: dict[int, Segment] = {}
        self._uses: dict[int, int] = {}
        self._shared: Segment | None = None
        self._shared_numbers: set[int] = set()
        self._last = max((int(path.stem) for path in self._folder.glob("*.seg")), default=0)

    def append(self, data: bytes) -> Extent:
        """Write a small body into the shared segment."""
        if self._shared is None or self._shared.size + len(data) > _SHARED:
            self._shared = self.segment()
            self._shared_numbers.add(self._shared.number)
            self._open[self._shared.number] = self._shared
        start = self._shared.size
        if data:
            self._shared.write(data)
        return (self._shared.number, start, len(data))

    def segment(self) -> Segment:
        """Create a segment for one large body."""
        self._last += 1
        return Segment(self._last, self._folder / f"{self._last:08d}.seg", new=True)

    def use(self, extents: Iterable[Extent]) -> None:
        """Count a use of these bytes."""
        for number, _, _ in extents:
            self._uses[number] = self._uses.get(number, 0) + 1

    def release(self, extents: Iterable[Extent]) -> None:
        """End a use of these bytes; a segment without uses is removed."""
        for number, _, _ in extents:
            left = self._uses.get(number, 0) - 1
            self._uses[number] = left
            if left <= 0 and number not in self._shared_numbers:
                self.discard(number)

    def discard(self, number: int) -> None:
        """Remove a segment."""
        self._uses.pop(number, None)
        self._open.pop(number, None)
        (self._folder / f"{number:08d}.seg").unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove segments without uses: bodies that were arriving when the emulator stopped."""
        for path in self._folder.glob("*.seg"):
            if self._uses.get(int(path.stem), 0) <= 0:
                path.unlink()

    def read(self, extents: Iterable[Extent], start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from `start` on, in chunks."""
        left = length if length is not None else 1 << 62
        for number, first, size in extents:
            if start >= size:
                start -= size
                continue
            segment = self._segment(number)
            at, end = first + start, first + min(size, start + left)
            start = 0
            left -= end - at
            while at < end:
                chunk = os.pread(segment.fd, min(_CHUNK, end - at), at)
                if not chunk:
                    raise OSError(f"segment {number} ends before byte {end}")
                at += len(chunk)
                yield chunk
            if left <= 0:
                return

    def clear(self) -> None:
        """Remove everything."""
        self._open.clear()
        self._uses.clear()
        self._shared_numbers.clear()
        self._shared = None
        # Gone at once; the time that large files take to go is nobody's.
        gone = self._folder.with_name(f"gone-{secrets.token_hex(8)}")
        self._folder.rename(gone)
        self._folder.mkdir()
        threading.Thread(target=shutil.rmtree, args=(gone,), kwargs={"ignore_errors": True}, daemon=True).start()

    def _segment(self, number: int) -> Segment:
        segment = self._open.get(number)
        if segment is None:
            while len(self._open) >= _OPEN:
                self._open.pop(next(iter(self._open)))
            segment = self._open[number] = Segment(number, self._folder / f"{number:08d}.seg")
        return segment
