"""The engine's pains P15 to P28, each closed: through the public API, over real sockets."""

import itertools
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import warm
from engine_world import noise, trained, write_candle
from structlog.testing import capture_logs

from huracan_sync import DropboxSync

APP = "/Runpodhuracan"
SPOT = "BTC-USDT_1d_20221112_20251111.parquet"
DAY = date(2025, 11, 14)


def errors(events):
    return [event["event"] for event in events if event["log_level"] == "error"]


def test_p15_no_metadata_without_its_model(machine):
    sync = machine.sync()
    machine.write({"model.bin": b"m", "metrics.json": "{}"})
    machine.dropbox.faults({"route": "files/upload", "fault": "insufficient_space", "nth": 1})
    results = sync.export_coin_results("BTC/USDT", DAY, model_path="model.bin", metrics_path="metrics.json")
    assert results == {"model": False, "metrics": True}
    coin = f"{APP}/models/training/2025-11-14/BTCUSDT"
    # The metrics' upload took the model along, as any later pass would; the metadata it was not promised for stays out.
    assert f"{coin}/model/model_metadata.json" not in machine.stranger.paths()
    results = sync.export_coin_results("BTC-USDT", DAY, model_path="model.bin", metrics_path="metrics.json")
    assert results == {"model": True, "metrics": True}
    assert machine.stranger.paths() == sorted(
        f"{coin}/{path}" for path in ("model/model.bin", "model/model_metadata.json", "metrics/training_metrics.json")
    )
    assert json.loads(machine.stranger.read(f"{coin}/model/model_metadata.json"))["model_file"] == "model.bin"


def test_p15_legacy_results_go_where_they_went(machine):
    sync = machine.sync()
    machine.write({"model.bin": b"m", "features.json": "{}", "extra": b"x", "costs.json": "{}"})
    path = machine.work / SPOT
    write_candle(path)
    results = sync.export_coin_results(
        "ETH/USDT", "20251114", "model.bin", None, "costs.json", "features.json", path, {"plot": "extra"}, False
    )
    assert results == dict.fromkeys(("model", "costs", "features", "candle_data", "additional_plot"), True)
    assert machine.stranger.paths() == sorted(
        f"{APP}/coins/ETHUSDT/2025-11-14/{name}"
        for name in (
            "models/model.bin",
            "models/model_metadata.json",
            "metrics/costs.json",
            "data/features.json",
            f"data/{SPOT}",
            "results/plot.bin",
        )
    )


def test_p16_every_champion_of_a_day_is_in_the_archive(machine):
    sync = machine.sync()
    models = [noise(n, 500) for n in range(4)]
    for model in [models[0], models[0], models[1], models[2], models[1], models[3]]:
        machine.write({"model.bin": model})
        assert sync.upload_champion_model("BTC/USDT", "model.bin")
    latest = f"{APP}/models/champions/latest/BTCUSDT.bin"
    assert machine.stranger.read(latest) == models[3]
    archived = [p for p in machine.stranger.paths() if "/archive/2025-11-14/" in p]
    assert {machine.stranger.read(path) for path in archived} == set(models[:3])
    assert len(archived) == 3
    assert f"{APP}/models/champions/archive/2025-11-14/BTCUSDT.bin" in archived


def test_p16_without_an_archive_no_champion_is_replaced(machine):
    sync = machine.sync()
    machine.write({"one.bin": b"1", "two.bin": b"2"})
    assert sync.upload_champion_model("BTC/USDT", "one.bin")
    machine.dropbox.faults({"route": "files/copy_v2", "fault": "insufficient_space"})
    with capture_logs() as events:
        assert not sync.upload_champion_model("BTC/USDT", "two.bin")
    assert "champion_archive_failed" in [event["event"] for event in events]
    assert errors(events) == ["file_upload_failed"]
    assert machine.stranger.read(f"{APP}/models/champions/latest/BTCUSDT.bin") == b"1"
    machine.dropbox.faults()
    machine.moment += timedelta(days=1)
    assert sync.upload_logs() == 0
    assert sync.write_text("x", "x")  # takes the letter along, and archives first
    assert machine.stranger.read(f"{APP}/models/champions/latest/BTCUSDT.bin") == b"2"
    assert machine.stranger.read(f"{APP}/models/champions/archive/2025-11-15/BTCUSDT.bin") == b"1"


