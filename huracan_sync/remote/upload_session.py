"""Upload sessions: many small files in few requests, and large files in parts.

Small files: `start_batch`, `append_batch`, `finish_batch_v2`, 1,000 files a commit. Large ones: a concurrent session
each, parts in any order, the last of which closes it; then `finish_batch_v2` as for the others.

An append carries the content of many files in one body; its argument, one line a file, travels in a header whose limit
Dropbox does not publish. `HeaderBudget` is the limit that is used: 8 KiB by default, or learned upwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from huracan_sync.errors import HuracanError
from huracan_sync.remote.client import Remote, header_safe
from huracan_sync.remote.errors import SessionLost, judge_failure
from huracan_sync.remote.files import Commit
from huracan_sync.remote.http import Body
from huracan_sync.remote.listing import FileMetadata
from huracan_sync.tree.content_hasher import ContentHasher

FINISH = "files/upload_session/finish_batch_v2"
FILES_IN_A_COMMIT = 1000
"""What start_batch and finish_batch_v2 take."""
BODY = 8 * 1024 * 1024
"""Bytes of content in one append."""
JOINED = 512 * 1024
"""Up to so many bytes of content are joined before they are sent."""


class HeaderBudget:
    """How long the argument header of an append may be. Owned by the caller's thread."""

    FIRST = 8 * 1024
    MOST = 192 * 1024

    def __init__(self, limit: int = FIRST, *, learn: bool = False) -> None:
        """A budget of `limit` bytes; with `learn` it doubles as long as the server accepts it."""
        self.limit = limit
        self._learn = learn
        self._ceiling = self.MOST

    def accepted(self, size: int) -> None:
        """A header of this size was taken."""
        if self._learn and size > self.limit // 2:
            self.limit = max(self.limit, min(self.limit * 2, self._ceiling))

    def refused(self, size: int) -> None:
        """A header of this size was refused: stay well below it from now on."""
        self._ceiling = min(self._ceiling, max(1024, size // 2))
        self.limit = min(self.limit, self._ceiling)


class Cursor(msgspec.Struct):
    """A place in an upload session."""

    session_id: str
    offset: int


class _AppendEntry(msgspec.Struct):
    cursor: Cursor
    length: int
    close: bool


class _AppendArg(msgspec.Struct):
    entries: list[_AppendEntry]
    content_hash: str


class _Success(msgspec.Struct, tag_field=".tag", tag="success"):
    pass


class _Failure(msgspec.Struct, tag_field=".tag", tag="failure"):
    failure: dict[str, Any]


class _Appended(msgspec.Struct):
    entries: list[_Success | _Failure]


class _Committed(FileMetadata, tag_field=".tag", tag="success"):
    pass


class _Finished(msgspec.Struct):
    entries: list[_Committed | _Failure]


class _Sessions(msgspec.Struct):
    session_ids: list[str]


class _Session(msgspec.Struct):
    session_id: str


def start_concurrent(remote: Remote) -> str:
    """Open a session that takes parts in any order; its id."""
    # No data with the start: under concurrency it is the first call to be refused.
    arg = {"session_type": {".tag": "concurrent"}}
    return remote.send("files/upload_session/start", arg, b"", _Session).session_id


def append_part(remote: Remote, cursor: Cursor, body: Body, *, size: int, content_hash: bytes, close: bool) -> None:
    """Send one part of a concurrent session.

    Args:
        remote: the login.
        cursor: the session, and where the part begins.
        body: its bytes, readable again for a second attempt.
        size: how many.
        content_hash: theirs.
        close: it is the last part; all others have arrived.

    Raises:
        SessionLost: the session cannot be gone on with.
    """
    arg = {"cursor": cursor, "close": close, "content_hash": content_hash.hex()}
    try:
        remote.send("files/upload_session/append_v2", arg, body, type(None), size=size)
    except SessionLost as error:
        # Closed by an earlier attempt of this very call, whose answer was lost; the commit tells if bytes miss.
        if not (close and error.facts.get("tags") == "closed"):
            raise


def start(remote: Remote, count: int) -> list[str]:
    """Open `count` sessions; their ids."""
    return remote.rpc("files/upload_session/start_batch", {"num_sessions": count}, _Sessions).session_ids


def entry_length(session_id: str, size: int) -> int:
    """Bytes an entry takes in the argument header of an append."""
    return len(header_safe(_AppendEntry(Cursor(session_id, 0), size, close=True))) + 1


ARG_OVERHEAD = len(header_safe(_AppendArg([], "0" * 64)))
"""Bytes of an append's argument header beside its entries."""


def append(remote: Remote, pieces: Iterable[tuple[str, bytes]]) -> tuple[list[HuracanError | None], int]:
    """Send whole contents, each into its own session and closing it.

    Args:
        remote: the login.
        pieces: session ids and contents.

    Returns:
        For each content None or why it was not taken; and the length of the argument header.
    """
    listed = list(pieces)
    contents, size = [content for _, content in listed], sum(len(content) for _, content in listed)
    # In one piece where it is little: that is sent at once. Much would be in memory twice.
    body: list[bytes | memoryview] = [b"".join(contents)] if size <= JOINED else [*contents]
    hasher = ContentHasher()
    for piece in body:
        hasher.update(piece)
    arg = _AppendArg(
        [_AppendEntry(Cursor(session, 0), len(content), close=True) for session, content in listed],
        hasher.digest().hex(),
    )
    route = "files/upload_session/append_batch"
    answer = remote.send(route, arg, body, _Appended, size=size)
    if len(answer.entries) != len(listed):
        answer.entries = [_Failure({".tag": "other"})] * len(listed)
    errors = [judge_failure(route, e.failure).error if isinstance(e, _Failure) else None for e in answer.entries]
    return errors, len(header_safe(arg))


def finish(remote: Remote, entries: list[tuple[Cursor, Commit]]) -> list[FileMetadata | HuracanError]:
    """Commit closed sessions, all in one call; each succeeds or fails alone."""
    route = FINISH
    arg = {"entries": [{"cursor": cursor, "commit": commit} for cursor, commit in entries]}
    answer = remote.rpc(route, arg, _Finished, commit=True)
    if len(answer.entries) != len(entries):
        answer.entries = [_Failure({".tag": "other"})] * len(entries)
    return [judge_failure(route, e.failure).error if isinstance(e, _Failure) else e for e in answer.entries]
