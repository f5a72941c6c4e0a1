"""What may follow a trust file: every step is accepted by the rules of reading, and none takes anything back."""

import pytest
from expecting import raises
from manifest_world import BACKUP, CANDLES, ENGINE, HOUR, NOW, PROMOTER, ROOT, change, key, make_trust, policy

from huracan_sync.errors import UsageError
from huracan_sync.manifest import rotation, signed_files, trust
from huracan_sync.manifest.default_policy import first_trust
from huracan_sync.manifest.trust import DAY_MS, OTHERS, WARN_MS

ONE = first_trust(ROOT.public, root_id=bytes(16), now_ms=NOW, lifetime_ms=180 * DAY_MS)


def accepted(before, made, *signers):
    """What a reader who believes `before` thinks of `made`."""
    return trust.follow(before, signed_files.sign_trust(made, signers or [ROOT]))


def key_ids(made, name):
    return set(made.find(name).key_ids)


def test_more_time():
    later = NOW + 170 * DAY_MS
    made = accepted(ONE, rotation.renewed(ONE, now_ms=later))
    assert (made.version, made.created_ms, made.expires_ms) == (2, later, later + 180 * DAY_MS)
    assert made.key(ROOT.key_id).not_after_ms == made.expires_ms
    assert [each.key_ids for each in made.channels] == [each.key_ids for each in ONE.channels]


def test_a_clock_that_runs_behind_makes_nothing_older():
    assert accepted(ONE, rotation.renewed(ONE, now_ms=NOW - DAY_MS)).created_ms == NOW


def test_another_key():
    made = rotation.replaced(rotation.renewed(ONE, now_ms=NOW + HOUR), ROOT.public, ENGINE.public)
    made = accepted(ONE, made, ROOT, ENGINE)
    assert made.roots == (ENGINE.public,)
    for name in (OTHERS, "champions", "candles"):
        assert key_ids(made, name) == {ROOT.key_id, ENGINE.key_id}
        assert made.find(name).epoch == 1
    ends = made.key(ROOT.key_id).not_after_ms
    assert NOW + 31 * DAY_MS < ends < NOW + 34 * DAY_MS
    assert made.key(ENGINE.key_id).not_after_ms == made.expires_ms


def test_the_key_before_is_left_out_when_its_time_is_over():
    two = rotation.replaced(rotation.renewed(ONE, now_ms=NOW), ROOT.public, ENGINE.public)
    three = accepted(two, rotation.renewed(two, now_ms=NOW + 10 * DAY_MS), ENGINE)
    assert key_ids(three, "champions") == {ROOT.key_id, ENGINE.key_id}
    four = accepted(three, rotation.renewed(three, now_ms=NOW + 60 * DAY_MS), ENGINE)
    assert key_ids(four, "champions") == {ENGINE.key_id}
    assert four.key(ROOT.key_id) is None


def test_the_only_key_of_a_channel_stays_though_its_time_is_over():
    made = make_trust(keys=[key(ENGINE, end=NOW - HOUR)], channels=[policy()])
    assert accepted(made, rotation.renewed(made, now_ms=NOW)).find("champions").key_ids == (ENGINE.key_id,)


def test_a_key_with_an_end_of_its_own_gets_no_more_time():
    made = make_trust(keys=[key(ENGINE), key(CANDLES)])
    assert rotation.renewed(made, now_ms=NOW).key(ENGINE.key_id).not_after_ms == key(ENGINE).not_after_ms


def test_revoked_and_replaced():
    made = rotation.replaced(rotation.renewed(ONE, now_ms=NOW), ROOT.public, ENGINE.public)
    made = rotation.revoked(made, ONE, ROOT.key_id, reason="stolen")
    made = accepted(ONE, made, ROOT, ENGINE)
    assert made.is_revoked(ROOT.key_id)
    assert made.key(ROOT.key_id) is not None, "so that what it has signed is called revoked, not unknown"
    assert {each.epoch for each in made.channels} == {2}
    assert key_ids(made, "champions") == {ENGINE.key_id}


def test_one_publisher_of_two_is_revoked():
    before = make_trust(
        keys=[key(ENGINE), key(PROMOTER)], channels=[policy("champions", ENGINE, PROMOTER), policy(OTHERS)]
    )
    made = rotation.renewed(before, now_ms=NOW)
    with raises(UsageError, match="too few"):
        rotation.revoked(made, before, ENGINE.key_id, reason="left")  # it alone signs the others
    made = accepted(before, rotation.revoked(made, before, PROMOTER.key_id, reason="left"))
    assert (made.find("champions").epoch, made.find("candles").epoch) == (2, 1)
    assert made.find("champions").key_ids == (ENGINE.key_id,)


