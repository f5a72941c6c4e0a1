"""An entry as a file: what each read and seek asks for, and a copy on this disk that rots in the middle."""

import io
import os
import zipfile

import pytest
from expecting import raises
from manifest_world import item
from reader_world import World

from huracan_sync.reader.verified_blocks import VerifiedFile, local_block, remote_blocks, remote_leaves
from huracan_sync.tree.content_hash import BLOCK_SIZE, LEAF_SIZE, leaf_hashes

DATA = bytes(range(256)) * (BLOCK_SIZE // 256) + b"two" * (BLOCK_SIZE // 3) + b"the end"
BLOCKS = [DATA[at : at + BLOCK_SIZE] for at in range(0, len(DATA), BLOCK_SIZE)]
ITEM = item("data/large.bin", DATA)


class Opened:
    """The file, and what it asked for."""

    def __init__(self):
        self.asked = []
        self.file = VerifiedFile(ITEM, self.blocks)

    def blocks(self, first, count):
        self.asked.append((first, count))
        return iter(BLOCKS[first:] if count is None else BLOCKS[first : first + count])

    def read(self, size):
        buffer = bytearray(size)
        return bytes(buffer[: self.file.readinto(buffer)])


def test_reads_in_order_are_one_request():
    opened = Opened()
    assert b"".join(iter(lambda: opened.read(1_000_000), b"")) == DATA
    assert opened.asked == [(0, 1), (1, None)]
    assert opened.read(10) == b""


def test_a_read_elsewhere_asks_for_its_block_alone():
    opened = Opened()
    assert opened.file.seek(2 * BLOCK_SIZE) == 2 * BLOCK_SIZE
    assert opened.read(100) == BLOCKS[2][:100]
    assert opened.file.seek(5) == 5
    assert opened.read(3) == DATA[5:8]
    assert opened.file.seek(0) == 0
    assert opened.read(3) == DATA[:3]
    assert opened.asked == [(2, 1), (0, 1)], "a block is asked for once while one reads in it"


# offset, whence -> where one is then, from byte 10
SEEKS = [
    (0, os.SEEK_SET, 0),
    (7, os.SEEK_SET, 7),
    (5, os.SEEK_CUR, 15),
    (-10, os.SEEK_CUR, 0),
    (-7, os.SEEK_END, len(DATA) - 7),
]


@pytest.mark.parametrize(("offset", "whence", "at"), SEEKS)
def test_seeking(offset, whence, at):
    opened = Opened()
    opened.file.seek(10)
    assert opened.file.seek(offset, whence) == opened.file.tell() == at
    assert opened.asked == []


@pytest.mark.parametrize(("offset", "whence"), [(-1, os.SEEK_SET), (-11, os.SEEK_CUR), (-len(DATA) - 1, os.SEEK_END)])
def test_nothing_lies_before_the_file(offset, whence):
    opened = Opened()
    opened.file.seek(10)
    with pytest.raises(ValueError, match="lies before the file"):
        opened.file.seek(offset, whence)
    assert opened.file.tell() == 10


def test_nothing_is_asked_for_where_nothing_is_wanted_or_left():
    opened = Opened()
    assert opened.read(0) == b""
    opened.file.seek(len(DATA))
    assert opened.read(1) == b""
    opened.file.seek(len(DATA) + 5)
    assert opened.read(1) == b""
    assert opened.asked == []
    opened.file.seek(len(DATA) - 1)
    assert (opened.read(5), opened.file.tell()) == (DATA[-1:], len(DATA))


def test_a_closed_file_gives_nothing():
    opened = Opened()
    opened.read(10)
    opened.file.close()
    assert opened.file.closed
    with pytest.raises(ValueError, match="closed"):
        io.BufferedReader(opened.file).read(1)


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path, keep_set=0)
    world.publish({"data/large.bin": DATA})
    return world


@pytest.mark.slow
@pytest.mark.parametrize("rotten", range(len(BLOCKS)))
def test_from_a_rotten_block_on_a_copy_is_left_for_dropbox(world, rotten):
    snapshot = world.reader.latest("champions")
    copy = snapshot.path("data/large.bin")
    copy.chmod(0o600)
    with copy.open("r+b") as file:
        file.seek(rotten * BLOCK_SIZE)
        file.write(b"rot")
    world.peer.calls.clear()
    given = b"".join(snapshot._blocks(snapshot.item("data/large.bin"), 0, None))
    assert given == DATA
    ((_, _, start, end),) = [call for call in world.peer.calls if call[0] == "stream"]
    assert (start, end) == (rotten * BLOCK_SIZE, len(DATA))


def test_of_a_whole_copy_nothing_is_asked(world):
    snapshot = world.reader.latest("champions")
    snapshot.path("data/large.bin")
    world.peer.calls.clear()
    entry = snapshot.item("data/large.bin")
    assert list(snapshot._blocks(entry, 0, None)) == BLOCKS
    assert list(snapshot._blocks(entry, 1, 1)) == BLOCKS[1:2]
    assert world.peer.calls == []


def test_a_link_is_no_copy(world, tmp_path):
    (tmp_path / "file").write_bytes(DATA)
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert local_block(tmp_path / "file", ITEM, 1) == BLOCKS[1]
    with pytest.raises(OSError, match="symbolic links"):
        local_block(tmp_path / "link", ITEM, 1)


def test_where_the_revision_is_gone_the_same_bytes_are_asked_for_by_path(world):
    entry = item("data/large.bin", DATA, "0000000000000000000ff")
    assert list(remote_blocks(world.peer, entry, 1, 1)) == BLOCKS[1:2]
    assert world.peer.calls[-1] == ("stream", "data/large.bin", BLOCK_SIZE, 2 * BLOCK_SIZE)


def archive():
    """A zip that begins as plain text."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as file:
        file.writestr("a", "b")
    return b"plain text\n" * (2 * LEAF_SIZE // 11) + memory.getvalue()


def test_the_end_of_an_archive_is_known_when_it_comes_and_not_before(world):
    data = archive()
    world.peer.put("data/plain.txt", data)
    entry, table = item("data/plain.txt", data, ""), leaf_hashes(data)
    leaves = len(table) // 32
    assert remote_leaves(world.peer, entry, table, 0, leaves - 1) == data[: (leaves - 1) * LEAF_SIZE]
    with raises("KIND", match="may run a program") as caught:
        remote_leaves(world.peer, entry, table, leaves - 1, leaves)
    assert caught.value.facts["path"] == "data/plain.txt"
