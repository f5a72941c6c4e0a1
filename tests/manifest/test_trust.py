"""Trust files: whom to pin, what may follow what, and every reason not to."""

import msgspec
import pytest
from expecting import raises
from manifest_world import (
    BACKUP,
    CANDLES,
    ENGINE,
    NOW,
    PIN,
    PROMOTER,
    ROOT,
    ROOT_ID,
    THIEF,
    change,
    following,
    key,
    make_head,
    make_trust,
    pin_of,
    policy,
    signed_trust,
)
from sampled import slow

from huracan_sync.errors import Refused
from huracan_sync.manifest import head, signed_files, sshsig, trust
from huracan_sync.manifest.default_policy import first_trust
from huracan_sync.manifest.signed_files import pack, seal
from huracan_sync.manifest.trust import DAY_MS, FORM, OTHERS, Key, Pin, Policy, Revocation

V1 = make_trust()
GOOD = signed_trust(V1)


def forged(made, *who):
    """A trust file that no honest tool would write."""
    return seal(FORM, msgspec.msgpack.encode(made), who or (ROOT,))


def test_a_trust_file_is_pinned_by_fingerprint():
    assert trust.pin(GOOD, PIN) == V1
    assert trust.open(GOOD) == V1
    assert trust.digest(GOOD) == sshsig.sha256(signed_files.trust_payload(V1))


def test_two_pinned_roots_must_both_have_signed():
    both = make_trust(roots=[ROOT, BACKUP])
    pin = pin_of(ROOT, BACKUP)
    assert trust.pin(signed_trust(both, ROOT, BACKUP), pin) == both
    assert trust.pin_of(signed_trust(both, ROOT, BACKUP)) == pin
    assert trust.pin_of(signed_trust(both, ROOT)) == PIN
    with raises("TRUST_PIN"):
        trust.pin(signed_trust(both, ROOT), pin)


@pytest.mark.parametrize("fingerprints", [(), (THIEF.fingerprint,), (ROOT.fingerprint, "SHA256:x")])
def test_not_the_pinned_root(fingerprints):
    with raises("TRUST_PIN"):
        trust.pin(GOOD, Pin(ROOT_ID, fingerprints))


def test_the_same_key_for_another_root_folder():
    """One key used for two root folders gives two pins: what is signed for the one says nothing in the other."""
    other = make_trust(root_id=bytes(16))
    with raises("WRONG_ROOT"):
        trust.pin(signed_trust(other), PIN)
    with raises("WRONG_ROOT"):
        trust.follow(V1, signed_trust(change(later(), root_id=bytes(16))))


def test_a_root_that_is_named_but_has_not_signed_is_not_believed():
    made = make_trust(roots=[ROOT, THIEF])
    with raises("TRUST_PIN"):
        trust.pin(signed_trust(made, THIEF), PIN)


def later(**changes):
    return make_trust(version=2, created=V1.created_ms + DAY_MS, **changes)


FOLLOWS = {
    "nothing new": (V1, later(), [ROOT]),
    "another root, signed by both": (V1, later(roots=[BACKUP]), [ROOT, BACKUP]),
    "a second root": (V1, later(roots=[ROOT, BACKUP]), [ROOT]),
    "two of two from now on": (V1, later(roots=[ROOT, BACKUP], threshold=2), [ROOT, BACKUP]),
    "a signature by a stranger besides": (V1, later(), [ROOT, THIEF]),
    "a key revoked, its channel in a new epoch": (
        V1,
        later(channels=[policy("champions", CANDLES, epoch=2), policy("candles", CANDLES)], revoked=[ENGINE]),
        [ROOT],
    ),
    "a channel more": (V1, later(channels=[policy(), policy("candles", CANDLES), policy("logs")]), [ROOT]),
    "a channel less": (V1, later(channels=[policy()]), [ROOT]),
}


@pytest.mark.parametrize("name", FOLLOWS)
def test_what_may_follow(name):
    old, new, who = FOLLOWS[name]
    assert trust.follow(old, signed_trust(new, *who)) == new


