"""A snapshot gives the bytes of its own files, whole or in part, each proved; and says what it holds."""

import io
import pickle
import zipfile

import pytest
from expecting import raises
from reader_world import HOUR, item, sha256

from huracan_sync.errors import ContentMismatch, DiskFull, LocalFailure, NotFound, UsageError
from huracan_sync.manifest import locations
from huracan_sync.reader.snapshot import KEEP_FILE, Snapshot, bring
from huracan_sync.tree.content_hash import LEAF_SIZE, leaf_hashes

LEAVED = bytes(range(251)) * 1000  # 245 KiB: four leaves
FILES = {"a/one.json": b"{}", "a/two.json": b"[1]", "ab.json": b"[2]", "b.csv": b"x,y\n1,2\n"}


def test_it_says_what_it_holds(snapshot):
    assert isinstance(snapshot, Snapshot)
    assert [entry.path for entry in snapshot] == sorted(FILES)
    assert [entry.path for entry in snapshot.iter("a")] == ["a/one.json", "a/two.json"]
    assert (list(snapshot.iter("ab")), list(snapshot.iter("z"))) == ([], [])
    assert (len(snapshot), snapshot.size) == (4, sum(map(len, FILES.values())))
    assert ("ab.json" in snapshot, "a" in snapshot, "zz" in snapshot, 7 in snapshot) == (True, False, False, False)
    assert (snapshot.channel, snapshot.sequence, snapshot.status.value) == ("champions", 1, "fresh")
    assert repr(snapshot) == "Snapshot(champions 1-1, 4 files, fresh)"
    assert snapshot.entry("b.csv").size == snapshot.item("b.csv").size == len(FILES["b.csv"])


def test_what_it_does_not_hold(snapshot):
    for ask in (snapshot.entry, snapshot.item, snapshot.read, snapshot.open, snapshot.path):
        with pytest.raises(NotFound, match="'zz' is not in sequence 1 of champions") as caught:
            ask("zz")
        assert (caught.value.facts["path"], caught.value.facts["sequence"]) == ("zz", 1)
        assert "iterate over the snapshot" in caught.value.hint


def test_one_request_for_a_file_that_is_kept_then(world, snapshot):
    assert snapshot.read("b.csv") == FILES["b.csv"]
    assert world.peer.requests() == 1
    assert snapshot.read("b.csv") == snapshot.path("b.csv").read_bytes() == FILES["b.csv"]
    with snapshot.open("b.csv") as file:
        assert (file.seekable(), file.read()) == (True, FILES["b.csv"])
    assert world.peer.requests() == 0
    assert bring(None, snapshot._blob_cache, snapshot.item("b.csv")) == snapshot.path("b.csv")


def test_a_file_above_the_limit_is_not_kept(world, snapshot, monkeypatch):
    monkeypatch.setattr("huracan_sync.reader.snapshot.KEEP_FILE", len(FILES["b.csv"]) - 1)
    assert KEEP_FILE == 64 << 20
    for _ in range(2):
        assert snapshot.read("b.csv") == FILES["b.csv"]
        assert world.peer.requests() == 1


def test_a_file_of_exactly_the_limit_is_kept(world, snapshot, monkeypatch):
    monkeypatch.setattr("huracan_sync.reader.snapshot.KEEP_FILE", len(FILES["b.csv"]))
    for requests in (1, 0):
        assert snapshot.read("b.csv") == FILES["b.csv"]
        assert world.peer.requests() == requests


@pytest.mark.parametrize("failure", [DiskFull, LocalFailure])
def test_a_disk_that_keeps_nothing_is_no_reason_not_to_read(snapshot, monkeypatch, failure):
    def refuse(*_):
        raise failure("no")

    monkeypatch.setattr(snapshot._blob_cache, "put_blob", refuse)
    assert snapshot.read("b.csv") == FILES["b.csv"]


def rotten(file):
    file.write_bytes(b"\0" * len(FILES["b.csv"]))


def linked(file):
    file.unlink()
    file.symlink_to("x" * len(FILES["b.csv"]))  # a link is as long as what it says


@pytest.mark.parametrize("damage", [rotten, linked])
def test_a_copy_that_does_not_prove_is_left_for_dropbox(world, snapshot, damage):
    snapshot.read("b.csv")
    file = snapshot.path("b.csv")
    for ask in (snapshot.read, lambda path: snapshot.read_range(path, 0, 100), lambda path: snapshot.open(path).read()):
        file.chmod(0o600) if not file.is_symlink() else None
        damage(file)
        world.peer.requests()
        assert ask("b.csv") == FILES["b.csv"]
        assert world.peer.requests() == 1


@pytest.mark.parametrize(("start", "length"), [(0, 3), (2, 100), (7, 1), (8, 1), (0, 0), (3, 0), (100, 5)])
def test_a_part_of_a_file_is_a_slice_of_it(world, snapshot, start, length):
    assert snapshot.read_range("b.csv", start, length) == FILES["b.csv"][start : start + length]
    assert world.peer.requests() == (1 if length and start < len(FILES["b.csv"]) else 0)


