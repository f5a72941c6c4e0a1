"""What the engine puts where Hamilton reads becomes one signed set, and Hamilton sees all of it or none."""

import io
import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import pyarrow.parquet as pq
import pytest
from engine_world import model, write_candle
from structlog.testing import capture_logs

from huracan_sync import connect
from huracan_sync.engine import champion_set
from huracan_sync.engine.run import run_once
from huracan_sync.engine.settings import load
from huracan_sync.engine.staged_sync import StagedSync
from huracan_sync.errors import NoSigningKey
from huracan_sync.hamilton import Hamilton
from huracan_sync.reader import Reader
from huracan_sync.remote.source import RemoteSource
from huracan_sync.signing.context import Context
from huracan_sync.signing.trust_files import TrustFiles

ROOT = "/Runpodhuracan"
MODELS = "models/champions/latest"
SPOT = "BTC-USDT_1d_20221112_20251111.parquet"


@pytest.fixture
def signer(machine, tmp_path, monkeypatch):
    """`keys init` was run: the machine's key and its pin."""
    monkeypatch.setenv("HURACAN_SIGNING_KEY_FILE", str(tmp_path / "sign.key"))
    return TrustFiles(Context.of(machine.remote(), home=machine.home), ROOT).begin()


@pytest.fixture
def hamilton(machine, tmp_path, signer):
    """Hamilton on a machine of his own, who has pinned the engine's key."""
    source = RemoteSource(machine.remote(), ROOT)
    reader = Reader(source, tmp_path / "hamilton", place=source.place, keep_set=0)
    reader.pin(str(signer.pin))
    return Hamilton(reader)


def taken(hamilton):
    snapshot = hamilton.latest()
    return {entry.path: snapshot.read(entry.path) for entry in snapshot}


def promote(machine, sync, *symbols, mark=""):
    """Train champions and name them in a roster, as the engine does."""
    for symbol in symbols:
        machine.write({"model.bin": model(symbol + mark, 3000), "config.json": json.dumps({"model_id": symbol + mark})})
        assert sync.upload_champion_model(symbol, "model.bin")
        assert sync.upload_hamilton_config(symbol, "config.json")
        assert sync.set_active_model(symbol, symbol + mark)
    roster = {"date": "20251114", "symbols": [{"symbol": symbol, "trade_ok": True} for symbol in symbols]}
    machine.write({"roster.json": json.dumps(roster)})
    return sync.export_hamilton_roster("roster.json")


def test_hamilton_sees_what_the_engine_promoted_once_the_roster_is_there(machine, hamilton):
    sync = machine.sync()
    assert promote(machine, sync, "BTC/USDT", "ETH/USDT")
    assert sync.last_error is None
    assert sorted(taken(hamilton)) == sorted(
        ["hamilton/roster.json"]
        + [f"{MODELS}/{s}USDT.bin" for s in ("BTC", "ETH")]
        + [f"hamilton/configs/{s}USDT.json" for s in ("BTC", "ETH")]
        + [f"hamilton/active/{s}USDT.txt" for s in ("BTC", "ETH")]
    )
    assert hamilton.champion("BTC-USDT").data == model("BTC/USDT", 3000)
    assert hamilton.active("ETHUSDT") == "ETH/USDT"
    assert hamilton.roster().get("BTCUSDT").trade_ok


def test_until_the_roster_is_there_he_sees_the_set_before(machine, hamilton):
    sync = machine.sync()
    assert promote(machine, sync, "BTC/USDT", "ETH/USDT")
    before = taken(hamilton)
    machine.write({"model.bin": b"half of a new set"})
    assert sync.upload_champion_model("BTC/USDT", "model.bin")
    assert hamilton.latest().sequence == 1
    assert taken(hamilton) == before  # by its revision, although something else lies there now
    assert promote(machine, sync, "ETH/USDT", mark=" two")
    assert hamilton.latest().sequence == 2
    assert hamilton.champion("BTCUSDT").data == b"half of a new set"
    assert hamilton.champion("ETHUSDT").data == model("ETH/USDT two", 3000)
    assert hamilton.active("BTCUSDT") == "BTC/USDT"  # nothing of the set before is lost


def test_a_set_costs_few_requests_and_nothing_new_costs_none(machine, hamilton):
    sync = machine.sync()
    promote(machine, sync, "BTC/USDT")
    machine.clear_log()
    assert sync.publish_champions()
    assert machine.count() == 0
    machine.write({"roster.json": "{}"})
    assert sync.export_hamilton_roster("roster.json")
    assert machine.count() <= 7, machine.requests()
    assert [p for p in machine.stranger.paths() if "/log/champions/" in p]


