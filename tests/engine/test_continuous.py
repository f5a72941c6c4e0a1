"""Continuous sync as the engine starts it, against the emulator."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import warm
from engine_world import noise, write_candle
from structlog.testing import capture_logs

from huracan_sync.engine import DropboxSync
from huracan_sync.engine.daemon import status_file
from huracan_sync.engine.daemon.scheduler import Clock
from huracan_sync.engine.run import run, run_once
from huracan_sync.engine.settings import load

APP = "/Runpodhuracan"
SPOT = "BTC-USDT_1d_20221112_20251111.parquet"
DEAD = {"route": "*", "fault": "close"}


def until(true, within=120.0):
    """Seconds until something is true."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < within, "it never was"
        time.sleep(0.05)
    return time.monotonic() - began


@pytest.fixture
def sync(machine):
    made = machine.sync()
    yield made
    assert made.stop(10)


def events_of(events, *names):
    return [event for event in events if event["event"] in names]


def test_the_engines_four_threads(machine, sync):
    with capture_logs() as events:
        threads = sync.start_continuous_sync(sync_intervals={"learning": 60, "models": 0, "logs": -1})
        assert [thread.name for thread in threads] == ["DropboxSync-Learning", "DropboxSync-DataCache"]
        assert all(thread.daemon for thread in threads)
        assert sync.stop(5)
    assert not any(thread.is_alive() for thread in threads)
    said = {event["event"]: event for event in events}
    assert said["continuous_sync_learning_started"]["interval_seconds"] == 60
    assert said["continuous_sync_data_cache_started"]["interval_seconds"] == 7200
    assert said["continuous_sync_threads_started"]["total_threads"] == 2
    assert {e["kind"] for e in events_of(events, "continuous_sync_kind_disabled")} >= {"models", "logs"}
    assert [t.name for t in sync.start_continuous_sync()] == [
        f"DropboxSync-{name}" for name in ("Learning", "Logs", "Models", "DataCache")
    ]


def test_disabled_starts_nothing():
    with capture_logs() as events:
        assert DropboxSync(enabled=False).start_continuous_sync() == []
    assert events[-1]["event"] == "continuous_sync_disabled"


def test_an_unknown_interval_is_said_with_the_nearest_known(machine, sync):
    with capture_logs() as events:
        sync.start_continuous_sync(sync_intervals={"data_cach": 60})
    (event,) = events_of(events, "continuous_sync_unknown_interval")
    assert "data_cache" in event["hint"]


def test_a_change_of_each_watched_kind_is_in_dropbox_long_before_its_interval(machine, sync):
    """The shortest interval is five minutes: what comes at all within half a minute came because of the disk."""
    machine.write({"logs/learning/old.json": "{}", "models/old.bin": b"o"})
    write_candle(machine.work / "data/candles/ETH/ETH-USDT_1d_20221112_20251111.parquet")
    with capture_logs() as events:
        sync.start_continuous_sync()
        until(lambda: len(machine.stranger.paths()) >= 4)
        candle = write_candle(machine.work / "data/candles/BTC" / SPOT)  # a new folder, and a file in it at once
        machine.write({"logs/learning/new.json": "{}", "models/deep/new.bin": b"n"})
        wanted = {
            f"{APP}/data/candles/BTCUSDT/{SPOT}",
            f"{APP}/2025-11-14/learning/new.json",
            f"{APP}/2025-11-14/models/deep/new.bin",
        }
        until(lambda: wanted <= set(machine.stranger.paths()))
        until(lambda: events_of(events, "recent_coin_data_synced"))
    assert machine.stranger.read(f"{APP}/data/candles/BTCUSDT/{SPOT}") == candle
    names = {event["event"] for event in events}
    assert {
        "learning_data_synced",
        "models_synced",
        "logs_synced",
        "data_cache_synced_full",
        "data_cache_synced",
    } <= names
    assert {"coin_data_synced_immediately", "recent_coin_data_synced"} <= names


