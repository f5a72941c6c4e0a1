"""A worker's methods stage; the driver's commit puts all of it where the direct methods would have put it."""

import inspect
import json
import pickle
import re
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path

import pytest
import warm
from engine_world import noise, write_candle
from expecting import raises
from sampled import sampled

import huracan_sync
from huracan_sync import DropboxSync, connect, errors
from huracan_sync.engine.methods import EngineMethods
from huracan_sync.engine.staged_sync import StagedSync
from huracan_sync.operations import receipts as form

DAY = date(2025, 11, 14)
APP = "/Runpodhuracan"


@pytest.fixture
def driver(machine):
    """The engine's object on the driver, with a login that can lend."""
    machine.driver = connect("engine", env=machine.env, home=machine.home)
    machine.driver.pacing._sleep = machine.time.sleep
    return machine.sync(remote=machine.driver)


@pytest.fixture
def stages(machine, driver, monkeypatch):
    """A function that has a worker do something, and its receipts."""
    monkeypatch.chdir(machine.work)

    def work(*calls, **options):
        with StagedSync(driver.lend(share=0.5), now=machine.now, **options) as sync:
            for call in calls:
                call(sync)
            return sync.receipts()

    return work


FILES = {
    "logs/a.log": b"one\n",
    "logs/deep/b.log": b"two\n",
    "logs/learning/c.json": b"{}",
    "models/m.bin": 5000,
    "models/m.txt": b"no model",
    "reports/r.json": b"{}",
    "config/c.yaml": b"a: 1\n",
    "exports/e.csv": b"1,2\n",
    "any/x.bin": 9_000_000,
    "any/y/z.bin": 12,
    "one.json": b'{"a": 1}',
}

UPLOADS = {
    "upload_file": lambda s: s.upload_file("one.json", "reports/one.json"),
    "upload_file literally": lambda s: s.upload_file("one.json", "/huracan/x/one.json", use_dated_folder=False),
    "write_text": lambda s: s.write_text("notes/n.txt", "hé"),
    "write_text dated": lambda s: s.write_text("notes/n.txt", "hé", use_dated_folder=True),
    "sync_directory": lambda s: s.sync_directory("any", "somewhere"),
    "sync_directory one pattern": lambda s: s.sync_directory("any", "somewhere", "*.bin", recursive=False),
    "upload_logs": lambda s: s.upload_logs(),
    "upload_models": lambda s: s.upload_models(),
    "upload_monitoring_data": lambda s: s.upload_monitoring_data(),
    "upload_reports": lambda s: s.upload_reports(),
    "upload_exports": lambda s: s.upload_exports(),
    "upload_learning": lambda s: s.upload_learning(),
    "upload_configs": lambda s: s.upload_configs(),
    "upload_data_cache": lambda s: s.upload_data_cache(),
    "sync_all": lambda s: s.sync_all(),
    "export_coin_results": lambda s: s.export_coin_results(
        "BTC/USDT",
        DAY,
        model_path="models/m.bin",
        metrics_path="one.json",
        costs_path="missing.json",
        candle_data_path="data/candles/BTC/BTC-USDT_1d_20250101_20251114.parquet",
        additional_files={"a b/c": "any/y/z.bin"},
    ),
    "export_coin_results legacy": lambda s: s.export_coin_results(
        "BTC/USDT", DAY, model_path="models/m.bin", features_path="one.json", use_organized_structure=False
    ),
    "upload_training_artifact": lambda s: s.upload_training_artifact("ETH/USDT", DAY, "one.json", "metrics"),
    "upload_candle_data": lambda s: s.upload_candle_data(
        "BTC/USDT", "data/candles/BTC/BTC-USDT_1d_20250101_20251114.parquet"
    ),
    "export_hamilton_roster": lambda s: s.export_hamilton_roster("one.json"),
    "export_hamilton_champion": lambda s: s.export_hamilton_champion("one.json"),
    "upload_hamilton_config": lambda s: s.upload_hamilton_config("BTC/USDT", "one.json"),
    "set_active_model": lambda s: s.set_active_model("BTC/USDT", "m-1"),
    "upload_champion_model": lambda s: s.upload_champion_model("BTC/USDT", "models/m.bin"),
}
READS = {"restore_data_cache", "list_files", "get_active_model", "list_hamilton_roster", "list_champion_models"}


def tree(machine):
    return {entry["path_display"]: entry["content_hash"] for entry in machine.stranger.entries()}


def clear(machine):
    for top in {path.split("/")[1] for path in machine.stranger.paths()}:
        machine.stranger.delete(f"/{top}")


def prepare(machine):
    machine.write(FILES)
    write_candle(machine.work / "data/candles/BTC/BTC-USDT_1d_20250101_20251114.parquet")
    write_candle(machine.work / "data/candles/BTC/BTC-USDT:USDT_1d_20250101_20251114.parquet", rows=7)


