"""Processes without a start: `subprocess.Popen` and `run` of a Python that has imported what commands need.

A fresh Python takes a third of a second to import what a command needs; a fork of one that has done so, a few
milliseconds. It is a process like any other: own pid, streams, environment, folder, signals, exit code. What is about
the start itself or the very end (options of the interpreter, what is imported when, the encoding of the streams, what
becomes of threads) takes `subprocess`.

Where there is no `PR_SET_CHILD_SUBREAPER` (not Linux), these are those of `subprocess`.
"""

import atexit
import json
import multiprocessing
import multiprocessing.context
import multiprocessing.resource_tracker
import multiprocessing.util
import os
import socket
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from unittest import mock

TEMPLATE = Path(__file__).with_name("warm_template.py")
templates: set[int] = set()
"""Their pids: they live as long as this process."""
_one_at_a_time = threading.Lock()


@cache
def _template(_worker):
    """The line to this process's template; its end ends the template."""
    ours, theirs = socket.socketpair()
    with theirs:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("HURACAN", "DROPBOX"))}
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, str(TEMPLATE), str(theirs.fileno())],
            environment | {"PYTHONPATH": str(TEMPLATE.parent.parent.parent)},
            file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), theirs.fileno())],
        )
    templates.add(pid)
    atexit.register(ours.close)
    return ours


def _received(line, size):
    data = line.recv(size, socket.MSG_WAITALL)
    if len(data) < size:
        raise RuntimeError("the template of warm processes has ended")
    return data


def _fork(command, *, streams=(0, 1, 2), passed=(), cwd=None, env=None, **more):
    """The pid of a Python that does `[python, *options, "-m" or "-c", what, *words]`; its options are passed over."""
    python, *words = map(os.fspath, command)
    assert python == sys.executable
    sys.audit("subprocess.Popen", python, command, cwd, env)
    while words[0] not in {"-m", "-c"}:
        words.pop(0)
    environment = os.environ if env is None else env
    order = {
        "kind": words[0],
        "what": words[1],
        "words": words[2:],
        "cwd": os.fspath(cwd or Path.cwd()),
        "env": {os.fspath(name): os.fspath(value) for name, value in environment.items()},
        "passed": passed,
    }
    data = json.dumps(order | more).encode()
    with _one_at_a_time:
        line = _template(os.getpid())
        socket.send_fds(line, [len(data).to_bytes(4)], [*streams, *passed])
        line.sendall(data)
        pid = int.from_bytes(_received(line, 4))
        _received(line, 1)
    return pid


class _Warm(subprocess.Popen):
    """`terminal`: stdin becomes its controlling terminal."""

    def __init__(self, args, *, terminal=False, **options):
        self._more = {"session": options.get("start_new_session", False), "terminal": terminal}
        super().__init__(args, **options)

    def _execute_child(self, args, _executable, _preexec, _close, _pass, cwd, env, *more):
        _startup, _flags, _shell, *pipes = more[:9]
        p2cread, _p2cwrite, _c2pread, c2pwrite, _errread, errwrite = pipes
        given = enumerate((p2cread, c2pwrite, errwrite))
        streams = [stream if stream >= 0 else ours for ours, stream in given]
        self.pid = _fork(args, streams=streams, cwd=cwd, env=env, **self._more)
        self._child_created = True
        self._close_pipe_fds(*pipes)


Popen = _Warm if sys.platform == "linux" else subprocess.Popen


def run(args, *, input=None, capture_output=False, timeout=None, check=False, **options):  # noqa: A002
    """As `subprocess.run`."""
    if input is not None:
        options["stdin"] = subprocess.PIPE
    if capture_output:
        options["stdout"] = options["stderr"] = subprocess.PIPE
    with Popen(args, **options) as process:
        try:
            out, err = process.communicate(input, timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(args, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


class _Process(multiprocessing.context.SpawnProcess):
    @staticmethod
    def _Popen(process):  # noqa: N802 - a name of multiprocessing's
        def spawn(_python, command, passed):
            return _fork([os.fsdecode(word) for word in command], passed=passed)

        multiprocessing.resource_tracker.ensure_running()  # not a worker; it starts by the same door
        with mock.patch.object(multiprocessing.util, "spawnv_passfds", spawn):
            return multiprocessing.context.SpawnProcess._Popen(process)


class _Context(multiprocessing.context.SpawnContext):
    Process = _Process


def context():
    """Of `multiprocessing`, "spawn": what is handed to a worker travels by pickle, nothing is inherited."""
    return _Context() if sys.platform == "linux" else multiprocessing.get_context("spawn")
