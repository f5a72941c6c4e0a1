"""The one doorway for bytes: what a reader asks of wherever it reads, and what has moved there since the last look."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from huracan_sync.errors import NotFound, Refused
from huracan_sync.manifest import body, locations
from huracan_sync.manifest.envelope import unpack
from huracan_sync.manifest.head import FORM, MAX_SIZE, Opened
from huracan_sync.manifest.refusals import refused
from huracan_sync.manifest.trust import Trust
from huracan_sync.reader.trust_store import Channel
from huracan_sync.tree.content_hash import content_hash
from huracan_sync.tree.paths import fold


class Source(Protocol):
    """A root folder that can be read: Dropbox through `remote`, a dictionary in the tests. It offers no writing.

    A *place* is a path relative to the root (`.huracan/heads/champions.hzh`), or `rev:<rev>` for one revision of a
    file wherever it lay. Nothing a source says is believed; it need only be honest about errors. Every method may
    raise `NotFound` (nothing lies there), `NotAuthorized`, `TryLater` or `Unavailable`, and nothing else; it makes
    calls again by itself where that is sensible. Called from one thread at a time unless the reader was given an
    `each` of several threads; then `stream` is called from those.
    """

    def fetch(self, place: str, limit: int) -> bytes:
        """A small file whole. Of a larger one than `limit` bytes the first `limit` + 1, which says that it is."""

    def stream(self, place: str, start: int, end: int) -> AbstractContextManager[Iterator[bytes]]:
        """The bytes from `start` up to, not including, `end`, in pieces of any size; the whole is never in memory.

        Leaving the context early gives the connection up. `NotFound` is raised on entering, not later.
        """

    def cursor(self, folder: str) -> str:
        """Where the listing of everything below the folder stands now (`get_latest_cursor`, recursive): 1 request."""

    def lying(self, folder: str) -> tuple[str, Mapping[str, bytes]] | None:
        """Everything below the folder, as `changed` tells it, where one answer holds it: 1 request. None where not."""

    def changed(self, folder: str, cursor: str) -> tuple[str, Mapping[str, bytes]] | None:
        """What came, changed or went below the folder since the cursor: the new cursor, and paths below the root.

        With each path the content hash of the file that lies there now, or nothing where none does. One request when
        nothing moved. Of a folder that went its own path is enough. None when the cursor is no longer known (`reset`).
        """

    def wait(self, cursor: str, timeout_s: int) -> bool:
        """Wait until something changes below the cursor's folder, at most `timeout_s` seconds (30 to 480).

        False when nothing did. True when something did, or when nobody knows. A pause that the service asks for
        afterwards is kept in here.
        """


class PollResult(NamedTuple):
    """What the listing says has moved."""

    cursor: str
    """Where the next look goes on. It comes first: whatever changes while we look is reported the next time."""
    trust: bool
    head: bool


def poll_signed(source: Source, channel: str, held: Channel | None, known: Trust) -> PollResult:
    """Ask once what has moved.

    Args:
        source: where.
        channel: the channel.
        held: what was seen of it.
        known: the newest trust file that was seen.

    Raises:
        NotFound: the folder of signed things is gone.
    """
    answer = source.changed(locations.HOME, held.cursor) if held and held.cursor else None
    if answer is None:
        return _poll_everything(source, channel, held, known)
    cursor, moved = answer
    # What this machine has published itself is no change to it.
    own, wanted = _own(held), locations.head(channel)
    folded = {fold(path): digest for path, digest in moved.items()}
    trust_moved = any(path.startswith(f"{locations.TRUST}/") or _holds(path, locations.TRUST) for path in folded)
    head_moved = any(_holds(path, wanted) and (path, digest) != (wanted, own) for path, digest in folded.items())
    return PollResult(cursor, trust_moved, head_moved)


def _poll_everything(source: Source, channel: str, held: Channel | None, known: Trust) -> PollResult:
    """Where the last look is not known: what lies there, if one answer tells; else everything may have moved."""
    answer = source.lying(locations.HOME)
    if answer is None:
        return PollResult(source.cursor(locations.HOME), trust=True, head=True)
    cursor, lying = answer
    folded = {fold(path): digest for path, digest in lying.items()}
    same = held is not None and folded.get(locations.head(channel)) == _own(held)
    return PollResult(cursor, trust=locations.trust(known.version + 1) in folded, head=not same)


def _own(held: Channel | None) -> bytes:
    return (held.lies or content_hash(held.head)) if held else b""


def fetch_body(source: Source, opened: Opened, sha256: bytes, length: int) -> bytes:
    """A file of the body of a head, proved: the body from the head file or its copy in the log, where they carry it.

    Raises:
        Refused: `BODY_HASH`, it is not the one that is signed; `BODY_MISSING`, it lies nowhere.
    """
    said = opened.head
    is_body, data = sha256 == said.body_sha256, opened.body
    if not (is_body and data):
        try:
            data = source.fetch(locations.body(sha256), length)
        except NotFound:
            copy = locations.log(said.channel, said.epoch, said.seq, opened.digest)
            with contextlib.suppress(NotFound, Refused):
                data = unpack(FORM, source.fetch(copy, MAX_SIZE)).carried if is_body else b""
            if not data:
                why = f"the body of sequence {said.seq} is not there"
                raise refused("BODY_MISSING", why, sha256=sha256.hex()) from None
    body.check_part(data, sha256, length)
    return data


def _holds(moved: str, wanted: str) -> bool:
    """Whether a change of `moved` is one of `wanted`: the place itself, or a folder it lies in."""
    return wanted == moved or wanted.startswith(f"{moved}/")
