"""A snapshot that came from another process is verified again, with no request where its body came too."""

import hashlib

import msgspec
import pytest
from expecting import raises
from manifest_world import FILES, HOUR, NOW, ROOT, ROOT_ID, following, policy
from reader_world import World

from huracan_sync.errors import Unreachable
from huracan_sync.manifest import locations, signed_files
from huracan_sync.reader.cache import BlobCache
from huracan_sync.reader.carried import Carried, open_carried


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.publish()
    return world


@pytest.fixture
def carried(world):
    parts = [part.data for part in world.engine.made.parts()]
    trust_file = world.peer.get(locations.trust(1))
    return Carried("champions", trust_file, world.peer.get(locations.head("champions")), parts)


@pytest.fixture
def cache(tmp_path):
    return BlobCache(tmp_path / "carried")


def opened(world, carried, cache, *, allow_stale=False):
    return open_carried(carried, source=world.peer, blob_cache=cache, allow_stale=allow_stale, clock=world.clock)


def change(carried, **changes):
    return msgspec.structs.replace(carried, **changes)


def test_its_body_travels_with_it(world, carried, cache):
    world.peer.down = True
    snapshot = opened(world, carried, cache)
    assert (snapshot.channel, snapshot.sequence, snapshot.policy.name) == ("champions", 1, "champions")
    assert {entry.path for entry in snapshot} == FILES.keys()
    with raises(Unreachable):
        snapshot.read("hamilton/roster.json")
    world.peer.down = False
    assert snapshot.read("hamilton/roster.json") == FILES["hamilton/roster.json"]


def test_a_body_that_did_not_travel_lies_here_or_is_fetched(world, carried, cache):
    (part,) = carried.parts
    alone = change(carried, parts=[])
    assert len(opened(world, alone, cache)) == len(FILES)
    assert world.peer.calls == [("fetch", locations.body(hashlib.sha256(part).digest()))]
    world.peer.calls.clear()
    cache.put_bodies([(hashlib.sha256(part).digest(), part)])
    world.peer.down = True
    assert len(opened(world, alone, cache)) == len(FILES)
    assert world.peer.calls == []


def test_a_body_that_is_gone(world, carried, cache):
    world.peer.delete(locations.body(hashlib.sha256(carried.parts[0]).digest()))
    with raises("BODY_MISSING", match="sequence 1 is not there"):
        opened(world, change(carried, parts=[]), cache)


def test_a_body_that_is_another_is_looked_for_by_its_hash(world, carried, cache):
    assert len(opened(world, change(carried, parts=[b"another"]), cache)) == len(FILES)
    path = locations.body(hashlib.sha256(carried.parts[0]).digest())
    world.peer.put(path, b"another")
    with raises("BODY_HASH"):
        opened(world, change(carried, parts=[b"another"]), cache)


@pytest.mark.parametrize("field", ["trust", "head"])
def test_what_was_changed_on_the_way_is_refused(world, carried, cache, field):
    data = getattr(carried, field)
    with raises("BAD_SIGNATURE", "TRUST_SIGNATURES"):
        opened(world, change(carried, **{field: data[:-1] + bytes([data[-1] ^ 1])}), cache)


def test_a_head_of_another_channel_is_refused(world, carried, cache):
    with raises("WRONG_CHANNEL", "THRESHOLD", "KEY_CHANNEL"):
        opened(world, change(carried, channel="candles"), cache)


# hours since it was signed -> what becomes of it: with stale ones refused, allowed; and asked for by its sequence
AGES = [
    (1, "fresh", "fresh", "fresh"),
    (3, "STALE", "stale", "fresh"),
    (30, "DEAD", "DEAD", "fresh"),
]


@pytest.mark.parametrize(("hours", "strict", "lenient", "past"), AGES)
def test_its_age_counts_but_where_it_was_asked_for_by_its_sequence(world, carried, cache, hours, strict, lenient, past):
    world.clock.now_ms = NOW + hours * HOUR

    def found(*, is_past, allow_stale):
        snapshot = opened(world, change(carried, is_past=is_past), cache, allow_stale=allow_stale)
        return snapshot.status.value

    for expected, allow_stale in ((strict, False), (lenient, True)):
        if expected.isupper():
            with raises(expected):
                found(is_past=False, allow_stale=allow_stale)
        else:
            assert found(is_past=False, allow_stale=allow_stale) == expected
    assert found(is_past=True, allow_stale=False) == past


def test_it_grows_old_where_it_arrived(world, carried, cache):
    young, lenient = opened(world, carried, cache), opened(world, carried, cache, allow_stale=True)
    world.clock.now_ms += 3 * HOUR
    assert lenient.read("hamilton/roster.json") == FILES["hamilton/roster.json"]
    with raises("STALE"):
        young.read("hamilton/roster.json")


def test_a_head_from_the_future_is_refused_and_a_second_of_it_is_not(world, carried, cache):
    world.clock.now_ms = NOW - HOUR
    with raises("FUTURE", "KEY_WINDOW", "LIFETIME"):
        opened(world, carried, cache)


def test_what_it_keeps_is_kept_where_it_arrived(world, carried, cache):
    snapshot = opened(world, carried, cache)
    path = snapshot.path("hamilton/roster.json")
    assert path.read_bytes() == FILES["hamilton/roster.json"]
    assert cache.check(snapshot.item("hamilton/roster.json")) == path


def test_what_the_channel_may_hold_is_asked_of_it_too(world, carried, cache):
    fewer = following(world.engine.trust, channels=(policy(max_entries=1), policy("other")))
    with raises("LIMIT"):
        opened(world, change(carried, trust=signed_files.sign_trust(fewer, [ROOT])), cache)
    data_only = following(world.engine.trust, channels=(policy(kinds=(1,)), policy("other")))
    with raises("KIND"):
        opened(world, change(carried, trust=signed_files.sign_trust(data_only, [ROOT])), cache)


def test_a_newer_trust_file_counts(world, carried, cache):
    newer = signed_files.sign_trust(following(world.engine.trust, created_ms=world.engine.trust.created_ms + 1), [ROOT])
    assert opened(world, change(carried, trust=newer), cache).head.root_id == ROOT_ID
