"""Trust files renew themselves where the root key is; nobody signs with a wrong clock."""

import pytest
from publishing_machine import Publisher

from huracan_sync.errors import Refused
from huracan_sync.manifest import trust

HALF_DAYS = 15


def versions(machine):
    return trust.open(machine.roots().store.load().trust).version


@pytest.mark.slow
def test_months_of_pushes_need_no_person(publisher, hamilton, clock):
    for week in range(9):
        publisher.write({"a": b"%d" % week})
        assert publisher.push().failed == []
        assert hamilton.reader().latest("data").read("data/a") == b"%d" % week
        clock.hours(24 * 7)
    assert versions(publisher) >= 3


def test_nothing_is_asked_before_half_of_the_life_is_over(publisher, clock):
    publisher.write({"a": b"1"})
    publisher.push()
    clock.now += 601  # or the second push asks for nothing
    publisher.write({"a": b"2"})
    before, _ = publisher.counted(publisher.push)
    clock.hours(24 * HALF_DAYS - 1)
    publisher.write({"a": b"3"})
    assert publisher.counted(publisher.push)[0] <= before
    assert versions(publisher) == 1
    clock.hours(2)
    publisher.write({"a": b"4"})
    publisher.push()
    assert versions(publisher) == 2


def test_a_machine_without_the_root_key_renews_nothing(publisher, dropbox, tmp_path, clock):
    pod = Publisher(dropbox, tmp_path / "pod", clock=clock)
    signer = pod.keys.make()[0]
    from huracan_sync.manifest import rotation

    publisher.roots().publish_next(
        lambda newest, now_ms: rotation.with_channel(
            rotation.renewed(newest, now_ms=now_ms), "logs", signers={signer.public: "pod"}
        )
    )
    pod.reader().pin(publisher.pin())
    clock.hours(24 * HALF_DAYS + 1)
    pod.write({"x.txt": b"1"})
    assert pod.push("/Engine/logs").sequence == 1
    assert versions(pod) == 2


@pytest.mark.parametrize("ahead_s", [-301.0, 301.0, 86400.0 * 400])
def test_nobody_signs_with_a_wrong_clock(publisher, monkeypatch, ahead_s):
    publisher.write({"a": b"1"})
    monkeypatch.setattr(type(publisher.remote), "ahead_s", property(lambda _: ahead_s))
    with pytest.raises(Refused) as told:
        publisher.push()
    assert told.value.code == "CLOCK"
    monkeypatch.setattr(type(publisher.remote), "ahead_s", property(lambda _: ahead_s / abs(ahead_s) * 299))
    assert publisher.push().sequence == 1
