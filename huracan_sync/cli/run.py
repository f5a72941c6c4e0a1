"""`run`: keep everything of the engine in Dropbox, as a process of its own."""

from __future__ import annotations

import _thread
import argparse
import contextlib
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from huracan_sync.auth.connect import home_of
from huracan_sync.cli import settings_options
from huracan_sync.cli.columns import ascii_path, table
from huracan_sync.cli.invocation import DONE, FAILURES, INTERRUPTED, Invocation
from huracan_sync.cli.log_lines import show_events
from huracan_sync.cli.login_options import credentials, key_place
from huracan_sync.cli.runner import exit_code
from huracan_sync.cli.status import continuous_as_dict, kinds_in_words
from huracan_sync.engine import run as engine_run
from huracan_sync.engine.context import EngineContext
from huracan_sync.engine.daemon.status_file import read
from huracan_sync.engine.login import chosen_by
from huracan_sync.engine.run import RunReport
from huracan_sync.engine.settings import KINDS, Settings
from huracan_sync.errors import ConfigError, HuracanError, UsageError
from huracan_sync.signing import expiry
from huracan_sync.tree.units import counted, size_in_words, span_in_words

IMPATIENT_S = 1.0
"""A second signal before that is the first one's echo: `timeout` and terminals signal a process and its group."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    parser.add_argument("--once", action="store_true", help="restore, one pass over every kind, then end")
    parser.add_argument(
        "--http",
        type=int,
        metavar="PORT",
        help="serve a page, /metrics and /healthz on this port of 127.0.0.1 (0: any)",
    )
    settings_options.add_arguments(parser)


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """`run`."""
    if options.once and options.http is not None:
        raise UsageError("--once ends at once, so nobody could look at --http", hint="leave one of them out")
    if options.http is not None and not 0 <= options.http < 1 << 16:
        raise UsageError(f"--http {options.http} is no port")
    show_events(verbosity=options.verbose, quiet=options.quiet)
    settings = settings_options.settings_of(options, invocation)
    engine = engine_of(settings, options, invocation)
    if options.once:
        return _once(engine, settings, invocation)
    if not any(settings.interval(kind) > 0 for kind in KINDS):
        raise ConfigError("every kind is disabled, so there is nothing to run", hint="enable one, see `sync_logs`")
    home = home_of(invocation.env)
    with engine_run.only_one(engine), _asked_to_end(engine.stop):
        invocation.output.say(_opening(settings))
        for ending in expiry.endings(home, time.time()):
            invocation.output.warn(f"warning: {ending.sentence}")
        ended = engine_run.run(engine, settings, port=options.http, say=invocation.output.say)
    left, now = read(home), time.time()
    lines = ["ended; what was under way came to its end" if ended else "ended; something was still under way"]
    if left is not None:
        lines += kinds_in_words(left, now)
    invocation.output.document({"ended": ended, **(continuous_as_dict(left, now) if left else {})}, lines)
    return DONE if ended else FAILURES


def engine_of(settings: Settings, options: argparse.Namespace, invocation: Invocation) -> EngineContext:
    """The engine's context over the login that settings and options name; that there is one is seen at once.

    Raises:
        NotAuthorized: nobody is logged in.
        ConfigError: a pasted token that is none, or switched off.
    """
    if not settings.enabled:
        raise ConfigError("sync is disabled", hint=f"it says so in {settings.origins['enabled']}: `enabled`")
    login = None
    if settings.access_token is None:
        if "profile" in settings.origins:
            options.profile = settings.profile
        login = credentials(options, invocation)
        login.load()
    # Errors raise here of themselves; what the strict mode is for is the engine's own code.
    settings = msgspec.structs.replace(settings, strict=False)
    try:
        return EngineContext.open(chosen_by(settings), settings, credentials=login, keys=key_place(options, invocation))
    except ValueError as error:
        raise ConfigError(str(error), hint="run `huracan-sync authorize` once, and remove the token") from None


def _opening(settings: Settings) -> str:
    every = [f"{kind} every {span_in_words(settings.interval(kind))}" for kind in KINDS if settings.interval(kind) > 0]
    return f"keeping {settings.layout.root} in step: {', '.join(every)}; SIGTERM or Ctrl-C ends it"


@contextlib.contextmanager
def _asked_to_end(stop: threading.Event) -> Iterator[None]:
    """SIGTERM or Ctrl-C sets the event; another one a moment later ends the process without waiting."""
    asked_at: list[float] = []
    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def asked(number: int, _: object) -> None:
        asked_at.append(time.monotonic())
        if len(asked_at) == 1:
            # On a thread of its own: the handler may have interrupted this thread inside the event's own lock.
            _thread.start_new_thread(stop.set, ())
        elif asked_at[-1] - asked_at[0] > IMPATIENT_S:
            signal.signal(number, before[number])
            signal.raise_signal(number)

    for number in before:
        signal.signal(number, asked)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# --- once -------------------------------------------------------------------------------------------------------


def _once(engine: EngineContext, settings: Settings, invocation: Invocation) -> int:
    with _asked_to_end(engine.stop):
        report = engine_run.run_once(engine, settings)
    if report.ended_early:
        invocation.output.interrupted("run the same command again, it carries on where it stopped")
        return INTERRUPTED
    invocation.output.document(report.as_dict(), _once_in_words(report))
    return DONE if report.is_good else _code(report)


def _code(report: RunReport) -> int:
    """What kept everything from being done, if it was one thing; else that something failed."""
    codes = {exit_code(error) for error in report.failed.values()}
    anything = any(outcome.files for outcome in report.kinds.values())
    return codes.pop() if len(codes) == 1 and not anything else FAILURES


def _once_in_words(report: RunReport) -> list[str]:
    rows = [["kind", "in step", "sent", "bytes", "waiting", "failed", "refused"]]
    for kind, outcome in report.kinds.items():
        counts = [str(n) for n in (outcome.files, outcome.sent)]
        more = [str(n) for n in (outcome.waiting, outcome.failed, outcome.refused)]
        rows.append([kind, *counts, size_in_words(outcome.bytes_sent), *more])
    rows += [[kind, *"------"] for kind in report.failed]
    errors = {kind: outcome.error for kind, outcome in report.kinds.items() if outcome.error} | report.failed
    return [
        *table(rows),
        *(ascii_path(f"  {kind}: {error}") for kind, error in errors.items()),
        f"{report.restored} restored, {report.pending} waiting in the outbox; {counted(report.requests, 'request')}",
        *_hints(report.failed.values()),
    ]


def _hints(errors: Iterable[HuracanError]) -> list[str]:
    return [f"  hint: {hint}" for hint in dict.fromkeys(error.hint for error in errors if error.hint)]