def test_p16_two_promotions_at_once_lose_neither(machine):
    sync = machine.sync()
    machine.write({"one.bin": b"1", "two.bin": b"2"})
    latest = f"{APP}/models/champions/latest/BTCUSDT.bin"
    assert sync.upload_champion_model("BTC/USDT", "one.bin")
    faster = []

    def before_the_upload(route, *rest, **more):
        if route == "files/upload" and not faster:
            faster.append(machine.stranger.write(latest, b"theirs"))
        return send(route, *rest, **more)

    send = sync.context.remote.send
    sync.context.remote.send = before_the_upload
    assert sync.upload_champion_model("BTC/USDT", "two.bin")
    archived = {machine.stranger.read(p) for p in machine.stranger.paths() if "/archive/" in p}
    assert (machine.stranger.read(latest), archived) == (b"2", {b"1", b"theirs"})


def test_p17_what_arrives_damaged_is_not_handed_out(machine):
    # Hamilton's verified, signed reading is `Hamilton.open(...)`; here the class's own readers.
    sync = machine.sync()
    machine.stranger.write(f"{APP}/hamilton/roster.json", b'{"date": "20251114", "symbols": []}')
    assert sync.list_hamilton_roster() == {"date": "20251114", "symbols": []}
    machine.dropbox.faults({"route": "files/download", "fault": "corrupt"})
    assert sync.list_hamilton_roster() is None
    assert type(sync.last_error).__name__ == "ContentMismatch"


def test_p18_no_secret_in_any_log(machine, caplog):
    token = machine.token()
    with capture_logs() as events:
        sync = DropboxSync(f" {token}\n")
        assert sync.upload_logs() == 0
        machine.dropbox.faults({"route": "*", "fault": "error", "tags": ["other"], "fields": {"said": token}})
        sync.list_files()
    told = repr(events) + repr(sync) + repr(vars(sync)) + str(sync.last_error) + caplog.text
    assert token not in told
    assert token[:20] not in told
    assert not any("token_prefix" in event or "account_email" in event for event in events)


def test_p18_a_config_with_a_secret_stays_here(machine):
    sync = machine.sync()
    secret = "postgresql://huracan:" + "s3cr3tpassw0rd" + "@db.internal/huracan"
    machine.write({"config/base.yaml": f"dsn: {secret}\n", "config/coins.yaml": "top: 250\n"})
    with capture_logs() as events:
        assert sync.upload_configs() == 1
    assert errors(events) == ["config_contains_secret"]
    assert secret not in repr(events)
    assert machine.stranger.paths() == [f"{APP}/2025-11-14/config/coins.yaml"]
    assert sync.pending == []  # no later pass may send it either
    assert sync.sync_all()["config"] == 1
    assert sync.upload_configs(allow_secrets=True) == 2


def test_p18_a_pass_that_is_made_up_for_looks_for_secrets_too(machine):
    sync = machine.sync()
    machine.write(
        {"config/base.yaml": "bot: " + "123456789:" + "A" * 10 + "b" * 25 + "\n", "config/coins.yaml": "top: 250\n"}
    )
    machine.dropbox.faults({"route": "*", "fault": "close"})
    assert sync.upload_configs() == 0
    machine.dropbox.faults()
    assert sync.write_text("x", "x")
    assert machine.stranger.paths() == [f"{APP}/2025-11-14/config/coins.yaml", f"{APP}/x"]


def test_p19_a_reader_can_look_and_looking_writes_nothing(machine):
    machine.stranger.write(f"{APP}/2025-11-14/logs/a.log", b"a")
    before = machine.stranger.entries("folder"), machine.stranger.paths()
    sync = DropboxSync(machine.token(["files.metadata.read", "files.content.read"]), now=machine.now)
    assert sync.list_files("/logs") == [f"{APP}/2025-11-14/logs/a.log"]
    assert sync.list_champion_models() == []
    assert (machine.stranger.entries("folder"), machine.stranger.paths()) == before
    assert not sync.write_text("x", "x")
    assert "files.content.write" in str(sync.last_error)
    assert "Permissions" in sync.last_error.hint


@pytest.mark.every_case
@pytest.mark.parametrize("path", ["a/../b", "a\x00b", "models//x", "..", "a\\b"])
def test_p20_a_hostile_path_is_refused_and_said(machine, path):
    sync = machine.sync()
    machine.write({"x": b"x"})
    machine.clear_log()
    for call in (
        lambda: sync.upload_file("x", path),
        lambda: sync.upload_file("x", path, use_dated_folder=False),
        lambda: sync.write_text(path, "x"),
        lambda: sync.upload_training_artifact("BTC/USDT", DAY, "x", path),
    ):
        assert call() is False
        assert type(sync.last_error).__name__ == "HostilePath"
    assert machine.count() == 0
    assert sync.pending == []


