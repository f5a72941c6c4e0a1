"""Files, folders and texts to Dropbox, in the engine's words: the part of `DropboxSync` that the loops call."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from huracan_sync.engine import folder_sync
from huracan_sync.engine.champion_set import note
from huracan_sync.engine.deliver import deliver
from huracan_sync.engine.error_boundary import Telling, is_unfinished, log, said
from huracan_sync.engine.outbox import QueuedWrite
from huracan_sync.engine.put import Put, snapshot
from huracan_sync.engine.secret_guard import refuse_secrets
from huracan_sync.engine.state import Instance
from huracan_sync.errors import Conflict, HuracanError, LocalFailure, NotFound, SecretInFile, UsageError
from huracan_sync.remote import files
from huracan_sync.remote.listing import children
from huracan_sync.tree.layout import LOCAL_FOLDERS, PATTERNS
from huracan_sync.tree.paths import fold

_HOPELESS = (UsageError, Conflict, SecretInFile)
"""What no later pass can deliver: a person has to act, or the caller to look again."""
QUEUED_AT_ONCE = 8
"""How many letters one uploaded file takes along; a pass takes all."""


class Uploads(Instance):
    """Uploading."""

    # --- one file -------------------------------------------------------------------------------------------------

    def upload_file(
        self,
        local_path: str | Path,
        remote_path: str,
        overwrite: bool = True,  # noqa: FBT001, FBT002 - the engine's signature
        use_dated_folder: bool = True,  # noqa: FBT001, FBT002
    ) -> bool:
        """Upload one file.

        Args:
            local_path: the file.
            remote_path: where; relative to the app folder, or absolute.
            overwrite: False leaves what is there; the answer is True all the same, and a warning tells of a difference.
            use_dated_folder: False takes `remote_path` literally.

        Returns:
            Whether it is in Dropbox. False leaves it in the outbox, from where the next pass delivers it.
        """
        if not self._enabled:
            return False
        local = Path(local_path)
        if not local.exists():
            error = LocalFailure(f"there is no file {local}", path=str(local))
            self._missing("file_not_found", error, path=str(local))
            return False
        where = {"local_path": str(local), "remote_path": remote_path}
        if not local.is_file():
            self._failed("file_upload_failed", LocalFailure(f"{local} is no file", hint="use sync_directory"), **where)
            return False
        target = self._attempt("file_upload_failed", "", lambda: self._target(remote_path, use_dated_folder), **where)
        if not target:
            return False
        said_as = "upload_file_normalized_path" if use_dated_folder else "upload_file_using_pre_normalized_path"
        log.debug(said_as, original_path=remote_path, remote_path=target)
        return self._upload(local, target, overwrite=overwrite)

    def _target(self, path: str, dated: bool) -> str:  # noqa: FBT001 - as the engine names it
        return self._normalize_path(path) if dated else self._layout.literal(path)

    def _upload(
        self, local: Path, target: str, *, overwrite: bool = True, event: str = "file_upload_failed", **more: Any
    ) -> bool:
        """Upload to an absolute place, or keep it for later."""
        where = {"local_path": str(local), "remote_path": target, **more}
        rev = self._reads.take(target) if self._reads else None

        def work() -> Put:
            return self._sender.put_file(local, target, overwrite=overwrite, rev=rev)

        def later(error: HuracanError) -> None:
            self._keep(local, target, error, overwrite=overwrite)

        put = self._or_later(event, work, later, target, **where)
        if put is not None:
            self._tell_of(put, target, local_path=str(local))
            note(self, put, target, local)
        return put is not None

    def _keep(self, local: Path, target: str, error: HuracanError, *, overwrite: bool, champion: str = "") -> None:
        queued_write = self._queued_write(
            target, error, local=str(local.absolute()), overwrite=overwrite, champion=champion
        )
        self._outbox.put(queued_write, snapshot(local))

    def _or_later(
        self,
        event: str,
        work: Callable[[], Put],
        later: Callable[[HuracanError], None],
        target: str,
        **where: Any,
    ) -> Put | None:
        """Put something; when that cannot be done now, keep it durably, then say that it failed."""

        def attempt() -> Put:
            started = time.time()
            try:
                put = work()
            except _HOPELESS:
                raise
            except HuracanError as error:
                later(error)
                raise
            self._outbox.overtake(QueuedWrite(remote=target, service=self._service, queued=started))
            return put

        put = self._attempt(event, None, attempt, **where)
        if put is not None:
            deliver(self, at_most=QUEUED_AT_ONCE)
        return put

    def _tell_of(self, put: Put, target: str, *, local_path: str = "") -> None:
        if not put.differs:
            log.info(
                "file_uploaded",
                local_path=local_path,
                remote_path=target,
                size_bytes=put.there.size,
                sent=put.sent,
            )
            return
        log.warning(
            "file_exists_skip", path=target, differs=True, message="other content is there; overwrite=False leaves it"
        )
        if self._strict:
            raise Conflict(f"{target} holds other content, and was not to be overwritten", code="EXISTS", path=target)

    # --- text -----------------------------------------------------------------------------------------------------

    def write_text(
        self,
        remote_path: str,
        text_content: str,
        use_dated_folder: bool = False,  # noqa: FBT001, FBT002 - the engine's signature
        overwrite: bool = True,  # noqa: FBT001, FBT002
    ) -> bool:
        """Write a text, as UTF-8, to a path below the app folder (below today's, if dated). One request.

        Returns:
            Whether it is in Dropbox. False leaves it in the outbox.
        """
        if not self._enabled:
            return False
        target = self._attempt(
            "text_write_failed",
            "",
            lambda: self._normalize_path(remote_path, use_dated_folder),
            remote_path=remote_path,
        )
        return bool(target) and self._write(target, text_content.encode(), overwrite=overwrite)

    def _write(self, target: str, content: bytes, *, overwrite: bool = True, event: str = "text_write_failed") -> bool:
        rev = self._reads.take(target) if self._reads else None
        put = self._or_later(
            event,
            lambda: self._sender.put_content(content, target, overwrite=overwrite, rev=rev),
            lambda error: self._outbox.put(self._queued_write(target, error, overwrite=overwrite), content),
            target,
            remote_path=target,
        )
        if put is None:
            return False
        if put.differs:
            self._tell_of(put, target)
        else:
            log.info("text_written_to_dropbox", remote_path=target, size_bytes=len(content))
            note(self, put, target, content)
        return True

    # --- folders --------------------------------------------------------------------------------------------------

    def sync_directory(
        self,
        local_dir: str | Path,
        remote_dir: str,
        pattern: str = "*",
        recursive: bool = True,  # noqa: FBT001, FBT002 - the engine's signature
        use_dated_folder: bool = True,  # noqa: FBT001, FBT002
    ) -> int:
        """Bring the files of a folder that match a pattern to Dropbox: one request when nothing changed.

        Returns:
            How many of them are known to be there now, sent or there already.
        """
        return self._sync(local_dir, remote_dir, (pattern,), recursive=recursive, dated=use_dated_folder)

    def _sync(
        self,
        local_dir: str | Path,
        remote_dir: str,
        patterns: tuple[str, ...],
        *,
        recursive: bool = True,
        dated: bool = True,
        refuse: Callable[[Path], None] | None = None,
    ) -> int:
        if not self._enabled:
            return 0
        local = Path(local_dir)
        if not local.is_dir():
            error = UsageError(f"there is no folder {local}", hint="check where the engine was started")
            self._missing("directory_not_found", error, path=str(local))
            return 0
        where = {"local_path": str(local), "remote_path": remote_dir}
        target = self._attempt("file_upload_failed", "", lambda: self._normalize_path(remote_dir, dated), **where)
        if not target:
            return 0
        log.info("sync_directory_normalized_path", normalized_remote_dir=target, use_dated_folder=dated)
        passed = self._push(local, target, patterns, recursive=recursive, refuse=refuse)
        return 0 if passed is None else passed.in_step

    def _push(
        self,
        local: Path,
        target: str,
        patterns: tuple[str, ...],
        *,
        recursive: bool = True,
        refuse: Callable[[Path], None] | None = None,
    ) -> folder_sync.Passed | None:
        """One pass over a folder, then whatever else waits; None when it could not be done."""
        where = {"local_path": str(local), "remote_path": target}
        more = {"patterns": patterns, "recursive": recursive, "refuses_secrets": refuse is not None}

        def queued_write(error: HuracanError) -> QueuedWrite:
            return self._queued_write(target, error, local=str(local.absolute()), **more)

        def work() -> folder_sync.Passed:
            try:
                return self._pass(local, target, patterns, queued_write, recursive=recursive, refuse=refuse)
            except HuracanError as error:
                if not isinstance(error, _HOPELESS):
                    self._outbox.put(queued_write(error))
                raise

        passed = self._attempt("file_upload_failed", None, work, **where)
        if passed is not None:
            deliver(self)
        return passed

    def _pass(
        self,
        local: Path,
        target: str,
        patterns: tuple[str, ...],
        queued_write: Callable[[HuracanError], QueuedWrite],
        *,
        recursive: bool,
        refuse: Callable[[Path], None] | None = None,
        telling: type[Telling] = Telling,
    ) -> folder_sync.Passed:
        started = time.time()
        folder = folder_sync.folder_at(self._layout, local, target, patterns=patterns, recursive=recursive)
        monitor = telling(local, folder.remote, folder.arranged)
        # Candles are stated as a whole at their interval, not at each change: that would be six requests for one.
        signs = fold(target) == fold(self._layout.candles) and telling is Telling and self._signs
        passed = folder_sync.push_folder(
            self._context.watched_by(monitor), folder, refuse=refuse, stop=self._stopping.is_set, sign=signs
        )
        if passed.unsigned is not None:
            self._last_error = passed.unsigned
            log.error("candles_not_signed", remote_dir=target, **said(passed.unsigned))
        failed = [f.error for f in passed.report.failed if not is_unfinished(f.error)]
        if failed:
            self._last_error = failed[0]
        if any(not isinstance(error, _HOPELESS) for error in failed):
            self._outbox.put(queued_write(failed[0]))
        else:
            self._outbox.overtake(msgspec.structs.replace(queued_write(HuracanError("")), queued=started))
        log.info(
            "directory_synced",
            local_dir=str(local),
            remote_dir=target,
            files_synced=passed.in_step,
            total_files=passed.in_step + len(passed.report.failed) + len(passed.newer_there),
            files_sent=passed.report.uploaded - passed.copied,
            bytes_sent=passed.report.bytes_sent,
        )
        if failed and self._strict:
            raise failed[0]
        return passed

    # --- the kinds of data ----------------------------------------------------------------------------------------

    def upload_logs(
        self,
        logs_dir: str | Path = LOCAL_FOLDERS["logs"],
        use_dated_folder: bool = True,  # noqa: FBT001, FBT002 - the engine's signature
    ) -> int:
        """Upload all logs, to `/APP/DAY/logs`. Returns how many are there now."""
        return self._sync(logs_dir, "/logs", PATTERNS["logs"], dated=use_dated_folder)

    def upload_models(self, models_dir: str | Path = LOCAL_FOLDERS["models"]) -> int:
        """Upload all models (`.pkl`, `.bin`, `.pth`), to `/APP/DAY/models`. Returns how many are there now."""
        return self._sync(models_dir, "/models", PATTERNS["models"])

    def upload_monitoring_data(self, monitoring_dir: str | Path = LOCAL_FOLDERS["monitoring"]) -> int:
        """Upload monitoring data, to `/APP/DAY/monitoring`. Returns how many files are there now."""
        return self._sync(monitoring_dir, "/monitoring", PATTERNS["monitoring"])

    def upload_reports(self, reports_dir: str | Path = LOCAL_FOLDERS["reports"]) -> int:
        """Upload reports, to `/APP/DAY/reports`. Returns how many are there now; 0 when there is no such folder."""
        return self._sync_if_there(reports_dir, "/reports", PATTERNS["reports"])

    def upload_exports(self, exports_dir: str | Path = LOCAL_FOLDERS["exports"]) -> int:
        """Upload exports, to `/APP/DAY/exports`. Returns how many are there now; 0 when there is no such folder."""
        return self._sync_if_there(exports_dir, "/exports", PATTERNS["exports"])

    def upload_configs(self, config_dir: str | Path = LOCAL_FOLDERS["config"], *, allow_secrets: bool = False) -> int:
        """Upload configuration, to `/APP/DAY/config`. Returns how many files are there now.

        Args:
            config_dir: the folder.
            allow_secrets: upload a file although a token or a password was found in it.
        """
        refuse = None if allow_secrets or (self._enabled and self._allow_secrets) else refuse_secrets
        return self._sync_if_there(config_dir, "/config", PATTERNS["config"], refuse=refuse)

    def upload_learning(self, learning_dir: str | Path = LOCAL_FOLDERS["learning"]) -> int:
        """Upload learning notes, to `/APP/DAY/learning`. Returns how many are there now."""
        return self._sync_if_there(learning_dir, "/learning", PATTERNS["learning"])

    def upload_data_cache(
        self,
        data_cache_dir: str | Path = LOCAL_FOLDERS["candles"],
        use_dated_folder: bool = False,  # noqa: FBT001, FBT002 - the engine's signature
        organize_by_symbol: bool = True,  # noqa: FBT001, FBT002
    ) -> int:
        """Upload all candles, each to its one place in `/APP/data/candles`. Returns how many are there now.

        The two flags have no effect: candles are kept for every day, and one file has one place.
        """
        if use_dated_folder or not organize_by_symbol:
            log.debug("data_cache_has_one_place", use_dated_folder=use_dated_folder, organized=organize_by_symbol)
        return self._sync(data_cache_dir, self._layout.candles if self._enabled else "", PATTERNS["candles"])

    def _sync_if_there(
        self,
        folder: str | Path,
        target: str,
        patterns: tuple[str, ...],
        *,
        refuse: Callable[[Path], None] | None = None,
    ) -> int:
        return self._sync(folder, target, patterns, refuse=refuse) if Path(folder).is_dir() else 0

    def sync_all(
        self,
        logs_dir: str | Path = LOCAL_FOLDERS["logs"],
        models_dir: str | Path = LOCAL_FOLDERS["models"],
        monitoring_dir: str | Path = LOCAL_FOLDERS["monitoring"],
        learning_dir: str | Path = LOCAL_FOLDERS["learning"],
        data_cache_dir: str | Path = LOCAL_FOLDERS["candles"],
        reports_dir: str | Path = LOCAL_FOLDERS["reports"],
        config_dir: str | Path = LOCAL_FOLDERS["config"],
        exports_dir: str | Path = LOCAL_FOLDERS["exports"],
    ) -> dict[str, int]:
        """Upload everything once.

        Returns:
            How many files of each kind are there now; optional kinds without a folder have no key.
        """
        results = {
            "logs": self.upload_logs(logs_dir),
            "models": self.upload_models(models_dir),
            "monitoring": self.upload_monitoring_data(monitoring_dir),
        }
        optional: list[tuple[str, str | Path, Callable[[str | Path], int]]] = [
            ("learning", learning_dir, self.upload_learning),
            ("data_cache", data_cache_dir, self.upload_data_cache),
            ("reports", reports_dir, self.upload_reports),
            ("config", config_dir, self.upload_configs),
            ("exports", exports_dir, self.upload_exports),
        ]
        results |= {kind: upload(folder) for kind, folder, upload in optional if Path(folder).exists()}
        log.info("dropbox_sync_complete", **results, total_files=sum(results.values()))
        return results

    # --- looking --------------------------------------------------------------------------------------------------

    def list_files(self, remote_dir: str = "/") -> list[str]:
        """The paths of the files directly in a folder (of today, if files are kept by day): all of them.

        Returns:
            Paths as Dropbox shows them; nothing when there is no such folder, or when it could not be asked
            (`last_error` tells which).
        """
        if not self._enabled:
            return []

        def work() -> list[str]:
            try:
                found = children(self._remote, self._normalize_path(remote_dir).rstrip("/"))
            except NotFound:
                return []
            return [entry.path_display for entry in found]

        return self._attempt("list_files_failed", [], work, path=remote_dir)

    def _create_dated_folder(self) -> str:
        """Make today's folder, unless it is there already; its path."""
        if not self._enabled:
            return ""
        folder = self._layout.place("/", self._today())

        def work() -> None:
            if files.create_folder(self._remote, folder):
                log.info("dropbox_dated_folder_created", folder_path=folder, date=self._today())
            else:
                log.debug("dropbox_dated_folder_exists", folder_path=folder)

        self._attempt("dropbox_dated_folder_creation_failed", None, work, folder_path=folder)
        return folder
