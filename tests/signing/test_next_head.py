"""What may come after what lies there. Pure: heads in, where to go on from out."""

import msgspec
import pytest
from expecting import raises
from manifest_world import CANDLES, DAY_MS, ENGINE, HOUR, NOW, THIEF, key, make_head, make_trust, policy

from huracan_sync.errors import Refused
from huracan_sync.manifest import head, signed_files
from huracan_sync.manifest.checks import Mark
from huracan_sync.signing import next_head
from huracan_sync.signing.next_head import BodyRef, SeenHead, StoredFile

T1 = make_trust()
FIRST = make_head(seq=1, prev=head.FIRST)
SECOND = make_head(seq=2, prev=head.digest(FIRST))
THIRD = make_head(seq=3, prev=head.digest(SECOND))


def stored(payload, *who, rev="r"):
    return StoredFile(signed_files.sign_head(payload, who or [ENGINE]), rev)


def held(payload):
    return SeenHead(Mark(payload.epoch, payload.seq, head.digest(payload)), signed_files.sign_head(payload, [ENGINE]))


def chain_position(there, seen=None, *, trust=T1, now_ms=NOW):
    return next_head.chain_position(there, seen, trust=trust, channel="champions", now_ms=now_ms)


def went_on(position):
    return position.seq, position.prev, position.rev, position.whole


def test_the_first_of_all():
    position = chain_position(None)
    assert position.base is None
    assert went_on(position) == (1, head.FIRST, None, False)


@pytest.mark.parametrize("seen", [None, held(FIRST), held(SECOND)])
def test_after_what_lies_there(seen):
    position = chain_position(stored(SECOND), seen)
    assert position.base.head == SECOND
    assert went_on(position) == (3, head.digest(SECOND), "r", True)


RUBBISH = {
    "rubbish": StoredFile(b"rubbish", "r"),
    "nothing": None,
    "by a thief": stored(THIRD, THIEF),
    "by a key of another channel": stored(THIRD, CANDLES),
    "of another channel": stored(make_head(channel="candles", seq=9)),
    "an old one": stored(FIRST),
    "a bad signature": StoredFile(stored(THIRD).data[:-1] + b"x", "r"),
}


@pytest.mark.parametrize("name", RUBBISH)
def test_what_no_reader_would_accept_is_passed_over(name):
    position = chain_position(RUBBISH[name], held(SECOND))
    assert position.base.head == SECOND
    assert went_on(position)[:3] == (3, head.digest(SECOND), "r" if RUBBISH[name] else None)
    assert not position.whole


@pytest.mark.parametrize("name", ["rubbish", "by a thief", "by a key of another channel", "of another channel"])
def test_who_has_seen_nothing_does_not_go_on_from_rubbish(name):
    with pytest.raises(Refused):
        chain_position(RUBBISH[name])


def test_a_floor_that_a_person_set_is_gone_on_from():
    position = chain_position(None, SeenHead(Mark(1, 40, b""), b""))
    assert (position.base, position.seq, position.prev) == (None, 41, head.FIRST)


@pytest.mark.parametrize(
    ("payload", "refusal"),
    [
        (make_head(seq=2, prev=bytes(32)), "FORK"),
        (make_head(seq=1_500_000), "SEQUENCE_JUMP"),
        (make_head(seq=3, created_ms=NOW + HOUR, expires_ms=NOW + 2 * HOUR), "FUTURE"),
        (make_head(seq=3, trust_version=5), "TRUST_TOO_OLD"),
        (make_head(seq=3, expires_ms=NOW + 30 * DAY_MS), "LIFETIME"),
    ],
)
def test_another_publishers_head_is_never_passed_over(payload, refusal):
    with raises(refusal):
        chain_position(stored(payload), held(FIRST))


def test_two_heads_of_one_sequence_are_a_fork():
    with raises("FORK"):
        chain_position(stored(msgspec.structs.replace(SECOND, publisher="x")), held(SECOND))


def test_our_own_last_head_is_gone_on_from_though_its_key_has_had_its_time():
    later = make_trust(keys=[key(ENGINE, end=NOW), key(CANDLES)], channels=[policy("champions", CANDLES, ENGINE)])
    with raises("KEY_WINDOW"):
        chain_position(stored(SECOND), held(FIRST), trust=later)
    position = chain_position(stored(SECOND), held(SECOND), trust=later)
    assert (position.base, *went_on(position)[:3]) == (None, 3, head.digest(SECOND), "r")


def test_a_new_epoch_begins_at_one_and_remembers_what_came_before():
    raised = make_trust(2, channels=[policy(epoch=2), policy("candles", CANDLES)])
    for seen in (None, held(SECOND)):
        position = chain_position(stored(SECOND), seen, trust=raised)
        assert (position.base, position.epoch) == (None, 2)
        assert position.seq == 1
        assert position.prev == head.digest(SECOND)
        assert position.rev == "r"
    revoked = make_trust(2, channels=[policy("champions", CANDLES, epoch=2)], revoked=[ENGINE])
    assert chain_position(stored(SECOND), trust=revoked).seq == 1


def test_a_new_epoch_may_have_other_keys():
    """A channel is handed over: whoever may sign it now has seen nothing of it, and finds a head by those before."""
    over = make_trust(2, channels=[policy("champions", CANDLES, epoch=2), policy("candles", CANDLES)])
    position = chain_position(stored(SECOND), trust=over)
    assert (position.base, position.epoch, *went_on(position)[:3]) == (None, 2, 1, head.digest(SECOND), "r")
    with raises("KEY_CHANNEL"):
        chain_position(stored(msgspec.structs.replace(SECOND, epoch=2)), trust=over)
    with raises("HEAD_FORMAT"):
        chain_position(StoredFile(b"rubbish", "r"), trust=over)


def test_the_next_head_and_when_it_wants_to_be_renewed():
    ref = BodyRef(b"b" * 32, 10, 20, 3)
    made = next_head.follow(
        chain_position(stored(FIRST)), ref, skip=b"s" * 32, trust=T1, channel="champions", now_ms=NOW, publisher="pod"
    )
    assert (made.root_id, made.skip) == (T1.root_id, b"s" * 32)
    assert (made.seq, made.prev, made.epoch, made.publisher) == (2, head.digest(FIRST), 1, "pod")
    assert (made.created_ms, made.expires_ms) == (NOW, NOW + 7_200_000)
    assert next_head.body_ref(made) == ref
    assert next_head.due_ms(made, T1) == NOW + 900_000
    assert chain_position(stored(made), held(FIRST)).seq == 3
