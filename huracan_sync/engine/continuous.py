"""Continuous sync: every kind of data on its own interval, and within seconds of a change where that matters."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

import msgspec

from huracan_sync.engine.artifacts import Organised
from huracan_sync.engine.champion_set import QUIET_S, state
from huracan_sync.engine.daemon.scheduler import Loops, Outcome, Task
from huracan_sync.engine.deliver import deliver
from huracan_sync.engine.error_boundary import Telling, is_unfinished, log, said
from huracan_sync.engine.outbox import QueuedWrite
from huracan_sync.engine.restores import Restores
from huracan_sync.engine.secret_guard import refuse_secrets
from huracan_sync.engine.settings import KINDS, Settings, layout_kind, load, unknown
from huracan_sync.engine.status_reporter import StatusReporter
from huracan_sync.errors import HuracanError, SecretInFile
from huracan_sync.operations.push import PushReport
from huracan_sync.tree.layout import LOCAL_FOLDERS, PATTERNS

WATCHED = ("learning", "models", "data_cache")
"""Kinds whose changes are noticed on the disk. Logs change all the time; their interval is soon enough."""
_GROUPS = {"learning": "Learning", "logs": "Logs", "models": "Models", "data_cache": "DataCache"}
CHAMPIONS_S = 300.0
"""Seconds between looks whether there is anything to state for Hamilton; a look makes no request."""
_WITH_LOGS = ("logs", "monitoring", "reports", "exports")
_SYNCED = {"learning": "learning_data_synced", "logs": "logs_synced", "models": "models_synced"}


class Continuous(Organised, Restores):
    """Continuous sync."""

    _loops: Loops | None = None
    _teller: threading.Thread
    """Tells how the loops stand, until `_left` is set."""
    _left: threading.Event

    def start_continuous_sync(
        self,
        logs_dir: str | Path = LOCAL_FOLDERS["logs"],
        models_dir: str | Path = LOCAL_FOLDERS["models"],
        learning_dir: str | Path = LOCAL_FOLDERS["learning"],
        monitoring_dir: str | Path = LOCAL_FOLDERS["monitoring"],
        data_cache_dir: str | Path = LOCAL_FOLDERS["candles"],
        sync_intervals: dict[str, int] | None = None,
    ) -> list[threading.Thread]:
        """Keep everything in Dropbox from now on; candles are restored before the first of them is pushed.

        A new or changed candle, learning note or model is in Dropbox within seconds; everything else at its interval.

        Args:
            logs_dir: the folders of each kind.
            models_dir: see above.
            learning_dir: see above.
            monitoring_dir: see above.
            data_cache_dir: see above.
            sync_intervals: seconds by `learning`, `logs`, `models`, `data_cache`; 0 or less disables one. Whatever
                is not said here is as the environment says (`DROPBOX__SYNC_INTERVAL_LOGS_SECONDS`, ...), else 300,
                300, 1800, 7200.

        Returns:
            The threads, one for each of the four; none when disabled. `stop()` ends them.
        """
        if not self._enabled:
            log.warning("continuous_sync_disabled")
            return []
        said_here = {
            "logs_dir": str(logs_dir),
            "models_dir": str(models_dir),
            "learning_dir": str(learning_dir),
            "monitoring_dir": str(monitoring_dir),
            "data_cache_dir": str(data_cache_dir),
        }

        def work() -> list[threading.Thread]:
            intervals = {f"sync_interval_{k}_seconds": v for k, v in self._known_intervals(sync_intervals).items()}
            settings = load(arguments={**said_here, **intervals}, environment=os.environ)
            self.stop()
            grouped = _grouped(self, settings)
            return self._start(settings, [*grouped, *champions_task(self)])[: len(grouped)]

        return self._attempt("continuous_sync_failed", [], work)

    def _known_intervals(self, said_here: Mapping[str, float] | None) -> dict[str, float]:
        known = {}
        for name, seconds in (said_here or {}).items():
            if name in KINDS:
                known[name] = seconds
            else:
                self._failed("continuous_sync_unknown_interval", unknown(name, "sync_intervals"), name=name)
        return known

    def _start(self, settings: Settings, tasks: list[Task]) -> list[threading.Thread]:
        self._stopping.clear()
        self._loops = Loops(
            tasks,
            jitter=settings.jitter,
            debounce_s=settings.watch_debounce_seconds,
            watches=settings.watch,
            quick_s=settings.quick_s,
            prefix="DropboxSync-",
        )
        for kind in settings.disabled():
            log.info("continuous_sync_kind_disabled", kind=kind)
        threads = self._loops.start()
        self._left = threading.Event()
        reporter, left = StatusReporter(self, self._loops), self._left

        def sit() -> None:
            reporter.sit(left)
            reporter.close()

        self._teller = threading.Thread(target=sit, daemon=True, name="DropboxSync-Desk")
        self._teller.start()
        intervals = {f"{kind}_interval": settings.interval(kind) for kind in _GROUPS}
        log.info("continuous_sync_threads_started", **intervals, total_threads=len(threads))
        return threads

    def stop(self, timeout_s: float = 30.0) -> bool:
        """End continuous sync: what is under way comes to its end, the next start carries on.

        Returns:
            Whether everything had ended within `timeout_s` seconds.
        """
        loops, self._loops = self._loops, None
        if loops is None:
            return True
        self._stopping.set()
        try:
            return loops.stop(timeout_s)
        finally:
            self._stopping.clear()
            self._left.set()
            self._teller.join(5.0)

    # --- one pass of one kind -------------------------------------------------------------------------------------

    def _pass_of(self, kind: str, folder: Path, *, because_of_the_disk: bool = False) -> Outcome:
        """Push one kind of data. Raises where the methods of the same purpose answer 0."""
        if not folder.is_dir():
            return Outcome()
        name = layout_kind(kind)
        target = self._layout.folder(name, self._today() if self._dated else "")
        refuse = refuse_secrets if kind == "config" and not self._allow_secrets else None

        def queued_write(error: HuracanError) -> QueuedWrite:
            local = str(folder.absolute())
            return self._queued_write(target, error, local=local, patterns=PATTERNS[name], refuses_secrets=bool(refuse))

        telling = TellingOfCandles if kind == "data_cache" and because_of_the_disk else Telling
        passed = self._pass(
            folder, target, PATTERNS[name], queued_write, recursive=True, refuse=refuse, telling=telling
        )
        deliver(self)
        outcome = outcome_of(passed.in_step, passed.report)
        if passed.unsigned is None:
            return outcome
        return msgspec.structs.replace(
            outcome, refused=outcome.refused + 1, error=outcome.error or str(passed.unsigned)
        )

    def _restored_once(self, folder: Path) -> Callable[[], Outcome]:
        """Restores candles when it is called, until all of them are here once."""
        done = False

        def restore() -> Outcome:
            nonlocal done
            if done:
                return Outcome()
            outcome = outcome_of(0, PushReport(failed=self._restore(folder).failed))
            done = not outcome.failed
            return outcome

        return restore


def kind_task(sync: Continuous, settings: Settings, kind: str, *, before: Callable[[], Outcome] = Outcome) -> Task:
    """The task that keeps one kind in Dropbox. `before` is done before each pass; what failed in it counts too."""
    folder, interval, name = Path(settings.folder(kind)), settings.interval(kind), layout_kind(kind)

    def act(*, because_of_the_disk: bool) -> Outcome:
        prepared = before()
        outcome = sync._pass_of(kind, folder, because_of_the_disk=because_of_the_disk)  # noqa: SLF001
        if outcome.files:
            _tell(kind, outcome, interval, because_of_the_disk=because_of_the_disk)
        return msgspec.structs.replace(
            outcome, failed=outcome.failed + prepared.failed, error=outcome.error or prepared.error
        )

    def failed(error: HuracanError) -> None:
        sync._last_error = error  # noqa: SLF001 - a part of DropboxSync
        log.error(f"{kind}_sync_error", **said(error))

    patterns = PATTERNS[name]
    return Task(
        kind,
        interval,
        act,
        folders=(folder,) if kind in WATCHED else (),
        wants=lambda path: any(PurePosixPath(path).match(pattern) for pattern in patterns),
        failed=failed,
    )


def _grouped(sync: Continuous, settings: Settings) -> list[Task]:
    """The four tasks of the engine's own loops: what goes with the logs goes with them."""
    tasks = []
    for kind, name in _GROUPS.items():
        before: Callable[[], Outcome] = Outcome
        if kind == "data_cache" and settings.restore_data_cache_on_startup:
            before = sync._restored_once(Path(settings.folder(kind)))  # noqa: SLF001
        task = kind_task(sync, settings, kind, before=before)
        if kind == "logs":
            task = _logs_task(sync, settings, task)
        if task.interval_s > 0:
            log.info(f"continuous_sync_{kind}_started", interval_seconds=task.interval_s)
            tasks.append(Task(name, task.interval_s, task.act, task.folders, task.wants, task.failed))
    return tasks


