"""Reading over real sockets: the same attacks, what it costs, and how soon a publish is seen."""

import itertools
import threading
import time

import msgspec
import pytest
from expecting import raises
from machines import READ, Tokens
from manifest_world import item
from noise import noise
from reader_world import FILES, PIN, World
from remote_peer import RemotePeer
from test_reader_attacks import ATTACKS, HEAD, Scene, ends_well

from huracan_sync.errors import ContentMismatch
from huracan_sync.remote.client import Remote
from huracan_sync.remote.http import Endpoint, Wire
from huracan_sync.remote.read_client import ReadOnly
from huracan_sync.remote.source import RemoteSource
from huracan_sync.tree.content_hash import BLOCK_SIZE
from huracan_sync.tree.paths import join

ROOT = "/Runpodhuracan"


@pytest.fixture
def login(dropbox, tmp_path):
    def with_scopes(*scopes):
        wire = Wire(Endpoint.from_environment(dropbox.env(tmp_path)))
        kind = Remote if "files.content.write" in scopes else ReadOnly
        return kind(wire, Tokens(dropbox, list(scopes)), root=ROOT)

    return with_scopes


@pytest.fixture
def peer(login):
    return RemotePeer(login(*READ, "files.content.write"), RemoteSource(login(*READ)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
def test_attack(name, peer, tmp_path):
    ends_well(Scene(tmp_path, peer=peer), *ATTACKS[name], looks=1)


def test_a_folder_in_the_place_of_the_head(peer, login, tmp_path):
    scene = Scene(tmp_path, peer=peer)
    peer.delete(HEAD)
    login(*READ, "files.content.write").rpc("files/create_folder_v2", {"path": join(ROOT, HEAD)}, msgspec.Raw)
    with raises("HEAD_MISSING"):
        scene.reader.latest("champions")


B = BLOCK_SIZE
LARGE = noise("large", 2 * B + 5_000)
EDGES = [0, 1, B - 1, B, B + 1, 2 * B - 1, 2 * B, 2 * B + 1, len(LARGE) - 1, len(LARGE)]


@pytest.mark.slow
def test_ranges_over_every_boundary(peer, dropbox, tmp_path):
    """Each range of a file of three blocks: its own bytes, by one request for the blocks it lies in."""
    world = World(tmp_path, peer=peer, keep_set=0)
    name = "models/champions/latest/large.bin"
    world.publish({name: LARGE, "models/champions/latest/one.bin": LARGE[:B]})
    snapshot = world.reader.latest("champions")
    before = dropbox.log()["requests"]["files/download"]
    ranges = list(itertools.combinations(EDGES, 2))
    for start, end in ranges:
        assert snapshot.read_range(name, start, end - start) == LARGE[start:end], (start, end)
    assert dropbox.log()["requests"]["files/download"] == before + len(ranges)
    assert snapshot.read_range(name, len(LARGE) - 2, 100) == LARGE[-2:]
    assert snapshot.read_range("models/champions/latest/one.bin", 3, 5) == LARGE[3:8]
    with snapshot.open(name) as file:
        assert (file.read(10), file.seek(B - 5), file.read(10)) == (LARGE[:10], B - 5, LARGE[B - 5 : B + 5])


def test_a_range_of_a_file_that_is_shorter_in_dropbox(peer, tmp_path):
    world = World(tmp_path, peer=peer, keep_set=0)
    name = "models/champions/latest/large.bin"
    peer.put(name, LARGE)
    world.engine.publish_items([item(name, LARGE, "")])  # no revision is known: it is read by its path
    peer.put(name, LARGE[: B + 7])
    snapshot = world.reader.latest("champions")
    for start, length in ((0, 10), (B, 10), (2 * B, 10)):
        if start:
            with raises(ContentMismatch):
                snapshot.read_range(name, start, length)
        else:
            assert snapshot.read_range(name, start, length) == LARGE[:10]


def test_what_it_costs_on_the_wire(peer, dropbox, tmp_path):
    world = World(tmp_path, peer=peer)
    world.publish()
    world.reader.latest("champions")
    before = dropbox.log()["requests"]
    world.reader.latest("champions")
    world.new_reader().latest("champions")
    after = dropbox.log()["requests"]
    assert {route: after[route] - before.get(route, 0) for route in after if after[route] != before.get(route)} == {
        "files/list_folder/continue": 2
    }


def test_a_publish_is_seen_long_before_the_next_poll(peer, login, dropbox, tmp_path):
    world = World(tmp_path, peer=peer)
    world.publish()
    dropbox.config(latency_ms=80)
    seen, begun = [], threading.Event()

    def follow():
        for snapshot in world.reader.follow("champions", stop=lambda: len(seen) == 2, poll_s=30):
            seen.append((time.monotonic(), snapshot.sequence))
            begun.set()

    follower = threading.Thread(target=follow)
    follower.start()
    assert begun.wait(60)
    time.sleep(0.3)  # until it waits for news
    start = time.monotonic()
    world.publish(FILES | {"hamilton/roster.json": b"[]"})
    follower.join(120)
    assert [sequence for _, sequence in seen] == [1, 2]
    assert seen[1][0] - start < 15  # of 30


def test_large_files_over_the_wire(peer, tmp_path):
    world = World(tmp_path, peer=peer, keep_set=0)
    data = bytes(range(256)) * (50_000) + b"end"
    world.publish({"large.bin": data})
    snapshot = world.reader.latest("champions")
    assert snapshot.read_range("large.bin", len(data) - 3, 3) == b"end"
    with snapshot.open("large.bin") as file:
        assert file.read(10) == data[:10]
        assert file.seek(-3, 2)
        assert file.read() == b"end"
    assert snapshot.read("large.bin") == data


def test_the_pinned_key_over_the_wire(peer, tmp_path):
    world = World(tmp_path, peer=peer, pinned=False)
    assert world.reader.pin(PIN).version == 1
