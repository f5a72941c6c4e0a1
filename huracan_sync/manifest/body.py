"""The body: the signed list of what a tree is. FORMAT.md, section 3.

A body is a magic and one zstd frame holding `[1, channel, entries]`, or, for many entries, `[2, channel, shards]`:
an index of bodies that each hold one stretch of the list. Bodies are named by their SHA-256, so a changed file means
one new shard and one new index. Where the list is cut depends on the paths alone: an entry that comes or goes moves
no cut but the ones beside it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Literal, NamedTuple

import msgspec
import zstandard
from msgspec import Meta

from huracan_sync.manifest import locations, sshsig
from huracan_sync.manifest.canonical import Count, Digest, ascending, decode
from huracan_sync.manifest.canonical import encode as _encode
from huracan_sync.manifest.entries import Audit, Item
from huracan_sync.manifest.head import MAX_BODY, MAX_ENTRIES, MAX_RAW, Head
from huracan_sync.manifest.refusals import refused
from huracan_sync.manifest.trust import Policy
from huracan_sync.tree.content_hash import DIGEST_SIZE, leaf_count
from huracan_sync.tree.paths import RelPath

MAGIC = b"HZMANI1\n"
MAX_WINDOW = 8 * 1024 * 1024
_LEVEL = 3
_FRAME = b"\x28\xb5\x2f\xfd"
SHARD_OVER = 50_000
"""Entries up to which the whole list is one body."""
MAX_SHARDS = 4_096

# A shard has about 6,000 entries, 300 KiB: what one changed file costs to send, against one request for each shard
# that a reader does not have yet.
_CUT_EVERY = 4_096
_SHARD_MIN = 2_048
_SHARD_MAX = 32_768

_DocumentPath = Annotated[str, Meta(max_length=1024)]
_Channel = Annotated[str, Meta(max_length=128)]


class Shard(msgspec.Struct, array_like=True, frozen=True):
    """One stretch of the list, as the index names it."""

    first: _DocumentPath
    """The path of its first entry."""
    sha256: Digest
    body_len: Count
    raw_len: Count
    entry_count: Count


class _Listing(msgspec.Struct, array_like=True, frozen=True):
    v: Literal[1]
    channel: _Channel
    entries: Annotated[list[Item], Meta(max_length=MAX_ENTRIES)]


class _Index(msgspec.Struct, array_like=True, frozen=True):
    v: Literal[2]
    channel: _Channel
    shards: Annotated[list[Shard], Meta(min_length=1, max_length=MAX_SHARDS)]


_listing = msgspec.msgpack.Decoder(_Listing)
_index = msgspec.msgpack.Decoder(_Index)
# The first two bytes of an index: an array of three, and its version.
_INDEX_MARK = b"\x93\x02"


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


def encode(channel: str, entries: Iterable[Item], policy: Policy | None = None) -> Body:
    """The body of a channel.

    Args:
        channel: its name, part of what is signed.
        entries: in any order.
        policy: when given, its kinds, folder and limits are held as a reader would.

    Raises:
        Refused: what a reader would refuse; nothing is published that cannot be read.
    """
    locations.check_channel(channel)
    items = sorted(entries, key=lambda item: item.path)
    audit = Audit(policy)
    audit.add(items)
    audit.finish(items)
    if len(items) > MAX_ENTRIES:
        raise refused("LIMIT", f"{len(items)} entries are more than {MAX_ENTRIES}", actual=len(items))
    if len(items) <= SHARD_OVER:
        whole = _listing_part(channel, items)
        return Body(whole.raw_len, whole.sha256, whole.data, [], len(items))
    ranges = list(_ranges(items))
    shards = [_listing_part(channel, part_range) for part_range in ranges]
    named = [
        Shard(part_range[0].path, part.sha256, len(part.data), part.raw_len, len(part_range))
        for part_range, part in zip(ranges, shards, strict=True)
    ]
    index = _part(_encode(_Index(2, channel, named)))
    return Body(index.raw_len, index.sha256, index.data, shards, len(items))


def read(head: Head, policy: Policy, fetch: Callable[[bytes, int], bytes]) -> list[Item]:
    """The entries that a verified head names, in the order of their paths.

    Args:
        head: from `head.open`.
        policy: the channel's, from the same trust file.
        fetch: gives the bytes of a body by SHA-256; it is told the length and may stop after one byte more.

    Raises:
        Refused: the first reason found. Bytes are compared with their signed hash before they are unpacked, their
            sizes with the signed ones before memory is taken.
    """
    raw = _unpack(fetch, head.body_sha256, head.body_len, head.raw_len)
    audit = Audit(policy)
    if not raw.startswith(_INDEX_MARK):
        items = _entries(raw, head.channel)
        audit.add(items)
        _finish(audit, items, head)
        return items
    shards = _read_index(raw, head)
    items = []
    for shard in shards:
        raw = _unpack(fetch, shard.sha256, shard.body_len, shard.raw_len)
        part_range = _entries(raw, head.channel)
        if len(part_range) != shard.entry_count or not part_range or part_range[0].path != shard.first:
            raise refused(
                "ENTRY_COUNT",
                f"a shard holds {len(part_range)} entries where {shard.entry_count} from {shard.first!a} on are signed",
                actual=len(part_range),
                expected=shard.entry_count,
            )
        audit.add(part_range)
        items += part_range
    _finish(audit, items, head)
    return items


def shards(head: Head, data: bytes) -> list[Shard]:
    """What the body `data` of a verified head leads to, so that it can be fetched at once; nothing where it is whole.

    Raises:
        Refused: the first reason found, as `read`.
    """
    raw = _unpack(lambda _sha256, _length: data, head.body_sha256, head.body_len, head.raw_len)
    return _read_index(raw, head) if raw.startswith(_INDEX_MARK) else []


def check_part(data: bytes, sha256: bytes, length: int) -> None:
    """Raise `BODY_HASH` unless `data` has this length and this SHA-256."""
    if len(data) != length or sshsig.sha256(data) != sha256:
        raise refused(
            "BODY_HASH",
            f"a body of {len(data)} bytes is not the one of {length} bytes that is signed",
            actual_bytes=len(data),
            expected_bytes=length,
            expected=sha256.hex(),
        )


def check_leaves(data: bytes, sha256: bytes, size: int) -> None:
    """Raise `BODY_HASH` unless `data` is the table of leaves of that SHA-256, of a file of `size` bytes."""
    check_part(data, sha256, leaf_count(size) * DIGEST_SIZE)


def _finish(audit: Audit, items: list[Item], head: Head) -> None:
    audit.finish(items)
    if audit.count != head.entry_count:
        raise refused(
            "ENTRY_COUNT",
            f"the body holds {audit.count} entries where {head.entry_count} are signed",
            actual=audit.count,
            expected=head.entry_count,
        )


def _read_index(raw: bytes, head: Head) -> list[Shard]:
    index = decode(_index, raw, "BODY_FORMAT", "the index of a body")
    _check_channel(index.channel, head.channel)
    shards = index.shards
    for name, actual, most in (
        ("body_len", head.body_len + sum(shard.body_len for shard in shards), MAX_BODY),
        ("raw_len", head.raw_len + sum(shard.raw_len for shard in shards), MAX_RAW),
    ):
        if actual > most:
            raise refused(
                "LIMIT", f"{name} is {actual} with all shards, more than {most}", actual=actual, expected=most
            )
    if not ascending([shard.first for shard in shards]):
        raise refused("ORDER", "the shards of a body are not in the order of their paths")
    if sum(shard.entry_count for shard in shards) != head.entry_count:
        raise refused("ENTRY_COUNT", f"the shards of a body do not make the {head.entry_count} entries that are signed")
    return shards


def _entries(raw: bytes, channel: str) -> list[Item]:
    listing = decode(_listing, raw, "BODY_FORMAT", "a body")
    _check_channel(listing.channel, channel)
    return listing.entries


def _check_channel(actual: str, expected: str) -> None:
    if actual != expected:
        raise refused(
            "WRONG_CHANNEL", f"the body is of {actual!a}, not of {expected}", actual=actual, expected=expected
        )


def _unpack(fetch: Callable[[bytes, int], bytes], sha256: bytes, length: int, raw_len: int) -> bytes:
    data = fetch(sha256, length)
    check_part(data, sha256, length)
    if not data.startswith(MAGIC):
        raise refused("BODY_FORMAT", f"a body does not begin with {MAGIC!r}", actual=data[:8].hex())
    return decompress(data[len(MAGIC) :], raw_len)


def _listing_part(channel: str, items: list[Item]) -> Part:
    raw = _encode(_Listing(1, channel, items))
    _entries(raw, channel)  # holds every field to its bounds, as a reader will
    return _part(raw)


def _part(raw: bytes) -> Part:
    data = MAGIC + compress(raw)
    return Part(sshsig.sha256(data), data, len(raw))


def _ranges(items: list[Item]) -> Iterator[list[Item]]:
    """The list in pieces. A cut falls where a path's checksum says so, which other entries do not change."""
    start = 0
    for at, item in enumerate(items):
        size = at - start
        if size >= _SHARD_MAX or (size >= _SHARD_MIN and zlib.crc32(item.path.encode()) % _CUT_EVERY == 0):
            yield items[start:at]
            start = at
    yield items[start:]


