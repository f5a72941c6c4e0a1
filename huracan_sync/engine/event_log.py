"""Where the engine's events go: to structlog where the host has configured it, else to the standard `logging`.

Three rules. Nothing is ever written to stdout, as structlog does where nobody has configured it. structlog is not
imported here: it takes longer than all else, and who has not imported it has not configured it. Logging never
decides: a closed or full output, or a text that cannot be encoded, loses the event and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import Any

from huracan_sync.secret import redact


class EventLog:
    """A logger of the host's, found when an event comes, that never raises."""

    def __init__(self, name: str) -> None:
        self._name = name

    def debug(self, event: str, **fields: Any) -> None:
        """Log for people who look for a fault in this library."""
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
            fields = {name: _printable(value) for name, value in fields.items()}
            structlog = sys.modules.get("structlog")
            if structlog is not None and structlog.is_configured():
                getattr(structlog.get_logger(self._name), level)(event, **fields)
                return
            logger = logging.getLogger(self._name)
            number = getattr(logging, level.upper())
            if logger.isEnabledFor(number):
                exc_info = fields.pop("exc_info", None)
                words = [f"{name}={value!r}" for name, value in fields.items()]
                logger.log(number, "%s", redact(" ".join([event, *words])), exc_info=exc_info, extra={"facts": fields})


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
