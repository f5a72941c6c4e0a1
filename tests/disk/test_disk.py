"""The disk: what a scan takes and reports, reading one state, placing whole."""

import contextlib
import errno
import os
import threading

import pytest
from root_powers import without_root_powers

from huracan_sync.disk.files import Stamp, stamp_of, sync_folders
from huracan_sync.disk.last_folder import LastFolder
from huracan_sync.disk.part_file import PartFile
from huracan_sync.disk.remove import remove, sweep
from huracan_sync.disk.scan import scan
from huracan_sync.disk.stable_read import StableRead
from huracan_sync.errors import Busy, DiskFull, FileChanged, HuracanError, LocalFailure, UsageError

TOKEN = "0123456789abcdef" * 2


def make(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)


def parts_in(root):
    return [p.name for p in root.rglob("*.part")]


def test_scan_finds_regular_files_and_passes_over_the_rest(tmp_path):
    make(tmp_path, "a.txt", "sub/größe.json", "BTC/BTC-USDT:USDT_1m.parquet", "sub/.DS_Store", "Thumbs.db")
    make(tmp_path, ".huracan-0123.part")
    (tmp_path / "link").symlink_to(tmp_path / "a.txt")
    (tmp_path / "linked").symlink_to(tmp_path / "sub")
    os.mkfifo(tmp_path / "pipe")
    seen = scan(tmp_path)
    assert sorted(seen.files) == ["BTC/BTC-USDT:USDT_1m.parquet", "a.txt", "sub/größe.json"]
    assert seen.files["a.txt"] == stamp_of(tmp_path, "a.txt")
    assert seen.problems == []


def test_scan_asks_what_is_wanted(tmp_path):
    make(tmp_path, "a.log", "b.json", "c/d.log")
    assert sorted(scan(tmp_path, wanted=lambda path: path.endswith(".log")).files) == ["a.log", "c/d.log"]


@pytest.mark.parametrize("name", ["bad\nname", "back\\slash", "e\u0301", "x ", "C:"])
def test_a_hostile_name_is_reported_and_unclear(tmp_path, name):
    make(tmp_path, "good", name)
    seen = scan(tmp_path)
    assert list(seen.files) == ["good"]
    assert [p.path for p in seen.problems] == [name]
    assert seen.unclear()


def test_a_name_that_is_no_text_is_reported(tmp_path):
    (tmp_path / os.fsdecode(b"bad\xff")).write_text("x")
    (problem,) = scan(tmp_path).problems
    assert "not valid text" in str(problem.error)
    str(problem.error).encode()  # can be printed


@pytest.mark.parametrize(("one", "other"), [("Case.txt", "case.TXT"), ("größe", "GRÖßE"), ("σσ", "ΣΣ")])
def test_twins_are_both_reported_and_neither_is_taken(tmp_path, one, other):
    make(tmp_path, one, other, "third")
    seen = scan(tmp_path)
    assert list(seen.files) == ["third"]
    assert {p.path for p in seen.problems} == {one, other}


def test_what_dropbox_holds_side_by_side_is_found_side_by_side(tmp_path):
    make(tmp_path, "Maße.csv", "Masse.csv", "ς", "σ", "ﬁ", "fi")
    seen = scan(tmp_path)
    assert (len(seen.files), seen.problems) == (6, [])


def test_twin_folders_hide_what_is_in_them(tmp_path):
    make(tmp_path, "Sub/a", "sub/b", "c")
    seen = scan(tmp_path)
    assert list(seen.files) == ["c"]
    assert {p.path for p in seen.problems} == {"Sub", "sub"}


@pytest.mark.parametrize("make_it", [lambda p: None, lambda p: p.write_text("x")])
def test_what_is_no_folder_is_a_usage_error(tmp_path, make_it):
    make_it(tmp_path / "x")
    with pytest.raises(UsageError) as caught:
        scan(tmp_path / "x")
    assert caught.value.hint


def test_an_unreadable_folder_is_unclear_not_empty(tmp_path):
    make(tmp_path, "shut/a", "b")
    (tmp_path / "shut").chmod(0)
    with without_root_powers():
        seen = scan(tmp_path)
    (tmp_path / "shut").chmod(0o700)
    assert list(seen.files) == ["b"]
    assert seen.unclear() == {"shut"}


def test_reading_hands_out_one_state(tmp_path):
    (tmp_path / "x").write_bytes(b"0123456789")
    with StableRead(tmp_path, "x") as reading:
        assert reading.read(2, 3) == b"234"
        assert reading.read(8, 100) == b"89"
        reading.check_unchanged()


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.write_bytes(b"9876543210"),
        lambda p: p.write_bytes(p.read_bytes() + b"more"),
        lambda p: os.truncate(p, 3),
        lambda p: os.utime(p, ns=(1, 1)),
    ],
    ids=["rewritten", "grown", "cut", "touched"],
)
def test_a_change_while_reading_is_noticed(tmp_path, change):
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    os.utime(path, ns=(5, 5))
    with StableRead(tmp_path, "x") as reading:
        change(path)
        with pytest.raises(FileChanged):
            read_and_check(reading)


