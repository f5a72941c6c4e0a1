"""Filters of the engine and the daemon: the settings `include` and `exclude`, and a `.huracanignore`."""

import os

import pytest
from engine_world import write_candle
from structlog.testing import capture_logs

from huracan_sync.engine.run import run_once
from huracan_sync.engine.settings import Settings, load
from huracan_sync.errors import ConfigError

FILES = {"logs/a.log": "1", "logs/noisy.log": "2", "logs/cache/b.log": "3", "logs/keep/noisy.log": "4"}
PLACE = "/Runpodhuracan/2025-11-14/logs/"
CANDLES = "/Runpodhuracan/data/candles"
NAME = "{}-USDT_1d_20221112_20251111.parquet"


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


@pytest.mark.parametrize("by", ["settings", "ignore file"])
def test_a_daemon_neither_sends_nor_restores_what_is_filtered(machine, by):
    there, here = f"{CANDLES}/BTCUSDT/{NAME.format('BTC')}", f"{CANDLES}/ETHUSDT/{NAME.format('ETH')}"
    for path in (there, here):
        machine.stranger.write(path, write_candle(machine.work / "x.parquet"))
    for symbol in ("SOL", "XRP"):
        write_candle(machine.work / "data/candles" / NAME.format(symbol))
    if by == "ignore file":
        machine.write({"data/candles/.huracanignore": "BTC*\nSOL*\n"})
    exclude = ("BTC*", "SOL*") if by == "settings" else ()
    settings = load(arguments={"exclude": exclude}, environment=os.environ)
    report = run_once(machine.sync(settings=settings).context, settings)
    assert (report.restored, report.failed) == (1, {})
    assert sorted(path.name for path in (machine.work / "data/candles").rglob("*.parquet")) == sorted(
        NAME.format(symbol) for symbol in ("ETH", "SOL", "XRP")
    )
    assert set(machine.stranger.paths()) == {there, here, f"{CANDLES}/XRPUSDT/{NAME.format('XRP')}"}


def test_an_ignore_file_that_cannot_be_read_restores_nothing(machine):
    machine.stranger.write(f"{CANDLES}/BTCUSDT/{NAME.format('BTC')}", write_candle(machine.work / "x.parquet"))
    machine.write({"data/candles/.huracanignore": b"\xff\xfe"})
    sync = machine.sync()
    assert sync.restore_data_cache() == 0
    assert "UTF-8" in str(sync.last_error)