@pytest.mark.slow
def test_a_half_written_candle_waits_and_then_goes(machine, sync):
    path = machine.work / "data/candles/BTC" / SPOT
    first = write_candle(path)
    sync.start_continuous_sync()
    there = f"{APP}/data/candles/BTCUSDT/{SPOT}"
    until(lambda: machine.stranger.read(there) == first)
    whole = write_candle(machine.work / "longer.parquet", rows=50)
    path.write_bytes(whole[:-30])
    time.sleep(1.5)
    assert machine.stranger.read(there) == first
    path.write_bytes(whole)
    until(lambda: machine.stranger.read(there) == whole)


@pytest.mark.slow
def test_candles_are_restored_before_any_is_pushed(machine, sync):
    machine.stranger.write(f"{APP}/data/candles/BTCUSDT/{SPOT}", write_candle(machine.work / "x.parquet", rows=40))
    machine.clear_log()
    sync.start_continuous_sync()
    until((machine.work / "data/candles/BTC" / SPOT).exists)
    time.sleep(1.5)
    assert sync.stop(5)
    assert not [route for route in machine.requests() if "upload" in route]


def test_a_candle_that_did_not_arrive_is_asked_for_again_and_the_rest_goes_on(machine, sync, monkeypatch):
    monkeypatch.setattr("huracan_sync.engine.daemon.scheduler.FIRST_RETRY_S", 0.3)
    for base in ("BTC", "ETH", "SOL"):
        data = write_candle(machine.work / "x.parquet", seed=base)
        machine.stranger.write(f"{APP}/data/candles/{base}USDT/{base}-USDT_1d_20221112_20251111.parquet", data)
    mine = write_candle(machine.work / "data/candles/ADA/ADA-USDT_1d_20221112_20251111.parquet", seed=9)
    blocked = machine.work / "data/candles/SOL"
    blocked.write_text("a file lies where the folder must be")
    sync.start_continuous_sync(sync_intervals={"learning": 0, "logs": 0, "models": 0, "data_cache": 2})
    there = f"{APP}/data/candles/ADAUSDT/ADA-USDT_1d_20221112_20251111.parquet"
    until(lambda: machine.stranger.read(there) == mine)
    state = until(lambda: [s for s in sync._continuous.states() if s.last_error])
    assert sync._continuous.states()[0].last_success is None, state
    blocked.unlink()
    until((blocked / "SOL-USDT_1d_20221112_20251111.parquet").exists)
    until(lambda: sync._continuous.states()[0].last_error == "")


def test_each_kind_counts_its_own_bytes(machine, sync):
    machine.write({"models/big.bin": noise("big", 9_000_000)} | {f"logs/{n}.log": 1000 for n in range(10)})
    machine.write({f"exports/{n}.csv": 500 for n in range(10)})
    machine.dropbox.config(latency_ms=50)
    settings = settings_of(watch=False)
    context = machine.sync(settings=settings).context
    thread = threading.Thread(target=run, args=(context, settings))
    thread.start()
    until(lambda: len(machine.stranger.paths()) == 21)
    context.stop.set()
    thread.join(120)
    sent = {kind.name: kind.bytes_sent for kind in status_file.read(machine.home).kinds}
    assert (sent["models"], sent["logs"], sent["exports"]) == (9_000_000, 10_000, 5_000)


@pytest.mark.slow
def test_second_long_loops_over_unchanged_data_send_nothing(machine, sync):
    machine.write({f"logs/{n}.log": 500 for n in range(20)} | {f"models/{n}.bin": 500 for n in range(5)})
    sync.sync_all()
    machine.clear_log()
    sync.start_continuous_sync(sync_intervals={"learning": 1, "logs": 1, "models": 1, "data_cache": 1})
    until(lambda: machine.count() > 10)
    assert sync.stop(5)
    assert not [route for route in machine.requests() if "upload" in route]


