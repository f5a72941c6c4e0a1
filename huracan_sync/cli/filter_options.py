"""The options that say which files take part."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huracan_sync.errors import UsageError
from huracan_sync.tree.filters import IGNORE_FILE, Filters, Rule, parse_rules


class _Add(argparse.Action):
    """Appends to one list, so that the order of different options counts."""

    def __call__(
        self, _: argparse.ArgumentParser, options: argparse.Namespace, value: str | Sequence[Any] | None, __: Any = None
    ) -> None:
        options.filters = [*(getattr(options, "filters", None) or []), (self.const, value)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the options."""
    group = parser.add_argument_group(
        "filters",
        f"the first rule that matches decides; {IGNORE_FILE} in the local folder excludes like .gitignore; a file that "
        "is filtered out is neither sent, fetched nor deleted",
    )
    add = group.add_argument
    add("--include", dest="filters", action=_Add, const="+", metavar="GLOB", help="these take part: '*.parquet'")
    add("--exclude", dest="filters", action=_Add, const="-", metavar="GLOB", help="these do not: '*.tmp', '/cache/'")
    what = "read rules from this file: `+ GLOB` and `- GLOB`, one a line"
    add("--filter-from", dest="filters", action=_Add, const="", metavar="FILE", help=what)


def filters_of(options: argparse.Namespace, local: Path | str) -> Filters | None:
    """What the options and the ignore file of a local folder say; None where they say nothing.

    Raises:
        UsageError: a rule or file that cannot be read.
    """
    rules: list[Rule] = []
    for sign, value in options.filters or []:
        rules += (
            [Rule(sign == "+", value)]
            if sign
            else parse_rules(_read(Path(value), f"--filter-from {value}"), source=value)
        )
    ignore_file = Path(local) / IGNORE_FILE
    ignore = _read(ignore_file, str(ignore_file)) if ignore_file.is_file() else ""
    return Filters(rules, ignore=ignore) if rules or ignore else None


def left_out(filters: Filters | None) -> int:
    """How many paths the filters declined."""
    return len(filters.left_out) if filters else 0


def _read(file: Path, said: str) -> str:
    hint = "name a text file with a rule on each line"
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{said} cannot be read: {error.strerror}", hint=hint) from error
    except UnicodeDecodeError:
        raise UsageError(f"{said} is not UTF-8 text", hint=hint) from None
