"""The command line, run in this process: what a test needs that is about its answers, not about a process.

A process costs a third of a second to start; most tests want what a command printed, and its exit code.
"""

import contextlib
import gc
import io
import logging
import os
import signal
import sys
import tempfile
from unittest import mock

import structlog

from huracan_sync import cli
from huracan_sync.cli import documents, runner
from huracan_sync.cli.parser import verb_in
from huracan_sync.engine import login


class _Typed(io.StringIO):
    """What is piped to a command."""

    def isatty(self):
        return False


def run(words, *, env, cwd=None, stdin=""):
    """Exit code, stdout and stderr of a command in this environment, as another process would have them."""
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as out,
        tempfile.TemporaryFile("w+", encoding="utf-8") as err,
        _as_a_process_of_its_own(env, cwd),
        mock.patch.object(sys, "stdin", _Typed(stdin)),
        mock.patch.object(sys, "stdout", out),
        mock.patch.object(sys, "stderr", err),
    ):
        try:
            code = cli.main([str(word) for word in words])
        except SystemExit as end:  # argparse: --help, --version, or arguments that are wrong
            code = end.code
        printed = []
        for file in (out, err):
            file.flush()
            file.seek(0)
            printed.append(file.read())
    hold_to_the_schema(words, printed[0])
    return code or 0, *printed


def hold_to_the_schema(words, out):
    """Whatever a verb prints for machines is one of the documents of docs/json.md."""
    verb = verb_in([str(word) for word in words])
    if "--json" in words and verb in documents.DOCUMENTS:
        for line in out.splitlines():
            documents.of_verb(verb, line)


@contextlib.contextmanager
def _as_a_process_of_its_own(env, cwd):
    """What a command changes of its process is put back: environment, folder, signals, logging, thresholds."""
    root = logging.getLogger()
    handlers, level, threshold = root.handlers[:], root.level, gc.get_threshold()
    signals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    configured, config = structlog.is_configured(), structlog.get_config()
    root.handlers[:] = []
    with (
        mock.patch.dict(os.environ, {name: str(value) for name, value in env.items()}, clear=True),
        mock.patch.object(runner, "guard_memory"),  # the memory of the tests is no secret
        contextlib.chdir(cwd or os.getcwd()),  # noqa: PTH109 - as a process has it
    ):
        login._warn_once.cache_clear()  # a process warns once
        try:
            yield
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
            gc.set_threshold(*threshold)
            for number, handler in signals.items():
                signal.signal(number, handler)
            structlog.configure(**config) if configured else structlog.reset_defaults()
