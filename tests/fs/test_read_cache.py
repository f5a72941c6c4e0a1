"""How an open file reads ahead: exact ranges for jumps, parts ahead for a file read in order."""

import pytest

from huracan_sync.fs.read_cache import FIRST, AdaptiveCache

DATA = bytes(range(256)) * 4


class Ahead:
    """What reads ahead from a byte on."""

    def __init__(self, start, first):
        self.at, self.first, self.closed = start, first, False

    def read(self, count):
        data, self.at = DATA[self.at : self.at + count], self.at + count
        return data

    def close(self):
        self.closed = True


@pytest.fixture
def reading():
    """The cache, the ranges that were asked for, and what was read ahead."""
    asked, begun = [], []

    def fetch(start, stop):
        asked.append((start, stop))
        return DATA[start:stop]

    def ahead(start, first):
        begun.append(Ahead(start, first))
        return begun[-1]

    return AdaptiveCache(0, fetch, len(DATA), read_ahead=ahead), asked, begun


def test_jumps_are_fetched_as_they_are(reading):
    cache, asked, begun = reading
    for start, stop in ((1000, 1024), (0, 4), (500, 510), (510, 520), (9, 20)):
        assert cache._fetch(start, stop) == DATA[start:stop]
    assert (asked, begun) == ([(1000, 1024), (0, 4), (500, 510), (510, 520), (9, 20)], [])


def test_the_third_read_in_order_reads_ahead_and_a_jump_gives_it_up(reading):
    cache, asked, begun = reading
    for start in range(0, 500, 100):
        assert cache._fetch(start, start + 100) == DATA[start : start + 100]
    (ahead,) = begun
    assert (asked, ahead.at, ahead.first) == ([(0, 100), (100, 200)], 500, FIRST)
    assert cache._fetch(900, 910) == DATA[900:910]
    assert (asked[-1], ahead.closed) == ((900, 910), True)


def test_the_ends_of_a_file(reading):
    cache, asked, _ = reading
    assert cache._fetch(None, None) == DATA
    assert cache._fetch(len(DATA), None) == cache._fetch(5, 5) == cache._fetch(7, 3) == b""
    assert cache._fetch(len(DATA) - 2, 1 << 40) == DATA[-2:]
    assert asked == [(0, len(DATA)), (len(DATA) - 2, len(DATA))]


def test_without_a_reader_ahead_every_range_is_fetched():
    cache = AdaptiveCache(0, lambda start, stop: DATA[start:stop], len(DATA))
    assert b"".join(cache._fetch(at, at + 64) for at in range(0, len(DATA), 64)) == DATA
    cache.close()
