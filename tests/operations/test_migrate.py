"""Bringing what earlier writers left to its one place: by content, inside Dropbox, losing nothing."""

import pytest
from engine_world import noise

from huracan_sync.errors import Conflict, NotFound, Unavailable
from huracan_sync.operations.migrate import carry_out, plan
from huracan_sync.tree.layout import Layout

APP = "/Runpodhuracan"
CANDLES = f"{APP}/data/candles"
SPOT = "BTC-USDT_1d_20221112_20251111.parquet"
PERP = "BTC-USDT:USDT_1m_20250601_20251111.parquet"
ETH = "ETH-USDT_1m_20250101_20250601.parquet"
SOL = "SOL-USDT_1m_20250101_20250601.parquet"
LAYOUT = Layout()


@pytest.fixture
def mess(machine):
    """Candles as a year of different writers left them."""
    scope, perp, eth = noise("spot", 900), noise("perp", 900), noise("eth", 500)
    for path, content in {
        f"{CANDLES}/BTC/{SPOT}": scope,
        f"{CANDLES}/BTC-USDT/{SPOT}": scope,
        f"{CANDLES}/{SPOT}": scope,
        f"{APP}/2025-11-01/data/candles/BTC/{SPOT}": scope,
        f"{CANDLES}/BTC/{PERP}": perp,  # another instrument: same size, other bytes
        f"{CANDLES}/BTCUSDT:USDT/{PERP}": perp,
        f"{CANDLES}/ETHUSDT/{ETH}": eth,  # in its place already
        f"{CANDLES}/ETH/{ETH}": eth,
        f"{CANDLES}/{ETH}": b"something else of this name",
        f"{CANDLES}/{SOL}": b"older",
        f"{CANDLES}/notes/readme.txt": b"kept",
        f"{APP}/2025-11-01/logs/engine.log": b"kept",
        f"{APP}/models/training/2025-11-01/BTCUSDT/data/{SPOT}": scope,  # part of a run's record
        f"{APP}/2025-11-01/huracan/champion/latest.json": b"{}",
        f"{APP}/huracan/heartbeats/engine.json": b"beat",
        "/huracan/heartbeats/engine.json": b"newer beat",
    }.items():
        machine.stranger.write(path, content)
    machine.dropbox.advance(60)
    machine.stranger.write(f"{CANDLES}/SOL/{SOL}", b"newer")
    machine.clear_log()
    return machine


AFTER = {
    f"{CANDLES}/BTCUSDT/{SPOT}",
    f"{CANDLES}/BTCUSDT/{PERP}",
    f"{CANDLES}/ETHUSDT/{ETH}",
    f"{CANDLES}/{ETH}",
    f"{CANDLES}/SOLUSDT/{SOL}",
    f"{CANDLES}/{SOL}",
    f"{CANDLES}/notes/readme.txt",
    f"{APP}/2025-11-01/logs/engine.log",
    f"{APP}/models/training/2025-11-01/BTCUSDT/data/{SPOT}",
    f"{APP}/2025-11-01/huracan/champion/latest.json",
    f"{APP}/huracan/heartbeats/engine.json",
    "/huracan/heartbeats/engine.json",
    "/huracan/champion/latest.json",
}


def contents(machine):
    return {machine.stranger.read(path) for path in machine.stranger.paths()}


def test_a_plan_says_everything_and_does_nothing(mess):
    before = mess.stranger.paths()
    made = plan(mess.remote(), LAYOUT)
    assert mess.stranger.paths() == before
    lines = list(made.lines())
    assert sorted(line.split()[0] for line in lines) == ["copy", *["delete"] * 5, *["keep"] * 3, *["move"] * 3]
    assert f"move    {CANDLES}/SOL/{SOL}  ->  {CANDLES}/SOLUSDT/{SOL}" in lines  # the newer of two that differ
    assert any(line.startswith(f"keep    {CANDLES}/{SOL}:") for line in lines)


def test_everything_comes_to_its_one_place_and_no_content_is_lost_or_sent(mess):
    before = contents(mess)
    mess.clear_log()
    remote = mess.remote()
    report = carry_out(remote, plan(remote, LAYOUT), LAYOUT)
    assert (report.moved, report.copied, report.deleted, report.kept, report.failed) == (3, 1, 5, 3, [])
    assert not [route for route in mess.requests() if "upload" in route or "download" in route]
    assert mess.count() <= 16
    assert set(mess.stranger.paths()) == AFTER
    assert contents(mess) == before
    assert mess.stranger.read("/huracan/heartbeats/engine.json") == b"newer beat"
    again = plan(remote, LAYOUT)
    assert again.is_empty
    assert len(again.kept) == 3


