"""What a publisher restates of others' in a shared channel is to be had, or the act is refused; and what that costs."""

import msgspec
import pytest
from publishing_machine import DATA, Publisher

from huracan_sync.errors import Refused
from huracan_sync.manifest import rotation
from huracan_sync.remote import files
from huracan_sync.signing.merge import LOOKED_FOR, Change


@pytest.fixture
def other(publisher, dropbox, tmp_path, clock):
    """Another machine, with a key of its own, that publishes in the same channel."""
    machine = Publisher(dropbox, tmp_path / "other", key="other.key", clock=clock)
    publisher.write({"first": b"first"})
    publisher.push()
    signers = {publisher.keys.signer().public: "first", machine.keys.make()[0].public: "other"}
    publisher.roots().publish_next(
        lambda newest, now_ms: rotation.with_channel(rotation.renewed(newest, now_ms=now_ms), "data", signers=signers)
    )
    machine.reader().pin([publisher.pin()])
    return machine


def lose(machine, path):
    """As if Dropbox did not keep the revision any more that is signed: it is one that never was."""
    items = machine.channel_publisher("data").newest_items()
    changed = [msgspec.structs.replace(each, rev="0" * 31 + "1") if each.path == path else each for each in items]
    machine.channel_publisher("data").publish(Change(changed, None, {}).knowing({}, lambda _: items))


def lookups(machine, work):
    """How many small questions some work asks."""
    machine.dropbox.control("log/reset", {})
    work()
    return machine.dropbox.log()["requests"].get("files/get_metadata", 0)


def test_what_lies_where_it_did_is_not_asked_for(publisher, other):
    other.write({f"theirs/{n}": b"%d" % n for n in range(30)})
    other.push()
    publisher.write({"x": b"1"})
    publisher.push()
    publisher.write({"x": b"2"})
    assert lookups(publisher, publisher.push) == 0
    snapshot = publisher.reader().latest("data")
    assert (len(snapshot), snapshot.read("data/theirs/7")) == (32, b"7")


def test_what_somebody_has_taken_away_is_restated_by_its_revision(publisher, other, hamilton):
    other.write({f"theirs/{n:02}": b"%d" % n for n in range(LOOKED_FOR + 10)})
    other.push()
    for n in range(LOOKED_FOR + 10):
        files.put(publisher.remote, f"{DATA}/theirs/{n:02}", b"a stranger's")
    publisher.write({"x": b"1"})
    assert lookups(publisher, publisher.push) == LOOKED_FOR
    assert hamilton.reader().latest("data").read("data/theirs/29") == b"29"


def test_what_cannot_be_had_any_more_is_not_restated(publisher, other, hamilton):
    other.write({"theirs": b"theirs", "more": b"more"})
    other.push()
    files.put(publisher.remote, f"{DATA}/theirs", b"a stranger's")
    lose(other, "data/theirs")
    publisher.write({"x": b"1"})
    with pytest.raises(Refused, match="cannot be had any more") as refusal:
        publisher.push()
    assert (refusal.value.code, refusal.value.facts["paths"]) == ("CONTRADICTED", ("data/theirs",))
    assert hamilton.reader().latest("data").sequence == 3
    publisher.write({"theirs": b"another"})  # the hint
    publisher.push(overwrite=True)
    snapshot = hamilton.reader().latest("data")
    assert (snapshot.read("data/theirs"), snapshot.read("data/more"), snapshot.read("data/x")) == (
        b"another",
        b"more",
        b"1",
    )
