"""Arguments in, words and exit codes out; one module for each verb, named like the verb.

May import `emulator`, `engine`, `fs`, `hamilton`. Only this wing prints and exits. A verb's module is imported when the
verb is used: start-up time counts, and `push` needs nothing of `authorize`.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from contextlib import suppress

from huracan_sync import __version__
from huracan_sync.cli import parser

VERBS = {
    "authorize": "log in once: consent in the browser, refresh token into the keyring or vault",
    "logout": "revoke the login and delete it here",
    "status": "show what was synced when, what waits and what failed",
    "doctor": "check credentials, scopes, network, clock, keyring and state; change nothing",
    "token": "print a short-lived access token for other tools",
    "push": "copy a local folder to a remote one: send what is new or changed",
    "restore": "copy a remote folder to a local one: fetch what is new or changed",
    "ls": "list a remote folder",
    "get": "fetch one remote file or folder, verified where it is signed",
    "put": "send one local file to one place",
    "cat": "print a remote file, verified where it is signed",
    "diff": "compare a local folder with a remote one by content hash, without downloading",
    "publish": "make a folder the snapshot that readers see: all of it at once, or nothing",
    "run": "keep everything of the engine in Dropbox: each kind on its interval, changes within seconds",
    "migrate": "move what earlier writers left in many places to its one place, inside Dropbox",
    "verify": "prove that a folder, here or in Dropbox, is what was signed",
    "follow": "print each new snapshot as soon as it is published, verified",
    "keys": "manage who signs, and whom this machine trusts",
    "outbox": "list, retry or drop writes that could not be delivered yet",
    "emulator": "run a local Dropbox",
    "help": "explain a verb, or print the man page",
    "completion": "print completion for a shell",
}
"""Every verb, in the order a newcomer meets them, and what it does."""

PROG = "huracan-sync"
EPILOG = """\
exit codes: 0 done; 1 done with failures (listed); 2 usage; 65 refused:
untrusted or corrupt data; 69 service unavailable; 75 try again later;
77 not authorized; 78 configuration or missing state; 130 interrupted

Start with `huracan-sync authorize`, then `huracan-sync push LOCAL REMOTE`.
`huracan-sync help VERB` says more.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    Args:
        argv: the arguments; those of the process by default.
    """
    gc.set_threshold(50_000, 20, 50)  # imports allocate much and drop little: collecting takes a tenth of a short run
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        parser.Parser.as_json = "--json" in arguments
        verb = parser.verb_in(arguments)
        parser.Parser.verb = verb if verb in VERBS else ""
        # Where the verb comes first, nobody can ask about the others, and their parsers need not be made.
        known = parser_of(verb, alone=verb in VERBS and arguments[0] == verb)
        options = known.parse_args(arguments)
        if not options.verb:
            if parser.Parser.as_json:
                known.error("name a verb")
            known.print_help()
            return 2
        from huracan_sync.cli.runner import run  # noqa: PLC0415 - `--help` and `--version` need none of it

        return run(options)
    except KeyboardInterrupt:  # before the verb began, or after it ended
        return 130
    finally:
        _flush()
        if argv is None:
            gc.freeze()  # what the process still holds dies with it: the interpreter's last collection takes 20 ms


def parser_of(verb: str | None = None, *, alone: bool = False) -> argparse.ArgumentParser:
    """The parser in which one verb has its arguments; with None, all of them have. `alone`: without the other verbs."""
    verbs = {verb: VERBS[verb]} if verb and alone else VERBS
    return parser.build(PROG, __version__, verbs, EPILOG, only=verb)


def _flush() -> None:
    """Write out what is buffered. A reader who is gone or a full disk is no reason for a traceback at the very end."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
            continue
        with suppress(OSError, ValueError, AttributeError):
            import os  # noqa: PLC0415 - hardly ever needed

            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
