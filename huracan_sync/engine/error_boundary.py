"""The boundary to the engine: inside everything raises, outside the engine gets the answers it knows.

A failure becomes False, 0, None or [], but it is never silent: one event with the name that the engine's documents
use, and `last_error`. `HURACAN_SYNC_STRICT=1` raises instead, as exceptions that the engine's `except` clauses catch.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from huracan_sync.engine.event_log import error_fields, log
from huracan_sync.errors import HuracanError, LocalFailure, NotAuthorized

T = TypeVar("T")


def typed(error: Exception) -> HuracanError:
    """The error itself; one that this library did not foresee becomes a `BUG`, with the cause."""
    if isinstance(error, HuracanError):
        return error
    bug = HuracanError(f"{type(error).__name__}: {error}", code="BUG")
    bug.__cause__ = error
    return bug


def no_file(path: Path) -> LocalFailure:
    """The error for a file that a caller named and that is not there."""
    hint = "check the spelling; a relative path begins in the folder where the program was started"
    return LocalFailure(f"there is no file {path}", hint=hint, path=str(path))


class ErrorBoundary:
    """Turns errors into answers, and remembers the last one. Any thread."""

    def __init__(self, *, strict: bool) -> None:
        self.strict = strict
        self.last_error: HuracanError | None = None
        self._failed_in = 0
        """The thread in which `last_error` happened."""
        self._thread = threading.local()

    def attempt(self, event: str, failed: T, work: Callable[[], T], **where: Any) -> T:
        """What `work` returns; when it raises, `failed`, and one error event."""
        with self.call():
            try:
                return work()
            except HuracanError as error:
                self.failed(event, error, **where)
            except Exception as error:  # noqa: BLE001 - training does not end because of a backup
                log.debug("huracan_sync_bug", exc_info=True)
                self.failed(event, typed(error), **where)
        return failed

    @contextlib.contextmanager
    def call(self) -> Iterator[None]:
        """One call of the engine: when nothing fails in it, what failed in this thread before is over."""
        if getattr(self._thread, "inside", False):
            yield
            return
        self._thread.inside, self._thread.noted = True, False
        try:
            yield
        finally:
            self._thread.inside = False
        if not self._thread.noted and self._failed_in == threading.get_ident():
            self.last_error = None

    def note(self, error: HuracanError) -> None:
        """Remember a failure."""
        self._thread.noted, self._failed_in = True, threading.get_ident()
        self.last_error = error

    def failed(self, event: str, error: HuracanError, **where: Any) -> None:
        """Note and log a failure; in strict mode raise it."""
        self.note(error)
        log.error(event, **where, **error_fields(error))
        if self.strict:
            raise for_sdk_callers(error) from error

    def missing(self, event: str, error: HuracanError, **where: Any) -> None:
        """Note that the caller named something that is not there: a warning, as the engine's documents have it."""
        self.note(error)
        log.warning(event, **where, hint=error.hint)
        if self.strict:
            raise error


def for_sdk_callers(error: HuracanError) -> HuracanError:
    """The error as callers of the official SDK catch it: one about the login is a `dropbox.exceptions.AuthError` too.

    The SDK is imported here and not before: it takes longer than most calls.
    """
    if not isinstance(error, NotAuthorized):
        return error
    kind: Any = type(error)
    both: HuracanError = _with_auth_error(kind)(str(error), code=error.code, hint=error.hint, **error.facts)
    return both


@functools.cache
def _with_auth_error(kind: Any) -> Any:
    from dropbox.auth import AuthError as Reason  # noqa: PLC0415
    from dropbox.auth import TokenScopeError  # noqa: PLC0415
    from dropbox.exceptions import AuthError  # noqa: PLC0415

    def begin(self: Any, message: str, *, code: str = "", hint: str = "", **facts: object) -> None:
        Exception.__init__(self, message)  # the SDK's class would take the arguments otherwise
        self.code, self.hint, self.facts, self.request_id = code, hint, facts, ""
        tag, scope = facts.get("tag"), facts.get("scope")
        if scope:
            self.error = Reason.missing_scope(TokenScopeError(required_scope=str(scope)))
        elif tag == "invalid_access_token":
            self.error = Reason.invalid_access_token
        else:
            self.error = Reason.expired_access_token

    words = {"__init__": begin, "__str__": Exception.__str__, "__repr__": Exception.__repr__, "__doc__": kind.__doc__}
    return type(kind.__name__, (kind, AuthError), words)
