"""One process (and one thread) at a time: a lock on a file that is never removed.

The kernel lets go of it when its holder dies, so a killed process leaves nothing to clean up.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from huracan_sync.disk.atomic_write import make_private
from huracan_sync.errors import Busy, LocalFailure

_ours: set[int] = set()
"""Descriptors of locks that this process holds or waits for."""


def _let_go_in_child() -> None:
    # A forked child has them too, and a lock is held until the last of its descriptors is closed.
    for lock in list(_ours):
        os.close(lock)
    _ours.clear()


os.register_at_fork(after_in_child=_let_go_in_child)

POLL_S = 0.05
"""The longest pause between two tries; the first is a thousandth, since most locks are held that long."""


@contextlib.contextmanager
def hold(
    path: Path,
    *,
    what: str,
    wait_s: float = 0.0,
    observe: Callable[[str], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Hold the lock at `path` while the block runs.

    Args:
        path: the lock's file, made with its folder where missing.
        what: what it guards, for people.
        wait_s: how long to wait for another holder.
        observe: called once, when there is somebody to wait for.
        clock: monotonic seconds.
        sleep: waits that many seconds.

    Raises:
        Busy: another process (or thread) holds it still.
    """
    try:
        make_private(path.parent)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        hint = "check the rights of the folder, or set HURACAN_SYNC_HOME to one you may write"
        raise LocalFailure(f"the lock {path} cannot be opened: {error.strerror}", hint=hint, path=str(path)) from error
    _ours.add(lock)
    try:
        until, is_observed, pause = clock() + wait_s, False, 0.001
        while not _try(lock, path):
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            if not is_observed and wait_s > 0:
                observe(f"waiting for process {holder}, which works on {what}")
                is_observed = True
            if clock() >= until:
                raise Busy(
                    f"process {holder} works on {what}",
                    hint="wait for it to finish; if it hangs, end it: its work is not lost",
                    holder=holder,
                )
            sleep(pause)
            pause = min(2 * pause, POLL_S)
        with contextlib.suppress(OSError):  # a full disk keeps nobody from working: who holds it is a courtesy
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield
    finally:
        if lock in _ours:  # not in a child that was forked inside the block
            _ours.discard(lock)
            with contextlib.suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_UN)  # a child that was forked just now may have it open still
            os.close(lock)


def _try(lock: int, path: Path) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}:
            return False
        hint = "some network volumes take no locks: put HURACAN_SYNC_HOME on a disk of this machine"
        raise LocalFailure(f"the lock {path} cannot be taken: {error.strerror}", hint=hint, path=str(path)) from error
    return True
