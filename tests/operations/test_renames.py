"""Renamed files are copied and deleted inside Dropbox; nothing of them is sent."""

import os

import pytest
from publishing_machine import DATA
from transfer_world import Watching

from huracan_sync.operations.renames import LARGE
from huracan_sync.remote import files


@pytest.fixture
def pushed(publisher):
    publisher.write({f"old/{n:03}.csv": 2000 + n for n in range(60)})
    publisher.push()
    return publisher


def rename(machine, start=0, stop=60):
    (machine.src / "new").mkdir()
    for path in sorted((machine.src / "old").iterdir())[start:stop]:
        path.rename(machine.src / "new" / f"{path.name}.renamed")


def test_renamed_files_are_not_sent(pushed, hamilton):
    rename(pushed)
    before, watching = pushed.remote.wire.meter.read(), Watching()
    report = pushed.push(delete=True, monitor=watching)
    assert (watching.plans, len(watching.files)) == ([(60, 0)], 60)
    sent = (pushed.remote.wire.meter.read() - before).bytes_sent
    assert (report.renamed, report.uploaded, report.deleted, report.failed) == (60, 0, 60, [])
    assert (report.unsigned, report.bytes_sent) == (0, 0)
    assert sent < 30_000  # the manifest
    snapshot = hamilton.reader().latest("data")
    assert {entry.path for entry in snapshot} == {f"data/new/{n:03}.csv.renamed" for n in range(60)}
    assert pushed.counted(pushed.push)[0] == 1


def test_without_delete_the_old_names_stay(pushed, hamilton):
    rename(pushed)
    report = pushed.push()
    assert (report.renamed, report.uploaded, report.deleted) == (60, 0, 0)
    assert len(hamilton.reader().latest("data")) == 120


def test_what_was_changed_in_dropbox_is_no_source(pushed):
    files.put(pushed.remote, f"{DATA}/old/003.csv", b"somebody else's")
    rename(pushed)
    report = pushed.push(delete=True)
    assert (report.renamed, report.uploaded) == (59, 1)
    assert [failure.path for failure in report.failed] == ["old/003.csv"]


def test_a_copy_of_unsigned_content_is_unsigned(pushed, hamilton):
    for n in range(5):
        files.put(pushed.remote, f"{DATA}/planted/{n}.csv", b"by a thief %d" % n)
    pushed.restore(DATA, pushed.src)
    (pushed.src / "planted").rename(pushed.src / "mine")
    report = pushed.push(delete=True)
    assert (report.renamed, report.unsigned) == (5, 5)
    assert not any("mine" in entry.path for entry in hamilton.reader().latest("data"))


@pytest.mark.slow
def test_five_hundred_cost_five_requests_and_the_manifest(publisher):
    publisher.write({f"old/{n:03}.csv": 64 + n % 9 for n in range(500)})
    publisher.push()
    rename(publisher, 0, 500)
    asked, report = publisher.counted(lambda: publisher.push(delete=True))
    assert (report.renamed, report.uploaded, report.deleted, report.bytes_sent) == (500, 0, 500, 0)
    manifest = len(["trust file", "body", "log", "head swapped"])
    assert asked <= 5 + manifest


@pytest.mark.parametrize("size", [LARGE, LARGE - 1])
def test_a_copy_of_a_large_file_is_not_sent_whatever_its_age(publisher, size):
    publisher.write({"model.bin": size})
    publisher.push()
    copied = publisher.src / "archive" / "model.bin"
    copied.parent.mkdir()
    copied.write_bytes((publisher.src / "model.bin").read_bytes())
    os.utime(copied, (1_700_000_000, 1_700_000_000))
    report = publisher.push()
    assert (report.renamed, report.uploaded) == ((1, 0) if size >= LARGE else (0, 1))
    assert report.bytes_sent == (0 if size >= LARGE else size)


def test_a_name_that_changed_only_its_case_keeps_it_in_dropbox_which_is_said(pushed):
    for path in sorted((pushed.src / "old").iterdir())[:2]:
        path.rename(path.with_suffix(".CSV"))
    watching = Watching()
    report = pushed.push(delete=True, monitor=watching)
    assert (report.uploaded, report.deleted, report.failed) == (0, 0, [])
    said = "'old/000.CSV' stays 'old/000.csv' in Dropbox, which knows no case, and 1 other"
    assert watching.notes == [said]
    watching.notes.clear()
    pushed.push(delete=True, monitor=watching)
    assert watching.notes == []


def test_few_small_files_are_simply_sent(pushed):
    rename(pushed, 0, 2)
    report = pushed.push(delete=True)
    assert (report.renamed, report.uploaded, report.deleted) == (0, 2, 2)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "1 file that was synced is gone here and still in Dropbox"),
        (3, "3 files that were synced are gone here and still in Dropbox"),
    ],
)
def test_a_push_without_delete_says_what_stays(pushed, count, words):
    for path in sorted((pushed.src / "old").iterdir())[:count]:
        path.unlink()
    watching = Watching()
    assert pushed.push(monitor=watching).deleted == 0
    assert [note for note in watching.notes if words in note]
    watching.notes.clear()
    assert pushed.push(delete=True, monitor=watching).deleted == count
    assert watching.notes == []
