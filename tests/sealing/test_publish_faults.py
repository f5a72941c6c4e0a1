"""Misfortune at every call of a publish, and a thief with a token before it: the next head is the right one."""

import contextlib

import msgspec
import pytest
from sampled import sampled
from sealing_world import DATA

from huracan_sync.errors import Conflict, HuracanError, Refused, TryLater, Unavailable
from huracan_sync.manifest import head, locations
from huracan_sync.manifest.refusals import BodyMissing, ClockBehind, Fork, HeadFormat, TrustExpired
from huracan_sync.remote import files
from huracan_sync.remote.delete import remove
from huracan_sync.remote.listing import children

HEAD = "/Engine/.huracan/heads/data.hzh"


def taken(hamilton, channel="data"):
    snapshot = hamilton.reader().latest(channel)
    return snapshot.sequence, {entry.path.removeprefix("data/"): snapshot.read(entry.path) for entry in snapshot}


def lying(engine, place=HEAD):
    return files.fetch(engine.remote, place, limit=9999)


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
def test_misfortune_at_any_call(engine, hamilton, dropbox, fault, route, nth):
    """The reads of trust file and head; then body, log, and the swap."""
    engine.write({"a": b"1", "b": b"2", "c": b"3"})
    engine.push()
    engine.write({"a": b"one", "b": b"two", "c": b"three"})
    dropbox.faults(fault | {"route": route, "nth": nth})
    with contextlib.suppress(TryLater, Unavailable):  # then the next run carries on
        engine.push()
    report = engine.push()
    dropbox.faults()
    assert report.failed == []
    # Nothing twice, nothing lost: the second head is the second head, whatever became of the answer.
    assert report.sequence == 2
    assert taken(hamilton) == (2, {"a": b"one", "b": b"two", "c": b"three"})
    assert engine.counted(engine.push)[0] == 1


def test_no_answer_ever(engine, hamilton, dropbox):
    engine.write({"a": b"1"})
    engine.push()
    engine.write({"a": b"one"})
    dropbox.faults({"fault": "reset", "when": "after", "route": "files/upload"})
    with pytest.raises(HuracanError):
        engine.push()
    dropbox.faults()
    assert engine.push().sequence == 2
    assert taken(hamilton) == (2, {"a": b"one"})


# --- a thief with a token -----------------------------------------------------------------------------------------


def rubbish(engine):
    files.put(engine.remote, HEAD, b"rubbish")


def too_long(engine):
    files.put(engine.remote, HEAD, bytes(100_000))


def gone(engine):
    rev = lying(engine)[0].rev
    assert remove(engine.remote, [(HEAD, rev)])[HEAD] is None


def everything_gone(engine):
    rev = engine.remote.rpc("files/delete_v2", {"path": "/Engine/.huracan/heads"}, dict, commit=True)
    assert rev


def of_another_channel(engine):
    files.put(engine.remote, HEAD, lying(engine, "/Engine/.huracan/heads/other.hzh")[1])


def an_older_one(engine):
    log = f"/Engine/{locations.LOG}/data"
    first = next(item for item in children(engine.remote, log) if item.name.startswith("1-1-"))
    files.put(engine.remote, HEAD, lying(engine, f"{log}/{first.name}")[1])


def a_flipped_bit(engine):
    data = bytearray(lying(engine)[1])
    data[40] ^= 1
    files.put(engine.remote, HEAD, bytes(data))


@pytest.mark.parametrize(
    "steal", [rubbish, too_long, gone, everything_gone, of_another_channel, an_older_one, a_flipped_bit]
)
def test_the_next_push_puts_the_head_right(engine, hamilton, steal):
    engine.write({"a": b"1"})
    engine.push(channel="other")
    engine.push()
    engine.write({"a": b"one"})
    assert engine.push().sequence == 2
    assert taken(hamilton)[0] == 2
    steal(engine)
    with pytest.raises(Refused):
        hamilton.reader().latest("data")
    engine.write({"a": b"I"})
    assert engine.push().sequence == 3
    assert taken(hamilton) == (3, {"a": b"I"})


