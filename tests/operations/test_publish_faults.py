"""Misfortune at every call of a publish, and a thief with a token before it: the next head is the right one."""

import contextlib

import msgspec
import pytest
from expecting import raises
from publishing_machine import DATA
from sampled import sampled

from huracan_sync.errors import Conflict, HuracanError, NotFound, Refused, TryLater, Unavailable
from huracan_sync.manifest import head, locations, signed_files
from huracan_sync.manifest.envelope import unpack
from huracan_sync.remote import files
from huracan_sync.remote.delete import remove
from huracan_sync.remote.stat import children

HEAD = "/Engine/.huracan/heads/data.hzh"


def taken(hamilton, channel="data"):
    snapshot = hamilton.reader().latest(channel)
    return snapshot.sequence, {entry.path.removeprefix("data/"): snapshot.read(entry.path) for entry in snapshot}


def lying(publisher, place=HEAD):
    return files.fetch(publisher.remote, place, limit=head.MAX_SIZE)


# --- misfortune ---------------------------------------------------------------------------------------------------

FAULTS = [
    {"fault": "reset"},
    {"fault": "reset", "when": "after"},
    {"fault": "close", "when": "after"},
    {"fault": "server_error"},
    {"fault": "server_error", "when": "after"},
    {"fault": "rate_limited", "retry_after": 1},
    {"fault": "too_many_write_operations"},
    {"fault": "truncate", "offset": 10, "when": "after"},
    {"fault": "captive_portal", "when": "after"},
]


def named(fault):
    return "-".join(str(value) for value in fault.values())


@pytest.mark.parametrize("fault", sampled(FAULTS, 4, named), ids=named)
@pytest.mark.parametrize(
    ("route", "nth"), [("files/download", 1), ("files/upload", 1), ("files/upload", 2), ("files/upload", 3)]
)
def test_misfortune_at_any_call(publisher, hamilton, dropbox, fault, route, nth):
    """The reads of trust file and head; then body, log, and the swap."""
    publisher.write({"a": b"1", "b": b"2", "c": b"3"})
    publisher.push()
    publisher.write({"a": b"one", "b": b"two", "c": b"three"})
    dropbox.faults(fault | {"route": route, "nth": nth})
    with contextlib.suppress(TryLater, Unavailable):  # then the next run carries on
        publisher.push()
    report = publisher.push()
    dropbox.faults()
    assert report.failed == []
    # Nothing twice, nothing lost: the second head is the second head, whatever became of the answer.
    assert report.sequence == 2
    assert taken(hamilton) == (2, {"a": b"one", "b": b"two", "c": b"three"})
    assert publisher.counted(publisher.push)[0] == 1


def test_no_answer_ever(publisher, hamilton, dropbox):
    publisher.write({"a": b"1"})
    publisher.push()
    publisher.write({"a": b"one"})
    dropbox.faults({"fault": "reset", "when": "after", "route": "files/upload"})
    with pytest.raises(HuracanError):
        publisher.push()
    dropbox.faults()
    assert publisher.push().sequence == 2
    assert taken(hamilton) == (2, {"a": b"one"})


# --- a thief with a token -----------------------------------------------------------------------------------------


def rubbish(publisher):
    files.put(publisher.remote, HEAD, b"rubbish")


def too_long(publisher):
    files.put(publisher.remote, HEAD, bytes(100_000))


def gone(publisher):
    rev = lying(publisher)[0].rev
    assert remove(publisher.remote, [(HEAD, rev)])[HEAD] is None


def everything_gone(publisher):
    rev = publisher.remote.rpc("files/delete_v2", {"path": "/Engine/.huracan/heads"}, dict, commit=True)
    assert rev


def of_another_channel(publisher):
    files.put(publisher.remote, HEAD, lying(publisher, "/Engine/.huracan/heads/other.hzh")[1])


def an_older_one(publisher):
    log = f"/Engine/{locations.LOG}/data"
    first = next(item for item in children(publisher.remote, log) if item.name.startswith("1-1-"))
    files.put(publisher.remote, HEAD, lying(publisher, f"{log}/{first.name}")[1])


def a_flipped_bit(publisher):
    data = bytearray(lying(publisher)[1])
    data[40] ^= 1
    files.put(publisher.remote, HEAD, bytes(data))


@pytest.mark.parametrize(
    "steal", [rubbish, too_long, gone, everything_gone, of_another_channel, an_older_one, a_flipped_bit]
)
def test_the_next_push_puts_the_head_right(publisher, hamilton, steal):
    publisher.write({"a": b"1"})
    publisher.push(channel="other")
    publisher.push()
    publisher.write({"a": b"one"})
    assert publisher.push().sequence == 2
    assert taken(hamilton)[0] == 2
    steal(publisher)
    with pytest.raises(Refused):
        hamilton.reader().latest("data")
    publisher.write({"a": b"I"})
    assert publisher.push().sequence == 3
    assert taken(hamilton) == (3, {"a": b"I"})


