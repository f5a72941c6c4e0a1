"""Who looked a short while ago, states only its own and is alone does not look again; all others do."""

import pytest
from expecting import raises
from publishing_machine import DATA, Publisher

from huracan_sync.errors import NoSigningKey
from huracan_sync.manifest import locations, rotation, sshsig
from huracan_sync.remote import files
from huracan_sync.remote.delete import remove_whatever
from huracan_sync.signing.channel_publisher import LOOK_MS
from huracan_sync.signing.executor import Executor
from huracan_sync.signing.transaction_steps import ChannelView

HEAD = f"/Engine/{locations.head('data')}"
LOOKS_NOT, LOOKS = 4, 5
"""Requests: the listing, the file, the next trust file where it looks, log and swap."""


@pytest.fixture
def pushed(publisher):
    publisher.write({"a": b"1"})
    publisher.push()
    return publisher


def changed(machine, data, to=DATA):
    """How many requests a push of one changed file takes."""
    machine.write({"a": data})
    requests, report = machine.counted(lambda: machine.push(to))
    assert report.failed == []
    return requests


def listed(hamilton):
    snapshot = hamilton.reader().latest("data")
    return snapshot.sequence, {entry.path.removeprefix("data/"): snapshot.read(entry.path) for entry in snapshot}


def test_a_push_soon_after_another_does_not_look(pushed, hamilton, clock):
    assert changed(pushed, b"2") == LOOKS_NOT
    clock.now += LOOK_MS / 1000
    assert changed(pushed, b"3") == LOOKS_NOT
    clock.now += 1
    assert changed(pushed, b"4") == LOOKS, "it looked last at the beginning"
    clock.now += LOOK_MS / 1000
    assert changed(pushed, b"5") == LOOKS_NOT
    assert listed(hamilton) == (5, {"a": b"5"})


def test_not_by_a_clock_that_went_back(pushed, clock):
    clock.now += 60
    changed(pushed, b"2")
    clock.now -= 61
    assert changed(pushed, b"3") == LOOKS


@pytest.fixture
def pod(dropbox, tmp_path, publisher, clock):
    """A machine whose key may sign the channel and is no root."""
    machine = Publisher(dropbox, tmp_path / "pod", key="pod.key", clock=clock)
    signers = {publisher.keys.signer().public: "first", machine.keys.make()[0].public: "pod"}
    publisher.roots().publish_next(
        lambda newest, now_ms: rotation.with_channel(rotation.renewed(newest, now_ms=now_ms), "data", signers=signers)
    )
    machine.reader().pin([publisher.pin()])
    return machine


@pytest.mark.slow
@pytest.mark.every_case
@pytest.mark.parametrize(("days", "requests"), [(0, LOOKS_NOT), (14, LOOKS_NOT), (16, LOOKS)])
def test_not_in_the_second_half_of_what_is_trusted(pod, clock, days, requests):
    clock.hours(days * 24)
    pod.write({"a": b"1"})
    pod.push()
    assert changed(pod, b"2") == LOOKS, "the first push of a channel lists its log, and asks for no trust file"
    assert changed(pod, b"3") == requests


def test_a_first_push_of_who_began_the_root_folder_lists_no_log(publisher, clock):
    publisher.write({"a": b"1"})
    requests, report = publisher.counted(publisher.push)
    assert (requests, report.sequence) == (LOOKS_NOT, 1)
    clock.now += LOOK_MS / 1000 + 1
    requests, report = publisher.counted(lambda: publisher.push("/Engine/later"))
    assert (requests, report.sequence) == (LOOKS, 1)


def another(dropbox, tmp_path, publisher, clock):
    machine = Publisher(dropbox, tmp_path / "other", clock=clock)
    machine.take_key_of(publisher)
    return machine


def test_who_did_not_begin_it_lists_the_log(dropbox, tmp_path, publisher, clock):
    other = another(dropbox, tmp_path, publisher, clock)
    other.roots().begin()
    other.write({"a": b"1"})
    requests, report = other.counted(other.push)
    assert (requests, report.sequence) == (LOOKS, 1)


