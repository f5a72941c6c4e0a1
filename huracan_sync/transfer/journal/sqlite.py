"""The file under the journal: how it is read, and what its errors mean."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from huracan_sync.disk.sqlite import Database, turn

BUSY_S = 60.0
"""How long to wait for another process that writes."""
_AT_ONCE = 1000
"""Rows that are read in one turn."""


class JournalFile(Database):
    """The connection of a journal."""

    def __init__(self, file: Path) -> None:
        """Open it, or make it."""
        self._half_read: set[sqlite3.Cursor] = set()
        super().__init__(file, "rwc", wait_s=BUSY_S)

    def rows(self, query: str, arguments: tuple[object, ...]) -> Iterator[Any]:
        """What a query finds, read as it is asked for. Between two reads others have their turn."""
        cursor = self.execute(query, arguments, self._begun)
        try:
            while rows := self._next(cursor):
                yield from rows
        finally:
            with turn():
                self._end(cursor)

    def executemany(self, query: str, arguments: Iterable[tuple[object, ...]]) -> None:
        """Do it with each of these; in a transaction."""
        with turn():
            self._db.executemany(query, arguments)

    def close(self) -> None:
        """Close it, whatever is half read."""
        with turn():
            for cursor in list(self._half_read):
                self._end(cursor)
            super().close()

    def _begun(self, cursor: sqlite3.Cursor) -> sqlite3.Cursor:
        self._half_read.add(cursor)
        return cursor

    @staticmethod
    def _next(cursor: sqlite3.Cursor) -> list[Any]:
        with turn():
            return cursor.fetchmany(_AT_ONCE)

    def _end(self, cursor: sqlite3.Cursor) -> None:
        if cursor in self._half_read:
            self._half_read.discard(cursor)
            cursor.close()


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
