"""SQLite in a program that forks: a fork waits for the statement under way, and its child opens its files anew.

SQLite has locks of the whole process (its allocator's among them), and notes which connection has locked which file. A
child inherits both as they are: what a thread of its parent had locked, it would wait for without end. So statements
take turns, a transaction is one turn, and so is a fork. Nobody waits for another process during a turn.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote
from weakref import WeakSet

from huracan_sync.errors import Busy

FORK_WAIT_S = 60.0
"""How long a fork waits for its turn; then it is made all the same, and its child is refused SQLite."""
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY, sqlite3.SQLITE_LOCKED}
_lock = threading.RLock()
_forks: list[None] = []
"""One item for each fork that waits or is under way."""
_open: WeakSet[Database] = WeakSet()
_lost: list[Database | None] = []
"""What this process inherited half done, and must neither use nor close."""


def turn(sleep: Callable[[float], None] = time.sleep) -> contextlib.AbstractContextManager[object]:
    """What a statement holds while it runs."""
    if _lost:
        raise Busy("this process was forked while its parent was busy with SQLite", hint="fork it again")
    tries = 100
    while _forks and tries and not _lock._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001 - as Condition asks
        sleep(0.001)  # they come first, if there are not new ones without end
        tries -= 1
    return _lock


class Database:
    """A connection. Each statement outside of `transaction` is durable by itself."""

    def __init__(self, file: Path, mode: str, *, wait_s: float) -> None:
        """Open a file: `ro`, `rw`, or `rwc` to make it. Other processes are waited for so many seconds."""
        self._wait_s = wait_s
        address = f"file:{quote(os.fsencode(file))}?mode={mode}"
        with turn():  # of any thread: a child has one, and closes what others have opened
            self._db = sqlite3.connect(address, uri=True, timeout=0, isolation_level=None, check_same_thread=False)
            _open.add(self)

    def execute(self, query: str, arguments: Any = (), read: Any = sqlite3.Cursor.fetchall) -> Any:
        """Do it; what is read from its cursor: all rows, if nothing else is asked."""
        until = 0.0
        while True:
            with turn():
                try:
                    return read(self._db.execute(query, arguments))
                except sqlite3.OperationalError as error:
                    trouble = error
            until = self._wait(trouble, until)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All that the block writes, durable when it ends, or nothing."""
        until = 0.0
        while True:
            with turn():
                try:
                    self._db.execute("BEGIN EXCLUSIVE")
                except sqlite3.OperationalError as error:
                    trouble = error
                else:
                    try:
                        yield
                    except BaseException:
                        with contextlib.suppress(sqlite3.Error):  # SQLite ended some by itself; the first error counts
                            self._db.execute("ROLLBACK")
                        raise
                    self._db.execute("COMMIT")
                    return
            until = self._wait(trouble, until)

    def close(self) -> None:
        """Close it."""
        with turn():
            self._db.close()
            _open.discard(self)

    def _wait(self, trouble: Exception, until: float, clock: Any = time.monotonic, sleep: Any = time.sleep) -> float:
        """Wait a little, if another process is the trouble, until then at most (0: not known yet); else raise it."""
        if self._db.in_transaction or getattr(trouble, "sqlite_errorcode", None) not in _BUSY or 0 < until < clock():
            raise trouble
        sleep(0.005)
        return until or clock() + self._wait_s


def _in_child() -> None:
    """Close what is open, unless something was under way: it is the parent's, and goes on there."""
    _forks.clear()
    inherited = list(_open)
    _open.clear()
    try:
        _lock.release()
    except RuntimeError:  # its turn did not come
        _lost[:] = [None, *inherited]
        return
    if any(each._db.in_transaction for each in inherited):  # noqa: SLF001 - of the very thread that forked
        _lost[:] = inherited
        return
    for each in inherited:
        each.close()


# Nothing of it is Python: a signal's handler would run in between.
os.register_at_fork(before=partial(_lock.acquire, timeout=FORK_WAIT_S), after_in_parent=_lock.release)
os.register_at_fork(before=partial(_forks.append, None), after_in_parent=_forks.pop, after_in_child=_in_child)
