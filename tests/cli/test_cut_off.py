"""`status` after a run was killed for real: the row is there, says what to do, is forgotten on request, and heals."""

import json
import os
import signal
import time

import pytest
from machines import Commands

from huracan_sync.disk.lock import hold
from huracan_sync.transfer.journal import Journal
from huracan_sync.transfer.journal.runs import Runs, lock_of

DATA = "/Runpodhuracan/data"
WORDS = {"push": ("push", "src", DATA), "restore": ("restore", DATA, "back")}


@pytest.fixture
def engine(dropbox, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "src").mkdir()
    for number in range(8):
        (tmp_path / "src" / f"f{number}").write_bytes(os.urandom(3000))
    return Commands(dropbox, tmp_path / "engine")


def status(engine, code):
    (run,) = (row for row in engine.run("status", code=code)["runs"] if row["remote"] == DATA)
    return run


def killed_midway(engine, dropbox, verb, route):
    """SIGKILL, while a run waits for the answer to a call; what `status` said of it until then."""
    dropbox.faults({"route": route, "fault": "stall", "point": "request", "seconds": 600})
    process = engine.start(*WORDS[verb])
    try:
        while not dropbox.control("faults")["faults"][0]["struck"]:
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        running = status(engine, 0)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        dropbox.faults()
    assert process.returncode == -signal.SIGKILL
    assert running["process"] == str(process.pid)
    return running


def is_told(engine, verb):
    out, _ = engine.say("status", code=1)
    heading, row, *below = out.splitlines()
    assert heading.split() == ["what", "last", "success", "in", "step", "failed", "local", "remote"]
    assert row.split()[:2] == [verb, "never"]
    assert row.rstrip().endswith(DATA)
    assert max(map(len, out.splitlines())) <= 80
    told = " ".join(" ".join(below).split())
    assert "did not come to its end (killed, or the machine went down); run it again, it carries on" in told
    run = status(engine, 1)
    assert (run["error"]["error"], run["last_success"], run["process"]) == ("CutOff", None, "")
    assert run["local"].endswith("/src" if verb == "push" else "/back")


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("verb", "route"), [("push", "files/upload_session/finish_batch_v2"), ("restore", "files/download_zip")]
)
def test_a_first_run_that_was_killed_is_shown_until_it_is_repeated(engine, dropbox, verb, route):
    if verb == "restore":
        Commands(dropbox, engine.home.parent.parent / "other").run("push", "src", DATA)
    assert killed_midway(engine, dropbox, verb, route)["last_success"] is None
    is_told(engine, verb)
    out, _ = engine.say(*WORDS[verb])
    assert "0 failed" in out
    done = status(engine, 0)
    assert (done.get("error"), done.get("under_way_since")) == (None, None)
    assert "8 files" in engine.say("status")[0]


def test_it_is_noted_before_anything_is_asked(engine, dropbox):
    """Killed in its first request, which changes nothing: the row is there, and `--forget` takes it away."""
    killed_midway(engine, dropbox, "push", "files/list_folder")
    is_told(engine, "push")
    assert engine.say("status", "--forget")[0] == "1 row forgotten\n"
    assert "nothing has run" in engine.say("status")[0]


def test_a_later_run_that_was_killed_keeps_what_was_known(engine, dropbox):
    engine.run(*WORDS["push"])
    for number in range(8, 16):
        (engine.home.parent.parent / "src" / f"f{number}").write_bytes(os.urandom(3000))
    killed_midway(engine, dropbox, "push", "files/upload_session/finish_batch_v2")
    run = status(engine, 1)
    assert (run["uploaded"], run["error"]["error"]) == (8, "CutOff")
    assert run["last_success"] is not None


def test_what_runs_is_not_forgotten(tmp_path, monkeypatch):
    begun = [(0, "/a"), (1, "/b")]
    with Journal(tmp_path) as journal:
        runs = Runs(journal)
        for pair, channel in begun:
            runs.begin("dropbox", channel, "push", local="/here", pair=pair)
        with hold(lock_of(tmp_path, 1), what="a pair"):
            assert [run.under_way.holder for _, run in runs] == ["", str(os.getpid())]
            runs.begin("dropbox", "/b", "restore", local="/here", pair=1)
            monkeypatch.setattr("os.getpid", lambda: 1)
            runs.begin("dropbox", "/b", "push", local="/here", pair=1)  # of a process that was killed
            assert [run.under_way.holder != "" for _, run in runs] == [False, False, True]
            assert runs.forget() == 2
            assert [(run.channel, run.verb) for _, run in runs] == [("/b", "restore")]
        assert json.loads(next(journal.rows("SELECT report FROM runs", ()))[0])["local"] == "/here"