def test_one_failing_kind_stops_no_other(machine, sync):
    machine.write({"models/a.bin": b"a", "logs/a.log": b"a", "logs/learning/a.json": "{}"})
    uploads = sync._folder_uploads
    uploads.pass_over, whole = (
        lambda kind, *rest, **more: 1 // 0 if kind == "models" else whole(kind, *rest, **more),
        uploads.pass_over,
    )
    with capture_logs() as events:
        sync.start_continuous_sync()
        until(lambda: len(machine.stranger.paths()) >= 2)
        until(lambda: events_of(events, "models_sync_error"))
    assert not [p for p in machine.stranger.paths() if "/models/" in p]
    assert "DropboxSync-Models" in [thread.name for thread in threading.enumerate()]


def test_a_dead_network_is_survived_and_caught_up_in_one_pass(machine, sync, monkeypatch):
    monkeypatch.setattr("huracan_sync.engine.daemon.scheduler.FIRST_RETRY_S", 0.3)
    monkeypatch.setattr("huracan_sync.engine.daemon.scheduler.LONGEST_RETRY_S", 0.6)
    machine.dropbox.faults(DEAD)
    machine.write({f"models/{n}.bin": 300 for n in range(40)})
    with capture_logs() as events:
        sync.start_continuous_sync(sync_intervals={"learning": 0, "logs": 0, "data_cache": 0, "models": 3600})
        until(lambda: len(events_of(events, "models_sync_error")) >= 2)
        assert sync._continuous.states()[0].lag_s(time.time() + 100) > 100
        machine.dropbox.faults()
        until(lambda: len(machine.stranger.paths()) == 40)
    until(lambda: sync._continuous.states()[0].last_error == "")
    assert machine.requests()["files/upload_session/finish_batch_v2"] == 1


class Hurried:
    """A clock on which an hour passes in a second."""

    SPEED = 3600

    def __init__(self):
        self.began = time.monotonic()
        self.wall_began = time.time()

    def passed(self):
        return (time.monotonic() - self.began) * self.SPEED

    def sleep(self, seconds):
        time.sleep(seconds / self.SPEED)

    def clock(self):
        return Clock(
            monotonic=self.passed,
            wall=lambda: self.wall_began + self.passed(),
            wait=lambda news, seconds: news.wait(seconds / self.SPEED),
        )


@pytest.mark.slow
def test_hours_without_a_network_are_survived_and_made_up_for_in_one_pass(machine):
    settings = settings_of(watch=False)
    kinds = {
        "models": {f"models/{n}.bin": 300 for n in range(30)},
        "logs": {f"logs/{n}.log": 300 for n in range(30)},
        "exports": {f"exports/{n}.csv": 300 for n in range(30)},
    }
    machine.dropbox.faults(DEAD)
    hurried, sync = Hurried(), machine.sync(settings=settings)
    thread = threading.Thread(target=run, args=(sync.context, settings), kwargs={"clock": hurried.clock()})
    with capture_logs() as events:
        thread.start()
        for files in kinds.values():
            hurried.sleep(3600)
            machine.write(files)
        hurried.sleep(2 * 3600)
        assert {f"{kind}_sync_error" for kind in kinds} <= {event["event"] for event in events}
        machine.dropbox.faults()
        machine.clear_log()
        until(lambda: len(machine.stranger.paths()) == 90)
        sync.context.stop.set()
        thread.join(120)
    assert not thread.is_alive()
    assert (
        machine.requests()["files/upload_session/finish_batch_v2"] == 3
    )  # one pass for each kind, one commit for each
    assert sync.pending == []
    left = {kind.name: kind for kind in status_file.read(machine.home).kinds}
    assert all(left[kind].last_error == "" and left[kind].failures > 10 for kind in kinds)
    assert all(left[kind].sent == 30 for kind in kinds)


