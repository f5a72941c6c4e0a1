"""What a stolen key has signed is signed by nobody once it is revoked, though honest machines had taken it over."""

import pytest
from expecting import raises
from publishing_machine import DATA, Publisher

from huracan_sync.manifest import locations, rotation, sshsig
from huracan_sync.remote import files
from huracan_sync.remote.delete import remove_whatever


@pytest.fixture
def stolen(dropbox, tmp_path, clock, publisher):
    """A publisher whose key a thief has, too; it has listed a file of the thief's beside that of the first."""
    publisher.write({"x": b"1"})
    publisher.push()
    machine = Publisher(dropbox, tmp_path / "stolen", key="stolen.key", clock=clock)
    signers = {publisher.keys.signer().public: "first", machine.keys.make()[0].public: "stolen"}
    publisher.roots().publish_next(
        lambda newest, now_ms: rotation.with_channel(rotation.renewed(newest, now_ms=now_ms), "data", signers=signers)
    )
    machine.reader().pin([publisher.pin()])
    machine.write({"evil": b"evil"})
    machine.push()
    return machine


@pytest.fixture
def pod(dropbox, tmp_path, clock, publisher, stolen):
    """An honest machine that has restored both files while the stolen key counted."""
    machine = Publisher(dropbox, tmp_path / "pod", clock=clock)
    machine.take_key_of(publisher)
    report = machine.restore(DATA, machine.src)
    assert (report.downloaded, report.verified_by) == (2, ["data"])
    return machine


def revoke(publisher, stolen):
    gone = sshsig.key_id(stolen.keys.signer().public)
    publisher.roots().publish_next(
        lambda newest, now_ms: rotation.revoked(rotation.renewed(newest, now_ms=now_ms), newest, gone, reason="stolen")
    )


def listed(hamilton):
    return sorted(entry.path for entry in hamilton.reader().latest("data").iter())


@pytest.mark.slow
@pytest.mark.parametrize("heard", ["while signing", "at a restore", "while reading", "after a push that failed"])
def test_an_honest_machine_does_not_state_it_again(publisher, stolen, pod, hamilton, heard):
    assert listed(hamilton) == ["data/evil", "data/x"]
    revoke(publisher, stolen)
    publisher.push()
    assert listed(hamilton) == ["data/x"]
    if heard == "at a restore":
        pod.restore(DATA, pod.src)
    elif heard == "while reading":
        pod.reader().latest("data")
    elif heard == "after a push that failed":
        pod.roots().newest()
    pod.write({"new": b"new"})
    report = pod.push()
    assert report.unsigned_files == ["data/evil"]
    assert listed(hamilton) == ["data/new", "data/x"]
    pod.write({"newer": b"newer"})
    (pod.src / "evil").rename(pod.src / "renamed")
    pod.push()
    assert listed(hamilton) == ["data/new", "data/newer", "data/x"]
    report = pod.push(vouch=("renamed",))
    assert report.vouched == ["renamed"]
    assert "data/renamed" in listed(hamilton)


def test_what_a_machine_has_made_stays_its_own(publisher, stolen, pod, hamilton):
    pod.write({"mine": b"mine"})
    pod.push()
    revoke(publisher, stolen)
    pod.write({"new": b"new"})
    pod.push()
    assert listed(hamilton) == ["data/mine", "data/new"]
    publisher.write({"x": b"two"})
    publisher.push()
    assert listed(hamilton) == ["data/mine", "data/new", "data/x"]


def test_a_set_of_what_was_taken_over_is_not_published_whole(publisher, stolen, pod):
    pod.publish("/Engine/data", channel="data")
    revoke(publisher, stolen)
    pod.write({"new": b"new"})
    with raises("UNSIGNED_CONTENT"):
        pod.publish("/Engine/data", channel="data")


def test_a_machine_that_comes_after_the_revocation_doubts_nothing(
    publisher, stolen, dropbox, tmp_path, clock, hamilton
):
    revoke(publisher, stolen)
    publisher.push()
    pod = Publisher(dropbox, tmp_path / "later", clock=clock)
    pod.take_key_of(publisher)
    pod.restore(DATA, pod.src)
    pod.write({"new": b"new"})
    report = pod.push()
    assert report.unsigned_files == ["data/evil"]
    assert listed(hamilton) == ["data/new", "data/x"]
    again = pod.push()
    assert (again.unsigned_files, listed(hamilton)) == (["data/evil"], ["data/new", "data/x"])


def test_it_costs_no_request_where_nothing_was_revoked_since(publisher, stolen, pod):
    pod.write({"one": b"1"})
    before, _ = publisher.counted(pod.push)
    revoke(publisher, stolen)
    pod.write({"one": b"2"})
    pod.push()
    pod.write({"one": b"3"})
    after, _ = publisher.counted(pod.push)
    assert after <= before


@pytest.mark.slow
def test_a_machine_from_which_the_revocation_is_hidden_leads_no_reader_astray_who_knows_of_it(
    publisher, stolen, dropbox, tmp_path, clock, hamilton
):
    """The thief takes the newest trust file away and goes on with the stolen key; an honest pod is born and follows."""
    hamilton.reader().latest("data")
    revoke(publisher, stolen)
    publisher.push()
    publisher.write({"y": b"2"})
    publisher.push()
    assert listed(hamilton) == ["data/x", "data/y"]
    newest = f"/Engine/{locations.trust(3)}"
    data = files.fetch(publisher.remote, newest, limit=1 << 20)[1]
    remove_whatever(publisher.remote, newest)
    remove_whatever(publisher.remote, f"/Engine/{locations.head('data')}")
    stolen.write({"worse": b"worse"})
    stolen.push()
    pod = Publisher(dropbox, tmp_path / "born", clock=clock)
    pod.take_key_of(publisher)
    pod.restore(DATA, pod.src)
    pod.write({"new": b"new"})
    assert pod.push().failed == []  # it believed what it could see
    with raises("EPOCH"):
        hamilton.reader().latest("data")
    files.put(publisher.remote, newest, data)  # from now on nothing is hidden
    pod.write({"newer": b"newer"})
    assert "data/worse" in pod.push().unsigned_files
    publisher.write({"z": b"3"})
    publisher.push()
    assert [path for path in listed(hamilton) if path in {"data/evil", "data/worse"}] == []
    assert {"data/x", "data/y", "data/z"} <= set(listed(hamilton))
