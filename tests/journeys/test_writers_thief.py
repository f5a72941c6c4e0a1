"""A thief with a write token among machines that push, publish, restore, rotate and die: no reader is deceived.

The default suite plays a few schedules; `-m long` plays 5,000 (-k five_thousand: CI plays them all, some four minutes
on two cores) or 100,000 (-k hundred_thousand, in shares: -k "hundred_thousand and share07").
They live in memory where there is a disk of it.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
import thief_world
from memory_dropbox import MemoryDropbox
from sampled import slow

from huracan_sync.manifest import checks, head
from huracan_sync.reader import Reader
from huracan_sync.signing import trust_files
from huracan_sync.transfer import compare
from huracan_sync.transfer.journal import signed_state

CHUNK = 125


MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own in it


@pytest.fixture(scope="module")
def quick():
    """A folder in which nothing waits for a disk: what is proved here has nothing to do with power failures."""
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def service(quick):
    dropbox = MemoryDropbox(quick / "emulator")
    yield dropbox
    dropbox.stop()


@pytest.fixture
def play(service, quick):
    """What went wrong in schedules, by seed; and how often readers accepted something and refused something."""

    def run(seeds, **options):
        problems, accepted, refused = {}, 0, 0
        beginning = thief_world.Beginning(service, quick / "beginning")
        for seed in seeds:
            folder = quick / str(seed)
            schedule = thief_world.run(seed, beginning, folder, **options)
            accepted, refused = accepted + schedule.accepted, refused + schedule.refused
            if schedule.problems:
                problems[seed] = (schedule.op, schedule.problems)
            shutil.rmtree(folder)
        shutil.rmtree(beginning.folder)
        return problems, accepted, refused

    return run


@pytest.mark.parametrize("chunk", [0, *map(slow, range(1, 4))])
def test_no_reader_is_deceived(play, chunk):
    problems, accepted, refused = play(range(chunk * 5, chunk * 5 + 5))
    assert problems == {}
    assert accepted
    assert refused


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(5_000 // CHUNK))
def test_five_thousand_schedules(play, chunk):
    first = 10_000 + chunk * CHUNK
    assert play(range(first, first + CHUNK))[0] == {}


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(100_000 // 20 // CHUNK))
@pytest.mark.parametrize("share", [f"share{n:02}" for n in range(20)])
def test_a_hundred_thousand_schedules_of_the_thief(play, share, chunk):
    first = 1_000_000 + int(share[-2:]) * 5_000 + chunk * CHUNK
    assert play(range(first, first + CHUNK), steps=8)[0] == {}


# Careless machines are seen by the very same eyes.


def words(played):
    return " ".join(problem for _, problems in played[0].values() for problem in problems)


@pytest.mark.slow
def test_a_publisher_who_states_what_he_only_restored_is_found_out(play, monkeypatch):
    monkeypatch.setattr(signed_state, "_LISTED", signed_state._LISTED.replace("s.origin < 2", "s.origin < 3"))
    monkeypatch.setattr(thief_world.Schedule, "WORK", {"restore_then_push": 3, "push": 1})
    assert "nobody made" in words(play(range(24), meddles=0.06))


@pytest.mark.slow
def test_a_restore_that_takes_what_lies_there_is_found_out(play, monkeypatch):
    monkeypatch.setattr(thief_world.Schedule, "WORK", {"pod_restores": 3, "push": 2})
    monkeypatch.setattr(compare, "_put_right", lambda *_: [])
    assert "was restored as signed" in words(play(range(24), meddles=0.15))


@pytest.mark.slow
def test_a_reader_who_does_not_remember_is_found_out(play, monkeypatch):
    monkeypatch.setattr(checks, "advances", lambda *_: True)
    monkeypatch.setattr(thief_world.Thief, "moves", lambda self: [self._roll_all_back])
    assert " went from " in words(play(range(12), meddles=0.06))


@pytest.mark.slow
def test_who_believes_the_heads_of_another_root_is_found_out(play, monkeypatch):
    monkeypatch.setattr(head, "check_root", lambda *_: None)
    monkeypatch.setattr(checks, "advances", lambda *_: True)  # two foreign histories do not link either
    monkeypatch.setattr(Reader, "_check_linked", lambda *_: None)
    monkeypatch.setattr(thief_world.Thief, "moves", lambda self: [self._carry_across])
    assert "no honest machine signed" in words(play(range(16), meddles=0.1))


@pytest.mark.slow
def test_who_takes_the_trust_file_of_another_root_for_his_own_is_found_out(play, monkeypatch):
    monkeypatch.setattr(trust_files, "is_for", lambda *_: True)
    monkeypatch.setattr(thief_world.Schedule, "WORK", {"lose_state": 3, "push": 2, "restore_then_push": 2})
    monkeypatch.setattr(thief_world.Thief, "moves", lambda self: [self._carry_across])
    assert "nobody made" in words(play(range(80), meddles=0.06, steps=8))
