"""Candles from Dropbox to where the loader looks for them."""

from __future__ import annotations

import time
from pathlib import Path

from huracan_sync.engine import folder_sync
from huracan_sync.engine.candles import facts_here
from huracan_sync.engine.deliver import deliver
from huracan_sync.engine.error_boundary import TellingRestore, log
from huracan_sync.engine.state import Instance
from huracan_sync.errors import HuracanError, LocalFailure
from huracan_sync.tree.layout import LOCAL_FOLDERS, PATTERNS
from huracan_sync.tree.paths import check

MOST_LOOKED_AT = 2000
"""Restored candles whose footers are read for suspicious timestamps."""


class Restores(Instance):
    """Restoring."""

    def restore_data_cache(
        self,
        data_cache_dir: str | Path = LOCAL_FOLDERS["candles"],
        remote_dir: str | None = None,
        use_latest_dated_folder: bool = False,  # noqa: FBT001, FBT002 - the engine's signature
    ) -> int:
        """Bring candles from Dropbox into the folder where the loader looks for them, `BTC/BTC-USDT_1d_....parquet`.

        A whole local file that holds more, or that Dropbox does not have yet, stays. What arrives is verified, put in
        place whole, and is not sent back by the next pass.

        Args:
            data_cache_dir: the local folder; made when it is missing.
            remote_dir: another remote folder than `/APP/data/candles`, taken literally.
            use_latest_dated_folder: with `remote_dir`: today's folder instead.

        Returns:
            How many files were written. 0 when there are none, or when it could not be asked: `last_error` tells which.
        """
        if not self._enabled:
            return 0
        local = Path(data_cache_dir)
        work = lambda: self._restore(local, remote_dir, use_latest_dated_folder=use_latest_dated_folder)  # noqa: E731
        restored = self._attempt("data_cache_restore_failed", None, work, local_dir=str(local))
        if restored is None:
            return 0
        deliver(self)
        return restored.downloaded

    def _restore(
        self, local: Path, remote_dir: str | None = None, *, use_latest_dated_folder: bool = False
    ) -> folder_sync.Restored:
        folder = self._restored_from(local, remote_dir, use_latest_dated_folder=use_latest_dated_folder)
        _let_writers_finish(local)
        monitor = TellingRestore(local, folder.remote)
        restored = folder_sync.restore_candles(self._context.watched_by(monitor), folder, stop=self._stopping.is_set)
        self._tell_of_restore(local, folder.remote, restored)
        return restored

    def _restored_from(
        self, local: Path, remote_dir: str | None, *, use_latest_dated_folder: bool
    ) -> folder_sync.Folder:
        remote = self._layout.candles
        if remote_dir is not None and use_latest_dated_folder:
            remote = f"{self._dated_folder}/data/candles" if self._dated else remote
        elif remote_dir is not None:
            remote = self._layout.literal(remote_dir)
        try:
            local.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LocalFailure(f"{local} cannot be made: {error.strerror}", path=str(local)) from error
        return folder_sync.Folder(local.absolute(), remote, PATTERNS["candles"])

    def _tell_of_restore(self, local: Path, remote: str, restored: folder_sync.Restored) -> None:
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
            self._last_error = error = restored.failed[0].error
            if self._strict:
                raise error
        if restored.downloaded:
            self._tell_of_suspects(local)

    def _tell_of_suspects(self, local: Path) -> None:
        """Say once when candles claim to be from 1970: an old bug divided their timestamps twice."""
        suspects = [path for path in sorted(local.rglob("*.parquet"))[:MOST_LOOKED_AT] if _is_suspect(local, path)]
        if suspects:
            log.warning(
                "suspect_timestamps",
                files=len(suspects),
                example=str(suspects[0]),
                message="these candles claim to be older than any exchange; the loader will download them again",
            )


def _is_suspect(root: Path, path: Path) -> bool:
    try:
        facts = facts_here(root, check(path.relative_to(root).as_posix()))
    except HuracanError:
        return False
    return facts is not None and facts.is_suspect


def _let_writers_finish(local: Path) -> None:
    """A candle without its footer gives way to Dropbox's, unless somebody is still writing it: let a moment pass.

    At start-up nobody writes yet, so this waits only when a half-written file is there and was touched just now.
    """
    for path in local.rglob("*.parquet"):
        try:
            status = path.stat()
        except OSError:
            continue
        age = time.time() - status.st_ctime
        if age < folder_sync.UNTOUCHED_S and not _ends_well(path, status.st_size):
            time.sleep(max(0.0, min(folder_sync.UNTOUCHED_S, folder_sync.UNTOUCHED_S - age)) + 0.05)
            return


def _ends_well(path: Path, size: int) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(max(0, size - 4))
            return file.read(4) == b"PAR1"
    except OSError:
        return True
