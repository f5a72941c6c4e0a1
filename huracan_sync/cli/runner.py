"""Run a verb: logging that hides secrets, errors as sentences with hints, exit codes."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import traceback
from types import FrameType

from huracan_sync.auth.keystore.secret_io import Environment, guard_memory, take_environment
from huracan_sync.auth.keystore.store import Store
from huracan_sync.cli.output import CARRIES_ON, Output, give_up_stdout, tell
from huracan_sync.errors import (
    ConfigError,
    HuracanError,
    NotAuthorized,
    Refused,
    TryLater,
    Unavailable,
    UsageError,
)
from huracan_sync.secret import RedactingFilter, quiet_the_wire, redact

DONE, FAILURES, USAGE = 0, 1, 2
REFUSED, UNAVAILABLE, LATER, UNAUTHORIZED, CONFIGURATION, INTERRUPTED = 65, 69, 75, 77, 78, 130

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


class _Interrupted(BaseException):
    """A signal asked us to end."""


def run(options: argparse.Namespace) -> int:
    """Run the verb that was parsed; the exit code."""
    guard_memory()
    env = take_environment(os.environ)
    output = Output(as_json=getattr(options, "json", False))
    _log_to_stderr(debug=getattr(options, "debug", False))
    signal.signal(signal.SIGTERM, _raise_interrupted)
    try:
        return int(options.run(options, Invocation(env, output)))
    except (KeyboardInterrupt, _Interrupted):
        output.interrupted(getattr(options, "interrupted", CARRIES_ON))
        return INTERRUPTED
    except HuracanError as error:
        output.error(error)
        return exit_code(error)
    except BrokenPipeError:
        # Whoever read our output is gone; there is nobody left to tell.
        give_up_stdout()
        return FAILURES
    except Exception as error:  # noqa: BLE001 - the last line of the program: a bug is shown without its secrets
        tell(redact(traceback.format_exc()) + "This is a bug in huracan-sync. Please report it with the lines above.")
        output.bug(error)
        return FAILURES


class Invocation:
    """What a verb is given beside its options: the environment and where to speak."""

    def __init__(self, env: Environment, output: Output) -> None:
        self.env = env
        self.output = output
        self.store: Store | None = None
        """The secrets of this machine, once they are asked for (cli/credentials.py)."""


def _raise_interrupted(_: int, __: FrameType | None) -> None:
    raise _Interrupted


def _log_to_stderr(*, debug: bool) -> None:
    handler = logging.StreamHandler()
    handler.addFilter(RedactingFilter())
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, handlers=[handler], force=True)
    quiet_the_wire()
