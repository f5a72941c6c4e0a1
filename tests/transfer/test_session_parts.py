"""The one way by which parts of an upload session go out: for push, for streams, for workers."""

import ast

import pytest
from machines import Machine
from package_source import of_today

from huracan_sync.errors import ContentMismatch
from huracan_sync.manifest.entries import MAX_FILE
from huracan_sync.remote import files
from huracan_sync.remote.listing import timestamp
from huracan_sync.remote.upload_session import Cursor
from huracan_sync.transfer import session_parts, staging
from huracan_sync.transfer.session_parts import Part, SessionParts, part_size_for
from huracan_sync.transfer.staging import Placing, StreamUpload
from huracan_sync.transfer.worker_pool import background
from huracan_sync.tree.content_hash import BLOCK_SIZE, block_hashes, content_hash

SIZE = BLOCK_SIZE
MIB = 1024 * 1024


@pytest.fixture
def remote(dropbox, tmp_path):
    return Machine(dropbox, tmp_path / "machine").remote


@pytest.fixture
def threads():
    with background(4, "test-parts") as threads:
        yield threads


@pytest.mark.wide
def test_nobody_else_sends_parts():
    callers = {
        name
        for name, module in of_today().modules.items()
        for node in module.nodes
        if isinstance(node, ast.ImportFrom) and any(alias.name == "append_part" for alias in node.names)
    }
    assert callers == {"transfer.session_parts"}


@pytest.mark.parametrize(
    ("size", "room", "part"),
    [
        (100 * MIB, 56, 8),
        (4096 * MIB, 56, 8),
        (4096 * MIB + 1, 56, 16),
        (50 * 1024 * MIB, 56, 16),  # 3,200 calls, which were 6,400
        (MAX_FILE, 56, 16),
        (MAX_FILE, 32, 8),  # pyarrow has taken its part
        (MAX_FILE, 10, 8),
        (350 * 10**9, 1024, 128),
        (MAX_FILE, 10_000, 128),  # a call may have 150 MiB
    ],
)
def test_the_larger_a_file_the_larger_its_parts_as_far_as_memory_goes(size, room, part):
    assert part_size_for(size, 8 * MIB, room * MIB) == part * MIB


def test_a_part_in_pieces_is_the_same_part():
    data = memoryview(bytes(range(256)) * (10 * MIB // 256))
    for blocks in (block_hashes(data), b""):
        whole = Part(Cursor("s", 4 * MIB), data, close=False, blocks=blocks)
        pieces = whole.pieces()
        assert [len(piece.data) for piece in pieces] == [4 * MIB, 4 * MIB, 2 * MIB]
        assert [piece.cursor.offset for piece in pieces] == [4 * MIB, 8 * MIB, 12 * MIB]
        assert b"".join(piece.blocks for piece in pieces) == blocks
        assert not any(piece.close for piece in pieces)
    assert Part(Cursor("s", 0), data, close=True).pieces() == [Part(Cursor("s", 0), data, close=True)]


def test_what_arrived_out_of_order_is_in_order():
    parts = SessionParts({1: b"b"})
    for _ in range(2):
        parts.begin()
    assert not parts.is_idle
    parts.end(2, b"c")
    parts.end(0, b"a")
    assert parts.is_idle
    assert parts.blocks() == b"abc"


def test_the_first_error_counts():
    parts, errors = SessionParts(), [ContentMismatch("one"), ContentMismatch("two")]
    for number, error in enumerate(errors):
        parts.begin()
        parts.end(number, error)
    assert parts.error is errors[0]
    assert parts.is_idle


@pytest.mark.parametrize("size", [0, 1, SIZE - 1, SIZE, SIZE + 1, 5 * SIZE, 5 * SIZE + 7])
def test_a_stream_is_whole_whatever_its_size(remote, threads, size):
    data = bytes(at % 251 for at in range(4099)) * (size // 4099 + 1)
    upload = StreamUpload(remote, threads, part_size=SIZE, at_once=2)
    for at in range(0, size, 1_000_003):
        upload.write(data[at : min(at + 1_000_003, size)])
    staged = upload.finish()
    assert (staged.size, staged.content_hash) == (size, content_hash(data[:size]))
    (placed,) = staging.commit(remote, [Placing(staged, files.commit_of("/x", timestamp(0), replaces_rev=None))])
    assert (placed.size, placed.content_hash) == (size, staged.content_hash.hex())


def test_no_more_is_in_memory_than_may_be(remote, threads, monkeypatch):
    held = []
    real = session_parts.append_part

    def counted(*args, **options):
        held.append(upload._pool._held)
        real(*args, **options)

    monkeypatch.setattr(session_parts, "append_part", counted)
    upload = StreamUpload(remote, threads, part_size=SIZE, at_once=2)
    upload.write(bytes(9 * SIZE))
    upload.finish()
    assert len(held) == 9
    assert max(held) <= 2 * SIZE


def test_a_bug_on_a_thread_comes_out_and_hangs_nobody(remote, threads, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(session_parts, "append_part", broken)
    upload = StreamUpload(remote, threads, part_size=SIZE, at_once=2)
    with pytest.raises(ZeroDivisionError):
        upload.write(bytes(9 * SIZE))
    upload.discard()
    upload = StreamUpload(remote, threads, part_size=SIZE, at_once=2)
    upload.write(bytes(SIZE))
    with pytest.raises(ZeroDivisionError):
        upload.finish()
    upload.discard()


def test_an_error_of_a_part_comes_out_at_the_next_step(remote, threads, monkeypatch):
    def refused(*_, **__):
        raise ContentMismatch("other bytes")

    monkeypatch.setattr(session_parts, "append_part", refused)
    upload = StreamUpload(remote, threads, part_size=SIZE, at_once=2)
    with pytest.raises(ContentMismatch):
        upload.write(bytes(9 * SIZE))
    with pytest.raises(ContentMismatch):
        upload.finish()
    upload.discard()
