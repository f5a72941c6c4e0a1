"""SQLite beside forks: they take turns, and no child is left with what its parent had under way."""

import contextlib
import multiprocessing
import os
import signal
import sqlite3
import threading
import time
from concurrent.futures import ProcessPoolExecutor

import pytest
from forking import forked

from huracan_sync.disk import sqlite
from huracan_sync.disk.sqlite import Database
from huracan_sync.errors import Busy


def opened(file, mode="rwc", wait_s=5.0):
    return contextlib.closing(Database(file, mode, wait_s=wait_s))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a ?%#b.db"
    with opened(path) as db:
        db.execute("CREATE TABLE t (x)")
    return path


def count(file):
    """What lies there, and one more."""
    with opened(file, "rw") as db, db.transaction():
        db.execute("INSERT INTO t VALUES (?)", (os.getpid(),))
        return db.execute("SELECT count(*) FROM t")[0][0]


@contextlib.contextmanager
def in_a_thread(work):
    """While the block runs, `work(begun, over)` runs in a thread; the block begins once it has set `begun`."""
    begun, over, failures = threading.Event(), threading.Event(), []

    def run():
        try:
            work(begun, over)
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)
        finally:
            begun.set()

    thread = threading.Thread(target=run)
    thread.start()
    begun.wait(10)
    try:
        yield thread
    finally:
        over.set()
        thread.join()
        assert failures == []


def test_rows_and_what_is_written(file):
    with opened(file) as db:
        assert db.execute("INSERT INTO t VALUES (1), (?) RETURNING x", ("two",)) == [(1,), ("two",)]
        assert db.execute("DELETE FROM t WHERE x=3") == []
        with pytest.raises(ZeroDivisionError), db.transaction():
            db.execute("DELETE FROM t WHERE ?", (1 / len(db.execute("DELETE FROM t")),))
        with db.transaction():
            db.execute("DELETE FROM t WHERE x=1")
        assert db.execute("SELECT x FROM t") == [("two",)]
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            db.execute("SELECT * FROM none")
    with opened(file, "ro") as db, pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.execute("DELETE FROM t")
    with pytest.raises(sqlite3.OperationalError, match="unable to open"), opened(file.with_name("none"), "rw") as db:
        db.execute("SELECT 1")


def test_a_fork_waits_for_a_transaction_and_its_child_sees_the_end_of_it(file):
    def work(begun, over):
        with opened(file) as db, db.transaction():
            db.execute("INSERT INTO t VALUES (1)")
            begun.set()
            over.wait(0.3)

    with in_a_thread(work):
        assert forked(lambda: count(file) == 2)
    assert count(file) == 3


def test_what_a_thread_had_open_is_closed_in_the_child_and_lives_on_in_the_parent(file):
    with opened(file) as db:

        def closed():
            with pytest.raises(sqlite3.ProgrammingError, match="closed"):
                db.execute("SELECT 1")
            return count(file) == 1

        assert forked(closed)
        db.execute("INSERT INTO t VALUES (1)")
        assert count(file) == 3


@pytest.mark.slow
def test_forks_come_before_threads_that_never_rest(file):
    """Counted in the child, which has the numbers of the moment of the fork."""
    done = [0, 0, 0]

    def work(number):
        def run(begun, over):
            with opened(file) as db:
                while not over.is_set():
                    db.execute("SELECT count(*) FROM t")
                    done[number] += 1
                    begun.set()

        return in_a_thread(run)

    with work(0), work(1), work(2):
        for _ in range(15):
            before = sum(done)
            assert forked(lambda before=before: sum(done) - before < 12)


def test_a_thread_may_begin_what_it_has_begun_elsewhere(file, tmp_path):
    with opened(file) as one, opened(tmp_path / "two") as two, one.transaction(), two.transaction():
        two.execute("CREATE TABLE t (x)")
        one.execute("INSERT INTO t VALUES (1)")
    assert count(file) == 2


