"""The engine's methods: what `DropboxSync` and a worker that stages have in common.

Each method says here what it promises; the parts, which the concrete class brings, do the work. A disabled object has
no parts, does nothing, and answers as if there were nothing.
"""

# ruff: noqa: FBT001, FBT002 - the engine's signatures
from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from huracan_sync.engine.artifacts import Artifacts
from huracan_sync.engine.context import EngineContext
from huracan_sync.engine.event_log import log
from huracan_sync.engine.folder_uploads import FolderUploads
from huracan_sync.engine.restores import Restores
from huracan_sync.engine.uploads import Uploads
from huracan_sync.errors import HuracanError, NotFound
from huracan_sync.remote import files
from huracan_sync.remote.stat import children
from huracan_sync.tree.layout import LOCAL_FOLDERS, PATTERNS


class EngineMethods:
    """Every method, path, name and answer for single files and folders."""

    _enabled: bool
    _context: EngineContext
    _uploads: Uploads
    _folder_uploads: FolderUploads
    _restores: Restores
    _artifacts: Artifacts

    def _is_off(self) -> bool:
        if not self._enabled:
            log.warning("dropbox_not_enabled")
        return not self._enabled

    @property
    def last_error(self) -> HuracanError | None:
        """What went wrong in the last call of this object; None when nothing did."""
        return self._context.boundary.last_error if self._enabled else None

    @property
    def context(self) -> EngineContext:
        """What the parts of this object share, for `huracan_sync.engine.run` and the self-test.

        Raises:
            AttributeError: the object is disabled.
        """
        return self._part("context")

    @property
    def _app_folder(self) -> str:
        return self._part("_app_folder").layout.app_folder

    @property
    def _dated_folder(self) -> str:
        """Today's folder, `/APP/YYYY-MM-DD`, asked of the clock each time; empty when files are not kept by day."""
        return self._part("_dated_folder").dated_folder

    def _part(self, name: str) -> EngineContext:
        if not self._enabled:  # a disabled object has nothing else, and callers ask with hasattr
            raise AttributeError(f"{type(self).__name__} is disabled and has no {name}")
        return self._context

    def _normalize_path(self, path: str, use_dated_folder: bool = True) -> str:
        """Where a path belongs in Dropbox, absolute. Normalizing twice changes nothing.

        Raises:
            HostilePath: no tree may hold it.
        """
        return self._context.place(path, dated=use_dated_folder)

    def _create_dated_folder(self) -> str:
        """Make today's folder, unless it is there already; its path."""
        if not self._enabled:
            return ""
        context = self._context
        today = context.today
        folder = context.layout.place("/", today)

        def work() -> None:
            if files.create_folder(context.remote, folder):
                log.info("dropbox_dated_folder_created", folder_path=folder, date=today)
            else:
                log.debug("dropbox_dated_folder_exists", folder_path=folder)

        context.boundary.attempt("dropbox_dated_folder_creation_failed", None, work, folder_path=folder)
        return folder

    # --- files and folders ----------------------------------------------------------------------------------------

    def upload_file(
        self, local_path: str | Path, remote_path: str, overwrite: bool = True, use_dated_folder: bool = True
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
        return self._enabled and self._uploads.upload_file(
            Path(local_path), remote_path, overwrite=overwrite, dated=use_dated_folder
        )

    def write_text(
        self, remote_path: str, text_content: str, use_dated_folder: bool = False, overwrite: bool = True
    ) -> bool:
        """Write a text, as UTF-8, to a path below the app folder (below today's, if dated). One request.

        Returns:
            Whether it is in Dropbox. False leaves it in the outbox.
        """
        return self._enabled and self._uploads.write_text(
            remote_path, text_content, dated=use_dated_folder, overwrite=overwrite
        )

    def sync_directory(
        self,
        local_dir: str | Path,
        remote_dir: str,
        pattern: str = "*",
        recursive: bool = True,
        use_dated_folder: bool = True,
    ) -> int:
        """Bring the files of a folder that match a pattern to Dropbox: one request when nothing changed.

        Returns:
            How many of them are known to be there now, sent or there already.
        """
        if not self._enabled:
            return 0
        return self._folder_uploads.sync_directory(
            Path(local_dir), remote_dir, (pattern,), recursive=recursive, dated=use_dated_folder
        )

    def list_files(self, remote_dir: str = "/") -> list[str]:
        """The paths of all files directly in a folder (today's, if files are kept by day).

        Returns:
            Paths as Dropbox shows them; nothing when there is no such folder, or when it could not be asked
            (`last_error` tells which).
        """
        if not self._enabled:
            return []
        context = self._context

        def work() -> list[str]:
            try:
                found = children(context.remote, context.place(remote_dir).rstrip("/"))
            except NotFound:
                return []
            return [entry.path_display for entry in found]

        return context.boundary.attempt("list_files_failed", [], work, path=remote_dir)

    # --- the kinds of data ----------------------------------------------------------------------------------------

    def upload_logs(self, logs_dir: str | Path = LOCAL_FOLDERS["logs"], use_dated_folder: bool = True) -> int:
        """Upload all logs, to `/APP/DAY/logs`. Returns how many are there now."""
        return self._folder_uploads.sync_kind("logs", Path(logs_dir), dated=use_dated_folder) if self._enabled else 0

    def upload_models(self, models_dir: str | Path = LOCAL_FOLDERS["models"]) -> int:
        """Upload all models, to `/APP/DAY/models`. Returns how many are there now.

        `.pkl .bin .pth .onnx .ubj .safetensors .lgb .keras .pt .joblib`; a warning names what else lies there.
        """
        return self._folder_uploads.sync_kind("models", Path(models_dir)) if self._enabled else 0

    def upload_monitoring_data(self, monitoring_dir: str | Path = LOCAL_FOLDERS["monitoring"]) -> int:
        """Upload monitoring data, to `/APP/DAY/monitoring`. Returns how many files are there now."""
        return self._folder_uploads.sync_kind("monitoring", Path(monitoring_dir)) if self._enabled else 0

    def upload_reports(self, reports_dir: str | Path = LOCAL_FOLDERS["reports"]) -> int:
        """Upload reports, to `/APP/DAY/reports`. Returns how many are there now; 0 when there is no such folder."""
        return self._sync_if_there("reports", reports_dir)

    def upload_exports(self, exports_dir: str | Path = LOCAL_FOLDERS["exports"]) -> int:
        """Upload exports, to `/APP/DAY/exports`. Returns how many are there now; 0 when there is no such folder."""
        return self._sync_if_there("exports", exports_dir)

    def upload_learning(self, learning_dir: str | Path = LOCAL_FOLDERS["learning"]) -> int:
        """Upload learning notes, to `/APP/DAY/learning`. Returns how many are there now."""
        return self._sync_if_there("learning", learning_dir)

    def upload_configs(self, config_dir: str | Path = LOCAL_FOLDERS["config"], *, allow_secrets: bool = False) -> int:
        """Upload configuration, to `/APP/DAY/config`. Returns how many files are there now.

        Args:
            config_dir: the folder.
            allow_secrets: upload a file although a token or a password was found in it.
        """
        refuses = self._enabled and not (allow_secrets or self._context.allow_secrets)
        return self._sync_if_there("config", config_dir, refuses_secrets=refuses)

    def _sync_if_there(self, kind: str, folder: str | Path, *, refuses_secrets: bool = False) -> int:
        if not self._enabled or not Path(folder).is_dir():
            return 0
        return self._folder_uploads.sync_kind(kind, Path(folder), refuses_secrets=refuses_secrets)

    def upload_data_cache(
        self,
        data_cache_dir: str | Path = LOCAL_FOLDERS["candles"],
        use_dated_folder: bool = False,
        organize_by_symbol: bool = True,
    ) -> int:
        """Upload all candles, each to its one place in `/APP/data/candles`. Returns how many are there now.

        The two flags have no effect: candles are kept for every day, and one file has one place.
        """
        if use_dated_folder or not organize_by_symbol:
            log.debug("data_cache_has_one_place", use_dated_folder=use_dated_folder, organized=organize_by_symbol)
        if not self._enabled:
            return 0
        return self._folder_uploads.sync_directory(
            Path(data_cache_dir), self._context.layout.candles, PATTERNS["candles"], kind="candles"
        )

    def restore_data_cache(
        self,
        data_cache_dir: str | Path = LOCAL_FOLDERS["candles"],
        remote_dir: str | None = None,
        use_latest_dated_folder: bool = False,
    ) -> int:
        """Bring candles from Dropbox into the folder where the loader looks for them, `BTC/BTC-USDT_1d_....parquet`.

        A complete local file that holds more, or that Dropbox does not have yet, stays. What arrives is verified, put
        in place whole, and not sent back by the next pass.

        Args:
            data_cache_dir: the local folder; made when it is missing.
            remote_dir: another remote folder than `/APP/data/candles`, taken literally.
            use_latest_dated_folder: with `remote_dir`: today's folder instead.

        Returns:
            How many files were written. 0 when there are none, or when it could not be asked: `last_error` tells which.
        """
        if not self._enabled:
            return 0
        return self._restores.restore_data_cache(
            Path(data_cache_dir), remote_dir, use_latest_dated_folder=use_latest_dated_folder
        )

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

    # --- what engine, Mechanic and Hamilton share -----------------------------------------------------------------

    def export_coin_results(  # noqa: PLR0913, PLR0917 - the engine's signature
        self,
        symbol: str,
        run_date: date | str,
        model_path: str | Path | None = None,
        metrics_path: str | Path | None = None,
        costs_path: str | Path | None = None,
        features_path: str | Path | None = None,
        candle_data_path: str | Path | None = None,
        additional_files: dict[str, str | Path] | None = None,
        use_organized_structure: bool = True,
    ) -> dict[str, bool]:
        """Upload the results of training one coin, to `/APP/models/training/DAY/SYMBOL/`.

        The model's metadata is written only after the model, so a reader that finds the metadata finds both.

        Returns:
            For every input that was given whether it is in Dropbox; `additional_<label>` for the additional ones.
            What is not there waits in the outbox.
        """
        if self._is_off():
            return {}
        inputs = {
            "model": model_path,
            "metrics": metrics_path,
            "costs": costs_path,
            "features": features_path,
            "candle_data": candle_data_path,
            **{f"additional_{label}": path for label, path in (additional_files or {}).items()},
        }
        return self._artifacts.export_coin_results(symbol, run_date, inputs, organised=use_organized_structure)

    def upload_training_artifact(
        self,
        symbol: str,
        run_date: date | str,
        artifact_path: str | Path,
        artifact_type: str = "model",
        overwrite: bool = True,
        *,
        name: str | None = None,
    ) -> bool:
        """Upload one artifact to `/APP/models/training/DAY/SYMBOL/TYPE/`, under its own name or `name`.

        A file with a random name from tempfile is named after its type instead, and a warning says so.
        """
        return not self._is_off() and self._artifacts.upload_training_artifact(
            symbol, run_date, Path(artifact_path), artifact_type, overwrite=overwrite, name=name
        )

    def upload_candle_data(self, symbol: str, candle_path: str | Path, overwrite: bool = True) -> bool:
        """Upload one candle file to its one place below `/APP/data/candles/`."""
        return not self._is_off() and self._artifacts.upload_candle_data(symbol, Path(candle_path), overwrite=overwrite)

    def export_hamilton_roster(self, roster_path: str | Path, overwrite: bool = True) -> bool:
        """Upload the roster to `/APP/hamilton/roster.json`, its bytes untouched."""
        return not self._is_off() and self._artifacts.export(
            "roster", Path(roster_path), overwrite=overwrite, missing="roster_file_not_found"
        )

    def export_hamilton_champion(self, champion_path: str | Path, overwrite: bool = True) -> bool:
        """Upload the champion pointer to `/APP/hamilton/champion.json`, its bytes untouched."""
        return not self._is_off() and self._artifacts.export(
            "pointer", Path(champion_path), overwrite=overwrite, missing="champion_file_not_found"
        )

    def upload_hamilton_config(self, symbol: str, config_path: str | Path, overwrite: bool = True) -> bool:
        """Upload a coin's trading configuration to `/APP/hamilton/configs/SYMBOL.json`."""
        return not self._is_off() and self._artifacts.export(
            "hamilton-config", Path(config_path), overwrite=overwrite, missing="config_file_not_found", symbol=symbol
        )

    def set_active_model(self, symbol: str, model_id: str, overwrite: bool = True) -> bool:
        """Write which model of a coin is active, to `/APP/hamilton/active/SYMBOL.txt`."""
        return not self._is_off() and self._artifacts.set_active_model(symbol, model_id, overwrite=overwrite)

    def get_active_model(self, symbol: str) -> str | None:
        """Which model of a coin is active; None when none is, or when it could not be asked (`last_error` tells)."""
        return None if self._is_off() else self._artifacts.get_active_model(symbol)

    def list_hamilton_roster(self) -> dict[str, Any] | None:
        """The roster; None when there is none, or when it could not be read (`last_error` tells)."""
        return None if self._is_off() else self._artifacts.list_hamilton_roster()

    def list_champion_models(self) -> list[str]:
        """The symbols that have a champion, sorted: all of them; [] also when it could not be asked."""
        return [] if self._is_off() else self._artifacts.list_champion_models()

    def upload_champion_model(
        self, symbol: str, model_path: str | Path, archive_previous: bool = True, overwrite: bool = True
    ) -> bool:
        """Make a model the champion of its coin: `/APP/models/champions/latest/SYMBOL.bin`.

        The one before it is copied to `archive/DAY/` first (inside Dropbox, under a name of its own when there were
        several that day). If that fails it is not replaced, unless `archive_previous` is False. What is replaced is
        exactly what was archived.
        """
        return not self._is_off() and self._artifacts.upload_champion_model(
            symbol, Path(model_path), archive_previous=archive_previous, overwrite=overwrite
        )
