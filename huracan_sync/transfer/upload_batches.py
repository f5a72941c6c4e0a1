"""Small files: read, sent many at a time, closed. Their commit is not here."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from operator import attrgetter

import msgspec

from huracan_sync.errors import CallRefused, HuracanError
from huracan_sync.remote import upload_session
from huracan_sync.remote.errors import HeaderTooLarge
from huracan_sync.remote.listing import FileMetadata
from huracan_sync.transfer.journal import Sent
from huracan_sync.transfer.upload_item import Site, Wish, is_fresh, token_of
from huracan_sync.tree.paths import fold

ROUND_BYTES = 128 * 1024 * 1024
"""Content in one commit."""
OPEN_ROUNDS = 3
"""Rounds under way at once: while one commits, the next ones append."""
SINGLES = 2
"""Up to so many files are sent alone, one request each; more travel in a batch, which needs three."""


FIRST_BODY = 1024 * 1024
BODY_S = 2.0
"""Seconds that one append may take, as far as its size decides it."""
WORTH_NOTING = 256 * 1024
WORTH_NOTING_S = 0.5
"""An append of so many bytes, or so slow, is journalled, so that a kill before the commit does not cost it."""


class _Round(msgspec.Struct):
    """Files that will be committed together."""

    waiting: deque[Wish]
    closed: list[Wish]
    appending: int = 0
    started: bool = False


class Small:
    """The queue of small files. Lives in the caller's thread."""

    def __init__(
        self,
        site: Site,
        *,
        closed: Callable[[list[Wish]], None],
        sent: Callable[[Wish, FileMetadata], None],
        failed: Callable[[Wish, HuracanError], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        """Make a queue.

        Args:
            site: from where to where.
            closed: told of files whose sessions are closed, ready for a commit.
            sent: told of files that were committed alone.
            failed: told of files that were not.
            now: seconds since 1970.
        """
        self.queue: deque[Wish] = deque()
        self._site = site
        self._closed = closed
        self._sent = sent
        self._failed = failed
        self._now = now
        self._rounds: list[_Round] = []
        self._earlier = site.journal.sent(site.pair)
        self._body = FIRST_BODY
        self._budget = upload_session.HeaderBudget(site.options.header_limit, learn=site.options.learn_headers)
        self._batches = site.options.batches

    def add(self, wish: Wish) -> None:
        """Queue a file; one that an earlier run sent whole, and that is still the same, only waits for its commit."""
        earlier = self._earlier.pop(fold(wish.path), None)
        if earlier and is_fresh(earlier.at, self._now()) and wish.go_on(self._site, earlier):
            self._site.monitor.moved(wish.size)
            self._closed([wish])
            return
        self.queue.append(wish)

    def feed(self) -> bool:
        """Start one thing if there is room; whether something was started."""
        return self._feed_append() or self._feed_round()

    def _feed_append(self) -> bool:
        for opened in self._rounds:
            if opened.started and opened.waiting and self._site.crew.has_room(upload_session.BODY):
                self._start_append(opened, self._cut(opened.waiting))
                return True
        return False

    def _feed_round(self) -> bool:
        if not self.queue or len(self._rounds) >= OPEN_ROUNDS:
            return False
        if not self._batches or (len(self.queue) <= SINGLES and not self._rounds):
            if not self._site.crew.has_room(self.queue[0].size):
                return False
            self._start_single(self.queue.popleft())
            return True
        opened, size = _Round(deque(), []), 0
        while self.queue and len(opened.waiting) < upload_session.FILES_IN_A_COMMIT and size < ROUND_BYTES:
            opened.waiting.append(self.queue.popleft())
            size += opened.waiting[-1].size
        self._start_round(opened)
        return True

    def _start_round(self, opened: _Round) -> None:
        self._rounds.append(opened)
        wishes = list(opened.waiting)

        def then(sessions: list[str]) -> None:
            for wish, session in zip(wishes, sessions, strict=True):
                wish.session = session
            opened.started = True

        def failed(error: HuracanError) -> None:
            self._rounds.remove(opened)
            self._refused(wishes, error)

        self._site.crew.start(lambda: upload_session.start(self._site.remote, len(wishes)), then, failed)

    def _cut(self, waiting: deque[Wish]) -> list[Wish]:
        """The files of the next append: as many as its header and its body may hold, at least one."""
        chunk: list[Wish] = []
        header, body = upload_session.ARG_OVERHEAD, 0
        while waiting:
            wish = waiting[0]
            entry = upload_session.entry_length(wish.session, wish.size)
            if chunk and (header + entry > self._budget.limit or body + wish.size > self._body):
                break
            chunk.append(waiting.popleft())
            header, body = header + entry, body + wish.size
        return chunk

    def _start_append(self, opened: _Round, chunk: list[Wish]) -> None:
        opened.appending += 1
        site = self._site

        def work() -> tuple[list[HuracanError | None], int, float]:
            began = time.monotonic()
            contents = [wish.read_whole(site) for wish in chunk]
            pieces = [(w.session, c) for w, c in zip(chunk, contents, strict=True) if isinstance(c, bytes)]
            errors, header = upload_session.append(site.remote, pieces) if pieces else ([], 0)
            answers = iter(errors)
            said = [c if isinstance(c, HuracanError) else next(answers) for c in contents]
            return said, header, time.monotonic() - began

        def then(result: tuple[list[HuracanError | None], int, float]) -> None:
            errors, header, seconds = result
            self._budget.accepted(header)
            closed = [wish for wish, error in zip(chunk, errors, strict=True) if error is None]
            self._note_closed(opened, closed, seconds)
            for wish, error in zip(chunk, errors, strict=True):
                if error is not None:
                    self._failed(wish, error)
            self._end_append(opened)

        def failed(error: HuracanError) -> None:
            header = upload_session.ARG_OVERHEAD + sum(upload_session.entry_length(w.session, w.size) for w in chunk)
            # An edge that finds a header too long may say so as a plain 400; one of 8 KiB it does not.
            too_long = isinstance(error, HeaderTooLarge) or header > upload_session.HeaderBudget.FIRST
            if isinstance(error, CallRefused) and too_long and len(chunk) > 1:
                self._budget.refused(header)
                opened.waiting.extendleft(reversed(chunk))
            else:
                self._refused(chunk, error)
            self._end_append(opened)

        site.crew.start(work, then, failed, cost=sum(map(attrgetter("size"), chunk)))

    def _note_closed(self, opened: _Round, wishes: list[Wish], seconds: float) -> None:
        site = self._site
        opened.closed += wishes
        size = sum(wish.size for wish in wishes)
        site.monitor.moved(size)
        # As much in one body as the link takes in a second or two: a kill costs what was under way.
        self._body = max(FIRST_BODY, min(upload_session.BODY, int(size / max(seconds, 1e-3) * BODY_S)))
        if seconds > WORTH_NOTING_S or size > WORTH_NOTING:
            site.journal.note_sent(
                site.pair,
                [
                    (wish.path, Sent(token_of(wish.stamp), wish.session, wish.digest, self._now()))
                    for wish in wishes
                    if wish.stamp
                ],
            )

    def _end_append(self, opened: _Round) -> None:
        opened.appending -= 1
        if not opened.waiting and not opened.appending:
            self._rounds.remove(opened)
            self._closed(opened.closed)

    def _refused(self, wishes: Iterable[Wish], error: HuracanError) -> None:
        if isinstance(error, CallRefused) and self._batches:
            # A server without batch routes: every small file goes alone, for the rest of the run.
            self._batches = False
            self._site.monitor.note("the server does not take batches; small files are sent one by one")
        if isinstance(error, CallRefused):
            self.queue.extend(wishes)
            return
        for wish in wishes:
            self._failed(wish, error)

    def _start_single(self, wish: Wish) -> None:
        """Read, then note what is about to be committed, then send: after a kill it is known for our own."""
        site = self._site

        def read() -> bytes:
            content = wish.read_whole(site)
            if isinstance(content, HuracanError):
                raise content
            return content

        def send(content: bytes) -> None:
            entry = msgspec.structs.replace(wish.step.entry, content_hash=wish.digest, size=wish.size)
            site.journal.intend(site.pair, [entry])
            arg = {**msgspec.structs.asdict(wish.commit(site)), "content_hash": wish.digest.hex()}
            work = lambda: site.remote.send("files/upload", arg, content, FileMetadata, commit=True)  # noqa: E731
            site.crew.start(work, sent, failed, cost=wish.size)

        def sent(result: FileMetadata) -> None:
            site.monitor.moved(wish.size)
            self._sent(wish, result)

        def failed(error: HuracanError) -> None:
            self._failed(wish, error)

        site.crew.start(read, send, failed, cost=wish.size)
