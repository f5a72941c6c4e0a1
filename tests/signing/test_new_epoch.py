"""What several publishers state comes back in a new epoch of their channel."""

import pytest
from publishing_machine import Publisher

from huracan_sync.errors import NotFound
from huracan_sync.manifest import rotation


def begin_epoch(machine):
    machine.roots().publish_next(
        lambda newest, now_ms: rotation.recovered(rotation.renewed(newest, now_ms=now_ms), "data")
    )


@pytest.mark.parametrize("returns", ["with a change", "when its head is due"])
def test_each_publisher_states_its_files_again(returns, publisher, hamilton, dropbox, tmp_path, clock):
    publisher.write({"x": b"1"})
    publisher.push()
    other = Publisher(dropbox, tmp_path / "other", key="other.key", clock=clock)
    signers = {publisher.keys.signer().public: "first", other.keys.make()[0].public: "other"}
    publisher.roots().publish_next(
        lambda newest, now_ms: rotation.with_channel(rotation.renewed(newest, now_ms=now_ms), "data", signers=signers)
    )
    other.reader().pin([publisher.pin()])
    other.write({"y": b"2"})
    other.push()
    assert hamilton.reader().latest("data").read("data/y") == b"2"

    begin_epoch(publisher)
    publisher.push()
    snapshot = hamilton.reader().latest("data")
    assert snapshot.read("data/x") == b"1"
    with pytest.raises(NotFound):
        snapshot.read("data/y")
    if returns == "with a change":
        other.write({"z": b"3"})
    else:
        clock.hours(48)
    assert other.push().failed == []
    snapshot = hamilton.reader().latest("data")
    assert (snapshot.read("data/x"), snapshot.read("data/y")) == (b"1", b"2")
    publisher.write({"x": b"one"})
    assert publisher.push().failed == []
    snapshot = hamilton.reader().latest("data")
    assert (snapshot.read("data/x"), snapshot.read("data/y")) == (b"one", b"2")
