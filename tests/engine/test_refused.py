"""What only a person can mend: shown as refused, not ill, not logged again and again."""

import os

import pytest
from structlog.testing import capture_logs

from huracan_sync import push
from huracan_sync.engine.daemon.status import State, Status
from huracan_sync.engine.folder_uploads import FolderUploads
from huracan_sync.engine.restores import Restores
from huracan_sync.engine.run import run_once
from huracan_sync.engine.settings import load
from huracan_sync.engine.tasks import Tasks
from huracan_sync.errors import ConfigError

APP = "/Runpodhuracan"


def errors(events):
    return [event["event"] for event in events if event["log_level"] == "error"]


@pytest.fixture
def logs_pass(machine):
    """One of many passes over the logs: its outcome, and the errors it logged."""
    sync = machine.sync()

    def one():
        with capture_logs() as events:
            outcome = sync._folder_uploads.pass_over("logs", machine.work / "logs")
        return outcome, errors(events)

    one.sync = sync
    return one


@pytest.mark.parametrize("name", [" bad.log", "a\x01.log", "ba\\d.log"])
def test_a_bad_name_is_refused_and_logged_once(machine, logs_pass, name):
    machine.write({"logs/good.log": "g", f"logs/{name}": "x"})
    first, logged = logs_pass()
    assert (first.sent, first.failed, first.refused) == (1, 0, 1)
    assert logged == ["file_upload_failed"]
    assert logs_pass.sync.pending == []
    again, logged = logs_pass()
    assert (again.refused, logged) == (1, [])
    (machine.work / "logs" / name).rename(machine.work / "logs/renamed.log")
    mended, logged = logs_pass()
    assert (mended.sent, mended.refused, logged) == (1, 0, [])
    machine.write({f"logs/{name}": "x"})
    assert logs_pass()[1] == ["file_upload_failed"]  # it is news again


def candles_task(machine):
    context = machine.sync().context
    tasks = Tasks(context, load(), FolderUploads(context), Restores(context)).by_kind(restores=True)
    return next(task for task in tasks if task.name == "data_cache")


@pytest.mark.parametrize("name", [" bad.parquet", "bad /x.parquet", "/".join(["deep"] * 40) + "/x.parquet"])
def test_a_badly_named_candle_stops_no_restore_and_is_refused(machine, name):
    machine.write({f"data/candles/{name}": b"x"})
    machine.stranger.write(f"{APP}/data/candles/BTCUSDT/BTC-USDT_1d_20250101_20250601.parquet", b"theirs")
    candles = candles_task(machine)
    for _ in range(2):
        outcome = candles.run(because_of_the_disk=False)
        assert (outcome.failed, outcome.refused, len(outcome.refusals)) == (0, 1, 1)
    assert "data/candles/BTC/BTC-USDT_1d_20250101_20250601.parquet" in machine.tree()


def test_a_candle_that_dropbox_keeps_back_is_refused_and_the_others_come(machine):
    for symbol in ("BTC", "ETH"):
        machine.stranger.write(f"{APP}/data/candles/{symbol}USDT/{symbol}-USDT_1d_20250101_20250601.parquet", b"theirs")
    there = f"{APP}/data/candles/BTCUSDT/BTC-USDT_1d_20250101_20250601.parquet".lower()
    machine.dropbox.faults({"fault": "restricted_content", "path": there})
    outcome = candles_task(machine).run(because_of_the_disk=False)
    assert (outcome.failed, outcome.refused, "keeps this content back" in outcome.refusals[0]) == (0, 1, True)
    assert [path for path in machine.tree() if path.startswith("data")] == [
        "data/candles/ETH/ETH-USDT_1d_20250101_20250601.parquet"
    ]


def test_a_lasting_conflict_is_refused(machine, logs_pass):
    machine.write({"logs/a.log": "mine"})
    machine.stranger.write(f"{APP}/2025-11-14/logs/a.log/in-the-way.log", b"a folder lies there")
    outcome, logged = logs_pass()
    assert (outcome.failed, outcome.refused, logged) == (0, 1, ["file_upload_failed"])
    assert logs_pass()[1] == []


def test_a_status_names_what_is_refused_and_left_out():
    kinds = [
        State("logs", 300, refused=2, refusals=["a: no", "b: no"]),
        State("models", 300, left_out=5, left_out_names=["x.zip (no model)"]),
    ]
    status = Status(1, 0.0, 0.0, "dropbox", "App", kinds, not_watching="instances used up")
    watching, refused, left_out = status.notices()
    assert "instances used up" in watching
    assert refused == "logs: 2 refused until somebody mends it: a: no; b: no"
    assert left_out == "models: 5 left out: x.zip (no model); ..."


# --- what is left out ---------------------------------------------------------------------------------------------


def test_models_in_every_recommended_format_are_synced(machine):
    ends = ["pkl", "bin", "pth", "onnx", "ubj", "safetensors", "lgb", "keras", "pt", "joblib"]
    machine.write({f"models/x.{end}": end for end in ends})
    assert machine.sync().upload_models() == len(ends)
    assert {path.rpartition(".")[2] for path in machine.stranger.paths()} == set(ends)


def test_what_a_kind_leaves_out_is_counted_and_named_once(machine, tmp_path):
    (tmp_path / "volume").mkdir()
    machine.write({"models/a.bin": "a", "models/notes.docx": "?", "models/deep/b.zip": "?", "models/.DS_Store": "?"})
    (machine.work / "models/linked").symlink_to(tmp_path / "volume")
    os.mkfifo(machine.work / "models/pipe.bin")
    sync = machine.sync()
    with capture_logs() as events:
        assert sync.upload_models() == 1
        outcome = sync._folder_uploads.pass_over("models", machine.work / "models")
    assert (outcome.left_out, outcome.refused, outcome.failed) == (5, 0, 0)  # .DS_Store too
    named = "; ".join(outcome.left_out_names)
    for part in ("notes.docx (no kind", "deep/b.zip (no kind", "linked (symbolic link)", "pipe.bin (special file)"):
        assert part in named
    (event,) = [event for event in events if event["event"] == "files_left_out"]
    assert (event["files"], "linked" in event["examples"]) == (5, True)


def test_what_another_kind_takes_is_not_left_out(machine):
    machine.write({"logs/a.log": "a", "logs/m.json": "{}", "logs/learning/l.json": "{}", "logs/core.dump": "?"})
    sync = machine.sync()
    for kind in ("logs", "monitoring"):
        outcome = sync._folder_uploads.pass_over(kind, machine.work / "logs")
        assert outcome.left_out_names == ("core.dump (no kind of data takes such names)",)


def test_a_report_names_what_was_left_out(machine, tmp_path):
    machine.write({"m/a.bin": "a"})
    (machine.work / "m/link").symlink_to(tmp_path)
    report = push(machine.work / "m", "/R/m", remote=machine.remote())
    assert report.as_dict()["left_out"] == [{"path": "link", "why": "symbolic link"}]


def test_folders_that_do_not_exist_are_said_and_none_at_all_is_not_good(machine):
    settings = load()
    report = run_once(machine.sync(settings=settings).context, settings)
    assert not report.is_good
    assert isinstance(report.failed["folders"], ConfigError)
    assert (machine.work / "data/candles").is_dir(), "restoring made it"
    again = run_once(machine.sync(settings=settings).context, settings)
    assert "data/candles" in str(again.failed["folders"]), "a folder that we have made tells of no engine"
    machine.write({"logs/a.log": "a"})
    report = run_once(machine.sync(settings=settings).context, settings)
    assert report.is_good
    assert "reports" in report.missing_folders
    assert "logs" not in report.missing_folders
