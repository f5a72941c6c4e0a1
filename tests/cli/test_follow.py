"""`follow` as a process: a line for each new set, as soon as it is published."""

import json
import signal

import pytest
from machines import READ, Commands, publishing, trading, write
from reader_world import FILES, World
from sampled import slow

from huracan_sync.cli.follow import _Teller
from huracan_sync.cli.output import Output
from huracan_sync.errors import Unreachable
from huracan_sync.manifest.refusals import refused

SET = {"models/champions/latest/BTCUSDT.bin": b"1", "hamilton/roster.json": b"{}"}


@pytest.fixture
def publisher(dropbox, tmp_path):
    return publishing(dropbox, tmp_path / "engine")


@pytest.fixture
def hamilton(dropbox, tmp_path, publisher):
    return trading(dropbox, tmp_path / "hamilton", publisher)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, slow(signal.SIGINT)])
def test_each_set_is_told_of_until_a_signal_comes(publisher, hamilton, tmp_path, number):
    src = write(tmp_path / "src", SET)
    publisher.run("publish", src)
    following = hamilton.start("follow", "--json")
    try:
        first = json.loads(following.stdout.readline())
        assert (first["event"], first["sequence"], first["status"], first["files"]) == ("snapshot", 1, "fresh", 2)
        publisher.run("publish", "--heartbeat")  # no news
        publisher.run("publish", write(src, {"hamilton/roster.json": b"[]"}))
        second = json.loads(following.stdout.readline())
        assert (second["sequence"], second["bytes"], second["channel"]) == (3, 3, "champions")
        following.send_signal(number)
        out, err = following.communicate(timeout=120)
        assert (following.returncode, out, err) == (0, "", "")
    finally:
        following.kill()
        following.wait()


def test_once_and_in_words(publisher, hamilton, tmp_path):
    hamilton.say("follow", "--once", code=1)
    publisher.run("publish", write(tmp_path / "src", SET))
    out, _ = hamilton.say("follow", "--once")
    assert "FRESH  sequence 1 of champions: 2 files, 3 B, signed 20" in out
    assert hamilton.run("follow", "--once")["digest"]
    publisher.run("follow", "--once", "--channel", "candles", code=1)


def test_nobody_is_trusted(publisher, dropbox, tmp_path):
    Commands(dropbox, tmp_path / "stranger", scopes=READ).say("follow", code=78)


def test_every_change_is_told_once(tmp_path, capsys):
    world = World(tmp_path)
    world.publish()
    teller = _Teller(Output(as_json=True), "champions")

    def events():
        found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return [(each["event"], each.get("status") or each.get("error") or each["sequence"]) for each in found]

    snapshot = world.reader.latest("champions")
    teller.observed(snapshot)
    teller.snapshot(snapshot)
    teller.observed(snapshot)
    assert events() == [("snapshot", "fresh")]
    for _ in range(2):
        teller.problem(Unreachable("no network", sent=False))
    teller.observed(snapshot)
    assert events() == [("problem", "Unreachable"), ("status", "fresh")]
    for error in (
        refused("STALE", "late"),
        refused("STALE", "later"),
        refused("DEAD", "too late"),
        refused("HEAD_FORMAT", "rubbish"),
    ):
        teller.problem(error)
    assert events() == [("status", "stale"), ("status", "dead"), ("problem", "Refused")]
    world.engine.beat()
    teller.observed(world.reader.latest("champions"))
    assert events() == [("status", "fresh")]
    world.publish(FILES | {"hamilton/roster.json": b"[]"})
    news = world.reader.latest("champions")
    teller.observed(news)
    teller.snapshot(news)
    assert events() == [("snapshot", "fresh")]
