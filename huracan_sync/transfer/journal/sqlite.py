"""The file under the journal: how several processes may open it, and what its errors mean."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

BUSY_S = 60.0
"""How long to wait for another process that writes."""


def use_wal(db: sqlite3.Connection) -> None:
    """Many processes open a new journal at once; SQLite lets one of them make it WAL, and does not wait for it."""
    until = time.monotonic() + BUSY_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.02)
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
    return type(error) is sqlite3.DatabaseError or "malformed" in str(error) or "decode to UTF-8" in str(error)
