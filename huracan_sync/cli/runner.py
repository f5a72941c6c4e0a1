"""Run a verb: logging that hides secrets, errors as sentences with hints, exit codes."""

from __future__ import annotations

import argparse
import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from huracan_sync.auth.keystore.secret_io import Environment
from huracan_sync.cli.columns import Whole
from huracan_sync.cli.invocation import (
    CONFIGURATION,
    DONE,
    FAILURES,
    INTERRUPTED,
    LATER,
    REFUSED,
    UNAUTHORIZED,
    UNAVAILABLE,
    USAGE,
    Invocation,
)
from huracan_sync.cli.output import CARRIES_ON, Output, give_up_stdout, make_streams_safe
from huracan_sync.cli.redaction import RedactingFilter, quiet_the_wire
from huracan_sync.cli.stderr import log_file, tell
from huracan_sync.errors import (
    ConfigError,
    HuracanError,
    LocalFailure,
    MissingScope,
    NoCredentials,
    NotAuthorized,
    NoTrust,
    Refused,
    TryLater,
    Unavailable,
    UsageError,
)
from huracan_sync.secret import redact
from huracan_sync.transfer.progress import DECISIONS, UNCHANGED

_CODES: list[tuple[type[HuracanError], int]] = [
    (UsageError, USAGE),
    (ConfigError, CONFIGURATION),
    (NotAuthorized, UNAUTHORIZED),
    (Refused, REFUSED),
    (TryLater, LATER),
    (Unavailable, UNAVAILABLE),
]


