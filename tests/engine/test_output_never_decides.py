"""Output never decides: a log that cannot be written, or a text that cannot be encoded, is no exception of a call."""

import os
import traceback

import pytest
import structlog
from structlog.testing import capture_logs

from huracan_sync.errors import UsageError

APP = "/Runpodhuracan"
HALF = "half of a character: \ud83d"


@pytest.fixture(params=[BrokenPipeError(32, "closed"), OSError(28, "no space left"), ValueError("closed file")])
def broken_log(request):
    """Whoever reads the log is gone, or its disk is full."""

    def fails(*_):
        raise request.param

    before = structlog.get_config()
    structlog.configure(processors=[fails])
    yield
    structlog.configure(**before)


def test_a_log_that_cannot_be_written_changes_no_answer(machine, broken_log):
    machine.write({"logs/a.log": "a", "m.bin": "m"})
    sync = machine.sync()
    assert (sync.write_text("a.txt", "x"), sync.upload_logs(), sync.upload_file("m.bin", "m.bin")) == (True, 1, True)
    assert sync.upload_file("nowhere", "x") is False
    assert sync.last_error is not None
    assert len(machine.stranger.paths()) == 3


@pytest.mark.parametrize("call", [("write_text", "a.txt", HALF), ("set_active_model", "BTC/USDT", HALF)])
def test_half_of_a_character_is_a_typed_error(machine, call):
    sync = machine.sync()
    name, *arguments = call
    with capture_logs() as events:
        assert getattr(sync, name)(*arguments) is False
    assert isinstance(sync.last_error, UsageError)
    assert [event["log_level"] for event in events] == ["error"]
    assert sync.pending == []


def test_a_file_whose_name_is_no_utf8_is_sent_or_kept(machine):
    name = os.fsdecode(b"caf\xe9.bin")
    (machine.work / name).write_bytes(b"coffee")
    sync = machine.sync()
    machine.dropbox.faults({"route": "files/upload", "fault": "insufficient_space", "nth": 1})
    assert sync.upload_file(name, "coffee.bin") is False
    (machine.work / name).unlink()
    assert len(sync.pending) == 1
    assert sync.write_text("x", "x")
    assert machine.stranger.read(f"{APP}/2025-11-14/coffee.bin") == b"coffee"


@pytest.mark.parametrize("path", ["a/\ud83d.txt", "\ud83d"])
def test_a_remote_name_that_is_no_text_is_refused(machine, path):
    sync = machine.sync()
    assert sync.write_text(path, "x") is False
    assert isinstance(sync.last_error, UsageError)
    assert sync.list_files(path) == []
    assert sync.last_error is not None


# --- the last error -----------------------------------------------------------------------------------------------


def test_the_last_error_is_over_after_a_later_success(machine):
    sync = machine.sync()
    machine.write({"logs/a.log": "a"})
    assert sync.upload_file("nowhere", "x") is False
    assert sync.last_error is not None
    assert sync.upload_logs() == 1
    assert sync.last_error is None
    machine.dropbox.faults({"route": "files/upload", "fault": "insufficient_space", "nth": 1})
    results = sync.export_coin_results("BTC/USDT", "2025-11-14", model_path="logs/a.log", metrics_path="logs/a.log")
    assert sorted(results.values()) == [False, True]
    assert sync.last_error is not None  # one call, and something in it failed
    assert sync.write_text("x", "x")
    assert sync.last_error is None


def test_the_hint_is_in_the_traceback(machine):
    sync = machine.sync()
    assert sync.sync_directory("nowhere", "/x") == 0
    text = "".join(traceback.format_exception(sync.last_error))
    assert sync.last_error.hint
    assert text.rstrip().endswith(f"hint: {sync.last_error.hint}")
