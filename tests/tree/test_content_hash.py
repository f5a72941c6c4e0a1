"""The content hash against Dropbox's own vectors and against its definition."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huracan_sync.tree.content_hash import BLOCK_SIZE, block_count, combine, content_hash, split
from huracan_sync.tree.content_hasher import ContentHasher


@pytest.mark.parametrize(
    ("data", "starts"),
    [
        (b"Hello Dropbox!", "16dff8700700b9aa627e24bbf832940c084b41ade5c5d6fe5417963a547ed9c2"),
        (b"Hola Dropbox!", "6e50b8ff"),
        (b"Hallo Dropbox!", "a08cf731"),
        ("123456789Olá Dropbox!".encode(), "2064faa8"),
        (b"", "e3b0c442"),
    ],
)
def test_recorded_vectors(data, starts):
    assert content_hash(data).hex().startswith(starts)


@pytest.mark.parametrize("size", [0, 1, BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1, 2 * BLOCK_SIZE, 2 * BLOCK_SIZE + 7])
def test_definition_at_block_boundaries(size):
    data = bytes(range(251)) * (size // 251 + 1)
    data = data[:size]
    blocks = [hashlib.sha256(data[at : at + BLOCK_SIZE]).digest() for at in range(0, size, BLOCK_SIZE)]
    hasher = ContentHasher()
    for at in range(0, size, 1_000_003):
        hasher.update(data[at : at + 1_000_003])
    assert hasher.digest() == content_hash(data) == hashlib.sha256(b"".join(blocks)).digest()
    assert list(split(hasher.blocks())) == blocks
    assert block_count(size) == len(blocks)
    assert hasher.size == size


@pytest.mark.slow
@pytest.mark.wide
@given(st.lists(st.binary(max_size=50), max_size=20))
def test_pieces_do_not_matter(pieces):
    hasher = ContentHasher()
    for piece in pieces:
        hasher.update(piece)
        hasher.digest()  # asking in between changes nothing
    assert hasher.digest() == content_hash(b"".join(pieces))


def test_no_blocks_is_the_empty_file():
    assert combine(b"") == hashlib.sha256().digest() == content_hash(b"")