@pytest.mark.parametrize("cut", ["files/move_batch_v2", "files/copy_batch_v2", "files/delete_batch"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_migration_that_was_cut_is_finished_by_another(mess, cut, when):
    before = contents(mess)
    mess.dropbox.faults({"route": cut, "fault": "close", "when": when})
    remote = mess.remote()
    with pytest.raises(Unavailable):
        carry_out(remote, plan(remote, LAYOUT), LAYOUT)
    mess.dropbox.faults()
    assert contents(mess) == before
    report = carry_out(remote, plan(remote, LAYOUT), LAYOUT)
    assert report.failed == []
    assert set(mess.stranger.paths()) == AFTER
    assert contents(mess) == before


@pytest.mark.parametrize("route", ["files/move_batch_v2", "files/copy_batch_v2"])
def test_a_step_whose_answer_was_lost_is_not_reported_as_failed(mess, route):
    before = contents(mess)
    mess.dropbox.faults({"route": route, "nth": 1, "fault": "close", "when": "after"})
    remote = mess.remote()
    report = carry_out(remote, plan(remote, LAYOUT), LAYOUT)
    assert (report.moved, report.copied, report.deleted, report.failed) == (3, 1, 5, [])
    assert set(mess.stranger.paths()) == AFTER
    assert contents(mess) == before


@pytest.mark.parametrize("taken", [f"{CANDLES}/SOLUSDT/{SOL}", f"{CANDLES}/SOLUSDT/{SOL}/inner", f"{CANDLES}/SOLUSDT"])
def test_a_place_that_was_taken_meanwhile_is_left_to_who_took_it(mess, taken):
    """By a file, by a folder, by a file where the folder must be."""
    remote = mess.remote()
    made = plan(remote, LAYOUT)
    mess.stranger.write(taken, b"somebody else's")
    before = mess.stranger.paths()
    (failure,) = carry_out(remote, made, LAYOUT).failed
    assert (failure.path, type(failure.error)) == (f"{CANDLES}/SOL/{SOL}", Conflict)
    assert failure.error.hint
    assert mess.stranger.read(taken) == b"somebody else's"
    assert mess.stranger.read(failure.path) == b"newer"
    assert set(mess.stranger.paths()) - set(before) <= AFTER  # no other name was made up
    mess.stranger.delete(taken)
    if taken.endswith("inner"):
        mess.stranger.delete(taken.removesuffix("/inner"))
    assert carry_out(remote, plan(remote, LAYOUT), LAYOUT).failed == []
    assert set(mess.stranger.paths()) == AFTER


@pytest.mark.parametrize("happens", ["deleted", "replaced", "folder deleted"])
def test_no_copy_is_deleted_once_its_original_is_gone(mess, happens):
    remote = mess.remote()
    made = plan(remote, LAYOUT)
    if happens == "replaced":
        mess.stranger.write(f"{CANDLES}/ETHUSDT/{ETH}", b"somebody else's")
    else:
        mess.stranger.delete(f"{CANDLES}/ETHUSDT" + (f"/{ETH}" if happens == "deleted" else ""))
    assert carry_out(remote, made, LAYOUT).failed == []
    assert mess.stranger.read(f"{CANDLES}/ETH/{ETH}") == noise("eth", 500)


def test_a_copy_that_changed_meanwhile_stays(mess):
    remote = mess.remote()
    made = plan(remote, LAYOUT)
    mess.stranger.write(f"{CANDLES}/ETH/{ETH}", b"grown")
    report = carry_out(remote, made, LAYOUT)
    assert [failure.path for failure in report.failed] == [f"{CANDLES}/ETH/{ETH}"]
    assert mess.stranger.read(f"{CANDLES}/ETH/{ETH}") == b"grown"


def test_afterwards_the_engine_sends_nothing(mess):
    sync = mess.sync()
    assert sync.restore_data_cache() > 0
    remote = mess.remote()
    carry_out(remote, plan(remote, LAYOUT), LAYOUT)
    mess.clear_log()
    sync.upload_data_cache()
    assert not [route for route in mess.requests() if "upload" in route]


def test_an_app_folder_that_is_not_there_is_said(machine):
    with pytest.raises(NotFound):
        plan(machine.remote(), LAYOUT)
