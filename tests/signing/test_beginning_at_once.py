"""Threads and processes of one machine that sign for the first time in a root folder, all at once."""

import multiprocessing
import threading

from machines import Machine

ROUNDS = 8


def test_threads(dropbox, tmp_path):
    machine = Machine(dropbox, tmp_path, key="sign.key", root="")
    machine.roots("/First").begin()
    failures = []

    def begin(root):
        try:
            machine.roots(root).ensure_pinned()
        except BaseException as error:
            failures.append(error)
            raise

    for number in range(ROUNDS):
        threads = [threading.Thread(target=begin, args=(f"/Root{number}",)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    assert machine.roots("/Root0").newest().version == 1


def test_processes(dropbox, tmp_path):
    machine = Machine(dropbox, tmp_path, key="sign.key", root="")
    machine.roots("/First").begin()
    processes = [
        multiprocessing.get_context("fork").Process(target=lambda n=n: machine.roots(f"/Root{n % 2}").ensure_pinned())
        for n in range(6)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 6
