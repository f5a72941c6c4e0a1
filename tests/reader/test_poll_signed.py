"""What one look at the signed folder says has moved: the trust file, a channel's head, or nothing that matters."""

import pytest
from manifest_world import make_trust

from huracan_sync.manifest import locations
from huracan_sync.manifest.checks import Mark
from huracan_sync.reader.source import PollResult, poll_signed
from huracan_sync.reader.trust_store import Channel
from huracan_sync.tree.content_hash import content_hash

HEAD, KNOWN = locations.head("champions"), make_trust()
OWN = content_hash(b"the head that is held")
NEXT_TRUST = locations.trust(KNOWN.version + 1)


def held(cursor="7"):
    return Channel(head=b"the head that is held", mark=Mark(1, 1, b""), cursor=cursor)


class Said:
    """A root folder that says what it is told to."""

    def __init__(self, changed=None, lying=None):
        self._changed, self._lying = changed, lying

    def changed(self, folder, cursor):
        assert (folder, cursor) == (locations.HOME, "7")
        return None if self._changed is None else ("8", self._changed)

    def lying(self, folder):
        assert folder == locations.HOME
        return None if self._lying is None else ("9", self._lying)

    def cursor(self, folder):
        assert folder == locations.HOME
        return "10"


@pytest.mark.parametrize(
    ("moved", "trust", "head"),
    [
        ({}, False, False),
        ({HEAD: b"another"}, False, True),
        ({HEAD: OWN}, False, False),
        ({HEAD: b""}, False, True),
        ({HEAD.upper(): b"another"}, False, True),
        ({HEAD.rpartition("/")[0]: b""}, False, True),
        ({HEAD.rpartition("/")[0]: OWN}, False, True),
        ({locations.HOME: b""}, True, True),
        ({locations.head("candles"): b"another"}, False, False),
        ({f"{HEAD}x": b"another"}, False, False),
        ({NEXT_TRUST: b"another"}, True, False),
        ({locations.TRUST: b""}, True, False),
        ({f"{locations.TRUST}x": b""}, False, False),
        ({NEXT_TRUST: b"a", HEAD: b"b"}, True, True),
    ],
)
def test_what_a_change_is_a_change_of(moved, trust, head):
    assert poll_signed(Said(moved), "champions", held(), KNOWN) == PollResult("8", trust, head)


@pytest.mark.parametrize("seen", [None, held(""), held()])
def test_where_the_cursor_says_nothing_what_lies_there_tells(seen):
    """None held, no cursor, or one that is no longer known."""
    lying = {HEAD: OWN, locations.trust(KNOWN.version): b"x"}
    same = poll_signed(Said(lying=lying), "champions", seen, KNOWN)
    assert same == PollResult("9", trust=False, head=seen is None)
    other = poll_signed(Said(lying={HEAD: b"another", NEXT_TRUST.upper(): b"x"}), "champions", seen, KNOWN)
    assert other == PollResult("9", trust=True, head=True)
    gone = poll_signed(Said(lying={}), "champions", seen, KNOWN)
    assert gone == PollResult("9", trust=False, head=True)


def test_of_more_than_one_answer_everything_may_have_moved():
    assert poll_signed(Said(), "champions", held(), KNOWN) == PollResult("10", trust=True, head=True)
