"""The engine's pains P1 to P14, each closed: through the public API, over real sockets."""

import json
import os
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest
import warm
from engine_world import noise, write_candle
from structlog.testing import capture_logs

from huracan_sync import DropboxSync
from huracan_sync.engine import candle_restore
from huracan_sync.errors import Unreachable

APP = "/Runpodhuracan"
SPOT = "BTC-USDT_1d_20221112_20251111.parquet"
PERP = "BTC-USDT:USDT_1m_20250601_20251111.parquet"
DEAD = {"route": "*", "fault": "close"}


def test_p01_a_token_ends_mid_run_and_nobody_notices(logged_in):
    machine = logged_in
    sync = DropboxSync()
    machine.write({f"logs/{n}.log": str(n) for n in range(8)})
    assert sync.upload_logs() == 8
    machine.dropbox.advance(5 * 3600)  # the access token is dead now
    machine.clear_log()
    threads = [threading.Thread(target=sync.write_text, args=(f"beat/{n}.json", "{}")) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sync.upload_file("logs/0.log", "again.log")
    assert sync.last_error is None
    assert machine.requests()["oauth2/token"] == 1
    assert len([p for p in machine.stranger.paths() if "/beat/" in p]) == 8


def test_p02_every_call_of_either_version_is_there(machine):
    # The full list of names, arguments and defaults is in test_contract.py; here the calls that once vanished.
    sync = machine.sync()
    machine.write({"model.bin": b"m", "metrics.json": "{}"})
    assert sync.export_coin_results("BTC/USDT", machine.moment.date(), model_path="model.bin") == {"model": True}
    assert sync.upload_champion_model("BTC/USDT", "model.bin")
    assert sync.list_champion_models() == ["BTCUSDT"]


def test_p03_the_second_start_of_a_day_writes_to_the_same_folder(machine):
    for content in ("first", "second"):
        sync = machine.sync()
        assert sync._create_dated_folder() == sync._dated_folder == f"{APP}/2025-11-14"
        assert sync.upload_file(_file(machine, f"{content}.log"), f"/logs/{content}.log")
        assert sync.last_error is None
    assert machine.stranger.paths() == [f"{APP}/2025-11-14/logs/first.log", f"{APP}/2025-11-14/logs/second.log"]
    machine.dropbox.faults({"route": "files/create_folder_v2", "fault": "insufficient_space"})
    assert machine.sync()._create_dated_folder() == f"{APP}/2025-11-14"  # no other place in its stead


def _file(machine, name, content=b"x"):
    machine.write({name: content})
    return machine.work / name


def test_p04_what_one_service_writes_the_other_reads(machine):
    sync = machine.sync()
    for base in ("huracan", "Huracan"):
        assert sync.upload_file(_file(machine, "latest.json", b"{}"), f"/{base}/champion/latest.json", overwrite=True)
    _, response = sync._dbx.files_download("/huracan/champion/latest.json")
    assert response.content == b"{}"
    assert [path.lower() for path in machine.stranger.paths()] == ["/huracan/champion/latest.json"]


def test_p04_two_mechanics_lose_no_promotion(machine):
    pointer = "/huracan/champion/promotions.json"
    one, other = machine.sync(), machine.sync()

    def promote(sync, symbol):
        try:
            _, response = sync._dbx.files_download(pointer)
            known = json.loads(response.content)
        except Exception:  # noqa: BLE001 - as the service does it: nothing there is an empty list
            known = {"promotions": []}
        known["promotions"].append(symbol)
        return _file(machine, "promotions.json", json.dumps(known).encode())

    def write(sync, path):
        return sync.upload_file(path, pointer, overwrite=True)

    assert write(one, promote(one, "BTC"))
    assert write(one, promote(one, "ETH"))
    assert json.loads(machine.stranger.read(pointer)) == {"promotions": ["BTC", "ETH"]}
    # Both read, both write: the second is told instead of undoing the first.
    first, second = promote(one, "SOL").read_bytes(), promote(other, "XRP").read_bytes()
    assert write(one, _file(machine, "first.json", first))
    assert not write(other, _file(machine, "second.json", second))
    assert type(other.last_error).__name__ == "Conflict"
    assert other.pending == []  # a stale pointer must not be delivered later
    assert write(other, promote(other, "XRP"))
    assert json.loads(machine.stranger.read(pointer)) == {"promotions": ["BTC", "ETH", "SOL", "XRP"]}


def test_p05_one_candle_has_one_place_by_every_route(machine):
    sync = machine.sync()
    for name in (SPOT, PERP):
        path = machine.work / "data/candles/BTC" / name
        write_candle(path, seed=name)
        assert sync.upload_data_cache("data/candles") > 0
        for folder in ("BTC", "BTC-USDT", "BTCUSDT"):
            assert sync.upload_file(path, f"{APP}/data/candles/{folder}/{name}", use_dated_folder=False)
        assert sync.upload_file(path, f"data/candles/{name}")
        assert sync.upload_candle_data("BTC/USDT", path)
        assert sync.sync_directory("data/candles/BTC", f"{APP}/data/candles/BTC", use_dated_folder=False)
        assert sync.export_coin_results("BTC/USDT", "2025-11-14", candle_data_path=path)["candle_data"]
    candles = [p for p in machine.stranger.paths() if p.startswith(f"{APP}/data/candles/")]
    assert candles == sorted(f"{APP}/data/candles/BTCUSDT/{name}" for name in (SPOT, PERP))
    assert machine.stranger.read(candles[0]) != machine.stranger.read(candles[1])


def test_p05_a_script_that_asks_the_old_place_finds_it_and_deletes_only_copies(machine):
    sync = machine.sync()
    path = machine.work / "data/candles/BTC" / SPOT
    content = write_candle(path)
    assert sync.upload_data_cache()
    old = f"{APP}/data/candles/BTC/{SPOT}"
    assert sync._dbx.files_get_metadata(old).size == len(content)
    machine.stranger.write(old, content)
    sync._dbx.files_delete_v2(old)
    assert machine.stranger.paths() == [f"{APP}/data/candles/BTCUSDT/{SPOT}"]


def test_p05_restore_takes_one_winner_of_several_old_copies(machine):
    older, newer = write_candle(machine.work / "a.parquet"), write_candle(machine.work / "b.parquet", rows=20)
    machine.stranger.write(f"{APP}/data/candles/BTC/{SPOT}", older)
    machine.dropbox.advance(60)
    machine.stranger.write(f"{APP}/data/candles/{SPOT}", newer)
    sync = machine.sync()
    assert sync.restore_data_cache() == 1
    assert machine.tree("data/candles") == {f"BTC/{SPOT}": newer}
    assert sync.restore_data_cache() == 0
    machine.clear_log()
    assert sync.upload_data_cache() == 1  # copied inside Dropbox to its one place: no byte is sent
    assert "files/upload" not in machine.requests()
    assert machine.stranger.read(f"{APP}/data/candles/BTCUSDT/{SPOT}") == newer
    assert len(machine.stranger.paths()) == 3  # nothing is deleted by name


def test_p06_a_day_is_said_once(machine):
    sync = machine.sync()
    day = sync._dated_folder.removeprefix(f"{APP}/")
    assert sync.write_text(f"{day}/manifest.json", "{}", use_dated_folder=True)
    assert sync.write_text(f"{sync._dated_folder}/again.json", "{}", use_dated_folder=True)
    assert machine.stranger.paths() == [f"{APP}/2025-11-14/again.json", f"{APP}/2025-11-14/manifest.json"]
    for path in ("logs/x", "/", f"{day}/x", f"{APP}/{day}/{day}/x", "/huracan/x"):
        assert sync._normalize_path(sync._normalize_path(path)) == sync._normalize_path(path)


def test_p07_after_midnight_it_is_another_day_and_nothing_is_sent_again(machine):
    sync = machine.sync()
    machine.write({f"logs/{n}.log": 3000 for n in range(5)})
    assert sync.upload_logs() == 5
    machine.moment += timedelta(hours=13)
    machine.write({"logs/new.log": b"new"})
    machine.clear_log()
    assert sync.upload_logs() == 6
    assert sync._dated_folder == f"{APP}/2025-11-15"
    assert len([p for p in machine.stranger.paths() if p.startswith(f"{APP}/2025-11-15/logs/")]) == 6
    assert machine.dropbox.log()["requests"]["files/upload"] == 1  # the new one; the others were copied over there
    machine.clear_log()
    assert sync.upload_logs() == 6
    assert machine.count() == 1


def test_p07_a_day_is_utc_whatever_the_clock_says(machine):
    zone = timedelta(hours=-5)
    machine.moment = datetime(2025, 11, 14, 23, 30, tzinfo=UTC).astimezone(timezone(zone))
    assert machine.sync()._dated_folder == f"{APP}/2025-11-14"


def test_p08_unchanged_is_one_request_and_no_byte(machine):
    sync = machine.sync()
    for n in range(60):
        write_candle(machine.work / f"data/candles/C{n}/C{n}-USDT_1d_20221112_20251111.parquet", seed=n)
    assert sync.upload_data_cache() == 60
    assert sync.upload_data_cache() == 60
    for path in (machine.work / "data/candles").rglob("*.parquet"):
        os.utime(path)
    machine.clear_log()
    for _ in range(6):
        assert sync.upload_data_cache() == 60
    assert machine.count() == 6
    assert not [route for route in machine.requests() if "upload" in route]


def test_p08_a_file_that_was_put_there_is_not_sent_again(machine):
    sync = machine.sync()
    path = _file(machine, "trades.csv", noise("t", 50_000))
    assert sync.upload_file(path, "exports/trades.csv")
    machine.clear_log()
    assert sync.upload_file(path, "exports/trades.csv")
    assert machine.requests() == {"files/get_metadata": 1}
    machine.stranger.write(f"{APP}/2025-11-14/exports/trades.csv", b"somebody else's")
    assert sync.upload_file(path, "exports/trades.csv")  # what we know of it is not believed
    assert machine.stranger.read(f"{APP}/2025-11-14/exports/trades.csv") == path.read_bytes()


def test_p09_a_file_of_any_size_arrives_in_parts(machine):
    sync = machine.sync()
    path = _file(machine, "trades.csv", noise("big", 20_000_000))
    assert sync.upload_file(path, "exports/trades.csv")
    assert machine.requests()["files/upload_session/append_v2"] == 3
    assert machine.stranger.read(f"{APP}/2025-11-14/exports/trades.csv") == path.read_bytes()
    machine.clear_log()
    assert sync.upload_file(path, "exports/trades.csv")
    assert machine.requests() == {"files/get_metadata": 1}


@pytest.mark.slow
def test_p09_a_large_upload_goes_on_where_it_was_cut(machine):
    path = _file(machine, "trades.csv", noise("big", 40_000_000))
    machine.dropbox.faults({"route": "files/upload_session/append_v2", "fault": "close", "nth": list(range(3, 60))})
    assert not machine.sync().upload_file(path, "exports/trades.csv")
    machine.dropbox.faults()
    machine.clear_log()
    assert machine.sync().upload_file(path, "exports/trades.csv")
    assert machine.requests()["files/upload_session/append_v2"] <= 4  # of five parts, at least one had arrived
    assert "files/upload_session/start" not in machine.requests()
    assert machine.stranger.read(f"{APP}/2025-11-14/exports/trades.csv") == path.read_bytes()


def test_p10_a_truncated_file_is_not_kept_and_a_damaged_download_not_installed(machine, monkeypatch):
    monkeypatch.setattr(candle_restore, "UNTOUCHED_S", 0.2)  # how long a half-written file must lie still
    sync = machine.sync()
    path = machine.work / "data/candles/BTC" / SPOT
    whole = write_candle(path, rows=500)
    assert sync.upload_data_cache() == 1
    path.write_bytes(whole[: len(whole) // 2])
    os.utime(path, (4e9, 4e9))  # newer than everything
    assert sync.upload_data_cache() == 0  # nor does it replace the good one
    assert sync.restore_data_cache() == 1
    assert path.read_bytes() == whole
    path.unlink()
    machine.dropbox.faults({"route": "files/download*", "fault": "corrupt"})
    assert sync.restore_data_cache() == 0
    assert not path.exists()
    machine.dropbox.faults()
    assert sync.restore_data_cache() == 1
    assert path.read_bytes() == whole


def test_p10_local_work_is_not_overwritten(machine):
    sync = machine.sync()
    path = machine.work / "data/candles/BTC" / SPOT
    write_candle(path, rows=10)
    assert sync.upload_data_cache() == 1
    longer = write_candle(path, rows=30)
    os.utime(path, (1, 1))
    assert sync.restore_data_cache() == 0
    assert path.read_bytes() == longer
    # Changed on both sides: the file with more rows wins, both ways.
    longest = write_candle(machine.work / "theirs.parquet", rows=60)
    machine.stranger.write(f"{APP}/data/candles/BTCUSDT/{SPOT}", longest)
    assert sync.upload_data_cache() == 0
    assert machine.stranger.read(f"{APP}/data/candles/BTCUSDT/{SPOT}") == longest
    assert sync.restore_data_cache() == 1
    assert path.read_bytes() == longest


def test_p11_a_round_trip_is_identical_in_bytes_and_paths(machine):
    sync = machine.sync()
    for seed, path in enumerate((f"BTC/{SPOT}", f"BTC/{PERP}", "1000SATS/1000SATS-USDC_1h_20250101_20251111.parquet")):
        write_candle(machine.work / "data/candles" / path, seed=seed)
    before = machine.tree("data/candles")
    assert sync.upload_data_cache() == 3
    assert sync.restore_data_cache("elsewhere") == 3
    assert machine.tree("elsewhere") == before
    assert sync.restore_data_cache() == 0


def test_p12_what_was_restored_is_not_sent_back_nor_fetched_again(machine):
    sync = machine.sync()
    write_candle(machine.work / "data/candles/BTC" / SPOT)
    assert sync.upload_data_cache() == 1
    box = DropboxSync(remote=machine.remote(), now=machine.now)
    (machine.work / "data").rename("old")
    assert box.restore_data_cache() == 1
    machine.clear_log()
    assert box.upload_data_cache() == 1
    assert box.restore_data_cache() == 0
    assert not [route for route in machine.requests() if "upload" in route or "download" in route]


def test_p13_every_page_is_read(machine):
    machine.dropbox.config(page_size=7)
    sync = machine.sync()
    for n in range(23):
        machine.stranger.write(f"{APP}/models/champions/latest/C{n:02}USDT.bin", b"m")
        machine.stranger.write(f"{APP}/2025-11-14/logs/{n:02}.log", b"l")
    assert sync.list_champion_models() == [f"C{n:02}USDT" for n in range(23)]
    assert len(sync.list_files("/logs")) == 23
    machine.dropbox.faults({"route": "files/list_folder/continue", "fault": "cursor_reset", "times": 1})
    assert len(sync.list_files("/logs")) == 23


def test_p14_unknown_is_not_empty(machine):
    sync = machine.sync()
    assert sync.list_files() == sync.list_champion_models() == []
    assert (sync.restore_data_cache(), sync.get_active_model("BTC/USDT"), sync.list_hamilton_roster()) == (
        0,
        None,
        None,
    )
    assert sync.last_error is None  # empty, and known to be
    machine.dropbox.faults(DEAD)
    for ask, answer in (
        (sync.list_files, []),
        (sync.list_champion_models, []),
        (sync.restore_data_cache, 0),
        (sync.list_hamilton_roster, None),
    ):
        sync.context.boundary.last_error = None
        with capture_logs() as events:
            assert ask() == answer
        assert isinstance(sync.last_error, Unreachable)
        assert [event["log_level"] for event in events] == ["error"]


def test_p14_false_is_kept_and_the_next_pass_delivers_it(machine):
    sync = machine.sync()
    machine.write({"metrics.json": b'{"sharpe": 1}', "logs/a.log": b"a", "big.csv": noise("b", 17 * 1024 * 1024)})
    machine.dropbox.faults(DEAD)
    with capture_logs() as events:
        assert sync.upload_file("metrics.json", "/models/BTC/USDT/metrics.json") is False
    assert [event["event"] for event in events if event["log_level"] == "error"] == ["file_upload_failed"]
    (machine.work / "metrics.json").unlink()  # as the pipeline does, whatever it was told
    assert sync.upload_file("big.csv", "exports/big.csv") is False
    assert sync.write_text("champion/latest.json", "{}") is False
    assert sync.upload_logs() == 0
    waiting = [Path(queued_write.remote).name for queued_write in sync.pending]
    assert waiting == ["metrics.json", "big.csv", "latest.json", "logs"]
    assert all(queued_write.error["error"] == "Unreachable" for queued_write in sync.pending)
    machine.dropbox.faults()
    machine.moment += timedelta(hours=20)  # what is delivered late belongs to its own day
    assert machine.sync().upload_logs() == 1
    assert sync.pending == []
    assert machine.stranger.read(f"{APP}/2025-11-14/models/BTC/USDT/metrics.json") == b'{"sharpe": 1}'
    assert machine.stranger.read(f"{APP}/champion/latest.json") == b"{}"
    assert machine.stranger.read(f"{APP}/2025-11-14/logs/a.log") == b"a"
    assert len(machine.stranger.read(f"{APP}/2025-11-14/exports/big.csv")) == 17 * 1024 * 1024


KILLED = """
import os, signal
from huracan_sync import DropboxSync
from huracan_sync.engine import candle_restore
sync = DropboxSync()
answer = sync.upload_file("metrics.json", "/keep/metrics.json")
os.unlink("metrics.json")
assert answer is False
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_p14_what_is_kept_outlives_the_process(logged_in):
    machine = logged_in
    machine.write({"metrics.json": b"precious"})
    machine.dropbox.faults({"route": "files/upload", "fault": "insufficient_space"})
    assert warm.run([sys.executable, "-c", KILLED], capture_output=True, check=False).returncode == -9
    machine.dropbox.faults()
    sync = DropboxSync(now=machine.now)
    assert len(sync.pending) == 1
    assert sync.write_text("beat.json", "{}")
    assert sync.pending == []
    kept = [p for p in machine.stranger.paths() if p.endswith("/keep/metrics.json")]
    assert machine.stranger.read(kept[0]) == b"precious"


def test_p14_a_newer_version_is_not_undone_by_a_late_delivery(machine):
    sync = machine.sync(now=lambda: datetime.now(UTC))
    machine.dropbox.faults(DEAD)
    assert not sync.write_text("beat.json", "old")
    assert not sync.write_text("mine.json", "old")
    machine.dropbox.faults()
    machine.dropbox.advance(60)
    machine.stranger.write(f"{APP}/beat.json", b"newer")
    assert sync.write_text("mine.json", "new")  # voids what waited for it
    assert sync.upload_logs() == 0
    assert machine.stranger.read(f"{APP}/beat.json") == b"newer"
    assert machine.stranger.read(f"{APP}/mine.json") == b"new"
    assert sync.pending == []


def test_p14_a_pasted_token_that_ended_keeps_what_the_next_login_delivers(logged_in):
    machine = logged_in
    machine.write({"metrics.json": b"precious"})
    pasted = DropboxSync(machine.token(), now=machine.now)
    machine.dropbox.advance(5 * 3600)
    with capture_logs() as events:
        assert not pasted.upload_file("metrics.json", "metrics.json")
    assert "authorize" in str([event.get("hint") for event in events])
    assert len(pasted.pending) == 1
    assert DropboxSync(now=machine.now).write_text("x", "x")
    assert machine.stranger.read(f"{APP}/2025-11-14/metrics.json") == b"precious"


def test_p14_what_is_for_another_account_waits_for_it(machine, logged_in):
    sync = DropboxSync(now=machine.now)
    machine.dropbox.faults({"route": "files/upload", "fault": "insufficient_space"})
    assert not sync.write_text("theirs", "x")
    queued_write = sync.pending[0]
    sync.context.outbox.put(msgspec.structs.replace(queued_write, account="dbid:another"), b"x")
    machine.dropbox.faults()
    assert sync.write_text("mine", "x")
    assert [queued_write.remote for queued_write in sync.pending] == [f"{APP}/theirs"]


def test_p14_a_folder_is_no_file(machine):
    sync = machine.sync()
    (machine.work / "folder").mkdir()
    assert sync.upload_file("folder", "folder") is False
    assert sync.pending == []
    assert "no file" in str(sync.last_error)
