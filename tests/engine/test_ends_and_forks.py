"""Uploads at the end of a program, and in workers that were forked from a process that syncs."""

import os
import subprocess
import sys
from contextlib import contextmanager

import pytest
from engine_world import noise
from sampled import sampled, slow

from huracan_sync.disk.lock import hold

APP = "/Runpodhuracan"

AT_THE_END = """
import atexit, sys, threading, time
from huracan_sync import DropboxSync
sync = DropboxSync(sys.stdin.readline().strip(), create_dated_folder=False)
def last():
    main = threading.main_thread()
    while WAITS and main.is_alive():
        time.sleep(0.01)
    time.sleep(0.2 if WAITS else 0)
    print("sent", sync.upload_logs(), sync.upload_file("big.bin", "big.bin"), sync.last_error, file=sys.stderr)
"""
HOW = {
    "atexit": "WAITS = False\natexit.register(last)\n",
    "a thread that outlives main": "WAITS = True\nthreading.Thread(target=last).start()\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("how", HOW)
def test_uploads_at_the_end_of_a_program_arrive(machine, how):
    machine.write({f"logs/{n}.log": f"{n}" for n in range(30)} | {"big.bin": noise("big", 20_000_000)})
    done = subprocess.run(
        [sys.executable, "-c", AT_THE_END + HOW[how]],
        input=machine.token() + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr.splitlines()[-1] == "sent 30 True None"
    assert len(machine.stranger.paths()) == 31


@pytest.mark.parametrize("error", [RuntimeError("a bug"), slow(MemoryError()), slow(OSError("odd"))])
def test_the_outbox_keeps_what_failed_whatever_the_reason(machine, monkeypatch, error):
    sync = machine.sync()
    machine.write({"metrics.json": "precious", "logs/a.log": "a"})

    def fails(*_, **__):
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(sync.context.sender, "put_file", fails)
        broken.setattr(sync.context.sender, "put_content", fails)
        broken.setattr("huracan_sync.engine.folder_uploads.push_folder", fails)
        assert sync.upload_file("metrics.json", "metrics.json") is False
        assert sync.write_text("beat.json", "{}") is False
        assert sync.upload_logs() == 0
    assert len(sync.pending) == 3
    (machine.work / "metrics.json").unlink()
    assert sync.write_text("x", "x")
    assert sync.pending == []
    assert machine.stranger.read(f"{APP}/2025-11-14/metrics.json") == b"precious"


@contextmanager
def committing(sync):
    with sync.context.remote.pacing.commit():
        yield


@contextmanager
def locked(lock):
    with lock:
        yield


HELD = {
    "a commit": committing,
    "the calls under way": lambda sync: locked(sync.context.remote.pacing._free),
    "the token": lambda sync: locked(sync.context.remote.tokens._lock),
    "the connections": lambda sync: locked(sync.context.remote.wire._lock),
    "the meter": lambda sync: locked(sync.context.remote.wire.meter._lock),
    "the official client": lambda sync: locked(sync._lock),
    "the outbox": lambda sync: hold(sync.context.home / "outbox" / "outbox.lock", what="the outbox"),
}


@pytest.mark.parametrize("what", sampled(HELD, 3))
def test_a_forked_worker_goes_on_whatever_its_parent_held(logged_in, what):
    from huracan_sync.engine import DropboxSync

    sync = DropboxSync(create_dated_folder=False)
    assert sync.write_text("parent.txt", "1")
    with HELD[what](sync):
        child = os.fork()
        if child == 0:
            import signal

            signal.alarm(20)  # what hangs is killed
            good = sync.write_text("child.txt", "2") and sync.upload_file(__file__, "t.py") and bool(sync._dbx)
            os._exit(0 if good else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0
    assert logged_in.stranger.read(f"{APP}/child.txt") == b"2"
    assert sync.write_text("parent.txt", "3")  # over a connection of its own


def test_a_lock_ends_with_its_holder_although_a_forked_child_lives_on(tmp_path):
    out, into = os.pipe()
    with hold(tmp_path / "lock", what="it"):
        child = os.fork()
        if child == 0:
            os.close(into)
            os.read(out, 1)  # until the parent is done
            os._exit(0)
    with hold(tmp_path / "lock", what="it"):
        pass
    os.close(into)
    os.waitpid(child, 0)
    os.close(out)
