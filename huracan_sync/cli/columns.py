"""Lines and tables that fit a terminal, and text that a terminal may be given. Decides; prints nothing."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from typing import TextIO

USUAL = 80
"""Columns, where nobody says how many there are."""
NARROWEST = 8
"""Columns that a cell keeps when it is shortened."""


class Whole(str):
    """A line that is never broken: a value to be copied, a path."""

    __slots__ = ()


def width() -> int:
    """Columns of the terminal; `USUAL` where there is none."""
    return max(60, shutil.get_terminal_size((USUAL, 24)).columns)


def fitted(lines: Iterable[str], stream: TextIO) -> list[str]:
    """Lines as a stream should have them: for a terminal broken at words, for anything else as they are."""
    with suppress(OSError, ValueError, AttributeError):  # closed, or none at all
        if stream.isatty():
            return wrapped(lines, width())
    return list(lines)


def wrapped(lines: Iterable[str], columns: int) -> list[str]:
    """Lines broken at words; what follows is indented two more than the line."""
    broken: list[str] = []
    for line in lines:
        if len(line) <= columns or isinstance(line, Whole):
            broken.append(line)
            continue
        if "\n" in line:
            broken += wrapped(line.split("\n"), columns)
            continue
        indent = " " * (len(line) - len(line.lstrip()))
        broken += textwrap.wrap(
            line.strip(),
            columns,
            initial_indent=indent,
            subsequent_indent=f"{indent}  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return broken


def table(rows: Sequence[Sequence[str]], *, columns: int | None = None, give: Collection[int] = ()) -> list[str]:
    """Rows of cells as aligned lines; the first row is the heading.

    Args:
        rows: of equally many cells.
        columns: what it may take, if anything limits it.
        give: the columns whose cells lose their beginnings (paths do) where it would take more.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    if columns is not None and give:
        spare = columns - sum(widths) - 2 * (len(widths) - 1)
        if spare < 0:
            room = spare + sum(widths[column] for column in give)
            for left, column in enumerate(sorted(give, key=lambda column: widths[column])):
                widths[column] = min(widths[column], max(NARROWEST, room // (len(give) - left)))
                room -= widths[column]
    cells = [[shortened(cell, size) for cell, size in zip(row, widths, strict=True)] for row in rows]
    return ["  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in cells]


def shortened(text: str, columns: int) -> str:
    """Text without its beginning, where it takes more."""
    return text if len(text) <= columns else f"…{text[-columns + 1 :]}"


def ascii_path(path: str) -> str:
    """A path that a terminal may be given: control characters and broken text escaped, letters kept."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in path)
