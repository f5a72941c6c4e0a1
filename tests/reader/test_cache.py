"""What is kept on this disk of a channel, and what is thrown away."""

import hashlib

import pytest
from expecting import raises
from reader_world import World, item

from huracan_sync.errors import Unreachable
from huracan_sync.reader.cache import BlobCache
from huracan_sync.reader.cache import blob_cache as cache_of


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


def test_a_file_is_kept_whole_or_not_at_all(blob_cache):
    blob = item("a", b"a file")
    assert (blob_cache.blob(blob), blob_cache.check(blob)) == (None, None)

    def torn():
        yield b"a "
        raise Unreachable("the line broke")

    with raises(Unreachable):
        blob_cache.put_blob(blob, torn())
    assert blob_cache.blob(blob) is None
    file = blob_cache.put_blob(blob, [b"a ", b"file"])
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"a file", 0o400)
    assert blob_cache.blob(blob) == blob_cache.check(blob) == file


# what is in the place of a file of six bytes -> whether it may be there, and whether it proves
INSTEAD = {"rot of its size": (b"rotten", True), "a part of it": (b"a fil", False), "more than it": (b"a file.", False)}


@pytest.mark.parametrize(("data", "is_of_its_size"), INSTEAD.values(), ids=INSTEAD)
def test_what_does_not_prove_is_as_if_it_were_not_there(blob_cache, data, is_of_its_size):
    blob = item("a", b"a file")
    file = blob_cache.put_blob(blob, [b"a file"])
    file.chmod(0o600)
    file.write_bytes(data)
    assert (blob_cache.blob(blob) is not None, blob_cache.check(blob)) == (is_of_its_size, None)


@pytest.mark.parametrize("size", [0, 4 << 20, (4 << 20) + 1])
def test_every_block_is_proved(blob_cache, size):
    data = bytes(size)
    blob = item("a", data)
    file = blob_cache.put_blob(blob, [data])
    assert blob_cache.check(blob) == file
    if size:
        file.chmod(0o600)
        with file.open("r+b") as handle:
            handle.seek(size - 1)
            handle.write(b"x")
        assert blob_cache.check(blob) is None


def test_nothing_is_thrown_away_while_somebody_fetches(blob_cache):
    with blob_cache.in_use(), blob_cache.in_use(), blob_cache.unused() as alone:
        assert not alone
    with blob_cache.unused() as alone:
        assert alone
        with blob_cache.unused() as too:
            assert not too


def test_halves_of_dead_processes_are_thrown_away(blob_cache, tmp_path):
    ((one, data),) = named(b"one")
    blob_cache.put_body(one, data)
    (tmp_path / "kept" / "bodies" / ".half").write_bytes(b"on")
    (tmp_path / "kept" / "bodies" / "folder").mkdir()
    blob_cache.keep_only([one])
    assert sorted(path.name for path in (tmp_path / "kept" / "bodies").iterdir()) == sorted(
        [f"{one.hex()}.hzm", "folder"]
    )
    blob_cache.keep_only([], [])
    assert blob_cache.part(one) is None


def test_each_channel_has_a_folder_of_its_own(tmp_path):
    flat = cache_of(tmp_path, "candles/1m")
    flat.put_bodies(named(b"one"))
    assert (tmp_path / "kept" / "candles+1m" / "bodies").is_dir()
    assert cache_of(tmp_path, "candles").part(named(b"one")[0][0]) is None


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
