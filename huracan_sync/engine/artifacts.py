"""What engine, Mechanic and Hamilton leave for each other in fixed places: champions, rosters, results of coins."""

from __future__ import annotations

import re
from datetime import UTC, date
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from huracan_sync.engine.champion_set import note_put, publish_noted
from huracan_sync.engine.champion_swap import ChampionSwap
from huracan_sync.engine.context import EngineContext
from huracan_sync.engine.error_boundary import no_file
from huracan_sync.engine.event_log import log
from huracan_sync.engine.put import Put
from huracan_sync.engine.uploads import Uploads
from huracan_sync.errors import Conflict, NoSigningKey, NotFound, Refused
from huracan_sync.remote import files
from huracan_sync.remote.stat import children
from huracan_sync.transfer.compare import hash_of
from huracan_sync.tree.layout import Artifact, candle, day_of
from huracan_sync.tree.paths import RelPath, check, fold
from huracan_sync.tree.symbols import symbol as canonical
from huracan_sync.tree.symbols import symbol_spellings

LARGEST_DOCUMENT = 64 * 1024 * 1024
"""Bytes of a roster or a pointer that is read into memory."""
_RANDOM_NAME = re.compile(r"tmp[a-z0-9_]{8}(\..*)?")
"""What Python's tempfile calls its files."""


