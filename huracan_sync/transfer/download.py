"""Download what a plan says: small folders as a zip, files by revision, large ones in ranges.

Laws: a file is written beside its place and put there only when its content hash is the planned one. What was verified
before a crash is not fetched again. A file on disk that changed meanwhile stays.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence

import msgspec

from huracan_sync.disk.files import sync_folders
from huracan_sync.disk.last_folder import LastFolder
from huracan_sync.errors import (
    ContentMismatch,
    DiskFull,
    HuracanError,
    LeftOut,
    NotAuthorized,
    Stopped,
    Unavailable,
)
from huracan_sync.transfer import download_zip
from huracan_sync.transfer.download_file import WHOLE, DownloadContext, RangeDownload, commit, fetch_stream, fetch_whole
from huracan_sync.transfer.elsewhere import DownloadElsewhere
from huracan_sync.transfer.journal import Synced
from huracan_sync.transfer.progress import Failure
from huracan_sync.tree.content_hash import BLOCK_SIZE, content_hash
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import fold
from huracan_sync.tree.plan import Copy

FILES_AT_ONCE = 4
PLACED_TOGETHER = 125
"""Files of a zip that one worker unpacks."""
PLACED_FIRST = 32
"""Of the first ones: how long they take tells whether several workers at once are of use (`DiskTurns`)."""
ATTEMPTS = 3


class Downloaded(msgspec.Struct):
    """What a download came to."""

    done: list[Synced]
    failures: list[Failure]
    left_out: list[str]
    """Paths of what came and was not wanted like this."""
    stopped: HuracanError | None = None

    @property
    def count(self) -> int:
        """Files of which it is known what became."""
        return len(self.done) + len(self.failures) + len(self.left_out)


class Download:
    """One download. `run` it once, inside the context's pool of workers."""

    def __init__(self, context: DownloadContext) -> None:
        self._context = context
        self._zips: deque[download_zip.Group] = deque()
        self._unpacking: deque[_Unpack] = deque()
        self._files: deque[Copy] = deque()
        self._large_files: deque[Copy] = deque()
        self._streams: deque[Copy] = deque()
        self._open: list[RangeDownload] = []
        self._attempts: dict[str, int] = {}
        self._elsewhere: DownloadElsewhere | None = None
        self._shares: deque[tuple[list[download_zip.Group], list[Copy]]] = deque()
        self._outcome = Downloaded([], [], [])

    def run(
        self,
        copies: Sequence[Copy],
        everything: Iterable[Entry],
        elsewhere: DownloadElsewhere | None = None,
        split: Collection[str] = (),
    ) -> Downloaded:
        """Download them all, or as many as can be.

        Args:
            copies: what is wanted.
            everything: all files that lie at the remote side, to weigh whether fetching a whole folder pays.
            elsewhere: workers that fetch and place them.
            split: folders, folded, of which not all files are among these.
        """
        zips = download_zip.groups(copies, everything, split)
        in_zips = {fold(step.path) for group in zips for step in group.copies}
        files = [step for step in copies if fold(step.path) not in in_zips]
        if elsewhere is not None:
            self._elsewhere, self._shares = elsewhere, deque(elsewhere.shares(zips, files))
            zips, files = [], []
        return self.run_planned(zips, files, count=len(copies))

    def run_planned(self, zips: Iterable[download_zip.Group], files: Iterable[Copy], count: int = 0) -> Downloaded:
        """As `run`, with the folders that are fetched as a zip; `count` files in all."""
        self._zips.extend(zips)
        for step in files:
            self._queue(step)
        try:
            self._context.pool.drive(self._feed)
        finally:
            self._close()
        if self._context.stop() and self._outcome.count < count:
            self._stop(Stopped("asked to end; the rest is for the next run"))
        return self._outcome

    def _close(self) -> None:
        """Ended early: what has arrived is journalled."""
        for file in self._open:
            file.close()
        for job in self._unpacking:
            job.archive.close()

    def _queue(self, step: Copy) -> None:
        (self._large_files if step.entry.size > WHOLE else self._files).append(step)

    def _feed(self) -> bool:
        if self._outcome.stopped or self._context.stop():
            return False
        return (
            self._feed_elsewhere()
            or self._feed_ranges()
            or self._feed_unpacking()
            or self._feed_zip()
            or self._feed_large()
            or self._feed_file()
            or self._feed_stream()
        )

    # --- on workers -------------------------------------------------------------------------------------------

    def _feed_elsewhere(self) -> bool:
        context, elsewhere = self._context, self._elsewhere
        if elsewhere is None or not self._shares or not context.pool.has_room():
            return False
        zips, files = self._shares.popleft()
        steps = {fold(step.path): step for step in [*files, *(step for group in zips for step in group.copies)]}

        def then(came: Downloaded) -> None:
            self._learn([(steps[fold(item.entry.path)], item) for item in came.done])
            self._outcome.left_out += came.left_out
            for failure in came.failures:
                self._fail(steps[fold(failure.path)], failure.error)
            if came.stopped is not None:
                self._stop(came.stopped)

        def failed(error: HuracanError) -> None:
            for step in steps.values():
                self._fail(step, error)

        context.pool.start(lambda: elsewhere.fetch(zips, files), then, failed)
        return True

    # --- folders as a zip -------------------------------------------------------------------------------------

    def _feed_zip(self) -> bool:
        if not self._zips or not self._context.pool.has_room(download_zip.IN_MEMORY):
            return False
        context, group = self._context, self._zips.popleft()
        size, counted = sum(step.entry.size for step in group.copies), 0

        def count(total: int) -> None:
            nonlocal counted
            context.monitor.moved(total - counted)
            counted = total

        def then(archive: download_zip.Zip) -> None:
            count(size)
            job = _Unpack(archive, group, deque(group.copies))
            self._unpacking.append(job)

        def failed(error: HuracanError) -> None:
            count(0)
            if isinstance(error, NotAuthorized):
                self._stop(error)
                return
            if context.pool.is_ending:
                return
            context.monitor.note(
                f"no zip of {group.folder or 'the folder'} ({error}); its files are fetched one by one"
            )
            for step in group.copies:
                self._queue(step)

        # The zip is a little longer than what is in it.
        arrived = lambda total: context.pool.tell(lambda: count(min(total, size)))  # noqa: E731
        work = lambda: download_zip.fetch(context.remote, context.remote_root, group, context.scratch, arrived)  # noqa: E731 - read at once
        context.pool.start(work, then, failed, cost=download_zip.IN_MEMORY)
        return True

    def _feed_unpacking(self) -> bool:
        if not self._unpacking:
            return False
        context, job = self._context, self._unpacking[0]
        together = PLACED_TOGETHER if len(job.waiting) < len(job.group.copies) else PLACED_FIRST
        chunk = [job.waiting.popleft() for _ in range(min(together, len(job.waiting)))]
        job.running += 1
        if not job.waiting:
            self._unpacking.popleft()

        def then(results: list[Synced | HuracanError | None]) -> None:
            job.end()
            placed = [(s, r) for s, r in zip(chunk, results, strict=True) if isinstance(r, Synced)]
            self._learn(placed, moved=False)
            context.monitor.moved(
                -sum(s.entry.size for s, r in zip(chunk, results, strict=True) if not isinstance(r, Synced))
            )
            for step, result in zip(chunk, results, strict=True):
                if result is None or isinstance(result, ContentMismatch):
                    self._queue(step)  # changed since the plan, or damaged on the way: by revision it comes exactly
                elif isinstance(result, HuracanError):
                    self._fail(step, result)

        def failed(error: HuracanError) -> None:
            job.end()
            context.monitor.moved(-sum(step.entry.size for step in chunk))
            for step in chunk:
                self._fail(step, error)

        context.pool.start(lambda: _unpack(context, job, chunk), then, failed)
        return True

    # --- files ------------------------------------------------------------------------------------------------

    def _feed_file(self) -> bool:
        if not self._files or not self._context.pool.has_room(self._files[0].entry.size):
            return False
        step = self._files.popleft()
        self._start_file(step, fetch_whole, cost=step.entry.size)
        return True

    def _feed_stream(self) -> bool:
        if not self._streams or not self._context.pool.has_room(WHOLE):
            return False
        self._start_file(self._streams.popleft(), fetch_stream, cost=WHOLE)
        return True

    def _start_file(self, step: Copy, fetch: Callable[[DownloadContext, Entry], Synced], *, cost: int) -> None:
        self._context.pool.start(
            lambda: fetch(self._context, step.entry),
            lambda result: self._learn([(step, result)]),
            lambda error: self._fail(step, error),
            cost=cost,
        )

    def _feed_large(self) -> bool:
        if not self._large_files or len(self._open) >= FILES_AT_ONCE:
            return False
        step = self._large_files.popleft()
        try:
            self._open.append(RangeDownload(self._context, step))
        except HuracanError as error:
            self._fail(step, error)
            return True
        if self._open[-1].is_complete:
            self._settle(self._open[-1])
        return True

    def _feed_ranges(self) -> bool:
        context = self._context
        for file in self._open:
            if not context.pool.has_room(BLOCK_SIZE) or (blocks := file.next_range()) is None:
                continue

            def ended(error: HuracanError | None, file: RangeDownload = file, blocks: range = blocks) -> None:
                if file.end(blocks, error):
                    self._settle(file)

            context.pool.start(
                lambda file=file, blocks=blocks: file.fetch(blocks),  # type: ignore[misc]
                ended,
                ended,
                cost=BLOCK_SIZE,
            )
            return True
        return False

    def _settle(self, file: RangeDownload) -> None:
        """All that will come of a large file has come."""
        self._open.remove(file)
        try:
            self._learn([(file.step, file.commit())], moved=False)
        except HuracanError as error:
            self._context.monitor.moved(-file.size_arrived)
            self._fail(file.step, error)

    # --- what became of them ----------------------------------------------------------------------------------

    def _learn(self, placed: list[tuple[Copy, Synced]], *, moved: bool = True) -> None:
        context = self._context
        context.journal.learn(context.pair, (item for _, item in placed))
        for step, item in placed:
            self._outcome.done.append(item)
            if moved:
                context.monitor.moved(step.entry.size)
            context.monitor.finished(step.path, step.entry.size)

    def _stop(self, error: HuracanError) -> None:
        self._outcome.stopped = self._outcome.stopped or error

    def _fail(self, step: Copy, error: HuracanError) -> None:
        if isinstance(error, LeftOut):
            self._outcome.left_out.append(step.path)
            self._context.monitor.note(str(error))
            self._context.monitor.finished(step.path, step.entry.size)
            return
        is_service = isinstance(error, Unavailable) and error.retryable and error.code != "RANGE_IGNORED"
        if is_service or isinstance(error, NotAuthorized | DiskFull):
            self._stop(error)
        key = fold(step.path)
        self._attempts[key] = self._attempts.get(key, 0) + 1
        if not self._outcome.stopped and self._attempts[key] < ATTEMPTS:
            if error.code == "RANGE_IGNORED":
                self._streams.append(step)
                return
            if isinstance(error, ContentMismatch):
                self._queue(step)
                return
        self._outcome.failures.append(Failure(step.path, error))
        self._context.monitor.failed(step.path, error)


