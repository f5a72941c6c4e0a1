"""The body: the signed list of what a tree is. FORMAT.md, section 3.

A body is a magic and one zstd frame holding `[1, channel, entries]`, or, for many entries, `[2, channel, shards]`:
an index of bodies that each hold one stretch of the list. Bodies are named by their SHA-256, so a changed file means
one new shard and one new index, and who asks for a folder reads its shards alone. `body_writer` makes them.
"""

from __future__ import annotations

import bisect
import functools
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Literal

import msgspec
import zstandard
from msgspec import Meta

from huracan_sync.manifest import sshsig
from huracan_sync.manifest.canonical import Count, Digest, ascending, decode
from huracan_sync.manifest.entries import Audit, Item
from huracan_sync.manifest.head import MAX_BODY, MAX_ENTRIES, MAX_RAW, Head
from huracan_sync.manifest.refusals import refused
from huracan_sync.manifest.trust import Policy
from huracan_sync.tree.content_hash import DIGEST_SIZE, leaf_count

MAGIC = b"HZMANI1\n"
MAX_WINDOW = 8 * 1024 * 1024
_FRAME = b"\x28\xb5\x2f\xfd"
MAX_SHARDS = 4_096
MAX_BODIES = 32
"""How much more all files of a body together may have than one of them."""
_HELD = 4
"""Shards held in memory of a list that is read as it is asked for."""

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


class Listing(msgspec.Struct, array_like=True, frozen=True):
    """A body that holds entries."""

    v: Literal[1]
    channel: _Channel
    entries: Annotated[list[Item], Meta(max_length=MAX_ENTRIES)]


class Index(msgspec.Struct, array_like=True, frozen=True):
    """A body that names shards."""

    v: Literal[2]
    channel: _Channel
    shards: Annotated[list[Shard], Meta(min_length=1, max_length=MAX_SHARDS)]


_listing = msgspec.msgpack.Decoder(Listing)
_index = msgspec.msgpack.Decoder(Index)
# The first two bytes of an index: an array of three, and its version.
_INDEX_MARK = b"\x93\x02"


_WHOLE = ("",)


class Items:
    """The entries of a body in the order of their paths, stretch after stretch, each read when it is needed."""

    def __init__(
        self,
        firsts: Sequence[str],
        load: Callable[[int], list[Item]],
        count: int,
        parts: tuple[bytes, ...],
        check: Callable[[], object] = lambda: None,
    ) -> None:
        self.is_whole = firsts == _WHOLE
        """Whether all of them were read, and looked at together."""
        self.check = check
        """Looks at all of them together, a stretch at a time. Raises as `read`."""
        self.parts = parts
        """SHA-256 of the body and its shards."""
        self._firsts = firsts
        self._load = load
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Item]:
        return itertools.chain.from_iterable(map(self._load, range(len(self._firsts))))

    def since(self, path: str, inside: str = "") -> Iterator[Item]:
        """Those from a path on; as long as they begin with `inside`, at least."""
        at = max(0, bisect.bisect_right(self._firsts, path) - 1)
        piece = self._load(at)
        yield from itertools.islice(piece, bisect.bisect_left(piece, path, key=lambda item: item.path), None)
        for number in range(at + 1, len(self._firsts)):
            if not self._firsts[number].startswith(inside):
                return
            yield from self._load(number)


Fetch = Callable[[bytes, int], bytes]


def read(head: Head, policy: Policy, fetch: Fetch) -> list[Item]:
    """The entries that a verified head names, in the order of their paths.

    Args:
        head: from `head.open`.
        policy: the channel's, from the same trust file.
        fetch: gives the bytes of a body by SHA-256; it is told the length and may stop after one byte more.

    Raises:
        Refused: the first reason found. Bytes are compared with their signed hash before they are unpacked, their
            sizes with the signed ones before memory is taken.
    """
    return list(itertools.chain.from_iterable(pieces(head, policy, fetch)))


