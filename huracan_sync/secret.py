"""A value that does not print itself, and a filter for everything that is logged.

Laws: a secret travels as `Secret` from where it is read to where it is sent; `reveal()` is called only on the line
that sends, seals or signs. Whatever else a program logs passes through `redact`, which knows the shapes of Dropbox's
tokens and every value registered as a `Secret` in this process. A traceback that shows locals must have nothing to
show: an error from below the line that sends leaves its frames behind (`bare`).
"""

from __future__ import annotations

import re
from typing import NoReturn, TypeVar

MASK = "***"
E = TypeVar("E", bound=BaseException)

# Dropbox access tokens begin `sl.`; refresh tokens are 64 characters of base64url after a marker; both are also
# caught by name in forms, JSON and headers, because their shape is not promised.
_SHAPES = re.compile(
    r"sl\.[A-Za-z0-9_.-]{16,}"
    r"|(?i:(?<=bearer )[A-Za-z0-9_.~+/=-]{8,})"
    r"|(?i:(?<=refresh_token=)[^&\s\"']+)|(?i:(?<=access_token=)[^&\s\"']+)"
    r"|(?i:(?<=code_verifier=)[^&\s\"']+)|(?i:(?<=client_secret=)[^&\s\"']+)|(?<=[?&]code=)[^&\s\"']+"
    r"|(?i:(?<=\"refresh_token\": \")[^\"]+)|(?i:(?<=\"access_token\": \")[^\"]+)"
    r"|(?i:(?<=\"refresh_token\":\")[^\"]+)|(?i:(?<=\"access_token\":\")[^\"]+)"
)

_known: set[str] = set()
"""Every secret value of this process, for `redact`. Guarded by the interpreter: sets add atomically."""


class Secret:
    """A string that shows itself only to `reveal()`. It cannot be printed, formatted, pickled or compared by ==."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value
        if len(value) >= 8:
            _known.add(value)

    def reveal(self) -> str:
        """The value, for the line that needs it."""
        return self.__value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")


def redact(text: str) -> str:
    """`text` with every known secret, and everything of a token's shape, replaced by `***`."""
    for value in tuple(_known):
        if value in text:
            text = text.replace(value, MASK)
    return _SHAPES.sub(MASK, text)


def bare(error: E) -> E:
    """The error without the frames it came through and the errors it came from, whose locals held secrets.

    Raise it outside of the `except` that caught it, or Python ties them together again.
    """
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
