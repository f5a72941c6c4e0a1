"""Writes a body: the list in pieces, each a file below `.huracan/bodies`. FORMAT.md, section 3.

Where the list is cut depends on the paths alone. A folder of many entries, with all below it, has shards of its own:
a machine that changes files in it sends only these anew, and one that changes files elsewhere sends none of them.
Within a folder an entry that comes or goes moves only the cuts beside it.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

import zstandard

from huracan_sync.manifest import locations, sshsig
from huracan_sync.manifest.body import MAGIC, MAX_SHARDS, Index, Listing, Shard, entries_of
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
# that a reader does not have yet. Of more than four million entries they are larger, so that an index can name them.
_CUT_EVERY = 4_096
_SHARD_MIN = 2_048
_SHARD_MAX = 32_768
_MOST_SHARDS = MAX_SHARDS // 2


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
    for piece in _ranges(items, len(items)) if len(items) > SHARD_OVER else [list(items)]:
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


class _Folder:
    """A folder and all below it."""

    def __init__(self, prefix: str, first: int) -> None:
        self.prefix = prefix
        self.first = first
        """The number of its first entry."""
        self.is_large = False
        """Whether it has shards of its own."""


def _ranges(items: Iterable[Item], count: int) -> Iterator[list[Item]]:
    """The list in pieces. What is too little for one goes with the neighbour that has more in common with it."""
    least = _SHARD_MIN
    while least * _MOST_SHARDS < count:
        least *= 2
    before: list[Item] = []
    common = 0
    first: list[Item] = []
    for cut, following in _cut(items, least):
        piece = first + cut
        if len(piece) >= least // 2:
            if before:
                yield before
            before, common, first = piece, following, []
        elif before and common >= following:
            before, common, first = before + piece, following, []
        else:
            first = piece
    yield before or first


def _cut(items: Iterable[Item], least: int) -> Iterator[tuple[list[Item], int]]:
    """The list, cut where a large folder begins or ends, and in it by the checksums of paths.

    With each piece: how much it has in common with the next one, -1 for the last.
    """
    most, every = max(_SHARD_MAX, least), _CUT_EVERY * least // _SHARD_MIN
    piece: list[Item] = []
    is_due = False
    for item, bound, is_large in _bounded(items, least):
        if piece and bound is not None:
            yield piece, bound
            piece, is_due = [], False
        elif len(piece) >= least:
            # A folder that is not large is not cut, so that it is listed by one shard.
            is_due = is_due or zlib.crc32(item.path.encode()) % every == 0
            if len(piece) >= most or (is_due and (is_large or _folder_of(item) != _folder_of(piece[-1]))):
                yield piece, len(item.path)
                piece, is_due = [], False
        piece.append(item)
    yield piece, -1


def _folder_of(item: Item) -> str:
    return item.path.rpartition("/")[0]


def _bounded(items: Iterable[Item], large: int) -> Iterator[tuple[Item, int | None, bool]]:
    """Each entry, and whether it lies directly in a large folder: one that has so many entries, with all below it.

    Between them, where such a folder begins or ends before an entry: in how many of them it lies with the one before.
    """
    ahead: deque[tuple[Item, _Folder]] = deque()  # a folder shows only so many entries later whether it is large
    bounds: dict[int, int] = {}
    inside = [_Folder("", 0)]
    known = 0  # so many of `inside` are large: whatever holds a large folder is large
    number = 0
    for number, item in enumerate(items, 1):
        at, path = number - 1, item.path
        while not path.startswith(inside[-1].prefix):
            if inside.pop().is_large:
                bounds[at] = known = len(inside)
        start = len(inside[-1].prefix)
        while (start := path.find("/", start) + 1) > 0:
            inside.append(_Folder(path[:start], at))
        while known < len(inside) and number - inside[known].first >= large:
            inside[known].is_large = True
            bounds.setdefault(inside[known].first, known)
            known += 1
        ahead.append((item, inside[-1]))
        if len(ahead) == large:
            passed, folder = ahead.popleft()
            yield passed, bounds.pop(number - large, None), folder.is_large
    for at, (passed, folder) in enumerate(ahead, number - len(ahead)):
        yield passed, bounds.pop(at, None), folder.is_large


def compress(raw: bytes) -> bytes:
    """One zstd frame, with the size of its content."""
    return zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True, write_checksum=False).compress(raw)
