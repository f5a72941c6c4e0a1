"""The argument parser: options that may stand before or after the verb, and suggestions for what is misspelled."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

TAKES_A_VALUE = {"--profile", "--config", "--log-file"}
"""Options before the verb whose next word is not the verb."""

VERBOSE = "say on stderr why each file moves or stays; -vv: also of files in step; -vvv: every request"

NEEDS_NO_LOGIN = {"status", "emulator", "help", "completion"}
MAKES_OR_ENDS_A_LOGIN = {"authorize", "logout"}

_UNKNOWN_VERB = re.compile(r"argument (?:VERB|WHAT): invalid choice: '([^']*)'")
_UNKNOWN_CHOICE = re.compile(r"argument (\S+): invalid choice: '([^']*)'")
_NO_NUMBER = re.compile(r"argument (\S+): invalid (int|float) value: ('[^']*')")
_UNKNOWN_OPTIONS = re.compile(r"unrecognized arguments: (.*)", re.DOTALL)


class Parser(argparse.ArgumentParser):
    """argparse's, which also suggests the nearest verb or option, and tells machines what is wrong."""

    as_json = False
    verb = ""
    """The verb that was typed, if it is one."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2: usage."""
        message = self._suggesting(message)
        if self.as_json:
            document = {"error": "UsageError", "message": message, "hint": f"see `{self._help()}`"}
            self._print_document({**document, "retryable": False, "facts": {}})
        from huracan_sync.cli.output import harmless  # noqa: PLC0415 - start-up time

        # The whole usage would push what is wrong off the screen.
        usage = f"  usage: {self._short_usage()}\n  hint: see `{self._help()}`\n"
        self.exit(2, f"{self.prog}: error: {harmless(message)}\n{usage}")

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """As argparse's; a document where machines asked."""
        if self.as_json and file is None:
            self._print_document({"help": self.format_help()})
        else:
            super().print_help(file)

    @staticmethod
    def _print_document(document: Mapping[str, object]) -> None:
        import json  # noqa: PLC0415 - start-up time

        print(json.dumps({"schema_version": 1, **document}))

    def _help(self) -> str:
        root, _, verb = self.prog.partition(" ")
        verb = verb or self.verb
        return f"{root} help {verb}".rstrip() if verb != "help" else f"{root} help"

    def _short_usage(self) -> str:
        for verbs in self._verbs():
            if isinstance(typed := verbs.get(self.verb), Parser):
                return typed._short_usage()  # noqa: SLF001 - of its own class
        named = [_usage_of(action) for action in self._actions if not action.option_strings]
        return " ".join([self.prog, *named, "[options]"])

    def _suggesting(self, message: str) -> str:
        if found := _UNKNOWN_VERB.match(message):
            known = [name for action in self._actions if action.choices for name in map(str, action.choices)]
            near = _did_you_mean(found[1], known) or f"; {self.prog} --help lists them all"
            return f"there is no {self.prog} {found[1]}{near}"
        if found := _UNKNOWN_CHOICE.match(message):
            known = next(list(map(str, a.choices)) for a in self._actions if a.choices and found[1] in _names_of(a))
            near = _did_you_mean(found[2], known)
            return f"{found[1]} is one of {', '.join(known)}, not {found[2]!r}{near}"
        if found := _NO_NUMBER.match(message):
            return f"{found[1]} {found[3]} is no {'whole number' if found[2] == 'int' else 'number'}"
        if found := _UNKNOWN_OPTIONS.match(message):
            words = found[1].split()
            if not words:
                return "an argument too many is empty: is a variable not set?"
            wrong = next((word for word in words if word.startswith("-")), words[0])
            near = _did_you_mean(wrong.partition("=")[0], self.spellings()) if wrong.startswith("-") else ""
            return message + near
        return message

    def _verbs(self) -> list[Mapping[str, Any]]:
        return [action.choices for action in self._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001

    def spellings(self) -> list[str]:
        """Every listed option of this parser and of the verbs below it."""
        own = [name for action in self._actions if action.help != argparse.SUPPRESS for name in action.option_strings]
        for verbs in self._verbs():
            for parser in verbs.values():
                own += parser.spellings()
        return own


def _usage_of(action: argparse.Action) -> str:
    name = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    return {"?": f"[{name}]", "*": f"[{name} ...]"}.get(str(action.nargs), name)


def _names_of(action: argparse.Action) -> list[str]:
    """What argparse may call it in an error."""
    return ["/".join(action.option_strings), str(action.metavar), action.dest]


def _did_you_mean(wrong: str, known: list[str]) -> str:
    import difflib  # noqa: PLC0415 - start-up time: only for what is misspelled

    near = difflib.get_close_matches(wrong, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def add_global_options(parser: argparse.ArgumentParser, *, inner: bool = False) -> None:
    """Options of every verb, which may stand before the verb or after it.

    Args:
        parser: gets them.
        inner: whether an outer parser has them too; then nothing is set where nothing is given here.
    """

    def default(value: object) -> Any:
        return argparse.SUPPRESS if inner else value

    group = parser.add_argument_group("options of every verb")
    add = group.add_argument
    add("--profile", metavar="NAME", default=default(None), help="whose login (default: HURACAN_PROFILE, else engine)")
    add("--config", metavar="FILE", default=default(None), help="settings from this TOML file (or HURACAN_CONFIG)")
    add("--json", action="store_true", default=default(value=False), help="print one JSON document on stdout")
    add(
        "-v",
        "--verbose",
        action="count",
        default=default(0),
        help=VERBOSE,
    )
    add("-q", "--quiet", action="store_true", default=default(value=False), help="print nothing on success")
    add("--log-file", metavar="FILE", default=default(None), help="also append everything on stderr to this file")
    add("--debug", dest="verbose", action="store_const", const=3, default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def verb_in(arguments: list[str]) -> str:
    """The verb among the arguments: the first word that is neither an option nor the value of one; else empty."""
    words = iter(arguments)
    for word in words:
        if word in TAKES_A_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            return word
    return ""


def build(prog: str, version: str, verbs: Mapping[str, str], epilog: str, *, only: str | None) -> Parser:
    """The whole parser, or the one in which only the verb that is used has its arguments (start-up counts)."""
    parser = Parser(
        prog=prog,
        description="Exact, resumable, signed sync between a trading engine and Dropbox.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{prog} {version}")
    add_global_options(parser)
    below = parser.add_subparsers(dest="verb", metavar="VERB")
    for name, what in verbs.items():
        inner = below.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
        if only not in {None, name}:
            continue
        module = importlib.import_module(f"huracan_sync.cli.{name}")
        inner.set_defaults(run=module.run)
        module.add_arguments(inner)
        add_global_options(inner, inner=True)
        if name not in NEEDS_NO_LOGIN:
            from huracan_sync.cli import login_options  # noqa: PLC0415 - start-up counts

            login_options.add_arguments(inner, token=name not in MAKES_OR_ENDS_A_LOGIN)
    return parser
