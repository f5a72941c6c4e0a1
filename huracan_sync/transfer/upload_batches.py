"""Small files: read, sent many at a time, closed. Their commit is not here."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial

import msgspec

from huracan_sync.disk.last_folder import LastFolder
from huracan_sync.errors import CallRefused, HuracanError
from huracan_sync.remote import files, upload_session
from huracan_sync.remote.listing import FileMetadata
from huracan_sync.transfer.append_body import AppendBody
from huracan_sync.transfer.journal import Sent
from huracan_sync.transfer.upload_item import UploadContext, UploadItem, is_fresh, token_of
from huracan_sync.tree.paths import fold

ROUND_BYTES = 128 * 1024 * 1024
"""Content in one commit."""
OPEN_ROUNDS = 3
"""Rounds under way at once: while one commits, the next ones append."""
SINGLES = 2
"""Up to so many files are sent alone, one request each; more travel in a batch, which needs three."""


SPARE = 20 * 1024 * 1024
"""Bytes of the memory for content that small files leave free: contents of many sizes leave gaps between them."""
FIRST_BODY = 1024 * 1024
BODY_S = 2.0
"""Seconds that one append may take, as far as its size decides it."""
WORTH_NOTING = 256 * 1024
WORTH_NOTING_S = 0.5
"""An append of so many bytes, or so slow, is journalled, so that a kill before the commit does not cost it."""


class _Batch(msgspec.Struct):
    """Files that will be committed together."""

    waiting: deque[UploadItem]
    closed: list[UploadItem]
    appending: int = 0
    started: bool = False


class BatchUploader:
    """The queue of small files. Lives in the caller's thread."""

    def __init__(
        self,
        context: UploadContext,
        *,
        closed: Callable[[list[UploadItem]], None],
        sent: Callable[[UploadItem, FileMetadata], None],
        failed: Callable[[UploadItem, HuracanError], None],
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make a queue.

        Args:
            context: from where to where.
            closed: told of files whose sessions are closed, ready for a commit.
            sent: told of files that were committed alone.
            failed: told of files that were not.
            now: seconds since 1970.
            clock: monotonic seconds.
        """
        self.queue: deque[UploadItem] = deque()
        self._context = context
        self._closed = closed
        self._sent = sent
        self._failed = failed
        self._now = now
        self._clock = clock
        self._batches_open: list[_Batch] = []
        self._earlier = context.journal.sent(context.pair)
        self._body = FIRST_BODY
        self._budget = upload_session.HeaderBudget(context.options.header_limit, learn=context.options.learn_headers)
        self._batches = context.options.batches

    def add(self, item: UploadItem) -> None:
        """Queue a file; one that an earlier run sent whole, and that is still the same, only waits for its commit."""
        earlier = self._earlier.pop(fold(item.path), None)
        if earlier and is_fresh(earlier.at, self._now()) and item.resume(self._context, earlier):
            self._context.monitor.moved(item.size)
            self._closed([item])
            return
        self.queue.append(item)

    def feed(self) -> bool:
        """Start one thing if there is room; whether something was started."""
        return self._feed_append() or self._feed_round()

    def _feed_append(self) -> bool:
        for opened in self._batches_open:
            if opened.started and opened.waiting and self._context.pool.has_room(upload_session.BODY + SPARE):
                self._start_append(opened, self._cut(opened.waiting))
                return True
        return False

    def _feed_round(self) -> bool:
        if not self.queue or len(self._batches_open) >= OPEN_ROUNDS:
            return False
        if not self._batches or (len(self.queue) <= SINGLES and not self._batches_open):
            if not self._context.pool.has_room(self.queue[0].size):
                return False
            self._start_single(self.queue.popleft())
            return True
        opened, size = _Batch(deque(), []), 0
        while self.queue and len(opened.waiting) < upload_session.FILES_IN_A_COMMIT and size < ROUND_BYTES:
            opened.waiting.append(self.queue.popleft())
            size += opened.waiting[-1].size
        self._start_round(opened)
        return True

    def _start_round(self, opened: _Batch) -> None:
        self._batches_open.append(opened)
        items = list(opened.waiting)

        def then(sessions: list[str]) -> None:
            for item, session in zip(items, sessions, strict=True):
                item.session = session
            opened.started = True

        def failed(error: HuracanError) -> None:
            self._batches_open.remove(opened)
            self._refused(items, error)

        self._context.pool.start(lambda: upload_session.start(self._context.remote, len(items)), then, failed)

    def _cut(self, waiting: deque[UploadItem]) -> list[UploadItem]:
        """The files of the next append: as many as its header and its body may hold, at least one."""
        chunk: list[UploadItem] = []
        body = AppendBody(header_limit=self._budget.limit, body_limit=self._body)
        while waiting and body.takes(waiting[0].session, waiting[0].size):
            chunk.append(waiting.popleft())
        return chunk

    def _start_append(self, opened: _Batch, chunk: list[UploadItem]) -> None:
        opened.appending += 1
        context = self._context

        def work() -> tuple[list[HuracanError | None], int, float]:
            began = self._clock()
            with context.pool.disk.turn(len(chunk)), LastFolder() as last:
                contents = [item.read_whole(context, last) for item in chunk]
            pieces = [(w.session, c) for w, c in zip(chunk, contents, strict=True) if isinstance(c, bytes)]
            errors, header = upload_session.append(context.remote, pieces) if pieces else ([], 0)
            answers = iter(errors)
            said = [c if isinstance(c, HuracanError) else next(answers) for c in contents]
            return said, header, self._clock() - began

        def then(result: tuple[list[HuracanError | None], int, float]) -> None:
            errors, header, seconds = result
            self._budget.accepted(header)
            closed = [item for item, error in zip(chunk, errors, strict=True) if error is None]
            self._note_closed(opened, closed, seconds)
            for item, error in zip(chunk, errors, strict=True):
                if error is not None:
                    self._failed(item, error)
            self._end_append(opened)

        def failed(error: HuracanError) -> None:
            header = upload_session.ARG_OVERHEAD + sum(upload_session.entry_length(w.session, w.size) for w in chunk)
            # An edge that finds a header too long may say so as a plain 400; one of 8 KiB it does not.
            too_long = error.code == "HEADER_TOO_LARGE" or header > upload_session.HeaderBudget.FIRST
            if isinstance(error, CallRefused) and too_long and len(chunk) > 1:
                self._budget.refused(header)
                opened.waiting.extendleft(reversed(chunk))
            else:
                self._refused(chunk, error)
            self._end_append(opened)

        context.pool.start(work, then, failed, cost=sum(item.size for item in chunk))

    def _note_closed(self, opened: _Batch, items: list[UploadItem], seconds: float) -> None:
        context = self._context
        opened.closed += items
        size = sum(item.size for item in items)
        context.monitor.moved(size)
        # As much in one body as the link takes in a second or two: a kill costs what was under way.
        self._body = max(FIRST_BODY, min(upload_session.BODY, int(size / max(seconds, 1e-3) * BODY_S)))
        if seconds > WORTH_NOTING_S or size > WORTH_NOTING:
            context.journal.note_sent(
                context.pair,
                [
                    (item.path, Sent(token_of(item.stamp), item.session, item.digest, self._now()))
                    for item in items
                    if item.stamp
                ],
            )

    def _end_append(self, opened: _Batch) -> None:
        opened.appending -= 1
        if not opened.waiting and not opened.appending:
            self._batches_open.remove(opened)
            self._closed(opened.closed)

    def _refused(self, items: Iterable[UploadItem], error: HuracanError) -> None:
        if isinstance(error, CallRefused) and self._batches:
            # A server without batch routes: every small file goes alone, for the rest of the run.
            self._batches = False
            self._context.monitor.note("the server does not take batches; small files are sent one by one")
        if isinstance(error, CallRefused):
            self.queue.extend(items)
            return
        for item in items:
            self._failed(item, error)

    def _start_single(self, item: UploadItem) -> None:
        """Read, then note what is about to be committed, then send: after a kill it is known for our own."""
        context = self._context

        def read() -> bytes:
            content = item.read_whole(context)
            if isinstance(content, HuracanError):
                raise content
            return content

        def send(content: bytes) -> None:
            context.journal.intend(context.pair, [item.intent(context)])
            upload = partial(files.upload, context.remote, item.commit(context), content, item.digest)
            context.pool.start(upload, sent, failed, cost=item.size)

        def sent(result: FileMetadata) -> None:
            context.monitor.moved(item.size)
            self._sent(item, result)

        def failed(error: HuracanError) -> None:
            self._failed(item, error)

        context.pool.start(read, send, failed, cost=item.size)
