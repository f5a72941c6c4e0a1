"""`status`: one screen of 80 columns, what is ill, what is forgotten; held by golden text."""

import json
from datetime import datetime

import msgspec
import pytest
from transfer_world import Killed, KilledAfter

from huracan_sync import cli
from huracan_sync.cli import status as verb
from huracan_sync.engine.daemon.status import State, Status
from huracan_sync.signing import expiry
from huracan_sync.transfer.journal import Journal, Run
from huracan_sync.transfer.journal.records import UnderWay
from huracan_sync.transfer.journal.runs import Runs

NOW = 1_800_000_000.0


def run_of(what="push", channel="/Runpodhuracan/data/candles", *, ok=True, **report):
    report = {"uploaded": 0, "skipped": 12_000, "failed": [], "local": "/workspace/engine/data/candles"} | report
    return Run(channel, what, NOW - 60, NOW - 300 if ok else None, report)


def shown(runs, continuous=None, pending=0, warnings=()):
    return verb.Overview(NOW, [("dropbox", run) for run in runs], continuous, pending, warnings)


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def test_a_run_is_one_line_of_80_columns_and_its_error_below():
    failed = {"path": "x.parquet", "error": "HalfWritten", "message": "x.parquet has no footer"}
    words = shown([run_of(), run_of("restore", ok=False, failed=[failed])]).words()
    assert words == [
        "what     last success  in step       failed  local              remote",
        "push     5 min ago     12,000 files  0       …ine/data/candles  …an/data/candles",
        "restore  never         12,000 files  1       …ine/data/candles  …an/data/candles",
        "  restore /Runpodhuracan/data/candles: 1 failed; x.parquet has no footer",
    ]


def test_what_a_run_left_out_is_counted_and_named_below_it():
    links = [{"path": f"link{n}", "why": "symbolic link"} for n in range(5)]
    words = shown([run_of(channel="/R", left_out=links), run_of("restore", left_out=["old.parquet"])])
    assert not words.is_ill()
    assert words.words()[3:] == [
        "  push /R: 5 left out: 'link0' (symbolic link), 'link1' (symbolic link), 'link2'",
        "    (symbolic link), ...",
        "  restore /Runpodhuracan/data/candles: 1 left out: 'old.parquet'",
    ]


def test_what_is_ill():
    assert not shown([run_of()]).is_ill()
    assert shown([run_of(failed=[{"message": "no"}])]).is_ill()
    ended = shown([run_of(error={"error": "Interrupted", "message": "interrupted"})])
    assert not ended.is_ill()
    assert "  push /Runpodhuracan/data/candles: interrupted" in ended.words()
    well = State("logs", 300.0, since=NOW - 10_000, last_success=NOW - 10)
    ill = State("models", 300.0, since=NOW - 10_000, last_success=NOW - 5_000, last_error="no network")

    def process(*kinds, written=NOW):
        return Status(1, NOW - 10_000, written, "dropbox", "Engine", list(kinds))

    assert not shown([], process(well)).is_ill()
    assert shown([], process(well, ill)).is_ill()
    assert not shown([], process(well, ill, written=NOW - 9_000)).is_ill()  # it does not run any more
    words = shown([], process(well, ill)).words()
    assert "  models: no network" in words
    assert max(map(len, words)) <= 80


def cut_off(channel, *, since=NOW - 1000, holder=""):
    return msgspec.structs.replace(run_of(channel=channel, ok=False), under_way=UnderWay(since, holder, 7))


def test_what_was_cut_off_is_ill_until_the_engine_brings_the_folder_home_on_another_day():
    assert shown([cut_off("/R/2027-01-14/logs")]).is_ill()
    assert not shown([cut_off("/R/2027-01-14/logs", holder="12")]).is_ill()
    later = run_of(channel="/R/2027-01-15/logs")
    healed = shown([cut_off("/R/2027-01-14/logs"), later])
    assert not healed.is_ill()
    assert not [line for line in healed.words() if "did not come to its end" in line]
    assert shown([cut_off("/R/2027-01-14/logs", since=NOW - 100), later]).is_ill()  # it succeeded before
    assert shown([cut_off("/R/2027-01-14/models"), later]).is_ill()
    assert shown([cut_off("/R/logs"), run_of(channel="/R/other")]).is_ill()


def test_notices_and_warnings_are_told():
    process = Status(1, NOW, NOW, "dropbox", "Engine", [], not_watching="inotify instances are used up")
    words = shown([], process, pending=3, warnings=["the key k ends on 2027-01-20"]).words()
    assert any("not watching" in line for line in words)
    assert "3 could not be delivered yet: `huracan-sync outbox` lists them" in words
    assert words[-1] == "warning: the key k ends on 2027-01-20"


def test_forget(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HURACAN_SYNC_HOME", str(tmp_path))
    with Journal(tmp_path) as journal:
        Runs(journal).end("dropbox", run_of(error={"message": "no"}))
    assert cli.main(["status", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["ill"], document["runs"][0]["local"]) == (True, "/workspace/engine/data/candles")
    assert cli.main(["status", "--forget"]) == 0
    assert capsys.readouterr().out == "1 row forgotten\n"
    assert cli.main(["status"]) == 0
    assert "nothing has run" in capsys.readouterr().out


def test_what_ends_soon_is_known_without_network(commands):
    ends = datetime.fromisoformat(commands.run("keys", "init")["expires"]).timestamp()
    assert expiry.endings(commands.home, ends - 31 * 86_400) == []
    (soon, *_) = expiry.endings(commands.home, ends - 86_400)
    (late, *_) = expiry.endings(commands.home, ends + 1)
    assert (soon.has_ended, late.has_ended) == (False, True)
    assert "trust file" in soon.sentence


def test_an_interrupted_push_is_shown(world):
    world.write({"a": b"1" * 5000})
    with pytest.raises(Killed):
        world.push(monitor=KilledAfter(1))
    with Journal(world.home) as journal:
        ((_, run),) = Runs(journal)
    assert (run.report["error"]["error"], run.succeeded) == ("Interrupted", None)
