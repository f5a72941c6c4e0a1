"""The one way by which parts of an upload session go out: for push, for streams, for workers."""

import ast

import pytest
from machines import Machine
from package_source import of_today

from huracan_sync.errors import ContentMismatch
from huracan_sync.remote import files
from huracan_sync.remote.listing import timestamp
from huracan_sync.transfer import session_parts, staging
from huracan_sync.transfer.session_parts import SessionParts
from huracan_sync.transfer.staging import Placing, StreamUpload
from huracan_sync.transfer.worker_pool import background
from huracan_sync.tree.content_hash import BLOCK_SIZE, content_hash

SIZE = BLOCK_SIZE


@pytest.fixture
def remote(dropbox, tmp_path):
    return Machine(dropbox, tmp_path / "machine").remote


@pytest.fixture
def threads():
    with background(4, "test-parts") as threads:
        yield threads


def test_nobody_else_sends_parts():
    callers = {
        name
        for name, module in of_today().modules.items()
        for node in module.nodes
        if isinstance(node, ast.ImportFrom) and any(alias.name == "append_part" for alias in node.names)
    }
    assert callers == {"transfer.session_parts"}


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