def read_and_check(reading):
    reading.read(0, 10)
    reading.check_unchanged()


def test_a_log_may_grow_and_its_beginning_is_whole(tmp_path):
    path = tmp_path / "x.log"
    path.write_bytes(b"line 1\n")
    with StableRead(tmp_path, "x.log", prefix_only=True) as reading:
        with path.open("ab") as log:
            log.write(b"line 2\n")
        assert reading.read(0, 100) == b"line 1\n"
        reading.check_unchanged()
        path.write_bytes(b"")
        with pytest.raises(FileChanged):
            reading.check_unchanged()


@pytest.mark.parametrize(
    ("prepare", "error"),
    [
        (lambda root: None, FileChanged),
        (lambda root: (root / "x").mkdir(), FileChanged),
        (lambda root: (root / "x").symlink_to("/etc/hostname"), LocalFailure),
        (lambda root: os.mkfifo(root / "x"), FileChanged),
    ],
    ids=["gone", "folder", "link", "pipe"],
)
def test_only_a_regular_file_is_read(tmp_path, prepare, error):
    prepare(tmp_path)
    with pytest.raises(error):
        StableRead(tmp_path, "x")


def test_reading_does_not_walk_through_links(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("s")
    root = tmp_path / "root"
    root.mkdir()
    (root / "dir").symlink_to(tmp_path / "outside")
    with pytest.raises(LocalFailure):
        StableRead(root, "dir/secret")


def test_placing_is_whole_and_has_its_time(tmp_path):
    with PartFile(tmp_path, "a/b/c.txt", token=TOKEN) as placing:
        placing.write(4, b"efgh")
        placing.write(0, b"abcd")
        assert not (tmp_path / "a/b/c.txt").exists()
        stamp = placing.commit(size=8, replaces=None, mtime_ns=1_600_000_000_123_000_000)
    assert (tmp_path / "a/b/c.txt").read_bytes() == b"abcdefgh"
    assert stamp == stamp_of(tmp_path, "a/b/c.txt")
    assert stamp.mtime_ns == 1_600_000_000_123_000_000
    assert parts_in(tmp_path) == []
    sync_folders(tmp_path, ["a/b/c.txt"])


def test_a_part_left_behind_is_found_again(tmp_path):
    with PartFile(tmp_path, "x", token=TOKEN) as placing:
        placing.write(0, b"abcd")
    with PartFile(tmp_path, "x", token=TOKEN) as placing:
        assert (placing.size, placing.read(0, 10)) == (4, b"abcd")
        placing.discard()
    assert parts_in(tmp_path) == []


def test_a_longer_part_is_cut(tmp_path):
    with PartFile(tmp_path, "x", token=TOKEN) as placing:
        placing.write(0, b"abcdefgh")
        placing.commit(size=4, replaces=None)
    assert (tmp_path / "x").read_bytes() == b"abcd"


def test_what_changed_meanwhile_stays(tmp_path):
    (tmp_path / "x").write_text("old")
    seen = stamp_of(tmp_path, "x")
    with PartFile(tmp_path, "x", token=TOKEN) as placing:
        placing.write(0, b"new")
        (tmp_path / "x").write_text("mine!")
        with pytest.raises(FileChanged):
            placing.commit(size=3, replaces=seen)
    assert (tmp_path / "x").read_text() == "mine!"


def test_placing_replaces_what_it_was_told_to(tmp_path):
    (tmp_path / "x").write_text("old")
    with PartFile(tmp_path, "x", token=TOKEN) as placing:
        placing.write(0, b"new")
        placing.commit(size=3, replaces=stamp_of(tmp_path, "x"))
    assert (tmp_path / "x").read_text() == "new"


@pytest.mark.parametrize("way", ["dir", "dir/inner"])
def test_placing_does_not_walk_through_links(tmp_path, way):
    outside = tmp_path / "outside"
    (outside / "inner").mkdir(parents=True)
    root = tmp_path / "root"
    (root / way).parent.mkdir(parents=True)
    (root / way).symlink_to(outside)
    with pytest.raises(LocalFailure) as caught:
        PartFile(root, f"{way}/x", token=TOKEN)
    assert "link" in caught.value.hint
    assert [p.name for p in outside.rglob("*")] == ["inner"]


def test_a_file_in_the_way_of_a_folder(tmp_path):
    (tmp_path / "a").write_text("x")
    with pytest.raises(LocalFailure):
        PartFile(tmp_path, "a/b", token=TOKEN)


def test_a_folder_in_the_way_of_a_file(tmp_path):
    (tmp_path / "a").mkdir()
    with PartFile(tmp_path, "a", token=TOKEN) as placing, pytest.raises(LocalFailure, match="a folder lies there"):
        placing.commit(size=0, replaces=None)


@pytest.mark.wide
def test_racing_links_never_lead_outside(tmp_path):
    """A thread turns a folder into a link and back while files are placed below it: none lands outside."""
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    (root / "real").mkdir(parents=True)
    stop = threading.Event()

    def flip():
        real, aside = root / "real", root / "aside"
        while not stop.is_set():
            with contextlib.suppress(OSError):  # the placing makes the folder anew where it is missing
                real.rename(aside)
                real.symlink_to(outside)
            with contextlib.suppress(OSError):
                real.unlink()
            with contextlib.suppress(OSError):
                aside.rename(real)

    thread = threading.Thread(target=flip)
    thread.start()
    placed = 0
    for number in range(40_000):  # on a busy machine the other thread may have no turn for a while, or all of them
        if number > 400 and placed:
            break
        try:
            with PartFile(root, f"real/f{number}", token=TOKEN) as placing:
                placing.commit(size=0, replaces=None)
            placed += 1
        except HuracanError:
            pass
    stop.set()
    thread.join()
    assert list(outside.iterdir()) == []
    assert placed > 0


def test_remove_only_what_was_seen(tmp_path):
    make(tmp_path, "a/b/c", "a/d")
    stamp = stamp_of(tmp_path, "a/b/c")
    with pytest.raises(FileChanged):
        remove(tmp_path, "a/b/c", stamp=Stamp(1, 1, 1, 1))
    remove(tmp_path, "a/b/c", stamp=stamp)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a", "d"]  # the emptied folder went, the other stayed


def test_a_full_disk_is_try_later(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with PartFile(tmp_path, "x", token=TOKEN) as placing:
        monkeypatch.setattr(os, "pwrite", full)  # a real full disk is in the long proofs
        with pytest.raises(DiskFull) as caught:
            placing.write(0, b"x")
    assert caught.value.retryable
    assert not (tmp_path / "x").exists()


def test_only_parts_that_nobody_writes_are_swept(tmp_path):
    with PartFile(tmp_path, "dead", token="d" * 32):
        pass
    with PartFile(tmp_path, "sub/living", token="a" * 32):
        parts = scan(tmp_path).parts
        assert len(parts) == 2
        assert sweep(tmp_path, [*parts, "gone"]) == 1
        assert len(parts_in(tmp_path)) == 1
        with pytest.raises(Busy):
            PartFile(tmp_path, "sub/living", token="a" * 32)


def test_a_folder_that_is_moved_away_while_it_is_scanned_is_not_half_empty(tmp_path):
    root = tmp_path / "root"
    for name in "abc":
        (root / name).mkdir(parents=True)
        (root / name / "x").write_bytes(b"1")

    def move(replace):
        def wanted(_):
            if not list(tmp_path.glob("away*")):
                root.rename(tmp_path / "away")
                if replace:
                    root.mkdir()
            return True

        return wanted

    with pytest.raises(UsageError, match="no folder"):
        scan(root, wanted=move(replace=False))
    (tmp_path / "away").rename(root)
    with pytest.raises(LocalFailure, match="replaced"):
        scan(root, wanted=move(replace=True))


def test_links_and_special_files_are_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere")
    assert sorted(scan(tmp_path).others) == ["link", "pipe"]


@pytest.mark.parametrize(("age_ns", "slept"), [(3_000_000, [0.007]), (10_000_000, []), (-5, []), (10**12, [])])
def test_what_was_written_in_this_tick_is_read_in_the_next(tmp_path, age_ns, slept):
    (tmp_path / "x").write_bytes(b"1")
    written_ns = (tmp_path / "x").stat().st_ctime_ns
    sleeps = []
    with StableRead(tmp_path, "x", clock_ns=lambda: written_ns + age_ns, sleep=sleeps.append) as reading:
        assert reading.read(0, 1) == b"1"
    assert sleeps == slept


def test_the_last_folder_is_walked_to_once_and_its_files_lie_where_they_belong(tmp_path):
    with LastFolder() as last:
        for number, path in enumerate(["a/b/1", "a/b/2", "a/3", "4", "a/b/5"]):
            with PartFile(tmp_path, path, token=TOKEN, last=last) as placing:
                placing.write(0, path.encode())
                placing.commit(size=len(path), replaces=None)
            if number == 1:
                (tmp_path / "a").rename(tmp_path / "gone")  # whoever moves it away takes along what was put there
                (tmp_path / "a").mkdir()
    found = {p.relative_to(tmp_path).as_posix(): p.read_text() for p in tmp_path.rglob("*") if p.is_file()}
    assert found == {"gone/b/1": "a/b/1", "gone/b/2": "a/b/2", "a/3": "a/3", "4": "4", "a/b/5": "a/b/5"}
