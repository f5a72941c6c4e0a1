"""The command line: arguments in, words and exit codes out. The only room that prints and exits.

A verb's module is imported when the verb is used: start-up counts, and `push` needs nothing of `authorize`.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import sys
from collections.abc import Sequence
from typing import NoReturn

from huracan_sync import __version__

VERBS = {
    "authorize": "log in once: consent in the browser, refresh token into the keyring or vault",
    "logout": "revoke the login and forget it",
    "status": "what was synced when, what waits, what failed",
    "doctor": "look at credentials, scopes, network, clock, keyring, state; change nothing",
    "token": "print a short-lived access token for other tools",
    "push": "bring a remote folder to what a local folder holds",
    "restore": "bring a local folder to what a remote folder holds",
    "publish": "make a folder the set that readers see: all of it at once, or nothing",
    "run": "keep everything of the engine in Dropbox: each kind on its interval, changes within seconds",
    "migrate": "bring what earlier writers left in many places to its one place, inside Dropbox",
    "verify": "prove that a folder, here or in Dropbox, is what was signed",
    "follow": "tell of each new set as soon as it is published, verified",
    "keys": "who signs, and whom this machine trusts",
    "emulator": "run a local Dropbox",
}
"""Every verb, in the order a newcomer meets them, and what it does."""

_NEEDS_NO_LOGIN = {"status", "emulator"}
_MAKES_OR_ENDS_A_LOGIN = {"authorize", "logout"}

_EPILOG = """\
exit codes: 0 done; 1 done with failures (listed); 2 usage; 65 refused: untrusted or corrupt data; 69 service
unavailable; 75 try again later; 77 not authorized; 78 configuration or missing state; 130 interrupted

Start with `huracan-sync authorize`, then `huracan-sync push LOCAL REMOTE`. `huracan-sync VERB --help` says more.
"""


class _Parser(argparse.ArgumentParser):
    """Says also to machines what is wrong with the arguments."""

    as_json = False

    def error(self, message: str) -> NoReturn:
        if self.as_json:
            document = {"error": "UsageError", "message": message, "hint": f"see {self.prog} --help"}
            print(json.dumps({**document, "retryable": False, "facts": {}}))
        super().error(message)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    Args:
        argv: the arguments; those of the process by default.
    """
    gc.set_threshold(50_000, 20, 50)  # imports make much and no garbage: looking for it takes a tenth of a short run
    arguments = list(sys.argv[1:] if argv is None else argv)
    verb = next((word for word in arguments if not word.startswith("-")), "")
    try:
        _Parser.as_json = "--json" in arguments
        parser = _parser(verb)
        options = parser.parse_args(arguments)
        if not options.verb:
            parser.print_help()
            return 2
        from huracan_sync.cli.runner import run  # noqa: PLC0415 - `--help` and `--version` need none of it

        return run(options)
    except KeyboardInterrupt:  # before the verb began, or after it ended
        return 130


def _parser(verb: str) -> argparse.ArgumentParser:
    """The parser; only the verb that is used gets its arguments."""
    parser = _Parser(
        prog="huracan-sync",
        description="Exact, resumable, signed sync between a trading engine and Dropbox.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"huracan-sync {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    for name, what in VERBS.items():
        inner = verbs.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
        if name != verb:
            continue
        module = importlib.import_module(f"huracan_sync.cli.{name}")
        inner.set_defaults(run=module.run)
        module.add_arguments(inner)
        if name == "emulator":
            continue
        inner.add_argument("--profile", metavar="NAME", help=_profile_help(name))
        inner.add_argument("--json", action="store_true", help="print one JSON document on stdout")
        inner.add_argument("--debug", action="store_true", help="log every decision to stderr; no secret is shown")
        if name not in _NEEDS_NO_LOGIN:
            from huracan_sync.cli import login_options  # noqa: PLC0415

            login_options.add_arguments(inner, token=name not in _MAKES_OR_ENDS_A_LOGIN)
    return parser


def _profile_help(verb: str) -> str:
    return "whose login (default: engine" + (", hamilton with --read-only)" if verb == "authorize" else ")")
