"""Copies of a candle that several writers left are one file here: the one that counts is restored, and no other."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from engine_world import write_candle

from huracan_sync import connect, push, restore
from huracan_sync.operations import places
from huracan_sync.operations.push import PushOptions
from huracan_sync.operations.restore import RestoreOptions
from huracan_sync.remote.contents import everything
from huracan_sync.signing.context import Context
from huracan_sync.signing.trust_files import TrustFiles
from huracan_sync.tree.paths import fold

THERE = "/Runpodhuracan/data/candles"
NAME = "BTC-USDT_1d_20221112_20251111.parquet"
PLACES = [f"{THERE}/{place}{NAME}" for place in ("", "BTC/", "BTC-USDT/", "BTCUSDT/")]
FLAT, PROPER = PLACES[0], PLACES[-1]


@pytest.fixture
def contents(machine):
    """Candles of different content and size."""
    return [write_candle(machine.work / f"made/{n}.parquet", rows=50 - n, seed=n) for n in range(4)]


@pytest.fixture
def here(machine):
    return machine.work / "data/candles/BTC" / NAME


def written(machine, order, contents):
    """Copies, each a minute after the one before."""
    for place, content in zip(order, contents, strict=True):
        machine.stranger.write(place, content)
        machine.dropbox.advance(60)


def brought(machine, **options):
    report = restore(THERE, "data/candles", remote=machine.remote(), options=RestoreOptions(**options))
    assert not report.failed
    return report


def verb(words):
    return lambda machine: machine.command(*words, THERE, "data/candles", "--json")[0]


ROUTES = {
    "restore": verb(["restore"]),
    "get": verb(["get"]),
    "threads": lambda machine: restore(THERE, "data/candles", remote=connect(), executor=ThreadPoolExecutor(2)).failed,
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("newest", PLACES)
def test_the_copy_that_was_written_last_is_restored(logged_in, machine, contents, here, newest, route):
    written(machine, [place for place in PLACES if place != newest] + [newest], contents)
    assert not ROUTES[route](machine)
    assert machine.tree("data/candles") == {f"BTC/{NAME}": contents[-1]}


def test_restoring_again_moves_nothing_until_a_newer_copy_comes(machine, contents, here):
    written(machine, [PROPER, FLAT], contents[:2])
    assert brought(machine).downloaded == 1
    for _ in range(2):
        report = brought(machine)
        assert (report.downloaded, report.kept, report.skipped) == (0, 0, 1)
    written(machine, [PLACES[1]], contents[2:3])
    assert brought(machine).downloaded == 1
    assert here.read_bytes() == contents[2]
    written(machine, [PROPER], contents[3:])
    assert brought(machine).downloaded == 1
    assert here.read_bytes() == contents[3]


def test_one_copy_out_of_its_place_is_one_file(machine, contents, here):
    written(machine, [FLAT], contents[:1])
    assert brought(machine).downloaded == 1
    report = brought(machine, delete=True)
    assert (report.downloaded, report.deleted, here.read_bytes()) == (0, 0, contents[0])
    assert push("data/candles", THERE, remote=machine.remote(), options=PushOptions(delete=True)).failed == []
    assert machine.stranger.read(FLAT) == contents[0], "a copy is never deleted"
    assert machine.stranger.read(PROPER) == contents[0]


def test_what_was_restored_from_another_place_comes_to_its_own_by_a_push(machine, contents, here):
    written(machine, [PROPER, FLAT], contents[:2])
    brought(machine)
    assert push("data/candles", THERE, remote=machine.remote()).uploaded == 1
    assert (machine.stranger.read(PROPER), machine.stranger.read(FLAT)) == (contents[1], contents[1])
    machine.dropbox.advance(60)
    written(machine, [PLACES[1]], contents[2:3])
    assert (brought(machine).downloaded, here.read_bytes()) == (1, contents[2])
    mine = write_candle(here, rows=99)
    written(machine, [PROPER], contents[3:])
    report = push("data/candles", THERE, remote=machine.remote())
    assert [type(failure.error).__name__ for failure in report.failed] == ["Conflict"], "that one is newer"
    assert (machine.stranger.read(PROPER), here.read_bytes()) == (contents[3], mine)


def test_a_copy_that_the_engine_restored_is_not_deleted_by_a_push(machine, contents):
    written(machine, [PROPER, FLAT], contents[:2])
    assert machine.sync().restore_data_cache() == 1
    push("data/candles", THERE, remote=machine.remote(), options=PushOptions(delete=True, force=True))
    assert contents[1] in {machine.stranger.read(FLAT), machine.stranger.read(PROPER)}
    assert machine.stranger.read(FLAT) is not None


def test_work_of_our_own_stays_and_is_told(machine, contents, here):
    written(machine, [PROPER, FLAT], contents[:2])
    brought(machine)
    mine = write_candle(here, rows=99)
    assert brought(machine).kept == 1
    written(machine, [PLACES[1]], contents[2:3])
    report = restore(THERE, "data/candles", remote=machine.remote())
    assert [type(failure.error).__name__ for failure in report.failed] == ["Conflict"]
    assert here.read_bytes() == mine
    assert brought(machine, overwrite=True).downloaded == 1
    assert here.read_bytes() == contents[2]


def test_the_content_that_lies_here_already_is_found_so(machine, contents, here):
    written(machine, [PROPER, FLAT], contents[:2])
    here.parent.mkdir(parents=True)
    here.write_bytes(contents[1])
    assert brought(machine).downloaded == 0
    assert brought(machine).skipped == 1


def test_what_is_signed_wins_over_a_newer_copy(machine, contents, here, monkeypatch, tmp_path):
    monkeypatch.setenv("HURACAN_SIGNING_KEY_FILE", str(tmp_path / "sign.key"))
    TrustFiles(Context.of(machine.remote(), home=machine.home), "/Runpodhuracan").begin()
    here.parent.mkdir(parents=True)
    here.write_bytes(contents[0])
    assert push("data/candles", THERE, remote=machine.remote()).sequence == 1
    machine.dropbox.advance(60)
    written(machine, [FLAT], contents[1:2])
    here.unlink()
    for journal in machine.home.glob("journal.db*"):
        journal.unlink()
    assert brought(machine).downloaded == 1
    assert here.read_bytes() == contents[0]


def test_a_copy_that_is_removed_meanwhile_is_the_oldest(machine, contents):
    written(machine, PLACES[:2], contents[:2])
    with Context.of(machine.remote(), home=machine.home).pair(machine.work, THERE) as pair:
        entries = sorted(everything(pair.remote, THERE, lambda entry: entry).files.values(), key=lambda e: len(e.path))
        machine.stranger.delete(f"{THERE}/{entries[1].path}")
        assert places.newest(pair, "", entries) == entries[0]
        machine.stranger.delete(f"{THERE}/{entries[0].path}")
        assert places.newest(pair, fold(entries[1].path), entries) == entries[1]
