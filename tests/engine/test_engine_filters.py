"""Filters of the engine and the daemon: the settings `include` and `exclude`, and a `.huracanignore`."""

import pytest
from structlog.testing import capture_logs

from huracan_sync.engine.settings import Settings, load
from huracan_sync.errors import ConfigError

FILES = {"logs/a.log": "1", "logs/noisy.log": "2", "logs/cache/b.log": "3", "logs/keep/noisy.log": "4"}
PLACE = "/Runpodhuracan/2025-11-14/logs/"


def uploaded(machine, settings=None):
    machine.write(FILES)
    sync = machine.sync(**({"settings": settings} if settings else {}))
    with capture_logs() as events:
        count = sync.upload_logs(machine.work / "logs")
    there = {path.removeprefix(PLACE) for path in machine.stranger.paths()}
    assert count == len(there)
    return there, events


def test_rules_of_the_settings_and_the_ignore_file_leave_files_out_and_say_so(machine):
    machine.write({"logs/.huracanignore": "cache/\n"})
    there, events = uploaded(machine, Settings(include=("/keep/",), exclude=("noisy.log",)))
    assert there == {"a.log", "keep/noisy.log"}
    (left_out,) = [event for event in events if event["event"] == "files_left_out"]
    assert left_out["files"] == 2
    assert "cache/b.log (a filter leaves it out)" in left_out["examples"]


def test_the_engine_takes_them_from_the_environment(machine, monkeypatch):
    monkeypatch.setenv("DROPBOX__EXCLUDE", "noisy.log; /cache/")
    assert uploaded(machine)[0] == {"a.log"}


def test_only_includes_leave_everything_else_out(machine):
    assert uploaded(machine, Settings(include=("noisy.log",)))[0] == {"noisy.log", "keep/noisy.log"}


def test_an_ignore_file_that_cannot_be_read_sends_nothing(machine):
    machine.write({"logs/.huracanignore": b"\xff\xfe"})
    sync = machine.sync()
    machine.write(FILES)
    assert sync.upload_logs(machine.work / "logs") == 0
    assert "UTF-8" in str(sync.last_error)
    assert machine.stranger.paths() == []


@pytest.mark.parametrize(
    ("given", "globs"),
    [
        ({"file": b"exclude = ['*.tmp', 'a;b']"}, ("*.tmp", "a;b")),
        ({"environment": {"DROPBOX__EXCLUDE": "*.tmp;{a,b}/"}}, ("*.tmp", "{a,b}/")),
        ({"arguments": {"exclude": "x"}}, ("x",)),
    ],
)
def test_every_layer_gives_globs(given, globs):
    settings = load(**given)
    assert settings.exclude == globs
    assert [(rule.includes, rule.pattern) for rule in settings.rules] == [(False, glob) for glob in globs]


@pytest.mark.parametrize("value", [b"include = 3", b"include = [1]"])
def test_what_is_no_list_of_globs(value):
    with pytest.raises(ConfigError, match="include"):
        load(file=value)
