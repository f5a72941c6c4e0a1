"""The file under the journal: what its errors mean."""

import sqlite3

import pytest

from huracan_sync.transfer.journal.sqlite import LEAST_ROOM, is_damage, primary_code, room


def failure(code, kind=sqlite3.OperationalError):
    error = kind("x")
    if code is not None:
        error.sqlite_errorcode = code
    return error


# what SQLite says -> its primary code, and whether the file is damaged
ERRORS = [
    (failure(sqlite3.SQLITE_CORRUPT), sqlite3.SQLITE_CORRUPT, True),
    (failure(sqlite3.SQLITE_CORRUPT | 1 << 8), sqlite3.SQLITE_CORRUPT, True),
    (failure(sqlite3.SQLITE_NOTADB, sqlite3.DatabaseError), sqlite3.SQLITE_NOTADB, True),
    (failure(sqlite3.SQLITE_SCHEMA), sqlite3.SQLITE_SCHEMA, True),
    (failure(sqlite3.SQLITE_BUSY), sqlite3.SQLITE_BUSY, False),
    (failure(sqlite3.SQLITE_FULL), sqlite3.SQLITE_FULL, False),
    (failure(sqlite3.SQLITE_IOERR_SHORT_READ), sqlite3.SQLITE_IOERR, False),
    (failure(None), None, True),  # text that is no UTF-8
    (failure(None, sqlite3.DatabaseError), None, True),
    (failure(None, sqlite3.IntegrityError), None, False),
]


@pytest.mark.parametrize(("error", "code", "damaged"), ERRORS)
def test_what_an_error_means(error, code, damaged):
    assert (primary_code(error), is_damage(error)) == (code, damaged)


def test_free_space(tmp_path):
    assert room(tmp_path) > 0
    assert room(tmp_path / "nowhere") == LEAST_ROOM, "what cannot be told is not taken for a full disk"
