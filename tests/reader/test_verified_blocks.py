"""Bytes are proved block by block: large files, ranges, seeking, and every way in which they can come wrong."""

import io
import itertools
import os
import random
import zipfile

import pytest
from expecting import raises
from reader_world import World, change, following, item, sha256
from sampled import sampled, slow

from huracan_sync.errors import ContentMismatch, DiskFull, NotFound, Unreachable, UsageError
from huracan_sync.manifest import locations
from huracan_sync.reader import verified_blocks
from huracan_sync.reader.cache import BlobCache
from huracan_sync.tree.content_hash import BLOCK_SIZE, LEAF_SIZE, leaf_hashes

pytestmark = pytest.mark.wide  # megabytes in every test

LARGE = random.Random(1).randbytes(2 * BLOCK_SIZE + 1_000_003)
TWO = random.Random(2).randbytes(2 * BLOCK_SIZE)
FILES = {"large.bin": LARGE, "two.bin": TWO, "one.bin": LARGE[:BLOCK_SIZE], "small.bin": b"small"}


@pytest.mark.slow
@pytest.mark.parametrize("pieces", [slow(1_000), 65_536, slow(BLOCK_SIZE), BLOCK_SIZE + 1, slow(1 << 30)])
def test_whatever_the_pieces(world, snapshot, pieces):
    world.peer.pieces = pieces
    for path, data in FILES.items():
        assert snapshot.read(path) == data


def test_reading_twice_is_one_request(world, snapshot):
    assert snapshot.read("large.bin") == LARGE
    assert world.peer.requests() == 1
    assert snapshot.read("large.bin") == LARGE
    assert snapshot.path("large.bin").read_bytes() == LARGE
    assert snapshot.read_range("large.bin", 7, BLOCK_SIZE) == LARGE[7 : 7 + BLOCK_SIZE]
    with snapshot.open("large.bin") as file:
        assert file.read() == LARGE
    assert world.peer.requests() == 0


def test_a_path_is_a_proved_copy_nobody_writes_to(world, snapshot):
    path = snapshot.path("large.bin")
    assert path.read_bytes() == LARGE
    assert path.stat().st_mode & 0o777 == 0o400
    path.chmod(0o600)
    path.write_bytes(LARGE[:-1] + b"\0")
    assert snapshot.path("large.bin").read_bytes() == LARGE
    assert world.peer.requests() == 2


RANGES = [
    (0, 0),
    (0, 1),
    (5, 10),
    (BLOCK_SIZE - 1, 2),
    (BLOCK_SIZE, BLOCK_SIZE),
    (BLOCK_SIZE + 5, 10),
    (3, 2 * BLOCK_SIZE),
    (len(LARGE) - 1, 1),
    (len(LARGE) - 1, 100),
    (len(LARGE), 1),
    (len(LARGE) + 5, 1),
    (0, len(LARGE)),
]


