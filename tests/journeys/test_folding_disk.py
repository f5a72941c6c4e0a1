"""A disk that folds names further than Dropbox does: what it cannot hold is reported, and nothing is overwritten."""

import contextlib
import os
import unicodedata
from unittest import mock

import pytest
from folding_disk import caseless, folding, in_this_process
from mounted_disk import Unmountable, mount
from transfer_world import local_tree

from huracan_sync.disk import folding as disk_folding
from huracan_sync.errors import LocalFailure
from huracan_sync.operations import restore

# Each pair is two files in Dropbox.
PAIRS = [
    ("Maße.csv", "Masse.csv"),
    ("λόγος.csv", "λόγοσ.csv"),
    ("ﬁle.csv", "file.csv"),
    ("straße/a.csv", "strasse/b.csv"),
    ("deep/ſtuff/a.csv", "deep/stuff/a.csv"),
]
MANY = {f"more/{n}.csv": b"more %d" % n for n in range(8)}


@pytest.fixture
def disk(world):
    with folding(world.dst):
        yield world


@pytest.mark.parametrize("disk", [mount, in_this_process])
def test_the_disk_of_these_tests_folds(tmp_path, disk):
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(disk(tmp_path / "d"))
        except Unmountable as why:
            pytest.skip(f"no disk can be mounted here ({why}): these tests fold the calls of their own process")
        (tmp_path / "d/Maße.csv").write_bytes(b"one")
        assert (tmp_path / "d/MASSE.CSV").read_bytes() == b"one"
        (tmp_path / "d/é").mkdir()
        folder = os.open(tmp_path / "d/É", os.O_RDONLY)
        os.close(os.open("x", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
        os.rename("X", "y", src_dir_fd=folder, dst_dir_fd=folder)
        os.close(folder)
        assert local_tree(tmp_path / "d") == {"Maße.csv": b"one", "é/y": b""}
    assert caseless("straße") == caseless("STRASSE")


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("others", [{}, MANY], ids=["alone", "by zip"])
def test_a_restore_writes_neither_and_names_both(disk, pair, others):
    for path, data in {pair[0]: b"one", pair[1]: b"another"}.items() | others.items():
        disk.foreign_write(path, data)
    for _ in range(2):
        report = disk.restore()
        assert {failure.path for failure in report.failed} == set(pair)
        assert all(isinstance(failure.error, LocalFailure) and failure.error.hint for failure in report.failed)
        assert local_tree(disk.dst) == others


@pytest.mark.parametrize("pair", PAIRS)
def test_what_is_here_already_stays(disk, pair):
    disk.foreign_write(pair[0], b"one")
    assert disk.restore().failed == []
    disk.foreign_write(pair[1], b"another")
    disk.foreign_write(pair[0], b"newer")
    for options in ({}, {"overwrite": True}, {"delete": True}):
        assert {failure.path for failure in disk.restore(**options).failed} == set(pair)
        assert local_tree(disk.dst) == {pair[0]: b"one"}


@pytest.mark.parametrize("pair", PAIRS)
def test_what_no_plan_foresaw_the_disk_itself_refuses(disk, pair, monkeypatch):
    """The names are not looked at beforehand: whichever comes first is written, and the other one never over it."""
    monkeypatch.setattr(restore, "is_folding", lambda _: False)
    disk.foreign_write(pair[0], b"one")
    assert disk.restore().failed == []
    disk.foreign_write(pair[1], b"another")
    (failure,) = disk.restore().failed
    assert failure.path == pair[1]
    assert "one to this disk" in str(failure.error)
    assert local_tree(disk.dst) == {pair[0]: b"one"}


def test_a_verified_restore_refuses_the_same(publisher, hamilton, tmp_path):
    publisher.write({"Maße.csv": b"one", "Masse.csv": b"another", "c.csv": b"c"})
    publisher.push(channel="data")
    with folding(tmp_path / "to"):
        report = hamilton.restore("/Engine/data", tmp_path / "to", channel="data")
        assert {failure.path for failure in report.failed} == {"Maße.csv", "Masse.csv"}
        assert local_tree(tmp_path / "to") == {"c.csv": b"c"}


def test_the_engine_and_the_command_line_refuse_the_same(logged_in):
    for name in ("Maße", "Masse"):
        logged_in.stranger.write(f"/Runpodhuracan/data/candles/BTCUSDT/BTC-USDT_1d_{name}.parquet", name.encode())
        logged_in.stranger.write(f"/Other/{name}.csv", name.encode())
    with folding(logged_in.work):
        sync = logged_in.sync()
        sync.restore_data_cache()
        assert isinstance(sync.last_error, LocalFailure)
        for words in (["get", "/Other", "got"], ["restore", "/Other", "there"]):
            code, out, _ = logged_in.command(*words)
            assert code == 1
            assert out.count("Maße.csv and Masse.csv are two names in Dropbox and one to this disk") == 1
            assert out.count("Masse.csv and Maße.csv are two names in Dropbox and one to this disk") == 1
        (logged_in.work / "got").mkdir(exist_ok=True)
        (logged_in.work / "got/Masse.csv").write_bytes(b"mine")
        for options in ([], ["--overwrite"]):
            assert logged_in.command("get", "/Other/Maße.csv", "got/Maße.csv", *options)[0] == 1
        assert logged_in.tree() == {"got/Masse.csv": b"mine"}


def test_names_that_a_disk_gives_back_decomposed_are_synced(world):
    """HFS+ keeps every name decomposed, and finds it composed."""
    world.foreign_write("été/é.csv", b"one")
    with folding(world.dst, decomposes=True):
        assert world.restore().failed == []
        assert local_tree(world.dst) == {unicodedata.normalize("NFD", "été/é.csv"): b"one"}
        again = world.restore()
        assert (again.failed, again.downloaded, again.skipped) == ([], 0, 1)
        with mock.patch.object(world, "src", world.dst):
            pushed = world.push()
    assert (pushed.failed, pushed.uploaded) == ([], 0)
    assert set(world.there()) == {"été/é.csv"}


def test_the_probe_of_an_empty_folder_leaves_nothing(tmp_path):
    for folder in (tmp_path / "disk", tmp_path / "plain"):
        folder.mkdir()
    with folding(tmp_path / "disk"):
        for below in (".", "none/below"):  # no name of the disk can tell yet, and the folder's own is not on it
            assert disk_folding.is_folding(tmp_path / "disk" / below)
            assert not disk_folding.is_folding(tmp_path / "plain" / below)
        assert local_tree(tmp_path) == {}
        (tmp_path / "disk/1234").write_bytes(b"a name without a letter")
        assert disk_folding.is_folding(tmp_path / "disk")


@pytest.mark.parametrize("pair", PAIRS)
def test_a_disk_below_the_folder_is_looked_at_too(world, pair):
    for path, data in {pair[0]: b"one", pair[1]: b"another"}.items() | MANY.items():
        world.foreign_write(f"inner/{path}", data)
        world.foreign_write(f"plain/{path}", data)
    world.dst.mkdir()
    (world.dst / "B").write_bytes(b"mine")
    with folding(world.dst / "inner"):
        report = world.restore()
        assert {failure.path for failure in report.failed} == {f"inner/{path}" for path in pair}
        assert local_tree(world.dst / "inner") == MANY
        assert local_tree(world.dst / "plain") == {pair[0]: b"one", pair[1]: b"another", **MANY}