def test_who_touches_the_model_between_upload_and_signature_makes_no_mix_of_two_sets(machine, hamilton):
    sync = machine.sync()
    promote(machine, sync, "BTC/USDT", mark=" one")
    machine.write({"model.bin": model("BTC/USDT two", 3000), "config.json": json.dumps({"model_id": "two"})})
    assert sync.upload_champion_model("BTC/USDT", "model.bin")
    assert sync.upload_hamilton_config("BTC/USDT", "config.json")
    machine.stranger.write(f"{ROOT}/{MODELS}/BTCUSDT.bin", b"anything at all")
    assert sync.set_active_model("BTC/USDT", "two")
    machine.write({"roster.json": json.dumps({"date": "20251115", "symbols": []})})
    assert sync.export_hamilton_roster("roster.json")
    hamilton.latest()
    assert hamilton.champion("BTCUSDT").data == model("BTC/USDT two", 3000)
    assert (hamilton.config("BTCUSDT").model_id, hamilton.active("BTCUSDT")) == ("two", "two")


def test_what_a_stranger_left_is_not_signed_by_being_put_again(machine, hamilton):
    sync = machine.sync()
    promote(machine, sync, "BTC/USDT")
    machine.stranger.write(f"{ROOT}/data/candles/BTCUSDT/{SPOT}", content := b"PAR1 a stranger's PAR1")
    restored = machine.home / "restored"
    assert sync.restore_data_cache(restored) == 1
    (found,) = restored.rglob("*.parquet")
    assert found.read_bytes() == content
    machine.write({"model.bin": content})
    sync.upload_champion_model("SOL/USDT", "model.bin")
    assert sync.last_error.code == "UNSIGNED_CONTENT"
    promote(machine, sync, "ETH/USDT")
    assert content not in taken(hamilton).values()


@pytest.mark.slow
@pytest.mark.parametrize("size", [3000, 9000, 9 * 1024 * 1024])
def test_nor_by_a_machine_that_has_lost_its_memory(machine, hamilton, size):
    """The journal is gone; the mark on the file is not."""
    promote(machine, machine.sync(), "BTC/USDT")
    content = b"PAR1" + bytes(size) + b"PAR1"
    machine.stranger.write(f"{ROOT}/data/candles/BTCUSDT/{SPOT}", content)
    assert machine.sync().restore_data_cache(machine.work / "restored") == 1
    shutil.rmtree(machine.home)
    (restored,) = (machine.work / "restored").rglob("*.parquet")
    found = restored.rename(machine.work / "found.bin")
    sync = machine.sync()
    sync.upload_champion_model("SOL/USDT", found)
    assert sync.last_error.code == "UNSIGNED_CONTENT"
    promote(machine, sync, "ETH/USDT")
    assert content not in taken(hamilton).values()
    found.write_bytes(model("SOL/USDT", size))  # whoever changes it has made another
    assert sync.upload_champion_model("SOL/USDT", found)
    assert promote(machine, sync, "ETH/USDT", mark=" two")
    assert taken(hamilton)[f"{MODELS}/SOLUSDT.bin"] == model("SOL/USDT", size)


def test_nor_by_a_worker_who_stages_it_for_another_machine(machine, hamilton):
    """The driver has never had the file; the mark on it comes with the receipt."""
    content = b"PAR1" + bytes(3000) + b"PAR1"
    machine.stranger.write(f"{ROOT}/data/candles/BTCUSDT/{SPOT}", content)
    assert machine.sync().restore_data_cache(machine.work / "restored") == 1
    shutil.rmtree(machine.home)
    (restored,) = (machine.work / "restored").rglob("*.parquet")
    found = restored.rename(machine.work / "found.bin")
    driver = machine.sync(remote=connect("engine", env=machine.env, home=machine.home))
    promote(machine, driver, "BTC/USDT")
    with StagedSync(driver.lend(), now=machine.now) as worker:
        worker.upload_champion_model("SOL/USDT", found)
        receipts = worker.receipts()
    report = driver.commit([receipts])
    assert (report.failed, report.uploaded, report.sequence, report.unsigned) == ([], 1, 0, 1)
    assert driver.last_error.code == "UNSIGNED_CONTENT"
    promote(machine, driver, "ETH/USDT")
    assert content not in taken(hamilton).values()


def test_what_a_stranger_puts_there_is_never_stated(machine, hamilton):
    sync = machine.sync()
    promote(machine, sync, "BTC/USDT")
    machine.stranger.write(f"{ROOT}/{MODELS}/BTCUSDT.bin", b"a stranger's")
    machine.stranger.write(f"{ROOT}/{MODELS}/SOLUSDT.bin", b"a stranger's")
    promote(machine, sync, "ETH/USDT")
    assert b"a stranger's" not in taken(hamilton).values()
    assert hamilton.champion("BTCUSDT").data == model("BTC/USDT", 3000)


