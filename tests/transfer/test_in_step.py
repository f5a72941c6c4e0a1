"""A push never reads at once what was synced, sends very many new files a stretch at a time, and misses no change."""

import os
import random

import pytest
from transfer_world import ROOT, Watching, content, local_tree

from huracan_sync.disk.scan import LINK
from huracan_sync.errors import Conflict
from huracan_sync.transfer import compare
from huracan_sync.transfer.in_step import KnownFiles
from huracan_sync.transfer.journal import Journal
from huracan_sync.transfer.journal.synced_files import SyncedFiles
from huracan_sync.transfer.progress import DECISIONS
from huracan_sync.tree.content_hash import content_hash

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
    assert readings == []


def test_what_changed_there_is_seen_and_costs_no_request_more(synced, readings):
    synced.foreign_write("a/0.json", b"theirs")
    report = synced.push()
    assert [type(failure.error) for failure in report.failed] == [Conflict]
    assert (report.requests, report.skipped) == (1, 11)
    assert readings == []
    assert len(synced.push().failed) == 1, "and again, although nothing is new"


def test_a_change_outside_of_what_is_wanted_is_none(synced, readings):
    synced.write({"b/1.json": b"other"})
    assert synced.push(wanted=lambda path: path.startswith("a/")).skipped == 4
    assert readings == []
    assert synced.push().uploaded == 1


def test_the_files_are_those_of_the_journal(synced, readings):
    with Journal(synced.home) as journal:
        (pair,) = journal.rows("SELECT id FROM pairs", ()).__next__()
        every = journal.synced(pair)
        readings.clear()
        files, some = SyncedFiles(journal, pair), SyncedFiles(journal, pair, lambda path: path.startswith("a/"))
        assert {key: files[key] for key in every} == every
        assert ("a/none" in files, "a/0.json" in some, "b/1.json" in some) == (False, True, False)
        assert (set(files), len(files), len(some), bool(some)) == (set(every), 12, 4, True)
        assert dict(files.items()) == every
        assert list(files.values()) == list(every.values())
        assert sorted(key for key, _ in some.items()) == [key for key in sorted(every) if key.startswith("a/")]
        assert readings == []


def test_what_is_lost_is_what_was_neither_known_nor_found_otherwise(synced):
    with Journal(synced.home) as journal:
        (pair,) = journal.rows("SELECT id FROM pairs", ()).__next__()
        every = journal.synced(pair)
        known = KnownFiles(SyncedFiles(journal, pair))
        *seen, changed, gone = every
        assert all(known.is_known(every[key].entry.path, every[key].stamp) for key in seen)
        assert not known.is_known("a/none", every[gone].stamp)
        assert (known.count, known.are_all([changed]), known.are_all([changed, gone])) == (10, False, True)
        assert known.lost([changed, "a/none"]) == {gone}
        known.settle([gone])
        assert known.lost([changed]) == frozenset()


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(compare, "NEW_AT_ONCE", 4)


def hashes(world):
    return {path: content_hash(data).hex() for path, data in local_tree(world.src).items()}


NEW = {f"{'uvw'[n % 3]}/{n}.json": 100 + n for n in range(15)}


def test_very_many_new_files_are_sent_before_the_rest_is_looked_at(world, short):
    world.write(NEW)
    watching = Watching()
    report = world.push(monitor=watching)
    assert [count for count, _ in watching.plans] == [5, 5, 5]
    assert (report.uploaded, report.skipped, report.failed) == (15, 0, [])
    assert world.there() == hashes(world)
    again = world.push()
    assert (again.uploaded, again.skipped, again.requests) == (0, 15, 1)


def test_one_of_very_many_that_cannot_be_sent_is_told_once(world, short):
    world.foreign_write("u/0.json", b"theirs")
    world.write(NEW | {"v/half.parquet": b"PAR1 and no footer"})
    report = world.push()
    assert sorted(failure.path for failure in report.failed) == ["u/0.json", "v/half.parquet"]
    assert (report.uploaded, report.skipped) == (14, 0)


def test_what_lies_there_already_alike_is_settled_a_stretch_at_a_time(world, short):
    world.write(NEW)
    world.push()
    (world.home / "journal.db").unlink()
    report = world.push()
    assert (report.uploaded, report.bytes_sent, report.skipped) == (0, 0, 15)
    assert world.push().requests == 1


def test_a_renamed_file_among_very_many_new_ones_is_not_sent(world, short):
    world.write({f"a/{n}": content(str(n), 400_000) for n in range(3)})
    world.push()
    (world.src / "a").rename(world.src / "b")
    world.write(NEW)
    report = world.push(delete=True)
    assert (report.renamed, report.deleted, report.uploaded) == (3, 3, 15)
    assert report.bytes_sent < 400_000
    assert world.there() == hashes(world)


def test_twins_among_very_many_are_both_left(world, short):
    world.write(NEW | {"u/A": 3, "u/a": 4})
    report = world.push()
    assert sorted(failure.path for failure in report.failed) == ["u/A", "u/a"]
    assert (report.uploaded, len(world.there())) == (15, 15)


def test_nothing_is_sent_ahead_into_a_folder_that_vanished(world, short):
    world.write({"a": 1})
    world.push()
    world.foreign_delete("")
    world.write(NEW)
    with pytest.raises(Conflict, match="holds none of them now"):
        world.push()
    assert world.there() == {}
    assert world.push(force=True).uploaded == 16


@pytest.mark.parametrize("seed", range(6))
def test_files_are_looked_up_in_any_order(synced, seed):
    """Read ahead or not, the answer is that of the journal."""
    chance = random.Random(seed)
    with Journal(synced.home) as journal:
        pair = journal.pair(synced.remote.place, synced.src, ROOT)
        stamps = {key: item.stamp for key, item in journal.synced(pair).items()}
        files = SyncedFiles(journal, pair)
        asked = [chance.choice([*stamps, "a", "b/zz", "zz"]) for _ in range(100)] + sorted(stamps) * 2
        other = next(iter(stamps.values()))
        for key in asked:
            stamp = chance.choice([stamps.get(key, other), other])
            assert files.had(key, stamp) is (stamps.get(key) == stamp)


def test_files_asked_for_in_order_take_few_queries(synced, monkeypatch):
    with Journal(synced.home) as journal:
        pair = journal.pair(synced.remote.place, synced.src, ROOT)
        stamps = {key: item.stamp for key, item in journal.synced(pair).items()}
        files, queries, rows = SyncedFiles(journal, pair), [], Journal.rows
        monkeypatch.setattr(Journal, "rows", lambda *arguments: queries.append(arguments) or rows(*arguments))
        assert all(files.had(key, stamps[key]) for key in sorted(stamps))
    assert len(stamps) == 12
    assert len(queries) == 3  # two, four, eight