@pytest.mark.parametrize(("start", "length"), sampled(RANGES, 3))
def test_ranges(world, snapshot, start, length):
    assert snapshot.read_range("large.bin", start, length) == LARGE[start : start + length]
    called = [call[2:] for call in world.peer.calls]
    if start >= len(LARGE) or not length:
        assert called == []
    else:
        first = start // BLOCK_SIZE * BLOCK_SIZE
        last = -(-min(start + length, len(LARGE)) // BLOCK_SIZE) * BLOCK_SIZE
        assert called == [(first, min(last, len(LARGE)))]


def test_no_such_range(snapshot):
    for start, length in ((-1, 2), (0, -1)):
        with raises(UsageError):
            snapshot.read_range("large.bin", start, length)


def test_a_file_to_seek_in(world, snapshot):
    with snapshot.open("large.bin") as file:
        assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
        assert file.seek(-8, os.SEEK_END) == len(LARGE) - 8
        assert file.read() == LARGE[-8:]
        assert world.peer.calls[-1][2:] == (2 * BLOCK_SIZE, len(LARGE)), "only the last block was asked for"
        assert file.seek(10) == 10
        assert file.read(4) == LARGE[10:14]
        assert file.seek(6, os.SEEK_CUR) == 20
        assert file.tell() == 20
        assert file.read(3) == LARGE[20:23]
        assert world.peer.requests() == 2, "the block at hand serves"
        with pytest.raises(ValueError, match="before"):
            file.seek(-1)
        with pytest.raises(io.UnsupportedOperation):
            file.write(b"x")
    assert file.closed


def test_in_order_a_file_is_two_requests(world, snapshot):
    with snapshot.open("large.bin") as file:
        assert b"".join(iter(lambda: file.read(100_000), b"")) == LARGE
    assert world.peer.requests() == 2


@pytest.mark.slow
def test_random_places(snapshot):
    chance = random.Random(5)
    with snapshot.open("large.bin") as file:
        for _ in range(30):
            at, length = chance.randrange(len(LARGE)), chance.randrange(10_000)
            file.seek(at)
            assert file.read(length) == LARGE[at : at + length]


def test_a_copy_on_this_disk_that_rots_while_it_is_read(world, snapshot):
    path = snapshot.path("large.bin")
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(BLOCK_SIZE + 7)
        file.write(b"\0\0\0\0")
    world.peer.requests()
    with snapshot.open("large.bin") as file:
        assert file.read() == LARGE
    assert world.peer.calls[0][2:] == (BLOCK_SIZE, len(LARGE)), "from the first block that does not prove"
    path.unlink()
    path.symlink_to("/dev/null")
    assert snapshot.read("large.bin") == LARGE


# --- wrong bytes


def swap(world, path, data):
    rev = world.peer.files[path]
    world.peer.revs[rev] = data


WRONG = {
    "a bit in the first block": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "a bit in the last block": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "cut short by a byte": lambda data: data[:-1],
    "cut short by a block": lambda data: data[:BLOCK_SIZE],
    "nothing": lambda data: b"",
    "blocks in another order": lambda data: (
        data[BLOCK_SIZE : 2 * BLOCK_SIZE] + data[:BLOCK_SIZE] + data[2 * BLOCK_SIZE :]
    ),
}


@pytest.mark.parametrize(
    ("name", "ask"),
    # Each wrong by one of the ways to ask.
    [
        (name, ask) if place % 3 == number else slow((name, ask))
        for place, name in enumerate(WRONG)
        for number, ask in enumerate(["read", "path", "open"])
    ],
)
def test_wrong_bytes_are_not_given(world, snapshot, name, ask):
    swap(world, "large.bin", WRONG[name](LARGE))
    asks = {"read": snapshot.read, "path": snapshot.path, "open": lambda path: snapshot.open(path).read()}
    with raises(ContentMismatch):
        asks[ask]("large.bin")
    assert not list(world.home.rglob("*.part"))
    assert not [file for file in world.home.rglob("blobs/*") if file.is_file()]


def test_before_the_wrong_block_the_right_ones_are_given(world, snapshot):
    swap(world, "large.bin", LARGE[:-1] + b"\0")
    with snapshot.open("large.bin") as file:
        assert file.read(BLOCK_SIZE) == LARGE[:BLOCK_SIZE]
        with raises(ContentMismatch):
            file.read()


def test_more_bytes_than_were_asked_for(world, snapshot):
    stream = world.peer.stream
    world.peer.stream = lambda place, start, end: stream(place, start, end + 5)
    swap(world, "large.bin", LARGE + b"extra")
    for path in ("large.bin", "two.bin"):
        with raises(ContentMismatch):
            snapshot.read(path) if path == "large.bin" else snapshot.read_range(path, 0, 5)


def test_an_empty_file_with_another_hash(world, tmp_path):
    world.engine.publish_items([change(item("e.bin", b""), content_hash=bytes(32))])
    with raises(ContentMismatch):
        world.reader.latest("champions").read("e.bin")


def test_a_file_that_lies_nowhere_any_more(world, snapshot):
    del world.peer.revs[world.peer.files.pop("large.bin")]
    with raises(NotFound):
        snapshot.read("large.bin")


def test_a_pickle_by_another_name_is_given_in_no_way(tmp_path):
    world = World(tmp_path, keep_set=0)
    data = b"\x80\x04\x95" + bytes(5 << 20)
    world.publish({"model.bin": data})
    snapshot = world.reader.latest("champions")
    for ask in (
        snapshot.read,
        snapshot.path,
        lambda path: snapshot.open(path).read(),
        lambda path: snapshot.read_range(path, 0, 9),
    ):
        with raises("KIND"):
            ask("model.bin")


@pytest.mark.parametrize("large", [False, True])
def test_a_program_behind_something_else_is_given_in_no_way(tmp_path, large):
    """A zip is found by its end, and a pickle without its mark by all of its opcodes."""
    world = World(tmp_path, keep_set=0)
    archive = io.BytesIO()
    archive.write(bytes(5 << 20) if large else b"PAR1")
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("archive/data.pkl", b"x")
    late = b"X" + (3_000).to_bytes(4, "little") + b"x" * 3_000 + b"0cos\nsystem\n(S'true'\ntR."
    world.publish({"zip.bin": archive.getvalue(), "late.bin": late, "fine.bin": b"PAR1"})
    snapshot = world.reader.latest("champions")
    assert snapshot.read("fine.bin") == b"PAR1"
    for name in ("zip.bin", "late.bin"):
        with raises("KIND"):
            snapshot.read(name)


def test_where_a_channel_allows_pickles_they_are_given(tmp_path):
    world = World(tmp_path)
    rules = world.engine.trust
    channels = tuple(change(each, kinds=(*each.kinds, 30)) for each in rules.channels)
    world.engine.say_whom_to_trust(following(rules, created_ms=rules.created_ms + 1, channels=channels))
    world.publish({"model.pkl": b"\x80\x04\x95."})
    assert world.reader.latest("champions").read("model.pkl") == b"\x80\x04\x95."


def test_a_full_disk_is_no_reason_not_to_read(world, snapshot, monkeypatch):
    def full(self, item, pieces):
        raise DiskFull("no space")

    monkeypatch.setattr(BlobCache, "put_blob", full)
    assert snapshot.read("large.bin") == LARGE
    with raises(DiskFull):
        snapshot.path("large.bin")


def test_a_file_too_large_to_keep_is_only_read(world, snapshot, monkeypatch):
    monkeypatch.setattr("huracan_sync.reader.snapshot.KEEP_FILE", 1_000)
    assert snapshot.read("large.bin") == LARGE
    assert snapshot.read("small.bin") == b"small"
    assert [file.stat().st_size for file in world.home.rglob("blobs/*")] == [5]


def test_no_network_in_the_middle(world, snapshot):
    file = snapshot.open("large.bin")
    file.read(1)
    world.peer.down = True
    with raises(Unreachable):
        file.read()
    file.close()


def test_nothing_is_asked_for_beyond_the_end(world):
    assert list(verified_blocks.remote_blocks(world.peer, item("a.bin", b"abc"), 1)) == []
    assert world.peer.requests() == 0


# --- leaves


def with_leaves(world, name, data):
    """A published file with a table of leaves."""
    table = leaf_hashes(data)
    world.peer.put(locations.leaves(sha256(table)), table)
    world.engine.publish_items([item(name, data, world.peer.put(name, data), leaves=sha256(table))])
    return locations.leaves(sha256(table))


def streamed(world):
    return [call[2:] for call in world.peer.calls if call[0] == "stream"]


LEAVED = bytes(range(251)) * 40_000  # 9.6 MiB: 154 leaves, three blocks


@pytest.mark.slow
def test_a_few_bytes_take_the_leaves_they_lie_in(tmp_path):
    world = World(tmp_path, keep_set=0)
    place = with_leaves(world, "large.bin", LEAVED)
    snapshot = world.reader.latest("champions")
    world.peer.requests()
    edges = [0, 1, LEAF_SIZE - 1, LEAF_SIZE, LEAF_SIZE + 1, BLOCK_SIZE, BLOCK_SIZE + 5, len(LEAVED) - 1, len(LEAVED)]
    for start, end in itertools.combinations(edges, 2):
        assert snapshot.read_range("large.bin", start, end - start) == LEAVED[start:end]
    assert [call for call in world.peer.calls if call[0] == "fetch"] == [("fetch", place)], "the table, once"
    world.peer.requests()
    snapshot.read_range("large.bin", BLOCK_SIZE + 5, 10)
    assert streamed(world) == [(BLOCK_SIZE, BLOCK_SIZE + LEAF_SIZE)]


@pytest.mark.parametrize("damage", ["gone", "another", "cut"])
def test_without_its_table_the_blocks_prove_the_same(tmp_path, damage):
    world = World(tmp_path, keep_set=0)
    place = with_leaves(world, "large.bin", LEAVED)
    if damage == "gone":
        world.peer.delete(place)
    else:
        world.peer.put(place, world.peer.get(place)[:-32] if damage == "cut" else b"x" * len(world.peer.get(place)))
    snapshot = world.reader.latest("champions")
    world.peer.requests()
    assert snapshot.read_range("large.bin", LEAF_SIZE, 10) == LEAVED[LEAF_SIZE : LEAF_SIZE + 10]
    assert streamed(world) == [(0, BLOCK_SIZE)]


def test_a_leaf_that_is_not_the_signed_one(tmp_path):
    world = World(tmp_path, keep_set=0)
    with_leaves(world, "large.bin", LEAVED)
    snapshot = world.reader.latest("champions")
    rev = world.peer.files["large.bin"]
    world.peer.revs[rev] = LEAVED[: LEAF_SIZE + 3] + b"x" + LEAVED[LEAF_SIZE + 4 :]
    assert snapshot.read_range("large.bin", 0, 10) == LEAVED[:10]
    with raises(ContentMismatch):
        snapshot.read_range("large.bin", LEAF_SIZE, 3)
    world.peer.revs[rev] = LEAVED[: LEAF_SIZE + 3]
    with raises(ContentMismatch):
        snapshot.read_range("large.bin", LEAF_SIZE, 3)


def test_a_pickle_shows_in_its_first_leaf(tmp_path):
    world = World(tmp_path, keep_set=0)
    with_leaves(world, "large.bin", b"\x80\x04\x95" + LEAVED)
    with raises("KIND"):
        world.reader.latest("champions").read_range("large.bin", 0, 3)
