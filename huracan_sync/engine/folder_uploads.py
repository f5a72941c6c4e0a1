"""Folders to Dropbox, and each kind of data to its folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from huracan_sync.engine.context import EngineContext
from huracan_sync.engine.daemon.scheduler import Outcome
from huracan_sync.engine.deliver import deliver
from huracan_sync.engine.error_boundary import typed
from huracan_sync.engine.event_log import error_fields, log
from huracan_sync.engine.folder_sync import Passed, folder_at, push_folder
from huracan_sync.engine.outbox import HOPELESS, QueuedWrite
from huracan_sync.engine.progress_log import ChangedCandleLog, UploadLog, is_refused, is_unfinished
from huracan_sync.engine.secret_guard import refuse_secrets
from huracan_sync.engine.settings import layout_kind
from huracan_sync.errors import HuracanError, UsageError
from huracan_sync.tree.filters import IGNORE_FILE
from huracan_sync.tree.layout import PATTERNS, is_left_out
from huracan_sync.tree.paths import fold

MOST_NAMED = 20
"""How many refused or left out files an outcome names; it counts all."""
MOST_LOGGED = 5
NOT_TAKEN = "no kind of data takes such names"


class FolderUploads:
    """Uploads of whole folders."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context

    def sync_directory(
        self,
        local: Path,
        remote_dir: str,
        patterns: tuple[str, ...] = ("*",),
        *,
        recursive: bool = True,
        dated: bool = True,
        refuses_secrets: bool = False,
        kind: str = "",
    ) -> int:
        """Bring a folder to Dropbox; how many of its files are known to be there. See `DropboxSync.sync_directory`."""
        boundary = self._context.boundary
        if not local.is_dir():
            error = UsageError(f"there is no folder {local}", hint="check where the engine was started")
            boundary.missing("directory_not_found", error, path=str(local))
            return 0
        where = {"local_path": str(local), "remote_path": remote_dir}
        place = lambda: self._context.place(remote_dir, dated=dated)  # noqa: E731 - one expression
        target = boundary.attempt("file_upload_failed", "", place, **where)
        if not target:
            return 0
        log.info("sync_directory_normalized_path", normalized_remote_dir=target, use_dated_folder=dated)
        upload = self._upload(local, target, What(patterns, recursive, kind, secrets=not refuses_secrets))

        def work() -> Passed:
            try:
                return upload.run()
            except Exception as error:
                upload.keep(typed(error))
                raise

        passed = boundary.attempt("file_upload_failed", None, work, local_path=str(local), remote_path=target)
        if passed is None:
            return 0
        deliver(self._context)
        return passed.in_step

    def _upload(self, local: Path, target: str, what: What) -> FolderUpload:
        return FolderUpload(self._context, local, target, what)

    def sync_kind(self, kind: str, local: Path, *, dated: bool = True, refuses_secrets: bool = False) -> int:
        """Bring one kind of data (as the layout calls it) to its folder; how many of its files are there."""
        return self.sync_directory(
            local, f"/{kind}", PATTERNS[kind], kind=kind, dated=dated, refuses_secrets=refuses_secrets
        )

    def pass_over(self, kind: str, local: Path, *, because_of_the_disk: bool = False) -> Outcome:
        """One pass over a kind of data (in the engine's words). Raises where `sync_kind` answers 0."""
        context = self._context
        if not local.is_dir():
            return Outcome()
        name = layout_kind(kind)
        target = context.layout.folder(name, context.today if context.dated else "")
        what = What(
            PATTERNS[name],
            kind=name,
            secrets=kind != "config" or context.allow_secrets,
            changed_candles=kind == "data_cache" and because_of_the_disk,
            is_one_of_many=True,
        )
        passed = FolderUpload(context, local, target, what).run()
        deliver(context)
        return outcome_of(passed)


class What(msgspec.Struct, frozen=True):
    """What a pass over a folder takes, and how."""

    patterns: tuple[str, ...] = ("*",)
    recursive: bool = True
    kind: str = ""
    """As the layout calls it; empty for a folder whose patterns the caller chose."""
    secrets: bool = True
    """Whether files with a token or a password in them are sent."""
    changed_candles: bool = False
    """Only because they changed on the disk."""
    is_one_of_many: bool = False
    """Whether passes follow one another, so that what lasts is logged once."""


