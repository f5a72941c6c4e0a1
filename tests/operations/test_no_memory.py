"""A machine with an empty state folder signs on from the newest head, whatever was put in its place."""

import shutil

import pytest
from publishing_machine import DATA, Publisher

from huracan_sync.errors import NotFound, Refused, StateMissing
from huracan_sync.remote import files
from huracan_sync.remote.delete import remove_whatever
from huracan_sync.remote.stat import children

HEAD = "/Engine/.huracan/heads/data.hzh"
LOG = "/Engine/.huracan/log/data"


@pytest.fixture
def born(dropbox, tmp_path, clock, publisher):
    """Makes machines with the publisher's key and folder, and no memory."""

    def make(name, *, restores=True):
        machine = Publisher(dropbox, tmp_path / name, clock=clock)
        machine.take_key_of(publisher)
        if restores:
            machine.restore(DATA, machine.src)
            shutil.rmtree(machine.home)
        return machine

    return make


def history(publisher, count=4):
    """So many heads; each with its bytes."""
    heads = []
    for n in range(count):
        publisher.write({f"{n}": b"%d" % n})
        publisher.push()
        heads.append(files.fetch(publisher.remote, HEAD, limit=1 << 20)[1])
    return heads


def test_nothing_is_said_where_nothing_was_put_back(publisher, hamilton, born):
    history(publisher)
    hamilton.reader().latest("data")
    pod = born("pod")
    pod.write({"new": b"new"})
    report = pod.push()
    assert (report.sequence, report.resumed_from) == (5, 0)
    assert len(hamilton.reader().latest("data")) == 5


@pytest.mark.parametrize("how", ["an old head", "the first head", "nothing", "rubbish"])
def test_an_old_head_put_back_is_passed_over(publisher, hamilton, born, how):
    heads = history(publisher)
    hamilton.reader().latest("data")
    pod = born("pod")
    if how == "nothing":
        remove_whatever(pod.remote, HEAD)
    else:
        data = {"an old head": heads[2], "the first head": heads[0], "rubbish": b"rubbish"}[how]
        files.put(pod.remote, HEAD, data)
    pod.write({"new": b"new"})
    report = pod.push()
    assert (report.sequence, report.resumed_from) == (5, 4)
    assert len(hamilton.reader().latest("data")) == 5


def test_what_a_thief_puts_into_the_log_leads_nowhere(publisher, hamilton, born):
    heads = history(publisher)
    hamilton.reader().latest("data")
    files.put(publisher.remote, f"{LOG}/1-999-00000000.hzh", b"rubbish")
    files.put(publisher.remote, f"{LOG}/1-998-00000000.hzh", heads[1])
    files.put(publisher.remote, f"{LOG}/anything", b"")
    files.put(publisher.remote, HEAD, heads[1])
    pod = born("pod", restores=False)
    pod.write({"new": b"new"})
    report = pod.push()
    assert (report.sequence, report.resumed_from) == (5, 4)
    assert hamilton.reader().latest("data").sequence == 5


def lose(machine, *beginnings):
    for copy in children(machine.remote, LOG):
        if copy.name.startswith(beginnings):
            remove_whatever(machine.remote, f"{LOG}/{copy.name}")


def test_what_links_down_to_the_head_at_its_place_needs_no_copy_of_that(publisher, hamilton, born):
    heads = history(publisher)
    hamilton.reader().latest("data")
    pod = born("pod")
    lose(pod, "1-1-")
    files.put(pod.remote, HEAD, heads[0])
    pod.write({"new": b"new"})
    report = pod.push()
    assert (report.sequence, report.resumed_from) == (5, 4)
    assert len(hamilton.reader().latest("data")) == 5


@pytest.fixture
def under_way(publisher, born):
    """Sequence 3 of another machine: its copy lies in the log, and 2 in the head's place."""
    heads = history(publisher, 2)
    other, pod = born("other"), born("pod")
    other.write({"of the other": b"x"})
    assert other.push().sequence == 3
    files.put(publisher.remote, HEAD, heads[1])
    publisher.write({"faster": b"y"})
    pod.write({"new": b"new"})
    return pod


def test_a_copy_of_a_head_under_way_is_looked_at_again(publisher, hamilton, under_way, monkeypatch):
    """Whoever wrote it was beaten: what is there a moment later counts."""
    waits = []

    def meanwhile(wait):
        waits.append(wait.why)
        assert publisher.push().sequence == 3

    monkeypatch.setattr(under_way.remote.pacing, "pause", meanwhile)
    report = under_way.push()
    assert waits == ["a newer head of data may be on its way"]
    assert (report.sequence, report.resumed_from) == (4, 0)
    assert {entry.path for entry in hamilton.reader().latest("data")} == {"data/0", "data/1", "data/faster", "data/new"}


@pytest.mark.slow
def test_who_went_on_from_a_head_that_was_beaten_begins_again(publisher, hamilton, under_way, monkeypatch):
    swap, beaten = files.swap, []

    def beaten_once(remote, path, data, **rest):
        if remote is under_way.remote and not beaten:
            beaten.append(path)
            assert publisher.push().sequence == 3
        return swap(remote, path, data, **rest)

    monkeypatch.setattr(files, "swap", beaten_once)
    monkeypatch.setattr(under_way.remote.pacing, "pause", lambda _: None)
    report = under_way.push()
    assert beaten == [HEAD]
    assert (report.sequence, report.resumed_from) == (4, 0)
    assert {entry.path for entry in hamilton.reader().latest("data")} == {"data/0", "data/1", "data/faster", "data/new"}


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["1-", "1-4-"], ids=["every copy", "its own copy"])
def test_a_head_whose_copy_was_taken_is_gone_on_from_when_a_person_says_so(publisher, hamilton, born, lost):
    """Who took that one may have taken those above it: a reader knows, this machine does not."""
    history(publisher)
    reader = hamilton.reader()
    reader.latest("data")
    pod = born("pod")
    lose(pod, lost)
    pod.write({"new": b"new"})
    with pytest.raises(StateMissing, match="the log has no copy of 1-4") as stopped:
        pod.push()
    assert "huracan-sync keys trust --channel data --at-least SEQ" in stopped.value.hint
    assert reader.latest("data").sequence == 4
    pod.reader().pin([publisher.pin()], at_least={"data": 4})  # what `keys trust PIN --channel data --at-least 4` does
    assert pod.push().sequence == 5
    snapshot = reader.latest("data")
    assert (snapshot.sequence, len(snapshot)) == (5, 5)
    pod.write({"more": b"more"})
    assert pod.push().sequence == 6
    other = born("other")
    other.write({"other": b"other"})
    assert other.push().sequence == 7
    assert len(reader.latest("data")) == 7


@pytest.mark.parametrize("lost", [("1-",), ("1-2-", "1-3-")], ids=["all", "the middle"])
def test_where_links_are_missing_a_person_is_asked(publisher, hamilton, born, lost):
    heads = history(publisher)
    hamilton.reader().latest("data")
    pod = born("pod")
    lose(pod, *lost)
    files.put(pod.remote, HEAD, heads[0])
    pod.write({"new": b"new"})
    with pytest.raises(StateMissing, match="remembers nothing"):
        pod.push()
    with pytest.raises((Refused, NotFound)):
        hamilton.reader().latest("data")


def test_the_first_head_of_a_channel_costs_no_request_more(publisher):
    publisher.write({"a": b"1"})
    requests, _ = publisher.counted(publisher.push)
    assert requests <= 6, publisher.dropbox.log()["requests"]
