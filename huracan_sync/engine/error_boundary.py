"""Errors at the boundary to the engine: events it knows, exceptions its `except` clauses catch."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import structlog

from huracan_sync.errors import HuracanError, LocalFailure, NotAuthorized, SecretInFile, TryLater, Unavailable
from huracan_sync.secret import redact
from huracan_sync.transfer.progress import Silent
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.layout import candle_here
from huracan_sync.tree.paths import RelPath

log: Any = structlog.get_logger("huracan_sync.engine")
"""Where all events of `DropboxSync` go; whoever runs the engine has configured structlog."""


def said(error: BaseException) -> dict[str, str]:
    """An error as fields of an event, without any secret."""
    fields = {"error": redact(str(error)), "error_type": type(error).__name__}
    hint = getattr(error, "hint", "")
    return fields | ({"hint": hint} if hint else {})


def for_sdk_callers(error: HuracanError) -> HuracanError:
    """The error as callers of the official SDK catch it: one about the login is a `dropbox.exceptions.AuthError` too.

    The SDK is imported here and not before: it takes longer than most calls.
    """
    if not isinstance(error, NotAuthorized):
        return error
    name: Any = type(error)
    made: HuracanError = _both(name)(str(error), code=error.code, hint=error.hint, **error.facts)
    return made


@functools.cache
def _both(kind: Any) -> Any:
    from dropbox.auth import AuthError as Reason  # noqa: PLC0415
    from dropbox.auth import TokenScopeError  # noqa: PLC0415
    from dropbox.exceptions import AuthError  # noqa: PLC0415

    def begin(self: Any, message: str, *, hint: str = "", **facts: object) -> None:
        Exception.__init__(self, message)
        self.hint, self.facts, self.request_id = hint, facts, ""
        tag, scope = facts.get("tag"), facts.get("scope")
        if scope:
            self.error = Reason.missing_scope(TokenScopeError(required_scope=str(scope)))
        elif tag == "invalid_access_token":
            self.error = Reason.invalid_access_token
        else:
            self.error = Reason.expired_access_token

    words = {"__init__": begin, "__str__": Exception.__str__, "__repr__": Exception.__repr__, "__doc__": kind.__doc__}
    return type(kind.__name__, (kind, AuthError), words)


class Telling(Silent):
    """A monitor that tells of every file of a push."""

    def __init__(self, local: Path, remote: str, arranged: FolderView | None) -> None:
        self._local = local
        self._remote = remote
        self._arranged = arranged

    def _where(self, path: str) -> dict[str, str]:
        here = self._arranged.at(RelPath(path)) if self._arranged else path
        return {"local_path": f"{self._local}/{here}", "remote_path": f"{self._remote}/{path}"}

    def finished(self, path: str, size: int) -> None:
        """See `Monitor`."""
        log.info("file_uploaded", **self._where(path), size_bytes=size)

    def failed(self, path: str, error: HuracanError) -> None:
        """See `Monitor`."""
        where = self._where(path)
        if is_unfinished(error):
            log.warning("file_upload_waits", **where, **said(error))
        elif isinstance(error, NotAuthorized | Unavailable | TryLater):
            log.debug("file_not_sent", **where, **said(error))  # it ended the pass, which says so once
        elif isinstance(error, SecretInFile):
            log.error("config_contains_secret", **where, **said(error), kinds=error.facts.get("kinds"))
        else:
            log.error("file_upload_failed", **where, **said(error))


class TellingRestore(Silent):
    """A monitor that tells of every file of a restore."""

    def __init__(self, local: Path, remote: str) -> None:
        self._local = local
        self._remote = remote

    def finished(self, path: str, size: int) -> None:
        """See `Monitor`."""
        where = {"remote_path": f"{self._remote}/{path}", "local_path": f"{self._local}/{candle_here(path)}"}
        log.debug("data_cache_file_restored", **where, size_bytes=size)

    def failed(self, path: str, error: HuracanError) -> None:
        """See `Monitor`."""
        log.warning("data_cache_file_restore_failed", remote_path=f"{self._remote}/{path}", **said(error))


def is_unfinished(error: HuracanError) -> bool:
    """Whether a file is not whole yet: no failure, the next pass finds it."""
    return isinstance(error, LocalFailure) and error.retryable