def champions_task(sync: Continuous, *, quiet_s: float = QUIET_S) -> list[Task]:
    """The task that states what was put for Hamilton, and renews it; none where this machine has no key."""
    if not sync._signs:  # noqa: SLF001
        return []

    def act(*, because_of_the_disk: bool) -> Outcome:
        del because_of_the_disk
        return state(sync, quiet_s=quiet_s)

    def failed(error: HuracanError) -> None:
        sync._last_error = error  # noqa: SLF001
        log.error("champions_sync_error", **said(error))

    return [Task("champions", CHAMPIONS_S, act, failed=failed)]


def _logs_task(sync: Continuous, settings: Settings, task: Task) -> Task:
    def act(*, because_of_the_disk: bool) -> Outcome:
        del because_of_the_disk
        outcomes: dict[str, Outcome] = {}
        failures: list[HuracanError] = []
        for kind in _WITH_LOGS:
            if settings.interval(kind) <= 0:
                continue
            try:
                outcomes[kind] = sync._pass_of(kind, Path(settings.folder(kind)))  # noqa: SLF001
            except HuracanError as error:
                failures.append(error)
        if any(outcome.files for outcome in outcomes.values()):
            counts = {f"{kind}_synced": outcome.files for kind, outcome in outcomes.items()}
            log.info("logs_synced", **counts, interval_seconds=task.interval_s)
        if failures:
            raise failures[0]
        return _sum(outcomes)

    return Task(task.name, task.interval_s, act, failed=task.failed)


