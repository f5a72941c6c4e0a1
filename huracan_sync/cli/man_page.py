"""The man page, from the parser: what `--help` says, in troff."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Collection, Iterator

_ESCAPES = str.maketrans({"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"})
"""What troff would set as typographers do: a copied command would not run."""


def man_page(parser: argparse.ArgumentParser) -> str:
    """The page of a command and of all its verbs."""
    lines = [
        f'.TH {_text(parser.prog.upper())} 1 "" "{_text(parser.prog)}" "User commands"',
        ".SH NAME",
        f"{_text(parser.prog)} \\- {_text((parser.description or '').rstrip('.'))}",
        ".SH SYNOPSIS",
        _usage(parser),
        ".SH OPTIONS",
        *_options(parser),
    ]
    everywhere = {name for action in parser._actions for name in action.option_strings}  # noqa: SLF001
    for name, verb in _verbs(parser):
        lines += [f".SH {_text(name.upper())}", *_verb(verb, everywhere)]
        for inner, below in _verbs(verb):
            lines += [f".SS {_text(f'{name} {inner}')}", *_verb(below, everywhere)]
    exit_codes, _, start = (parser.epilog or "").partition("\n\n")
    lines += [".SH EXIT STATUS", _text(exit_codes.removeprefix("exit codes: ")), ".SH EXAMPLES", _text(start)]
    return "\n".join(line for line in lines if line) + "\n"


def _verbs(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            yield from action.choices.items()


def _verb(parser: argparse.ArgumentParser, said: set[str]) -> list[str]:
    return [_text(parser.description or ""), ".PP", _usage(parser), *_options(parser, said), *_epilog(parser)]


def _epilog(parser: argparse.ArgumentParser) -> Iterator[str]:
    """What is said at the end: paragraphs, and commands, which begin with a space and stay line by line."""
    lines = (parser.epilog or "").splitlines()
    for (is_there, is_command), group in itertools.groupby(lines, lambda line: (bool(line), line.startswith(" "))):
        text = _text("\n".join(group))
        if is_there:
            yield from [".nf", text, ".fi"] if is_command else [".PP", text]


def _usage(parser: argparse.ArgumentParser) -> str:
    return f".B {_text(' '.join(parser.format_usage().removeprefix('usage: ').split()))}"


def _options(parser: argparse.ArgumentParser, said: Collection[str] = ()) -> list[str]:
    """The options of a parser, but for those that were `said` before."""
    lines = []
    for action in parser._actions:  # noqa: SLF001
        if action.help == argparse.SUPPRESS or isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            continue
        if any(name in said for name in action.option_strings):
            continue
        names = ", ".join(action.option_strings) or str(action.metavar or action.dest)
        value = f" {action.metavar}" if action.option_strings and isinstance(action.metavar, str) else ""
        what = parser._get_formatter()._expand_help(action) if action.help else ""  # noqa: SLF001
        lines += [".TP", f".B {_text(names + value)}", _text(what)]
    return lines


def _text(text: str) -> str:
    """Text that troff prints letter by letter, also a line that begins with a dot."""
    escaped = text.translate(_ESCAPES)
    return "\n".join(f"\\&{line}" if line[:1] == "." else line for line in escaped.splitlines())
