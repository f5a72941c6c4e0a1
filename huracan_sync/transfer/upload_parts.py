"""Large files in parts: one concurrent upload session each, parts in parallel, every part hashed and journalled.

The state of a session, and every legal step (`_Parts.next_part` is this table):

    state       legal next                      ends when
    begun       any part but the last           all parts but the last have arrived
    all but     the last part, closing          it has arrived
    closed      commit (not here)
    lost        begin again                     unknown, expired, or older than six days
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from huracan_sync.disk.stable_read import StableRead
from huracan_sync.errors import FileChanged, HuracanError
from huracan_sync.manifest import file_kinds
from huracan_sync.remote.client import Remote
from huracan_sync.remote.errors import SessionLost
from huracan_sync.remote.http import CHUNK
from huracan_sync.remote.upload_session import Cursor, append_part, start_concurrent
from huracan_sync.transfer.send_window import ConnectionPace, SendWindow
from huracan_sync.transfer.upload_item import UploadContext, UploadItem, is_fresh, token_of
from huracan_sync.tree.content_hash import BLOCK_SIZE, DIGEST_SIZE, block_hashes, combine, leaf_hashes
from huracan_sync.tree.units import counted

FILES_AT_ONCE = 4
AHEAD = 2
"""Parts that are read and hashed while others go out."""


class _Parts:
    """Which parts of one open file have arrived. Lives in the caller's thread."""

    def __init__(
        self, item: UploadItem, reading: StableRead, transfer: int, part_size: int, arrived: dict[int, bytes]
    ) -> None:
        self.item = item
        self.reading = reading
        self.transfer = transfer
        self.part_size = part_size
        self.arrived = arrived
        self._leaves: dict[int, bytes] = {}  # of parts read in this run; workers only ever add
        self.error: HuracanError | None = None
        """Why it failed: the first of its parts that did."""
        self._under_way = 0
        self._last = -(-reading.stamp.size // part_size) - 1
        self._waiting = deque(number for number in range(self._last) if number not in arrived)

    @property
    def is_closed(self) -> bool:
        """Whether every part, the closing one included, has arrived."""
        return self._last in self.arrived

    def is_last(self, number: int) -> bool:
        return number == self._last

    def length(self, number: int) -> int:
        return min(self.part_size, self.reading.stamp.size - number * self.part_size)

    def next_part(self) -> int | None:
        """The part to send now, or None when none may be: the last one closes, so it waits for all others."""
        if self.error or self.is_closed:
            return None
        if self._waiting:
            number = self._waiting.popleft()
        elif self._under_way == 0:
            number = self._last
        else:
            return None
        self._under_way += 1
        return number

    def end(self, number: int, outcome: bytes | HuracanError) -> bool:
        """A part has arrived with these block digests, or failed; whether that was the end of the whole file.

        A file that failed ends when its last part under way does: until then its bytes are read.
        """
        self._under_way -= 1
        if isinstance(outcome, HuracanError):
            self.error = self.error or outcome
        else:
            self.arrived[number] = outcome
        ended = self._under_way == 0 and (self.error is not None or self.is_closed)
        if ended:
            self.reading.close()
        return ended

    def blocks(self) -> bytes:
        """The digests of all its blocks."""
        return b"".join(self.arrived[number] for number in range(self._last + 1))

    def table(self) -> bytes:
        """Its table of leaves; empty where it wants none, or an earlier run has sent parts of it."""
        numbers = range(self._last + 1)
        return b"".join(self._leaves[number] for number in numbers) if self._leaves.keys() >= {*numbers} else b""

    def read(self, number: int, buffer: bytearray) -> _Part:
        """On a worker: read and hash one part."""
        data = memoryview(buffer)[: self.length(number)]
        self.reading.read_into(number * self.part_size, data)
        blocks = block_hashes(data)
        # The last part is read when all others have arrived: what is committed is what it says.
        whole = lambda: combine(b"".join([*(self.arrived[n] for n in range(self._last)), blocks]))  # noqa: E731
        self.reading.check_unchanged(whole if self.is_last(number) else None)
        if self.item.wants_leaves:
            self._leaves[number] = leaf_hashes(data)
        return _Part(self, number, buffer, data, blocks)


class _Part(NamedTuple):
    """A part that was read, and its block digests."""

    file: _Parts
    number: int
    buffer: bytearray
    """What `data` lies in."""
    data: memoryview
    blocks: bytes

    @property
    def half(self) -> int:
        """Bytes of half of it: whole blocks."""
        return len(self.data) // 2 // BLOCK_SIZE * BLOCK_SIZE

    def halves(self) -> list[_Half]:
        """The part as it travels in two calls, which may go at once; in one where it has one block, or closes."""
        cut = self.half
        if not cut or self.file.is_last(self.number):
            return [self.whole()]
        at = cut // BLOCK_SIZE * DIGEST_SIZE
        return [_Half(self, 0, self.data[:cut], self.blocks[:at]), _Half(self, cut, self.data[cut:], self.blocks[at:])]

    def whole(self) -> _Half:
        """The part as it travels in one call."""
        return _Half(self, 0, self.data, self.blocks)


class _Half(NamedTuple):
    """What travels in one call: a part, or half of one."""

    part: _Part
    at: int
    """Where in the part it begins."""
    data: memoryview
    blocks: bytes

    def send(self, remote: Remote, left: Callable[[], None], clock: Callable[[], float]) -> float:
        """On a worker: send it; the seconds from its first byte to the answer.

        Calls `left` when all but the last of its bytes have left, at every attempt.
        """
        file, number = self.part.file, self.part.number
        cursor = Cursor(file.item.session, number * file.part_size + self.at)
        body, digest = _Body(self.data, left, clock), combine(self.blocks)
        append_part(remote, cursor, body, size=len(self.data), content_hash=digest, close=file.is_last(number))
        return clock() - body.began


MANY = 4
"""With so many parts under way, memory is what keeps more connections from being used."""
EARLY = 8 * CHUNK
"""Bytes of a part that may still go out when the next one begins, so that the link is not idle between them."""


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
        self._clock = clock
        self._open: list[_Parts] = []
        self._opening = 0
        self._window = SendWindow()
        self._pace = ConnectionPace()
        self._reading = 0
        self._read: deque[_Part] = deque()
        self._kept = 0
        """Bytes of halves that have arrived and stay in memory until the other half has."""
        self._buffers: list[bytearray] = []
        """Memory for parts, used over and over: new memory costs more time than hashing what lies in it."""

    def feed(self) -> bool:
        """Start one thing if there is room; whether something was started."""
        if self._read and self._window.has_room:
            self._send(self._read.popleft())
            return True
        for parts in self._open if self._reading + len(self._read) < AHEAD else ():
            there_is_room = self._context.pool.has_room(parts.part_size * (1 + len(self._read)) + self._kept)
            if there_is_room and (number := parts.next_part()) is not None:
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
            parts = _Parts(item, reading, earlier.id, earlier.part_size, earlier.parts)
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

        def start() -> tuple[str, float]:
            began = self._clock()
            return start_concurrent(context.remote), self._clock() - began

        def then(result: tuple[str, float]) -> None:
            self._opening -= 1
            item.session, seconds = result
            self._pace.empty_call(seconds)
            part_size = context.options.part_size
            opened = context.journal.begin_transfer(
                context.pair, item.path, "up", token=token, session=item.session, part_size=part_size, now=self._now()
            )
            self._open.append(_Parts(item, reading, opened.id, part_size, {}))

        def failed(error: HuracanError) -> None:
            self._opening -= 1
            reading.close()
            self._failed(item, error)

        context.pool.start(start, then, failed)

    def _read_part(self, parts: _Parts, number: int) -> None:
        self._reading += 1
        buffer = self._buffers.pop() if self._buffers else bytearray()
        if len(buffer) != parts.part_size:  # the first time, or the session is of an earlier run with other parts
            buffer = bytearray(parts.part_size)

        def then(part: _Part) -> None:
            self._reading -= 1
            self._read.append(part)

        def failed(error: HuracanError) -> None:
            self._reading -= 1
            self._end_part(parts, number, buffer, error)

        self._context.pool.start(lambda: parts.read(number, buffer), then, failed, cost=parts.part_size)

    def _send(self, part: _Part) -> None:
        if part.file.error:
            self._end_part(part.file, part.number, part.buffer, part.file.error)
            return
        under_way = self._window.going_out + self._window.waiting
        halves = part.halves() if self._pace.is_slow and under_way >= MANY else [part.whole()]
        outcomes: list[HuracanError | None] = []

        def arrived(outcome: HuracanError | None) -> None:
            outcomes.append(outcome)
            if len(outcomes) < len(halves):
                self._kept += part.half
                return
            self._kept -= part.half if len(halves) > 1 else 0
            error = next(filter(None, outcomes), None)
            if error is None:
                self._context.journal.note_part(part.file.transfer, part.number, part.blocks)
                self._context.monitor.moved(len(part.data))
            self._end_part(part.file, part.number, part.buffer, error or part.blocks)

        for half in halves:
            self._send_half(half, arrived)

    def _send_half(self, half: _Half, arrived: Callable[[HuracanError | None], None]) -> None:
        context, size, passage = self._context, len(half.data), self._window.begin()

        def then(seconds: float) -> None:
            passage.end()
            self._pace.arrived(size, seconds)
            arrived(None)

        def failed(error: HuracanError) -> None:
            passage.end()
            arrived(error)

        left = lambda: context.pool.tell(lambda: passage.left(size))  # noqa: E731 - from the worker to this thread
        context.pool.start(lambda: half.send(context.remote, left, self._clock), then, failed, cost=size)

    def _end_part(self, parts: _Parts, number: int, buffer: bytearray, outcome: bytes | HuracanError) -> None:
        self._buffers.append(buffer)
        if parts.end(number, outcome):
            self._end(parts)

    def _end(self, parts: _Parts) -> None:
        self._open.remove(parts)
        if parts.error is None:
            parts.item.prove(parts.item.first, parts.blocks(), parts.table())
            self._closed([parts.item])
            return
        self._context.monitor.moved(-sum(map(parts.length, parts.arrived)))
        if isinstance(parts.error, SessionLost):
            self.forget(parts.item)
        self._failed(parts.item, parts.error)


class _Body:
    """The bytes of a part, which can be sent again. Says when all but the last of them have left."""

    def __init__(self, data: memoryview, left: Callable[[], None], clock: Callable[[], float]) -> None:
        self._data = data
        self._left = left
        self._clock = clock
        self.began = clock()
        """When the first of them left, at the last attempt."""

    def __iter__(self) -> Iterator[memoryview]:
        self.began = self._clock()
        early = max(0, len(self._data) - EARLY) // CHUNK * CHUNK
        for at in range(0, early, CHUNK):
            yield self._data[at : at + CHUNK]
        self._left()
        for at in range(early, len(self._data), CHUNK):
            yield self._data[at : at + CHUNK]
