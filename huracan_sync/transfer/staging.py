"""Bytes into upload sessions, and later into place: two steps that may lie hours and machines apart.

What is staged lies in a closed session and is visible to nobody. `commit` puts up to a thousand of them in place with
one call, each compared with the size and the content hash that were sent. A session lives for seven days.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Executor, Future

import msgspec

from huracan_sync.errors import ContentMismatch, HuracanError, RateLimited, ServiceFault, UsageError
from huracan_sync.remote import upload_session
from huracan_sync.remote.client import Remote
from huracan_sync.remote.errors import SessionLost, Verdict
from huracan_sync.remote.files import Commit
from huracan_sync.remote.listing import FileMetadata
from huracan_sync.remote.repeat_each import repeat_each
from huracan_sync.remote.stat import metadata
from huracan_sync.remote.upload_session import Cursor
from huracan_sync.transfer.append_body import AppendBody
from huracan_sync.tree.content_hash import BLOCK_SIZE, DIGEST_SIZE, block_hashes, combine

PART = 2 * BLOCK_SIZE
"""Bytes in a part of a streamed file; a smaller file is one piece."""
PARTS_AT_ONCE = 6
"""Parts of one file under way: with the one being filled they are all the memory a stream takes."""


class Staged(msgspec.Struct, frozen=True):
    """Content in a closed upload session."""

    session: str
    size: int
    content_hash: bytes
    blocks: bytes = b""
    """The digests of its blocks, where it has more than one."""


class Placing(msgspec.Struct, frozen=True):
    """What was staged, and where it goes."""

    staged: Staged
    commit: Commit


class OwnProcess:
    """Which process something is of: what was begun before a fork belongs to the parent, and the child leaves it be."""

    def __init__(self) -> None:
        self._id = os.getpid()

    @property
    def is_here(self) -> bool:
        """Whether that is this process."""
        return os.getpid() == self._id

    def check(self) -> None:
        """Go on in that process only.

        Raises:
            UsageError: this is a child that was forked from it.
        """
        if not self.is_here:
            raise UsageError(
                "what was begun before a fork belongs to the parent, which goes on with it",
                hint="begin another here, or fork when it is closed",
            )


class StreamUpload:
    """One file that is written front to back, going out while it is written. One caller's thread at a time.

    It belongs to the process that began it: a forked child may write nothing to it, and giving it up does nothing.
    """

    def __init__(
        self, remote: Remote, threads: Executor, *, part_size: int = PART, at_once: int = PARTS_AT_ONCE
    ) -> None:
        """Nothing is sent before the first part is full.

        Args:
            remote: the login.
            threads: where the parts are sent from.
            part_size: bytes in a part, a multiple of 4 MiB.
            at_once: parts under way.
        """
        self._process = OwnProcess()
        self._remote = remote
        self._threads = threads
        self._part_size = part_size
        self._at_once = at_once
        self._filling = bytearray()
        self._session = ""
        self._sent = 0
        self._under_way: list[Future[bytes]] = []
        self._digests: list[bytes] = []

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._sent + len(self._filling)

    @property
    def content(self) -> bytes | None:
        """Everything written so far, while none of it had to be sent; else None.

        Raises:
            UsageError: it is the parent's.
        """
        self._process.check()
        return None if self._session else bytes(self._filling)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes. Waits while as many parts are under way as may be.

        Raises:
            HuracanError: a part, this one or an earlier one, could not be sent.
            UsageError: it is the parent's.
        """
        self._process.check()
        view = memoryview(data).cast("B")
        while view:
            # A full part is kept until more comes: the last one closes the session.
            if len(self._filling) == self._part_size:
                self._send_part()
            room = self._part_size - len(self._filling)
            self._filling += view[:room]
            view = view[room:]

    def finish(self) -> Staged:
        """Send what is left and close the session.

        Raises:
            HuracanError: a part could not be sent; nothing is staged.
            UsageError: it is the parent's.
        """
        self._process.check()
        if not self._session:
            self._session = upload_session.start_concurrent(self._remote)
        self._wait_for(0)
        self._digests.append(self._send(self._sent, bytes(self._filling), close=True))
        size, self._filling = self.size, bytearray()
        return _staged(self._session, size, b"".join(self._digests))

    def discard(self) -> None:
        """Wait for what is under way and give everything up. Dropbox forgets the session by itself."""
        for sending in self._under_way if self._process.is_here else ():  # a child has no threads to wait for
            if not sending.cancel():
                sending.exception()
        self._under_way, self._filling = [], bytearray()

    def _send_part(self) -> None:
        if not self._session:
            self._session = upload_session.start_concurrent(self._remote)
        self._wait_for(self._at_once - 1)
        part, offset = self._filling, self._sent
        self._under_way.append(self._threads.submit(self._send, offset, part, close=False))
        self._sent, self._filling = offset + len(part), bytearray()

    def _wait_for(self, remaining: int) -> None:
        """Wait until so many parts are under way. The oldest one is asked first, so digests stay in order."""
        while len(self._under_way) > remaining:
            self._digests.append(self._under_way.pop(0).result())

    def _send(self, offset: int, part: bytes | bytearray, *, close: bool) -> bytes:
        """On a thread: hash and send a part; the digests of its blocks."""
        blocks = block_hashes(part)
        cursor = Cursor(self._session, offset)
        upload_session.append_part(
            self._remote, cursor, memoryview(part), size=len(part), content_hash=combine(blocks), close=close
        )
        return blocks


