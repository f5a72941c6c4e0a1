"""Candles from Dropbox to where the loader looks for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from huracan_sync.disk.scan import scan
from huracan_sync.engine.candle_restore import Restored, let_writers_finish, restore_candles
from huracan_sync.engine.candles import facts_here
from huracan_sync.engine.context import EngineContext
from huracan_sync.engine.daemon.scheduler import Outcome
from huracan_sync.engine.deliver import deliver
from huracan_sync.engine.event_log import log
from huracan_sync.engine.folder_sync import Folder, filters_at
from huracan_sync.engine.folder_uploads import MOST_NAMED
from huracan_sync.engine.progress_log import RestoreLog, is_refused, is_unfinished
from huracan_sync.errors import HuracanError, LocalFailure
from huracan_sync.tree.layout import PATTERNS
from huracan_sync.tree.paths import RelPath

MOST_LOOKED_AT = 2000
"""Restored candles whose footers are read for suspicious timestamps."""


class Restores:
    """Restores of candles."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context

    def restore_data_cache(self, local: Path, remote_dir: str | None, *, use_latest_dated_folder: bool) -> int:
        """See `DropboxSync.restore_data_cache`."""
        work = lambda: self.restore(local, remote_dir, use_latest_dated_folder=use_latest_dated_folder)  # noqa: E731
        restored = self._context.boundary.attempt("data_cache_restore_failed", None, work, local_dir=str(local))
        if restored is None:
            return 0
        deliver(self._context)
        return restored.downloaded

    def restore(self, local: Path, remote_dir: str | None = None, *, use_latest_dated_folder: bool = False) -> Restored:
        """Restore candles. Raises where `restore_data_cache` answers 0."""
        context = self._context
        folder = self._folder(local, remote_dir, use_latest_dated_folder=use_latest_dated_folder)
        let_writers_finish(local, clock=context.clock)
        progress = RestoreLog(local, folder.remote)
        restored = restore_candles(context.operations.watched_by(progress), folder, stop=context.stop.is_set)
        self._log(local, folder.remote, restored)
        return restored

    def until_done(self, folder: Path) -> Callable[[], Outcome]:
        """A function that restores candles each time it is called, until all of them are here once.

        What only a person can mend in Dropbox is told from then on, and not tried again. What is in the way on this
        disk may be moved away, so that is.
        """
        done: Outcome | None = None

        def restore() -> Outcome:
            nonlocal done
            if done is not None:
                return done
            failures = [failure for failure in self.restore(folder).failed if not is_unfinished(failure.error)]
            failed = [failure.error for failure in failures if not _is_settled(failure.error)]
            refused = tuple(str(failure) for failure in failures if _is_settled(failure.error))
            outcome = Outcome(
                failed=len(failed),
                refused=len(refused),
                error=str(failed[0]) if failed else next(iter(refused), ""),
                refusals=refused[:MOST_NAMED],
            )
            done = None if failed else outcome
            return outcome

        return restore

    def _folder(self, local: Path, remote_dir: str | None, *, use_latest_dated_folder: bool) -> Folder:
        context = self._context
        remote = context.layout.candles
        if remote_dir is not None and use_latest_dated_folder:
            remote = f"{context.dated_folder}/data/candles" if context.dated else remote
        elif remote_dir is not None:
            remote = context.layout.literal(remote_dir)
        try:
            local.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LocalFailure(f"{local} cannot be made: {error.strerror}", path=str(local)) from error
        local = local.absolute()
        return Folder(local, remote, PATTERNS["candles"], filters=filters_at(local, context.rules))

    def _log(self, local: Path, remote: str, restored: Restored) -> None:
        if not restored.found:
            log.info(
                "data_cache_folder_not_found",
                remote_dir=remote,
                message="there are no candles in Dropbox yet; training downloads them",
            )
        elif restored.downloaded:
            log.info("data_cache_restore_complete", files_restored=restored.downloaded, local_dir=str(local))
        elif not restored.failed:
            log.info("data_cache_restore_empty", remote_dir=remote, message="nothing there that is not here")
        if restored.kept_here:
            log.info("data_cache_kept_here", files=len(restored.kept_here), example=restored.kept_here[0])
        if restored.failed:
            error = restored.failed[0].error
            self._context.boundary.note(error)
            if self._context.boundary.strict:
                raise error
        if restored.downloaded:
            _log_suspects(local)


def _is_settled(error: HuracanError) -> bool:
    return is_refused(error) and not isinstance(error, LocalFailure)


def _log_suspects(local: Path) -> None:
    """Say once when candles claim to be from 1970: an old bug divided their timestamps twice."""
    candles = sorted(scan(local, wanted=lambda path: path.endswith(".parquet")).files)[:MOST_LOOKED_AT]
    suspects = [local / path for path in candles if _is_suspect(local, path)]
    if suspects:
        log.warning(
            "suspect_timestamps",
            files=len(suspects),
            example=str(suspects[0]),
            message="these candles claim to be older than any exchange; the loader will download them again",
        )


def _is_suspect(root: Path, path: RelPath) -> bool:
    facts = facts_here(root, path)
    return facts is not None and facts.is_suspect
