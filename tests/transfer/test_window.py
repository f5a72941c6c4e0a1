"""How many parts are under way: simulated links, no clock."""

import heapq

import pytest
from transfer_world import MIB

from huracan_sync.transfer.fetch import SHORTEST_STRETCH, STRETCHES_AT_ONCE, stretches
from huracan_sync.transfer.window import SIZES, Window

PART = 4 * MIB


class Link:
    """Carries `rate` bytes a second, fairly shared; half of `wait` goes by before a part is read, half after it."""

    def __init__(self, rate, wait):
        self.rate, self.wait, self.now = rate, wait, 0.0
        self.moments, self.left = [], {}

    def seconds(self, parts, window):
        begun = arrived = 0
        while arrived < parts:
            while begun < parts and window.has_room:
                window.begin()
                heapq.heappush(self.moments, (self.now + self.wait / 2, "send", begun))
                begun += 1
            for what, part in self.next_moment():
                if what == "send":
                    self.left[part] = PART
                else:
                    window.end(PART)
                    arrived += 1
        return self.now

    def next_moment(self):
        """Go on until something happens; what."""
        sent_at = [self.now + left * len(self.left) / self.rate for left in self.left.values()]
        then = min([*sent_at, *(moment for moment, *_ in self.moments[:1])])
        for part in self.left:
            self.left[part] -= (then - self.now) * self.rate / len(self.left)
        self.now = then
        for part in [part for part, left in self.left.items() if left < 1]:
            del self.left[part]
            heapq.heappush(self.moments, (self.now + self.wait / 2, "answered", part))
        while self.moments and self.moments[0][0] <= self.now:
            yield heapq.heappop(self.moments)[1:]


class Wide(Window):
    size = SIZES[-1]


LINKS = [
    # bytes a second, seconds an answer takes, what it comes to
    (1e6, 0.08, 4),
    (12.5e6, 0.08, 4),
    (25e6, 0.08, 4),
    (50e6, 0.08, 6),
    (100e6, 0.08, 12),
    (30e6, 0.5, 12),
    (1e9, 0.08, 12),
    (1e9, 0.001, 4),
]


@pytest.mark.parametrize(("rate", "wait", "size"), LINKS)
def test_as_many_parts_as_fill_the_link(rate, wait, size):
    link = Link(rate, wait)
    window = Window(clock=lambda: link.now)
    took = link.seconds(200, window)
    assert window.size == size
    assert took <= 1.25 * Link(rate, wait).seconds(200, Wide())


def test_failures_give_their_place_back_and_measure_nothing():
    window = Window(clock=lambda: 0.0)
    for _ in range(100):
        assert window.has_room
        window.begin()
        window.end(0)
    assert window.size == SIZES[0]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 25, 64, 1000])
@pytest.mark.parametrize("arrived", [set(), {0}, {3, 4}, set(range(1, 1000, 7))])
def test_stretches_cover_what_is_missing_once(count, arrived):
    made = stretches(count, arrived)
    assert [number for stretch in made for number in stretch] == [n for n in range(count) if n not in arrived]
    if not arrived:
        assert len(made) <= max(STRETCHES_AT_ONCE, count // 64 + 1)
        assert all(len(stretch) >= SHORTEST_STRETCH for stretch in list(made)[:-1])
