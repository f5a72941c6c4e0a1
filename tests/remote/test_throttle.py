import pytest

from huracan_sync.errors import Stopped
from huracan_sync.remote.throttle import SHAPED, Shape
from huracan_sync.remote.token_bucket import TokenBucket


def test_without_a_throttle_any_size_moves_at_once():
    shape = Shape(None)
    assert shape.most(10**9) == 10**9
    shape.wait(10**9)


def test_with_one_bytes_move_in_small_pieces_and_none_is_lost():
    asked = []
    shape = Shape(lambda size: asked.append(size) or 0.0)
    body = bytes(range(256)) * 200
    assert b"".join(shape.pieces([body, memoryview(body)])) == body * 2
    assert sum(asked) == 2 * len(body)
    assert max(asked) == SHAPED == shape.most(10**9)


def test_after_a_cut_nothing_moves():
    shape = Shape(lambda _: 3600.0)
    shape.is_cut.set()
    for move in (shape.check, lambda: shape.wait(1), lambda: list(shape.pieces([b"x"]))):
        with pytest.raises(Stopped):
            move()


def test_a_bucket_lets_its_rate_pass_and_no_more():
    now = [0.0]
    bucket = TokenBucket(100, clock=lambda: now[0])
    assert [bucket(50), bucket(50)] == [0.5, 1.0]
    now[0] = 1.0
    assert bucket(100) == pytest.approx(1.0)
    now[0] = 60.0  # who was idle for long has saved a tenth of a second, no minute
    assert bucket(100) == pytest.approx(0.9)
