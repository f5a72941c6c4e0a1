"""Of a manifest with very many entries, what this disk never had is put in place a part at a time."""

import msgspec
import pytest
from expecting import raises
from publishing_machine import DATA, Publisher

from huracan_sync.errors import Refused
from huracan_sync.manifest import body_writer
from huracan_sync.manifest.entries import Audit
from huracan_sync.operations import restore_ahead
from huracan_sync.operations.restore import Restore
from huracan_sync.operations.restore_ahead import parts
from huracan_sync.signing.merge import Change
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import RelPath

FILES = {f"{folder}/{n}.json": f"{folder}{n}".encode() for folder in ("a", "a/in", "b", "c/d") for n in range(8)}


@pytest.fixture
def fetched(monkeypatch):
    """How many files were fetched at a time."""
    counts, fetch = [], Restore._fetch

    def counting(self, copies, *rest):
        counts.append(len(copies))
        return fetch(self, copies, *rest)

    monkeypatch.setattr(Restore, "_fetch", counting)
    return counts


def unchecked(encode, channel, items):
    """What a publisher makes whose program is wrong."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Audit, "finish", lambda self, again: None)
        return encode(channel, items)


@pytest.fixture
def short(monkeypatch):
    """Few are very many: parts of eight files, shards of four."""
    monkeypatch.setattr(restore_ahead, "NEW_AT_ONCE", 8)
    monkeypatch.setattr(body_writer, "SHARD_OVER", 8)
    monkeypatch.setattr(body_writer, "_SHARD_MIN", 2)
    monkeypatch.setattr(body_writer, "_SHARD_MAX", 4)


@pytest.fixture
def pushed(publisher, short):
    publisher.write(FILES)
    publisher.push()
    return publisher


@pytest.fixture
def other(dropbox, tmp_path, clock, publisher):
    machine = Publisher(dropbox, tmp_path / "other", clock=clock, key="")
    machine.reader().pin(publisher.pin())
    return machine


def held(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def brought(machine, folder, **options):
    return machine.restore(DATA, folder, channel="data", **options)


def test_parts_are_cut_between_folders_and_tell_what_they_split():
    entries = [Entry(RelPath(path), 1, bytes(32)) for path in sorted(FILES)]
    found = list(parts(entries, 5))
    assert [entry for part in found for entry in part.entries] == entries
    assert [len(part.entries) for part in found] == [8, 8, 8, 8]
    assert [sorted(part.split) for part in found] == [["", "a"], ["", "a"], [""], [""]]
    assert [len(part.entries) for part in parts(entries, 32)] == [32]
    assert list(parts([], 5)) == []


def test_all_comes_and_the_next_run_moves_nothing(pushed, other, tmp_path, fetched):
    report = brought(other, tmp_path / "to")
    assert held(tmp_path / "to") == FILES
    assert (report.downloaded, report.skipped, report.failed, report.sequence) == (32, 0, [], 1)
    assert fetched == [8, 8, 8, 8]
    again = brought(other, tmp_path / "to")
    assert (again.downloaded, again.skipped) == (0, 32)


def test_what_lies_here_is_compared_before_anything_of_it_is_touched(pushed, other, tmp_path):
    to = tmp_path / "to"
    (to / "b").mkdir(parents=True)
    (to / "b/1.json").write_bytes(b"mine")
    (to / "b/2.json").write_bytes(FILES["b/2.json"])
    (to / "own").write_bytes(b"only here")
    report = brought(other, to)
    assert [failure.path for failure in report.failed] == ["b/1.json"]
    assert (report.downloaded, report.skipped) == (30, 1)
    assert held(to) == FILES | {"b/1.json": b"mine", "own": b"only here"}


def test_folders_keep_the_case_they_have_here(pushed, other, tmp_path):
    to = tmp_path / "to"
    (to / "B").mkdir(parents=True)
    (to / "B/own").write_bytes(b"only here")
    assert brought(other, to).failed == []
    assert {path for path in held(to) if path.lower().startswith("b/")} == {"B/own"} | {f"B/{n}.json" for n in range(8)}


def test_what_was_deleted_here_comes_back_and_what_was_deleted_there_goes(pushed, other, tmp_path):
    to = tmp_path / "to"
    brought(other, to)
    (to / "a/1.json").unlink()
    (pushed.src / "c/d/3.json").unlink()
    pushed.push(delete=True)
    report = brought(other, to, delete=True)
    assert (report.downloaded, report.deleted, report.skipped) == (1, 1, 30)
    assert held(to) == {path: data for path, data in FILES.items() if path != "c/d/3.json"}


def test_a_filter_holds_for_what_comes_ahead(pushed, other, tmp_path):
    report = brought(other, tmp_path / "to", wanted=lambda path: path.startswith("a/"))
    assert held(tmp_path / "to") == {path: data for path, data in FILES.items() if path.startswith("a/")}
    assert (report.downloaded, report.failed) == (16, [])


def test_what_cannot_be_put_in_place_is_told_once(pushed, other, tmp_path):
    (tmp_path / "to/b/1.json").mkdir(parents=True)
    report = brought(other, tmp_path / "to")
    assert [failure.path for failure in report.failed] == ["b/1.json"]
    assert report.downloaded == 31


def test_a_manifest_that_lists_one_file_under_two_names_is_refused_before_a_byte_comes(pushed, other, tmp_path):
    """Shards are looked at together where all files are put on a disk, though each alone is good."""
    items = pushed.reader().latest("data")
    entries = [*items.items(), items.item(f"{DATA[8:]}/b/1.json")]
    twin = msgspec.structs.replace(entries[-1], path=entries[-1].path.replace("b/1", "B/1"))
    made = body_writer.encode
    try:
        body_writer.encode = lambda channel, listed, policy: unchecked(made, channel, [*listed, twin])
        pushed.channel_publisher("data").publish(Change([*entries[:-1]], None, {}))
    finally:
        body_writer.encode = made
    with raises(Refused) as caught:
        brought(other, tmp_path / "to")
    assert (caught.value.code, (tmp_path / "to").exists()) == ("COLLISION", False)
