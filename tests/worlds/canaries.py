"""Every secret of every test is a canary: none may show in what a test prints, logs, writes, or starts.

`Secret` registers each value it holds. After each test, those that are new in it are looked for in the captured
output and log (at DEBUG), in the files below `tmp_path`, and in the arguments of the processes it started. One found
fails the test. A file that its owner may not write (mode 0400) is a secret that the test itself delivered, and is not
looked into.
"""

import logging
import os
import stat
import sys
from contextlib import suppress
from itertools import islice
from pathlib import Path

import pytest
import structlog

from huracan_sync import secret

SHORTEST = 16
"""Characters: what is shorter is a test's plain word ("x", "the-code"), and would be found by chance."""
LARGEST = 4 * 1024 * 1024
"""Bytes: larger files are content."""
MOST_FILES = 2000
"""Of one test: a tree of more is made to be counted, not to be read."""

_started: list[str] = []
_before = pytest.StashKey[set]()


def _hear(event, arguments):
    if event in {"subprocess.Popen", "os.posix_spawn", "os.exec"}:
        _started.append(repr(arguments[1]))


sys.addaudithook(_hear)


def spellings(value):
    """A secret as it would lie in a file: also raw bytes travel as text."""
    yield value.encode("utf-8", "surrogatepass")
    if not value.isascii() and max(value) <= "\xff":
        yield value.encode("latin-1")


def found_in(data, canaries):
    """Those of the secrets that are in these bytes, told by their length only."""
    return [
        f"a secret of {len(value)} characters" for value in canaries if any(form in data for form in spellings(value))
    ]


def files_below(folder):
    """(path, bytes) of what lies there, but for what the test delivered.

    A thread that the test's own fixtures end later may still close a journal: a file that goes away while one looks
    holds nothing any more.
    """
    paths = (Path(where, name) for where, _, names in os.walk(folder) for name in names)
    for path in islice(paths, MOST_FILES):
        with suppress(FileNotFoundError, NotADirectoryError):
            found = path.lstat()
            if stat.S_ISREG(found.st_mode) and found.st_mode & stat.S_IWUSR and found.st_size <= LARGEST:
                yield path, path.read_bytes()


def leaks(item, report, canaries):
    """Where a secret shows, one line each."""
    for title, text in report.sections:
        yield from (f"{what} in {title}" for what in found_in(text.encode(), canaries))
    folder = item.funcargs.get("tmp_path")
    if folder is not None and folder.is_dir():
        for path, data in files_below(folder):
            yield from (f"{what} in {path.relative_to(folder)}" for what in found_in(data, canaries))
    for started in _started:
        yield from (f"{what} in the arguments of a process" for what in found_in(started.encode(), canaries))


@pytest.fixture(autouse=True)
def _log_everything(caplog):
    """Also in the next test: a command that ran in this process has structlog pass over what is below its level."""
    caplog.set_level(logging.DEBUG)
    configured, config = structlog.is_configured(), structlog.get_config()
    yield
    structlog.configure(**config) if configured else structlog.reset_defaults()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    item.stash[_before] = set(secret._known)
    _started.clear()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    canaries = [v for v in secret._known - item.stash.get(_before, set()) if len(v) >= SHORTEST]
    if call.when == "call" and report.passed and canaries:
        shown = sorted(set(leaks(item, report, canaries)))
        if shown:
            report.outcome, report.longrepr = "failed", "secrets show:\n" + "\n".join(shown)
    return report