def test_a_model_that_may_be_a_program_refuses_the_set_until_it_is_replaced(machine, hamilton):
    sync = machine.sync()
    promote(machine, sync, "BTC/USDT")
    before = taken(hamilton)
    machine.write({"model.bin": b"\x80\x04K\x01."})
    assert sync.upload_champion_model("BTC/USDT", "model.bin")
    with capture_logs() as events:
        assert promote(machine, sync, "ETH/USDT")  # the roster lies in Dropbox all the same
    assert "champions_not_signed" in [event["event"] for event in events if event["log_level"] == "error"]
    assert sync.last_error.code == "KIND"
    assert taken(hamilton) == before
    machine.write({"model.bin": b"no pickle"})
    assert sync.upload_champion_model("BTC/USDT", "model.bin")
    assert sync.publish_champions()
    assert hamilton.latest().sequence == 2
    assert hamilton.champion("BTCUSDT").data == b"no pickle"
    assert hamilton.champion("ETHUSDT").data == model("ETH/USDT", 3000)


def test_without_a_network_the_set_waits_and_then_goes_whole(machine, hamilton):
    sync = machine.sync()
    promote(machine, sync, "BTC/USDT")
    machine.dropbox.faults({"route": "*", "fault": "close"})
    assert not promote_quietly(machine, sync, "ETH/USDT")
    machine.dropbox.faults()
    settings = load()
    report = run_once(machine.sync(settings=settings).context, settings)
    assert report.is_good, report
    assert report.kinds["champions"].files == len(taken(hamilton)) == 7
    assert hamilton.champion("ETHUSDT").data == model("ETH/USDT", 3000)


def promote_quietly(machine, sync, symbol):
    machine.write({"model.bin": model(symbol, 3000), "c.json": "{}", "roster.json": '{"symbols": []}'})
    done = [
        sync.upload_champion_model(symbol, "model.bin"),
        sync.upload_hamilton_config(symbol, "c.json"),
        sync.set_active_model(symbol, symbol),
        sync.export_hamilton_roster("roster.json"),
    ]
    return any(done)


@pytest.mark.slow
def test_many_workers_promote_at_once_and_none_is_lost(machine, hamilton):
    syncs = [machine.sync() for _ in range(4)]
    symbols = [f"C{n}/USDT" for n in range(12)]
    for symbol in symbols:
        machine.write({f"{symbol[:-5]}.bin": model(symbol, 500)})

    def one(n):
        return syncs[n % 4].upload_champion_model(symbols[n], f"C{n}.bin") and syncs[n % 4].publish_champions()

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(one, range(12)))
    assert len(taken(hamilton)) == 12


def test_what_is_stated_is_renewed_before_it_is_stale(machine, hamilton, monkeypatch):
    sync = machine.sync()
    promote(machine, sync, "BTC/USDT")
    assert champion_set.publish_noted(sync.context, quiet_s=60).files == 4
    assert hamilton.latest().sequence == 1
    channel_publisher = champion_set._channel_publisher
    monkeypatch.setattr(champion_set, "_channel_publisher", lambda s: _later(channel_publisher(s)))
    hamilton.reader._clock = _in_a_while
    assert champion_set.publish_noted(sync.context, quiet_s=60).files == 4
    assert hamilton.latest().sequence == 2
    assert len(taken(hamilton)) == 4


def _in_a_while():
    return time.time() + 1000


def _later(channel_publisher):
    channel_publisher._clock = channel_publisher._trust_files._clock = _in_a_while
    return channel_publisher


def test_continuous_sync_states_what_was_put_when_it_lies_still(machine, hamilton):
    sync = machine.sync()
    machine.write({"model.bin": b"m"})
    assert sync.upload_champion_model("BTC/USDT", "model.bin")
    assert champion_set.publish_noted(sync.context, quiet_s=60).waiting == 1
    machine.clear_log()
    assert champion_set.publish_noted(sync.context, quiet_s=0).waiting == 0
    assert hamilton.champion("BTCUSDT").data == b"m"


def test_without_a_key_nothing_is_noted_and_asking_says_so(machine):
    sync = machine.sync()
    assert promote(machine, sync, "BTC/USDT")
    assert not (machine.home / "unsigned").exists()
    assert sync.publish_champions() is False
    assert isinstance(sync.last_error, NoSigningKey)
    assert not [path for path in machine.stranger.paths() if "/.huracan/" in path]


def test_signing_can_be_switched_off(machine, signer):
    settings = load(environment={"DROPBOX__SIGN": "no"})
    assert promote(machine, machine.sync(settings=settings), "BTC/USDT")
    assert not (machine.home / "unsigned").exists()


