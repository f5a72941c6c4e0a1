"""Threads that do without threads where there can be none."""

import concurrent.futures.thread as pools
import threading

import pytest

from huracan_sync.remote.parallel import Threads, several


@pytest.fixture
def no_threads(monkeypatch):
    """As at the end of the interpreter, in atexit handlers and in threads that outlive the main one."""
    monkeypatch.setattr(pools, "_shutdown", True)


def test_at_the_end_of_the_interpreter_the_caller_works(no_threads):
    here = threading.get_ident()
    assert list(several(lambda n: (n, threading.get_ident()), range(5))) == [(n, here) for n in range(5)]


def test_what_the_work_raises_is_its_result(no_threads):
    with Threads(2) as threads:
        future = threads.submit(int, "no number")
    assert isinstance(future.exception(), ValueError)


def test_where_no_thread_can_be_started_work_is_done_once(monkeypatch):
    done = []
    with Threads(2) as threads:
        start = threading.Thread.start
        monkeypatch.setattr(threading.Thread, "start", lambda _: (_ for _ in ()).throw(RuntimeError("can't start")))
        assert threads.submit(lambda: done.append(1) or 7).result() == 7
        monkeypatch.setattr(threading.Thread, "start", start)
        assert threads.submit(lambda: done.append(2) or 8).result(5) == 8  # its thread finds the first in the queue too
    assert done == [1, 2]


def test_after_its_end_it_takes_no_work():
    threads = Threads(1)
    threads.shutdown()
    with pytest.raises(RuntimeError):
        threads.submit(int)
