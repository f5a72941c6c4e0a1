"""What a program sends to its workers with cloudpickle, as Dask and Ray do: it works there, or says what to do."""

import json
import subprocess
import sys
import time

import cloudpickle
import pytest
from publishing_machine import Publisher

import huracan_sync
from huracan_sync import DropboxSync, Hamilton, connect
from huracan_sync.errors import UsageError
from huracan_sync.fs import DropboxFileSystem

FAR = "import pickle, sys, json; print(json.dumps(pickle.load(sys.stdin.buffer)()))"


def far(work):
    """What a function comes to in another process, which knows nothing of this one but its environment."""
    command = [sys.executable, "-c", FAR]
    done = subprocess.run(command, input=cloudpickle.dumps(work), capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout.decode().splitlines()[-1])


@pytest.mark.slow
def test_a_function_that_closes_over_the_package(logged_in):
    def work():
        remote = huracan_sync.connect()
        huracan_sync.push("logs", "/R/logs", remote=remote)
        return huracan_sync.DropboxSync().write_text("a.txt", "by a worker"), huracan_sync.__name__

    logged_in.write({"logs/a.log": "one"})
    assert far(work) == [True, "huracan_sync"]
    assert logged_in.stranger.paths() == ["/R/logs/a.log", "/Runpodhuracan/a.txt"]


@pytest.mark.slow
def test_the_engine_s_object_and_the_filesystem(logged_in):
    sync, fs = DropboxSync(), DropboxFileSystem(skip_instance_cache=True)

    def work():
        with fs.open("/R/b.txt", "w") as file:
            file.write("opened there")
        fs.pipe("/R/a.txt", b"piped there")
        return sync.write_text("a.txt", "by a worker")

    assert far(work)
    assert logged_in.stranger.read("/R/a.txt") == b"piped there"
    assert logged_in.stranger.read("/R/b.txt") == b"opened there"


@pytest.mark.slow
def test_hamilton_opens_itself_there_and_what_cannot_says_what_to_do(dropbox, tmp_path, logged_in, monkeypatch):
    publisher = Publisher(dropbox, tmp_path / "publisher", clock=time.time)
    publisher.roots().begin()
    publisher.write({"a.txt": b"one"})
    publisher.publish()
    monkeypatch.setenv("HURACAN_APP_FOLDER", publisher.remote.root)
    hamilton = Hamilton.open("hamilton")
    hamilton.pin(publisher.pin())
    assert far(lambda: [hamilton.latest().sequence, hamilton.latest().read("a.txt").decode()]) == [1, "one"]
    for thing in (hamilton.latest(), connect("hamilton")):
        with pytest.raises(UsageError) as refused:
            cloudpickle.dumps(lambda thing=thing: thing)
        assert "open it there" in refused.value.hint