def compress(raw: bytes) -> bytes:
    """One zstd frame, with the size of its content."""
    return zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True, write_checksum=False).compress(raw)


def decompress(frame: bytes, raw_len: int) -> bytes:
    """The content of one zstd frame, which has exactly `raw_len` bytes, or `BODY_FORMAT`.

    The frame must say how large its content is, and that must be the signed figure, before any memory is taken for it;
    its window is at most 8 MiB; it has no dictionary; nothing follows it. libzstd refuses a frame that holds more or
    less than it says.
    """
    try:
        if frame[:4] != _FRAME:
            raise refused("BODY_FORMAT", "a body does not hold a zstd frame", actual=frame[:4].hex())
        described = zstandard.get_frame_parameters(frame)
        if described.content_size != raw_len or described.window_size > MAX_WINDOW or described.dict_id:
            raise refused(
                "BODY_FORMAT",
                f"a body's zstd frame is for {described.content_size} bytes where {raw_len} are signed",
                actual=described.content_size,
                expected=raw_len,
                window_bytes=described.window_size,
                dictionary=described.dict_id,
            )
        raw: bytes = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).decompress(frame, allow_extra_data=False)
    except (zstandard.ZstdError, MemoryError) as error:
        raise refused("BODY_FORMAT", f"a body cannot be unpacked: {error}", reason=str(error)) from None
    return raw
