"""Upload what a plan says: small files in batches, large ones in parts, commits one at a time.

Laws: content is read once; what was hashed is what was sent. Nothing is committed that did not belong to one state of
the file. A commit replaces exactly the revision the plan saw, or nothing. The server's content hash and size are
compared with ours for every file before it counts as synced. What is about to be committed is in the journal first.
"""

from __future__ import annotations

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
    ServiceFault,
    Stopped,
    Unavailable,
)
from huracan_sync.remote import upload_session
from huracan_sync.remote.errors import SessionLost, WrongOffset
from huracan_sync.remote.listing import FileMetadata, entry_of, listing, metadata
from huracan_sync.remote.rate_limit import Wait
from huracan_sync.remote.read_client import FAULT_ATTEMPTS
from huracan_sync.transfer.journal import Synced
from huracan_sync.transfer.journal.signed_state import note_proofs
from huracan_sync.transfer.progress import Failure
from huracan_sync.transfer.upload_batches import Small
from huracan_sync.transfer.upload_item import Site, Wish
from huracan_sync.transfer.upload_parts import Large
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import fold, join
from huracan_sync.tree.plan import Copy

ATTEMPTS = 3
"""How often a file is begun in one run, before it is left for the next."""
READ_TWICE = 2
"""The same of a file whose bytes Dropbox says are others: read anew once, then it is no accident."""
LOOK_ALONE = 20
"""Up to so many files are looked up one by one; more by one listing."""


class Outcome(msgspec.Struct):
    """What an upload came to. `stopped` is what ended it early; what is in `done` is journalled either way."""

    done: list[Synced]
    failures: list[Failure]
    stopped: HuracanError | None = None


