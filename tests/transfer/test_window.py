"""How many parts are under way: simulated links, no clock."""

import heapq

import pytest
from transfer_world import MIB

from huracan_sync.transfer.fetch import SHORTEST_STRETCH, STRETCHES_AT_ONCE, stretches
from huracan_sync.transfer.window import SIZES, Window

PART = 4 * MIB


class Link:
    """Carries `rate` bytes a second, one part after the other; every answer takes `wait` seconds more."""

    def __init__(self, rate, wait):
        self.rate, self.wait, self.now = rate, wait, 0.0

    def seconds(self, parts, window):
        free_at, under_way, left = 0.0, [], parts
        while left or under_way:
            while left and window.has_room:
                window.begin()
                free_at = max(free_at, self.now) + PART / self.rate
                heapq.heappush(under_way, free_at + self.wait)
                left -= 1
            self.now = heapq.heappop(under_way)
            window.end(PART)
        return self.now


class Wide(Window):
    size = SIZES[-1]


LINKS = [
    # bytes a second, seconds an answer takes, the size it comes to at most
    (1e6, 0.08, 2),
    (12.5e6, 0.08, 2),
    (50e6, 0.08, 4),
    (100e6, 0.08, 4),
    (30e6, 0.5, 8),
    (1e9, 0.08, 12),
    (1e9, 0.001, 2),
]


@pytest.mark.parametrize(("rate", "wait", "most"), LINKS)
def test_as_many_parts_as_fill_the_link(rate, wait, most):
    link = Link(rate, wait)
    window = Window(clock=lambda: link.now)
    took = link.seconds(200, window)
    assert window.size <= most
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
