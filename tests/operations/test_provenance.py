"""Only what honest machines meant is ever signed, whatever somebody with a write token puts into Dropbox."""

import shutil
from types import SimpleNamespace

import pytest
from publishing_machine import DATA

from huracan_sync.cli import get as get_verb
from huracan_sync.cli import reading
from huracan_sync.errors import Conflict, NotFound, Refused
from huracan_sync.operations.commit import _Commit
from huracan_sync.operations.restore import RestoreReport
from huracan_sync.operations.stage import stage
from huracan_sync.remote import files
from huracan_sync.remote.delete import remove_whatever
from huracan_sync.transfer.progress import Silent

EVIL = b"by a thief"


def put(machine, path, data=EVIL, folder=DATA):
    return files.put(machine.remote, f"{folder}/{path}", data)


def get_one(machine, remote, local):
    """`get REMOTE LOCAL`: the report, and where the file lies."""
    options = SimpleNamespace(remote=remote, local=str(local), overwrite=False, wait=0.0, channel=None, unsigned=False)
    quiet = SimpleNamespace(output=SimpleNamespace(say=lambda _: None))
    context = machine.context()
    report, target = get_verb._file(options, context, reading.find(options, quiet, context))
    return target, report


def listed(machine, channel="data"):
    """What the newest manifest lists: path below the folder -> content."""
    snapshot = machine.reader().latest(channel)
    return {entry.path.removeprefix("data/"): snapshot.read(entry.path) for entry in snapshot}


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


def test_content_is_a_strangers_wherever_it_turns_up_again(publisher, pod, tmp_path):
    publisher.write({"a": b"1"})
    publisher.push()
    put(publisher, "planted")
    pod.restore(DATA, pod.src)
    (pod.src / "planted").rename(tmp_path / "kept")
    remove_whatever(publisher.remote, f"{DATA}/planted")
    pod.push()  # both sides have lost it: nothing of the file is remembered but that it was a stranger's
    (tmp_path / "kept").rename(pod.src / "again")
    pod.write({"b": b"2"})
    assert pod.push().unsigned_files == ["data/again"]
    assert listed(publisher) == {"a": b"1", "b": b"2"}


@pytest.mark.parametrize("how", ["get", "get and restore"])
def test_a_file_that_was_fetched_alone_is_not_signed_for_that(publisher, pod, how):
    publisher.write({"a": b"1"})
    publisher.push()
    put(publisher, "planted")
    here, _ = get_one(pod, f"{DATA}/planted", pod.src / "planted")
    assert here.read_bytes() == EVIL
    if how == "get and restore":
        pod.restore(DATA, pod.src)
    remove_whatever(publisher.remote, f"{DATA}/planted")
    pod.push()
    assert listed(publisher) == {"a": b"1"}


def test_what_a_worker_stages_of_what_came_from_dropbox_is_not_signed(publisher, pod):
    publisher.write({"a": b"1"})
    publisher.push()
    put(publisher, "planted")
    pod.restore(DATA, pod.src)
    pod.write({"made": b"here"})
    staged = stage(pod.remote, {pod.src / "planted": "planted-too", pod.src / "made": "made"})
    with (context := pod.context()).pair(pod.home / "from-workers", DATA) as pair:
        report = _Commit(context, pair, None, overwrite=False).run([staged])
    assert report.unsigned == 1
    assert listed(publisher) == {"a": b"1", "made": b"here"}


@pytest.mark.parametrize("size", [len(EVIL), 9 << 20], ids=["small", "large"])
def test_nor_where_the_worker_is_another_machine(publisher, pod, tmp_path, size):
    """The driver has never had the file; the mark on it comes with the receipt."""
    evil = (EVIL * size)[:size]
    publisher.write({"a": b"1"})
    publisher.push()
    put(publisher, "planted", evil)
    pod.restore(DATA, pod.src)
    pod.write({"made": b"here"})
    staged = stage(pod.remote, {pod.src / "planted": "planted-too", pod.src / "made": "made"})
    with (context := publisher.context()).pair(tmp_path / "from-workers", DATA) as pair:
        report = _Commit(context, pair, None, overwrite=False).run([staged])
    assert (report.uploaded, report.unsigned) == (2, 1)
    assert listed(publisher) == {"a": b"1", "made": b"here"}


def test_a_channel_whose_head_a_thief_has_deleted_is_missed(publisher, pod, tmp_path):
    folder = "/Engine/deep/data"
    publisher.write({"a": b"1"})
    publisher.push(folder, channel="candles")
    pod.restore(folder, pod.src)  # this machine has seen the channel
    put(publisher, "a", folder=folder)
    remove_whatever(publisher.remote, "/Engine/.huracan/heads")
    with pytest.raises(Refused) as told:
        pod.restore(folder, tmp_path / "new")
    assert told.value.code == "HEAD_MISSING"
    target, _ = get_one(pod, f"{folder}/a", tmp_path / "a")
    assert target.read_bytes() == b"1"  # by what was last known good


@pytest.mark.parametrize("size", [len(EVIL), 9 << 20], ids=["small", "large"])
def test_a_machine_that_lost_its_state_knows_a_strangers_file_by_its_mark(publisher, pod, tmp_path, size):
    evil = (EVIL * size)[:size]
    publisher.write({"a": b"1"})
    publisher.push()
    files.put(publisher.remote, f"{DATA}/planted", evil)
    pod.restore(DATA, pod.src)
    shutil.rmtree(pod.home)  # pods are born every day, and their data lie on a volume
    remove_whatever(publisher.remote, f"{DATA}/planted")
    pod.write({"b": b"2"})
    report = pod.push()
    assert (report.uploaded, report.unsigned_files) == (2, ["data/planted"])
    assert listed(publisher) == {"a": b"1", "b": b"2"}
    (pod.src / "planted").write_bytes(b"changed here")
    assert pod.push().unsigned == 0
    assert listed(publisher)["planted"] == b"changed here"
