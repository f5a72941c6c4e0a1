"""A restore with a channel brings exactly what was signed, or nothing."""

import pytest
from expecting import raises
from publishing_machine import DATA, Publisher

from huracan_sync.errors import ContentMismatch, NotFound, UsageError
from huracan_sync.manifest.entries import Item
from huracan_sync.remote import files
from huracan_sync.signing.merge import Change
from huracan_sync.tree.content_hash import content_hash

MIB = 1024 * 1024


def brought(machine, folder, *, channel="data", **options):
    report = machine.restore(DATA, folder, channel=channel, **options)
    return report, {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def other(dropbox, tmp_path, clock, publisher):
    machine = Publisher(dropbox, tmp_path / "other", clock=clock, key="")
    machine.reader().pin(publisher.pin())
    return machine


def test_the_newest_list_and_nothing_else(publisher, other, tmp_path):
    publisher.write({"a": b"1", "b/c": 9 * MIB})
    publisher.push()
    files.put(publisher.remote, f"{DATA}/planted", b"by a thief")
    files.put(publisher.remote, f"{DATA}/a", b"changed by a thief")
    report, found = brought(other, tmp_path / "to")
    assert (report.downloaded, report.sequence, report.failed) == (2, 1, [])
    assert set(found) == {"a", "b/c"}
    assert found["a"] == b"1"  # by its revision
    assert brought(other, tmp_path / "to")[0].downloaded == 0


def test_an_earlier_list(publisher, other, tmp_path):
    publisher.write({"a": b"1", "b": b"2"})
    publisher.push()
    publisher.write({"a": b"one"})
    (publisher.src / "b").unlink()
    publisher.push(delete=True)
    assert brought(other, tmp_path / "to", at=1)[1] == {"a": b"1", "b": b"2"}
    assert brought(other, tmp_path / "new", at=2)[1] == {"a": b"one"}
    assert brought(other, tmp_path / "to", delete=True)[1] == {"a": b"one"}
    with pytest.raises(NotFound):
        brought(other, tmp_path / "to", at=3)
    with pytest.raises(UsageError):
        brought(other, tmp_path / "to", at=1, channel=None)


def test_what_was_restored_from_an_earlier_list_is_not_taken_for_what_lies_in_dropbox(publisher, tmp_path):
    publisher.write({"a": b"1"})
    publisher.push()
    publisher.write({"a": b"one"})
    publisher.push()
    publisher.restore(DATA, publisher.src, at=1, channel="data")
    assert (publisher.src / "a").read_bytes() == b"1"
    report = publisher.push()
    assert [failure.path for failure in report.failed] == ["a"]  # somebody has to say which one counts
    assert publisher.push(overwrite=True).uploaded == 1
    assert files.fetch(publisher.remote, f"{DATA}/a", limit=9)[1] == b"1"


def test_a_damaged_head_restores_nothing(publisher, other, tmp_path):
    publisher.write({"a": b"1"})
    publisher.push()
    files.put(publisher.remote, "/Engine/.huracan/heads/data.hzh", b"rubbish")
    with raises("HEAD_FORMAT"):
        brought(other, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_what_cannot_be_had_any_more_is_refused_and_not_put_in_place(publisher, other, tmp_path):
    publisher.write({"b": b"2"})
    publisher.push()
    files.put(publisher.remote, f"{DATA}/a", b"by a thief")
    kept = other.reader().latest("data").item("data/b")
    gone = Item("data/a", 10, content_hash(b"as it was."), "0123456789abcdef0")
    newest = publisher.channel_publisher("data").newest()[0]
    publisher.channel_publisher("data").publish(Change([gone, kept], None, {}, frozenset({newest.digest})))
    report, found = brought(other, tmp_path / "to")
    assert found == {"b": b"2"}
    assert [type(failure.error) for failure in report.failed] == [ContentMismatch]


def test_an_old_list_may_be_restored_as_long_as_its_channel_says(publisher, other, tmp_path, clock):
    publisher.write({"a": b"1"})
    publisher.push()
    clock.hours(24 * 20)
    with raises("STALE"):
        other.reader().latest("data")
    assert brought(other, tmp_path / "to")[1] == {"a": b"1"}
