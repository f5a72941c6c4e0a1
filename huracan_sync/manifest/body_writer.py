"""Writes a body: the list in pieces, each a file below `.huracan/bodies`. FORMAT.md, section 3.

Where the list is cut depends on the paths alone: an entry that comes or goes moves no cut but the ones beside it.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

import zstandard

from huracan_sync.manifest import locations, sshsig
from huracan_sync.manifest.body import MAGIC, Index, Listing, Shard, entries_of
from huracan_sync.manifest.canonical import encode as _encode
from huracan_sync.manifest.entries import Audit, Item
from huracan_sync.manifest.head import MAX_ENTRIES
from huracan_sync.manifest.refusals import refused
from huracan_sync.manifest.trust import Policy
from huracan_sync.tree.paths import RelPath

_LEVEL = 3
SHARD_OVER = 50_000
"""Entries up to which the whole list is one body."""

# A shard has about 6,000 entries, 300 KiB: what one changed file costs to send, against one request for each shard
# that a reader does not have yet.
_CUT_EVERY = 4_096
_SHARD_MIN = 2_048
_SHARD_MAX = 32_768


class Part(NamedTuple):
    """One file below `.huracan/bodies`."""

    sha256: bytes
    data: bytes
    raw_len: int

    @property
    def path(self) -> RelPath:
        """Where it lies, relative to the root."""
        return locations.body(self.sha256)


class Body(NamedTuple):
    """A list, ready to be sent. Shards first, then `data`; then the head that names it."""

    raw_len: int
    """Bytes of `data` unpacked."""
    sha256: bytes
    data: bytes
    shards: list[Part]
    entry_count: int

    def parts(self) -> Iterator[Part]:
        """Everything to send, in the order in which to send it. What lies there already need not be sent."""
        yield from self.shards
        yield Part(self.sha256, self.data, self.raw_len)


def encode(channel: str, entries: Collection[Item], policy: Policy | None = None) -> Body:
    """The body of a channel.

    Args:
        channel: its name, part of what is signed.
        entries: a list in any order; anything else in the order of the paths, gone through more than once.
        policy: when given, its kinds, folder and limits are held as a reader would.

    Raises:
        Refused: what a reader would refuse; nothing is published that cannot be read.
    """
    locations.check_channel(channel)
    items = sorted(entries, key=lambda item: item.path) if isinstance(entries, list) else entries
    audit = Audit(policy)
    if len(items) > MAX_ENTRIES:
        raise refused("LIMIT", f"{len(items)} entries are more than {MAX_ENTRIES}", actual=len(items))
    shards: list[Part] = []
    named: list[Shard] = []
    for piece in _ranges(items) if len(items) > SHARD_OVER else [list(items)]:
        audit.add(piece)
        part = _listing_part(channel, piece)
        shards.append(part)
        if piece:
            named.append(Shard(piece[0].path, part.sha256, len(part.data), part.raw_len, len(piece)))
    audit.finish(lambda: (item.path for item in items))
    if len(items) <= SHARD_OVER:
        return Body(shards[0].raw_len, shards[0].sha256, shards[0].data, [], len(items))
    index = _part(_encode(Index(2, channel, named)))
    return Body(index.raw_len, index.sha256, index.data, shards, len(items))


def _listing_part(channel: str, items: list[Item]) -> Part:
    raw = _encode(Listing(1, channel, items))
    entries_of(raw, channel)  # holds every field to its bounds, as a reader will
    return _part(raw)


def _part(raw: bytes) -> Part:
    data = MAGIC + compress(raw)
    return Part(sshsig.sha256(data), data, len(raw))


def _ranges(items: Iterable[Item]) -> Iterator[list[Item]]:
    """The list in pieces. A cut falls where a path's checksum says so, which other entries do not change."""
    piece: list[Item] = []
    for item in items:
        size = len(piece)
        if size >= _SHARD_MAX or (size >= _SHARD_MIN and zlib.crc32(item.path.encode()) % _CUT_EVERY == 0):
            yield piece
            piece = []
        piece.append(item)
    yield piece


def compress(raw: bytes) -> bytes:
    """One zstd frame, with the size of its content."""
    return zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True, write_checksum=False).compress(raw)