def test_the_candles_of_a_full_pass_are_stated_and_restored_as_stated(machine, hamilton, tmp_path):
    write_candle(machine.work / "data/candles/BTC" / SPOT)
    write_candle(machine.work / "data/candles/ETH/ETH-USDT_1d_20221112_20251111.parquet", seed=1)
    sync = machine.sync()
    assert sync.upload_data_cache() == 2
    assert sync.last_error is None
    machine.clear_log()
    assert sync.upload_data_cache() == 2
    assert machine.count() == 1
    write_candle(machine.work / "data/candles/BTC" / SPOT, rows=30)
    assert (
        sync._folder_uploads.pass_over("data_cache", machine.work / "data/candles", because_of_the_disk=True).sent == 1
    )
    assert not [route for route in machine.requests() if "list_folder" not in route and "upload" not in route]
    assert sync.upload_data_cache() == 2
    code, out, err = machine.command(
        "restore", f"{ROOT}/data/candles", tmp_path / "back", "--channel", "candles", "--json", **_key()
    )
    assert (code, json.loads(out)["downloaded"]) == (0, 2), err
    assert (tmp_path / "back/BTC" / SPOT).read_bytes() == (machine.work / "data/candles/BTC" / SPOT).read_bytes()


def test_the_candles_have_their_metadata_file_where_it_is_asked_for(machine, hamilton, tmp_path):
    write_candle(machine.work / "data/candles/BTC" / SPOT)
    write_candle(machine.work / "data/candles/ETH/ETH-USDT_1d_20221112_20251111.parquet", seed=1)
    sync = machine.sync(settings=load(environment={"DROPBOX__PARQUET_METADATA": "yes"}))
    sync.upload_data_cache()
    written = write_candle(machine.work / "data/candles/BTC" / SPOT, rows=30)
    assert sync._folder_uploads.pass_over("data_cache", machine.work / "data/candles", because_of_the_disk=True).sent
    metadata = pq.read_metadata(io.BytesIO(machine.stranger.read(f"{ROOT}/data/candles/_metadata")))
    groups = [metadata.row_group(n) for n in range(metadata.num_row_groups)]
    assert {group.column(0).file_path for group in groups} == {
        f"BTCUSDT/{SPOT}",
        "ETHUSDT/ETH-USDT_1d_20221112_20251111.parquet",
    }
    assert max(group.num_rows for group in groups) == 30
    assert machine.stranger.read(f"{ROOT}/data/candles/BTCUSDT/{SPOT}") == written
    code, _, err = machine.command("restore", f"{ROOT}/data/candles", tmp_path / "back", "--json", **_key())
    assert code == 0, err
    assert (tmp_path / "back/_metadata").exists()


def _key():
    return {"HURACAN_SIGNING_KEY_FILE": os.environ["HURACAN_SIGNING_KEY_FILE"]}


def test_candles_that_cannot_be_stated_are_safe_all_the_same(machine, tmp_path, monkeypatch):
    key = tmp_path / "nobody.key"
    monkeypatch.setenv("HURACAN_SIGNING_KEY_FILE", str(key))
    write_candle(machine.work / "data/candles/BTC" / SPOT)
    sync = machine.sync()
    with capture_logs() as events:
        assert sync.upload_data_cache() == 1
    assert "candles_not_signed" in [event["event"] for event in events]
    assert sync.last_error.hint
    assert machine.stranger.read(f"{ROOT}/data/candles/BTCUSDT/{SPOT}")


@pytest.mark.parametrize("size", [3 << 20, 10 << 20])
@pytest.mark.parametrize("by", ["the engine", "a worker"])
def test_of_a_large_model_the_piece_that_is_read_is_proved_by_itself(machine, hamilton, by, size):
    """A table of 64 KiB leaves comes with it: less is fetched than a block of 4 MiB."""
    sync = machine.sync(remote=connect("engine", env=machine.env, home=machine.home))
    machine.write({"model.bin": (content := model("large", size))})
    if by == "the engine":
        assert sync.upload_champion_model("BTC/USDT", "model.bin")
    else:
        with StagedSync(sync.lend(), now=machine.now) as worker:
            worker.upload_champion_model("BTC/USDT", machine.work / "model.bin")
            receipts = worker.receipts()
        assert sync.commit([receipts]).failed == []
    assert promote(machine, sync, "ETH/USDT")
    snapshot, path, at = hamilton.latest(), f"{MODELS}/BTCUSDT.bin", size // 2
    assert snapshot.item(path).leaves
    before = machine.dropbox.log()["bytes_out"]
    assert snapshot.read_range(path, at, 1000) == content[at : at + 1000]
    assert machine.dropbox.log()["bytes_out"] - before < 300_000
    assert promote(machine, sync, "ETH/USDT", mark=" again")  # what is restated keeps its table
    assert hamilton.latest().item(path).leaves == snapshot.item(path).leaves