def test_a_body_that_was_taken_away_comes_back_with_a_set(engine, hamilton, clock):
    engine.write({"a": b"1"})
    engine.publish(DATA, channel="data")
    assert taken(hamilton)[0] == 1
    for item in children(engine.remote, f"/Engine/{locations.BODIES}"):
        remove(engine.remote, [(f"/Engine/{locations.BODIES}/{item.name}", item.rev)])
    clock.hours(24)
    assert engine.publish(DATA, channel="data").sequence == 2
    assert taken(hamilton) == (2, {"a": b"1"})


def another_machine(dropbox, tmp_path, engine, clock):
    """One with the same key, that has seen nothing, and has something to push."""
    from sealing_world import Publisher

    other = Publisher(dropbox, tmp_path / "other", clock=clock)
    other.keys = engine.keys
    other.roots().begin()
    other.write({"a": b"2"})
    return other


def test_who_has_seen_nothing_does_not_go_on_from_rubbish(dropbox, tmp_path, engine, clock):
    engine.write({"a": b"1"})
    engine.push()
    rubbish(engine)
    other = another_machine(dropbox, tmp_path, engine, clock)
    with pytest.raises(HeadFormat):
        other.push("/Engine/two", channel="data")
    assert engine.push().sequence == 1
    clock.hours(24)
    assert engine.push().sequence == 2
    assert other.push("/Engine/two", channel="data").sequence == 3


def test_who_needs_the_list_of_others_and_finds_none_says_so(dropbox, tmp_path, engine, clock):
    engine.write({"a": b"1"})
    engine.push()
    for item in children(engine.remote, f"/Engine/{locations.BODIES}"):
        remove(engine.remote, [(f"/Engine/{locations.BODIES}/{item.name}", item.rev)])
    other = another_machine(dropbox, tmp_path, engine, clock)
    with pytest.raises(BodyMissing):
        other.push("/Engine/two", channel="data")


def test_two_machines_that_share_a_key_and_not_their_memory_are_told_apart(engine, hamilton, clock):
    """A head of the same sequence that this machine has not made: nobody may paper over that."""
    engine.write({"a": b"1"})
    engine.push()
    newest, _ = engine.channel_publisher("data").newest()
    forged = msgspec.structs.replace(newest.head, publisher="x")
    files.put(engine.remote, HEAD, head.sign(forged, [engine.keys.signer()]))
    engine.write({"a": b"2"})
    with pytest.raises(Fork):
        engine.push()


def test_a_folder_in_the_heads_place_is_for_a_person(engine, hamilton):
    engine.write({"a": b"1"})
    engine.push()
    gone(engine)
    engine.remote.rpc("files/create_folder_v2", {"path": HEAD}, dict, commit=True)
    engine.write({"a": b"2"})
    with pytest.raises(Conflict, match="a folder lies at"):
        engine.push()
    engine.remote.rpc("files/delete_v2", {"path": HEAD}, dict, commit=True)
    assert engine.push().sequence == 2
    assert taken(hamilton) == (2, {"a": b"2"})


# --- clocks -------------------------------------------------------------------------------------------------------


def test_a_clock_that_fell_back_signs_nothing(engine, clock):
    engine.write({"a": b"1"})
    engine.push()
    clock.hours(-1)
    engine.write({"a": b"2"})
    with pytest.raises(ClockBehind):
        engine.push()
    clock.hours(1)
    assert engine.push().sequence == 2


def test_an_old_trust_file_signs_nothing(engine, clock):
    engine.write({"a": b"1"})
    engine.push()
    clock.hours(24 * 181)
    engine.write({"a": b"2"})
    with pytest.raises(TrustExpired):
        engine.push()
    assert lying(engine, f"{DATA}/a")[1] == b"2"  # it is safe there all the same
