"""A push that finds everything as it was synced reads nothing of it from the journal, and misses no change for that."""

import os

import pytest
from transfer_world import content

from huracan_sync.disk.scan import LINK
from huracan_sync.errors import Conflict
from huracan_sync.transfer.in_step import scan_in_step
from huracan_sync.transfer.journal import Journal
from huracan_sync.transfer.journal.synced_files import SyncedFiles
from huracan_sync.transfer.progress import DECISIONS

FILES = {f"{'abc'[n % 3]}/{n}.json": 300 + n for n in range(12)}


@pytest.fixture
def synced(world):
    world.write(FILES)
    world.push()
    world.push()  # it hears the echo of the first
    return world


@pytest.fixture
def readings(monkeypatch, caplog):
    """How often everything that was synced is read, while nobody asks why each file stays."""
    caplog.set_level("INFO", logger=DECISIONS)
    count, read = [], Journal.synced

    def counting(self, pair):
        count.append(pair)
        return read(self, pair)

    monkeypatch.setattr(Journal, "synced", counting)
    return count


def test_nothing_is_read_where_nothing_changed(synced, readings):
    (synced.src / "link").symlink_to("a")
    report = synced.push(delete=True)
    assert (report.skipped, report.requests, report.left_out) == (12, 1, {"link": LINK})
    report = synced.push(wanted=lambda path: path.startswith("a/"))
    assert (report.skipped, report.requests) == (4, 1)
    assert readings == []


def change(world):
    world.write({"a/0.json": content("new", 300)})
    return {"uploaded": 1, "skipped": 11}


def add(world):
    world.write({"c/new": 1})
    return {"uploaded": 1, "skipped": 12}


def delete(world):
    (world.src / "b/1.json").unlink()
    return {"deleted": 1, "skipped": 11}


def replace_one_by_another(world):
    (world.src / "b/1.json").unlink()
    world.write({"b/other": 1})
    return {"deleted": 1, "uploaded": 1, "skipped": 11}


def touch(world):
    os.utime(world.src / "a/0.json", ns=(1, 1))
    return {"uploaded": 0, "skipped": 12}


def hide_behind_a_link(world):
    (world.src / "c").rename(world.src.parent / "c")
    (world.src / "c").symlink_to(world.src.parent / "c")
    return {"deleted": 0, "skipped": 8}


@pytest.mark.parametrize("how", [change, add, delete, replace_one_by_another, touch, hide_behind_a_link])
def test_what_changed_here_is_seen(synced, readings, how):
    expected = how(synced)
    report = synced.push(delete=True)
    assert {name: getattr(report, name) for name in expected} == expected
    assert readings


def test_what_changed_there_is_seen_and_costs_no_request_more(synced, readings):
    synced.foreign_write("a/0.json", b"theirs")
    report = synced.push()
    assert [type(failure.error) for failure in report.failed] == [Conflict]
    assert (report.requests, report.skipped) == (1, 11)
    assert readings
    assert len(synced.push().failed) == 1, "and again, although nothing is new"


def test_a_change_outside_of_what_is_wanted_is_none(synced, readings):
    synced.write({"b/1.json": b"other"})
    assert synced.push(wanted=lambda path: path.startswith("a/")).skipped == 4
    assert readings == []
    assert synced.push().uploaded == 1


def test_the_files_are_those_of_the_journal_looked_up_singly_or_read_at_once(synced, readings):
    with Journal(synced.home) as journal:
        (pair,) = journal.rows("SELECT id FROM pairs", ()).__next__()
        every = journal.synced(pair)
        readings.clear()
        files, some = SyncedFiles(journal, pair), SyncedFiles(journal, pair, lambda path: path.startswith("a/"))
        assert {key: files[key] for key in every} == every
        assert ("a/none" in files, "a/0.json" in some, "b/1.json" in some) == (False, True, False)
        assert (set(files), len(files), len(some)) == (set(every), 12, 4)
        assert scan_in_step(files, synced.src, None)[1] == 12
        assert scan_in_step(some, synced.src, None) is None, "there are more on the disk"
        assert readings == []
        assert dict(files.items()) == every
        assert sorted(some) == [key for key in sorted(every) if key.startswith("a/")]
        assert len(readings) == 1