class Artifacts:
    """Uploads to fixed places, and reads from them."""

    def __init__(self, context: EngineContext, uploads: Uploads) -> None:
        self._context = context
        self._uploads = uploads

    # --- a coin's results -----------------------------------------------------------------------------------------

    def export_coin_results(
        self, symbol: str, run_date: date | str, inputs: dict[str, str | Path | None], *, organised: bool
    ) -> dict[str, bool]:
        """See `DropboxSync.export_coin_results`; `inputs` by label, in the order of the answer."""

        def work() -> dict[str, bool]:
            day = day_of(run_date)
            kind = "training" if organised else "coin"
            results: dict[str, bool] = {}

            def place(rest: str) -> str:
                return self._context.layout.path(Artifact(kind, rest, day, symbol))

            place("results")  # a symbol or day that is none is wrong for all of them
            taken: set[str] = set()

            def target(label: str, path: Path) -> str:
                found = place(_place_of_result(label, path, organised=organised))
                if fold(found) in taken:
                    hint = "give one of them another label: spaces and slashes become underscores"
                    raise Conflict(f"another result of this call lies at {found} already", hint=hint, path=found)
                taken.add(fold(found))
                return found

            for label, given in inputs.items():
                if given is not None:
                    where = partial(target, label, Path(given))
                    results[label] = self._uploads.upload_to(Path(given), where, missing="file_not_found", label=label)
            if results.get("model"):
                self._write_model_metadata(symbol, day, place("model" if organised else "models"))
            candles = inputs.get("candle_data")
            if results.get("candle_data") and organised and candles is not None:
                self.upload_candle_data(symbol, Path(candles), overwrite=True)
            log.info("coin_results_exported", symbol=symbol, run_date=day, files_uploaded=sum(results.values()))
            return results

        where = {"symbol": symbol, "run_date": str(run_date)}
        return self._context.boundary.attempt("coin_results_export_failed", {}, work, **where)

    def _write_model_metadata(self, symbol: str, day: str, folder: str) -> None:
        moment = self._context.now().astimezone(UTC).isoformat()
        metadata = {"symbol": symbol, "run_date": day, "model_file": "model.bin", "uploaded_at": moment}
        content = msgspec.json.format(msgspec.json.encode(metadata), indent=2)
        self._uploads.write(f"{folder}/model_metadata.json", content)

    def upload_training_artifact(
        self, symbol: str, run_date: date | str, path: Path, artifact_type: str, *, overwrite: bool, name: str | None
    ) -> bool:
        """See `DropboxSync.upload_training_artifact`."""
        called = name or path.name
        if name is None and _RANDOM_NAME.fullmatch(path.name):
            called = f"{artifact_type}{path.suffix}"
            log.warning("artifact_name_is_random", local_path=str(path), remote_name=called, symbol=symbol)

        def target() -> str:
            rest = f"{check(artifact_type)}/{check(called)}"
            return self._context.layout.path(Artifact("training", rest, day_of(run_date), symbol))

        return self._uploads.upload_to(path, target, overwrite=overwrite, missing="artifact_file_not_found")

    def upload_candle_data(self, symbol: str, path: Path, *, overwrite: bool) -> bool:
        """See `DropboxSync.upload_candle_data`."""

        def target() -> str:
            found = candle(path.name)
            folder = canonical(symbol).removesuffix("_PERP")
            return f"{self._context.layout.candles}/{found.there if found else f'{folder}/{check(path.name)}'}"

        return self._uploads.upload_to(path, target, overwrite=overwrite, missing="candle_file_not_found")

    # --- what Hamilton reads --------------------------------------------------------------------------------------

    def export(self, kind: str, path: Path, *, overwrite: bool, missing: str, symbol: str = "") -> bool:
        """Upload a file to the one place of its kind (and symbol), its bytes untouched."""
        where = {"symbol": symbol} if symbol else {}

        def target() -> str:
            return self._context.layout.path(Artifact(kind, symbol=symbol))

        return self._uploads.upload_to(path, target, overwrite=overwrite, missing=missing, **where)

    def set_active_model(self, symbol: str, model_id: str, *, overwrite: bool) -> bool:
        """See `DropboxSync.set_active_model`."""

        def target() -> str:
            return self._context.layout.path(Artifact("active", symbol=symbol))

        return self._uploads.write_to(target, model_id, overwrite=overwrite, symbol=symbol)

    def get_active_model(self, symbol: str) -> str | None:
        """See `DropboxSync.get_active_model`."""

        def work() -> str | None:
            found = self._first([f"hamilton/active/{key}.txt" for key in symbol_spellings(symbol)])
            return None if found is None else found.decode("utf-8", "replace").strip()

        return self._context.boundary.attempt("active_model_read_failed", None, work, symbol=symbol)

    def list_hamilton_roster(self) -> dict[str, Any] | None:
        """See `DropboxSync.list_hamilton_roster`."""

        def work() -> dict[str, Any] | None:
            found = self._first(["hamilton/roster.json"])
            try:
                return None if found is None else msgspec.json.decode(found, type=dict[str, Any])
            except msgspec.DecodeError as error:
                hint = "write it again with export_hamilton_roster"
                raise Refused(f"the roster in Dropbox is no JSON object: {error}", hint=hint) from error

        return self._context.boundary.attempt("roster_read_failed", None, work)

    def list_champion_models(self) -> list[str]:
        """See `DropboxSync.list_champion_models`."""
        place = "models/champions/latest"

        def work() -> list[str]:
            try:
                found = children(self._context.remote, f"{self._context.layout.root}/{place}")
            except NotFound:
                return []
            return sorted({re.sub(r"\.(bin|pkl)$", "", entry.name) for entry in found})

        return self._context.boundary.attempt("list_files_failed", [], work, path=place)

    def _first(self, places: list[str]) -> bytes | None:
        """The content of the first of these places below the app folder where anything lies."""
        context = self._context
        for place in places:
            try:
                return files.fetch(context.remote, f"{context.layout.root}/{place}", limit=LARGEST_DOCUMENT)[1]
            except NotFound:
                continue
        return None

    # --- champions ------------------------------------------------------------------------------------------------

    def upload_champion_model(self, symbol: str, path: Path, *, archive_previous: bool, overwrite: bool) -> bool:
        """See `DropboxSync.upload_champion_model`."""
        context, uploads = self._context, self._uploads
        if not path.exists():
            context.boundary.missing("model_file_not_found", no_file(path), path=str(path), symbol=symbol)
            return False

        def place() -> str:
            return context.layout.path(Artifact("champion", symbol=symbol))

        target = context.boundary.attempt("file_upload_failed", "", place, symbol=symbol, local_path=str(path))
        if not target:
            return False
        put = uploads.put_or_keep(
            "file_upload_failed",
            lambda: self._swap(symbol, path, target, archive=archive_previous, overwrite=overwrite),
            lambda error: uploads.keep(
                path, target, error, overwrite=overwrite, champion=symbol if archive_previous else ""
            ),
            target,
            local_path=str(path),
            remote_path=target,
            symbol=symbol,
        )
        if put is None:
            return False
        uploads.log_put(put, target, local_path=str(path))
        log.info("champion_uploaded", symbol=symbol, remote_path=target)
        note_put(context, put, target, path)
        return True

    def _swap(self, symbol: str, path: Path, target: str, *, archive: bool, overwrite: bool) -> Put:
        context = self._context
        return ChampionSwap(context.remote, context.layout, symbol, context.today).replace(
            _hash_of(path),
            lambda **how: context.sender.put_file(path, target, **how),
            archive=archive,
            overwrite=overwrite,
        )

    def publish_champions(self) -> bool:
        """See `DropboxSync.publish_champions`."""

        def work() -> bool:
            if not self._context.signs:
                raise NoSigningKey("nothing on this machine can sign")
            return publish_noted(self._context).waiting == 0

        return self._context.boundary.attempt("champions_not_signed", False, work)


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
    name = re.sub(r"[ /]", "_", label.removeprefix("additional_"))
    return fixed.get(label) or f"results/{check(name)}{path.suffix or '.bin'}"
