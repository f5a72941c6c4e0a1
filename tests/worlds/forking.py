"""A fork at the worst moment: another thread holds a lock, and the child must go on."""

import os
import signal
import threading
import traceback
from contextlib import contextmanager


@contextmanager
def held_elsewhere(lock):
    """Another thread holds a lock while the block runs (one that may be taken twice is no obstacle to its holder)."""
    is_held, is_over = threading.Event(), threading.Event()

    def hold():
        with lock:
            is_held.set()
            is_over.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert is_held.wait(10)
        yield
    finally:
        is_over.set()
        thread.join()


def forked(work, *, limit_s=20):
    """Whether `work` is true in a forked child. One that hangs is killed after so many seconds; an error is printed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(limit_s)
            status = 0 if work() else 1
        except BaseException:  # noqa: BLE001 - whatever it was, it is told
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0
