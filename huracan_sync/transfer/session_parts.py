"""The parts of an upload session: which may go next, and how they go out. Push, streams and workers go by this.

The state of a session, and every legal step:

    state       legal next                      ends when
    begun       any part but the last           all parts but the last have arrived
    all but     the last part, closing          it has arrived
    closed      commit (not here)
    lost        begin again                     unknown, expired, or older than six days
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from huracan_sync.errors import HuracanError
from huracan_sync.remote.client import Remote
from huracan_sync.remote.http import CHUNK
from huracan_sync.remote.upload_session import Cursor, append_part, start_concurrent
from huracan_sync.transfer.send_window import ConnectionPace, SendWindow
from huracan_sync.transfer.worker_pool import WorkerPool
from huracan_sync.tree.content_hash import BLOCK_SIZE, DIGEST_SIZE, block_hashes, combine

MANY = 32 * 1024 * 1024
"""With so many bytes under way, memory is what keeps more connections from being used."""
PARTS = 512
"""A file of more parts gets larger ones: of 8 MiB, one of more than 4 GiB."""
IN_MEMORY = 3
"""Parts of a file that have room in memory."""
MOST_PART = 128 * 1024 * 1024
"""Bytes in a part at most: Dropbox takes no call of more than 150 MiB."""
EARLY = 8 * CHUNK
"""Bytes of a part that may still go out when the next one begins, so that the link is not idle between them."""


def part_size_for(size: int, least: int, room: int) -> int:
    """Bytes in a part of a file of that size: the larger it is, the larger its parts, so that its calls stay few.

    Args:
        size: of the file.
        least: bytes in a part of a small one, a multiple of 4 MiB.
        room: bytes that may be in memory at once: one part is read, one goes out, and one waits for its answer.
    """
    part = least
    while size > part * PARTS and 2 * part * IN_MEMORY <= room and 2 * part <= MOST_PART:
        part *= 2
    return part


class SessionParts:
    """Which parts of one session have arrived. Lives in the caller's thread."""

    def __init__(self, arrived: dict[int, bytes] | None = None) -> None:
        """Begin, or go on.

        Args:
            arrived: by their numbers, the block digests of the parts that Dropbox has already.
        """
        self.arrived = arrived or {}
        self.error: HuracanError | None = None
        """Why it failed: the first of its parts that did."""
        self._under_way = 0

    @property
    def is_idle(self) -> bool:
        """Whether none is under way: so the last one, which closes, may go."""
        return self._under_way == 0

    def begin(self) -> None:
        """A part is under way: it is read, or goes out."""
        self._under_way += 1

    def end(self, number: int, outcome: bytes | HuracanError) -> None:
        """A part has arrived with these block digests, or failed."""
        self._under_way -= 1
        if isinstance(outcome, HuracanError):
            self.error = self.error or outcome
        else:
            self.arrived[number] = outcome

    def blocks(self) -> bytes:
        """The digests of all its blocks, when all has arrived."""
        return b"".join(self.arrived[number] for number in range(len(self.arrived)))


class Part(NamedTuple):
    """What travels in one call: a part of a session, or a piece of one."""

    cursor: Cursor
    """Its session, and where it begins."""
    data: memoryview
    close: bool
    """It is the last one."""
    blocks: bytes = b""
    """The digests of its blocks; empty where its sender makes them."""

    def pieces(self) -> list[Part]:
        """The same as it travels in several calls, which may go at once; in one where it closes."""
        if self.close:
            return [self]
        return [self._piece(number) for number in range(-(-len(self.data) // BLOCK_SIZE))]

    def _piece(self, number: int) -> Part:
        at, digest = number * BLOCK_SIZE, number * DIGEST_SIZE
        cursor = Cursor(self.cursor.session_id, self.cursor.offset + at)
        return Part(cursor, self.data[at : at + BLOCK_SIZE], False, self.blocks[digest : digest + DIGEST_SIZE])

    def send(self, remote: Remote, left: Callable[[], None], clock: Callable[[], float]) -> tuple[bytes, float]:
        """On a worker: send it; the digests of its blocks, and the seconds from its first byte to the answer.

        Calls `left` when all but the last of its bytes have left, at every attempt.
        """
        blocks = self.blocks or block_hashes(self.data)
        body, digest = _Body(self.data, left, clock), combine(blocks)
        append_part(remote, self.cursor, body, size=len(self.data), content_hash=digest, close=self.close)
        return blocks, clock() - body.began


class PartSender:
    """Sends parts, as many at once as fill the link. Lives in the caller's thread."""

    def __init__(
        self, remote: Remote, pool: WorkerPool, *, at_once: int = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Make one.

        Args:
            remote: the login.
            pool: whose threads send, and whose budget of memory holds.
            at_once: parts that go out at once to begin with.
            clock: monotonic seconds.
        """
        self._remote = remote
        self._pool = pool
        self._clock = clock
        self._window = SendWindow(at_once)
        self._pace = ConnectionPace()
        self.kept = 0
        """Bytes of pieces that have arrived and stay in memory until the rest of their part has."""
        self._under_way = 0

    @property
    def has_room(self) -> bool:
        """Whether one more may go."""
        return self._window.has_room

    def start(self) -> str:
        """On a worker: open a session; its id. What the answer takes tells what of a part's time is its bytes'."""
        began = self._clock()
        session = start_concurrent(self._remote)
        seconds = self._clock() - began
        self._pool.tell(lambda: self._pace.empty_call(seconds))
        return session

    def send(self, part: Part, then: Callable[[bytes], None], failed: Callable[[HuracanError], None]) -> None:
        """Send a part; later, in the caller's thread, `then` with its block digests or `failed` with its error."""
        pieces = part.pieces() if self._pace.is_slow and self._under_way >= MANY else [part]
        size = len(part.data)
        self._under_way += size
        blocks: dict[int, bytes] = {}
        errors: list[HuracanError] = []

        def arrived(number: int, outcome: bytes | HuracanError) -> None:
            if isinstance(outcome, HuracanError):
                errors.append(outcome)
            else:
                blocks[number] = outcome
            self.kept += len(pieces[number].data)
            if len(blocks) + len(errors) < len(pieces):
                return
            self.kept -= size
            self._under_way -= size
            if errors:
                failed(errors[0])
            else:
                then(b"".join(blocks[each] for each in range(len(pieces))))

        for number, piece in enumerate(pieces):
            self._send(piece, partial(arrived, number))

    def _send(self, part: Part, arrived: Callable[[bytes | HuracanError], None]) -> None:
        size, passage = len(part.data), self._window.begin()

        def then(result: tuple[bytes, float]) -> None:
            blocks, seconds = result
            passage.end()
            self._pace.arrived(size, seconds)
            arrived(blocks)

        def failed(error: HuracanError) -> None:
            passage.end()
            arrived(error)

        left = lambda: self._pool.tell(lambda: passage.left(size))  # noqa: E731 - from the worker to this thread
        self._pool.start(lambda: part.send(self._remote, left, self._clock), then, failed, cost=size)


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
