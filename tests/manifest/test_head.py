"""Heads: what is accepted, and every reason not to be."""

import msgspec
import pytest
from expecting import raises
from manifest_world import (
    BACKUP,
    CANDLES,
    ENGINE,
    HOUR,
    NOW,
    PROMOTER,
    ROOT,
    THIEF,
    change,
    key,
    make_head,
    make_trust,
    open_head,
    policy,
)
from sampled import slow

from huracan_sync.errors import Refused
from huracan_sync.manifest import head, head_history, signed_files, ssh_armor, sshsig
from huracan_sync.manifest.envelope import unpack
from huracan_sync.manifest.head import FORM
from huracan_sync.manifest.refusals import refused
from huracan_sync.manifest.signed_files import pack, seal
from huracan_sync.manifest.trust import OTHERS

HEAD = make_head()
GOOD = signed_files.sign_head(HEAD, [ENGINE])


def reseal(payload, *who):
    return seal(FORM, payload, who or (ENGINE,))


def raw(**changes):
    """A head's fields as a plain list, so that what no Head can hold can be written too."""
    fields = dict(zip(head.Head.__struct_fields__, msgspec.to_builtins(HEAD, builtin_types=(bytes,)), strict=True))
    return msgspec.msgpack.encode(list((fields | changes).values()))


def test_a_good_head_is_opened():
    opened = open_head(GOOD)
    assert opened.head == HEAD
    assert opened.digest == head.digest(HEAD) == sshsig.sha256(head.encode(HEAD))
    assert [each.label for each in opened.signers] == ["engine"]
    assert len(GOOD) < 260


def test_the_first_field_that_differs_is_the_channel_asked_for():
    assert (
        open_head(signed_files.sign_head(make_head(channel="candles"), [CANDLES]), channel="candles").head.channel
        == "candles"
    )


def two_of_two():
    return make_trust(keys=[key(ENGINE), key(PROMOTER)], channels=[policy("champions", ENGINE, PROMOTER, threshold=2)])


def test_two_keys_where_two_are_needed():
    data = signed_files.sign_head(HEAD, [ENGINE, PROMOTER])
    assert {each.id for each in open_head(data, two_of_two()).signers} == {ENGINE.key_id, PROMOTER.key_id}


def test_a_signature_that_nobody_knows_is_passed_over():
    opened = open_head(signed_files.sign_head(HEAD, [ENGINE, THIEF]))
    assert opened.digest == head.digest(HEAD)


def test_a_channel_without_a_policy_of_its_own_has_that_of_the_others():
    trust = make_trust(channels=[policy(OTHERS)])
    assert (
        open_head(signed_files.sign_head(make_head(channel="models/pod-a"), [ENGINE]), trust, "models/pod-a").head.seq
        == 1
    )


def signature_of(who, payload, namespace):
    return pack(FORM, payload, {who.key_id: who.sign(namespace, payload)})


