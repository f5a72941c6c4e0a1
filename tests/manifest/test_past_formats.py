"""Heads of the past: read for the chain and the history, whatever their age."""

import pytest
from expecting import raises
from manifest_world import (
    BACKUP,
    CANDLES,
    ENGINE,
    HOUR,
    PROMOTER,
    ROOT,
    fetcher,
    item,
    key,
    make_head,
    make_trust,
    policy,
)

from huracan_sync.manifest import body, body_writer, head, head_history, signed_files, sshsig, trust

OLD = make_head(created_ms=1_000, expires_ms=1_000 + 400 * HOUR)
"""Made in 1970, for longer than any policy allows."""


def test_a_head_is_known_by_its_payload_whoever_signed_it():
    one, both = signed_files.sign_head(OLD, [ENGINE]), signed_files.sign_head(OLD, [ENGINE, PROMOTER])
    assert one != both
    assert head_history.digest_of(one) == head_history.digest_of(both) == head.digest(OLD)
    assert head.linked(both, head.digest(OLD)) == OLD
    with raises("HEAD_FORMAT", match="not the one that its successor names"):
        head.linked(one, head.digest(make_head(seq=2)))
    with raises("HEAD_FORMAT"):
        head_history.digest_of(one[:-1])


def test_what_was_signed_is_read_whatever_its_age():
    opened = head_history.past(signed_files.sign_head(OLD, [ENGINE]), trust=make_trust(), channel="champions")
    assert (opened.head, opened.digest, [each.label for each in opened.signers]) == (OLD, head.digest(OLD), ["engine"])


@pytest.mark.parametrize(
    ("who", "channel", "rules", "refusal"),
    [
        (CANDLES, "champions", make_trust(), "KEY_CHANNEL"),
        (ENGINE, "champions", make_trust(channels=[policy(epoch=2)]), "EPOCH"),
        (ENGINE, "logs", make_trust(channels=[policy("logs")]), "WRONG_CHANNEL"),
    ],
)
def test_what_nobody_who_counts_has_signed_is_not(who, channel, rules, refusal):
    with raises(refusal):
        head_history.past(signed_files.sign_head(OLD, [who]), trust=rules, channel=channel)


@pytest.mark.slow
@pytest.mark.wide
def test_where_a_list_leads_is_told_before_it_is_read():
    whole = body_writer.encode("champions", [item("a", b"1")])
    assert body.shards(make_head(whole), whole.data) == []
    many = body_writer.encode("champions", [item(f"f/{n:06}", b"") for n in range(body_writer.SHARD_OVER + 1)])
    said = make_head(many)
    named = body.shards(said, many.data)
    assert [shard.sha256 for shard in named] == [part.sha256 for part in many.shards]
    assert sum(shard.entry_count for shard in named) == len(body.read(said, policy(), fetcher(many)))
    with raises("ENTRY_COUNT"):
        body.shards(make_head(many, entry_count=many.entry_count + 1), many.data)


def test_who_signed_a_trust_file():
    made = make_trust(roots=(ROOT, BACKUP), keys=[key(ENGINE), key(CANDLES)])
    data = signed_files.sign_trust(made, [ROOT, BACKUP])
    assert trust.signers(data) == {sshsig.key_id(ROOT.public), sshsig.key_id(BACKUP.public)}
