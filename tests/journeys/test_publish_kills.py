"""Killed between any two steps of a publish: readers see the set before or the new one, and the next run goes on."""

import sys
import time
from pathlib import Path

import pytest
import warm
from machines import READ, Commands, Machine, write
from sampled import sampled

OLD = {f"models/champions/latest/{name}USDT.bin": b"old " + name.encode() for name in ("BTC", "ETH", "SOL")}
NEW = {path: data.replace(b"old", b"new") for path, data in OLD.items()}
# The intention is noted, the log stored, the head swapped (its revision is known here).
STEPS = 3
NOTED = 1
"""Cut after this one, the next run looks for a newer trust file first."""


def taken(machine):
    snapshot = machine.reader().latest("champions")
    return snapshot.sequence, {entry.path: snapshot.read(entry.path) for entry in snapshot}


@pytest.fixture
def world(dropbox, tmp_path):
    publisher = Commands(dropbox, tmp_path / "engine", key="sign.key")
    pin = publisher.run("keys", "init")["pin"]
    hamilton = Machine(dropbox, tmp_path / "hamilton", scopes=READ, clock=time.time, root="/Runpodhuracan")
    hamilton.reader().pin(pin)
    return publisher, hamilton, tmp_path / "src"


WORLDS = str(Path(__file__).parents[1] / "worlds")


def kill_at(publisher, step, when, *arguments):
    command = [sys.executable, "-m", "killed_publish", str(step), when, *map(str, arguments)]
    done = warm.run(command, env=publisher.env | {"PYTHONPATH": WORLDS}, capture_output=True, timeout=120, check=False)
    assert done.returncode == -9, done.stderr


@pytest.mark.parametrize("step", sampled(range(1, STEPS + 1), 3))
def test_a_set_is_never_half_published(world, step):
    publisher, hamilton, src = world
    publisher.run("publish", write(src, OLD))
    assert taken(hamilton) == (1, OLD)
    write(src, NEW)
    kill_at(publisher, step, "before", "publish", src)
    assert taken(hamilton) == (1, OLD)
    kill_at(publisher, step + (step > NOTED), "after", "publish", src)
    assert taken(hamilton) == ((2, NEW) if step == STEPS else (1, OLD))
    report = publisher.run("publish", src)
    assert report["sequence"] == 2, report
    assert report["uploaded"] == 0
    assert taken(hamilton) == (2, NEW)
    assert publisher.run("publish", src)["requests"] == 1


@pytest.mark.parametrize(("step", "when", "sequence"), [(1, "before", 1), (3, "before", 2), (3, "after", 1)])
def test_a_first_publish_is_there_or_not(world, step, when, sequence):
    """A copy in the log that never became the head is gone on from: who remembers nothing cannot know it."""
    publisher, hamilton, src = world
    kill_at(publisher, step, when, "publish", write(src, OLD))
    report = publisher.run("publish", src)
    assert (report["sequence"], report["uploaded"]) == (sequence, 0)
    assert taken(hamilton) == (sequence, OLD)


def test_a_push_cut_before_its_swap_signs_the_next_time_though_nothing_changed(world):
    publisher, hamilton, src = world
    write(src, OLD)
    kill_at(publisher, 3, "before", "push", src, "/Runpodhuracan", "--channel", "champions")
    report = publisher.run("push", src, "/Runpodhuracan", "--channel", "champions")
    assert (report["uploaded"], report["sequence"]) == (0, 2)  # goes on from the copy in the log
    assert taken(hamilton) == (2, OLD)
    assert publisher.run("push", src, "/Runpodhuracan", "--channel", "champions")["requests"] == 1