def exit_code(error: HuracanError) -> int:
    """The exit code of an error; 1 for what concerns single files (conflicts, local failures, nothing there)."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILURES)


_OF_READERS = {"follow", "verify", "trust"}
_TRUST = re.compile("(?<=`)huracan-sync keys trust [^`]*")
_ESCAPED = re.compile("[\udc80-\udcff]")
"""In a word of the command line: a byte that the locale could not read."""
SECRET_VARIABLES = (
    "HURACAN_DROPBOX_REFRESH_TOKEN",
    "HURACAN_VAULT_KEY",
    "DROPBOX_ACCESS_TOKEN",
    "DROPBOX__ACCESS_TOKEN",
)
"""The variables that are secrets themselves. Those that name a file are none."""


def take_environment(environ: MutableMapping[str, str]) -> Environment:
    """The environment of a command of ours, taken out of `environ` where it is secret, so that no child inherits it.

    It hides nothing from other processes of the same user: /proc/PID/environ still shows what the process began with.
    """
    taken = Environment(environ)
    for name in SECRET_VARIABLES:
        environ.pop(name, None)
    return taken


def guard_memory() -> None:
    """For a process of our own: no core dump, and no other process of this user may read its memory or environment.

    Not for a library's host: debuggers and profilers cannot attach afterwards.
    """
    import resource  # noqa: PLC0415 - start-up time

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415

        pr_set_dumpable = 4
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_dumpable, 0, 0, 0, 0)


class _Interrupted(BaseException):
    """A signal asked us to end."""


_AGAIN_S = 0.01


@contextmanager
def raised_again(*kinds: type[BaseException]) -> Iterator[None]:
    """While it is open, an exception of these kinds that was swallowed is raised again a moment later.

    A signal may come while an object is finalized, and whatever is raised there goes to `sys.unraisablehook` alone.
    """
    before = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        kind = unraisable.exc_type
        if not issubclass(kind, kinds):
            before(unraisable)
            return

        def again(_: int, __: FrameType | None) -> None:
            raise kind

        signal.signal(signal.SIGALRM, again)
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def run(options: argparse.Namespace) -> int:
    """Run the verb that was parsed; the exit code."""
    guard_memory()
    env = take_environment(os.environ)
    make_streams_safe()
    output = Output(as_json=getattr(options, "json", False), quiet=getattr(options, "quiet", False))
    verbosity = getattr(options, "verbose", 0)
    signal.signal(signal.SIGTERM, _raise_interrupted)
    try:
        with raised_again(KeyboardInterrupt, _Interrupted), log_file(getattr(options, "log_file", None)):
            _log_to_stderr(verbosity)
            code = _run(options, env, output)
            output.settle(shown=code != DONE)
            return code
    except LocalFailure as error:  # there can be no log, so nothing was begun
        output.error(error)
        return exit_code(error)
    finally:
        logging.getLogger().handlers.clear()


def _run(options: argparse.Namespace, env: Environment, output: Output) -> int:
    invocation = Invocation(env, output)
    try:
        invocation.env = _configured(options, env)
        _require_names(options)
        return int(options.run(options, invocation))
    except (KeyboardInterrupt, _Interrupted):
        output.interrupted(getattr(options, "interrupted", CARRIES_ON))
        return INTERRUPTED
    except HuracanError as error:
        error.hint = _hint(error, options, invocation)
        output.error(error)
        return exit_code(error)
    except BrokenPipeError:
        # The reader of our output is gone; there is nobody left to tell.
        give_up_stdout()
        return FAILURES
    except OSError as error:
        # Not one of ours, so nobody foresaw it; but the system's own words say what is wrong, and no traceback does.
        where, hint = f"{error.filename}: " if error.filename else "", None
        if not where and isinstance(error, FileNotFoundError):  # only this is asked without a name
            where, hint = "the folder this was started in: ", "change to a folder that exists"
        output.error(LocalFailure(f"{where}{error.strerror or error}", hint=hint, path=str(error.filename or "")))
        return FAILURES
    except Exception as error:  # noqa: BLE001 - the last line of the program: a bug is shown without its secrets
        if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("huracan_sync"):
            hint = "install what requirements/runtime.txt of the checkout names; only the emulator needs less"
            output.error(ConfigError(f"the package {error.name} is not installed here", hint=hint))
            return CONFIGURATION
        tell(redact(traceback.format_exc()) + "This is a bug in huracan-sync. Please report it with the lines above.")
        output.bug(error)
        return FAILURES


def _require_names(options: argparse.Namespace) -> None:
    """Refuses words that cannot be what they stand for."""
    if any(_ESCAPED.search(word) for word in vars(options).values() if isinstance(word, str)):
        from huracan_sync.disk.scan import require_utf8  # noqa: PLC0415 - only where it may refuse

        require_utf8()  # else the word is what it is: a name that is no UTF-8
    for name, top in (("local", "the folder you are in is ."), ("remote", "the top folder of Dropbox is /")):
        if getattr(options, name, None) == "":  # a variable of the shell that was not set
            raise UsageError(f"{name.upper()} is empty", hint=f"name it; {top}")


def _hint(error: HuracanError, options: argparse.Namespace, invocation: Invocation) -> str:
    """What to do next, as it fits the profile and who else is logged in here."""
    reader = invocation.reads_only
    if isinstance(error, NoCredentials) and invocation.only_reader:
        # This is Hamilton's machine: nothing advises a writing login on it.
        return f"only profile {invocation.only_reader} is logged in here, to read; write from the engine's machine"
    if isinstance(error, MissingScope) and reader:
        # Nobody is told to give a reader more: a thief who takes its login from its machine could write, too.
        return f"profile {reader} is meant to read only; write from the engine's machine"
    if isinstance(error, NoCredentials) and not reader and {options.verb, getattr(options, "what", "")} & _OF_READERS:
        return f"{error.hint}; on a machine that only reads, `huracan-sync authorize --read-only`"
    if isinstance(error, NoTrust) and not reader and error.hint == NoTrust.default_hint:
        return f"on the engine's machine, run `huracan-sync keys init`; elsewhere, {error.hint}"
    if error.hint == UsageError.default_hint:
        return f"see `huracan-sync help {options.verb}`"
    return _TRUST.sub(rf"\g<0> --profile {reader}", error.hint) if reader else error.hint


def _raise_interrupted(_: int, __: FrameType | None) -> None:
    raise _Interrupted


def _configured(options: argparse.Namespace, env: Environment) -> Environment:
    """The environment, with what the configuration file says where the environment says nothing.

    Verbs with settings of their own read the whole file themselves; for the others it names profile and root folder.
    """
    options.config = Path(file) if (file := getattr(options, "config", None) or env.get("HURACAN_CONFIG")) else None
    if options.config is None or hasattr(options, "set"):
        return env
    from huracan_sync.cli.settings_options import settings_in  # noqa: PLC0415 - the engine's settings, if asked for

    settings = settings_in(options.config, env)
    named = {"HURACAN_PROFILE": settings.profile} if "profile" in settings.origins else {}
    return Environment({**env, **named, "HURACAN_APP_FOLDER": settings.app_folder})


class _Told(logging.Handler):
    """Log records as lines of ours, on stderr and in the log file."""

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        tell(Whole(line) if record.name in {DECISIONS, UNCHANGED} else line)


def _log_to_stderr(verbosity: int) -> None:
    """With one -v why each file moves or stays; with two, also what nothing happened to; with three, every request."""
    handler = _Told()
    handler.addFilter(RedactingFilter())
    handler.setFormatter(_Lines())
    level = (logging.WARNING, logging.INFO, logging.INFO, logging.DEBUG)[min(verbosity, 3)]
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger(DECISIONS).setLevel(logging.DEBUG if verbosity else logging.NOTSET)
    logging.getLogger(UNCHANGED).setLevel(logging.DEBUG if verbosity > 1 else logging.INFO)
    quiet_the_wire()


class _Lines(logging.Formatter):
    """A decision speaks for itself; anything else says how much it matters, and who says it."""

    def format(self, record: logging.LogRecord) -> str:
        decides = record.name in {DECISIONS, UNCHANGED}
        return record.getMessage() if decides else f"{record.levelname} {record.name}: {super().format(record)}"
