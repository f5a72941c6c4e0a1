"""Only what honest machines meant is ever signed, whatever somebody with a write token puts into Dropbox."""

import pytest
from publishing_machine import DATA, Publisher

from huracan_sync.errors import Conflict, NotFound, Refused
from huracan_sync.operations.restore import RestoreReport
from huracan_sync.remote import files
from huracan_sync.transfer.progress import Silent

EVIL = b"by a thief"


def put(machine, path, data=EVIL, folder=DATA):
    return files.put(machine.remote, f"{folder}/{path}", data)


def listed(machine, channel="data"):
    """What the newest manifest lists: path below the folder -> content."""
    snapshot = machine.reader().latest(channel)
    return {entry.path.removeprefix("data/"): snapshot.read(entry.path) for entry in snapshot}


@pytest.fixture
def pod(dropbox, tmp_path, clock, publisher):
    """Another machine with the same key, and an empty state folder."""
    machine = Publisher(dropbox, tmp_path / "pod", clock=clock)
    machine.key.write_bytes(publisher.key.read_bytes())
    machine.key.chmod(0o400)
    return machine


def test_a_restore_puts_back_what_is_signed_and_not_what_lies_there(publisher, pod):
    publisher.write({"a": b"1", "b": b"2"})
    publisher.push()
    put(publisher, "a")
    put(publisher, "planted")
    files_gone = [f"{DATA}/b"]
    for path in files_gone:
        publisher.remote.rpc("files/delete_v2", {"path": path}, dict, commit=True)
    report = pod.restore(DATA, pod.src)
    assert {p.name: p.read_bytes() for p in pod.src.iterdir()} == {"a": b"1", "b": b"2", "planted": EVIL}
    assert (report.contradicted, report.unsigned, report.unsigned_files) == (["a", "b"], 1, ["planted"])
    assert (report.verified_by, report.failed) == (["data"], [])


def test_what_is_signed_and_cannot_be_had_is_refused_and_nothing_takes_its_place(publisher, pod, monkeypatch):
    publisher.write({"a": b"1"})
    publisher.push()
    put(publisher, "a")
    lost = "huracan_sync.transfer.download_file._places"
    monkeypatch.setattr(lost, lambda context, entry: [f"{DATA}/{entry.path}"])  # as if no revision were kept
    report = pod.restore(DATA, pod.src)
    assert not list(pod.src.iterdir())
    (failure,) = report.failed
    assert isinstance(failure.error, Refused)
    assert failure.error.code == "CONTRADICTED"


def test_unsigned_takes_what_lies_there_and_says_so(publisher, pod):
    publisher.write({"a": b"1"})
    publisher.push()
    put(publisher, "a")
    report = pod.restore(DATA, pod.src, unsigned=True)
    assert (pod.src / "a").read_bytes() == EVIL
    assert report == RestoreReport(downloaded=1, bytes_received=len(EVIL), requests=report.requests)


@pytest.mark.parametrize("how", ["push", "after the journal was lost", "from another folder", "into another folder"])
def test_unsigned_content_is_never_signed(publisher, pod, tmp_path, how):
    publisher.write({"a": b"1"})
    publisher.push()
    put(publisher, "planted")
    pod.restore(DATA, pod.src)
    to = DATA
    if how == "after the journal was lost":
        (pod.home / "journal.db").unlink()
    if how == "from another folder":
        pod.src.rename(tmp_path / "moved")
        pod.src = tmp_path / "moved"
    if how == "into another folder":
        to = "/Engine/copy"
    report = pod.push(to)
    assert EVIL not in listed(publisher, to.rpartition("/")[2]).values()
    if how != "into another folder":
        assert (report.unsigned, report.unsigned_files) == (1, ["data/planted"])
        assert pod.push(to).unsigned == 1  # the second run says so too


def test_a_person_may_vouch(publisher, pod):
    publisher.write({"a": b"1"})
    publisher.push()
    put(publisher, "more/planted")
    pod.restore(DATA, pod.src)
    with pytest.raises(NotFound, match="no unsigned file"):
        pod.push(vouch=("elsewhere",))
    report = pod.push(vouch=("more",))
    assert (report.vouched, report.unsigned) == (["more/planted"], 0)
    assert listed(publisher) == {"a": b"1", "more/planted": EVIL}


def test_what_somebody_else_has_signed_meanwhile_is_unsigned_no_more(publisher, pod):
    publisher.write({"a": b"1"})
    publisher.push()
    put(publisher, "b")
    pod.restore(DATA, pod.src)
    assert pod.push().unsigned == 1
    publisher.restore(DATA, publisher.src)
    publisher.push(vouch=("b",))
    assert pod.push().unsigned == 1  # it has not looked: nothing of its own has changed
    pod.write({"c": b"3"})
    assert pod.push().unsigned == 0
    assert listed(publisher) == {"a": b"1", "b": EVIL, "c": b"3"}


def test_an_entry_stays_when_its_file_was_replaced_by_unsigned_content(publisher):
    publisher.write({"a": b"1", "b": b"2"})
    publisher.push()
    put(publisher, "a")
    publisher.restore(DATA, publisher.src, unsigned=True)
    assert (publisher.src / "a").read_bytes() == EVIL
    publisher.write({"c": b"3"})
    publisher.push()
    assert listed(publisher) == {"a": b"1", "b": b"2", "c": b"3"}


def test_a_thief_between_upload_and_signature_changes_nothing(publisher, hamilton):
    publisher.write({"a": b"1", "b": b"2"})
    publisher.push()
    publisher.write({"a": b"one", "b": b"two"})

    class Thief(Silent):
        def finished(self, path, size):
            if path == "a":
                put(publisher, "a")

    publisher.push(monitor=Thief())
    assert files.fetch(publisher.remote, f"{DATA}/a", limit=99)[1] == EVIL
    assert listed(hamilton) == {"a": b"one", "b": b"two"}


def test_a_set_with_unsigned_content_is_not_published(publisher, pod):
    publisher.write({"model.json": b"{}"})
    publisher.publish()
    put(publisher, "planted.json", b"{}\n", folder="/Engine")
    pod.restore("/Engine", pod.src)
    with pytest.raises(Refused) as told:
        pod.publish()
    assert told.value.code == "UNSIGNED_CONTENT"
    assert pod.publish(vouch=("planted.json",)).sequence == 2


def test_a_set_that_another_publisher_has_changed_since_is_refused_whole(publisher, pod):
    publisher.write({"model.json": b"{}", "roster.json": b"[]"})
    publisher.publish()
    pod.restore("/Engine", pod.src)
    pod.write({"model.json": b'{"n": 2}'})
    pod.publish()
    publisher.write({"roster.json": b'[{"s": 1}]'})
    with pytest.raises(Conflict):
        publisher.publish()