class FolderUpload:
    """One pass over one folder."""

    def __init__(self, context: EngineContext, local: Path, target: str, what: What) -> None:
        self._context = context
        self._local = local
        self._target = target
        self._what = what
        self._refuse: Callable[[Path], None] | None = None if what.secrets else refuse_secrets

    def queued_write(self, error: HuracanError) -> QueuedWrite:
        """The folder, for the outbox."""
        return self._context.queued_write(
            self._target,
            error,
            local=str(self._local.absolute()),
            patterns=self._what.patterns,
            recursive=self._what.recursive,
            refuses_secrets=self._refuse is not None,
        )

    def keep(self, error: HuracanError) -> None:
        """Keep the folder in the outbox, if a later pass can do better."""
        if not isinstance(error, HOPELESS):
            self._context.outbox.put(self.queued_write(error))

    def run(self) -> Passed:
        """Do it. Raises what ends a pass early, and in strict mode what failed in it."""
        context, started = self._context, self._context.clock()
        folder = folder_at(
            context.layout,
            self._local,
            self._target,
            patterns=self._what.patterns,
            recursive=self._what.recursive,
            rules=context.rules,
        )
        key = f"refused {self._local.absolute()} {self._target}"
        known = context.logged.last(key) if self._what.is_one_of_many else None
        progress = (ChangedCandleLog if self._what.changed_candles else UploadLog)(
            self._local, folder.remote, folder.view, known=known
        )
        # Candles are signed as a whole at their interval, not at each change: that would be six requests for one.
        is_candles = fold(self._target) == fold(context.layout.candles)
        is_all_candles = is_candles and not self._what.changed_candles
        passed = push_folder(
            context.operations.watched_by(progress),
            folder,
            refuse=self._refuse,
            stop=context.stop.is_set,
            sign=is_all_candles and context.signs,
            parquet_metadata=is_candles and context.parquet_metadata,
        )
        unsigned = "" if passed.unsigned is None else str(passed.unsigned)
        is_new = context.logged.is_new(f"unsigned {self._target}", unsigned)
        if passed.unsigned is not None:
            context.boundary.note(passed.unsigned)
            if is_new or not self._what.is_one_of_many:
                log.error("candles_not_signed", remote_dir=self._target, **error_fields(passed.unsigned))
        context.logged.is_new(key, {f.path: str(f.error) for f in passed.report.failed if is_refused(f.error)})
        failed = [failure.error for failure in passed.report.failed if not is_unfinished(failure.error)]
        if failed:
            context.boundary.note(failed[0])
        if any(not self._is_hopeless(error) for error in failed):
            context.outbox.put(self.queued_write(failed[0]))
        else:
            context.outbox.overtake(msgspec.structs.replace(self.queued_write(HuracanError("")), queued=started))
        self._log(passed)
        self._log_left_out(passed)
        if failed and context.boundary.strict:
            raise failed[0]
        return passed

    def _is_hopeless(self, error: HuracanError) -> bool:
        """Whether the outbox is no use: a person has to act, or the next of many passes looks again anyway."""
        return isinstance(error, HOPELESS) or (self._what.is_one_of_many and is_refused(error))

    def _log(self, passed: Passed) -> None:
        log.info(
            "directory_synced",
            local_dir=str(self._local),
            remote_dir=self._target,
            files_synced=passed.in_step,
            total_files=passed.in_step + len(passed.report.failed) + len(passed.newer_there),
            files_sent=passed.report.uploaded - passed.copied,
            bytes_sent=passed.report.bytes_sent,
        )

    def _log_left_out(self, passed: Passed) -> None:
        """Name what is not synced: once, and again when it changes."""
        if self._what.kind:
            strange = (path for path in passed.declined if is_left_out(self._what.kind, path) and path != IGNORE_FILE)
            passed.left_out |= dict.fromkeys(strange, NOT_TAKEN)
        names = sorted(passed.left_out)
        if self._context.logged.is_new(f"left out {self._local.absolute()}", names) and names:
            examples = _named(passed.left_out)[:MOST_LOGGED]
            log.warning("files_left_out", local_dir=str(self._local), files=len(names), examples=", ".join(examples))


def _named(left_out: dict[str, str]) -> list[str]:
    return [f"{path} ({why})" for path, why in sorted(left_out.items())[:MOST_NAMED]]


def outcome_of(passed: Passed) -> Outcome:
    """What a pass came to: a file that is still being written did not fail."""
    failures = [failure for failure in passed.report.failed if not is_unfinished(failure.error)]
    failed = [failure for failure in failures if not is_refused(failure.error)]
    refused = [str(failure) for failure in failures if is_refused(failure.error)]
    if passed.unsigned is not None:
        refused.append(str(passed.unsigned))
    return Outcome(
        passed.in_step,
        passed.report.uploaded,
        passed.report.bytes_sent,
        waiting=len(passed.report.failed) - len(failures),
        failed=len(failed),
        refused=len(refused),
        error=str(failed[0].error) if failed else next(iter(refused), ""),
        hint=failed[0].error.hint if failed else "",
        refusals=tuple(refused[:MOST_NAMED]),
        left_out=len(passed.left_out),
        left_out_names=tuple(_named(passed.left_out)),
    )