OTHERS_AT_TWO = make_trust(channels=[policy(OTHERS, epoch=2)])
REVOKED = later(channels=[policy("champions", CANDLES, epoch=2)], revoked=[ENGINE])
BROKEN = {
    "by a stranger": (V1, later(), [THIEF], "TRUST_SIGNATURES"),
    "by the new root alone": (V1, later(roots=[BACKUP]), [BACKUP], "TRUST_SIGNATURES"),
    "by the old root alone": (V1, later(roots=[BACKUP]), [ROOT], "TRUST_SIGNATURES"),
    "by one of two": (make_trust(roots=[ROOT, BACKUP], threshold=2), later(), [ROOT], "TRUST_SIGNATURES"),
    "of another root folder": (V1, change(later(), root_id=bytes(16)), [ROOT], "WRONG_ROOT"),
    "a version left out": (V1, change(later(), version=3), [ROOT], "TRUST_CHAIN"),
    "the same version": (V1, V1, [ROOT], "TRUST_CHAIN"),
    "another one before it": (V1, change(later(), prev=b"x" * 32), [ROOT], "TRUST_CHAIN"),
    "one of another history": (V1, following(change(V1, created_ms=V1.created_ms - 1)), [ROOT], "TRUST_CHAIN"),
    "made earlier": (V1, make_trust(version=2, created=V1.created_ms - 1), [ROOT], "TRUST_CHAIN"),
    "an epoch back": (
        OTHERS_AT_TWO,
        later(channels=[policy(OTHERS, epoch=1)], after=OTHERS_AT_TWO),
        [ROOT],
        "TRUST_CHAIN",
    ),
    "an epoch back by giving a channel a policy of its own": (
        OTHERS_AT_TWO,
        later(channels=[policy(OTHERS, epoch=2), policy("champions", epoch=1)], after=OTHERS_AT_TWO),
        [ROOT],
        "TRUST_CHAIN",
    ),
    "a revocation without a new epoch": (
        V1,
        later(channels=[policy("champions", CANDLES)], revoked=[ENGINE]),
        [ROOT],
        "TRUST_CHAIN",
    ),
    "a revocation taken back": (
        REVOKED,
        make_trust(version=3, created=REVOKED.created_ms, channels=[policy(epoch=3)], after=REVOKED),
        [ROOT],
        "TRUST_CHAIN",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_may_not_follow(name):
    old, new, who, expected = BROKEN[name]
    with raises(Refused) as caught:
        trust.follow(old, signed_trust(new, *who))
    assert caught.value.code == expected


# the file before, the next one, who signs it -> words of the sentence, and the facts
SAID = {
    "by too few": (V1, later(), [THIEF], "what follows version 1", {"actual": 0, "expected": 1}),
    "by too few of its own": (
        V1,
        later(roots=[BACKUP]),
        [ROOT],
        "version 2 of the trust file is signed by 0 root keys of version 2 where 1 are needed",
        {"actual": 0, "expected": 1},
    ),
    "a version left out": (V1, change(later(), version=3), [ROOT], "version 2 must", {"actual": 3, "expected": 2}),
    "another before it": (V1, change(later(), prev=b"x" * 32), [ROOT], "names another one as the version before", None),
    "made earlier": (V1, make_trust(version=2, created=V1.created_ms - 1), [ROOT], "it was made earlier", None),
    "a revocation taken back": (
        REVOKED,
        make_trust(version=3, created=REVOKED.created_ms, channels=[policy(epoch=3)], after=REVOKED),
        [ROOT],
        "takes a revocation back",
        {"actual": 3, "expected": 3},
    ),
    "of another root folder": (
        V1,
        change(later(), root_id=bytes(16)),
        [ROOT],
        "version 2 of the trust file is of another root folder",
        {"actual": bytes(16).hex(), "expected": ROOT_ID.hex()},
    ),
}


@pytest.mark.parametrize(("old", "new", "who", "words", "facts"), SAID.values(), ids=SAID)
def test_what_is_said_of_it(old, new, who, words, facts):
    with raises(Refused) as caught:
        trust.follow(old, signed_trust(new, *who))
    assert words in str(caught.value)
    assert facts in (None, caught.value.facts)


def test_several_files_follow_one_after_the_other():
    v2 = later()
    v3 = following(v2)
    assert trust.follow_all(V1, []) == V1
    assert trust.follow_all(V1, [signed_trust(v2), signed_trust(v3)]) == v3
    with raises("TRUST_CHAIN"):
        trust.follow_all(V1, [signed_trust(v3), signed_trust(v2)])


# begins, ends, signed at, now -> whether it counts
WINDOWS = [
    (10, 20, 10, 10, True),
    (10, 20, 9, 15, False),
    (10, 20, 19, 19, True),
    (10, 20, 20, 15, False),
    (10, 20, 15, 20, False),
    (10, 20, 9, 21, False),
]


@pytest.mark.parametrize(("begins", "ends", "signed", "now", "counts"), WINDOWS)
def test_when_a_key_counts(begins, ends, signed, now, counts):
    assert key(ENGINE, start=begins, end=ends).valid_at(signed, now) is counts


@pytest.mark.parametrize("life_ms", [1, trust.MAX_LIFETIME_MS])
def test_the_shortest_and_the_longest_life(life_ms):
    made = change(V1, expires_ms=V1.created_ms + life_ms)
    assert trust.open(signed_trust(made)) == made


# what is wrong in it -> words of the sentence, and the facts
MALFORMED_SAID = {
    "roots": (
        change(make_trust(roots=[ROOT, BACKUP]), roots=(max(ROOT.public, BACKUP.public),) * 2),
        "the roots of",
        {},
    ),
    "keys": (change(V1, keys=V1.keys + V1.keys[:1]), "the keys of", {}),
    "channels": (change(V1, channels=V1.channels[::-1]), "the channels of", {}),
    "revoked": (change(make_trust(channels=[]), revoked=(Revocation(bytes(16), 0, ""),) * 2), "the revoked of", {}),
    "a key that ends when it begins": (
        make_trust(keys=[key(CANDLES), key(ENGINE, start=5, end=5)]),
        "has not the id or the times of a key",
        {"key": ENGINE.key_id.hex()},
    ),
    "a key nobody knows": (
        make_trust(channels=[policy("champions", PROMOTER)]),
        "names a key that is unknown or revoked",
        {"key": PROMOTER.key_id.hex()},
    ),
    "a millisecond too long": (change(V1, expires_ms=V1.created_ms + trust.MAX_LIFETIME_MS + 1), "within 366 days", {}),
    "the first names one before it": (change(V1, prev=b"x" * 32), "names one before it", {}),
    "more of its keys": (make_trust(channels=[policy(threshold=2)]), "asks for 2 of 1 keys", {}),
    "more of its roots": (make_trust(threshold=2), "asks for 2 of 1 roots", {}),
}


@pytest.mark.parametrize(("made", "words", "facts"), MALFORMED_SAID.values(), ids=MALFORMED_SAID)
def test_what_is_said_of_a_malformed_one(made, words, facts):
    with raises("TRUST_FORMAT") as caught:
        trust.open(forged(made))
    assert words in str(caught.value)
    assert caught.value.facts == facts


def test_what_is_no_trust_file_is_called_so():
    with raises("TRUST_FORMAT", match="a trust file cannot be decoded"):
        trust.open(seal(FORM, b"\xc1", [ROOT]))


def test_which_root_signed_badly_and_which_was_pinned():
    payload = signed_files.trust_payload(V1)
    with raises("TRUST_SIGNATURES", match="version 1 of the trust file has a signature") as caught:
        trust.open(pack(FORM, payload, {ROOT.key_id: bytes(64)}))
    assert caught.value.facts == {"key": ROOT.fingerprint}
    with raises("TRUST_PIN") as caught:
        trust.pin(GOOD, pin_of(THIEF))
    assert caught.value.facts == {"expected": THIEF.fingerprint, "actual": ROOT.fingerprint}
    with raises("WRONG_ROOT", match="version 1 of the trust file is of another"):
        trust.pin(GOOD, Pin(bytes(16), PIN.fingerprints))


def test_a_bad_signature_by_a_root_refuses_even_where_others_suffice():
    made = make_trust(roots=[ROOT, BACKUP])
    payload = signed_files.trust_payload(made)
    data = pack(FORM, payload, {ROOT.key_id: ROOT.sign(sshsig.TRUST, payload), BACKUP.key_id: bytes(64)})
    with raises("TRUST_SIGNATURES"):
        trust.open(data)


def test_a_head_is_no_trust_file_whoever_signed_it():
    with raises("TRUST_FORMAT"):
        trust.open(signed_files.sign_head(make_head(), [ROOT]))
    with raises("TRUST_SIGNATURES"):
        trust.open(
            pack(
                FORM,
                signed_files.trust_payload(V1),
                {ROOT.key_id: ROOT.sign(sshsig.HEAD, signed_files.trust_payload(V1))},
            )
        )


MALFORMED = {
    "a first version that names one before it": change(V1, prev=b"x" * 32),
    "a second version that names none": change(later(), prev=trust.FIRST),
    "a short root id": change(V1, root_id=bytes(15)),
    "roots out of order": change(make_trust(roots=[ROOT, BACKUP]), roots=(max(ROOT.public, BACKUP.public),) * 2),
    "more roots needed than there are": make_trust(threshold=2),
    "no root": change(V1, roots=()),
    "version zero": change(V1, version=0),
    "good for ten years": change(V1, expires_ms=V1.created_ms + 3_660 * DAY_MS),
    "expired before it was made": change(V1, expires_ms=V1.created_ms),
    "a key twice": change(V1, keys=V1.keys + V1.keys[:1]),
    "a key under another's id": make_trust(keys=[key(CANDLES), Key(ENGINE.key_id, THIEF.public, "", 0, NOW)]),
    "a key that ends before it begins": make_trust(keys=[key(CANDLES), key(ENGINE, end=0)]),
    "a label that moves the cursor": make_trust(keys=[key(ENGINE, "\x1b[2J"), key(CANDLES)]),
    "channels out of order": change(V1, channels=V1.channels[::-1]),
    "a channel no file can have": make_trust(channels=[policy("../champions")]),
    "a folder no tree can have": make_trust(channels=[policy(path_prefix="../models")]),
    "more keys needed than there are": make_trust(channels=[policy(threshold=2)]),
    "no key is needed": make_trust(channels=[policy(threshold=0)]),
    "no key is named": make_trust(channels=[policy(key_ids=())]),
    "a key nobody knows": make_trust(channels=[policy("champions", PROMOTER)]),
    "a revoked key": make_trust(revoked=[ENGINE]),
    "kinds out of order": make_trust(channels=[policy(kinds=(2, 1))]),
    "heads good for a year": make_trust(channels=[policy(max_age_s=366 * 86_400)]),
    "revocations out of order": change(make_trust(channels=[]), revoked=(Revocation(bytes(16), 0, ""),) * 2),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(name):
    with raises("TRUST_FORMAT"):
        trust.open(forged(MALFORMED[name]))


def test_what_cannot_be_read_is_not_written():
    with raises("TRUST_FORMAT"):
        signed_files.sign_trust(make_trust(threshold=2), [ROOT])
    with raises("TRUST_FORMAT"):
        signed_files.trust_payload(make_trust(channels=[policy(threshold=2)]))


@pytest.mark.wide
@pytest.mark.parametrize("every", [7, slow(1)])
def test_every_truncation_and_every_bit_is_refused(every):
    for length in range(0, len(GOOD), every):
        with raises(Refused):
            trust.pin(GOOD[:length], PIN)
    for at in range(0, len(GOOD) * 8, every):
        data = bytearray(GOOD)
        data[at // 8] ^= 1 << at % 8
        with raises(Refused):
            trust.follow(make_trust(version=1), bytes(data))
        with raises(Refused):
            trust.pin(bytes(data), PIN)


def test_a_trust_file_ends():
    trust.check_current(V1, V1.expires_ms - 1)
    with raises("TRUST_EXPIRED"):
        trust.check_current(V1, V1.expires_ms)


def test_the_policy_of_a_channel():
    made = make_trust(channels=[policy(OTHERS, epoch=3), policy("champions", epoch=4)])
    assert made.policy("champions").epoch == 4
    assert made.policy("anything/else").epoch == 3
    with raises("CHANNEL_NAME"):
        made.policy(OTHERS)
    with raises("CHANNEL_UNKNOWN"):
        V1.policy("logs")


def test_one_person_with_one_key():
    made = first_trust(ROOT.public, root_id=ROOT_ID, now_ms=NOW)
    data = signed_files.sign_trust(made, [ROOT])
    assert trust.pin(data, PIN) == made
    champions, candles, others = (made.policy(name) for name in ("champions", "candles", "whatever"))
    assert (champions.heartbeat_s, champions.max_age_s, champions.stale_limit_s) == (900, 7_200, 86_400)
    assert candles.max_age_s == 26 * 3_600
    assert others.name == OTHERS
    assert {30, 31}.isdisjoint(champions.kinds), "Hamilton's own"
    assert {30, 31} <= {*candles.kinds} & {*others.kinds}, "what a folder holds is synced, whatever it is"
    assert len(data) < 700
    opened = head.open(signed_files.sign_head(make_head(), [ROOT]), trust=made, channel="champions", now_ms=NOW)
    assert opened.head.channel == "champions"


def test_a_policy_signs_again_in_an_eighth_of_the_time():
    assert policy(max_age_s=1).heartbeat_s == 1
    assert isinstance(policy(), Policy)


def test_who_has_signed_and_what_was_signed_are_told_apart():
    both = make_trust(roots=[ROOT, BACKUP])
    one, two = signed_files.sign_trust(both, [ROOT]), signed_files.sign_trust(both, [ROOT, BACKUP])
    assert trust.digest(one) == trust.digest(two)
    assert trust.signers(two) == {ROOT.key_id, BACKUP.key_id}
    assert trust.signers(one) == {ROOT.key_id}
