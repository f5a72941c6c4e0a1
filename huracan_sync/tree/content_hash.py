"""Dropbox's content hash: our only digest of files.

SHA-256 over the SHA-256 digests of consecutive 4 MiB blocks. The block digests are kept, because together with the
content hash they prove any single block: `combine(blocks) == content_hash`, so a part can be verified alone.
An empty file has no blocks; its hash is SHA-256 of nothing.
Source: https://www.dropbox.com/developers/reference/content-hash
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

BLOCK_SIZE = 4 * 1024 * 1024
"""Bytes in a block; the last one of a file may be shorter."""

DIGEST_SIZE = 32
"""Bytes in a digest."""

LEAF_SIZE = 64 * 1024
"""Bytes in a leaf: a piece of a file that can be proved alone where its table of leaves is signed."""


def block_count(size: int) -> int:
    """How many blocks a file of `size` bytes has."""
    return -(-size // BLOCK_SIZE)


def combine(blocks: bytes) -> bytes:
    """The content hash (32 bytes) of a file from its concatenated block digests."""
    return hashlib.sha256(blocks).digest()


def content_hash(data: bytes | bytearray | memoryview) -> bytes:
    """The content hash (32 bytes) of bytes in memory."""
    return combine(block_hashes(data))


def block_hashes(data: bytes | bytearray | memoryview) -> bytes:
    """The concatenated block digests of bytes that begin on a block boundary."""
    view = memoryview(data)
    if 0 < len(view) <= BLOCK_SIZE:  # nearly every file: in a third of the time
        return hashlib.sha256(view).digest()
    return b"".join(hashlib.sha256(view[at : at + BLOCK_SIZE]).digest() for at in range(0, len(view), BLOCK_SIZE))


def leaf_count(size: int) -> int:
    """How many leaves a file of `size` bytes has."""
    return -(-size // LEAF_SIZE)


def leaf_hashes(data: bytes | bytearray | memoryview) -> bytes:
    """The concatenated SHA-256 of the leaves of bytes that begin where a leaf does: a file's table of leaves."""
    view = memoryview(data)
    return b"".join(hashlib.sha256(view[at : at + LEAF_SIZE]).digest() for at in range(0, len(view), LEAF_SIZE))


def split(blocks: bytes) -> Iterator[bytes]:
    """The single digests in a concatenation of them."""
    for at in range(0, len(blocks), DIGEST_SIZE):
        yield blocks[at : at + DIGEST_SIZE]
