"""No test leaves a process behind, whatever becomes of the test.

After every test, what it started and did not end is ended here. If the test itself passed, that is an error: the
fixture or test that started it must end it. What a fixture of a module or session started may live as long as that.

On Linux this process adopts the orphans of its children, so that a grandchild is found too.
"""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import pytest
import warm

_PR_SET_CHILD_SUBREAPER = 36
_OF_PYTHON = (b"multiprocessing.resource_tracker", b"multiprocessing.forkserver", b"execnet")
"""Processes that Python's own libraries keep for as long as the interpreter runs."""

_popens = weakref.WeakSet()
_lasting: set[int] = set()
"""Processes of fixtures that outlive a test."""
_passed = pytest.StashKey[bool]()


def _remember_popens():
    original = subprocess.Popen.__init__

    def init(self, *args, **kwargs):
        _popens.add(self)
        original(self, *args, **kwargs)

    subprocess.Popen.__init__ = init


def children():
    """{pid: command} of the children of this process that still run."""
    found = {}
    started = {popen.pid: popen.args for popen in list(_popens) if hasattr(popen, "pid")}
    with contextlib.suppress(FileNotFoundError):  # not Linux, or a kernel that does not list them
        for task in Path("/proc/self/task").iterdir():
            for pid in (task / "children").read_text().split():
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
                    command = Path(f"/proc/{pid}/cmdline").read_bytes()
                    # One that is just ending has no command any more.
                    if (
                        state == "Z"
                        or not command
                        or int(pid) in warm.templates
                        or any(name in command for name in _OF_PYTHON)
                    ):
                        continue
                    shown = command.replace(b"\0", b" ").decode(errors="replace").strip()
                    found[int(pid)] = str(started.get(int(pid), shown))
    return found


def end(pids):
    """Kill processes, collect their ends, and close the pipes that were open to them."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for popen in list(_popens):
        if getattr(popen, "pid", None) in pids:
            popen.wait()
            for pipe in (popen.stdin, popen.stdout, popen.stderr):
                if pipe:
                    with contextlib.suppress(OSError):
                        pipe.close()
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


_GRACE_S = 5.0
"""So long a process may take to end by itself after its test: a browser that has clicked, say."""


def pytest_addoption(parser):
    parser.addoption("--fast", action="store_true", help="only what starts no process; what would is skipped")
    parser.addoption("--wide", action="append", default=[], help="with --fast: the wide tests of this file too")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--fast"):
        also = tuple(config.getoption("--wide"))
        wide = {
            item for item in items if item.get_closest_marker("wide") and not (also and item.nodeid.startswith(also))
        }
        slow = [item for item in items if "dropbox_server" in item.fixturenames or item in wide]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in set(slow)]


_in_a_test: list[str] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    _in_a_test.append(item.nodeid)
    try:
        return (yield)
    finally:
        _in_a_test.clear()


def _refuse(event, arguments):
    if _in_a_test and event in {"subprocess.Popen", "os.fork", "os.posix_spawn"}:
        pytest.skip(f"starts a process: {arguments}"[:60])


def pytest_configure(config):
    if config.getoption("--fast"):
        sys.addaudithook(_refuse)
        multiprocessing.process.BaseProcess.start = lambda self: _refuse("os.fork", self.name)
    _remember_popens()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef, request):
    if fixturedef.scope == "function":
        return (yield)
    before = set(children())
    try:
        return (yield)
    finally:
        _lasting.update(set(children()) - before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call":
        item.stash[_passed] = report.passed
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item, nextitem):
    try:
        return (yield)
    finally:
        until = time.monotonic() + _GRACE_S
        while left := {pid: command for pid, command in children().items() if pid not in _lasting or nextitem is None}:
            if nextitem is None or time.monotonic() > until:
                break
            time.sleep(0.02)
        end(left)
        if left and item.stash.get(_passed, False):
            pytest.fail("still running after the test: " + "; ".join(left.values()), pytrace=False)
