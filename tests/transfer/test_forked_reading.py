"""A file that is being read ahead when its process forks."""

import os
import threading

from forking import forked

from huracan_sync.transfer.ranges import ReadAhead
from huracan_sync.transfer.worker_pool import background

DATA = bytes(at % 251 for at in range(1000))


def test_a_child_reads_on_though_what_was_asked_for_arrives_at_the_parent():
    parent, arrives = os.getpid(), threading.Event()

    def fetch(start, end):
        if start and os.getpid() == parent:
            arrives.wait(60)
        return DATA[start:end]

    with background(2) as threads:
        ahead = ReadAhead(threads, fetch, start=0, end=len(DATA), first=100)
        begun = ahead.read(60)
        ahead._ask(500)
        assert not any(part.done() for part in ahead._parts)
        try:
            assert forked(lambda: begun + ahead.read(len(DATA)) == DATA)
        finally:
            arrives.set()
        assert begun + ahead.read(len(DATA)) == DATA


def test_threads_that_were_ended_stay_ended_in_a_child():
    threads = background(2)
    threads.submit(int).result()
    threads.shutdown()

    def takes_none():
        try:
            threads.submit(int)
        except RuntimeError:
            return True
        return False

    assert forked(takes_none)
