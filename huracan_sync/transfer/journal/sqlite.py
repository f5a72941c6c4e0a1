"""The file under the journal: how several processes may open it, and what its errors mean."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

BUSY_S = 60.0
"""How long to wait for another process that writes."""


def use_wal(
    db: sqlite3.Connection,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Many processes open a new journal at once; SQLite lets one of them make it WAL, and does not wait for it."""
    until = clock() + BUSY_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if primary_code(error) not in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED} or clock() > until:
                raise
            sleep(0.02)
        else:
            return


LEAST_ROOM = 256 * 1024
"""Bytes: with less on the disk, SQLite's troubles are taken for a full one."""


def room(folder: Path) -> int:
    """Bytes that are free there."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return LEAST_ROOM
    return status.f_bavail * status.f_frsize


def is_damage(error: sqlite3.Error) -> bool:
    """Whether it says that the file does not hold what was written to it."""
    # Text that is no UTF-8 is told by Python, without a code of SQLite.
    undecodable = isinstance(error, sqlite3.OperationalError) and not hasattr(error, "sqlite_errorcode")
    return type(error) is sqlite3.DatabaseError or undecodable or primary_code(error) in _DAMAGE


_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_SCHEMA}


def primary_code(error: BaseException) -> int | None:
    """SQLite's primary result code; None for what SQLite has not said."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
