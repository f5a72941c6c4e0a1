"""Restore: exact, resumed, nothing overwritten, in the fewest requests."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from root_powers import without_root_powers
from sampled import sampled, slow
from transfer_world import MIB, ROOT, Killed, KilledAfter, Watching, content, local_tree

from huracan_sync.errors import (
    ConfigError,
    Conflict,
    ContentMismatch,
    HostilePath,
    LocalFailure,
    NotFound,
    ServiceFault,
)
from huracan_sync.operations.restore_options import Snapshot
from huracan_sync.transfer.download_zip import groups
from huracan_sync.tree.content_hash import block_hashes, content_hash
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import RelPath, fold
from huracan_sync.tree.plan import Copy

SMALL = {f"{'abc'[n % 3]}/file {n}.json": 500 + n for n in range(70)}
MIXED = {**SMALL, "größe/📈.bin": 20 * MIB, "empty": b"", "BTC/BTC-USDT:USDT_1m.bin": 5}


def same(world):
    return local_tree(world.dst) == local_tree(world.src)


def test_everything_comes_back_exactly(world):
    world.write(MIXED)
    world.push()
    monitor = Watching()
    report = world.restore(monitor=monitor)
    assert same(world)
    assert (report.downloaded, report.skipped, report.failed) == (73, 0, [])
    total = sum(len(data) for data in local_tree(world.src).values())
    assert monitor.plans == [(73, total)]
    assert monitor.bytes == total
    assert sorted(monitor.files) == sorted(local_tree(world.src))


def test_times_come_back(world):
    world.write({"x": b"1"})
    os.utime(world.src / "x", ns=(1_600_000_000_000_000_000,) * 2)
    world.push()
    world.restore()
    assert (world.dst / "x").stat().st_mtime_ns == 1_600_000_000_000_000_000


def test_twice_moves_nothing_and_a_push_sends_nothing_back(world):
    world.write(MIXED)
    world.push()
    world.restore()
    again = world.restore()
    assert (again.downloaded, again.skipped, again.bytes_received, again.requests) == (0, 73, 0, 1)
    world.src = world.dst
    echo = world.push()
    assert (echo.uploaded, echo.bytes_sent, echo.requests) == (0, 0, 1)


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("files", "requests"),
    [
        slow(({f"f{n}": 2048 for n in range(1000)}, {"files/list_folder": 1, "files/download_zip": 1})),
        ({f"f{n}": 2048 for n in range(200)}, {"files/list_folder": 1, "files/download_zip": 1}),
        ({"a": 1, "b": 1}, {"files/list_folder": 1, "files/download": 2}),
        ({"a": 20 * MIB}, {"files/list_folder": 1, "files/download": 3}),
        slow(({"a": 60 * MIB}, {"files/list_folder": 1, "files/download": 4})),
        (SMALL | {"large/x": 10 * MIB}, {"files/list_folder": 1, "files/download_zip": 3, "files/download": 2}),
        ({}, {}),
    ],
)
def test_request_budgets(world, files, requests):
    world.write(files | {"other": b"1"} if files else {"other": b"1"})
    world.push()
    (world.src / "other").unlink()
    world.push(delete=True, force=True)
    world.clear_log()
    world.restore()
    assert {**world.log()} == (requests or {"files/list_folder": 1})
    assert not files or same(world)


@pytest.mark.slow
def test_a_few_of_many_are_not_fetched_as_a_zip(world):
    world.write({f"d/f{n}": 100_000 for n in range(200)})
    world.push()
    world.restore()
    for n in range(8):
        (world.dst / f"d/f{n}").unlink()
    world.clear_log()
    assert world.restore().downloaded == 8
    assert world.log()["files/download"] == 8


def test_a_missing_remote_folder_is_empty(world):
    assert world.restore().downloaded == 0


# --- what lies here already ---------------------------------------------------------------------------------------


def test_a_local_change_stays_and_is_said(world):
    world.write({"x": b"1", "y": b"1"})
    world.push()
    world.restore()
    (world.dst / "x").write_bytes(b"mine")
    assert world.restore().failed == []  # only the disk changed: nothing to restore
    world.foreign_write("x", b"theirs")
    (failure,) = world.restore().failed
    assert (failure.path, type(failure.error)) == ("x", Conflict)
    assert (world.dst / "x").read_bytes() == b"mine"
    assert world.restore(overwrite=True).downloaded == 1
    assert (world.dst / "x").read_bytes() == b"theirs"


def test_a_remote_change_comes(world):
    world.write({"x": b"1"})
    world.push()
    world.restore()
    world.foreign_write("x", b"theirs")
    assert world.restore().downloaded == 1
    assert (world.dst / "x").read_bytes() == b"theirs"


def test_other_content_with_no_history_stays(world):
    world.write({"x": b"1"})
    world.push()
    world.dst.mkdir()
    (world.dst / "x").write_bytes(b"mine")
    assert len(world.restore().failed) == 1
    assert (world.dst / "x").read_bytes() == b"mine"


def test_the_same_content_is_adopted(world):
    world.write(SMALL)
    world.push()
    for path, data in local_tree(world.src).items():
        (world.dst / path).parent.mkdir(parents=True, exist_ok=True)
        (world.dst / path).write_bytes(data)
    report = world.restore()
    assert (report.downloaded, report.skipped, report.requests) == (0, 70, 1)


def test_a_damaged_parquet_gives_way(world):
    pq.write_table(pa.table({"ts": list(range(1000))}), world.src / "x.parquet")
    world.push()
    world.dst.mkdir()
    (world.dst / "x.parquet").write_bytes((world.src / "x.parquet").read_bytes()[:100])
    assert len(world.restore().failed) == 1  # young: perhaps still being written
    os.utime(world.dst / "x.parquet", (1, 1))
    assert world.restore().failed == []
    assert same(world)


def test_what_was_deleted_in_dropbox_goes_only_on_demand(world):
    world.write({"x": b"1", "y": b"1", "z": b"1"})
    world.push()
    world.restore()
    world.foreign_delete("x")
    world.foreign_delete("y")
    (world.dst / "y").write_bytes(b"mine")
    assert world.restore().deleted == 0
    report = world.restore(delete=True)
    assert (report.deleted, [f.path for f in report.failed]) == (1, ["y"])
    assert local_tree(world.dst) == {"y": b"mine", "z": b"1"}


def test_a_vanished_remote_folder_empties_no_disk(world):
    world.write({"x": b"1"})
    world.push()
    world.restore()
    world.foreign_delete("")
    with pytest.raises(Conflict, match="none of them now"):
        world.restore(delete=True)
    assert local_tree(world.dst) == {"x": b"1"}


def test_a_remote_folder_of_other_content_empties_no_disk(world):
    world.write({f"f{n}": 10 + n for n in range(12)})
    world.push()
    world.restore()
    before = local_tree(world.dst)
    world.foreign_delete("")
    world.foreign_write("other", b"1")
    with pytest.raises(Conflict, match="holds none of them now"):
        world.restore(delete=True)
    assert local_tree(world.dst) == before
    assert world.restore(delete=True, force=True).deleted == 12


def test_what_changes_here_meanwhile_stays(world):
    world.write({"x": b"1"})
    world.push()
    world.restore()
    world.foreign_write("x", b"2")

    class Meddling(Watching):
        def planned(self, files, size):
            (world.dst / "x").write_bytes(b"mine")

    (failure,) = world.restore(monitor=Meddling()).failed
    assert "changed on this disk" in str(failure.error)
    assert (world.dst / "x").read_bytes() == b"mine"


def test_a_hostile_remote_name_is_reported_and_left(world):
    world.write({"good": b"1"})
    world.push()
    world.foreign_write("bad\u200bname", b"1")
    report = world.restore()
    assert ["invisible" in str(f.error) for f in report.failed] == [True]
    assert local_tree(world.dst) == {"good": b"1"}


def test_a_link_in_the_way_is_not_followed(world, tmp_path):
    world.write({"d/x": b"1"})
    world.push()
    world.dst.mkdir()
    (tmp_path / "outside").mkdir()
    (world.dst / "d").symlink_to(tmp_path / "outside")
    (failure,) = world.restore().failed
    assert type(failure.error) is LocalFailure
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_read_only_folder_is_said(world):
    world.write({"d/x": b"1", "y": b"1"})
    world.push()
    (world.dst / "d").mkdir(parents=True)
    (world.dst / "d").chmod(0o500)
    with without_root_powers():
        report = world.restore()
    assert [f.path for f in report.failed] == ["d/x"]
    assert local_tree(world.dst) == {"y": b"1"}


# --- damage on the way --------------------------------------------------------------------------------------------

BAD_BODIES = [
    {"fault": "corrupt", "seed": 3},
    {"fault": "corrupt", "offset": 0},
    {"fault": "truncate", "fraction": 0.5},
    {"fault": "truncate", "offset": 0},
    {"fault": "wrong_length"},
    {"fault": "reset"},
    {"fault": "close"},
    {"fault": "server_error", "body": "html"},
    {"fault": "server_error", "body": "empty"},
    {"fault": "captive_portal"},
    {"fault": "rate_limited", "form": "date"},
]


@pytest.mark.parametrize("fault", sampled(BAD_BODIES, 3), ids=lambda f: "-".join(map(str, f.values())))
@pytest.mark.parametrize("files", [{"a": 1000, "b": 5}, {"large": 20 * MIB}, SMALL], ids=["files", "ranges", "zip"])
def test_damage_never_lands(world, fault, files):
    world.write(files)
    world.push()
    world.dropbox.faults({"route": "files/download*", "nth": [1, 2], **fault})
    try:
        report = world.restore()
    except ServiceFault:
        assert fault["fault"] == "captive_portal"  # no answer of Dropbox, and none that gets better by asking again
        assert not (world.dst / "large").exists()
        world.dropbox.faults()
        report = world.restore()
    assert report.failed == []
    assert same(world)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [{"fault": "truncate", "fraction": 0.7}, slow({"fault": "wrong_length"})])
def test_a_body_that_breaks_off_costs_a_block(world, fault):
    world.write({"large": 60 * MIB})
    world.push()
    world.clear_log()
    world.dropbox.faults({"route": "files/download", "nth": [1, 2, 4], **fault})
    assert world.restore().failed == []
    assert same(world)
    assert world.dropbox.log()["downloaded_bytes"] <= (60 + 3 * 4) * MIB
    assert world.log()["files/download"] <= 4 + 3


def test_lasting_damage_is_refused(world):
    world.write({"x": b"12345678"})
    world.push()
    world.dropbox.faults({"route": "files/download", "fault": "corrupt", "offset": 2})
    (failure,) = world.restore().failed
    assert type(failure.error) is ContentMismatch
    assert local_tree(world.dst) == {}


@pytest.mark.slow
@pytest.mark.parametrize("large", [20 * MIB])
def test_ranges_that_are_ignored(world, large):
    world.write({"x": large})
    world.push()
    world.dropbox.faults({"route": "files/download", "fault": "ignore_range"})
    world.dropbox.control("log/reset", {})
    assert world.restore().failed == []
    assert same(world)
    assert world.dropbox.log()["requests"]["files/download"] <= 7  # two for each of three stretches, and the whole


def test_no_zip_to_be_had(world):
    world.write(SMALL)
    world.push()
    world.dropbox.faults({"route": "files/download_zip", "fault": "error", "tags": ["too_many_files"]})
    monitor = Watching()
    assert world.restore(monitor=monitor).downloaded == 70
    assert same(world)
    assert any("one by one" in note for note in monitor.notes)


@pytest.mark.parametrize(
    "rule",
    [
        {"fault": "corrupt", "offset": 10_000},
        {"fault": "truncate", "fraction": 0.9},
        {"fault": "error", "tags": ["too_large"]},
        {"fault": "captive_portal"},
    ],
    ids=lambda rule: rule["fault"],
)
def test_what_was_told_of_a_zip_adds_up_whatever_becomes_of_it(world, rule):
    world.write({f"{n}.bin": 200_000 for n in range(8)})
    world.push()
    world.dropbox.faults({"route": "files/download_zip", **rule})
    monitor = Watching()
    assert world.restore(monitor=monitor).downloaded == len(monitor.files) == 8
    assert same(world)
    assert monitor.bytes == 1_600_000


@pytest.mark.slow
def test_a_folder_that_has_grown_since_is_not_fetched_as_a_zip(world):
    world.write(SMALL)
    world.push()

    class Meddling(Watching):
        def planned(self, files, size):
            world.foreign_write("new", content("new", 40 * MIB))

    report = world.restore(monitor=Meddling())
    assert same(world)
    assert report.bytes_received < 20 * MIB


def test_a_file_named_as_our_half_written_ones_is_refused(world):
    """It would be swept away, and fetched again each time."""
    world.foreign_write(".huracan-1.part", b"1")
    world.foreign_write("x", b"2")
    report = world.restore()
    assert (report.downloaded, [type(failure.error) for failure in report.failed]) == (1, [HostilePath])
    assert local_tree(world.dst) == {"x": b"2"}


def test_a_folder_has_one_spelling_here(world):
    """Dropbox means the same folder in any case; on a disk that tells cases apart, two would lie there."""
    world.dst.mkdir()
    (world.dst / "Sub").mkdir()
    (world.dst / "Sub/mine").write_bytes(b"0")
    entries = [Entry(RelPath(path), 1, content_hash(b"1"), "", 0) for path in ("SUB/a", "new/Deep/b", "NEW/deep/c")]
    for entry in entries:
        world.foreign_write(entry.path, b"1")
    report = world.restore(snapshot=Snapshot(entries))
    assert (report.downloaded, report.failed) == (3, [])
    assert sorted(local_tree(world.dst)) == ["NEW/deep/b", "NEW/deep/c", "Sub/a", "Sub/mine"]
    assert world.restore(snapshot=Snapshot(entries)).skipped == 3


def test_a_file_of_another_case_is_this_one(world):
    world.foreign_write("ok.txt", b"theirs")
    world.dst.mkdir()
    (world.dst / "OK.txt").write_bytes(b"mine")
    assert [type(failure.error) for failure in world.restore().failed] == [Conflict]
    assert world.restore(overwrite=True).failed == []
    assert local_tree(world.dst) == {"OK.txt": b"theirs"}
    world.foreign_write("ok.txt", b"newer")
    assert world.restore().downloaded == 1
    assert local_tree(world.dst) == {"OK.txt": b"newer"}
    world.foreign_delete("ok.txt")
    assert world.restore(delete=True, force=True).deleted == 1
    assert local_tree(world.dst) == {}


def test_what_stands_in_the_way_is_said_and_stays(world):
    """To overwrite does not help, so nobody is told to."""
    world.foreign_write("x", b"1")
    world.foreign_write("y/z", b"2")
    (world.dst / "x").mkdir(parents=True)
    (world.dst / "x/kept").write_bytes(b"3")
    (world.dst / "y").write_bytes(b"4")
    failed = world.restore(overwrite=True).failed
    assert sorted(failure.path for failure in failed) == ["x", "y/z"]
    assert {failure.error.hint for failure in failed} == {"move what lies there on this disk away"}
    assert local_tree(world.dst) == {"x/kept": b"3", "y": b"4"}


def test_a_zip_is_told_of_while_it_arrives(world):
    world.write({f"{n}.bin": 200_000 for n in range(8)})
    world.push()

    class Listening(Watching):
        def moved(self, size):
            self.plans.append((len(self.files), size))

    monitor = Listening()
    world.restore(monitor=monitor)
    assert len([size for files, size in monitor.plans[1:] if files == 0 and size]) > 3
    assert sum(size for _, size in monitor.plans[1:]) == 1_600_000


def test_a_file_changed_after_the_listing_comes_as_it_was_planned(world):
    """By its revision: a set restored while somebody writes is the set that was planned."""
    world.write(SMALL)
    world.push()

    class Meddling(Watching):
        def planned(self, files, size):
            world.foreign_write("a/file 0.json", b"theirs")
            world.foreign_delete("b/file 1.json")

    assert world.restore(monitor=Meddling()).failed == []
    assert same(world)


# --- carrying on --------------------------------------------------------------------------------------------------


def cut(world, size, mbit=800):
    world.dropbox.config(bandwidth_mbit=mbit)  # what is under way when it ends must not be all the rest
    with pytest.raises(Killed):
        world.restore(monitor=KilledAfter(size))
    world.dropbox.config(bandwidth_mbit=0)


def test_a_cut_download_goes_on_at_the_range(world):
    world.write({"x": 60 * MIB})
    world.push()
    cut(world, 30 * MIB)
    world.clear_log()
    monitor = Watching()
    report = world.restore(monitor=monitor)
    assert same(world)
    assert report.bytes_received <= 40 * MIB
    assert monitor.bytes == 60 * MIB
    assert any("going on from there" in note for note in monitor.notes)


@pytest.mark.slow
def test_a_part_damaged_on_disk_is_fetched_again(world):
    world.write({"x": 40 * MIB})
    world.push()
    cut(world, 20 * MIB, mbit=200)
    (part,) = world.dst.glob("*.part")
    with part.open("r+b") as file:
        file.seek(3 * MIB)
        file.write(b"damage")
    assert world.restore().failed == []
    assert same(world)
    assert list(world.dst.glob("*.part")) == []


@pytest.mark.slow
def test_a_part_of_older_content_is_not_mixed_in(world):
    world.write({"x": 40 * MIB})
    world.push()
    cut(world, 20 * MIB)
    world.write({"x": content("newer", 41 * MIB)})
    world.push()
    world.restore()
    assert (world.dst / "x").read_bytes() == (world.src / "x").read_bytes()


# --- snapshots ----------------------------------------------------------------------------------------------------


def snapshot(world):
    page = world.foreign("files/list_folder", {"path": ROOT, "recursive": True})
    entries = [
        Entry(
            RelPath(e["path_display"].removeprefix(f"{ROOT}/")), e["size"], bytes.fromhex(e["content_hash"]), e["rev"]
        )
        for e in page["entries"]
        if e[".tag"] == "file"
    ]
    blocks = {fold(path): block_hashes(data) for path, data in local_tree(world.src).items()}
    return Snapshot(entries, blocks, 7)


@pytest.mark.slow
def test_a_snapshot_comes_back_although_dropbox_moved_on(world):
    world.write({"x": b"1", "y": b"1", "large": 20 * MIB})
    world.push()
    old = snapshot(world)
    before = local_tree(world.src)
    world.write({"x": b"2", "large": 3})
    (world.src / "y").unlink()
    world.push(delete=True)
    report = world.restore(snapshot=old)
    assert (report.downloaded, report.sequence) == (3, 7)
    assert local_tree(world.dst) == before


def test_a_snapshot_of_bytes_that_are_nowhere_is_refused(world):
    world.write({"x": b"1"})
    world.push()
    gone = Entry(RelPath("y"), 1, content_hash(b"?"), "0123456789abc0000000a")
    (failure,) = world.restore(snapshot=Snapshot([gone])).failed
    assert isinstance(failure.error, NotFound | ContentMismatch)
    assert local_tree(world.dst) == {}


# --- which folders come as a zip: pure ----------------------------------------------------------------------------


def entries(spec):
    return [Entry(RelPath(path), size, content_hash(path.encode())) for path, size in spec.items()]


def zips(wanted, present=None):
    made = groups([Copy(e) for e in entries(wanted)], entries(present or wanted))
    return {group.folder: len(group.copies) for group in made}


def test_zip_groups():
    small = {f"d/{n}": 100 for n in range(10)}
    assert zips(small) == {"": 10}
    assert zips({f"d/{n}": 100 for n in range(3)}) == {}
    both = small | {f"e/{n}": 100 for n in range(10)}
    assert zips(both, both | {"huge": 40 * MIB}) == {"d": 10, "e": 10}
    assert zips(both, both | {"e/huge": 40 * MIB}) == {"d": 10}
    assert zips(small, small | {"other/huge": 300 * MIB}) == {"d": 10}
    assert zips({f"{d}/{n}": 10 for d in range(3) for n in range(4000)}) == {"0": 4000, "1": 4000, "2": 4000}
    assert zips({"huge": 100 * MIB}) == {}
    assert zips({f"D/{n}": 1 for n in range(9)}, {f"d/{n}": 1 for n in range(9)}) == {"": 9}


def test_what_programs_act_on_is_restored_only_when_it_is_asked_for(world):
    """Whoever may write to the folder could run commands here: at the next `git status`, or the next login."""
    repository = {f"r/{name}": b"x" for name in ("HEAD", "config", "objects/info/x", "refs/heads/x")}
    world.write({"a.csv": b"1", ".git/config": b"[core]", "deep/.ssh/authorized_keys": b"key", **repository})
    world.push()
    report = world.restore()
    refused = {".git/config", "deep/.ssh/authorized_keys", "r/HEAD"}
    assert {failure.path for failure in report.failed} == refused
    assert set(local_tree(world.dst)) == set(local_tree(world.src)) - refused
    report = world.restore(active_names=True)
    assert (report.failed, same(world)) == ([], True)


def test_a_locale_that_is_not_utf8_is_refused_before_anything_is_written(world, monkeypatch):
    world.foreign_write("caf\u00e9.csv", b"1")
    monkeypatch.setattr("sys.getfilesystemencoding", lambda: "iso8859-1")
    with pytest.raises(ConfigError, match="Dropbox in UTF-8"):
        world.restore()
    assert not world.dst.exists()
