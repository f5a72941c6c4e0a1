"""The body of a request: always read to its end, counted, and stored on disk while it arrives."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from huracan_sync.emulator.state.content import SMALL, Blocks, Content, Segment, content_hash
from huracan_sync.emulator.state.records import Extent

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Pace = Callable[[int], Awaitable[None]]
Arrive = Callable[[], Awaitable[None]]

_BATCH = 1024 * 1024  # what is hashed and written at once: few handovers of the interpreter
LONGEST_JSON = 32 * 1024 * 1024  # an RPC argument; 1,000 entries need about half a MiB


class Disconnected(Exception):
    """The client closed the connection before its request was complete."""


class Body:
    """The bytes of a request, in the chunks in which they arrive."""

    def __init__(self, receive: Receive, pace: Pace | None = None, arrive: Arrive | None = None) -> None:
        """Read a body.

        Args:
            receive: gives the next message of the request.
            pace: awaited for every chunk.
            arrive: awaited once, for the last one: bytes that follow each other are all as long under way.
        """
        self._receive = receive
        self._pace = pace
        self._arrive = arrive
        self._more = True
        self.size = 0

    async def chunk(self) -> bytes:
        """Return the next bytes; nothing at the end.

        Raises:
            Disconnected: the client is gone.
        """
        while self._more:
            message = await self._receive()
            if message["type"] != "http.request":
                self._more = False
                raise Disconnected
            data: bytes = message.get("body", b"")
            self._more = message.get("more_body", False)
            if data:
                self.size += len(data)
                if self._pace:
                    await self._pace(len(data))
            if not self._more and self._arrive:
                await self._arrive()
            if data:
                return data
        return b""

    async def all(self, limit: int = LONGEST_JSON) -> bytes | None:
        """Return the whole body, or None if it is longer than `limit`. It is read to its end in both cases."""
        parts: list[bytes] = []
        while data := await self.chunk():
            if self.size <= limit:
                parts.append(data)
        return b"".join(parts) if self.size <= limit else None

    async def drain(self) -> None:
        """Read the rest and drop it: an answer sent before the end of the body would be lost on its way."""
        while await self.chunk():
            pass


@dataclass
class Part:
    """The part of a body that belongs to one upload session, with the digests of its blocks."""

    length: int
    extents: list[Extent]
    digests: bytes


class _Hasher:
    """Hashes the blocks of a body, separately for each of its parts, and of the whole if needed."""

    def __init__(self, cuts: list[int] | None, *, whole: bool) -> None:
        self._cuts = cuts
        self._parts = [Blocks()]
        self._left = cuts[0] if cuts else 0
        self._whole = Blocks() if whole and cuts is not None else None

    def update(self, data: bytes) -> None:
        if self._whole:
            self._whole.update(data)
        if self._cuts is None:
            self._parts[0].update(data)
            return
        view = memoryview(data)
        while view:
            while self._left == 0 and len(self._parts) < len(self._cuts):
                self._left = self._cuts[len(self._parts)]
                self._parts.append(Blocks())
            if self._left == 0:
                return  # more bytes than were announced: nothing of this body will be kept
            part = view[: self._left]
            self._parts[-1].update(part)
            self._left -= len(part)
            view = view[len(part) :]

    def parts(self, extent: Extent) -> list[Part]:
        number, start, size = extent
        cuts = [size] if self._cuts is None else self._cuts
        made = []
        for index, length in enumerate(cuts):
            digests = self._parts[index].digests() if index < len(self._parts) else b""
            made.append(Part(length, [(number, start, length)] if length else [], digests))
            start += length
        return made

    def hash(self) -> str:
        return content_hash((self._whole or self._parts[0]).digests())


@dataclass
class Received:
    """A body on disk. `parts` has one for each announced length; `content_hash` is that of the whole body."""

    size: int
    parts: list[Part]
    content_hash: str
    too_large: bool = False
    segment: int | None = None


async def store(
    body: Body, content: Content, *, limit: int, cuts: list[int] | None = None, whole: bool = False
) -> Received:
    """Read a body to its end, store it on disk, and hash it on the way.

    Args:
        body: what comes.
        content: where it goes.
        limit: more bytes than this are read, but not kept (`too_large`).
        cuts: the lengths of the parts that belong to different upload sessions; None for one part.
        whole: with `cuts`, whether the hash of the whole body is needed.

    Raises:
        Disconnected: the client went away; nothing is kept.
    """
    hasher = _Hasher(cuts, whole=whole)
    first: list[bytes] = []
    while body.size <= SMALL:
        data = await body.chunk()
        if not data:
            joined = b"".join(first)
            hasher.update(joined)
            extent = content.append(joined)
            return Received(len(joined), hasher.parts(extent), hasher.hash())
        first.append(data)
    segment = content.segment()
    try:
        await _spool(body, segment, hasher, first, limit)
    except BaseException:
        content.discard(segment.number)
        raise
    if body.size > limit:
        content.discard(segment.number)
        return Received(body.size, [], "", too_large=True)
    return Received(body.size, hasher.parts((segment.number, 0, body.size)), hasher.hash(), segment=segment.number)


async def _spool(body: Body, segment: Segment, hasher: _Hasher, batch: list[bytes], limit: int) -> None:
    """Hash and write in another thread while the next bytes arrive: both release the interpreter's lock."""
    loop = asyncio.get_running_loop()

    def absorb(parts: list[bytes]) -> None:
        data = b"".join(parts)  # one piece, so that the interpreter is handed over seldom
        hasher.update(data)
        segment.write(data)

    working: asyncio.Future[None] | None = None
    try:
        filled = sum(map(len, batch))
        while True:
            data = await body.chunk()
            batch.append(data)
            filled += len(data)
            if (filled >= _BATCH or not data) and body.size <= limit:
                if working:
                    await working
                working = loop.run_in_executor(None, absorb, batch)
            if filled >= _BATCH or not data:
                batch, filled = [], 0
            if not data:
                return
    finally:
        if working:
            await asyncio.wait([working])
            working.result()
