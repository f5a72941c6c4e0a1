"""What may come after what, and how much it is worth now."""

import pytest
from expecting import raises
from manifest_world import CANDLES, ENGINE, HOUR, NOW, key, policy

from huracan_sync.errors import Refused
from huracan_sync.manifest.checks import (
    MAX_JUMP,
    Freshness,
    Mark,
    advances,
    check_clock,
    check_fresh,
    check_windows,
    freshness,
)

A, B, C = (queued_write.encode() * 32 for queued_write in "abc")
SEEN = Mark(2, 10, A)
FLOOR = Mark(2, 10, b"")

# Each row: what was seen; epoch, sequence, digest and prev of the head; what is said of it.
ORDER = {
    "nothing was seen": (None, 1, 500, B, C, True),
    "the same head": (SEEN, 2, 10, A, C, False),
    "the next head": (SEEN, 2, 11, B, A, True),
    "a later head, others between": (SEEN, 2, 15, B, C, True),
    "the next epoch begins anew": (SEEN, 3, 1, B, C, True),
    "the next epoch may begin anywhere": (SEEN, 3, 2**63 - 1, B, A, True),
    "the farthest jump": (SEEN, 2, 10 + MAX_JUMP, B, C, True),
    "at the floor": (FLOOR, 2, 10, A, C, True),
    "above the floor": (FLOOR, 2, 11, B, C, True),
    "the head before": (SEEN, 2, 9, B, C, "ROLLBACK"),
    "the epoch before": (SEEN, 1, 2**63 - 1, B, A, "ROLLBACK"),
    "below the floor": (FLOOR, 2, 9, B, C, "ROLLBACK"),
    "another head in the same place": (SEEN, 2, 10, B, C, "FORK"),
    "a next head that follows another": (SEEN, 2, 11, B, C, "FORK"),
    "beyond the farthest jump": (SEEN, 2, 11 + MAX_JUMP, B, A, "SEQUENCE_JUMP"),
    "the last number there is": (SEEN, 2, 2**63 - 1, B, A, "SEQUENCE_JUMP"),
    "beyond the farthest jump from a floor": (FLOOR, 2, 11 + MAX_JUMP, B, A, "SEQUENCE_JUMP"),
}


@pytest.mark.parametrize("name", ORDER)
def test_order(name):
    mark, epoch, sequence, digest, prev, expected = ORDER[name]
    if isinstance(expected, bool):
        assert advances(mark, epoch, sequence, digest, prev) is expected
    else:
        with raises(Refused) as caught:
            advances(mark, epoch, sequence, digest, prev)
        assert caught.value.code == expected


FRESHNESS = [
    (-1, Freshness.FRESH),
    (0, Freshness.STALE),
    (24 * HOUR - 1, Freshness.STALE),
    (24 * HOUR, Freshness.DEAD),
    (10_000 * HOUR, Freshness.DEAD),
]


@pytest.mark.parametrize(("after_ms", "expected"), FRESHNESS)
def test_freshness_to_the_millisecond(after_ms, expected):
    assert freshness(policy(), expires_ms=NOW, now_ms=NOW + after_ms) is expected


def test_only_what_is_fresh_is_given_unasked():
    def status(after_ms, *, allow_stale):
        return check_fresh(policy(), expires_ms=NOW, now_ms=NOW + after_ms, allow_stale=allow_stale)

    assert status(-1, allow_stale=False) is Freshness.FRESH
    assert status(0, allow_stale=True) is Freshness.STALE
    with raises("STALE"):
        status(0, allow_stale=False)
    for allow_stale in (True, False):
        with raises("DEAD"):
            status(24 * HOUR, allow_stale=allow_stale)


def test_a_clock_may_fall_back_five_minutes():
    check_clock(NOW - 300_000, NOW)
    with raises("CLOCK"):
        check_clock(NOW - 300_001, NOW)


# what is checked -> the code, words of the sentence, and the facts, all of them
SAID = {
    "a clock behind": (
        lambda: check_clock(NOW - 400_500, NOW),
        "CLOCK",
        "is 400 s behind",
        {"now_ms": NOW - 400_500, "seen_ms": NOW},
    ),
    "a head past its time": (
        lambda: check_fresh(policy(), expires_ms=NOW, now_ms=NOW + 1_003_500, allow_stale=False),
        "STALE",
        "the newest head expired 1003 s ago",
        {"expires_ms": NOW, "now_ms": NOW + 1_003_500, "stale_limit_s": 86_400},
    ),
    "a head long past its time": (
        lambda: check_fresh(policy(), expires_ms=NOW, now_ms=NOW + 86_403_500, allow_stale=True),
        "DEAD",
        "expired 86403 s ago, more than the 86400 s",
        {"expires_ms": NOW, "now_ms": NOW + 86_403_500, "stale_limit_s": 86_400},
    ),
    "an older head": (
        lambda: advances(SEEN, 2, 9, B, C),
        "ROLLBACK",
        "the head is at 2-9, and 2-10 was already seen",
        {"actual": "2-9", "expected": "2-10"},
    ),
    "another head": (
        lambda: advances(SEEN, 2, 10, B, C),
        "FORK",
        "two different heads are at 2-10",
        {"actual": B.hex(), "expected": A.hex()},
    ),
    "a head that follows another": (
        lambda: advances(SEEN, 2, 11, B, C),
        "FORK",
        "the head at 2-11 does not follow the one seen at 2-10",
        {"actual": C.hex()},
    ),
    "a head far beyond": (
        lambda: advances(SEEN, 2, 11 + MAX_JUMP, B, A),
        "SEQUENCE_JUMP",
        "far beyond 2-10",
        {"actual": f"2-{11 + MAX_JUMP}", "expected": "2-10"},
    ),
    "a key outside its time": (
        lambda: check_windows([key(ENGINE, "the engine")], policy(), created_ms=1, now_ms=NOW),
        "KEY_WINDOW",
        "the key the engine signed outside the time",
        {
            "key": ENGINE.key_id.hex(),
            "not_before_ms": key(ENGINE).not_before_ms,
            "not_after_ms": key(ENGINE).not_after_ms,
            "created_ms": 1,
            "now_ms": NOW,
        },
    ),
    "a key without a name": (
        lambda: check_windows([key(ENGINE)], policy(), created_ms=1, now_ms=NOW),
        "KEY_WINDOW",
        f"the key {ENGINE.key_id.hex()} signed",
        None,
    ),
}


@pytest.mark.parametrize(("check", "code", "words", "facts"), SAID.values(), ids=SAID)
def test_what_is_said(check, code, words, facts):
    with raises(code) as caught:
        check()
    assert words in str(caught.value)
    assert facts in (None, caught.value.facts)


def test_a_threshold_of_the_keys_must_be_inside():
    early, good = key(ENGINE, start=NOW, end=NOW + HOUR), key(CANDLES)
    check_windows([early, good], policy(), created_ms=NOW - 1, now_ms=NOW)
    with raises("KEY_WINDOW") as caught:
        check_windows([good, early], policy(threshold=2), created_ms=NOW - 1, now_ms=NOW)
    assert caught.value.facts["key"] == ENGINE.key_id.hex()