@pytest.mark.parametrize(("start", "length"), [(-1, 2), (0, -1)])
def test_no_such_part(snapshot, start, length):
    with pytest.raises(UsageError, match=f"there are no bytes {start} to {start + length}") as caught:
        snapshot.read_range("b.csv", start, length)
    assert caught.value.facts["path"] == "b.csv"


def archive():
    """A zip archive, which stays one behind whatever lies before it."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as zipped:
        zipped.writestr("model.pkl", b"x")
    return made.getvalue()


def leaved(world, table=None, data=LEAVED):
    """A published file with a table of leaves; what lies in the table's place may be another."""
    true = leaf_hashes(data)
    world.peer.put(locations.leaves(sha256(true)), true if table is None else table)
    world.engine.publish_items([item("x.bin", data, world.peer.put("x.bin", data), leaves=sha256(true))])
    taken = world.reader.latest("champions")
    world.peer.requests()
    return taken


def test_a_part_takes_the_leaves_that_it_lies_in_and_the_table_once(world):
    taken = leaved(world)
    for start, length, first, last in [
        (0, 1, 0, 1),
        (LEAF_SIZE - 1, 2, 0, 2),
        (LEAF_SIZE, LEAF_SIZE, 1, 2),
        (2 * LEAF_SIZE + 5, 1000, 2, 3),
        (3 * LEAF_SIZE, 1 << 30, 3, 4),
    ]:
        assert taken.read_range("x.bin", start, length) == LEAVED[start : start + length]
        streamed = [call[2:] for call in world.peer.calls if call[0] == "stream"]
        assert streamed == [(first * LEAF_SIZE, min(last * LEAF_SIZE, len(LEAVED)))]
        assert [call[0] for call in world.peer.calls].count("fetch") == (1 if start == 0 else 0)
        world.peer.requests()


def test_of_a_file_that_is_kept_no_table_is_asked_for(world):
    taken = leaved(world)
    taken.read("x.bin")
    world.peer.requests()
    assert taken.read_range("x.bin", LEAF_SIZE, 3) == LEAVED[LEAF_SIZE : LEAF_SIZE + 3]
    assert world.peer.requests() == 0


@pytest.mark.parametrize("table", [b"", leaf_hashes(LEAVED)[:-32], leaf_hashes(LEAVED[1:])])
def test_without_the_signed_table_the_block_proves_the_same(world, table):
    taken = leaved(world, table)
    assert taken.read_range("x.bin", LEAF_SIZE, 3) == LEAVED[LEAF_SIZE : LEAF_SIZE + 3]
    assert [call[2:] for call in world.peer.calls if call[0] == "stream"] == [(0, len(LEAVED))]


@pytest.mark.parametrize("wrong", [LEAVED[:-1], LEAVED[:LEAF_SIZE] + b"\0" + LEAVED[LEAF_SIZE + 1 :]])
def test_a_leaf_that_is_not_the_signed_one_is_not_given(world, wrong):
    taken = leaved(world)
    world.peer.revs[world.peer.files["x.bin"]] = wrong
    at = 3 * LEAF_SIZE if len(wrong) < len(LEAVED) else LEAF_SIZE
    with raises(ContentMismatch, match="bytes .* are not those that are signed"):
        taken.read_range("x.bin", at, 10)
    assert taken.read_range("x.bin", 0, 10) == LEAVED[:10], "the others are"


@pytest.mark.parametrize(
    ("data", "start"),
    [(b"\x80\x04\x95" + LEAVED, 0), (LEAVED + archive(), len(LEAVED))],
    ids=["a pickle at its beginning", "an archive at its end"],
)
def test_a_program_is_not_given_from_a_leaf_that_shows_it(world, data, start):
    taken = leaved(world, data=data)
    with raises("KIND", match="may run a program when it is opened") as caught:
        taken.read_range("x.bin", start, 3)
    assert caught.value.facts["path"] == "x.bin"
    assert taken.read_range("x.bin", LEAF_SIZE, 3) == data[LEAF_SIZE : LEAF_SIZE + 3], "from the middle nothing shows"


def test_what_is_past_its_time_gives_nothing(world, snapshot):
    world.clock.now_ms += 3 * HOUR
    assert snapshot.status.value == "stale"
    for ask in (snapshot.read, snapshot.open, snapshot.path, lambda path: snapshot.read_range(path, 0, 1)):
        with raises("STALE"):
            ask("b.csv")
    assert world.reader.latest("champions", allow_stale=True).read("b.csv") == FILES["b.csv"]
    assert world.peer.requests() > 0


def test_a_clock_that_falls_back_does_not_make_it_young_again(world):
    world.clock.now_ms += 3 * HOUR
    stale = world.reader.latest("champions", allow_stale=True)
    assert stale.status.value == "stale"
    world.clock.now_ms -= 2 * HOUR
    assert stale.status.value == "stale"


def test_it_does_not_travel(snapshot):
    with pytest.raises(UsageError, match="a snapshot of champions cannot be sent to another process") as caught:
        pickle.dumps(snapshot)
    assert "Hamilton.open(...).latest('champions'); this is sequence 1" in caught.value.hint
