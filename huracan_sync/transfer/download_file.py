"""Bring one file down: whole, in ranges, or as a stream; verified before it is in its place."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import msgspec

from huracan_sync.disk.files import Root, Stamp
from huracan_sync.disk.last_folder import LastFolder
from huracan_sync.disk.part_file import PartFile
from huracan_sync.errors import ContentMismatch, HuracanError, LeftOut, NotFound
from huracan_sync.manifest import file_kinds
from huracan_sync.remote import files
from huracan_sync.remote.client import Ranged, Remote
from huracan_sync.remote.listing import FileMetadata
from huracan_sync.remote.stat import metadata
from huracan_sync.transfer.journal import Journal, Origin, Synced
from huracan_sync.transfer.progress import Monitor
from huracan_sync.transfer.range_window import RangeWindow, ranges
from huracan_sync.transfer.worker_pool import WorkerPool
from huracan_sync.tree.content_hash import BLOCK_SIZE, DIGEST_SIZE, block_count, block_hashes, combine, content_hash
from huracan_sync.tree.content_hasher import ContentHasher
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import fold, join
from huracan_sync.tree.plan import Copy
from huracan_sync.tree.units import counted

WHOLE = 2 * BLOCK_SIZE
"""A file up to this size is fetched in one piece."""

Validate = Callable[[str, Callable[[int, int], bytes], int], None]
"""Given a path, a way to read so many bytes at an offset, and the size; raises `LeftOut` for what is not wanted."""


class DownloadContext(msgspec.Struct, frozen=True):
    """From where to where, and with what."""

    remote: Remote
    journal: Journal
    pair: int
    local_root: Root
    remote_root: str
    monitor: Monitor
    pool: WorkerPool
    scratch: Path
    """A folder for what lies on disk only while it is unpacked."""
    stamps: Mapping[str, Stamp]
    """The states of the files that may be replaced, by `fold(path)`."""
    stop: Callable[[], bool] = lambda: False
    """Whether to begin nothing more."""
    blocks: Mapping[str, bytes] = {}
    """Block digests from a verified manifest, by `fold(path)`, so that a range is verified as it arrives."""
    validate: Validate | None = None
    """Asked about each file before it is put in its place."""
    signed: Mapping[str, Entry] = {}
    """What a verified manifest lists, by folded path."""

    def placing(self, entry: Entry, *, last: LastFolder | None = None) -> PartFile:
        """Where the entry is written. The name of its part depends on path and content, so a later run finds it."""
        token = content_hash(fold(entry.path).encode() + entry.content_hash).hex()
        return PartFile(self.local_root, entry.path, token=token, last=last)


def _places(context: DownloadContext, entry: Entry) -> list[str]:
    """Where the content of an entry may lie: by revision, where it is known, else by path."""
    by_path = join(context.remote_root, entry.path)
    return [f"rev:{entry.rev}", by_path] if entry.rev else [by_path]


def _content(context: DownloadContext, entry: Entry) -> bytes:
    """The bytes of a small entry."""
    for path in _places(context, entry):
        with _gone_elsewhere(context, entry, path):
            if entry.rev and not path.startswith("rev:") and not _is_there(context, entry, path):
                break
            described, data = files.download(context.remote, path, limit=entry.size)
            if described.content_hash == entry.content_hash.hex() and len(data) == entry.size:
                return data
    raise _other_by_now(entry)


def _is_there(context: DownloadContext, entry: Entry, path: str) -> bool:
    """Whether the content lies at the path too: what lies there may be much larger, so it is not simply fetched."""
    there = metadata(context.remote, path)
    return isinstance(there, FileMetadata) and there.content_hash == entry.content_hash.hex()


@contextlib.contextmanager
def _gone_elsewhere(context: DownloadContext, entry: Entry, path: str) -> Iterator[None]:
    """A revision that is not to be had is looked for by its path; a path where nothing lies is an error."""
    try:
        yield
    except NotFound:
        if path == _places(context, entry)[-1]:
            raise


def fetch_whole(context: DownloadContext, entry: Entry) -> Synced:
    """On a worker: fetch a file that fits one request, verify it, put it in place."""
    data = _content(context, entry)
    if content_hash(data) != entry.content_hash:
        raise _mismatch(entry)
    with context.placing(entry) as placing:
        placing.write(0, data)
        return commit(context, placing, entry)


def fetch_stream(context: DownloadContext, entry: Entry) -> Synced:
    """On a worker: fetch a large file in one piece, because ranges are not to be had."""
    path = f"rev:{entry.rev}" if entry.rev else join(context.remote_root, entry.path)
    hasher = ContentHasher()
    with context.placing(entry) as placing:
        with files.open_download(context.remote, path) as download:
            for piece in download.chunks():
                placing.write(hasher.size, piece)
                hasher.update(piece)
                if hasher.size > entry.size:
                    break
        if hasher.size != entry.size or hasher.digest() != entry.content_hash:
            placing.discard()
            raise _mismatch(entry)
        return commit(context, placing, entry)


def commit(context: DownloadContext, placing: PartFile, entry: Entry, *, sync_folder: bool = True) -> Synced:
    """Put a part whose bytes were verified in its place.

    Raises:
        LeftOut: it is not wanted there.
    """
    if context.validate:
        try:
            context.validate(entry.path, placing.read, entry.size)
        except LeftOut:
            placing.discard()
            raise
    kind = file_kinds.hidden(entry.path, placing.read(0, min(file_kinds.SNIFF, entry.size)))
    listed = context.signed.get(fold(entry.path))
    is_signed = listed is not None and (listed.size, listed.content_hash) == (entry.size, entry.content_hash)
    stamp = placing.commit(
        size=entry.size,
        replaces=context.stamps.get(fold(entry.path)),
        mtime_ns=entry.mtime_ms * 1_000_000,
        sync_folder=sync_folder,
        unsigned=b"" if is_signed else entry.content_hash,
    )
    return Synced(entry, stamp, kind, Origin.SIGNED if is_signed else Origin.UNSIGNED)


def _other_by_now(entry: Entry) -> ContentMismatch:
    return ContentMismatch(f"{entry.path} holds other content in Dropbox by now", path=entry.path)


def _mismatch(entry: Entry) -> ContentMismatch:
    return ContentMismatch(f"{entry.path} arrived with other bytes than it must have", path=entry.path)


class RangeDownload:
    """A large file arriving in ranges of blocks. Lives in the caller's thread; `fetch` runs on a worker's."""

    def __init__(self, context: DownloadContext, step: Copy, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.step = step
        self._clock = clock
        self._error: HuracanError | None = None
        self._context = context
        self._known = context.blocks.get(fold(step.path), b"")
        self._placing = context.placing(step.entry)
        self._window = RangeWindow()
        self._count = block_count(step.entry.size)
        self._token = f"{step.entry.rev}:{step.entry.content_hash.hex()}"
        earlier = context.journal.transfer(context.pair, step.path, "down")
        if earlier is None or earlier.token != self._token or earlier.part_size != BLOCK_SIZE:
            earlier = context.journal.begin_transfer(
                context.pair,
                step.path,
                "down",
                token=self._token,
                session="",
                part_size=BLOCK_SIZE,
                now=context.journal.clock(),
            )
        self._transfer = earlier.id
        # What the journal says has arrived must also lie on the disk as it arrived: a crash may have lost it.
        self._arrived = {number: block for number, block in earlier.parts.items() if self._lies_there(number, block)}
        if self._arrived:
            context.monitor.moved(self.size_arrived)
            context.monitor.note(
                f"{step.path}: {counted(self.size_arrived, 'byte')} arrived in an earlier run; going on from there"
            )
        self._waiting = ranges(self._count, self._arrived)

    @property
    def is_complete(self) -> bool:
        """Whether every block has arrived."""
        return len(self._arrived) == self._count

    @property
    def size_arrived(self) -> int:
        """Bytes that need not be fetched again."""
        return sum(map(self.length, self._arrived))

    def length(self, number: int) -> int:
        """Bytes in a block."""
        return min(BLOCK_SIZE, self.step.entry.size - number * BLOCK_SIZE)

    def next_range(self) -> range | None:
        """The blocks to fetch now, or None when none may be."""
        if self._error or not self._waiting or not self._window.has_room():
            return None
        self._window.begin(blocks := self._waiting.popleft())
        return blocks

    def arrived(self, number: int, block: bytes, seconds: float) -> None:
        """A block has arrived, with this digest, in so many seconds."""
        self._arrived[number] = block
        self._window.arrived(number, self.length(number), seconds)
        # Not durable: nor are the bytes yet. After a power failure both are looked at.
        self._context.journal.note_part(self._transfer, number, block, durable=False)
        self._context.monitor.moved(self.length(number))

    def end(self, blocks: range, error: HuracanError | None) -> bool:
        """A range has come to its end; whether that was the end of the whole file.

        A file that failed ends when its last range under way does: until then its part is written.
        """
        self._window.end(blocks)
        self._error = self._error or error
        return self._window.is_idle and (self._error is not None or self.is_complete)

    def fetch(self, blocks: range) -> None:
        """On a worker: fetch a range, verify each block if that is possible alone, write it, tell of it."""
        context, entry = self._context, self.step.entry
        part = Ranged(blocks.start * BLOCK_SIZE, min(blocks.stop * BLOCK_SIZE, entry.size))
        for path in _places(context, entry):
            with _gone_elsewhere(context, entry, path):
                number, hasher, began, asked = blocks.start, sha256(), None, self._clock()
                for described, at, data in files.download_range(context.remote, path, part):
                    if described.content_hash != entry.content_hash.hex() or described.size != entry.size:
                        break
                    if began is None:
                        began = self._clock()
                        context.pool.tell(lambda waited=began - asked: self._window.answered(waited))  # type: ignore[misc]
                    # While it is in the processor's cache; what a block holds counts when the whole block is verified.
                    hasher.update(data)
                    self._placing.write(at, data)
                    if at + len(data) < min((number + 1) * BLOCK_SIZE, part.end):
                        continue
                    self._verify(number, hasher.digest(), self._clock() - began)
                    self._placing.begin_to_settle(number * BLOCK_SIZE, self.length(number))
                    number, hasher, began = number + 1, sha256(), self._clock()
                    if self._error or context.stop() or context.pool.is_ending:
                        return
                else:
                    return
        raise _other_by_now(entry)

    def _verify(self, number: int, block: bytes, seconds: float) -> None:
        if self._known and block != self._known[number * DIGEST_SIZE : (number + 1) * DIGEST_SIZE]:
            raise ContentMismatch(f"block {number} of {self.step.path} arrived damaged", path=self.step.path)
        self._context.pool.tell(lambda: self.arrived(number, block, seconds))

    def commit(self) -> Synced:
        """It has ended: verify the whole and put it in place, or say why not."""
        context, entry = self._context, self.step.entry
        with self._placing as placing:
            if self._error is not None:
                if not self._arrived:  # nothing that a later run could go on from
                    placing.discard()
                raise self._error
            if combine(b"".join(self._arrived[number] for number in range(self._count))) != entry.content_hash:
                placing.discard()
                context.journal.end_transfer(context.pair, entry.path, "down")
                raise _mismatch(entry)
            try:
                result = commit(context, placing, entry)
            except LeftOut:  # nothing of it is there for a later run
                context.journal.end_transfer(context.pair, entry.path, "down")
                raise
        context.journal.end_transfer(context.pair, entry.path, "down")
        return result

    def close(self) -> None:
        """Close the part; it stays for a later run."""
        self._placing.close()

    def _lies_there(self, number: int, block: bytes) -> bool:
        data = self._placing.read(number * BLOCK_SIZE, self.length(number))
        return len(data) == self.length(number) and block_hashes(data) == block
