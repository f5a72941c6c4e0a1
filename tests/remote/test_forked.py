"""What a forked child replaces: everything with locks or connections that still lives."""

from huracan_sync.remote import forked


class Thing:
    def __init__(self):
        self.renewed = 0
        forked.renewed_in_child(self)

    def __eq__(self, other):
        return isinstance(other, Thing)

    __hash__ = None

    def renew_in_child(self):
        self.renewed += 1


def test_each_that_lives_is_renewed_once_also_where_several_are_equal():
    first, second = Thing(), Thing()
    forked.renewed_in_child(first)
    known = set(forked._registered)
    assert {id(first), id(second)} <= known
    for each in (first, second):
        forked._registered[id(each)].renew_in_child()
    assert (first.renewed, second.renewed) == (1, 1)
    gone = id(second)
    del second, each  # nothing else holds it
    assert id(first) in forked._registered
    assert gone not in forked._registered
