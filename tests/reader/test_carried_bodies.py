"""A small body travels in the head file: what that saves, and what may be done to it on the way."""

import pytest
from expecting import raises
from manifest_world import make_head
from reader_world import ENGINE, FILES, NOW, World, make_trust

from huracan_sync.manifest import body_writer, head, locations, signed_files, trust
from huracan_sync.manifest.envelope import unpack
from huracan_sync.manifest.head import FORM

HEAD = locations.head("champions")


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.engine.carries = True
    world.publish()
    world.peer.requests()
    return world


def own_file(world):
    return locations.body(world.engine.made.sha256)


def log_copy(world):
    return locations.log("champions", 1, world.engine.seq, world.engine.prev)


def test_it_saves_a_request_where_anything_is_new(world):
    assert len(world.reader.latest("champions")) == len(FILES)
    assert world.peer.requests() == 2 + len(FILES)  # what lies there, head, each file
    assert own_file(world) not in world.peer.files
    world.reader.latest("champions")
    assert world.peer.requests() == 1
    world.engine.beat()
    assert world.reader.latest("champions").sequence == 2
    assert world.peer.requests() == 2, "the news and the head"
    world.publish(FILES | {"hamilton/active/BTCUSDT.txt": b"btc-43\n"})
    assert world.reader.latest("champions").sequence == 3
    assert world.peer.requests() == 3, "the news, the head and the one file"


def test_after_a_restart_it_is_on_this_disk(world):
    world.reader.latest("champions")
    world.peer.down = True
    assert len(world.new_reader().last_good("champions")) == len(FILES)


def test_the_state_keeps_the_head_alone(world):
    world.reader.latest("champions")
    data, parts = world.reader.kept("champions")
    assert data == unpack(FORM, world.peer.get(HEAD)).signed
    assert len(data) < 300
    assert list(parts) == [world.engine.made.sha256]


def test_what_this_disk_lost_is_read_from_the_copy_in_the_log(world):
    world.reader.latest("champions")
    for file in world.home.rglob("*.hzm"):
        file.write_bytes(b"rot")
    world.peer.requests()
    assert len(world.new_reader().latest("champions")) == len(FILES)
    assert world.peer.calls[-1] == ("fetch", log_copy(world))
    assert world.peer.requests() == 3  # the news, no file of its own, the copy
    for file in world.home.rglob("*.hzm"):
        file.write_bytes(b"rot")
    world.peer.put(log_copy(world), b"rubbish")
    with raises("BODY_MISSING"):
        world.new_reader().latest("champions")
    world.peer.delete(log_copy(world))
    with raises("BODY_MISSING"):
        world.new_reader().latest("champions")


def test_the_same_head_packed_anew_is_nothing_new(world):
    """With another body behind it or none: who has the body already needs neither."""
    signed = unpack(FORM, world.peer.get(HEAD)).signed
    world.reader.latest("champions")
    for behind in (b"", b"rubbish", body_writer.encode("champions", []).data):
        world.peer.put(HEAD, head.carrying(signed, behind))
        assert world.reader.latest("champions").sequence == 1
        world.peer.requests()
        world.reader.latest("champions")
        assert world.peer.requests() == 1, "it was remembered as it lies there"


ANOTHER = body_writer.encode("champions", []).data


@pytest.mark.parametrize(
    ("pack", "expected"),
    [
        (lambda signed, body: head.carrying(signed, ANOTHER), "BODY_HASH"),
        (lambda signed, body: head.carrying(signed, body[:-1] + bytes([body[-1] ^ 1])), "BODY_HASH"),
        (lambda signed, body: head.carrying(signed, body + b"x"), "BODY_HASH"),
        (lambda signed, body: head.carrying(signed, body[:-1]), "BODY_HASH"),
        (lambda signed, body: head.carrying(signed, body)[:-1], "HEAD_FORMAT"),
        (lambda signed, body: head.carrying(signed, body) + b"x", "HEAD_FORMAT"),
        (lambda signed, body: signed + bytes(4), "HEAD_FORMAT"),
        (lambda signed, body: signed + (1 << 20).to_bytes(4, "big") + bytes(1 << 20), "HEAD_FORMAT"),
    ],
    ids=["another", "a bit", "longer", "shorter", "cut", "a byte behind", "nothing", "a megabyte"],
)
def test_other_bytes_behind_a_head_are_refused(world, pack, expected):
    """Also where the right ones lie in a file of their own: the head said that it brings them."""
    world.reader.latest("champions")
    world.publish(FILES | {"new.json": b"{}"})
    whole = unpack(FORM, world.peer.get(HEAD))
    world.peer.put(own_file(world), whole.carried)
    world.peer.put(HEAD, pack(whole.signed, whole.carried))
    with raises(expected):
        world.reader.latest("champions")
    assert world.reader.last_good("champions").sequence == 1
    world.peer.put(HEAD, head.carrying(whole.signed, whole.carried))
    assert world.reader.latest("champions").sequence == 2


def test_no_more_is_read_of_a_head_than_a_head_can_have(world):
    asked = []
    fetch = world.peer.fetch
    world.peer.fetch = lambda place, limit: asked.append((place, limit)) or fetch(place, limit)
    world.reader.latest("champions")
    assert (HEAD, head.MAX_SIZE) in asked
    assert head.MAX_SIZE == 11 + 2_048 + 8 * 80 + 4 + 65_536


def test_links_are_followed_through_copies_whatever_is_behind_them(world):
    world.reader.latest("champions")
    for _ in range(5):
        world.engine.beat()
    for path in [path for path in world.peer.files if "/log/" in path]:
        world.peer.put(path, head.carrying(unpack(FORM, world.peer.get(path)).signed, b"rubbish"))
    assert world.reader.latest("champions").sequence == 6


def test_the_largest_that_is_carried():
    signed = signed_files.sign_head(make_head(), [ENGINE])
    for size, carried in ((head.MAX_CARRIED, True), (head.MAX_CARRIED + 1, False), (0, False)):
        data = head.carrying(signed, bytes(size))
        assert (data != signed) is carried
        opened = head.open(data, trust=make_trust(), channel="champions", now_ms=NOW)
        assert (opened.data, len(opened.body)) == (signed, size if carried else 0)


def test_a_trust_file_carries_nothing(world):
    data = world.peer.get(locations.trust(1))
    with raises("TRUST_FORMAT"):
        trust.open(head.carrying(data, b"a body"))