PAYLOAD = head.encode(HEAD)
FLIPPED = GOOD[:-1] + bytes([GOOD[-1] ^ 1])
REFUSED = {
    "empty": (b"", None, "HEAD_FORMAT"),
    "too large": (GOOD + bytes(4_096), None, "HEAD_FORMAT"),
    "one byte more": (GOOD + b"\0", None, "HEAD_FORMAT"),
    "no signature": (GOOD[:10] + b"\0" + PAYLOAD, None, "HEAD_FORMAT"),
    "nine signatures": (GOOD[:10] + b"\x09" + GOOD[11:] + GOOD[-80:] * 8, None, "HEAD_FORMAT"),
    "one signature twice": (GOOD[:10] + b"\x02" + GOOD[11:] + GOOD[-80:], None, "HEAD_FORMAT"),
    "signatures in the other order": (
        GOOD[:10]
        + b"\x02"
        + PAYLOAD
        + b"".join(
            who.key_id + who.sign(sshsig.HEAD, PAYLOAD)
            for who in sorted((ENGINE, THIEF), key=lambda who: who.key_id, reverse=True)
        ),
        None,
        "HEAD_FORMAT",
    ),
    "a trust file's magic": (b"HZTRST1\n" + GOOD[8:], None, "HEAD_FORMAT"),
    "a long payload": (GOOD[:8] + (2_049).to_bytes(2, "big") + GOOD[10:], None, "HEAD_FORMAT"),
    "a signature with one bit changed": (FLIPPED, None, "BAD_SIGNATURE"),
    "two keys, one signature bad": (
        pack(FORM, PAYLOAD, {ENGINE.key_id: ENGINE.sign(sshsig.HEAD, PAYLOAD), PROMOTER.key_id: bytes(64)}),
        two_of_two(),
        "BAD_SIGNATURE",
    ),
    "a signature for another purpose": (signature_of(ENGINE, PAYLOAD, sshsig.TRUST), None, "BAD_SIGNATURE"),
    "a stranger's signature": (signed_files.sign_head(HEAD, [THIEF]), None, "THRESHOLD"),
    "the root's signature": (signed_files.sign_head(HEAD, [ROOT]), None, "THRESHOLD"),
    "one key where two are needed": (GOOD, two_of_two(), "THRESHOLD"),
    "the key of another channel": (signed_files.sign_head(HEAD, [CANDLES]), None, "KEY_CHANNEL"),
    "a revoked key": (GOOD, make_trust(channels=[policy("champions", CANDLES)], revoked=[ENGINE]), "KEY_REVOKED"),
    "a channel nobody may sign": (GOOD, make_trust(channels=[]), "CHANNEL_UNKNOWN"),
    "no fields": (reseal(b"\x90"), None, "HEAD_FORMAT"),
    "not MessagePack": (reseal(b"\xc1"), None, "HEAD_FORMAT"),
    "not text": (reseal(PAYLOAD.replace(b"champions", b"champion\xff")), None, "HEAD_FORMAT"),
    "an array of four thousand million": (reseal(b"\xdd\xff\xff\xff\xff"), None, "HEAD_FORMAT"),
    "deep nesting": (reseal(b"\x91" * 2_000), None, "HEAD_FORMAT"),
    "one field more": (reseal(b"\xdc\x00\x10" + PAYLOAD[1:] + b"\xc0"), None, "NOT_CANONICAL"),
    "a longer number": (reseal(PAYLOAD[:1] + b"\xcc\x02" + PAYLOAD[2:]), None, "NOT_CANONICAL"),
    "a number with a fraction part": (reseal(raw(seq=1.0)), None, ("NOT_CANONICAL", "HEAD_FORMAT")),
    "bytes behind the fields": (reseal(PAYLOAD + b"\xc0"), None, "HEAD_FORMAT"),
    "another version": (reseal(raw(v=1)), None, "HEAD_FORMAT"),
    "sequence zero": (reseal(raw(seq=0)), None, "HEAD_FORMAT"),
    "epoch zero": (reseal(raw(epoch=0)), None, "HEAD_FORMAT"),
    "a sequence of 64 bits": (reseal(raw(seq=2**63)), None, "HEAD_FORMAT"),
    "a time no calendar has": (reseal(raw(created_ms=2**60)), None, "HEAD_FORMAT"),
    "a short hash": (reseal(raw(body_sha256=bytes(31))), None, "HEAD_FORMAT"),
    "a publisher that moves the cursor": (reseal(raw(publisher="\x1b[2J")), None, "HEAD_FORMAT"),
    "a publisher with a line break": (reseal(raw(publisher="engine\n")), None, "HEAD_FORMAT"),
    "another root folder": (reseal(raw(root_id=bytes(16))), None, "WRONG_ROOT"),
    "a short root id": (reseal(raw(root_id=bytes(15))), None, "HEAD_FORMAT"),
    "another channel": (reseal(raw(channel="candles")), None, "WRONG_CHANNEL"),
    "a trust file we do not have": (reseal(raw(trust_version=2)), None, "TRUST_TOO_OLD"),
    "the epoch before": (GOOD, make_trust(channels=[policy(epoch=2)]), "EPOCH"),
    "an epoch to come": (reseal(raw(epoch=2)), None, "EPOCH"),
    "made three minutes from now": (
        signed_files.sign_head(change(HEAD, created_ms=NOW + 180_000, expires_ms=NOW + HOUR), [ENGINE]),
        None,
        "FUTURE",
    ),
    "good for a month": (
        signed_files.sign_head(change(HEAD, expires_ms=NOW + 30 * 24 * HOUR), [ENGINE]),
        None,
        "LIFETIME",
    ),
    "expired before it was made": (
        signed_files.sign_head(change(HEAD, expires_ms=HEAD.created_ms), [ENGINE]),
        None,
        "LIFETIME",
    ),
    "a key that is over": (GOOD, make_trust(keys=[key(ENGINE, end=NOW), key(CANDLES)]), "KEY_WINDOW"),
    "a key that had not begun": (GOOD, make_trust(keys=[key(ENGINE, start=NOW), key(CANDLES)]), "KEY_WINDOW"),
    "a body of a terabyte": (reseal(raw(body_len=2**40)), None, "LIMIT"),
    "a body that unpacks to a terabyte": (reseal(raw(raw_len=2**40)), None, "LIMIT"),
    "more entries than the channel may have": (reseal(raw(entry_count=100_001)), None, "LIMIT"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    data, trust, expected = REFUSED[name]
    with raises(Refused) as caught:
        open_head(data, trust)
    assert caught.value.code in (expected if isinstance(expected, tuple) else (expected,))


def test_every_truncation_is_refused():
    for length in range(len(GOOD)):
        with raises(Refused):
            open_head(GOOD[:length])


@pytest.mark.wide
@pytest.mark.parametrize("every", [3, slow(1)])
def test_every_bit_is_signed(every):
    for at in range(0, len(GOOD) * 8, every):
        data = bytearray(GOOD)
        data[at // 8] ^= 1 << at % 8
        with raises(Refused):
            open_head(bytes(data))


@pytest.mark.wide
@pytest.mark.parametrize("every", [7, slow(1)])
def test_of_two_signatures_no_bit_can_change_what_is_said(every):
    """A bit in the name of a signature that is not needed makes it a stranger's: passed over, the head unchanged."""
    data = signed_files.sign_head(HEAD, [ENGINE, BACKUP])
    for at in range(0, len(data) * 8, every):
        changed = bytearray(data)
        changed[at // 8] ^= 1 << at % 8
        try:
            assert open_head(bytes(changed)).digest == head.digest(HEAD)
        except Refused:
            pass
        else:
            assert at // 8 >= 11 + len(PAYLOAD)


def test_the_clock_may_be_two_minutes_behind():
    data = signed_files.sign_head(change(HEAD, created_ms=NOW + 120_000, expires_ms=NOW + HOUR), [ENGINE])
    assert open_head(data).head.created_ms == NOW + 120_000


def test_a_key_may_begin_the_moment_it_signs():
    trust = make_trust(keys=[key(ENGINE, start=HEAD.created_ms, end=NOW + 1), key(CANDLES)])
    assert open_head(GOOD, trust).head == HEAD


def test_what_cannot_be_opened_is_not_written():
    with raises("CHANNEL_NAME"):
        signed_files.sign_head(change(HEAD, channel="Champions"), [ENGINE])
    with raises("HEAD_FORMAT"):
        signed_files.sign_head(HEAD, [])
    with raises("HEAD_FORMAT"):
        pack(FORM, bytes(2_049), {bytes(16): bytes(64)})


@pytest.mark.parametrize("name", ["", "A", "a b", ".a", "a.", "a//b", "/a", "a/", "a/b/c/d/e", "../a", "x" * 65, "ä"])
def test_no_channel_is_called(name):
    with raises("CHANNEL_NAME"):
        open_head(GOOD, channel=name)


def test_an_error_says_its_code_to_machines():
    with raises("ROLLBACK") as caught:
        raise refused("ROLLBACK", "x", actual="1-1", expected="1-2")
    assert caught.value.as_dict()["code"] == "ROLLBACK"


def test_a_head_goes_out_to_openssh_and_comes_back():
    message, armored = ssh_armor.export_sshsig(
        signed_files.sign_head(HEAD, [ENGINE, THIEF]), [ENGINE.public, ROOT.public]
    )
    assert (message, len(armored)) == (PAYLOAD, 1)
    assert ssh_armor.import_sshsig(message, armored) == GOOD
    assert unpack(FORM, GOOD).payload == message
    other = ssh_armor.armor(ssh_armor.Signature(ENGINE.public, sshsig.TRUST, bytes(64)))
    with raises("HEAD_FORMAT"):
        ssh_armor.import_sshsig(message, [other])


# --- heads of the past --------------------------------------------------------------------------------------------


def test_a_head_is_believed_because_its_successor_names_it():
    digest = head_history.digest_of(GOOD)
    assert digest == head.digest(HEAD)
    assert head.linked(GOOD, digest) == HEAD
    assert head.linked(reseal(head.encode(HEAD), THIEF), digest) == HEAD  # whoever has signed it
    with raises("HEAD_FORMAT"):
        head.linked(GOOD, bytes(32))
    for data in (b"", GOOD[:-1], b"rubbish"):
        with raises("HEAD_FORMAT"):
            head.linked(data, digest)
        with raises("HEAD_FORMAT"):
            head_history.digest_of(data)
    nonsense = reseal(b"\x90")
    with raises("HEAD_FORMAT"):
        head.linked(nonsense, head_history.digest_of(nonsense))


def test_a_head_of_the_past_needs_a_signature_that_counts_and_no_youth():
    long_ago = make_head(created_ms=NOW - 300 * 24 * HOUR, expires_ms=NOW - 299 * 24 * HOUR)
    data = signed_files.sign_head(long_ago, [ENGINE])
    opened = head_history.past(data, trust=make_trust(), channel="champions")
    assert (opened.head, opened.digest, opened.data) == (long_ago, head.digest(long_ago), data)
    assert [each.label for each in opened.signers] == ["engine"]
    for wrong, refusal in (
        (signed_files.sign_head(long_ago, [THIEF]), "THRESHOLD"),
        (signed_files.sign_head(long_ago, [CANDLES]), "KEY_CHANNEL"),
        (signed_files.sign_head(make_head(channel="candles"), [ENGINE]), "WRONG_CHANNEL"),
        (signed_files.sign_head(make_head(root_id=bytes(16)), [ENGINE]), "WRONG_ROOT"),
        (signed_files.sign_head(make_head(epoch=2), [ENGINE]), "EPOCH"),
        (signed_files.sign_head(make_head(trust_version=9), [ENGINE]), "TRUST_TOO_OLD"),
        (reseal(raw(v=3)), "HEAD_FORMAT"),
        (data[:-1], "HEAD_FORMAT"),
    ):
        with raises(refusal):
            head_history.past(wrong, trust=make_trust(), channel="champions")