def pieces(head: Head, policy: Policy, fetch: Fetch) -> Iterator[list[Item]]:
    """As `read`, a stretch at a time. Only the end tells that no entry is in the way of another."""
    audit = Audit(policy)
    for piece in _each(head, fetch):
        audit.add(piece)
        yield piece
    audit.finish(lambda: (item.path for piece in _each(head, fetch) for item in piece))
    if audit.count != head.entry_count:
        message = f"the body holds {audit.count} entries where {head.entry_count} are signed"
        raise refused("ENTRY_COUNT", message, actual=audit.count, expected=head.entry_count)


def entries(head: Head, policy: Policy, fetch: Fetch, *, lazily: bool = True) -> Items:
    """As `read`; lazily, each shard is read, and looked at alone, when it is first asked for."""
    top = fetch(head.body_sha256, head.body_len)
    index = shards(head, top)
    parts = (head.body_sha256, *(shard.sha256 for shard in index))
    if not (index and lazily):
        items = read(head, policy, lambda sha256, length: top if sha256 == head.body_sha256 else fetch(sha256, length))
        return Items(_WHOLE, lambda _: items, len(items), parts)

    @functools.lru_cache(_HELD)
    def load(number: int) -> list[Item]:
        piece = _piece(index[number], head.channel, fetch)
        audit = Audit(policy)
        audit.add(piece)
        audit.finish(lambda: (item.path for item in piece))
        if number + 1 < len(index) and piece[-1].path >= index[number + 1].first:
            raise refused("ORDER", "the shards of a body overlap")
        return piece

    check = lambda: deque(pieces(head, policy, fetch), 0)  # noqa: E731 - gone through, and not held
    return Items([shard.first for shard in index], load, head.entry_count, parts, check)


def _each(head: Head, fetch: Fetch) -> Iterator[list[Item]]:
    raw = _unpack(fetch, head.body_sha256, head.body_len, head.raw_len)
    if not raw.startswith(_INDEX_MARK):
        yield entries_of(raw, head.channel)
        return
    for shard in _read_index(raw, head):
        yield _piece(shard, head.channel, fetch)


def _piece(shard: Shard, channel: str, fetch: Fetch) -> list[Item]:
    piece = entries_of(_unpack(fetch, shard.sha256, shard.body_len, shard.raw_len), channel)
    if len(piece) != shard.entry_count or not piece or piece[0].path != shard.first:
        message = f"a shard holds {len(piece)} entries where {shard.entry_count} from {shard.first!a} on are signed"
        raise refused("ENTRY_COUNT", message, actual=len(piece), expected=shard.entry_count)
    return piece


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
        message, digest = f"a body of {len(data)} bytes is not the one of {length} bytes that is signed", sha256.hex()
        raise refused("BODY_HASH", message, actual_bytes=len(data), expected_bytes=length, expected=digest)


def check_leaves(data: bytes, sha256: bytes, size: int) -> None:
    """Raise `BODY_HASH` unless `data` is the table of leaves of that SHA-256, of a file of `size` bytes."""
    check_part(data, sha256, leaf_count(size) * DIGEST_SIZE)


def _read_index(raw: bytes, head: Head) -> list[Shard]:
    index = decode(_index, raw, "BODY_FORMAT", "the index of a body")
    _check_channel(index.channel, head.channel)
    shards = index.shards
    sizes = [(shard.body_len, shard.raw_len) for shard in shards]
    for name, size, most in (("body_len", head.body_len, MAX_BODY), ("raw_len", head.raw_len, MAX_RAW)):
        of_each = [pair[name == "raw_len"] for pair in sizes]
        actual = max(*of_each, (size + sum(of_each)) // MAX_BODIES)
        if actual > most:
            raise refused("LIMIT", f"{name} of the shards is more than {most}", actual=actual, expected=most)
    if not ascending([shard.first for shard in shards]):
        raise refused("ORDER", "the shards of a body are not in the order of their paths")
    if sum(shard.entry_count for shard in shards) != head.entry_count:
        raise refused("ENTRY_COUNT", f"the shards of a body do not make the {head.entry_count} entries that are signed")
    return shards


def entries_of(raw: bytes, channel: str) -> list[Item]:
    """The entries of an unpacked body. Raises as `read`."""
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