@pytest.mark.every_case
@pytest.mark.parametrize("name", ["", " ", "../x", "BTC/../ETH", "BTC\x00", "ß", "/"])
def test_p20_a_hostile_symbol_is_refused_and_said(machine, name):
    sync = machine.sync()
    machine.write({"x": b"x"})
    assert sync.export_coin_results(name, DAY, model_path="x") == {}
    assert sync.upload_champion_model(name, "x") is False
    assert sync.set_active_model(name, "x") is False
    assert sync.get_active_model(name) is None
    assert sync.upload_hamilton_config(name, "x") is False
    assert machine.stranger.paths() == []


def test_p20_a_leading_slash_is_no_matter(machine):
    sync = machine.sync()
    machine.write({"model.bin": b"m"})
    for path in ("Huracan/models/BTCUSDT/m.bin", "/Huracan/models/BTCUSDT/m.bin"):
        assert sync.upload_file("model.bin", path)
        assert sync.upload_file("model.bin", path, use_dated_folder=False)
    assert machine.stranger.paths() == ["/Huracan/models/BTCUSDT/m.bin"]
    assert sync.write_text(f"{APP}X/y", "y")  # a longer name is another folder, below ours
    assert f"{APP}{APP}X/y" in machine.stranger.paths()


def test_p20_symbols_have_one_spelling(machine):
    sync = machine.sync()
    for number, spelling in enumerate(("ETH-USDT", "ETH/USDT", "eth/usdt", "ETH_USDT", "ETHUSDT")):
        assert sync.set_active_model(spelling, f"model {number}")
        assert sync.get_active_model("ETHUSDT") == f"model {number}"
    assert sync.set_active_model("ETH/USDT:USDT", "perpetual")
    assert sync.get_active_model("ETH/USDT") == "model 4"
    assert len(machine.stranger.paths()) == 2
    machine.stranger.write(f"{APP}/hamilton/active/SOL-USDT.txt", b" older spelling \n")
    assert sync.get_active_model("SOL/USDT") == "older spelling"


def test_p21_a_half_written_file_waits(machine):
    sync = machine.sync()
    path = machine.work / "data/candles/BTC" / SPOT
    whole = write_candle(path)
    assert sync.upload_data_cache() == 1
    path.write_bytes(write_candle(machine.work / "longer.parquet", rows=50)[:-20])
    with capture_logs() as events:
        assert sync.upload_data_cache() == 0
        assert sync.upload_file(path, f"data/candles/{SPOT}") is False
    assert [e["event"] for e in events if e["event"] == "file_upload_waits"] == ["file_upload_waits"]
    assert machine.stranger.read(f"{APP}/data/candles/BTCUSDT/{SPOT}") == whole
    path.write_bytes((machine.work / "longer.parquet").read_bytes())
    assert sync.upload_data_cache() == 1
    assert machine.stranger.read(f"{APP}/data/candles/BTCUSDT/{SPOT}") == path.read_bytes()


def test_p21_a_log_that_grows_is_a_log_that_can_be_sent(machine):
    sync = machine.sync()
    machine.write({"logs/engine.log": b"line\n"})
    with (machine.work / "logs/engine.log").open("ab") as log:
        for _ in range(3):
            log.write(b"line\n" * 1000)
            log.flush()
            assert sync.upload_logs() == 1


WORKER = """
import sys
from huracan_sync import DropboxSync
sync = DropboxSync(sys.stdin.readline().strip())
assert sync.sync_directory("shared", "/shared") == 30, sync.last_error
assert sync.upload_file(f"own/{sys.argv[1]}.json", f"/own/{sys.argv[1]}.json")
"""


