"""Folders whose files are called otherwise in Dropbox: candles, there and back."""

import os

import pytest
from engine_world import write_candle
from root_powers import without_root_powers

from huracan_sync.operations.push import PushOptions, push
from huracan_sync.operations.restore import RestoreOptions, restore
from huracan_sync.tree.layout import candle_view

ROOT = "/Runpodhuracan/data/candles"
SPOT = "BTC-USDT_1d_20221112_20251111.parquet"
PERP = "BTC-USDT:USDT_1m_20250601_20251111.parquet"
ETH = "ETH-USDC_1h_20250101_20251111.parquet"


def up(machine, **options):
    folder = candle_view(machine.work / "data")
    return push(folder, ROOT, remote=machine.remote(), home=machine.home, options=PushOptions(**options))


def down(machine, to="other", **options):
    folder = candle_view(machine.work / to)
    options = RestoreOptions(**options)
    return restore(ROOT, folder, remote=machine.remote(), home=machine.home, options=options)


@pytest.fixture
def filled(machine):
    for seed, path in enumerate((f"BTC/{SPOT}", f"BTC/{PERP}", f"ETH/{ETH}")):
        write_candle(machine.work / "data" / path, seed=seed)
    machine.write({"data/notes/größe.txt": b"kept"})
    return machine


def test_candles_go_there_and_back(filled):
    assert up(filled).uploaded == 4
    assert filled.stranger.paths() == sorted(
        f"{ROOT}/{path}" for path in (f"BTCUSDT/{SPOT}", f"BTCUSDT/{PERP}", f"ETHUSDC/{ETH}", "notes/größe.txt")
    )
    assert down(filled).downloaded == 4
    assert filled.tree("other") == filled.tree("data")


def test_again_is_one_request_on_both_sides(filled):
    up(filled)
    down(filled)
    up(filled)  # the echo of what was uploaded
    for again in (up, down):
        report = again(filled)
        assert (report.requests, report.failed) == (1, [])
    assert up(filled).bytes_sent == 0
    assert down(filled).bytes_received == 0


def test_a_restored_folder_sends_nothing_back(filled):
    up(filled)
    down(filled, "data2")
    (filled.work / "data").rename(filled.work / "old")
    (filled.work / "data2").rename(filled.work / "data")
    assert up(filled).bytes_sent == 0


def test_growth_and_deletion_are_told_by_the_right_name(filled):
    up(filled)
    grown = write_candle(filled.work / "data/BTC" / SPOT, rows=20)
    (filled.work / "data/ETH" / ETH).unlink()
    report = up(filled, delete=True)
    assert (report.uploaded, report.deleted, report.failed) == (1, 1, [])
    assert filled.stranger.read(f"{ROOT}/BTCUSDT/{SPOT}") == grown
    assert f"{ROOT}/ETHUSDC/{ETH}" not in filled.stranger.paths()


def test_one_file_in_two_places_here_is_one_there(filled):
    proper = (filled.work / "data/BTC" / SPOT).read_bytes()
    newer = write_candle(filled.work / "data" / SPOT, rows=99)
    assert newer != proper
    up(filled)
    assert filled.stranger.read(f"{ROOT}/BTCUSDT/{SPOT}") == proper
    assert len(filled.stranger.paths()) == 4


def test_a_stray_is_found_where_it_lies(filled):
    (filled.work / "data/BTC" / SPOT).rename(filled.work / "data" / SPOT)
    older = filled.work / "data/BTC-USDT" / SPOT
    write_candle(older, rows=3)
    os.utime(older, (1, 1))
    up(filled)
    assert filled.stranger.read(f"{ROOT}/BTCUSDT/{SPOT}") == (filled.work / "data" / SPOT).read_bytes()
    report = up(filled)
    assert (report.uploaded, report.skipped) == (0, 4)


def test_a_truncated_candle_is_replaced_also_when_it_was_synced(filled):
    up(filled)
    down(filled)
    path = filled.work / "other/BTC" / SPOT
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    os.utime(path, (4e9, 4e9))  # newer than everything
    assert down(filled).downloaded == 0  # it may still be written
    assert down(filled, untouched_s=0).downloaded == 1
    assert path.read_bytes() == whole


def test_an_unreadable_folder_is_not_an_empty_one(filled):
    up(filled)
    folder = filled.work / "data/BTC"
    folder.chmod(0)
    try:
        with without_root_powers():
            report = up(filled, delete=True)
    finally:
        folder.chmod(0o755)
    assert report.deleted == 0
    assert len(filled.stranger.paths()) == 4
