"""Download what a plan says: small folders as a zip, files by revision, large ones in ranges.

Laws: a file is written beside its place and put there only when its content hash is the planned one. What was verified
before a crash is not fetched again. A file on disk that changed meanwhile stays.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from huracan_sync.content_hash import BLOCK_SIZE, ContentHasher, block_hashes, combine, content_hash
from huracan_sync.errors import (
    ContentMismatch,
    DiskFull,
    HuracanError,
    NotAuthorized,
    NotFound,
    Unavailable,
)
from huracan_sync.journal import Journal, Synced
from huracan_sync.local import Placing, Root, Stamp, sync_folders
from huracan_sync.paths import fold, join
from huracan_sync.plan import Copy
from huracan_sync.remote.client import Ranged, RangeIgnored, Remote
from huracan_sync.remote.listing import FileMetadata
from huracan_sync.transfer import zipped
from huracan_sync.transfer.crew import Crew
from huracan_sync.transfer.progress import Failure, Monitor
from huracan_sync.tree import Entry

PART = 2 * BLOCK_SIZE
"""Bytes of one range; a file up to this size is fetched whole."""
PARTS_AT_ONCE = 6
FILES_AT_ONCE = 4
PLACED_TOGETHER = 64
"""Files of a zip that one worker unpacks."""
ATTEMPTS = 3


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
    blocks: Mapping[str, bytes] = {}
    """Block digests from a verified manifest, by `fold(path)`, so that a range is verified as it arrives."""

    def placing(self, entry: Entry) -> Placing:
        """Where the entry is written. The name of its part depends on path and content, so a later run finds it."""
        token = content_hash(fold(entry.path).encode() + entry.content_hash).hex()
        return Placing(self.local_root, entry.path, token=token)


class Downloaded(msgspec.Struct):
    """What a download came to."""

    done: list[Synced]
    failures: list[Failure]
    stopped: HuracanError | None = None


class Download:
    """One download. `run` it once, inside the site's crew."""

    def __init__(self, site: DownSite) -> None:
        self._site = site
        self._zips: deque[zipped.Group] = deque()
        self._unpacking: deque[_Unpack] = deque()
        self._files: deque[Copy] = deque()
        self._large: deque[Copy] = deque()
        self._streams: deque[Copy] = deque()
        self._open: list[_Ranges] = []
        self._attempts: dict[str, int] = {}
        self._outcome = Downloaded([], [])

    def run(self, copies: Sequence[Copy], everything: Iterable[Entry]) -> Downloaded:
        """Download them all, or as many as can be.

        Args:
            copies: what is wanted.
            everything: all files that lie at the remote side, to weigh whether fetching a whole folder pays.
        """
        self._zips.extend(zipped.groups(copies, everything))
        in_zips = {fold(step.path) for group in self._zips for step in group.copies}
        for step in copies:
            if fold(step.path) not in in_zips:
                self._queue(step)
        self._site.crew.drive(self._feed)
        for ranges in self._open:  # stopped early: what has arrived is journalled
            ranges.close()
        for job in self._unpacking:
            job.archive.close()
        return self._outcome

    def _queue(self, step: Copy) -> None:
        (self._large if step.entry.size > PART else self._files).append(step)

    def _feed(self) -> bool:
        if self._outcome.stopped:
            return False
        return (
            self._feed_ranges()
            or self._feed_unpacking()
            or self._feed_zip()
            or self._feed_large()
            or self._feed_file()
            or self._feed_stream()
        )

    # --- folders as a zip -------------------------------------------------------------------------------------

    def _feed_zip(self) -> bool:
        if not self._zips or not self._site.crew.has_room(zipped.IN_MEMORY):
            return False
        site, group = self._site, self._zips.popleft()

        def then(archive: zipped.Zip) -> None:
            job = _Unpack(archive, group, deque(group.copies))
            self._unpacking.append(job)

        def failed(error: HuracanError) -> None:
            if isinstance(error, NotAuthorized | DiskFull):
                self._stop(error)
                return
            site.monitor.note(f"no zip of {group.folder or 'the folder'} ({error}); its files are fetched one by one")
            for step in group.copies:
                self._queue(step)

        work = lambda: zipped.fetch(site.remote, site.remote_root, group, site.scratch)  # noqa: E731 - read at once
        site.crew.start(work, then, failed, cost=zipped.IN_MEMORY)
        return True

    def _feed_unpacking(self) -> bool:
        if not self._unpacking:
            return False
        site, job = self._site, self._unpacking[0]
        chunk = [job.waiting.popleft() for _ in range(min(PLACED_TOGETHER, len(job.waiting)))]
        job.running += 1
        if not job.waiting:
            self._unpacking.popleft()

        def then(results: list[Synced | HuracanError | None]) -> None:
            job.end()
            placed = [(s, r) for s, r in zip(chunk, results, strict=True) if isinstance(r, Synced)]
            self._learn(placed)
            for step, result in zip(chunk, results, strict=True):
                if result is None or isinstance(result, ContentMismatch):
                    self._queue(step)  # changed since the plan, or damaged on the way: by revision it comes exactly
                elif isinstance(result, HuracanError):
                    self._fail(step, result)

        def failed(error: HuracanError) -> None:
            job.end()
            for step in chunk:
                self._fail(step, error)

        site.crew.start(lambda: _unpack(site, job, chunk), then, failed)
        return True

    # --- files ------------------------------------------------------------------------------------------------

    def _feed_file(self) -> bool:
        if not self._files or not self._site.crew.has_room(self._files[0].entry.size):
            return False
        step = self._files.popleft()
        self._start_file(step, _fetch_whole, cost=step.entry.size)
        return True

    def _feed_stream(self) -> bool:
        if not self._streams or not self._site.crew.has_room(PART):
            return False
        self._start_file(self._streams.popleft(), _fetch_stream, cost=PART)
        return True

    def _start_file(self, step: Copy, fetch: Callable[[DownSite, Entry], Synced], *, cost: int) -> None:
        self._site.crew.start(
            lambda: fetch(self._site, step.entry),
            lambda result: self._learn([(step, result)]),
            lambda error: self._fail(step, error),
            cost=cost,
        )

    def _feed_large(self) -> bool:
        if not self._large or len(self._open) >= FILES_AT_ONCE:
            return False
        step = self._large.popleft()
        try:
            self._open.append(_Ranges(self._site, step))
        except HuracanError as error:
            self._fail(step, error)
            return True
        self._after_range(self._open[-1], self._open[-1].is_complete)
        return True

    def _feed_ranges(self) -> bool:
        site = self._site
        for ranges in self._open:
            if not site.crew.has_room(PART) or (number := ranges.next_part()) is None:
                continue

            def then(blocks: bytes, ranges: _Ranges = ranges, number: int = number) -> None:
                site.monitor.moved(ranges.length(number))
                self._after_range(ranges, ranges.end(number, blocks))

            def failed(error: HuracanError, ranges: _Ranges = ranges, number: int = number) -> None:
                self._after_range(ranges, ranges.end(number, error))

            site.crew.start(
                lambda ranges=ranges, number=number: ranges.fetch(number),  # type: ignore[misc]
                then,
                failed,
                cost=ranges.length(number),
            )
            return True
        return False

    def _after_range(self, ranges: _Ranges, ended: bool) -> None:  # noqa: FBT001 - read at the call
        if not ended:
            return
        self._open.remove(ranges)
        try:
            self._learn([(ranges.step, ranges.commit())], moved=False)
        except HuracanError as error:
            self._site.monitor.moved(-ranges.size_arrived)
            self._fail(ranges.step, error)

    # --- what became of them ----------------------------------------------------------------------------------

    def _learn(self, placed: list[tuple[Copy, Synced]], *, moved: bool = True) -> None:
        site = self._site
        site.journal.learn(site.pair, (item for _, item in placed))
        for step, item in placed:
            self._outcome.done.append(item)
            if moved:
                site.monitor.moved(step.entry.size)
            site.monitor.finished(step.path, step.entry.size)

    def _stop(self, error: HuracanError) -> None:
        self._outcome.stopped = self._outcome.stopped or error

    def _fail(self, step: Copy, error: HuracanError) -> None:
        is_service = isinstance(error, Unavailable) and error.retryable and not isinstance(error, RangeIgnored)
        if is_service or isinstance(error, NotAuthorized | DiskFull):
            self._stop(error)
        key = fold(step.path)
        self._attempts[key] = self._attempts.get(key, 0) + 1
        if not self._outcome.stopped and self._attempts[key] < ATTEMPTS:
            if isinstance(error, RangeIgnored):
                self._streams.append(step)
                return
            if isinstance(error, ContentMismatch):
                self._queue(step)
                return
        self._outcome.failures.append(Failure(step.path, error))
        self._site.monitor.failed(step.path, error)


