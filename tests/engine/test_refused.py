"""What only a person can mend: shown as refused, not ill, not logged again and again."""

import pytest
from structlog.testing import capture_logs

from huracan_sync.engine.daemon.status import State, Status

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
