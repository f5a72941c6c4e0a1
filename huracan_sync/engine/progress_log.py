"""Monitors that log what happens to each file, under the event names that the engine's documents use."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from huracan_sync.engine.event_log import error_fields, log
from huracan_sync.errors import (
    Conflict,
    HostilePath,
    HuracanError,
    LocalFailure,
    NotAuthorized,
    PathRefused,
    SecretInFile,
    TryLater,
    Unavailable,
    UsageError,
)
from huracan_sync.transfer.progress import Silent
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.layout import candle_here
from huracan_sync.tree.paths import RelPath


def is_unfinished(error: HuracanError) -> bool:
    """Whether a file is still being written: no failure, the next pass finds it whole."""
    return isinstance(error, LocalFailure) and error.retryable


def is_refused(error: HuracanError) -> bool:
    """Whether only a person can mend it: a bad name, a secret in a file, a lasting conflict, no right to it."""
    return not error.retryable and isinstance(error, UsageError | Conflict | LocalFailure | PathRefused)


class UploadLog(Silent):
    """Logs each file of a push."""

    def __init__(
        self, local: Path, remote: str, view: FolderView | None, *, known: Mapping[str, str] | None = None
    ) -> None:
        """Nothing is logged yet.

        Args:
            local: the local folder.
            remote: the remote folder.
            view: how its files are called in Dropbox, when otherwise.
            known: refusals by path that an earlier pass logged already.
        """
        self._local = local
        self._remote = remote
        self._view = view
        self._known = known or {}

    def _paths(self, path: str) -> dict[str, str]:
        here = path
        with contextlib.suppress(HostilePath):  # a bad name has no other one in Dropbox
            here = self._view.at(RelPath(path)) if self._view else path
        return {"local_path": f"{self._local}/{here}", "remote_path": f"{self._remote}/{path}"}

    def finished(self, path: str, size: int) -> None:
        """See `Monitor`."""
        log.info("file_uploaded", **self._paths(path), size_bytes=size)

    def failed(self, path: str, error: HuracanError) -> None:
        """See `Monitor`."""
        paths = self._paths(path)
        if is_refused(error) and self._known.get(path) == str(error):
            log.debug("file_still_refused", **paths, **error_fields(error))
        elif is_unfinished(error):
            log.warning("file_upload_waits", **paths, **error_fields(error))
        elif isinstance(error, NotAuthorized | Unavailable | TryLater):
            log.debug("file_not_sent", **paths, **error_fields(error))  # it ended the pass, which says so once
        elif isinstance(error, SecretInFile):
            log.error("config_contains_secret", **paths, **error_fields(error), kinds=error.facts.get("kinds"))
        else:
            log.error("file_upload_failed", **paths, **error_fields(error))


class ChangedCandleLog(UploadLog):
    """Logs candles that were sent because they changed on the disk."""

    def finished(self, path: str, size: int) -> None:
        """See `Monitor`."""
        super().finished(path, size)
        paths = self._paths(path)
        log.info("coin_data_synced_immediately", file=paths["local_path"], remote_path=paths["remote_path"])

    def failed(self, path: str, error: HuracanError) -> None:
        """See `Monitor`."""
        super().failed(path, error)
        if not is_unfinished(error) and not is_refused(error):
            log.warning("recent_file_sync_failed", file=self._paths(path)["local_path"], **error_fields(error))


class RestoreLog(Silent):
    """Logs each file of a restore."""

    def __init__(self, local: Path, remote: str) -> None:
        self._local = local
        self._remote = remote

    def finished(self, path: str, size: int) -> None:
        """See `Monitor`."""
        paths = {"remote_path": f"{self._remote}/{path}", "local_path": f"{self._local}/{candle_here(path)}"}
        log.debug("data_cache_file_restored", **paths, size_bytes=size)

    def failed(self, path: str, error: HuracanError) -> None:
        """See `Monitor`."""
        log.warning("data_cache_file_restore_failed", remote_path=f"{self._remote}/{path}", **error_fields(error))