def test_p22_many_processes_share_what_is_known(machine):
    machine.write({f"shared/{n}.json": str(n) for n in range(30)} | {f"own/{n}.json": str(n) for n in range(3)})
    token = machine.token()
    workers = [
        warm.Popen([sys.executable, "-c", WORKER, str(n)], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for n in range(3)
    ]
    outcomes = [worker.communicate(token + "\n") for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0], outcomes
    assert len(machine.stranger.paths()) == 33
    paths = [p for p in machine.stranger.paths() if "/shared/" in p]
    assert {machine.stranger.revisions(path) for path in paths} == {1}  # nobody sent what another had sent


@pytest.mark.slow
def test_p22_a_cluster_of_workers_trains_and_shares_one_login(logged_in):
    machine = logged_in
    symbols = [f"C{n}/USDT" for n in range(12)]
    for n in range(20):
        write_candle(machine.work / f"data/candles/D{n}/D{n}-USDT_1d_20221112_20251111.parquet", seed=n)
    driver = DropboxSync(create_dated_folder=False)
    assert driver.list_files() == []
    machine.dropbox.advance(5 * 3600)  # whatever the driver had in memory is dead when the workers begin
    machine.clear_log()
    with ProcessPoolExecutor(6, mp_context=warm.context()) as workers:  # each is handed the driver's own object
        outcomes = list(workers.map(trained, itertools.repeat(driver), symbols))
    assert outcomes == [({"model": True, "metrics": True}, 20, True, None)] * 12
    assert machine.requests()["oauth2/token"] == 1
    paths = machine.stranger.paths()
    assert len([p for p in paths if p.startswith(f"{APP}/models/training/")]) == 36  # with metadata
    assert len([p for p in paths if p.startswith(f"{APP}/models/champions/latest/")]) == 12
    assert {machine.stranger.revisions(p) for p in paths} == {1}  # nobody sent what another had sent
    assert driver.pending == []


def test_p22_constructing_costs_nothing(machine):
    machine.clear_log()
    for _ in range(50):
        DropboxSync(create_dated_folder=False)
    assert machine.count() == 0
    assert not machine.home.exists()


def test_p23_nothing_points_to_a_model_that_is_not_there(machine):
    sync = machine.sync()
    machine.write({"model.bin": b"m"})
    order = []
    send = sync.context.remote.send
    sync.context.remote.send = lambda route, arg, *rest, **more: (
        order.append(arg["path"]) or send(route, arg, *rest, **more)
    )
    assert sync.export_coin_results("BTC/USDT", DAY, model_path="model.bin")
    assert [Path(path).name for path in order] == ["model.bin", "model_metadata.json"]


def test_p24_the_users_json_is_not_touched(machine):
    sync = machine.sync()
    text = '{"date":"20251114",  "models": {"BTCUSDT": "/x"} }\n'
    machine.write({"champion.json": text, "roster.json": text})
    assert sync.export_hamilton_champion("champion.json")
    assert sync.export_hamilton_roster("roster.json")
    assert sync.write_text("/huracan/champion/latest.json", text)
    places = [f"{APP}/hamilton/champion.json", f"{APP}/hamilton/roster.json", "/huracan/champion/latest.json"]
    assert machine.stranger.paths() == sorted(places)
    assert {machine.stranger.read(place) for place in places} == {text.encode()}


def test_p25_a_date_that_was_said_is_the_date(machine):
    sync = machine.sync()
    machine.write({"x.json": "{}"})
    for moment in (DAY, "2025-11-14", "20251114", datetime(2025, 11, 14, 23, tzinfo=UTC)):
        assert sync.upload_training_artifact("BTC/USDT", moment, "x.json", "metrics")
    assert machine.stranger.paths() == [f"{APP}/models/training/2025-11-14/BTCUSDT/metrics/x.json"]
    assert sync.upload_training_artifact("BTC/USDT", "yesterday", "x.json") is False
    assert "yesterday" in str(sync.last_error)


def test_p26_a_random_name_does_not_become_a_remote_one(machine):
    sync = machine.sync()
    with tempfile.NamedTemporaryFile(suffix=".json", dir=machine.work) as file:
        with capture_logs() as events:
            assert sync.upload_training_artifact("BTC/USDT", DAY, file.name, "metrics")
        assert sync.upload_training_artifact("BTC/USDT", DAY, file.name, "metrics", name="folds.json")
    assert "artifact_name_is_random" in [event["event"] for event in events]
    folder = f"{APP}/models/training/2025-11-14/BTCUSDT/metrics"
    assert machine.stranger.paths() == [f"{folder}/folds.json", f"{folder}/metrics.json"]


def test_p27_what_was_not_written_is_said(machine, monkeypatch):
    sync = machine.sync()
    machine.write({"x": b"mine"})
    assert sync.upload_file("x", "y", overwrite=False)
    with capture_logs() as events:
        assert sync.upload_file("x", "y", overwrite=False)
        assert not [event for event in events if event["log_level"] == "warning"]
        machine.stranger.write(f"{APP}/2025-11-14/y", b"theirs")
        assert sync.upload_file("x", "y", overwrite=False) is True
        assert sync.write_text("2025-11-14/y", "mine", overwrite=False) is True
    assert [(e["event"], e["differs"]) for e in events if e["log_level"] == "warning"] == [
        ("file_exists_skip", True)
    ] * 2
    assert machine.stranger.read(f"{APP}/2025-11-14/y") == b"theirs"
    monkeypatch.setenv("HURACAN_SYNC_STRICT", "1")
    with pytest.raises(Exception, match="not to be overwritten"):
        machine.sync().upload_file("x", "y", overwrite=False)


def test_p28_every_kind_of_model_is_uploaded(machine):
    sync = machine.sync()
    machine.write({f"models/{n}": n for n in ("a.pkl", "b.bin", "c.pth", "notes.txt")})
    assert sync.upload_models() == 3
    assert [Path(path).name for path in machine.stranger.paths()] == ["a.pkl", "b.bin", "c.pth"]