def _sum(outcomes: Mapping[str, Outcome]) -> Outcome:
    every = outcomes.values()
    return Outcome(
        files=sum(o.files for o in every),
        sent=sum(o.sent for o in every),
        bytes_sent=sum(o.bytes_sent for o in every),
        waiting=sum(o.waiting for o in every),
        failed=sum(o.failed for o in every),
        refused=sum(o.refused for o in every),
        error=next((o.error for o in every if o.error), ""),
    )


def outcome_of(in_step: int, report: PushReport) -> Outcome:
    """What a pass came to: a file that is still being written did not fail."""
    finished = [failure.error for failure in report.failed if not is_unfinished(failure.error)]
    refused = [error for error in finished if isinstance(error, SecretInFile)]
    return Outcome(
        in_step,
        report.uploaded,
        report.bytes_sent,
        waiting=len(report.failed) - len(finished),
        failed=len(finished) - len(refused),
        refused=len(refused),
        error=next((str(error) for error in finished if error not in refused), str(refused[0]) if refused else ""),
    )


def _tell(kind: str, outcome: Outcome, interval: float, *, because_of_the_disk: bool) -> None:
    how = {"files_synced": outcome.files, "files_sent": outcome.sent, "interval_seconds": interval}
    if kind != "data_cache":
        log.info(_SYNCED.get(kind, f"{kind}_synced"), **how)
    elif because_of_the_disk:
        if outcome.sent:
            log.info("recent_coin_data_synced", files_synced=outcome.sent, message="new coin data is in Dropbox")
    else:
        log.info("data_cache_synced_full", **how)
        log.info("data_cache_synced", **how)


class TellingOfCandles(Telling):
    """Tells of candles that were noticed on the disk."""

    def finished(self, path: str, size: int) -> None:
        """See `Monitor`."""
        super().finished(path, size)
        where = self._where(path)
        log.info("coin_data_synced_immediately", file=where["local_path"], remote_path=where["remote_path"])

    def failed(self, path: str, error: HuracanError) -> None:
        """See `Monitor`."""
        super().failed(path, error)
        if not is_unfinished(error):
            log.warning("recent_file_sync_failed", file=self._where(path)["local_path"], **said(error))
