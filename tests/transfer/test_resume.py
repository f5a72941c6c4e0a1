"""Cut at any moment, the next run carries on: nothing wrong, nothing twice, little sent again."""

import time

import pytest
from sampled import slow
from transfer_world import MIB, Killed, KilledAfter, Watching, content, local_tree

from huracan_sync.errors import HuracanError, Unreachable
from huracan_sync.tree.content_hash import content_hash


def equal(world):
    return world.there() == {path: content_hash(data).hex() for path, data in local_tree(world.src).items()}


def cut(world, size, **options):
    with pytest.raises(Killed):
        world.push(monitor=KilledAfter(size), remote=world.connect(), **options)


@pytest.mark.slow
def test_a_cut_upload_goes_on_at_the_part(world):
    world.write({"x": 60 * MIB})
    cut(world, 28 * MIB)
    monitor = Watching()
    report = world.push(monitor=monitor)
    assert equal(world)
    assert report.bytes_sent <= 40 * MIB
    assert monitor.bytes == 60 * MIB
    assert any("going on from there" in note for note in monitor.notes)


@pytest.mark.slow
def test_a_file_that_changed_since_is_sent_anew(world):
    world.write({"x": 24 * MIB})
    cut(world, 12 * MIB)
    world.write({"x": content("newer", 24 * MIB)})
    assert world.push().bytes_sent >= 24 * MIB
    assert equal(world)


@pytest.mark.slow
@pytest.mark.parametrize("days", [6.5, slow(-1)])
def test_an_old_session_or_one_of_the_future_is_not_trusted(world, days, monkeypatch):
    world.write({"x": 24 * MIB})
    cut(world, 12 * MIB)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + days * 86400)
    world.push()
    assert equal(world)


@pytest.mark.slow
def test_a_session_that_dropbox_forgot_is_begun_anew(world):
    world.write({"x": 24 * MIB, "y": 3})
    cut(world, 12 * MIB)
    world.dropbox.advance(8 * 86400)
    world.dropbox.config(token_lifetime_s=14400)
    assert world.push().failed == []
    assert equal(world)


@pytest.mark.slow
def test_a_cut_after_the_last_part_only_commits(world):
    world.write({"x": 24 * MIB})
    cut(world, 24 * MIB)
    report = world.push()
    assert report.bytes_sent <= 8 * MIB  # the last part's answer may not have been noted
    assert equal(world)


def test_small_files_that_were_sent_only_wait_for_their_commit(world):
    world.write({f"f{n}": 300_000 for n in range(30)})
    cut(world, 6_000_000)
    report = world.push()
    assert report.bytes_sent <= 5_000_000
    assert equal(world)


def test_small_files_that_changed_since_are_sent_anew(world):
    world.write({f"f{n}": 300_000 for n in range(30)})
    cut(world, 6_000_000)
    world.write({f"f{n}": content(f"new {n}", 300_001) for n in range(30)})
    assert world.push().failed == []
    assert equal(world)


def test_small_sessions_that_dropbox_forgot(world):
    world.write({f"f{n}": 300_000 for n in range(30)})
    cut(world, 6_000_000)
    world.dropbox.advance(8 * 86400)
    assert world.push().failed == []
    assert equal(world)


def test_the_answer_to_a_commit_is_lost_for_good(world):
    """Committed, but nobody here knows: the next run finds its own bytes and sends nothing."""
    world.write({f"f{n}": 300_000 for n in range(10)})
    world.dropbox.faults({"route": "files/upload_session/finish_batch_v2", "fault": "reset", "when": "after"})
    with pytest.raises(Unreachable):
        world.push()
    world.dropbox.faults()
    report = world.push()
    assert (report.bytes_sent, report.failed) == (0, [])
    assert equal(world)


@pytest.mark.parametrize(
    ("count", "size", "route"),
    [
        (10, 300_000, "files/upload_session/finish_batch_v2"),
        (1, 300, "files/upload"),  # alone
        (2, 300, "files/upload"),
        (1, 9_000_000, "files/upload_session/finish_batch_v2"),  # in parts
    ],
)
def test_own_bytes_are_known_although_the_file_changed_meanwhile(world, count, size, route):
    world.write({f"f{n}": size for n in range(count)})
    world.push()
    world.write({f"f{n}": content(f"2 {n}", size) for n in range(count)})
    world.dropbox.faults({"route": route, "fault": "reset", "when": "after"})
    with pytest.raises(Unreachable):
        world.push()
    world.dropbox.faults()
    world.write({f"f{n}": content(f"3 {n}", size) for n in range(count)})
    assert world.push().failed == []  # no conflict: what lies there is what this machine was about to commit
    assert equal(world)


def test_a_full_run_after_errors_of_all_kinds_is_quiet(world):
    world.write({"x": 12 * MIB, **{f"f{n}": 1000 for n in range(60)}})
    world.dropbox.faults({"route": "files/upload_session/*", "rate": 0.4, "seed": 7, "fault": "reset", "when": "after"})
    for _ in range(8):
        try:
            world.push(remote=world.connect())
        except HuracanError:
            continue
    world.dropbox.faults()
    world.push()
    assert equal(world)
    assert world.push().requests == 1