def stage_contents(remote: Remote, threads: Executor, contents: Sequence[bytes]) -> list[Staged]:
    """Stage many small contents: one call opens all sessions, few calls fill them.

    Raises:
        HuracanError: one of them was not taken; none counts as staged.
    """
    staged: list[Staged] = []
    for at in range(0, len(contents), upload_session.FILES_IN_A_COMMIT):
        chunk = contents[at : at + upload_session.FILES_IN_A_COMMIT]
        sessions = upload_session.start(remote, len(chunk))
        bodies = _bodies(list(zip(sessions, chunk, strict=True)))
        for errors, _ in threads.map(lambda body: upload_session.append(remote, body), bodies):
            failed = next((error for error in errors if error is not None), None)
            if failed is not None:
                raise failed
        staged += [_staged(session, len(c), block_hashes(c)) for session, c in zip(sessions, chunk, strict=True)]
    return staged


def _staged(session: str, size: int, blocks: bytes) -> Staged:
    return Staged(session, size, combine(blocks), blocks if len(blocks) > DIGEST_SIZE else b"")


def _bodies(pieces: list[tuple[str, bytes]]) -> list[list[tuple[str, bytes]]]:
    """The pieces as they travel: as many in an append as its header and its body may hold."""
    bodies: list[list[tuple[str, bytes]]] = []
    body = AppendBody()
    for session, content in pieces:
        if not (bodies and body.takes(session, len(content))):
            body = AppendBody()
            body.takes(session, len(content))
            bodies.append([])
        bodies[-1].append((session, content))
    return bodies


def commit(remote: Remote, placings: Sequence[Placing]) -> list[FileMetadata | HuracanError]:
    """Put what was staged in place, a thousand files a call; each succeeds or fails alone.

    A file that Dropbox refuses for the moment waits and is asked for again. Where the answer to an earlier attempt may
    have been lost, what lies there decides.
    """
    results: list[FileMetadata | HuracanError] = []
    for at in range(0, len(placings), upload_session.FILES_IN_A_COMMIT):
        results += _commit_some(remote, placings[at : at + upload_session.FILES_IN_A_COMMIT])
    return results


def _commit_some(remote: Remote, placings: Sequence[Placing]) -> list[FileMetadata | HuracanError]:
    results: dict[int, FileMetadata | HuracanError] = {}

    def work(waiting: list[int]) -> dict[int, Verdict | None]:
        entries = [(Cursor(placings[n].staged.session, placings[n].staged.size), placings[n].commit) for n in waiting]
        results.update(zip(waiting, upload_session.finish(remote, entries), strict=True))
        return {n: _verdict(results[n]) for n in waiting}

    repeat_each(work, len(placings), remote.pacing, upload_session.FINISH)
    return [_judged(remote, placing, results[n]) for n, placing in enumerate(placings)]


def _judged(remote: Remote, placing: Placing, result: FileMetadata | HuracanError) -> FileMetadata | HuracanError:
    """The result, compared with what was sent; where a session is gone, what lies in its place."""
    staged, path = placing.staged, placing.commit.path
    if isinstance(result, SessionLost):
        present = metadata(remote, path)
        if isinstance(present, FileMetadata) and present.content_hash == staged.content_hash.hex():
            return present
        hint = "it was staged more than seven days ago, or committed before and replaced since: stage it again"
        return SessionLost(f"the upload session of {path} is gone", hint=hint, path=path)
    if isinstance(result, FileMetadata) and (
        result.size != staged.size or result.content_hash != staged.content_hash.hex()
    ):
        return ContentMismatch(f"Dropbox holds other bytes of {path} than were sent", path=path)
    return result


def _verdict(answer: FileMetadata | HuracanError) -> Verdict | None:
    if isinstance(answer, FileMetadata):
        return None
    return Verdict(answer, retry=may_do_later(answer))


def may_do_later(error: HuracanError) -> bool:
    """Whether one file of a commit was refused for the moment only, while others of the same call were taken."""
    return isinstance(error, RateLimited | ServiceFault) and not isinstance(error, SessionLost)
