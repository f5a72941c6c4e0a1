"""What continuous sync does again and again: one task for each kind of data, and one for what Hamilton reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

import msgspec

from huracan_sync.engine.champion_set import QUIET_S, publish_noted
from huracan_sync.engine.context import EngineContext
from huracan_sync.engine.daemon.scheduler import Outcome, Task
from huracan_sync.engine.event_log import error_fields, log
from huracan_sync.engine.folder_uploads import FolderUploads
from huracan_sync.engine.restores import Restores
from huracan_sync.engine.settings import KINDS, Settings, layout_kind
from huracan_sync.errors import HuracanError
from huracan_sync.tree.layout import PATTERNS

WATCHED = ("learning", "models", "data_cache")
"""Kinds whose changes are noticed on the disk. Logs change all the time; their interval is soon enough."""
LOOPS = {"learning": "Learning", "logs": "Logs", "models": "Models", "data_cache": "DataCache"}
"""The engine's own loops by kind, as their threads are called."""
CHAMPIONS_S = 300.0
"""Seconds between looks whether there is anything to sign for Hamilton; a look makes no request."""
_WITH_LOGS = ("logs", "monitoring", "reports", "exports")
_SYNCED = {"learning": "learning_data_synced", "logs": "logs_synced", "models": "models_synced"}


class Tasks:
    """The tasks over one context with one choice of settings."""

    def __init__(
        self, context: EngineContext, settings: Settings, folder_uploads: FolderUploads, restores: Restores
    ) -> None:
        self._context = context
        self._settings = settings
        self._folder_uploads = folder_uploads
        self._restores = restores

    def by_kind(self, *, restores: bool, quiet_s: float = QUIET_S) -> list[Task]:
        """A task for each kind that is enabled, then the one for Hamilton.

        Args:
            restores: restore candles before the first pass over them, where the settings say so.
            quiet_s: how long nothing must have been put for Hamilton before it is signed.
        """
        return [
            *(self._kind(kind, restores=restores) for kind in KINDS if self._settings.interval(kind) > 0),
            *self.champions(quiet_s=quiet_s),
        ]

    def by_loop(self) -> list[Task]:
        """The four tasks of the engine's own loops: what goes with the logs goes with them."""
        tasks = []
        for kind, name in LOOPS.items():
            task = self._kind(kind, restores=True)
            if kind == "logs":
                task = msgspec.structs.replace(task, run=self._pass_with_logs)
            if task.interval_s > 0:
                log.info(f"continuous_sync_{kind}_started", interval_seconds=task.interval_s)
                tasks.append(msgspec.structs.replace(task, name=name))
        return tasks

    def champions(self, *, quiet_s: float = QUIET_S) -> list[Task]:
        """The task that signs what was put for Hamilton, and renews it; none where this machine has no key."""
        if not self._context.signs:
            return []

        def run(*, because_of_the_disk: bool) -> Outcome:
            del because_of_the_disk
            with self._context.boundary.call():
                return publish_noted(self._context, quiet_s=quiet_s)

        return [Task("champions", CHAMPIONS_S, run, failed=self._failed("champions"))]

    def _kind(self, kind: str, *, restores: bool) -> Task:
        folder, interval = Path(self._settings.folder(kind)), self._settings.interval(kind)
        before: Callable[[], Outcome] = Outcome
        if kind == "data_cache" and restores and self._settings.restore_data_cache_on_startup:
            before = self._restores.until_done(folder)

        def run(*, because_of_the_disk: bool) -> Outcome:
            with self._context.boundary.call():
                prepared = before()
                outcome = self._folder_uploads.pass_over(kind, folder, because_of_the_disk=because_of_the_disk)
            if outcome.files:
                _log(kind, outcome, interval, because_of_the_disk=because_of_the_disk)
            more = tuple(text for text in prepared.refusals if text not in outcome.refusals)  # both look at the disk
            return msgspec.structs.replace(
                outcome,
                failed=outcome.failed + prepared.failed,
                refused=outcome.refused + len(more),
                error=outcome.error or prepared.error,
                refusals=outcome.refusals + more,
            )

        patterns = PATTERNS[layout_kind(kind)]
        return Task(
            kind,
            interval,
            run,
            folders=(folder,) if kind in WATCHED else (),
            wants=lambda path: any(PurePosixPath(path).match(pattern) for pattern in patterns),
            failed=self._failed(kind),
        )

    def _failed(self, kind: str) -> Callable[[HuracanError], None]:
        def failed(error: HuracanError) -> None:
            self._context.boundary.note(error)
            log.error(f"{kind}_sync_error", **error_fields(error))

        return failed

    def _pass_with_logs(self, *, because_of_the_disk: bool) -> Outcome:
        del because_of_the_disk
        outcomes: dict[str, Outcome] = {}
        failures: list[HuracanError] = []
        with self._context.boundary.call():
            for kind in _WITH_LOGS:
                if self._settings.interval(kind) <= 0:
                    continue
                try:
                    outcomes[kind] = self._folder_uploads.pass_over(kind, Path(self._settings.folder(kind)))
                except HuracanError as error:
                    failures.append(error)
            if any(outcome.files for outcome in outcomes.values()):
                counts = {f"{kind}_synced": outcome.files for kind, outcome in outcomes.items()}
                log.info("logs_synced", **counts, interval_seconds=self._settings.interval("logs"))
            if failures:
                raise failures[0]
        return _sum(outcomes)


def missing_folders(settings: Settings) -> dict[str, str]:
    """The folders in the settings that do not exist, by kind. Logged: a wrong one syncs nothing and fails nowhere."""
    missing = {kind: folder for kind, folder in settings.folders().items() if not Path(folder).is_dir()}
    for kind, folder in missing.items():
        log.info("sync_folder_missing", kind=kind, folder=folder, message="nothing of it is synced until it is there")
    return missing


def _sum(outcomes: Mapping[str, Outcome]) -> Outcome:
    every = outcomes.values()
    return Outcome(
        files=sum(o.files for o in every),
        sent=sum(o.sent for o in every),
        bytes_sent=sum(o.bytes_sent for o in every),
        waiting=sum(o.waiting for o in every),
        failed=sum(o.failed for o in every),
        refused=sum(o.refused for o in every),
        error=next((o.error for o in every if o.failed), next((o.error for o in every if o.error), "")),
        refusals=tuple(text for o in every for text in o.refusals),
        left_out=sum(o.left_out for o in every),
        left_out_names=tuple(text for o in every for text in o.left_out_names),
    )


def _log(kind: str, outcome: Outcome, interval: float, *, because_of_the_disk: bool) -> None:
    how = {"files_synced": outcome.files, "files_sent": outcome.sent, "interval_seconds": interval}
    if kind != "data_cache":
        log.info(_SYNCED.get(kind, f"{kind}_synced"), **how)
    elif because_of_the_disk:
        if outcome.sent:
            log.info("recent_coin_data_synced", files_synced=outcome.sent, message="new coin data is in Dropbox")
    else:
        log.info("data_cache_synced_full", **how)
        log.info("data_cache_synced", **how)
