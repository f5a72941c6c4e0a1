"""What befalls one file befalls that file alone; what is said of it is true."""

import os
from types import SimpleNamespace

import pytest
from transfer_world import MIB, Watching, local_tree

from huracan_sync.disk.files import Stamp
from huracan_sync.errors import Conflict, ContentMismatch, PathRefused
from huracan_sync.transfer import upload_parts
from huracan_sync.transfer.upload_item import UploadItem
from huracan_sync.tree.content_hash import content_hash

MISMATCH = "content_hash_mismatch"
FINISH = "files/upload_session/finish_batch_v2"
TEN = {f"f{n}": 10 + n for n in range(10)}


def hashes(root):
    return {path: content_hash(data).hex() for path, data in local_tree(root).items()}


@pytest.mark.parametrize("times", [1, 4])
def test_entries_of_a_commit_that_are_refused_for_now_are_committed_again_alone(world, times):
    """Dropbox lets single entries fail by its write lock; what was sent for them is not sent again."""
    world.write(TEN)
    world.dropbox.faults({"route": FINISH, "fault": "too_many_write_operations", "entries": [2, 5], "times": times})
    report = world.push()
    assert (report.uploaded, report.failed) == (10, [])
    assert world.there() == hashes(world.src)
    assert report.bytes_sent == sum(TEN.values())
    assert world.log()[FINISH] > 1
    assert [wait.route for wait in world.waits][:1] == [FINISH]


def test_an_entry_that_is_always_refused_fails_alone(world):
    world.write(TEN)
    world.dropbox.faults({"route": FINISH, "fault": "too_many_write_operations", "entries": [0]})
    report = world.push()
    assert (report.uploaded, [failure.path for failure in report.failed]) == (9, ["f0"])
    world.dropbox.faults()
    assert world.push().uploaded == 1


def test_a_path_that_may_not_be_written_fails_alone(world):
    world.write({"a": 10, "b": 12 * MIB})
    world.dropbox.faults({"route": "files/upload", "fault": "error", "tags": ["path", "no_write_permission"]})
    report = world.push()
    assert (report.uploaded, [type(failure.error) for failure in report.failed]) == (1, [PathRefused])


@pytest.mark.parametrize(("size", "route"), [(10, "files/upload"), (12 * MIB, "files/upload_session/append_v2")])
def test_bytes_that_never_arrive_as_they_were_sent_are_read_anew_once(world, monkeypatch, size, route):
    world.write({"x": size})
    world.dropbox.faults({"route": route, "nth": [1, 2, 3, 4, 5, 6, 7, 8, 9], "fault": "error", "tags": [MISMATCH]})
    opened = []
    open_ = UploadItem.open
    monkeypatch.setattr(UploadItem, "open", lambda item, *args: opened.append(item.path) or open_(item, *args))
    (failure,) = world.push(transfer={"whole_up_to": 4 * MIB}).failed
    assert (failure.path, type(failure.error), opened) == ("x", ContentMismatch, ["x", "x"])
    assert failure.error.hint
    assert world.there() == {}
    world.dropbox.faults()
    assert world.push().failed == []
    assert world.there() == hashes(world.src)


def meddle_before_a_commit(world, act):
    send = world.remote.rpc

    def meddled(route, arg, result, **options):
        if route == FINISH:
            act()
        return send(route, arg, result, **options)

    world.remote.rpc = meddled


def test_a_folder_in_the_way_is_said_and_nothing_is_sent_twice(world):
    world.write({f"f{n}": 10 for n in range(5)})
    meddle_before_a_commit(world, lambda: world.foreign_write("f2/inside", b"1"))
    report = world.push()
    (failure,) = report.failed
    assert (failure.path, type(failure.error), report.bytes_sent) == ("f2", Conflict, 50)
    assert "a folder of this name" in str(failure.error)


def test_an_empty_folder_in_the_way_is_said(world):
    world.write({"x": 10})
    world.push()
    world.foreign("files/create_folder_v2", {"path": "/Engine/data/a"})
    world.write({"a": 10})
    for _ in range(2):
        (failure,) = world.push().failed
        assert "a folder of this name" in str(failure.error)
        assert failure.error.hint


def test_hints_name_what_helps(world):
    world.write({"a": 10, "b": 10, "c/d": 10})
    world.push()
    world.foreign_write("a", b"theirs")
    world.foreign_write("b", b"theirs")
    world.foreign_delete("c")
    world.foreign_write("c", b"theirs")
    (world.src / "a").unlink()
    hints = {failure.path: failure.error.hint for failure in world.push(delete=True).failed}
    assert "delete it in Dropbox yourself" in hints["a"]
    assert "--overwrite" in hints["b"]
    assert "move what lies there away" in hints["c/d"]
    assert {failure.path for failure in world.push(delete=True, overwrite=True).failed} == {"a", "c/d"}


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 5])
def test_a_large_file_that_shrinks_is_sent_as_a_small_one(world, monkeypatch, size):
    world.write({"x": 20 * MIB})
    begin = upload_parts.PartUploader._begin

    def shrinking(self, item):
        world.write({"x": size})
        begin(self, item)

    monkeypatch.setattr(upload_parts.PartUploader, "_begin", shrinking)
    report = world.push()
    assert (report.uploaded, report.failed, report.bytes_sent) == (1, [], size)
    assert world.there() == hashes(world.src)


def test_times_and_inodes_beyond_the_journal_are_taken(world):
    world.write({"x": 10, "y": 10})
    os.utime(world.src / "x", (1e10, 1e10))
    os.utime(world.src / "y", (-1e9, -1e9))
    monitor = Watching()
    assert world.push(monitor=monitor).uploaded == 2
    assert world.push().bytes_sent == 0
    assert world.restore().downloaded == 2
    status = SimpleNamespace(st_size=1, st_mtime_ns=0, st_ctime_ns=0, st_ino=2**64 - 1)  # as NFS numbers its files
    assert 0 <= Stamp.of(status).inode < 2**63