def test_the_table_has_every_method_that_uploads():
    public = {n for n, _ in inspect.getmembers(EngineMethods, inspect.isfunction) if not n.startswith("_")}
    assert public - READS == {name.split(" ")[0] for name in UPLOADS}


@pytest.mark.every_case
@pytest.mark.parametrize("name", sampled(UPLOADS, 4))
def test_staged_and_direct_come_to_the_same_tree_and_answer(machine, driver, stages, name):
    prepare(machine)
    call = UPLOADS[name]
    answer = call(machine.sync())
    direct = tree(machine)
    assert direct
    clear(machine)
    answers = []
    receipts = stages(lambda sync: answers.append(call(sync)))
    assert machine.stranger.paths() == []  # nothing is visible before the commit
    report = driver.commit([receipts])
    assert tree(machine) == direct
    assert answers == [answer]
    assert (report.uploaded, report.failed) == (len(direct), [])


def test_a_training_run_is_one_commit(machine, driver, stages):
    prepare(machine)
    coins = [f"C{n}/USDT" for n in range(20)]
    machine.clear_log()
    receipts = [
        stages(
            lambda sync, coin=coin: sync.export_coin_results(coin, DAY, metrics_path="one.json", costs_path="one.json")
        )
        for coin in coins
    ]
    staged = machine.requests()
    assert {route: n for route, n in staged.items() if "upload_session" in route} == {
        "files/upload_session/start_batch": 20,
        "files/upload_session/append_batch": 20,
    }
    machine.clear_log()
    report = driver.commit(receipts)
    assert {route: n for route, n in machine.requests().items() if route != "oauth2/token"} == {
        "files/upload_session/finish_batch_v2": 1
    }
    assert report.uploaded == 40
    machine.clear_log()
    assert driver.commit(receipts).skipped == 40
    assert machine.requests() == {}


def test_champions_before_are_archived_in_one_call(machine, driver, stages):
    prepare(machine)
    old = {symbol: noise(f"old {symbol}", 100) for symbol in ("AAA", "BBB", "CCC")}
    for symbol, data in old.items():
        machine.stranger.write(f"{APP}/models/champions/latest/{symbol}.bin", data)
    machine.stranger.write(f"{APP}/models/champions/archive/2025-11-14/BBB.bin", b"an earlier one of the day")
    receipts = stages(
        lambda sync: sync.upload_champion_model("AAA", "models/m.bin"),
        lambda sync: sync.upload_champion_model("BBB", "models/m.bin"),
        lambda sync: sync.upload_champion_model("CCC", "models/m.bin", archive_previous=False),
        lambda sync: sync.upload_champion_model("DDD", "models/m.bin"),
    )
    report = driver.commit([receipts])
    assert report.failed == []
    new = noise("models/m.bin", 5000)
    assert [machine.stranger.read(f"{APP}/models/champions/latest/{s}.bin") == new for s in old] == [True] * 3
    lying = machine.stranger.paths()
    archived = {path for path in lying if "/archive/" in path}
    assert len(archived) == 3
    assert machine.stranger.read(f"{APP}/models/champions/archive/2025-11-14/AAA.bin") == old["AAA"]
    assert old["BBB"] in [machine.stranger.read(path) for path in archived]
    assert f"{APP}/models/champions/latest/DDD.bin" in lying


def test_a_champion_that_cannot_be_archived_is_not_replaced(machine, driver, stages):
    prepare(machine)
    machine.stranger.write(f"{APP}/models/champions/latest/AAA.bin", b"old")
    receipts = stages(
        lambda sync: sync.upload_champion_model("AAA", "models/m.bin"),
        lambda sync: sync.export_hamilton_roster("one.json"),
        lambda sync: sync.upload_training_artifact("AAA", DAY, "one.json"),
    )
    machine.dropbox.faults({"fault": "insufficient_space", "route": "files/copy_v2"})
    machine.stranger.write(f"{APP}/models/champions/archive/2025-11-14/AAA.bin", b"of the day")
    report = driver.commit([receipts])
    assert sorted(failure.path for failure in report.failed) == [
        "Runpodhuracan/hamilton/roster.json",
        "Runpodhuracan/models/champions/latest/AAA.bin",
    ]
    assert machine.stranger.read(f"{APP}/models/champions/latest/AAA.bin") == b"old"
    assert machine.stranger.read(f"{APP}/hamilton/roster.json") is None  # it names what is not there
    assert report.uploaded == 1


