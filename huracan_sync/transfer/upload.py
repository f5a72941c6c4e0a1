"""Upload what a plan says: small files in batches, large ones in parts, commits one at a time.

Laws: content is read once; what was hashed is what was sent. Nothing is committed that did not belong to one state of
the file. A commit replaces exactly the revision the plan saw, or nothing. The server's content hash and size are
compared with ours for every file before it counts as synced. What is about to be committed is in the journal first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

from huracan_sync.errors import (
    CallRefused,
    Conflict,
    ContentMismatch,
    FileChanged,
    HuracanError,
    NotAuthorized,
    OutOfSpace,
    RateLimited,
    Stopped,
    Unavailable,
)
from huracan_sync.remote import upload_session
from huracan_sync.remote.contents import everything
from huracan_sync.remote.errors import FAULT_ATTEMPTS, SessionLost
from huracan_sync.remote.listing import FileMetadata, entry_of
from huracan_sync.remote.rate_limit import Wait
from huracan_sync.remote.stat import metadata
from huracan_sync.transfer.elsewhere import UploadElsewhere
from huracan_sync.transfer.journal import Synced
from huracan_sync.transfer.journal.signed_state import note_proofs
from huracan_sync.transfer.progress import Failure
from huracan_sync.transfer.staging import may_do_later
from huracan_sync.transfer.upload_batches import BatchUploader
from huracan_sync.transfer.upload_item import PYARROW, UploadContext, UploadItem
from huracan_sync.transfer.upload_parts import PartUploader
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import fold, join
from huracan_sync.tree.plan import Copy

ATTEMPTS = 3
"""How often a file is begun in one run, before it is left for the next."""
READ_TWICE = 2
"""The same of a file whose bytes Dropbox says are others: read again once; a second time is no accident."""
LOOK_ALONE = 20
"""Up to so many files are looked up one by one; more by one listing."""


class Outcome(msgspec.Struct):
    """What an upload came to. `stopped` is what ended it early; what is in `done` is journalled either way."""

    done: list[Synced]
    failures: list[Failure]
    stopped: HuracanError | None = None


class Upload:
    """One upload. `run` it once, inside the worker pool of its context."""

    def __init__(self, context: UploadContext) -> None:
        self._context = context
        self._batches = BatchUploader(
            context, closed=self._await_commit, sent=lambda w, r: self._settle([(w, r)]), failed=self._fail
        )
        self._parts = PartUploader(context, closed=self._await_commit, failed=self._fail)
        self._closed: list[UploadItem] = []
        self._doubtful: list[tuple[UploadItem, HuracanError]] = []
        """What may have been committed, and why that is not sure."""
        self._committing = False
        self._elsewhere: UploadElsewhere | None = None
        self._shares: deque[list[UploadItem]] = deque()
        self._outcome = Outcome([], [])

    def run(self, copies: Iterable[Copy], elsewhere: UploadElsewhere | None = None) -> Outcome:
        """Upload them all, or as many as can be; with `elsewhere`, workers send the bytes."""
        count = 0
        if elsewhere is None:
            for count, step in enumerate(copies, 1):  # noqa: B007 - counted as they go
                self._queue(UploadItem(step))
        else:
            items = [UploadItem(step) for step in copies]
            count, self._elsewhere, self._shares = len(items), elsewhere, deque(elsewhere.shares(items))
        try:
            self._context.pool.drive(self._feed)
        finally:
            self._parts.close()
        if self._context.stop() and len(self._outcome.done) + len(self._outcome.failures) < count:
            self._outcome.stopped = self._outcome.stopped or Stopped("asked to end; the rest is for the next run")
        # This object is part of a circle, which may stay in memory for long after a large upload.
        outcome, self._outcome = self._outcome, Outcome([], [])
        return outcome

    def _queue(self, item: UploadItem) -> None:
        if item.path.lower().endswith(".parquet"):
            self._context.pool.taken = PYARROW
        if item.is_large(self._context):
            self._parts.queue.append(item)
        else:
            self._batches.add(item)

    def _await_commit(self, items: list[UploadItem]) -> None:
        self._closed.extend(items)

    def _feed(self) -> bool:
        if self._outcome.stopped:
            return False
        if self._context.stop():
            return self._feed_commit()  # what was sent is not thrown away
        return (
            self._feed_commit()
            or self._feed_elsewhere()
            or self._parts.feed()
            or self._batches.feed()
            or self._feed_doubtful()
        )

    def _feed_elsewhere(self) -> bool:
        """Hand a share to a worker; what it could not read is tried again here."""
        context, elsewhere = self._context, self._elsewhere
        if elsewhere is None or not self._shares or not context.pool.has_room():
            return False
        items = self._shares.popleft()

        def then(results: list[HuracanError | None]) -> None:
            for item, error in zip(items, results, strict=True):
                if error is not None:
                    self._fail(item, error, alone=True)
                else:
                    context.monitor.moved(item.size)
            self._await_commit([item for item, error in zip(items, results, strict=True) if error is None])

        def failed(error: HuracanError) -> None:
            for item in items:
                self._fail(item, error)

        context.pool.start(lambda: elsewhere.stage(items), then, failed)
        return True

    def _feed_commit(self) -> bool:
        if self._committing or not self._closed:
            return False
        context = self._context
        items, self._closed = (
            self._closed[: upload_session.FILES_IN_A_COMMIT],
            self._closed[upload_session.FILES_IN_A_COMMIT :],
        )
        self._committing = True
        context.journal.intend(context.pair, [item.intent(self._context) for item in items])
        entries = [(upload_session.Cursor(item.session, item.size), item.commit(context)) for item in items]

        def then(results: list[FileMetadata | HuracanError]) -> None:
            self._committing = False
            self._settle(list(zip(items, results, strict=True)))

        def failed(error: HuracanError) -> None:
            self._committing = False
            for item in items:
                self._fail(item, error)

        context.pool.start(lambda: upload_session.finish(context.remote, entries), then, failed)
        return True

    def _settle(self, results: list[tuple[UploadItem, FileMetadata | HuracanError]]) -> None:
        """Compare what the server has with what was sent; journal what agrees."""
        synced: list[tuple[UploadItem, Entry]] = []
        later: list[tuple[UploadItem, HuracanError]] = []
        for item, result in results:
            if isinstance(result, HuracanError):
                item.refusals += 1
                if may_do_later(result) and item.refusals < FAULT_ATTEMPTS:
                    later.append((item, result))
                else:
                    self._fail(item, result, alone=not isinstance(result, OutOfSpace))
            elif result.content_hash != item.digest.hex() or result.size != item.size:
                self._fail(item, ContentMismatch(f"Dropbox holds other bytes of {item.path} than were sent"))
            else:
                synced.append((item, entry_of(item.path, result)))
        self._learn(synced)
        if later:
            self._commit_later(later)

    def _commit_later(self, refused: list[tuple[UploadItem, HuracanError]]) -> None:
        """Some files of a commit were not taken just then, the others were: what was sent waits, and is not lost."""
        items, attempt = [item for item, _ in refused], max(item.refusals for item, _ in refused)
        pacing = self._context.remote.pacing
        wait = Wait(pacing.backoff(attempt), str(refused[0][1]), upload_session.FINISH, attempt)

        def failed(error: HuracanError) -> None:
            raise error  # nothing can fail in waiting

        self._context.pool.start(lambda: pacing.pause(wait), lambda _: self._await_commit(items), failed)

    def _learn(self, synced: list[tuple[UploadItem, Entry]]) -> None:
        context = self._context
        synced_items = [Synced(entry, item.stamp, origin=context.origin_of(item)) for item, entry in synced]
        note_proofs(context.journal, context.pair, (item.proof for item, _ in synced if item.proof))
        context.journal.learn(context.pair, synced_items)
        self._outcome.done.extend(synced_items)
        for item, entry in synced:
            if item.is_large(context):
                self._parts.forget(item)
            context.monitor.finished(item.path, entry.size)

    def _fail(self, item: UploadItem, error: HuracanError, *, alone: bool = False) -> None:
        """Ask what became of the file, send it again, leave it for the next run, or stop everything.

        `alone`: others in the same call were taken, so it is about this file whatever it is.
        """
        lost = isinstance(error, SessionLost)
        if item.digest and (lost or isinstance(error, Conflict)):
            # The answer to an earlier attempt may have been lost: look before sending.
            self._doubtful.append((item, error))
            return
        large = item.is_large(self._context)
        if large and item.digest:
            self._context.monitor.moved(-item.size)
        if isinstance(error, NotAuthorized | Unavailable | OutOfSpace | RateLimited) and not (
            alone or lost or isinstance(error, CallRefused)
        ):
            self._outcome.stopped = self._outcome.stopped or error
        again = lost or (isinstance(error, FileChanged | ContentMismatch) and error.code != "HALF_WRITTEN")
        most = READ_TWICE if isinstance(error, ContentMismatch) else ATTEMPTS
        if again and item.attempts + 1 < most and not self._outcome.stopped:
            if lost and large:
                self._parts.forget(item)
            item.begin_again()
            (self._parts if large else self._batches).queue.append(item)
            return
        self._outcome.failures.append(Failure(item.path, error))
        self._context.monitor.failed(item.path, error)

    def _feed_doubtful(self) -> bool:
        """Nothing else is left: find out what lies where commits were refused."""
        if not self._doubtful or not self._context.pool.is_idle:
            return False
        context, doubtful, self._doubtful = self._context, self._doubtful, []
        items = [item for item, _ in doubtful]

        def work() -> dict[str, Entry]:
            if len(items) > LOOK_ALONE:
                return everything(context.remote, context.remote_root, lambda entry: entry).files
            found = [(item, metadata(context.remote, join(context.remote_root, item.path))) for item in items]
            return {fold(w.path): entry_of(w.path, answer) for w, answer in found if isinstance(answer, FileMetadata)}

        def failed(error: HuracanError) -> None:
            for item in items:
                item.digest = b""
                self._fail(item, error)

        context.pool.start(work, lambda there: self._resolve(doubtful, there), failed)
        return True

    def _resolve(self, doubtful: list[tuple[UploadItem, HuracanError]], there: dict[str, Entry]) -> None:
        found = []
        for item, error in doubtful:
            entry, replaces = there.get(fold(item.path)), item.step.replaces
            if entry and entry.content_hash == item.digest:
                found.append((item, entry))
                continue
            item.digest = b""
            if not entry and error.facts.get("with_") in {"folder", "file_ancestor"}:
                self._fail(item, _in_the_way(item, error))
            elif (entry.rev if entry else None) == (replaces.rev if replaces else None):
                self._fail(item, SessionLost(f"the upload session of {item.path} was lost", path=item.path))
            else:
                hint = "look at both; with --overwrite the local file wins (Dropbox keeps the other revision)"
                message = f"{item.path} was changed in Dropbox by somebody else"
                self._fail(item, Conflict(message, hint=hint, path=item.path))
        self._learn(found)


def _in_the_way(item: UploadItem, error: HuracanError) -> Conflict:
    what = "a folder of this name" if error.facts["with_"] == "folder" else "a file where its folder must be"
    hint = "move what lies there away in Dropbox, or give the local file another name"
    return Conflict(f"{item.path}: Dropbox has {what}", hint=hint, path=item.path)
