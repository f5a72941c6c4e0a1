"""The file under the journal: what its errors mean, and how many processes open it at once."""

import sqlite3

import pytest

from huracan_sync.transfer.journal.sqlite import BUSY_S, LEAST_ROOM, is_damage, primary_code, room, use_wal


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


class Database:
    """One that others keep busy for so many attempts."""

    def __init__(self, *failures):
        self.failures = list(failures)

    def execute(self, statement):
        assert statement == "PRAGMA journal_mode = WAL"
        if self.failures:
            raise self.failures.pop(0)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.mark.parametrize("code", [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED])
def test_who_opens_it_first_is_waited_for(code):
    clock = Clock()
    use_wal(Database(failure(code), failure(code)), clock=clock, sleep=clock.sleep)
    assert 0 < clock.now < 1


def test_one_that_stays_busy_is_not_waited_for_for_ever():
    clock, busy = Clock(), failure(sqlite3.SQLITE_BUSY)
    with pytest.raises(sqlite3.OperationalError):
        use_wal(Database(*[busy] * 100_000), clock=clock, sleep=clock.sleep)
    assert BUSY_S < clock.now < BUSY_S + 1


def test_any_other_trouble_is_told_at_once():
    clock = Clock()
    with pytest.raises(sqlite3.OperationalError):
        use_wal(Database(failure(sqlite3.SQLITE_READONLY)), clock=clock, sleep=clock.sleep)
    assert clock.now == 0


def test_free_space(tmp_path):
    assert room(tmp_path) > 0
    assert room(tmp_path / "nowhere") == LEAST_ROOM, "what cannot be told is not taken for a full disk"