def test_what_was_not_to_be_overwritten_stays(machine, driver, stages):
    prepare(machine)
    machine.stranger.write(f"{APP}/hamilton/configs/BTCUSDT.json", b"theirs")
    receipts = stages(lambda sync: sync.upload_hamilton_config("BTC/USDT", "one.json", overwrite=False))
    report = driver.commit([receipts])
    assert report.failed == []
    assert machine.stranger.read(f"{APP}/hamilton/configs/BTCUSDT.json") == b"theirs"


def test_metadata_is_not_put_beside_a_model_that_is_not_there(machine, driver, stages):
    prepare(machine)
    receipts = stages(UPLOADS["export_coin_results"])
    kept = form.decode(receipts)
    from msgspec.structs import replace

    lost = [replace(f, session="gone") if f.path.endswith("model.bin") else f for f in kept.files]
    report = driver.commit([form.encode(kept.service, kept.account, lost, machine.driver.seal())])
    assert sorted(failure.path.rpartition("/")[2] for failure in report.failed) == ["model.bin", "model_metadata.json"]
    assert not any("/model/" in path for path in machine.stranger.paths())


def test_what_cannot_be_staged_fails_the_task(machine, driver, stages):
    prepare(machine)
    (machine.work / "half.parquet").write_bytes(b"PAR1" + bytes(100))
    answers = []
    with pytest.raises(errors.FileChanged):
        stages(lambda sync: answers.append(sync.upload_candle_data("BTC/USDT", "half.parquet")))
    assert answers == [False]
    machine.dropbox.faults({"fault": "expired_access_token", "route": "files/upload_session/*"})
    with raises("GRANT_EXPIRED"):
        stages(UPLOADS["upload_configs"])
    machine.dropbox.faults()
    assert not (machine.home / "outbox").exists()


def test_secrets_in_configuration_stay_here(machine, driver, stages):
    machine.write(
        {
            "config/c.yaml": b"dsn: postgresql://huracan:" + b"s3cr3tpassw0rd" + b"@db.internal/huracan\n",
            "config/d.yaml": b"a: 1\n",
        }
    )
    direct = machine.sync().upload_configs("config")
    clear(machine)
    answers = []
    report = driver.commit([stages(lambda sync: answers.append(sync.upload_configs()))])
    assert answers == [direct] == [1]
    assert report.uploaded == 1


def test_nobody_stages_signatures_or_notes_that_say_nothing(machine, driver):
    key, service = machine.driver.seal(), machine.driver.wire.endpoint.namespace
    account = machine.driver.place.partition("/")[2]

    def receipt(path, note=b""):
        return form.encode(service, account, [form.Receipt(path, "s", 0, b"\0" * 32, 0, 0, note=note)], key)

    with pytest.raises(errors.HostilePath):
        driver.commit([receipt("Runpodhuracan/.huracan/heads/champions.hzh")])
    with pytest.raises(errors.UsageError, match="says nothing"):
        driver.commit([receipt("Runpodhuracan/x", b"\xc1")])
    with pytest.raises(errors.UsageError, match="another machine"):
        driver.commit([form.encode(service, account, [])])


def test_what_a_worker_stages_with_is_not_pickled_and_shows_no_token(driver):
    grant = driver.lend()
    with StagedSync(grant) as sync:
        with pytest.raises(errors.UsageError, match="grant"):
            pickle.dumps(sync)
        assert grant.token.reveal() not in repr(sync) + repr(vars(sync))
        assert grant.seal.reveal() not in repr(grant) + repr(sync)


def train(grant, coin):
    with DropboxSync.staged(grant) as sync:
        sync.export_coin_results(coin, DAY, metrics_path="one.json")
        sync.upload_champion_model(coin, "models/m.bin")
        return sync.receipts()


@pytest.mark.slow
def test_workers_are_processes(machine, driver, monkeypatch):
    prepare(machine)
    monkeypatch.chdir(machine.work)
    grant = driver.lend(share=0.5)
    with ProcessPoolExecutor(2, mp_context=warm.context()) as pool:
        receipts = list(pool.map(train, [grant] * 4, [f"C{n}/USDT" for n in range(4)]))
    report = driver.commit(receipts)
    assert (report.uploaded, report.failed) == (8, [])
    assert json.loads(machine.stranger.read(f"{APP}/models/training/2025-11-14/C0USDT/metrics/training_metrics.json"))
    assert driver.list_champion_models() == [f"C{n}USDT" for n in range(4)]


def test_the_lines_in_the_documents_run(machine, monkeypatch):
    page = (Path(huracan_sync.__file__).parent / "docs" / "engine.md").read_text()
    (block,) = [text for text in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "sync.commit(" in text]
    for name, value in machine.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(machine.work)
    exec(compile(block, "engine.md", "exec"), {"__name__": "engine"})  # noqa: S102
    assert [path.rpartition("/")[2] for path in machine.stranger.paths()] == ["training_metrics.json"] * 2
