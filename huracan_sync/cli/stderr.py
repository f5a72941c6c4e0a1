"""Lines on stderr and in the file of `--log-file`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from huracan_sync.cli.columns import fitted
from huracan_sync.errors import LocalFailure

_log: TextIO | None = None
"""The file of `--log-file`, while a verb runs."""


@contextmanager
def log_file(path: str | None) -> Iterator[None]:
    """While it is open, every line on stderr is also appended to this file, with its moment in UTC.

    Raises:
        LocalFailure: it cannot be opened.
    """
    global _log  # noqa: PLW0603 - like stderr itself, there is one for the process
    if path is None:
        yield
        return
    try:
        file = Path(path).open("a", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115 - closed below
    except OSError as error:
        raise LocalFailure(f"--log-file {path} cannot be written: {error.strerror}", path=path) from error
    with file:
        _log = file
        try:
            yield
        finally:
            _log = None


def tell(line: str) -> None:
    """A line on stderr, where a terminal has it broken at words, and in the log file.

    Best effort: a closed or full one does not end a run.
    """
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(
            "\n".join(fitted([line], sys.stderr)) + "\n"
        )  # at once, so that lines of several threads stay apart
        sys.stderr.flush()
    note(line)


def note(line: str) -> None:
    """A line in the log file alone. Best effort."""
    if _log is not None:
        with suppress(OSError, ValueError):
            _log.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}\n")
            _log.flush()


def is_watched() -> bool:
    """Whether stderr is a terminal."""
    with suppress(ValueError):  # closed
        return sys.stderr is not None and sys.stderr.isatty()
    return False
