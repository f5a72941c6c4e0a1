"""Connections that are slow each: a part travels on two of them, half and half, and arrives as one."""

import pytest
from test_resume import cut, equal
from transfer_world import MIB, Watching

from huracan_sync.errors import OutOfSpace
from huracan_sync.transfer import session_parts
from huracan_sync.transfer.send_window import SLOW, ConnectionPace


@pytest.fixture
def slow_connections(monkeypatch):
    """Every connection counts as slow, and there is always memory for more of them."""
    monkeypatch.setattr(session_parts, "MANY", 0)
    monkeypatch.setattr(ConnectionPace, "is_slow", True)


def appends(world):
    return world.dropbox.log()["requests"]["files/upload_session/append_v2"]


@pytest.mark.slow
@pytest.mark.usefixtures("slow_connections")
@pytest.mark.parametrize(("size", "calls"), [(64 * MIB, 15), (60 * MIB + 7, 15), (41 * MIB, 11)])
def test_the_halves_of_a_part_arrive_as_one(world, size, calls):
    world.write({"x": size})
    monitor = Watching()
    report = world.push(monitor=monitor)
    assert (report.failed, report.bytes_sent, monitor.bytes) == ([], size, size)
    assert equal(world)
    assert appends(world) == calls  # two for each part of 8 MiB but the last, which closes


@pytest.mark.slow
def test_a_file_of_many_parts_has_larger_ones(world, monkeypatch):
    monkeypatch.setattr(ConnectionPace, "is_slow", False)
    monkeypatch.setattr(session_parts, "PARTS", 2)
    world.write({"x": 64 * MIB, "y": 12 * MIB})
    assert world.push().failed == []
    assert equal(world)
    assert appends(world) == 4 + 2


@pytest.mark.slow
@pytest.mark.usefixtures("slow_connections")
def test_a_large_part_goes_in_as_many_pieces_as_several_small_ones(world, monkeypatch):
    monkeypatch.setattr(session_parts, "PARTS", 2)
    world.write({"x": 64 * MIB, "y": 12 * MIB})
    assert world.push().failed == []
    assert equal(world)
    assert appends(world) == 3 * 4 + 1 + 2 + 1  # of x three of its parts of 16 MiB in four pieces; of y one in two


@pytest.mark.slow
@pytest.mark.usefixtures("slow_connections")
def test_a_cut_upload_goes_on_at_the_part_of_which_both_halves_arrived(world):
    world.write({"x": 60 * MIB})
    cut(world, 28 * MIB)
    report = world.push()
    assert report.bytes_sent <= 40 * MIB
    assert equal(world)


@pytest.mark.slow
@pytest.mark.usefixtures("slow_connections")
def test_a_half_that_is_refused_fails_its_part_and_the_next_run_sends_both(world):
    world.write({"x": 64 * MIB})
    refused = {"fault": "insufficient_space", "route": "files/upload_session/append_v2", "nth": [4]}
    world.dropbox.control("faults", [refused])
    with pytest.raises(OutOfSpace):
        world.push()
    report = world.push()
    assert report.failed == []
    assert report.bytes_sent >= 8 * MIB
    assert equal(world)


@pytest.mark.parametrize(
    ("latency", "seconds", "is_slow"),
    [
        (0.08, 0.50, True),  # 8 MiB at 20 MB/s
        (0.08, 0.15, False),  # most of it is the answer
        (0.08, 0.25, False),  # 50 MB/s
        (0.50, 0.95, False),  # a far server: more connections bring what fewer larger calls bring
        (0.50, 8.50, True),
    ],
)
def test_a_connection_is_slow_if_the_bytes_take_long_not_the_answer(latency, seconds, is_slow):
    pace = ConnectionPace()
    pace.arrived(8 * MIB, 100.0)
    assert not pace.is_slow  # what an answer takes is not known yet
    pace.empty_call(latency)
    pace.arrived(8 * MIB, seconds)
    assert pace.is_slow is is_slow
    pace.arrived(8 * MIB, latency + 8 * MIB / SLOW / 2)
    assert not pace.is_slow
