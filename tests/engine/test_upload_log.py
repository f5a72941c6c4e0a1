"""What the engine logs of each file, under the names that its documents use; and which failures are no failure."""

from pathlib import Path

import pytest

from huracan_sync.engine import progress_log
from huracan_sync.engine.progress_log import ChangedCandleLog, RestoreLog, UploadLog, is_refused, is_unfinished
from huracan_sync.engine.staged_note import StagedNote, decoded
from huracan_sync.errors import (
    Conflict,
    DiskFull,
    FileChanged,
    HostilePath,
    LocalFailure,
    NotAuthorized,
    SecretInFile,
    TryLater,
    Unreachable,
    UsageError,
)


@pytest.fixture
def events(monkeypatch):
    """(level, event, fields) of everything that is logged."""
    seen = []

    class Log:
        def __getattr__(self, level):
            return lambda event, **fields: seen.append((level, event, fields))

    monkeypatch.setattr(progress_log, "log", Log())
    return seen


# what went wrong with a file -> unfinished, refused, and what is logged of it
FAILURES = {
    "still written": (FileChanged("x"), True, False, ("warning", "file_upload_waits")),
    "unreadable": (LocalFailure("x"), False, True, ("error", "file_upload_failed")),
    "a bad name": (HostilePath("x"), False, True, ("error", "file_upload_failed")),
    "a bad argument": (UsageError("x"), False, True, ("error", "file_upload_failed")),
    "a conflict": (Conflict("x"), False, True, ("error", "file_upload_failed")),
    "a secret": (SecretInFile("x", kinds=["token"]), False, True, ("error", "config_contains_secret")),
    "no network": (Unreachable("x"), False, False, ("debug", "file_not_sent")),
    "later": (TryLater("x"), False, False, ("debug", "file_not_sent")),
    "a full disk": (DiskFull("x"), False, False, ("debug", "file_not_sent")),
    "logged out": (NotAuthorized("x"), False, False, ("debug", "file_not_sent")),
}


@pytest.mark.parametrize("name", FAILURES)
def test_each_failure_is_logged_as_what_it_is(events, name):
    error, unfinished, refused, logged = FAILURES[name]
    assert (is_unfinished(error), is_refused(error)) == (unfinished, refused)
    UploadLog(Path("/here"), "/There", None).failed("a/x", error)
    ((level, event, fields),) = events
    assert (level, event) == logged
    assert (fields["local_path"], fields["remote_path"]) == ("/here/a/x", "/There/a/x")


def test_a_refusal_that_was_logged_before_is_not_logged_again(events):
    known = UploadLog(Path("/here"), "/There", None, known={"a": "a secret"})
    for error in (SecretInFile("a secret"), SecretInFile("another"), Unreachable("a secret")):
        known.failed("a", error)
    assert [event for _, event, _ in events] == ["file_still_refused", "config_contains_secret", "file_not_sent"]


def test_a_candle_that_changed_has_its_own_events(events):
    candles = ChangedCandleLog(Path("/here"), "/There", None)
    candles.finished("a.parquet", 5)
    for error in (FileChanged("x"), Conflict("x"), Unreachable("x")):
        candles.failed("a.parquet", error)
    assert [event for _, event, _ in events] == [
        "file_uploaded",
        "coin_data_synced_immediately",
        "file_upload_waits",
        "file_upload_failed",
        "file_not_sent",
        "recent_file_sync_failed",
    ]
    assert events[0][2]["size_bytes"] == 5
    assert events[1][2]["file"] == "/here/a.parquet"


def test_a_restore_names_both_sides(events):
    log = RestoreLog(Path("/here"), "/There")
    log.finished("BTC/a.parquet", 5)
    log.failed("b", Unreachable("x"))
    (done, failed) = events
    assert done[:2] == ("debug", "data_cache_file_restored")
    assert (done[2]["remote_path"], done[2]["size_bytes"]) == ("/There/BTC/a.parquet", 5)
    assert failed[:2] == ("warning", "data_cache_file_restore_failed")


def test_a_note_travels_and_none_takes_no_bytes():
    assert StagedNote().encoded() == b""
    assert decoded(b"") == StagedNote()
    for note in (StagedNote(overwrite=False), StagedNote(champion="BTC", day="2026-01-01")):
        assert decoded(note.encoded()) == note


@pytest.mark.parametrize("note", [b"\xff", b"\x93\xc3\xc3\xc3", b"\x92\xc3\xa1\xff"])
def test_a_note_that_is_none_is_told(note):
    with pytest.raises(UsageError, match="a note that says nothing"):
        decoded(note)