class _Unpack(msgspec.Struct):
    """A zip that arrived, and what of it is not unpacked yet."""

    archive: zipped.Zip
    group: zipped.Group
    waiting: deque[Copy]
    running: int = 0

    def end(self) -> None:
        self.running -= 1
        if not self.running and not self.waiting:
            self.archive.close()


def _unpack(site: DownSite, job: _Unpack, chunk: list[Copy]) -> list[Synced | HuracanError | None]:
    """On a worker: put files of a zip in place; None for one the zip does not hold as planned."""
    results: list[Synced | HuracanError | None] = []
    skip = len(job.group.folder) + 1 if job.group.folder else 0
    for step in chunk:
        entry = step.entry
        try:
            content = job.archive.content(entry.path[skip:], entry.size)
            if content is None or content_hash(content) != entry.content_hash:
                results.append(None)
                continue
            with site.placing(entry) as placing:
                placing.write(0, content)
                results.append(_commit(site, placing, entry, sync_folder=False))
        except HuracanError as error:
            results.append(error)
    sync_folders(site.local_root, [r.entry.path for r in results if isinstance(r, Synced)])
    return results


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


def _fetch_whole(site: DownSite, entry: Entry) -> Synced:
    """On a worker: fetch a file that fits one request, verify it, put it in place."""
    data = _content(site, entry, None)
    if content_hash(data) != entry.content_hash:
        raise _mismatch(entry)
    with site.placing(entry) as placing:
        placing.write(0, data)
        return _commit(site, placing, entry)


