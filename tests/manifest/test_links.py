"""Links between heads: where `skip` leads, how long the way is, and what cuts it."""

import contextlib
import random

import pytest
from expecting import raises
from manifest_world import ENGINE, change, make_head

from huracan_sync.manifest import head, head_history, signed_files
from huracan_sync.manifest.checks import Mark


def chain(count, **changes):
    """Heads of one epoch, from sequence 1 on, each properly linked; by sequence."""
    heads, digests = {}, {}
    for seq in range(1, count + 1):
        prev = digests.get(seq - 1, head.FIRST)
        heads[seq] = make_head(seq=seq, prev=prev, skip=digests.get(head.skip_target(seq), head.NONE), **changes)
        digests[seq] = head.digest(heads[seq])
    return heads


CHAIN = chain(40)
BRANCH = chain(40, publisher="thief")


def mark_of(made):
    return Mark(made.epoch, made.seq, head.digest(made))


def walk(top, mark, log):
    """How many copies are read on the way down."""
    reads = 0
    way = head.check_linked(top, mark)
    with contextlib.suppress(StopIteration):
        _, digest = next(way)
        while True:
            reads += 1
            found = next((each for each in log if head.digest(each) == digest), None)
            _, digest = way.send(signed_files.sign_head(found, [ENGINE]) if found else None)
    return reads


WAY = [CHAIN[each] for each in (39, 38, 31, 30, 15, 14, 13, 12, 11)]
VECTORS = {
    "the same head": (CHAIN[40], mark_of(CHAIN[40]), [], "accepted"),
    "the next head": (CHAIN[40], mark_of(CHAIN[39]), [], "accepted"),
    "a gap": (CHAIN[40], mark_of(CHAIN[11]), list(CHAIN.values()), "accepted"),
    "a gap down to the first": (CHAIN[40], mark_of(CHAIN[1]), list(CHAIN.values()), "accepted"),
    "a skip that its publisher did not know": (
        change(CHAIN[40], skip=head.NONE),
        mark_of(CHAIN[37]),
        list(CHAIN.values()),
        "accepted",
    ),
    "a log that was taken away": (CHAIN[40], mark_of(CHAIN[11]), [], "GAP"),
    "a link that was taken away": (CHAIN[40], mark_of(CHAIN[11]), [CHAIN[each] for each in range(20, 40)], "GAP"),
    "a skip to a head of another sequence": (
        change(CHAIN[40], skip=head.digest(CHAIN[20])),
        mark_of(CHAIN[11]),
        list(CHAIN.values()),
        "GAP",
    ),
    "a longer history that branched off below": (BRANCH[40], mark_of(CHAIN[20]), list(BRANCH.values()), "GAP"),
    "another head in the place of a link": (
        CHAIN[40],
        mark_of(CHAIN[11]),
        [*list(CHAIN.values())[:-2], BRANCH[39], BRANCH[38]],
        "GAP",
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_does_it_lead_back(name):
    top, mark, log, expected = VECTORS[name]
    if expected == "accepted":
        walk(top, mark, log)
    else:
        with raises(expected) as caught:
            walk(top, mark, log)
        assert "--at-least" in caught.value.hint


def test_where_a_skip_leads():
    assert [head.skip_target(seq) for seq in range(1, 17)] == [0, 1, 0, 3, 4, 3, 0, 7, 8, 7, 10, 11, 10, 7, 0, 15]
    assert head_history.skip_path(20) == [20, 19, 18, 15]
    assert head.skip_target(2**63 - 1) == 0


def test_a_later_head_skips_to_where_the_one_before_leads_or_one_further():
    """So a publisher needs to know only the head before, and at most one more."""
    for seq in range(1, 3_000):
        before = head_history.skip_path(seq)
        assert head.skip_target(seq + 1) in {seq, *(before[2:3] or [0])}


def test_the_way_is_short():
    chance = random.Random(7)
    for _ in range(2_000):
        low = chance.randrange(1, 10 ** chance.randrange(1, 8))
        high = low + chance.randrange(1, 10**6)
        steps, at = 0, high
        while at > low:
            skip = head.skip_target(at)
            at = skip if skip >= low else at - 1
            steps += 1
        assert steps <= 2 * (high - low).bit_length() + 12


def test_what_it_reads():
    every = list(CHAIN.values())
    assert walk(CHAIN[40], mark_of(CHAIN[39]), every) == 0
    assert walk(CHAIN[40], mark_of(CHAIN[38]), every) == 1
    assert max(walk(CHAIN[40], mark_of(CHAIN[low]), every) for low in range(1, 40)) <= 10


def test_nothing_is_asked_where_nothing_was_seen_or_an_epoch_began():
    for mark in (None, Mark(1, 5, b""), Mark(0, 5, bytes(32)), Mark(2, 5, bytes(32))):
        assert walk(CHAIN[40], mark, []) == 0
