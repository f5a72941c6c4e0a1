"""What the library does, told as plain lines on stderr: a moment in UTC, how much it matters, the event, its facts."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any

import structlog

from huracan_sync.cli.columns import ascii_path
from huracan_sync.cli.stderr import note, tell
from huracan_sync.secret import redact


def show_events(*, verbosity: int, least: int = logging.INFO, quiet: bool = False) -> None:
    """From now on, structlog's events of this process are lines on stderr; stdout is for answers.

    Args:
        verbosity: how many `-v` were given; with two, every event is shown.
        least: otherwise, the lowest level that is shown.
        quiet: what is no warning goes to the log file alone.
    """
    structlog.configure(
        processors=[_quiet_line if quiet else _line],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbosity > 1 else least),
        logger_factory=lambda *_: _Lines(),
        cache_logger_on_first_use=False,
    )


class _Lines:
    """structlog's logger: every level is one line on stderr and in the log file."""

    def msg(self, text: str) -> None:
        """Write one line."""
        tell(text)

    log = debug = info = warning = warn = error = err = critical = failure = fatal = exception = msg


def _line(_: object, method: str, event: MutableMapping[str, Any]) -> str:
    return line(datetime.now(UTC), method, str(event.pop("event", "")), event)


def _quiet_line(logger: object, method: str, event: MutableMapping[str, Any]) -> str:
    text = _line(logger, method, event)
    if method in {"debug", "info"}:
        note(text)
        raise structlog.DropEvent
    return text


def line(moment: datetime, level: str, event: str, facts: Mapping[str, Any]) -> str:
    """One event as one line, whatever its facts hold."""
    words = [f"{name}={_value(value)}" for name, value in facts.items() if name != "exc_info"]
    return ascii_path(redact(" ".join([f"{moment:%Y-%m-%dT%H:%M:%SZ} {level:<7} {event}", *words])))


def _value(value: object) -> str:
    text = str(value)
    plain = text and not any(c.isspace() or c in "\"'=" for c in text)
    return text if plain else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
