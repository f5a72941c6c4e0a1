"""The bytes of one entry, proved block by block as they come. Nothing that is not proved leaves this page."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from huracan_sync.errors import ContentMismatch, NotFound, Refused
from huracan_sync.manifest import file_kinds
from huracan_sync.manifest.entries import Item
from huracan_sync.manifest.refusals import refused
from huracan_sync.reader.source import Source
from huracan_sync.tree.content_hash import BLOCK_SIZE, DIGEST_SIZE, LEAF_SIZE, block_count, leaf_hashes

Pieces = Sequence[bytes | memoryview]
"""A block in the pieces in which it came; none of them can be changed any more."""


def check_block(item: Item, number: int, block: bytes) -> None:
    """Raise unless `block` is that block of the entry.

    Raises:
        ContentMismatch: it is not.
        Refused: `KIND`, the file begins as a pickle and the entry does not say so.
    """
    _check(item, number, [block], hashlib.sha256(block).digest())


def _check(item: Item, number: int, pieces: Pieces, digest: bytes) -> None:
    if item.blocks:
        proved = digest == item.blocks[number * DIGEST_SIZE : (number + 1) * DIGEST_SIZE]
    else:
        proved = hashlib.sha256(digest if item.size else b"").digest() == item.content_hash
    if not proved or sum(map(len, pieces)) != _length(item, number):
        raise _mismatch(item, f"block {number} of it is not the one that is signed")
    if item.kind not in file_kinds.PROGRAMS and _may_be_a_program(item, number, pieces):
        raise _program(item)


def _program(item: Item) -> Refused:
    why = f"{item.path!a} may run a program when it is opened, and is not published as one"
    return refused("KIND", why, path=item.path, kind=item.kind)


def _may_be_a_program(item: Item, number: int, pieces: Pieces) -> bool:
    """What the first and the last block give away."""
    if number == 0:
        first = b"".join(pieces)
        if file_kinds.sniff(first, size=item.size) is not None and not _is_what_it_is_called(item, first):
            return True
    is_last = number == max(0, block_count(item.size) - 1)
    return is_last and file_kinds.is_archive(bytes(b"".join(pieces)[-_LONGEST_END:]))


def _is_what_it_is_called(item: Item, first: bytes) -> bool:
    """A safetensors header may begin like a pickle: what its structure proves it is."""
    return file_kinds.of(item.path, first, size=item.size) in file_kinds.PROVABLE


_LONGEST_END = 22 + 65_535
"""Bytes in the longest end record of a zip archive."""


def remote_blocks(source: Source, item: Item, first: int = 0, count: int | None = None) -> Iterator[bytes]:
    """The blocks of an entry from `first` on, each proved before it is given. See `remote_pieces`."""
    for pieces in remote_pieces(source, item, first, count):
        yield b"".join(pieces)


def remote_pieces(source: Source, item: Item, first: int = 0, count: int | None = None) -> Iterator[Pieces]:
    """The blocks of an entry from `first` on, as they came, each proved before it is given, over one request.

    By revision, so a later publish cannot mix two manifests; where the revision is gone, by path. The hash decides.

    Raises:
        NotFound: it lies nowhere any more.
        ContentMismatch: other bytes came.
    """
    last = block_count(item.size) if count is None else min(first + count, block_count(item.size))
    if item.size == 0:
        check_block(item, 0, b"")
    if first >= last:
        return
    start, end = first * BLOCK_SIZE, min(last * BLOCK_SIZE, item.size)
    with contextlib.ExitStack() as stack:
        number, pieces, missing, hasher = first, _new(), _length(item, first), hashlib.sha256()
        for piece in _entered(stack, source, item, start, end):
            view = memoryview(piece)
            while view:
                if number == last:
                    raise _mismatch(item, "more bytes came than it has")
                part, view = view[:missing], view[missing:]
                hasher.update(part)  # while the next piece is on its way
                pieces.append(part)
                missing -= len(part)
                if not missing:
                    _check(item, number, pieces, hasher.digest())
                    yield pieces
                    number += 1
                    pieces, missing, hasher = _new(), _length(item, number), hashlib.sha256()
        if number != last:
            raise _mismatch(item, f"it ended in block {number} of {last}")


def remote_leaves(source: Source, item: Item, table: bytes, first: int, last: int) -> bytes:
    """The bytes of the leaves from `first` up to, not including, `last`, proved by the table of leaves; one request.

    Raises:
        NotFound: it lies nowhere any more.
        ContentMismatch: other bytes came.
        Refused: `KIND`, they show that the file may run a program when it is opened, and the entry does not say so.
    """
    start, end = first * LEAF_SIZE, min(last * LEAF_SIZE, item.size)
    with contextlib.ExitStack() as stack:
        data = b"".join(_entered(stack, source, item, start, end))
    if len(data) != end - start or leaf_hashes(data) != table[first * DIGEST_SIZE : last * DIGEST_SIZE]:
        raise _mismatch(item, f"bytes {start} to {end} of it are not those that are signed")
    if item.kind not in file_kinds.PROGRAMS:
        begins = start == 0 and file_kinds.sniff(data, size=item.size) and not _is_what_it_is_called(item, data)
        if begins or (end == item.size and file_kinds.is_archive(data[-_LONGEST_END:])):
            raise _program(item)
    return data


def _new() -> list[memoryview]:
    return []


def _length(item: Item, number: int) -> int:
    return max(0, min(BLOCK_SIZE, item.size - number * BLOCK_SIZE))


def _entered(stack: contextlib.ExitStack, source: Source, item: Item, start: int, end: int) -> Iterator[bytes]:
    if item.rev:
        with contextlib.suppress(NotFound):
            return stack.enter_context(source.stream(f"rev:{item.rev}", start, end))
    return stack.enter_context(source.stream(item.path, start, end))


def local_block(file: Path, item: Item, number: int) -> bytes:
    """A block of a copy on this disk, proved again: disks rot. Raises `OSError` or `ContentMismatch`."""
    handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        block = os.pread(handle, BLOCK_SIZE, number * BLOCK_SIZE)
    finally:
        os.close(handle)
    check_block(item, number, block)
    return block


def _mismatch(item: Item, why: str) -> ContentMismatch:
    return ContentMismatch(
        f"{item.path!a} is not what was signed: {why}",
        hint="somebody may have changed the file in Dropbox; publish it again",
        path=item.path,
        expected=item.content_hash.hex(),
    )


class VerifiedFile(io.RawIOBase):
    """An entry as a file one may seek in. Every byte given lies in a block that was proved.

    Reads in order go on over one request; a read elsewhere asks for the block it needs.
    """

    def __init__(self, item: Item, blocks: Callable[[int, int | None], Iterator[bytes]]) -> None:
        """Open the entry.

        Args:
            item: the entry.
            blocks: gives proved blocks from a number on, so many or all.
        """
        self._item = item
        self._blocks = blocks
        self._at = 0
        self._number = -2  # no block, and none before the first
        self._block = memoryview(b"")
        self._following: Iterator[bytes] | None = None

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The byte that will be read next."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go there; nothing is fetched yet."""
        at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._item.size}[whence]
        if at < 0:
            raise ValueError(f"{at} lies before the file")
        self._at = at
        return at

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override]  # io's own type is private
        """Fill the buffer up to the end of a block."""
        if self._at >= self._item.size or not len(buffer):
            return 0
        self._load(self._at // BLOCK_SIZE)
        offset = self._at % BLOCK_SIZE
        piece = self._block[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def close(self) -> None:
        """Give up what is still on the wire."""
        self._following = None
        self._block = memoryview(b"")
        super().close()

    def _load(self, number: int) -> None:
        if number == self._number:
            return
        if number != self._number + 1:
            self._following = None
            blocks = self._blocks(number, 1)
        else:
            blocks = self._following = self._following or self._blocks(number, None)
        self._block, self._number = memoryview(next(blocks)), number