def test_a_channel_that_is_none_of_a_new_one_is_looked_at(dropbox, tmp_path, publisher, hamilton, clock):
    """Another machine was faster, and somebody put its first head back."""
    other = another(dropbox, tmp_path, publisher, clock)
    other.write({"x": b"1"})
    other.push()
    first = files.fetch(publisher.remote, HEAD, limit=9999)[1]
    other.write({"x": b"2"})
    other.push()
    assert listed(hamilton)[0] == 2
    files.put(publisher.remote, HEAD, first)
    publisher.write({"a": b"1"})
    report = publisher.push()
    assert (report.sequence, report.resumed_from) == (3, 2)
    assert listed(hamilton) == (3, {"a": b"1", "x": b"2"})


def test_a_run_that_was_cut_before_its_swap_is_looked_after(publisher, hamilton, monkeypatch):
    def cut(*_):
        raise KeyboardInterrupt

    publisher.write({"a": b"1"})
    with monkeypatch.context() as patch:
        patch.setattr(Executor, "_swap", cut)
        with pytest.raises(KeyboardInterrupt):
            publisher.push()
    assert publisher.push().sequence == 2, "it goes on from its copy in the log"
    assert listed(hamilton) == (2, {"a": b"1"})


def test_a_look_of_which_nobody_knows_when_it_was_does_not_serve(dropbox, tmp_path, pushed, clock):
    """The first head of a channel is made after a look at its log."""
    other = another(dropbox, tmp_path, pushed, clock)
    changed(other, b"1", to="/Engine/mine")
    assert changed(other, b"2", to="/Engine/mine") == LOOKS
    assert changed(other, b"3", to="/Engine/mine") == LOOKS_NOT


@pytest.mark.parametrize("files", [{"a": b"1"}, {"a": b"1", "b": b"2"}], ids=["all made anew", "one taken over"])
@pytest.mark.every_case
def test_what_others_have_signed_is_stated_after_a_look_alone(dropbox, tmp_path, publisher, hamilton, clock, files):
    """Though the list is this machine's alone by now."""
    publisher.write(files)
    publisher.push()
    other = another(dropbox, tmp_path, publisher, clock)
    other.restore(DATA, other.src)
    changed(other, b"3")
    changed(other, b"4")
    assert changed(other, b"5") == (LOOKS_NOT if len(files) == 1 else LOOKS)
    assert listed(hamilton) == (4, files | {"a": b"5"})


def revoke(machine, key):
    gone = sshsig.key_id(key.public)
    machine.roots().publish_next(
        lambda newest, now_ms: rotation.revoked(rotation.renewed(newest, now_ms=now_ms), newest, gone, reason="lost")
    )


@pytest.mark.slow
def test_a_revocation_is_learned_ten_minutes_later_at_most_and_readers_know_before(publisher, pod, hamilton, clock):
    pod.write({"a": b"1"})
    pod.push()
    changed(pod, b"2")
    assert listed(hamilton) == (2, {"a": b"2"})
    revoke(publisher, pod.keys.signer())
    assert changed(pod, b"3") == LOOKS_NOT, "it does not know yet"
    with raises("KEY_REVOKED", "EPOCH"):
        hamilton.reader().latest("data")
    clock.now += LOOK_MS / 1000 + 1
    pod.write({"a": b"4"})
    with pytest.raises(NoSigningKey):
        pod.push()
    publisher.write({"mine": b"5"})
    assert publisher.push().sequence == 1, "of the new epoch"
    assert listed(hamilton) == (1, {"mine": b"5"})


def test_whoever_put_another_head_there_makes_it_look(dropbox, tmp_path, pushed, hamilton, clock):
    other = another(dropbox, tmp_path, pushed, clock)
    other.restore(DATA, other.src)
    other.write({"x": b"1"})
    other.push()
    revoked = Publisher(dropbox, tmp_path / "gone", key="gone.key", clock=clock).keys.make()[0]
    other.roots().publish_next(
        lambda newest, now_ms: rotation.with_channel(
            rotation.renewed(newest, now_ms=now_ms),
            "data",
            signers={other.keys.signer().public: "first", revoked.public: "gone"},
        )
    )
    assert changed(pushed, b"2") > LOOKS
    assert pushed.roots().store.load().trust == other.roots().store.load().trust
    assert listed(hamilton) == (3, {"a": b"2", "x": b"1"})


def test_a_head_that_was_taken_away_is_noticed_by_the_swap(pushed, hamilton):
    remove_whatever(pushed.remote, HEAD)
    assert changed(pushed, b"2") > LOOKS
    assert listed(hamilton) == (2, {"a": b"2"})


def test_what_is_taken_for_new():
    assert ChannelView(1, None, None, is_unlooked=True).is_new
    assert not ChannelView(1, None, None).is_new
