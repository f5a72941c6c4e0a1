"""What an engine may get wrong, or find wrong around it: folders that cannot be written, clocks that are off."""

import time
from datetime import UTC, datetime

import pytest
from engine_world import write_candle
from root_powers import without_root_powers
from structlog.testing import capture_logs

from huracan_sync.engine.run import run_once
from huracan_sync.engine.settings import load
from huracan_sync.errors import LocalFailure, UsageError

APP = "/Runpodhuracan"
SPOT = "BTC-USDT_1d_20221112_20251111.parquet"


def test_candles_cannot_be_restored_into_a_folder_that_is_read_only(machine):
    machine.stranger.write(f"{APP}/data/candles/BTCUSDT/{SPOT}", write_candle(machine.work / "x.parquet"))
    machine.write({"models/m.bin": b"m"})
    folder = machine.work / "data/candles"
    folder.mkdir(parents=True)
    folder.chmod(0o500)
    settings = load()
    sync = machine.sync(settings=settings)
    try:
        with without_root_powers(), capture_logs() as events:
            assert sync.restore_data_cache() == 0
            report = run_once(sync.context, settings)
    finally:
        folder.chmod(0o700)
    assert isinstance(sync.last_error, LocalFailure)
    assert "data_cache_file_restore_failed" in [event["event"] for event in events]
    assert report.kinds["models"].sent == 1  # the rest is done all the same
    assert not report.is_good
    assert sync.restore_data_cache() == 1


def test_what_cannot_be_read_is_said_and_the_rest_is_sent(machine):
    machine.write({"logs/a.log": b"a", "logs/secret.log": b"s", "logs/closed/b.log": b"b"})
    (machine.work / "logs/secret.log").chmod(0)
    (machine.work / "logs/closed").chmod(0)
    sync = machine.sync()
    try:
        with without_root_powers():
            assert sync.upload_logs() == 1
            assert isinstance(sync.last_error, LocalFailure)
            assert len(sync.pending) == 1
    finally:
        (machine.work / "logs/closed").chmod(0o700)
        (machine.work / "logs/secret.log").chmod(0o600)
    assert sync.upload_logs() == 3
    assert sync.pending == []


def test_a_state_folder_that_cannot_be_written_is_said_by_name(machine):
    machine.write({"logs/a.log": b"a"})
    machine.home.mkdir(mode=0o500)
    sync = machine.sync()
    with without_root_powers():
        assert sync.upload_logs() == 0
    assert str(machine.home) in str(sync.last_error)
    assert sync.last_error.hint


@pytest.mark.every_case
@pytest.mark.parametrize("call", ["upload_logs", "upload_models", "upload_monitoring_data", "upload_data_cache"])
def test_a_folder_that_is_not_there(machine, call):
    sync = machine.sync()
    with capture_logs() as events:
        assert getattr(sync, call)("nowhere") == 0
    assert [event["event"] for event in events] == ["directory_not_found"]
    assert isinstance(sync.last_error, UsageError)
    assert machine.count() == 0


@pytest.mark.every_case
@pytest.mark.parametrize("call", ["upload_reports", "upload_exports", "upload_configs", "upload_learning"])
def test_a_folder_that_need_not_be_there(machine, call):
    sync = machine.sync()
    assert getattr(sync, call)("nowhere") == 0
    assert sync.last_error is None


def test_a_symbol_nobody_knows_has_nothing(machine):
    sync = machine.sync()
    assert sync.get_active_model("NOPE/USDT") is None
    assert sync.last_error is None
    assert sync.list_champion_models() == []
    assert sync.list_hamilton_roster() is None


@pytest.mark.parametrize("off", [-10 * 86_400, 10 * 86_400])
def test_a_clock_that_is_off_loses_nothing(machine, monkeypatch, off):
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + off)
    machine.write({"old.json": "1", "new.json": "2"})
    sync = machine.sync()
    sync.context.remote._now = lambda: datetime.fromtimestamp(time.time(), UTC)
    machine.stranger.write(f"{APP}/2025-11-14/old.json", b"before")
    assert sync.list_files() == [f"{APP}/2025-11-14/old.json"]  # it has heard Dropbox's clock
    machine.dropbox.faults({"route": "files/upload", "fault": "insufficient_space"})
    assert not sync.upload_file("old.json", "old.json")
    assert not sync.upload_file("new.json", "new.json")
    machine.dropbox.faults()
    machine.dropbox.advance(60)
    machine.stranger.write(f"{APP}/2025-11-14/new.json", b"theirs, later")
    machine.write({"logs/a.log": b"a"})
    assert sync.upload_logs() == 1  # and what waits is delivered
    assert sync.pending == []
    assert machine.stranger.read(f"{APP}/2025-11-14/old.json") == b"1"
    assert machine.stranger.read(f"{APP}/2025-11-14/new.json") == b"theirs, later"