@pytest.mark.slow
def test_stop_ends_a_large_upload_at_the_next_part_and_the_next_start_goes_on(machine, monkeypatch):
    monkeypatch.setenv("DROPBOX__WATCH", "false")
    machine.write({"models/big.bin": noise("big", 60 * 1024 * 1024)})
    machine.dropbox.config(latency_ms=150)
    only = {"learning": 0, "logs": 0, "data_cache": 0, "models": 3600}
    sync = machine.sync()
    sync.start_continuous_sync(sync_intervals=only)
    until(lambda: machine.requests().get("files/upload_session/append_v2", 0) >= 2)
    assert sync.stop(30)
    sent = machine.requests()["files/upload_session/append_v2"]
    assert sent < 8
    assert machine.stranger.paths() == []
    machine.dropbox.config(latency_ms=0)
    machine.clear_log()
    again = machine.sync()
    assert again.upload_models() == 1
    assert machine.requests()["files/upload_session/append_v2"] == 8 - sent
    assert "files/upload_session/start" not in machine.requests()


# --- run ----------------------------------------------------------------------------------------------------------


def settings_of(**arguments):
    return load(arguments=arguments, environment=os.environ)


def test_once_restores_then_pushes_every_kind(machine):
    settings = settings_of()
    machine.write({"logs/a.log": b"a", "reports/r.html": "<p>", "config/c.toml": "a = 1", "exports/e.csv": "a,b"})
    machine.stranger.write(f"{APP}/data/candles/BTCUSDT/{SPOT}", write_candle(machine.work / "x.parquet"))
    report = run_once(machine.sync(settings=settings).context, settings)
    assert (report.restored, report.failed, report.is_good) == (1, {}, True)
    assert report.kinds["logs"].files == report.kinds["config"].files == report.kinds["data_cache"].files == 1
    assert report.as_dict()["uploaded"] == 4
    again = run_once(machine.sync(settings=settings).context, settings)
    assert again.as_dict()["uploaded"] == again.as_dict()["bytes_sent"] == again.restored == 0
    assert again.requests <= 9


def test_once_says_what_failed_and_does_the_rest(machine):
    settings = settings_of()
    machine.write({"logs/a.log": b"a", "models/m.bin": b"m"})
    machine.dropbox.faults({"route": "files/upload", "fault": "insufficient_space", "nth": 1})
    report = run_once(machine.sync(settings=settings).context, settings)
    assert not report.is_good
    assert len(machine.stranger.paths()) == 1
    assert run_once(machine.sync(settings=settings).context, settings).is_good
    assert len(machine.stranger.paths()) == 2


def test_settings_reach_everything(machine):
    settings = settings_of(app_folder="Other", sync_models=False, logs_dir="mylogs")
    machine.write({"mylogs/a.log": b"a", "models/m.bin": b"m"})
    assert run_once(machine.sync(settings=settings).context, settings).is_good
    assert machine.stranger.paths() == ["/Other/2025-11-14/logs/a.log"]


def test_running_tells_how_it_stands(machine):
    settings = settings_of(preset="development")
    machine.write({"logs/learning/a.json": "{}"})
    said = []
    context = machine.sync(settings=settings).context
    thread = threading.Thread(target=run, args=(context, settings), kwargs={"port": 0, "say": said.append})
    thread.start()
    until(lambda: machine.stranger.paths() and said)
    context.stop.set()
    thread.join(120)
    assert not thread.is_alive()
    left = status_file.read(machine.home)
    assert {kind.name for kind in left.kinds} == {
        "learning",
        "logs",
        "models",
        "data_cache",
        "monitoring",
        "reports",
        "exports",
        "config",
    }
    assert left.pid == os.getpid()
    assert left.requests > 0
    assert said[0] == f"the page is at {left.page}"


RUNNING = """
import signal, sys
from huracan_sync.engine import DropboxSync
from huracan_sync.engine.run import run
from huracan_sync.engine.settings import load
from huracan_sync.engine.daemon.scheduler import Clock
settings = load()
context = DropboxSync(sys.stdin.readline().strip()).context
signal.signal(signal.SIGTERM, lambda *_: context.stop.set())
print("ready", flush=True)
sys.exit(0 if run(context, settings) else 1)
"""


def test_sigterm_ends_it_cleanly(machine):
    machine.write({"models/a.bin": b"a"})
    process = warm.Popen(
        [sys.executable, "-c", RUNNING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    process.stdin.write(machine.token() + "\n")
    process.stdin.flush()
    until(machine.stranger.paths)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "Traceback" not in output
