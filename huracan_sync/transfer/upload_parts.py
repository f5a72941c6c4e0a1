"""Large files in parts: one concurrent upload session each, parts in parallel, every part hashed and journalled."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from mmap import mmap
from typing import NamedTuple

from huracan_sync.disk.stable_read import StableRead
from huracan_sync.errors import FileChanged, HuracanError
from huracan_sync.manifest import file_kinds
from huracan_sync.remote.errors import SessionLost
from huracan_sync.remote.upload_session import Cursor
from huracan_sync.transfer.session_parts import Part, PartSender, SessionParts, part_size_for
from huracan_sync.transfer.upload_item import UploadContext, UploadItem, is_fresh, token_of
from huracan_sync.tree.content_hash import block_hashes, combine, leaf_hashes
from huracan_sync.tree.units import counted

FILES_AT_ONCE = 4
AHEAD = 2
"""Parts that are read and hashed while others go out."""


class _FileParts(SessionParts):
    """Those of one open file, which are read before they go out."""

    def __init__(
        self, item: UploadItem, reading: StableRead, transfer: int, part_size: int, arrived: dict[int, bytes]
    ) -> None:
        super().__init__(arrived)
        self.item = item
        self.reading = reading
        self.transfer = transfer
        self.part_size = part_size
        self._leaves: dict[int, bytes] = {}  # of parts read in this run; workers only ever add
        self._last = -(-reading.stamp.size // part_size) - 1
        self._waiting = deque(number for number in range(self._last) if number not in arrived)

    @property
    def is_closed(self) -> bool:
        """Whether every part, the closing one included, has arrived."""
        return self._last in self.arrived

    @property
    def has_ended(self) -> bool:
        """Whether nothing more comes. One that failed ends with its last part under way: till then it is read."""
        return self.is_idle and (self.error is not None or self.is_closed)

    def length(self, number: int) -> int:
        return min(self.part_size, self.reading.stamp.size - number * self.part_size)

    def next_part(self) -> int | None:
        """The part to send now, or None when none may be: the last one closes, so it waits for all others."""
        if self.error or self.is_closed:
            return None
        if self._waiting:
            number = self._waiting.popleft()
        elif self.is_idle:
            number = self._last
        else:
            return None
        self.begin()
        return number

    def table(self) -> bytes:
        """Its table of leaves; empty where it wants none, or an earlier run has sent parts of it."""
        numbers = range(self._last + 1)
        return b"".join(self._leaves[number] for number in numbers) if self._leaves.keys() >= {*numbers} else b""

    def read(self, number: int, buffer: mmap) -> _ReadPart:
        """On a worker: read and hash one part."""
        data = memoryview(buffer)[: self.length(number)]
        self.reading.read_into(number * self.part_size, data)
        blocks, is_last = block_hashes(data), number == self._last
        # The last part is read when all others have arrived: what is committed is what it says.
        whole = lambda: combine(b"".join([*(self.arrived[n] for n in range(self._last)), blocks]))  # noqa: E731
        self.reading.check_unchanged(whole if is_last else None)
        if self.item.wants_leaves:
            self._leaves[number] = leaf_hashes(data)
        cursor = Cursor(self.item.session, number * self.part_size)
        return _ReadPart(self, number, buffer, Part(cursor, data, is_last, blocks))


class _ReadPart(NamedTuple):
    """A part that was read, and waits to go out."""

    file: _FileParts
    number: int
    buffer: mmap
    """What its bytes lie in."""
    part: Part


class PartUploader:
    """The queue of large files. Lives in the caller's thread."""

    def __init__(
        self,
        context: UploadContext,
        *,
        closed: Callable[[list[UploadItem]], None],
        failed: Callable[[UploadItem, HuracanError], None],
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make a queue.

        Args:
            context: from where to where.
            closed: told of files whose sessions are closed, ready for a commit.
            failed: told of files that did not come so far.
            now: seconds since 1970.
            clock: monotonic seconds.
        """
        self.queue: deque[UploadItem] = deque()
        self._context = context
        self._closed = closed
        self._failed = failed
        self._now = now
        self._open: list[_FileParts] = []
        self._opening = 0
        self._sender = PartSender(context.remote, context.pool, clock=clock)
        self._reading = 0
        self._read: deque[_ReadPart] = deque()
        self._buffers: list[mmap] = []
        """Memory for parts, used over and over: new memory costs more time than hashing what lies in it."""
        self._unused = 0
        """Bytes of the memory that parts go out of, beyond their own: the last part of a file is short."""

    def feed(self) -> bool:
        """Start one thing if there is room; whether something was started."""
        if self._read and self._sender.has_room:
            self._send(self._read.popleft())
            return True
        for parts in self._open if self._reading + len(self._read) < AHEAD else ():
            held = sum(len(read.buffer) for read in self._read) + self._sender.kept + self._unused
            if self._context.pool.has_room(parts.part_size + held) and (number := parts.next_part()) is not None:
                self._read_part(parts, number)
                return True
        if self.queue and len(self._open) + self._opening < FILES_AT_ONCE:
            self._begin(self.queue.popleft())
            return True
        return False

    def close(self) -> None:
        """Stopped early: close what is open. What has arrived is journalled."""
        for parts in self._open:
            parts.reading.close()

    def forget(self, item: UploadItem) -> None:
        """Its session is of no use any more (or it is committed)."""
        self._context.journal.end_transfer(self._context.pair, item.path, "up")

    def _begin(self, item: UploadItem) -> None:
        context = self._context
        try:
            reading = item.open(context)
            item.first = reading.read(0, file_kinds.SNIFF)
        except HuracanError as error:
            self._failed(item, error)
            return
        item.stamp = reading.stamp
        if not item.is_large(context):
            reading.close()
            self._failed(item, FileChanged(f"{item.path} has shrunk to {counted(item.size, 'byte')}", path=item.path))
            return
        token = token_of(reading.stamp)
        earlier = context.journal.transfer(context.pair, item.path, "up")
        if earlier and earlier.token == token and is_fresh(earlier.started, self._now()):
            item.session = earlier.session
            parts = _FileParts(item, reading, earlier.id, earlier.part_size, earlier.parts)
            arrived = sum(parts.length(number) for number in earlier.parts)
            if arrived:
                context.monitor.moved(arrived)
                context.monitor.note(
                    f"{item.path}: {counted(arrived, 'byte')} arrived in an earlier run; going on from there"
                )
            self._open.append(parts)
            if parts.is_closed:
                reading.close()
                self._end(parts)
            return
        self._opening += 1

        def then(session: str) -> None:
            self._opening -= 1
            item.session = session
            part_size = part_size_for(item.size, context.options.part_size, context.pool.room)
            opened = context.journal.begin_transfer(
                context.pair, item.path, "up", token=token, session=session, part_size=part_size, now=self._now()
            )
            self._open.append(_FileParts(item, reading, opened.id, part_size, {}))

        def failed(error: HuracanError) -> None:
            self._opening -= 1
            reading.close()
            self._failed(item, error)

        context.pool.start(self._sender.start, then, failed)

    def _read_part(self, parts: _FileParts, number: int) -> None:
        self._reading += 1
        if not any(len(buffer) == parts.part_size for buffer in self._buffers):
            # The first time, or this file has other parts: what is not of their size is given back, which the
            # allocator of small things would not do.
            self._buffers = [mmap(-1, parts.part_size)]
        buffer = next(buffer for buffer in self._buffers if len(buffer) == parts.part_size)
        self._buffers = [each for each in self._buffers if each is not buffer]

        def then(part: _ReadPart) -> None:
            self._reading -= 1
            self._read.append(part)

        def failed(error: HuracanError) -> None:
            self._reading -= 1
            self._end_part(parts, number, buffer, error)

        self._context.pool.start(lambda: parts.read(number, buffer), then, failed, cost=parts.part_size)

    def _send(self, read: _ReadPart) -> None:
        context, parts, size = self._context, read.file, len(read.part.data)
        if parts.error:
            self._end_part(parts, read.number, read.buffer, parts.error)
            return

        def then(blocks: bytes) -> None:
            self._unused -= len(read.buffer) - size
            context.journal.note_part(parts.transfer, read.number, blocks)
            context.monitor.moved(size)
            self._end_part(parts, read.number, read.buffer, blocks)

        def failed(error: HuracanError) -> None:
            self._unused -= len(read.buffer) - size
            self._end_part(parts, read.number, read.buffer, error)

        self._unused += len(read.buffer) - size
        self._sender.send(read.part, then, failed)

    def _end_part(self, parts: _FileParts, number: int, buffer: mmap, outcome: bytes | HuracanError) -> None:
        self._buffers.append(buffer)
        parts.end(number, outcome)
        if parts.has_ended:
            parts.reading.close()
            self._end(parts)

    def _end(self, parts: _FileParts) -> None:
        self._open.remove(parts)
        if not self._open and not self.queue:
            self._buffers.clear()  # signing, which may follow, has use for the memory
        if parts.error is None:
            parts.item.prove(parts.item.first, parts.blocks(), parts.table())
            self._closed([parts.item])
            return
        self._context.monitor.moved(-sum(map(parts.length, parts.arrived)))
        if isinstance(parts.error, SessionLost):
            self.forget(parts.item)
        self._failed(parts.item, parts.error)
