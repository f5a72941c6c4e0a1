"""How a large file is cut into ranges, and how many of them are asked for at once."""

import pytest

from huracan_sync.transfer.range_window import FAST, FIRST, MOST, NEARLY, SHORTEST, RangeWindow, ranges

BLOCK = 4 * 1024 * 1024
QUICK, SLOW = BLOCK / FAST * 0.9, BLOCK / FAST * 1.1


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 25, 64, 1000])
@pytest.mark.parametrize("arrived", [set(), {0}, {3, 4}, set(range(1, 1000, 7))])
def test_ranges_cover_what_is_missing_once(count, arrived):
    made = ranges(count, arrived)
    assert [number for part_range in made for number in part_range] == [n for n in range(count) if n not in arrived]
    if not arrived:
        assert len(made) <= max(MOST, count // 64 + 1)
        assert all(len(part_range) >= SHORTEST for part_range in list(made)[:-1])


@pytest.fixture
def window():
    window = RangeWindow()
    for number in range(FIRST):
        assert window.has_room()
        window.begin(range(10 * number, 10 * number + 10))
    return window


def test_where_a_connection_is_fast_no_more_are_opened(window):
    window.arrived(0, BLOCK, QUICK)
    assert not window.has_room()


def test_where_it_is_slow_all_are(window):
    window.arrived(10, BLOCK, SLOW)
    for number in range(FIRST, MOST):
        assert window.has_room()
        window.begin(range(10 * number, 10 * number + 10))
    assert not window.has_room()


def test_a_range_that_is_nearly_there_makes_room_for_one(window):
    for number in range(10 - NEARLY):
        assert not window.has_room()
        window.arrived(number, BLOCK, QUICK)
    assert window.has_room()
    window.begin(range(20, 30))
    assert not window.has_room()


def test_what_ended_early_counts_no_more(window):
    window.end(range(10))
    assert window.has_room()
    window.end(range(10, 20))
    assert window.is_idle


def test_a_range_makes_room_as_long_before_its_end_as_an_answer_takes(window):
    window.answered(5 * QUICK)
    window.answered(60)  # tried again and again: how long that took says nothing
    for number in range(10 - 5):
        assert not window.has_room()
        window.arrived(number, BLOCK, QUICK)
    assert window.has_room()
    window.begin(range(20, 30))
    assert not window.has_room()


def test_an_answer_at_once_makes_no_less_room(window):
    window.answered(QUICK / 100)
    for number in range(10 - NEARLY):
        assert not window.has_room()
        window.arrived(number, BLOCK, QUICK)
    assert window.has_room()
