"""What engine, Mechanic and Hamilton leave for each other in fixed places: champions, rosters, results of coins."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date
from pathlib import Path
from typing import Any

import msgspec

from huracan_sync.engine.champion_set import note, state
from huracan_sync.engine.champion_swap import Succession
from huracan_sync.engine.error_boundary import log
from huracan_sync.engine.uploads import Uploads
from huracan_sync.errors import LocalFailure, NoSigningKey, NotFound, Refused
from huracan_sync.remote import files
from huracan_sync.remote.listing import children
from huracan_sync.transfer.compare import hash_of
from huracan_sync.tree.layout import Artifact, candle, day_of
from huracan_sync.tree.paths import RelPath, check
from huracan_sync.tree.symbols import symbol, symbol_spellings

LARGEST_DOCUMENT = 64 * 1024 * 1024
"""Bytes of a roster or a pointer that is read into memory."""
_RANDOM_NAME = re.compile(r"tmp[a-z0-9_]{8}(\..*)?")
"""What Python's tempfile calls its files."""


class Organised(Uploads):
    """Fixed places."""

    # --- a coin's results -----------------------------------------------------------------------------------------

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
        use_organized_structure: bool = True,  # noqa: FBT001, FBT002 - the engine's signature
    ) -> dict[str, bool]:
        """Upload what the training of one coin left, to `/APP/models/training/DAY/SYMBOL/`.

        The model's metadata is written after the model, and only then: whoever finds it finds both.

        Returns:
            For every input that was given whether it is in Dropbox; `additional_<label>` for the additional ones.
            What is not, waits in the outbox.
        """
        if self._is_off():
            return {}
        given = {
            "model": model_path,
            "metrics": metrics_path,
            "costs": costs_path,
            "features": features_path,
            "candle_data": candle_data_path,
            **{f"additional_{label}": path for label, path in (additional_files or {}).items()},
        }

        def work() -> dict[str, bool]:
            day = day_of(run_date)
            kind = "training" if use_organized_structure else "coin"
            results: dict[str, bool] = {}

            def place(rest: str) -> str:
                return self._layout.path(Artifact(kind, rest, day, symbol))

            for label, given_path in given.items():
                if given_path is not None:
                    path = Path(given_path)
                    rest = _place_of_result(label, path, organised=use_organized_structure)
                    results[label] = self._upload_if_there(path, place(rest), label)
            if results.get("model"):
                self._write_model_metadata(symbol, day, place("model" if use_organized_structure else "models"))
            if results.get("candle_data") and use_organized_structure and candle_data_path is not None:
                self.upload_candle_data(symbol, candle_data_path)
            log.info("coin_results_exported", symbol=symbol, run_date=day, files_uploaded=sum(results.values()))
            return results

        return self._attempt("coin_results_export_failed", {}, work, symbol=symbol, run_date=str(run_date))

    def _upload_if_there(self, path: Path, target: str, label: str) -> bool:
        if not path.exists():
            error = LocalFailure(f"there is no file {path}", path=str(path))
            self._missing("file_not_found", error, path=str(path), label=label)
            return False
        return self._upload(path, target)

    def _write_model_metadata(self, symbol: str, day: str, folder: str) -> None:
        moment = self._now().astimezone(UTC).isoformat()
        metadata = {"symbol": symbol, "run_date": day, "model_file": "model.bin", "uploaded_at": moment}
        self._write(f"{folder}/model_metadata.json", msgspec.json.format(msgspec.json.encode(metadata), indent=2))

    def upload_training_artifact(
        self,
        symbol: str,
        run_date: date | str,
        artifact_path: str | Path,
        artifact_type: str = "model",
        overwrite: bool = True,  # noqa: FBT001, FBT002 - the engine's signature
        *,
        name: str | None = None,
    ) -> bool:
        """Upload one artifact to `/APP/models/training/DAY/SYMBOL/TYPE/`, under its own name or `name`.

        A random name that tempfile made says nothing: such a file is called after its type, and a warning says so.
        """
        if self._is_off():
            return False
        path = Path(artifact_path)
        called = name or path.name
        if name is None and _RANDOM_NAME.fullmatch(path.name):
            called = f"{artifact_type}{path.suffix}"
            log.warning("artifact_name_is_random", local_path=str(path), remote_name=called, symbol=symbol)

        def target() -> str:
            rest = f"{check(artifact_type)}/{check(called)}"
            return self._layout.path(Artifact("training", rest, day_of(run_date), symbol))

        return self._upload_to(path, target, overwrite=overwrite, missing="artifact_file_not_found")

    def upload_candle_data(
        self,
        symbol: str,
        candle_path: str | Path,
        overwrite: bool = True,  # noqa: FBT001, FBT002 - the engine's signature
    ) -> bool:
        """Upload one candle file to its one place below `/APP/data/candles/`."""
        if self._is_off():
            return False
        path = Path(candle_path)

        def target() -> str:
            found = candle(path.name)
            folder = canonical(symbol).removesuffix("_PERP")
            return f"{self._layout.candles}/{found.there if found else f'{folder}/{check(path.name)}'}"

        return self._upload_to(path, target, overwrite=overwrite, missing="candle_file_not_found")

    def _upload_to(
        self, path: Path, target: Callable[[], str], *, missing: str, overwrite: bool = True, **where: Any
    ) -> bool:
        """Upload a file to a place that has to be worked out."""
        if not path.exists():
            error = LocalFailure(f"there is no file {path}", path=str(path))
            self._missing(missing, error, path=str(path), **where)
            return False
        place = self._attempt("file_upload_failed", "", target, local_path=str(path), **where)
        return bool(place) and self._upload(path, place, overwrite=overwrite, **where)

    # --- what Hamilton reads --------------------------------------------------------------------------------------

    def export_hamilton_roster(self, roster_path: str | Path, overwrite: bool = True) -> bool:  # noqa: FBT001, FBT002
        """Upload the roster to `/APP/hamilton/roster.json`, its bytes untouched."""
        return not self._is_off() and self._upload_to(
            Path(roster_path),
            lambda: self._layout.path(Artifact("roster")),
            overwrite=overwrite,
            missing="roster_file_not_found",
        )

    def export_hamilton_champion(self, champion_path: str | Path, overwrite: bool = True) -> bool:  # noqa: FBT001, FBT002
        """Upload the champion pointer to `/APP/hamilton/champion.json`, its bytes untouched."""
        return not self._is_off() and self._upload_to(
            Path(champion_path),
            lambda: self._layout.path(Artifact("pointer")),
            overwrite=overwrite,
            missing="champion_file_not_found",
        )

    def upload_hamilton_config(
        self,
        symbol: str,
        config_path: str | Path,
        overwrite: bool = True,  # noqa: FBT001, FBT002
    ) -> bool:
        """Upload a coin's trading configuration to `/APP/hamilton/configs/SYMBOL.json`."""
        return not self._is_off() and self._upload_to(
            Path(config_path),
            lambda: self._layout.path(Artifact("hamilton-config", symbol=symbol)),
            overwrite=overwrite,
            missing="config_file_not_found",
            symbol=symbol,
        )

    def set_active_model(self, symbol: str, model_id: str, overwrite: bool = True) -> bool:  # noqa: FBT001, FBT002
        """Write which model of a coin is active, to `/APP/hamilton/active/SYMBOL.txt`."""
        if self._is_off():
            return False
        place = self._attempt(
            "text_write_failed", "", lambda: self._layout.path(Artifact("active", symbol=symbol)), symbol=symbol
        )
        return bool(place) and self._write(place, model_id.encode(), overwrite=overwrite)

    def get_active_model(self, symbol: str) -> str | None:
        """Which model of a coin is active; None when none is, or when it could not be asked (`last_error` tells)."""
        if self._is_off():
            return None

        def work() -> str | None:
            found = self._first([f"hamilton/active/{key}.txt" for key in symbol_spellings(symbol)])
            return None if found is None else found.decode("utf-8", "replace").strip()

        return self._attempt("active_model_read_failed", None, work, symbol=symbol)

    def list_hamilton_roster(self) -> dict[str, Any] | None:
        """The roster; None when there is none, or when it could not be read (`last_error` tells)."""
        if self._is_off():
            return None

        def work() -> dict[str, Any] | None:
            found = self._first(["hamilton/roster.json"])
            try:
                return None if found is None else msgspec.json.decode(found, type=dict[str, Any])
            except msgspec.DecodeError as error:
                raise Refused(f"the roster in Dropbox is no JSON object: {error}") from error

        return self._attempt("roster_read_failed", None, work)

    def list_champion_models(self) -> list[str]:
        """The symbols that have a champion, sorted: all of them; [] also when it could not be asked."""
        if self._is_off():
            return []

        def work() -> list[str]:
            try:
                found = children(self._remote, f"{self._layout.root}/models/champions/latest")
            except NotFound:
                return []
            return sorted({re.sub(r"\.(bin|pkl)$", "", entry.name) for entry in found})

        return self._attempt("list_files_failed", [], work, path="models/champions/latest")

    def _first(self, places: list[str]) -> bytes | None:
        """The content of the first of these places below the app folder where anything lies."""
        for place in places:
            try:
                return files.fetch(self._remote, f"{self._layout.root}/{place}", limit=LARGEST_DOCUMENT)[1]
            except NotFound:
                continue
        return None

    # --- champions ------------------------------------------------------------------------------------------------

    def upload_champion_model(
        self,
        symbol: str,
        model_path: str | Path,
        archive_previous: bool = True,  # noqa: FBT001, FBT002 - the engine's signature
        overwrite: bool = True,  # noqa: FBT001, FBT002
    ) -> bool:
        """Make a model the champion of its coin: `/APP/models/champions/latest/SYMBOL.bin`.

        The one before it is copied to `archive/DAY/` first (inside Dropbox, under a name of its own when there were
        several that day). If that fails it is not replaced, unless `archive_previous` is False. What is replaced is
        exactly what was archived.
        """
        if self._is_off():
            return False
        path = Path(model_path)
        if not path.exists():
            error = LocalFailure(f"there is no file {path}", path=str(path))
            self._missing("model_file_not_found", error, path=str(path), symbol=symbol)
            return False
        place = lambda: self._layout.path(Artifact("champion", symbol=symbol))  # noqa: E731 - one expression
        target = self._attempt("file_upload_failed", "", place, symbol=symbol, local_path=str(path))
        if not target:
            return False
        where = {"local_path": str(path), "remote_path": target, "symbol": symbol}

        put = self._or_later(
            "file_upload_failed",
            lambda: Succession(self._remote, self._layout, symbol, self._today()).succeed(
                _hash_of(path),
                lambda **how: self._sender.put_file(path, target, **how),
                archive=archive_previous,
                overwrite=overwrite,
            ),
            lambda error: self._keep(
                path, target, error, overwrite=overwrite, champion=symbol if archive_previous else ""
            ),
            target,
            **where,
        )
        if put is None:
            return False
        self._tell_of(put, target, local_path=str(path))
        log.info("champion_uploaded", symbol=symbol, remote_path=target)
        note(self, put, target, path)
        return True

    def publish_champions(self) -> bool:
        """State in the signed list what was put for Hamilton since the last time: champions, configs, roster, pointers.

        He sees all of it or none. It happens by itself after `export_hamilton_roster` and `export_hamilton_champion`,
        and in continuous sync; needs a signing key on this machine (`huracan-sync keys init`).

        Returns:
            Whether the signed list says all of it now.
        """
        if self._is_off():
            return False

        def work() -> bool:
            if not self._signs:
                raise NoSigningKey("nothing on this machine can sign")
            return state(self).waiting == 0

        return self._attempt("champions_not_signed", False, work)


def canonical(text: str) -> str:
    """The canonical spelling of a symbol (a method's argument hides the function of that name)."""
    return symbol(text)


def _hash_of(path: Path) -> bytes:
    path = path.resolve()
    return hash_of(path.parent, RelPath(path.name))


def _place_of_result(label: str, path: Path, *, organised: bool) -> str:
    """Where one of a coin's results lies below its folder."""
    fixed = {
        "model": "model/model.bin" if organised else "models/model.bin",
        "metrics": "metrics/training_metrics.json",
        "costs": "metrics/costs.json",
        "features": "features/features.json" if organised else "data/features.json",
        "candle_data": f"data/{path.name}",
    }
    return fixed.get(label) or f"results/{check(label.removeprefix('additional_'))}{path.suffix or '.bin'}"
