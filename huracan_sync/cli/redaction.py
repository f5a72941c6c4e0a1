"""Log records without their secrets: for the handlers of a process of our own."""

from __future__ import annotations

import logging

from huracan_sync.secret import redact

NOISY = ("urllib3", "requests", "dropbox", "keyring", "hpack", "httpcore", "asyncio")
"""Libraries whose DEBUG says what they send."""


class RedactingFilter(logging.Filter):
    """Put on a handler, it masks secrets in the message, its arguments and its traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place; every record passes."""
        record.msg, record.args = redact(record.getMessage()), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text, record.exc_info = redact(record.exc_text), None
        return True


def quiet_the_wire() -> None:
    """Libraries that would log requests with their headers say nothing below WARNING."""
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
