"""A machine that is not as one thinks: links for folders, a damaged journal, the state folder in the way."""

import contextlib
import random
import shutil

import pytest
from expecting import raises
from root_powers import without_root_powers
from transfer_world import ROOT, Watching, content, local_tree

from huracan_sync.errors import LocalFailure, TryLater, UsageError
from huracan_sync.operations.push import push
from huracan_sync.tree.content_hash import content_hash

SMALL = {f"a/f{n}": 10 + n for n in range(400)}


def test_what_lies_behind_a_link_now_is_neither_deleted_nor_passed_over_in_silence(world, tmp_path):
    world.write({"a/x": 10, "a/deep/y": 10, "b": 10, "c": 10})
    world.push()
    shutil.move(world.src / "a", tmp_path / "larger disk")
    (world.src / "a").symlink_to(tmp_path / "larger disk")
    (world.src / "b").unlink()
    (world.src / "b").symlink_to("c")
    (world.src / "new link").symlink_to("c")
    monitor = Watching()
    report = world.push(delete=True, monitor=monitor)
    assert {failure.path: type(failure.error) for failure in report.failed} == {"a": LocalFailure, "b": LocalFailure}
    assert report.deleted == 0
    assert set(world.there()) == {"a/x", "a/deep/y", "b", "c"}
    assert "new link" in " ".join(monitor.notes)


def damaged(data, kind):
    """The bytes of a journal after a misfortune."""
    at = random.Random(kind).randrange(4096, len(data) - 8192)
    if kind.startswith("cut"):
        return data[:at]
    if kind.startswith("page"):
        return data[:at] + random.Random(kind).randbytes(4096) + data[at + 4096 :]
    return random.Random(kind).randbytes(len(data)) if kind == "other" else b""


@pytest.mark.parametrize("kind", ["cut 1", "cut 2", "cut 3", "page 1", "page 2", "page 3", "page 4", "other", "empty"])
def test_a_damaged_journal_is_made_anew(world, kind):
    world.write(SMALL)
    world.push()
    path = world.home / "journal.db"
    path.write_bytes(damaged(path.read_bytes(), kind))
    world.write({"new": 10})
    with contextlib.suppress(TryLater):  # some damage shows at the opening, some later
        world.push()
    report = world.push()
    assert report.failed == []
    assert world.push().bytes_sent == 0
    assert world.there() == {path: content_hash(data).hex() for path, data in local_tree(world.src).items()}


def test_damage_that_shows_late_is_told_and_put_aside(world):
    world.write(SMALL)
    world.push()
    path = world.home / "journal.db"
    data = path.read_bytes()
    at = data.index(b"a/f200")
    path.write_bytes(data[:at] + b"\xff\xfe\xfd" + data[at + 3 :])
    with raises("JOURNAL_DAMAGED", match="put aside"):
        world.push()
    assert world.push().failed == []


def test_the_state_folder_is_never_sent(world):
    world.home = world.src / "inner/.state"
    world.write({"x": 10, "inner/y": 10})
    for _ in range(2):
        assert world.push().failed == []
    assert set(world.there()) == {"x", "inner/y"}
    with pytest.raises(UsageError, match="own state"):
        push(world.home, ROOT, remote=world.remote, home=world.home)


def test_one_folder_under_two_spellings_is_one_pair(world):
    world.write({"x": 10})
    world.push()
    again = push(world.src / "../src", ROOT, remote=world.remote, home=world.home)
    assert (again.skipped, again.requests) == (1, 1)
    assert not (world.home / "locks" / "pair-2.lock").exists()


def test_a_state_folder_that_cannot_be_written_is_said(world):
    world.write({"x": 10})
    world.push()
    shutil.rmtree(world.home / "locks")
    world.home.chmod(0o500)
    with without_root_powers(), pytest.raises(LocalFailure):
        world.push()
    world.home.chmod(0o700)


def test_a_file_that_changes_between_the_look_and_the_reading_is_read_again(world):
    world.write({"x": content("old", 1000)})
    world.push()
    world.write({"x": content("new", 1000)})
    rpc = world.remote.rpc

    def meddled(route, arg, result, **options):
        world.write({"x": content("newer", 1000)})  # after the scan, before anything is hashed
        world.remote.rpc = rpc
        return rpc(route, arg, result, **options)

    world.remote.rpc = meddled
    report = world.push()
    assert (report.uploaded, report.failed) == (1, [])
    assert world.there()["x"] == content_hash(content("newer", 1000)).hex()
