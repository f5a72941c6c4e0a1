"""How many parts are under way: simulated links, no clock."""

import heapq

import pytest
from transfer_world import MIB

from huracan_sync.transfer.send_window import ALONE, SendWindow

PART = 8 * MIB
ROOMS = 7
"""Parts that memory has room for."""


class Link:
    """Carries `rate` bytes a second, fairly shared, at most `each` on one connection; an answer comes `wait` later."""

    def __init__(self, rate, wait, each=1e12):
        self.rate, self.wait, self.each, self.now = rate, wait, each, 0.0
        self.left, self.answers, self.most_going_out, self.most_under_way = {}, [], 0, 0

    def seconds(self, parts, window):
        begun = arrived = 0
        while arrived < parts:
            while begun < parts and window.has_room and len(self.left) + len(self.answers) < ROOMS:
                self.left[begun] = (PART, window.begin())
                begun += 1
            self.most_going_out = max(self.most_going_out, len(self.left))
            self.most_under_way = max(self.most_under_way, len(self.left) + len(self.answers))
            arrived += self.resume()
        return self.now

    def resume(self):
        """Until something happens; how many answers came."""
        speed = min(self.rate / max(len(self.left), 1), self.each)
        ends = [self.now + size / speed for size, _ in self.left.values()]
        then = min([*ends, *(at for at, _, _ in self.answers[:1])])
        moved = (then - self.now) * speed
        self.now = then
        self.left = {number: (size - moved, passage) for number, (size, passage) in self.left.items()}
        for number in [number for number, (size, _) in self.left.items() if size < 1]:
            _, passage = self.left.pop(number)
            passage.left(PART)
            heapq.heappush(self.answers, (then + self.wait, number, passage))
        came = 0
        while self.answers and self.answers[0][0] <= then:
            heapq.heappop(self.answers)[2].end()
            came += 1
        return came


LINKS = [
    # bytes a second, seconds an answer takes, going out at once at most while few are sent
    (1e6, 0.08, 1),
    (25e6, 0.08, 1),
    (100e6, 0.08, 1),
    (30e6, 0.5, 2),
    (1e9, 0.08, 4),
    (1e9, 0.001, 1),
]


@pytest.mark.parametrize(("rate", "wait", "most"), LINKS)
def test_one_link_is_full_with_few_parts_under_way(rate, wait, most):
    link = Link(rate, wait)
    took = link.seconds(ALONE - 2, SendWindow(clock=lambda: link.now))
    assert link.most_going_out <= most
    assert link.most_under_way <= most + 1 + rate * wait / PART * 1.5
    assert took <= 1.02 * (ALONE - 2) * PART / rate + 5 * wait


@pytest.mark.parametrize(("rate", "wait", "most"), LINKS)
def test_connections_that_bring_nothing_are_taken_back(rate, wait, most):
    link = Link(rate, wait)
    window = SendWindow(clock=lambda: link.now)
    link.seconds(200, window)
    assert window.size <= 2  # 2 where answers take so long that memory has no room for more parts


@pytest.mark.parametrize(("connections", "size"), [(2, 2), (3, 4), (4, 4), (6, 8), (16, 8)])
def test_more_connections_where_each_is_slow(connections, size):
    link = Link(1e6 * connections, 0.08, each=1e6)
    window = SendWindow(clock=lambda: link.now)
    link.seconds(400, window)
    assert window.size == size


def test_failures_give_their_place_back_and_measure_nothing():
    window = SendWindow(clock=lambda: 0.0)
    for _ in range(100):
        assert window.has_room
        window.begin().end()
    assert (window.size, window.going_out, window.waiting) == (1, 0, 0)


def test_a_part_that_is_sent_again_leaves_once():
    window = SendWindow(clock=lambda: 0.0)
    passage = window.begin()
    passage.left(PART)
    passage.left(PART)
    assert (window.going_out, window.waiting) == (0, 1)
    passage.end()
    passage.end()
    assert (window.going_out, window.waiting) == (0, 0)