def _fetch_stream(site: DownSite, entry: Entry) -> Synced:
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
        return _commit(site, placing, entry)


def _commit(site: DownSite, placing: Placing, entry: Entry, *, sync_folder: bool = True) -> Synced:
    stamp = placing.commit(
        size=entry.size,
        replaces=site.stamps.get(fold(entry.path)),
        mtime_ns=entry.mtime_ms * 1_000_000,
        sync_folder=sync_folder,
    )
    return Synced(entry, stamp)


def _mismatch(entry: Entry) -> ContentMismatch:
    return ContentMismatch(f"{entry.path} arrived with other bytes than it must have", path=entry.path)


class _Ranges:
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
        return len(self._arrived) == self._count

    @property
    def size_arrived(self) -> int:
        return sum(map(self.length, self._arrived))

    def length(self, number: int) -> int:
        return min(PART, self.step.entry.size - number * PART)

    def next_part(self) -> int | None:
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
            result = _commit(site, placing, entry)
        site.journal.end_transfer(site.pair, entry.path, "down")
        return result

    def close(self) -> None:
        self._placing.close()

    def _known_at(self, number: int) -> bytes:
        per_part = PART // BLOCK_SIZE * 32
        return self._known[number * per_part : (number + 1) * per_part]

    def _lies_there(self, number: int, blocks: bytes) -> bool:
        data = self._placing.read(number * PART, self.length(number))
        return len(data) == self.length(number) and block_hashes(data) == blocks