def test_revoked_after_it_was_replaced_and_left_out():
    """The chain asks for a new epoch also where the key had just dropped out by its age."""
    two = rotation.replaced(rotation.renewed(ONE, now_ms=NOW), ROOT.public, ENGINE.public)
    made = rotation.renewed(two, now_ms=NOW + 60 * DAY_MS)
    assert key_ids(made, OTHERS) == {ENGINE.key_id}
    made = accepted(two, rotation.revoked(made, two, ROOT.key_id, reason="found on a train"), ENGINE)
    assert made.find(OTHERS).epoch == 2


@pytest.mark.parametrize("who", [BACKUP.key_id, b"", ROOT.key_id])
def test_nobody_to_revoke(who):
    before = ONE
    if who == ROOT.key_id:
        before = rotation.replaced(rotation.renewed(ONE, now_ms=NOW), ROOT.public, ENGINE.public)
        before = rotation.revoked(before, ONE, ROOT.key_id, reason="stolen")
    with raises(UsageError, match="no such key"):
        rotation.revoked(rotation.renewed(before, now_ms=NOW), before, who, reason="?")


def test_the_last_root_is_not_revoked_without_another():
    with raises(UsageError, match="too few"):
        rotation.revoked(rotation.renewed(ONE, now_ms=NOW), ONE, ROOT.key_id, reason="stolen")


def test_a_channel_of_its_own():
    made = rotation.with_channel(
        rotation.renewed(ONE, now_ms=NOW),
        "models/pod-a",
        signers={ENGINE.public: "pod a", ROOT.public: "root"},
        max_age_s=600,
        path_prefix="models/pod-a",
    )
    made = accepted(ONE, made)
    found = made.policy("models/pod-a")
    assert (found.max_age_s, found.path_prefix, found.epoch) == (600, "models/pod-a", 1)
    assert set(found.key_ids) == {ENGINE.key_id, ROOT.key_id}
    assert made.key(ENGINE.key_id).label == "pod a"
    assert made.policy("elsewhere").name == OTHERS
    again = rotation.with_channel(rotation.renewed(made, now_ms=NOW), "models/pod-a", signers={ROOT.public: "root"})
    again = accepted(made, again)
    assert again.policy("models/pod-a").key_ids == (ROOT.key_id,)


def test_a_signer_whose_time_was_over_gets_more():
    made = make_trust(keys=[key(ENGINE, "old", end=NOW - HOUR)], channels=[policy()])
    made = rotation.with_channel(rotation.renewed(made, now_ms=NOW), "champions", signers={ENGINE.public: "new"})
    assert made.key(ENGINE.key_id).not_after_ms == made.expires_ms


def test_no_policy_to_begin_with():
    made = make_trust()
    with raises(UsageError):
        rotation.with_channel(rotation.renewed(made, now_ms=NOW), "logs")


@pytest.mark.parametrize(("life", "warned"), [(180, 30), (90, 30), (60, 30), (59, 19), (30, 10), (3, 1)])
def test_how_long_before_is_the_month_that_fits_the_life(life, warned):
    made = change(ONE, expires_ms=ONE.created_ms + life * DAY_MS, keys=())
    first = min(day for day in range(life) if rotation.endings(made, now_ms=made.created_ms + day * DAY_MS + 1))
    assert life - first == warned or life - first == warned + 1


def test_what_ends_soon_is_told():
    assert rotation.endings(ONE, now_ms=ONE.expires_ms - WARN_MS) == []
    told = rotation.endings(ONE, now_ms=ONE.expires_ms - WARN_MS + 1)
    assert [sentence.partition(" ends on ")[0] for sentence in told] == ["version 1 of the trust file", "the key root"]
    assert "ended" in rotation.endings(ONE, now_ms=ONE.expires_ms)[0]
    two = rotation.replaced(rotation.renewed(ONE, now_ms=NOW), ROOT.public, ENGINE.public)
    assert rotation.endings(two, now_ms=NOW + 20 * DAY_MS) == [], "the key before ends, and another has taken its place"
    assert (
        "the key SHA256:"
        in rotation.endings(
            make_trust(keys=[change(key(ENGINE), label="")], channels=[policy()]), now_ms=NOW + 50 * DAY_MS
        )[0]
    )