@contextlib.contextmanager
def held(file):
    """Another program has locked the file."""
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield other
    finally:
        other.close()


@pytest.mark.slow
@pytest.mark.parametrize("act", ["SELECT x FROM t", "INSERT INTO t VALUES (1)", "a transaction"])
def test_who_waits_for_another_program_keeps_no_fork_waiting(file, act):
    def work(begun, _):
        with opened(file, wait_s=30.0) as db:
            begun.set()
            if act == "a transaction":
                with db.transaction():
                    db.execute("INSERT INTO t VALUES (1)")
            else:
                db.execute(act)

    assert forked(lambda: True)  # where no process may be started, it is skipped before anything is held
    with held(file) as other, in_a_thread(work) as thread:
        time.sleep(0.05)  # it is most likely waiting by then
        began = time.monotonic()
        assert forked(lambda: True)
        assert time.monotonic() - began < 5
        assert thread.is_alive()
        other.execute("COMMIT")
        thread.join(10)
        assert not thread.is_alive()


def test_another_program_is_not_waited_for_without_end(file):
    with held(file), opened(file, wait_s=0.05) as db:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            db.execute("SELECT x FROM t")
        with pytest.raises(sqlite3.OperationalError, match="locked"), db.transaction():
            pass
    assert count(file) == 1


class Interrupt(Exception):
    pass


@contextlib.contextmanager
def signal_in(after_s):
    def interrupt(*_):
        raise Interrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, after_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_signal_in_the_middle_leaves_the_turn_to_others(file):
    interrupted = 0
    for round_ in range(25):
        with opened(file) as db:
            try:
                with signal_in(0.002 + round_ * 0.00003):
                    while True:
                        with db.transaction():
                            db.execute("INSERT INTO t VALUES (1)")
                        db.execute("SELECT count(*) FROM t")
            except Interrupt:
                interrupted += 1
        with in_a_thread(lambda begun, _: (count(file), begun.set())) as other:
            other.join(10)
            assert not other.is_alive(), "the turn was never given back"
    assert interrupted == 25


def test_a_child_that_was_forked_in_a_transaction_of_its_own_is_refused(file):
    def refused():
        with pytest.raises(Busy, match="forked"):
            count(file)
        return True

    with opened(file) as db, db.transaction():
        db.execute("INSERT INTO t VALUES (1)")
        assert forked(refused)
        db.execute("INSERT INTO t VALUES (2)")
    assert count(file) == 3
    assert forked(lambda: count(file) == 4), "the next is as any other"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_child_whose_fork_did_not_wait_to_the_end_is_refused(file):
    """A signal's handler raises while the fork waits: nothing keeps Python from forking then."""

    def refused():
        with pytest.raises(Busy, match="forked"):
            count(file)
        return True

    def work(begun, over):
        with sqlite.turn():
            begun.set()
            over.wait(10)

    with in_a_thread(work), signal_in(0.1):
        assert forked(refused)
    assert count(file) == 1
    assert forked(lambda: count(file) == 2)


@pytest.mark.slow
def test_a_child_of_a_child_and_one_of_a_thread(file):
    def work(begun, over):
        with opened(file) as db:
            while not over.is_set():
                db.execute("SELECT count(*) FROM t")
                begun.set()

    def in_thread(begun, _):
        assert forked(lambda: count(file) == 2)
        begun.set()

    with in_a_thread(work):
        assert forked(lambda: forked(lambda: bool(count(file))))
        with in_a_thread(in_thread):
            pass
    assert count(file) == 3


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_worker_processes_that_are_forked(file):
    def work(begun, over):
        with opened(file) as db:
            while not over.is_set():
                with db.transaction():
                    db.execute("UPDATE t SET x=x")
                begun.set()

    with in_a_thread(work), ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        assert sorted(pool.map(count, [file] * 6, timeout=30)) == [1, 2, 3, 4, 5, 6]
