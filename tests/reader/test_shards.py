"""A reader that keeps no set reads of a list in shards those it is asked for, and believes none of them unseen."""

import itertools

import pytest
from expecting import raises
from manifest_world import item
from reader_world import World

from huracan_sync.errors import NotFound, Refused
from huracan_sync.manifest import body_writer, head, locations
from huracan_sync.manifest.entries import Audit
from huracan_sync.manifest.envelope import unpack
from huracan_sync.manifest.head import FORM

FILES = {f"{folder}/{n}.txt": f"{folder}{n}".encode() for folder in "abcdefgh" for n in range(4)}


@pytest.fixture
def short(monkeypatch):
    """Shards of four entries: one a folder."""
    monkeypatch.setattr(body_writer, "SHARD_OVER", 8)
    monkeypatch.setattr(body_writer, "_SHARD_MIN", 4)
    monkeypatch.setattr(body_writer, "_SHARD_MAX", 4)


@pytest.fixture
def world(tmp_path, short):
    made = World(tmp_path, keep_set=0)
    made.publish(FILES)
    return made


def bodies(world):
    """How many bodies and shards were fetched since this was last asked."""
    calls, world.peer.calls = world.peer.calls, []
    return sum(call[0] == "fetch" and "/bodies/" in call[1] for call in calls)


def test_one_folder_is_one_shard_and_is_fetched_once(world):
    snapshot = world.reader.latest("champions")
    assert (bodies(world), len(snapshot)) == (1, 32)
    assert [entry.path for entry in snapshot.iter("c")] == [f"c/{n}.txt" for n in range(4)]
    assert bodies(world) <= 2, "the folder's shard, and the one before, in which it may begin"
    assert list(snapshot.iter("c"))
    assert ("c/3.txt" in snapshot, "c/9.txt" in snapshot, "a" in snapshot) == (True, False, False)
    with pytest.raises(NotFound):
        snapshot.item("zz")
    assert bodies(world) <= 3
    again = world.new_reader().latest("champions")
    assert [entry.path for entry in again.iter("c")] == [f"c/{n}.txt" for n in range(4)]
    assert bodies(world) == 0, "they lie on this disk"


def test_all_of_it_is_the_same_as_read_whole(world, tmp_path):
    lazy, whole = world.reader.latest("champions"), world.new_reader(keep_set=1 << 20).latest("champions")
    assert list(lazy) == list(whole) == list(lazy.iter())
    assert (lazy.size, len(lazy)) == (whole.size, len(whole))
    assert {entry.path: lazy.read(entry.path) for entry in lazy} == FILES
    lazy.check_whole()


def test_a_changed_file_is_one_new_shard(world):
    items = list(world.reader.latest("champions").items())
    bodies(world)
    changed = item("d/2.txt", b"changed", world.peer.put("d/2.txt", b"changed"))
    world.engine.publish_items([changed if each.path == changed.path else each for each in items])
    snapshot = world.reader.latest("champions")
    assert snapshot.read("d/2.txt") == b"changed"
    assert len(list(snapshot)) == 32
    assert bodies(world) == 2, "the index and the shard"


@pytest.mark.parametrize("what", ["gone", "another", "cut"])
def test_a_shard_that_is_not_the_signed_one_is_refused_when_it_is_asked_for(world, what):
    snapshot = world.reader.latest("champions")
    place = next(part.path for part in world.engine.made.shards if b"c/0" in _raw(part))
    if what == "gone":
        world.peer.delete(place)
    else:
        world.peer.put(place, b"another" if what == "another" else world.engine.made.shards[2].data[:-1])
    assert snapshot.read("a/0.txt") == b"a0"
    with pytest.raises(Refused) as caught:
        snapshot.read("c/0.txt")
    assert caught.value.code == ("BODY_MISSING" if what == "gone" else "BODY_HASH")
    with pytest.raises(Refused):
        snapshot.check_whole()


def test_a_shard_that_is_gone_is_missing_also_where_the_log_carries_the_index(world):
    """What the copy carries is the index: as a shard it would be refused as another file."""
    snapshot = world.reader.latest("champions")
    engine = world.engine
    signed = unpack(FORM, world.peer.get(locations.head("champions"))).signed
    copy = locations.log("champions", engine.epoch, engine.seq, engine.prev)
    world.peer.put(copy, head.carrying(signed, engine.made.data))
    world.peer.delete(next(part.path for part in engine.made.shards if b"c/0" in _raw(part)))
    with raises("BODY_MISSING"):
        snapshot.read("c/0.txt")


def _raw(part):
    from huracan_sync.manifest import body

    return body.decompress(part.data[len(body.MAGIC) :], part.raw_len)


def test_names_that_are_one_in_two_shards_are_found_by_who_looks_at_all(world, monkeypatch):
    monkeypatch.setattr(Audit, "finish", lambda self, again: None)
    world.publish(FILES | {"A/0.txt": b"a twin"})
    monkeypatch.undo()
    snapshot = world.new_reader(keep_set=0).latest("champions")
    with raises("COLLISION"):
        snapshot.check_whole()
    with raises("COLLISION"):
        world.new_reader(keep_set=1 << 20).latest("champions")


def test_a_set_that_is_kept_here_is_read_whole_before_it_takes_effect(world):
    world.peer.delete(world.engine.made.shards[5].path)
    with raises("BODY_MISSING"):
        world.new_reader(keep_set=1 << 20).latest("champions")
    assert world.new_reader().latest("champions").read("a/0.txt") == b"a0"


def test_a_list_of_any_length_is_asked_in_any_order(world):
    snapshot = world.reader.latest("champions")
    for path in itertools.chain(sorted(FILES, reverse=True), sorted(FILES)):
        assert snapshot.item(path).path == path
