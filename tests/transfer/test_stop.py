"""A run that ends early does not wait: not for a pause the server asked for, nor for a link that gives nothing."""

import contextlib
import logging

import pytest
from transfer_world import ROOT, content

from huracan_sync.errors import Stopped
from huracan_sync.remote.client import Remote
from huracan_sync.remote.http import Endpoint, Wire
from huracan_sync.remote.listing import FileMetadata
from huracan_sync.remote.rate_limit import Pacing
from huracan_sync.remote.token_bucket import TokenBucket
from huracan_sync.transfer.worker_pool import WORKERS, WorkerPool

LONG_S = 30
"""So long it would take if anybody waited."""
HINDRANCES = {
    "pause": {"fault": "rate_limited", "retry_after": LONG_S},
    "silence": {"fault": "stall", "seconds": LONG_S},
    "slow link": {"fault": "slow", "bytes_per_s": 300_000 // LONG_S},
    "throttle": None,
}


def fetch(remote):
    _, data = remote.fetch("files/download", {"path": f"{ROOT}/a.bin"}, FileMetadata, limit=300_000)
    return len(data)


@pytest.mark.parametrize("hindrance", HINDRANCES)
def test_what_is_under_way_is_cut_short(world, dropbox, hindrance):
    world.write({"a.bin": 300_000})
    world.push()
    if rule := HINDRANCES[hindrance]:
        dropbox.faults({"route": "files/download", "times": 1, **rule})
    throttle = None if rule else TokenBucket(300_000 / LONG_S)
    wire = Wire(Endpoint.from_environment(dropbox.env(world.home)), throttle=throttle)
    remote = Remote(wire, world.tokens, pacing=Pacing())
    became, begun = [], []

    def feed():
        if begun:
            while not remote.wire.meter.read().requests:
                pass
            raise KeyboardInterrupt
        begun.append(True)
        pool.start(lambda: fetch(remote), became.append, became.append)
        return True

    with pytest.raises(KeyboardInterrupt), WorkerPool(remote.cut_short, grace_s=0.2) as pool:
        pool.drive(feed)
    assert [type(each) for each in became] == [Stopped]
    if rule:
        assert fetch(Remote(wire, world.tokens)) == 300_000  # and nothing of it stays


def test_what_ends_within_the_grace_is_handed_over(world):
    world.write({"a.bin": 300_000})
    world.push()
    became, begun = [], []

    def feed():
        if begun:
            raise KeyboardInterrupt
        begun.append(True)
        pool.start(lambda: fetch(world.remote), became.append, became.append)
        return True

    with pytest.raises(KeyboardInterrupt), WorkerPool(world.remote.cut_short, grace_s=60.0) as pool:
        pool.drive(feed)
    assert became == [300_000]


@pytest.mark.parametrize("counted", [True, False])
def test_a_signal_between_two_lines_leaves_nobody_to_wait_for(monkeypatch, counted):
    """Counted but never submitted, or taken from the queue but never handed over: no report will ever come."""
    pool = WorkerPool(grace_s=0.1)

    def interrupted(*_):
        raise KeyboardInterrupt

    def feed():
        if pool.is_idle:
            if counted:
                monkeypatch.setattr(pool._pool, "submit", interrupted)
            pool.start(lambda: 1, interrupted, interrupted)
            monkeypatch.setattr(pool, "_done", pool._done if counted else Losing(pool._done))
            return True
        return False

    with pytest.raises(KeyboardInterrupt), pool:
        pool.drive(feed)


class Losing:
    """A queue whose first item is lost to a signal."""

    def __init__(self, queue):
        self.queue, self.lost = queue, False
        self.empty = queue.empty

    def get(self, **options):
        item = self.queue.get(**options)
        if not self.lost:
            self.lost = True
            raise KeyboardInterrupt
        return item


def test_every_worker_keeps_its_connection(world, caplog):
    """A new one costs round trips, and urllib3 complains on stderr of each that it throws away."""
    world.write({"a.bin": 10})
    world.push()
    call = ("files/download", {"path": f"{ROOT}/a.bin"})
    with contextlib.ExitStack() as opened:
        streams = [opened.enter_context(world.remote.stream(*call)) for _ in range(WORKERS)]
        assert [b"".join(stream.chunks()) for stream in streams] == [content("a.bin", 10)] * WORKERS
    assert not [record.message for record in caplog.records if record.levelno >= logging.WARNING]