class _Unpack(msgspec.Struct):
    """A zip that arrived, and what of it is not unpacked yet."""

    archive: download_zip.Zip
    group: download_zip.Group
    waiting: deque[Copy]
    running: int = 0

    def end(self) -> None:
        self.running -= 1
        if not self.running and not self.waiting:
            self.archive.close()


def _unpack(context: DownloadContext, job: _Unpack, chunk: list[Copy]) -> list[Synced | HuracanError | None]:
    """On a worker: put files of a zip in place; None for one the zip does not hold as planned."""
    results: list[Synced | HuracanError | None] = []
    skip = len(job.group.folder) + 1 if job.group.folder else 0
    with context.pool.disk.turn(len(chunk)), LastFolder() as last:
        for step in chunk:
            try:
                results.append(_unpack_one(context, job.archive, step.entry, skip, last))
            except HuracanError as error:
                results.append(error)
    sync_folders(context.local_root, [r.entry.path for r in results if isinstance(r, Synced)])
    return results


def _unpack_one(
    context: DownloadContext, archive: download_zip.Zip, entry: Entry, skip: int, last: LastFolder
) -> Synced | None:
    content = archive.content(entry.path[skip:], entry.size)
    if content is None or content_hash(content) != entry.content_hash:
        return None
    with context.placing(entry, last=last) as placing:
        placing.write(0, content)
        return commit(context, placing, entry, sync_folder=False)
