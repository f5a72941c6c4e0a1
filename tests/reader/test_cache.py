"""What is kept on this disk of a channel, and what is thrown away."""

import hashlib

import pytest
from reader_world import World, item

from huracan_sync.reader.cache import BlobCache


@pytest.fixture
def blob_cache(tmp_path):
    return BlobCache(tmp_path / "kept")


def named(*bodies):
    return [(hashlib.sha256(data).digest(), data) for data in bodies]


def test_bodies_are_kept_once_and_proved_whenever_they_are_read(blob_cache, tmp_path):
    (one, _), (two, _) = parts = named(b"one", b"two")
    blob_cache.put_bodies(parts)
    assert (blob_cache.body(one, 3), blob_cache.body(one, 4)) == (b"one", None)
    assert (blob_cache.part(two), blob_cache.part(bytes(32))) == (b"two", None)
    file = tmp_path / "kept" / "bodies" / f"{two.hex()}.hzm"
    before = (tmp_path / "kept" / "bodies" / f"{one.hex()}.hzm").stat().st_ino
    file.write_bytes(b"rot")
    assert (blob_cache.body(two, 3), blob_cache.part(two)) == (None, None)
    blob_cache.put_bodies(parts)
    assert blob_cache.part(two) == b"two"
    assert (tmp_path / "kept" / "bodies" / f"{one.hex()}.hzm").stat().st_ino == before


def test_what_nothing_names_is_thrown_away(blob_cache):
    (one, _), (two, _) = parts = named(b"one", b"two")
    blob_cache.put_bodies(parts)
    blob = item("a", b"a")
    blob_cache.put_blob(blob, [b"a"])
    blob_cache.keep_only([two])
    assert (blob_cache.part(one), blob_cache.part(two)) == (None, b"two")
    assert blob_cache.blob(blob), "whoever publishes throws no file of a reader away"
    blob_cache.keep_only([two], [])
    assert blob_cache.blob(blob) is None


def test_what_was_accepted_last_as_it_lies_here(tmp_path):
    world = World(tmp_path)
    world.publish()
    snapshot = world.reader.latest("champions")
    data, parts = world.reader.kept("champions")
    assert data == world.peer.get(".huracan/heads/champions.hzh")
    assert set(parts) == {snapshot.head.body_sha256}
    (file,) = world.home.glob("trust/*/kept/champions/bodies/*")
    file.write_bytes(b"rot")
    assert world.reader.kept("champions") == (data, {})
