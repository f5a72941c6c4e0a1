"""A child that is forked while threads of its parent use the journal has a journal of its own, at once."""

import os
import signal
import sqlite3
import threading

import pytest
from forking import forked

from huracan_sync.transfer.journal import Journal

MANY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n WHERE i < 5000) SELECT i FROM n"


def writes(home, name="/R"):
    with Journal(home) as journal:
        return journal.pair("child", home, name) > 0


def transaction(journal, begun, end):
    with journal.transaction() as db:
        db.execute("INSERT INTO strangers VALUES (x'00')")
        begun.set()
        end.wait(0.3)


def opened(_, begun, end):
    begun.set()
    end.wait()


def half_read(journal, begun, end):
    rows = journal.rows(MANY, ())
    next(rows)
    begun.set()
    end.wait()
    assert len(list(rows)) == 4999


@pytest.mark.parametrize("use", [transaction, opened, half_read])
def test_a_child_writes_whatever_a_thread_of_its_parent_did(tmp_path, use):
    begun, end = threading.Event(), threading.Event()

    def parent():
        with Journal(tmp_path) as journal:
            use(journal, begun, end)

    thread = threading.Thread(target=parent)
    thread.start()
    begun.wait()
    try:
        assert forked(lambda: writes(tmp_path))
    finally:
        end.set()
        thread.join()
    assert forked(lambda: writes(tmp_path))


def test_the_journal_of_the_parent_goes_on_and_is_closed_in_the_child(tmp_path):
    with Journal(tmp_path) as journal:
        before = journal.pair("parent", tmp_path, "/R")
        rows = journal.rows(MANY, ())
        next(rows)

        def child():
            with pytest.raises(sqlite3.ProgrammingError, match="closed"):
                journal.pair("parent", tmp_path, "/R")
            with pytest.raises(sqlite3.ProgrammingError, match="closed"):
                list(rows)
            journal.close()
            return writes(tmp_path)

        assert forked(child)
        assert journal.pair("child", tmp_path, "/R") != before == journal.pair("parent", tmp_path, "/R")
        assert len(list(rows)) == 4999


def test_a_child_that_lives_longer_than_its_parents_journal_loses_nothing(tmp_path):
    """The log that SQLite keeps beside the file is taken away by whoever closes last: that is the child."""
    (wrote, tell), (closed, go) = os.pipe(), os.pipe()
    with Journal(tmp_path) as journal:
        journal.pair("parent", tmp_path, "/R")
        rows = journal.rows(MANY, ())
        next(rows)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                signal.alarm(20)
                with Journal(tmp_path) as mine:
                    mine.pair("child", tmp_path, "/1")
                    os.write(tell, b"1")
                    os.read(closed, 1)
                    mine.pair("child", tmp_path, "/2")
                status = 0
            finally:
                os._exit(status)
        os.read(wrote, 1)
    os.write(go, b"1")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    for descriptor in (wrote, tell, closed, go):
        os.close(descriptor)
    with Journal(tmp_path) as journal:
        known = list(journal.rows("SELECT place, remote FROM pairs ORDER BY id", ()))
    assert known == [("parent", "/r"), ("child", "/1"), ("child", "/2")]


def test_rows_that_nobody_reads_to_their_end_keep_nothing_open(tmp_path):
    journal = Journal(tmp_path)
    for _ in range(3):
        next(journal.rows(MANY, ()))
    left = journal.rows(MANY, ())
    next(left)
    journal.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        list(left)
    assert not (tmp_path / "journal.db-wal").exists(), "whoever closes last takes it away"
