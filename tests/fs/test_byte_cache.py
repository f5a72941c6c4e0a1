"""What memory is kept for, and what goes first."""

import pytest

from huracan_sync.fs.byte_cache import ByteCache
from huracan_sync.fs.views import bounds, has_magic

# what is put, in order, and asked for between ("?name") -> what is left of a cache of ten bytes
USES = {
    "what fits": (["aaaaa", "bbbbb"], "ab"),
    "a byte too many": (["aaaaa", "bbbbb", "c"], "bc"),
    "the oldest goes first": (["aaaa", "bbbb", "cccc", "dddd"], "cd"),
    "what was asked for stays": (["aaaa", "bbbb", "?a", "cccc"], "ac"),
    "the same again is no second": (["aaaaa", "aaaaa", "bbbbb"], "ab"),
    "the same, shorter": (["aaaaaaaaaa", "aaaa", "bbbbbb"], "ab"),
    "what is larger than all of it": (["aaa", "b" * 11], ""),
    "nothing at all": ([], ""),
}


@pytest.mark.parametrize(("uses", "left"), USES.values(), ids=USES)
def test_what_is_kept(uses, left):
    cache = ByteCache(10)
    for use in uses:
        if use.startswith("?"):
            assert cache.get((use[1],)) is not None
        else:
            cache.put((use[0],), use.encode())
    assert "".join(name for name in "abcd" if cache.get((name,)) is not None) == left


def test_what_was_put_last_is_given_and_clearing_makes_room():
    cache = ByteCache(10)
    cache.put(("a",), b"1")
    cache.put(("a",), b"22")
    assert cache.get(("a",)) == b"22"
    cache.clear()
    assert cache.get(("a",)) is None
    cache.put(("b",), b"0123456789")
    assert cache.get(("b",)) == b"0123456789"


def test_a_child_begins_with_nothing():
    cache = ByteCache(10)
    cache.put(("a",), b"1")
    cache.renew_in_child()
    assert cache.get(("a",)) is None


# size, start, end -> the bytes that a range means
BOUNDS = [
    (10, None, None, (0, 10)),
    (10, 2, 5, (2, 5)),
    (10, -3, None, (7, 10)),
    (10, 0, -3, (0, 7)),
    (10, 8, 99, (8, 10)),
    (10, 99, None, (10, 10)),
    (10, 5, 2, (5, 5)),
    (0, None, None, (0, 0)),
]


@pytest.mark.parametrize(("size", "start", "end", "expected"), BOUNDS)
def test_the_bytes_of_a_range(size, start, end, expected):
    assert bounds(size, start, end) == expected


@pytest.mark.parametrize(
    ("path", "expected"), [("/a", False), ("/a*", True), ("/a?", True), ("/[ab]", True), ("/]", False)]
)
def test_what_is_a_pattern(path, expected):
    assert has_magic(path) is expected
