"""Bytes into upload sessions, and later into place: two steps that may lie hours and machines apart.

What is staged lies in a closed session and is visible to nobody. `commit` puts up to a thousand of them in place with
one call, each compared with the size and the content hash that were sent. A session lives for seven days.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import NamedTuple

import msgspec

from huracan_sync.errors import ContentMismatch, HuracanError, RateLimited, ServiceFault, Stopped, UsageError
from huracan_sync.remote import upload_session
from huracan_sync.remote.client import Remote
from huracan_sync.remote.errors import SessionLost, Verdict
from huracan_sync.remote.files import Commit
from huracan_sync.remote.listing import FileMetadata
from huracan_sync.remote.repeat_each import repeat_each
from huracan_sync.remote.stat import metadata
from huracan_sync.remote.upload_session import Cursor
from huracan_sync.transfer.append_body import AppendBody
from huracan_sync.transfer.session_parts import Part, PartSender, SessionParts, part_size_for
from huracan_sync.transfer.worker_pool import WorkerPool
from huracan_sync.tree.content_hash import BLOCK_SIZE, DIGEST_SIZE, block_hashes, combine

PART = 2 * BLOCK_SIZE
"""Bytes in a part of a streamed file; a smaller file is one piece."""
MOST_PART = 64 * 1024 * 1024
"""Bytes in a part at most, however few calls a worker may make."""
FULL_SHARE = 0.1
"""With less of a login's calls a worker sends larger parts, so that its link and not its calls is what limits it."""
PARTS_AT_ONCE = 6
"""Parts of one file in memory: with the one being filled they are all that a stream takes."""


class Parts(NamedTuple):
    """How a file is cut."""

    size: int
    """Bytes in a part, a multiple of 4 MiB."""
    at_once: int
    """Parts in memory beside the one that is filled."""


def parts_for(share: float, size: int) -> Parts:
    """How a worker cuts a file of so many bytes: the smaller its share of a login's calls, the larger the parts.

    So are those of a file of many of them. All parts in memory hold no more than 64 MiB, but for one that is larger,
    which goes out while the next is filled.
    """
    part = part_size_for(size, PART, MOST_PART)
    while part < MOST_PART and part < size and part * share < PART * FULL_SHARE:
        part *= 2
    return Parts(part, max(1, min(PARTS_AT_ONCE, MOST_PART // part - 1)))


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
            at_once: parts in memory beside the one that is filled.
        """
        self._process = OwnProcess()
        self._remote = remote
        self._part_size = part_size
        self._pool = WorkerPool(threads=threads, budget=at_once * part_size)
        # A kill costs all of it, whether much or little of it is under way: nobody goes on from there.
        self._sender = PartSender(remote, self._pool, at_once=4)
        self._parts = SessionParts()
        self._filling = bytearray()
        self._session = ""
        self._sent = 0

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
                self._send_part(close=False)
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
        self._wait_until(lambda: self._parts.is_idle)
        self._send_part(close=True)
        self._wait_until(lambda: self._parts.is_idle)
        return _staged(self._session, self._sent, self._parts.blocks())

    def discard(self) -> None:
        """Wait for what is under way and give everything up. Dropbox forgets the session by itself."""
        while self._process.is_here and not self._pool.is_idle:  # a child has no threads to wait for
            with contextlib.suppress(Exception):
                self._pool.resume()
        self._filling = bytearray()

    def _send_part(self, *, close: bool) -> None:
        if not self._session:
            self._session = upload_session.start_concurrent(self._remote)  # untimed, so that its parts stay whole
        self._wait_until(lambda: self._sender.has_room and self._pool.has_room(self._part_size))
        parts, number, data = self._parts, self._sent // self._part_size, memoryview(self._filling)
        parts.begin()
        ended = partial(parts.end, number)
        self._sender.send(Part(Cursor(self._session, self._sent), data, close), ended, ended)
        self._sent, self._filling = self.size, bytearray()

    def _wait_until(self, is_so: Callable[[], bool]) -> None:
        while not (self._parts.error or is_so()):
            if self._pool.is_idle:
                raise Stopped("what was under way was given up")
            self._pool.resume()
        if self._parts.error:
            raise self._parts.error


def stage_contents(
    remote: Remote, threads: Executor, contents: Sequence[bytes], *, body: int = upload_session.BODY
) -> list[Staged]:
    """Stage many small contents: one call opens all sessions, few calls of up to `body` bytes fill them.

    Raises:
        HuracanError: one of them was not taken; none counts as staged.
    """
    staged: list[Staged] = []
    for at in range(0, len(contents), upload_session.FILES_IN_A_COMMIT):
        chunk = contents[at : at + upload_session.FILES_IN_A_COMMIT]
        sessions = upload_session.start(remote, len(chunk))
        bodies = _bodies(list(zip(sessions, chunk, strict=True)), body)
        for errors, _ in threads.map(lambda pieces: upload_session.append(remote, pieces), bodies):
            failed = next((error for error in errors if error is not None), None)
            if failed is not None:
                raise failed
        staged += [_staged(session, len(c), block_hashes(c)) for session, c in zip(sessions, chunk, strict=True)]
    return staged


def _staged(session: str, size: int, blocks: bytes) -> Staged:
    return Staged(session, size, combine(blocks), blocks if len(blocks) > DIGEST_SIZE else b"")


def _bodies(pieces: list[tuple[str, bytes]], most: int) -> list[list[tuple[str, bytes]]]:
    """The pieces as they travel: as many in an append as its header and its body may hold."""
    bodies: list[list[tuple[str, bytes]]] = []
    body = AppendBody(body_limit=most)
    for session, content in pieces:
        if not (bodies and body.takes(session, len(content))):
            body = AppendBody(body_limit=most)
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
