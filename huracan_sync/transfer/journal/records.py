"""What the journal tells of a file, a transfer, a run."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import msgspec

from huracan_sync.disk.files import Stamp
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import RelPath


class Origin(IntEnum):
    """Where the content of a synced file comes from. Only the first two are ever signed; the lower one wins."""

    OURS = 0
    """Made or changed on this disk, or vouched for by a person."""
    SIGNED = 1
    """It matched a verified manifest when it was taken over."""
    UNSIGNED = 2
    """It came from Dropbox, or lay on both sides alike, and no manifest lists it."""


class Synced(msgspec.Struct, frozen=True, gc=False):
    """A file both sides held alike, and the local stamp then (None: the local file has not been seen since)."""

    entry: Entry
    stamp: Stamp | None
    kind: int | None = None
    """What its bytes give away and its name does not (`file_kinds.hidden`), when it is learned; else None."""
    origin: Origin = Origin.UNSIGNED


SYNCED = "SELECT key, path, size, hash, rev, mtime_ms, mtime_ns, ctime_ns, inode, origin FROM synced"
_ORIGINS = tuple(Origin)


def synced_of(row: tuple[Any, ...]) -> tuple[str, Synced]:
    """The key and the file in a row of `SYNCED`."""
    key, path, size, digest, rev, mtime_ms, mtime_ns, ctime_ns, inode, origin = row
    stamp = None if inode is None else Stamp(size, mtime_ns, ctime_ns, inode)
    return key, Synced(Entry(RelPath(path), size, digest, rev, mtime_ms), stamp, origin=_ORIGINS[origin])


class Open(msgspec.Struct):
    """A transfer that was begun, and the block digests of each part that has arrived."""

    id: int
    token: str
    """What tells the content: for an upload the stamp it was read at, for a download its rev and hash."""
    session: str
    part_size: int
    started: float
    """Seconds since 1970."""
    parts: dict[int, bytes]


class Sent(msgspec.Struct, frozen=True):
    """A small file that lies whole in a closed upload session."""

    token: str
    """The state of the local file that was sent."""
    session: str
    digest: bytes
    at: float
    """Seconds since 1970."""


class UnderWay(msgspec.Struct, frozen=True):
    """A run that began and has not ended."""

    since: float
    """Seconds since 1970."""
    holder: str
    """The process that carries it out; empty: nobody does, it was cut off."""
    in_step: int
    """How many files both sides hold alike by now."""


class Run(msgspec.Struct, frozen=True):
    """How the last run of a verb on a channel went."""

    channel: str
    verb: str
    finished: float
    """When it ended; of one that is under way, when it began."""
    succeeded: float | None
    report: dict[str, object]
    """Of the last one that ended."""
    under_way: UnderWay | None = None


class SignedState(msgspec.Struct, frozen=True):
    """A head of ours that states what a pair held."""

    epoch: int
    seq: int
    digest: bytes
    """SHA-256 of the head's payload."""
    due_ms: int
    """When it wants to be renewed, milliseconds since 1970."""
    parts: tuple[bytes, ...]
    """SHA-256 of the body and its shards, as far as they lie in Dropbox in files of their own."""
    changes: int
    """The pair's count of changes when its files were listed."""
    shared: bool = False
    """Whether it is another list than the pair's alone."""
    without: bytes = b""
    """What tells the files that both sides hold and that were left out; empty for none."""
    unlisted: tuple[str, ...] = ()
    """Paths that could not be listed: a kind that the channel refuses, or a large file whose blocks are unknown."""
    rev: str = ""
    """The revision under which the head lies at its place; empty where it is not known."""
    looked_ms: int = 0
    """When there was no newer trust file than the one it was made under, milliseconds since 1970; 0: nobody knows."""


class ListedFile(NamedTuple):
    """A file that both sides hold alike, as a signed list needs it."""

    path: str
    size: int
    content_hash: bytes
    rev: str
    mtime_ms: int
    changed: int
    kind: int | None
    """None: its name tells."""
    blocks: bytes
    leaves: bytes
    """SHA-256 of its table of leaves; empty where it has none."""
