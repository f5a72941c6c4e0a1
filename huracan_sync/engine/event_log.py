"""Where the engine's events go: to structlog, which whoever runs the engine has configured.

Two rules. structlog is imported with the first event, not before: it takes longer to import than all else here.
Logging never decides: a closed or full output, or a text that cannot be encoded, loses the event and nothing else.
"""

from __future__ import annotations

import contextlib
import functools
from typing import Any

from huracan_sync.secret import redact


class EventLog:
    """A structlog logger that is made when it is first used, and never raises."""

    def __init__(self, name: str) -> None:
        self._name = name

    def debug(self, event: str, **fields: Any) -> None:
        """Log for whoever looks for a fault in this library."""
        self._emit("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Log what was done."""
        self._emit("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Log what somebody may want to know."""
        self._emit("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Log what failed."""
        self._emit("error", event, fields)

    def _emit(self, level: str, event: str, fields: dict[str, Any]) -> None:
        with contextlib.suppress(Exception):
            getattr(_logger(self._name), level)(event, **{name: _printable(value) for name, value in fields.items()})


@functools.cache
def _logger(name: str) -> Any:
    import structlog  # noqa: PLC0415 - see the opening

    return structlog.get_logger(name)


def _printable(value: Any) -> Any:
    """File names may hold bytes that are no UTF-8 (as lone surrogates), which no output takes."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def error_fields(error: BaseException) -> dict[str, str]:
    """An error as fields of an event, without any secret."""
    fields = {"error": redact(str(error)), "error_type": type(error).__name__}
    hint = getattr(error, "hint", "")
    return fields | ({"hint": hint} if hint else {})


class LoggedOnce:
    """What was logged last under a key, so that what lasts is logged once and not at every pass. Any thread."""

    def __init__(self) -> None:
        self._last: dict[str, object] = {}

    def last(self, key: str) -> Any:
        """What was logged last; None when nothing was."""
        return self._last.get(key)

    def is_new(self, key: str, value: object) -> bool:
        """Whether this is something else than what was logged last under the key; it is the last from now on."""
        before, self._last[key] = self._last.get(key), value
        return value != before


log = EventLog("huracan_sync.engine")
"""Events of `DropboxSync`."""