def take_bodies_away(publisher):
    """Of a channel: from behind its heads, and what lies in files of their own."""
    log = "/Engine/.huracan/log/data"
    for path in (HEAD, *(f"{log}/{item.name}" for item in children(publisher.remote, log))):
        files.put(publisher.remote, path, unpack(head.FORM, lying(publisher, path)[1]).signed)
    with contextlib.suppress(NotFound):
        for item in children(publisher.remote, f"/Engine/{locations.BODIES}"):
            remove(publisher.remote, [(f"/Engine/{locations.BODIES}/{item.name}", item.rev)])


@pytest.mark.parametrize("count", [1, 3_000], ids=["carried", "in a file of its own"])
def test_a_body_that_was_taken_away_comes_back_with_a_set(publisher, hamilton, clock, count):
    publisher.write({"a": b"1"} | {f"{number}": b"%d" % number for number in range(1, count)})
    publisher.publish(DATA, channel="data")
    assert hamilton.reader().latest("data").sequence == 1
    take_bodies_away(publisher)
    clock.hours(24)
    assert publisher.publish(DATA, channel="data").sequence == 2
    snapshot = hamilton.reader().latest("data")
    assert (snapshot.sequence, len(snapshot), snapshot.read("data/a")) == (2, count, b"1")


def another_machine(dropbox, tmp_path, publisher, clock):
    """One with the same key, that has seen nothing, and has something to push."""
    from publishing_machine import Publisher

    other = Publisher(dropbox, tmp_path / "other", clock=clock)
    other.keys = publisher.keys
    other.roots().begin()
    other.write({"a": b"2"})
    return other


def test_who_has_seen_nothing_goes_on_from_the_log_where_rubbish_lies_in_the_heads_place(
    dropbox, tmp_path, publisher, hamilton, clock
):
    publisher.write({"a": b"1"})
    publisher.push()
    rubbish(publisher)
    other = another_machine(dropbox, tmp_path, publisher, clock)
    assert other.push("/Engine/two", channel="data").sequence == 2
    assert taken(hamilton) == (2, {"a": b"1", "two/a": b"2"})


def test_who_needs_the_list_of_others_and_finds_none_says_so(dropbox, tmp_path, publisher, clock):
    publisher.write({"a": b"1"})
    publisher.push()
    take_bodies_away(publisher)
    other = another_machine(dropbox, tmp_path, publisher, clock)
    with raises("BODY_MISSING"):
        other.push("/Engine/two", channel="data")


def test_two_machines_that_share_a_key_and_not_their_memory_are_told_apart(publisher, hamilton, clock):
    """A head of the same sequence that this machine has not made: nobody may paper over that."""
    publisher.write({"a": b"1"})
    publisher.push()
    newest, _ = publisher.channel_publisher("data").newest()
    forged = msgspec.structs.replace(newest.head, publisher="x")
    files.put(publisher.remote, HEAD, signed_files.sign_head(forged, [publisher.keys.signer()]))
    publisher.write({"a": b"2"})
    with raises("FORK"):
        publisher.push()


def test_a_folder_in_the_heads_place_is_for_a_person(publisher, hamilton):
    publisher.write({"a": b"1"})
    publisher.push()
    gone(publisher)
    publisher.remote.rpc("files/create_folder_v2", {"path": HEAD}, dict, commit=True)
    publisher.write({"a": b"2"})
    with pytest.raises(Conflict, match="a folder lies at"):
        publisher.push()
    publisher.remote.rpc("files/delete_v2", {"path": HEAD}, dict, commit=True)
    assert publisher.push().sequence == 2
    assert taken(hamilton) == (2, {"a": b"2"})


# --- clocks -------------------------------------------------------------------------------------------------------


def test_a_clock_that_fell_back_signs_nothing(publisher, clock):
    publisher.write({"a": b"1"})
    publisher.push()
    clock.hours(-1)
    publisher.write({"a": b"2"})
    with raises("CLOCK"):
        publisher.push()
    clock.hours(1)
    assert publisher.push().sequence == 2


def test_a_trust_file_that_has_ended_is_renewed_where_the_root_key_is(publisher, hamilton, clock):
    publisher.write({"a": b"1"})
    publisher.push()
    clock.hours(24 * 181)
    publisher.write({"a": b"2"})
    assert publisher.push().sequence == 2
    assert lying(publisher, f"{DATA}/a")[1] == b"2"
