"""Bring one file down: whole, in ranges, or as a stream; verified before it is in its place."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from huracan_sync.content_hash import BLOCK_SIZE, ContentHasher, block_hashes, combine, content_hash
from huracan_sync.errors import ContentMismatch, HuracanError, NotFound
from huracan_sync.journal import Journal, Synced
from huracan_sync.local import Placing, Root, Stamp
from huracan_sync.paths import fold, join
from huracan_sync.plan import Copy
from huracan_sync.remote.client import Ranged, Remote
from huracan_sync.remote.listing import FileMetadata
from huracan_sync.transfer.crew import Crew
from huracan_sync.transfer.progress import Monitor
from huracan_sync.tree import Entry

PART = 2 * BLOCK_SIZE
"""Bytes of one range; a file up to this size is fetched whole."""
PARTS_AT_ONCE = 6


class DownSite(msgspec.Struct, frozen=True):
    """From where to where, and with what."""

    remote: Remote
    journal: Journal
    pair: int
    local_root: Root
    remote_root: str
    monitor: Monitor
    crew: Crew
    scratch: Path
    """A folder for what lies on disk only while it is unpacked."""
    stamps: Mapping[str, Stamp]
    """The states of the files that may be replaced, by `fold(path)`."""
    stop: Callable[[], bool] = lambda: False
    """Whether to begin nothing more."""
    blocks: Mapping[str, bytes] = {}
    """Block digests from a verified manifest, by `fold(path)`, so that a range is verified as it arrives."""

    def placing(self, entry: Entry) -> Placing:
        """Where the entry is written. The name of its part depends on path and content, so a later run finds it."""
        token = content_hash(fold(entry.path).encode() + entry.content_hash).hex()
        return Placing(self.local_root, entry.path, token=token)


def _content(site: DownSite, entry: Entry, part: Ranged | None) -> bytes:
    """The bytes of an entry or a part of it, by revision where it is known and still there, else by path."""
    by_path = join(site.remote_root, entry.path)
    wanted = part.end - part.start if part else entry.size
    for path in [f"rev:{entry.rev}", by_path] if entry.rev else [by_path]:
        try:
            described, data = site.remote.fetch("files/download", {"path": path}, FileMetadata, limit=wanted, part=part)
        except NotFound:
            if path == by_path:
                raise
            continue
        if described.content_hash == entry.content_hash.hex() and len(data) == wanted:
            return data
    raise ContentMismatch(f"{entry.path} holds other content in Dropbox by now", path=entry.path)


def fetch_whole(site: DownSite, entry: Entry) -> Synced:
    """On a worker: fetch a file that fits one request, verify it, put it in place."""
    data = _content(site, entry, None)
    if content_hash(data) != entry.content_hash:
        raise _mismatch(entry)
    with site.placing(entry) as placing:
        placing.write(0, data)
        return commit(site, placing, entry)


def fetch_stream(site: DownSite, entry: Entry) -> Synced:
    """On a worker: fetch a large file in one piece, because ranges are not to be had."""
    path = f"rev:{entry.rev}" if entry.rev else join(site.remote_root, entry.path)
    hasher = ContentHasher()
    with site.placing(entry) as placing:
        with site.remote.stream("files/download", {"path": path}) as download:
            for piece in download.chunks():
                placing.write(hasher.size, piece)
                hasher.update(piece)
                if hasher.size > entry.size:
                    break
        if hasher.size != entry.size or hasher.digest() != entry.content_hash:
            placing.discard()
            raise _mismatch(entry)
        return commit(site, placing, entry)


def commit(site: DownSite, placing: Placing, entry: Entry, *, sync_folder: bool = True) -> Synced:
    """Put a part whose bytes were verified in its place."""
    stamp = placing.commit(
        size=entry.size,
        replaces=site.stamps.get(fold(entry.path)),
        mtime_ns=entry.mtime_ms * 1_000_000,
        sync_folder=sync_folder,
    )
    return Synced(entry, stamp)


def _mismatch(entry: Entry) -> ContentMismatch:
    return ContentMismatch(f"{entry.path} arrived with other bytes than it must have", path=entry.path)


class Ranges:
    """A large file arriving in ranges. Lives in the caller's thread; `fetch` runs on the crew's."""

    def __init__(self, site: DownSite, step: Copy) -> None:
        self.step = step
        self._error: HuracanError | None = None
        self._site = site
        self._known = site.blocks.get(fold(step.path), b"")
        self._placing = site.placing(step.entry)
        self._under_way = 0
        self._count = -(-step.entry.size // PART)
        self._token = f"{step.entry.rev}:{step.entry.content_hash.hex()}"
        earlier = site.journal.transfer(site.pair, step.path, "down")
        if earlier is None or earlier.token != self._token or earlier.part_size != PART:
            earlier = site.journal.begin_transfer(
                site.pair, step.path, "down", token=self._token, session="", part_size=PART, now=time.time()
            )
        self._transfer = earlier.id
        # What the journal says has arrived must also lie on the disk as it arrived: a crash may have lost it.
        self._arrived = {number: blocks for number, blocks in earlier.parts.items() if self._lies_there(number, blocks)}
        if self._arrived:
            site.monitor.moved(self.size_arrived)
            site.monitor.note(f"{step.path}: {self.size_arrived} bytes arrived in an earlier run; going on from there")
        self._waiting = deque(number for number in range(self._count) if number not in self._arrived)

    @property
    def is_complete(self) -> bool:
        """Whether every range has arrived."""
        return len(self._arrived) == self._count

    @property
    def size_arrived(self) -> int:
        """Bytes that need not be fetched again."""
        return sum(map(self.length, self._arrived))

    def length(self, number: int) -> int:
        """Bytes in a range."""
        return min(PART, self.step.entry.size - number * PART)

    def next_part(self) -> int | None:
        """The range to fetch now, or None when none may be."""
        if self._error or not self._waiting or self._under_way >= PARTS_AT_ONCE:
            return None
        self._under_way += 1
        return self._waiting.popleft()

    def end(self, number: int, outcome: bytes | HuracanError) -> bool:
        """A range has arrived or failed; whether that was the end of the whole file.

        A file that failed ends when its last range under way does: until then its part is written.
        """
        self._under_way -= 1
        if isinstance(outcome, HuracanError):
            self._error = self._error or outcome
        else:
            self._arrived[number] = outcome
            self._site.journal.note_part(self._transfer, number, outcome)
        return self._under_way == 0 and (self._error is not None or self.is_complete)

    def fetch(self, number: int) -> bytes:
        """On a worker: fetch one range, verify it if that is possible alone, write it; its block digests."""
        start, size = number * PART, self.length(number)
        data = _content(self._site, self.step.entry, Ranged(start, start + size))
        blocks = block_hashes(data)
        if self._known and blocks != self._known_at(number):
            raise ContentMismatch(f"bytes {start} to {start + size} of {self.step.path} arrived damaged")
        self._placing.write(start, data)
        return blocks

    def commit(self) -> Synced:
        """It has ended: verify the whole and put it in place, or say why not."""
        site, entry = self._site, self.step.entry
        with self._placing as placing:
            if self._error is not None:
                raise self._error
            if combine(b"".join(self._arrived[number] for number in range(self._count))) != entry.content_hash:
                placing.discard()
                site.journal.end_transfer(site.pair, entry.path, "down")
                raise _mismatch(entry)
            result = commit(site, placing, entry)
        site.journal.end_transfer(site.pair, entry.path, "down")
        return result

    def close(self) -> None:
        """Close the part; it stays for a later run."""
        self._placing.close()

    def _known_at(self, number: int) -> bytes:
        per_part = PART // BLOCK_SIZE * 32
        return self._known[number * per_part : (number + 1) * per_part]

    def _lies_there(self, number: int, blocks: bytes) -> bool:
        data = self._placing.read(number * PART, self.length(number))
        return len(data) == self.length(number) and block_hashes(data) == blocks