class Upload:
    """One upload. `run` it once, inside the site's crew."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._small = Small(
            site, closed=self._await_commit, sent=lambda w, r: self._settle([(w, r)]), failed=self._fail
        )
        self._large = Large(site, closed=self._await_commit, failed=self._fail)
        self._closed: list[Wish] = []
        self._doubtful: list[tuple[Wish, HuracanError]] = []
        """What may have been committed, and why that is not sure."""
        self._committing = False
        self._outcome = Outcome([], [])

    def run(self, copies: Iterable[Copy]) -> Outcome:
        """Upload them all, or as many as can be."""
        count = 0
        for count, step in enumerate(copies, 1):  # noqa: B007 - counted as they go
            self._queue(Wish(step))
        try:
            self._site.crew.drive(self._feed)
        finally:
            self._large.close()
        if self._site.stop() and len(self._outcome.done) + len(self._outcome.failures) < count:
            self._outcome.stopped = self._outcome.stopped or Stopped("asked to end; the rest is for the next run")
        return self._outcome

    def _queue(self, wish: Wish) -> None:
        if wish.is_large(self._site):
            self._large.queue.append(wish)
        else:
            self._small.add(wish)

    def _await_commit(self, wishes: list[Wish]) -> None:
        self._closed.extend(wishes)

    def _feed(self) -> bool:
        if self._outcome.stopped:
            return False
        if self._site.stop():
            return self._feed_commit()  # what was sent is not thrown away
        return self._feed_commit() or self._large.feed() or self._small.feed() or self._feed_doubts()

    def _feed_commit(self) -> bool:
        if self._committing or not self._closed:
            return False
        site = self._site
        wishes, self._closed = (
            self._closed[: upload_session.FILES_IN_A_COMMIT],
            self._closed[upload_session.FILES_IN_A_COMMIT :],
        )
        self._committing = True
        site.journal.intend(
            site.pair, [msgspec.structs.replace(w.step.entry, content_hash=w.digest, size=w.size) for w in wishes]
        )
        entries = [(upload_session.Cursor(wish.session, wish.size), wish.commit(site)) for wish in wishes]

        def then(results: list[FileMetadata | HuracanError]) -> None:
            self._committing = False
            self._settle(list(zip(wishes, results, strict=True)))

        def failed(error: HuracanError) -> None:
            self._committing = False
            for wish in wishes:
                self._fail(wish, error)

        site.crew.start(lambda: upload_session.finish(site.remote, entries), then, failed)
        return True

    def _settle(self, results: list[tuple[Wish, FileMetadata | HuracanError]]) -> None:
        """Compare what the server has with what was sent; journal what agrees."""
        synced: list[tuple[Wish, Entry]] = []
        later: list[tuple[Wish, HuracanError]] = []
        for wish, result in results:
            if isinstance(result, HuracanError):
                wish.refusals += 1
                if _may_do_later(result) and wish.refusals < FAULT_ATTEMPTS:
                    later.append((wish, result))
                else:
                    self._fail(wish, result, alone=not isinstance(result, OutOfSpace))
            elif result.content_hash != wish.digest.hex() or result.size != wish.size:
                self._fail(wish, ContentMismatch(f"Dropbox holds other bytes of {wish.path} than were sent"))
            else:
                synced.append((wish, entry_of(wish.path, result)))
        self._learn(synced)
        if later:
            self._commit_later(later)

    def _commit_later(self, refused: list[tuple[Wish, HuracanError]]) -> None:
        """Some files of a commit were not taken just then, the others were: what was sent waits, and is not lost."""
        wishes, attempt = [wish for wish, _ in refused], max(wish.refusals for wish, _ in refused)
        pacing = self._site.remote.pacing
        wait = Wait(pacing.backoff(attempt), str(refused[0][1]), upload_session.FINISH, attempt)

        def failed(error: HuracanError) -> None:
            raise error  # nothing can fail in waiting

        self._site.crew.start(lambda: pacing.pause(wait), lambda _: self._await_commit(wishes), failed)

    def _learn(self, synced: list[tuple[Wish, Entry]]) -> None:
        site = self._site
        items = [Synced(entry, wish.stamp) for wish, entry in synced]
        note_proofs(site.journal, site.pair, (wish.proof for wish, _ in synced if wish.proof))
        site.journal.learn(site.pair, items)
        self._outcome.done.extend(items)
        for wish, entry in synced:
            if wish.is_large(site):
                self._large.forget(wish)
            site.monitor.finished(wish.path, entry.size)

    def _fail(self, wish: Wish, error: HuracanError, *, alone: bool = False) -> None:
        """Ask what became of the file, send it again, leave it for the next run, or stop everything.

        `alone`: others in the same call were taken, so it is about this file whatever it is.
        """
        lost = isinstance(error, SessionLost | WrongOffset)
        if wish.digest and (lost or isinstance(error, Conflict)):
            # The answer to an earlier attempt may have been lost: look before sending.
            self._doubtful.append((wish, error))
            return
        large = wish.is_large(self._site)
        if large and wish.digest:
            self._site.monitor.moved(-wish.size)
        alone = alone or (isinstance(error, NotAuthorized) and "tags" in error.facts)  # about this path, not the login
        if isinstance(error, NotAuthorized | Unavailable | OutOfSpace | RateLimited) and not (
            alone or lost or isinstance(error, CallRefused)
        ):
            self._outcome.stopped = self._outcome.stopped or error
        again = lost or isinstance(error, FileChanged | ContentMismatch)
        most = READ_TWICE if isinstance(error, ContentMismatch) else ATTEMPTS
        if again and wish.attempts + 1 < most and not self._outcome.stopped:
            if lost and large:
                self._large.forget(wish)
            wish.begin_again()
            (self._large if large else self._small).queue.append(wish)
            return
        self._outcome.failures.append(Failure(wish.path, error))
        self._site.monitor.failed(wish.path, error)

    def _feed_doubts(self) -> bool:
        """Nothing else is left: find out what lies where commits were refused."""
        if not self._doubtful or not self._site.crew.is_idle:
            return False
        site, doubtful, self._doubtful = self._site, self._doubtful, []
        wishes = [wish for wish, _ in doubtful]

        def work() -> dict[str, Entry]:
            if len(wishes) > LOOK_ALONE:
                return {fold(e.path): e for news in listing(site.remote, site.remote_root) for e in news.files}
            found = [(wish, metadata(site.remote, join(site.remote_root, wish.path))) for wish in wishes]
            return {fold(w.path): entry_of(w.path, item) for w, item in found if isinstance(item, FileMetadata)}

        def failed(error: HuracanError) -> None:
            for wish in wishes:
                wish.digest = b""
                self._fail(wish, error)

        site.crew.start(work, lambda there: self._resolve(doubtful, there), failed)
        return True

    def _resolve(self, doubtful: list[tuple[Wish, HuracanError]], there: dict[str, Entry]) -> None:
        found = []
        for wish, error in doubtful:
            entry, replaces = there.get(fold(wish.path)), wish.step.replaces
            if entry and entry.content_hash == wish.digest:
                found.append((wish, entry))
                continue
            wish.digest = b""
            if not entry and error.facts.get("with_") in {"folder", "file_ancestor"}:
                self._fail(wish, _in_the_way(wish, error))
            elif (entry.rev if entry else None) == (replaces.rev if replaces else None):
                self._fail(wish, SessionLost(f"the upload session of {wish.path} was lost", path=wish.path))
            else:
                hint = "look at both; with --overwrite the local file wins (Dropbox keeps the other revision)"
                message = f"{wish.path} was changed in Dropbox by somebody else"
                self._fail(wish, Conflict(message, hint=hint, path=wish.path))
        self._learn(found)


def _may_do_later(error: HuracanError) -> bool:
    lasting = isinstance(error, SessionLost | WrongOffset)
    return isinstance(error, RateLimited | ServiceFault) and not lasting


def _in_the_way(wish: Wish, error: HuracanError) -> Conflict:
    what = "a folder of this name" if error.facts["with_"] == "folder" else "a file where its folder must be"
    hint = "move what lies there away in Dropbox, or give the local file another name"
    return Conflict(f"{wish.path}: Dropbox has {what}", hint=hint, path=wish.path)
