"""`huracan-sync run`: continuous sync as a process of its own, under a supervisor."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from huracan_sync.disk.lock import hold
from huracan_sync.engine.context import EngineContext
from huracan_sync.engine.continuous import PREFIX
from huracan_sync.engine.daemon.scheduler import Clock, Loops, Outcome
from huracan_sync.engine.deliver import deliver
from huracan_sync.engine.error_boundary import typed
from huracan_sync.engine.event_log import error_fields, log
from huracan_sync.engine.folder_uploads import FolderUploads
from huracan_sync.engine.progress_log import is_unfinished
from huracan_sync.engine.restores import Restores
from huracan_sync.engine.settings import Settings
from huracan_sync.engine.status_reporter import StatusReporter
from huracan_sync.engine.tasks import Tasks, missing_folders
from huracan_sync.errors import ConfigError, HuracanError, Stopped


class RunReport(msgspec.Struct):
    """What `run --once` came to."""

    restored: int = 0
    """Candles that were brought here."""
    kinds: dict[str, Outcome] = {}
    failed: dict[str, HuracanError] = {}
    """Kinds that could not be synced, and why; `restore` and `outbox` may be among them."""
    pending: int = 0
    """What still waits in the outbox."""
    requests: int = 0
    missing_folders: dict[str, str] = {}
    """Folders in the settings that do not exist, by kind."""
    ended_early: bool = False
    """Asked to end before everything was done."""

    @property
    def is_good(self) -> bool:
        """Whether everything is in step."""
        files = any(outcome.failed or outcome.refused for outcome in self.kinds.values())
        return not (self.failed or files or self.pending or self.ended_early)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            **msgspec.structs.asdict(self),
            "kinds": msgspec.to_builtins(self.kinds),
            "failed": {kind: error.as_dict() for kind, error in self.failed.items()},
            "uploaded": sum(outcome.sent for outcome in self.kinds.values()),
            "bytes_sent": sum(outcome.bytes_sent for outcome in self.kinds.values()),
        }


def run_once(context: EngineContext, settings: Settings) -> RunReport:
    """Restore, then one pass over every kind, then the outbox. One kind that fails stops no other.

    Args:
        context: opened with the same settings; its `stop` ends it early.
        settings: what and where.
    """
    report = RunReport()
    before = context.remote.wire.meter.read()
    report.missing_folders = missing_folders(settings)
    with context.boundary.call():
        _restore_and_pass(context, settings, report)
        if not context.stop.is_set():
            deliver(context)
    did_anything = report.restored or any(outcome.files for outcome in report.kinds.values())
    absent = report.missing_folders | _made_by_restoring(settings)
    if len(absent) == len(settings.folders()) and not did_anything and not report.failed:
        message = f"none of the folders exists: {', '.join(absent.values())}"
        report.failed["folders"] = ConfigError(message, hint="run it where the engine runs, or set their names")
    report.ended_early = context.stop.is_set()
    report.pending = len(context.pending())
    report.requests = (context.remote.wire.meter.read() - before).requests
    return report


def _made_by_restoring(settings: Settings) -> dict[str, str]:
    """The folder of candles where it is empty: an earlier run in the wrong place has left it."""
    folder = settings.folders().get("data_cache")
    return {"data_cache": folder} if folder and Path(folder).is_dir() and not any(Path(folder).iterdir()) else {}


def _restore_and_pass(context: EngineContext, settings: Settings, report: RunReport) -> None:
    restores = Restores(context)
    if settings.restore_data_cache_on_startup and settings.interval("data_cache") > 0:
        try:
            restored = restores.restore(Path(settings.folder("data_cache")))
            report.restored = restored.downloaded
            if failed := [f.error for f in restored.failed if not is_unfinished(f.error)]:
                report.failed["restore"] = failed[0]
        except Stopped:
            pass
        except Exception as error:  # noqa: BLE001 - one kind that fails stops no other
            log.error("data_cache_restore_failed", **error_fields(error))
            report.failed["restore"] = typed(error)
    for task in Tasks(context, settings, FolderUploads(context), restores).by_kind(restores=False, quiet_s=0.0):
        if context.stop.is_set():
            return
        try:
            report.kinds[task.name] = task.run(because_of_the_disk=False)
        except Stopped:
            return
        except Exception as error:  # noqa: BLE001 - see above
            report.failed[task.name] = typed(error)
            task.failed(report.failed[task.name])


@contextlib.contextmanager
def only_one(context: EngineContext) -> Iterator[None]:
    """For a process that runs continuously: no other does on this machine, for the same folder of the same service.

    Raises:
        Busy: another does.
    """
    root = context.layout.root
    name = hashlib.sha256(f"{context.service}{root}".encode()).hexdigest()[:16]
    with hold(context.home / "locks" / f"run-{name}.lock", what=f"{root} continuously"):
        yield


def run(
    context: EngineContext,
    settings: Settings,
    *,
    port: int | None = None,
    say: Callable[[str], None] = lambda _: None,
    clock: Clock | None = None,
) -> bool:
    """Keep everything in Dropbox until `context.stop` is set; candles are restored before the first is pushed.

    Args:
        context: opened with the same settings.
        settings: what, where, how often.
        port: serve the page there on 127.0.0.1; 0 takes any free port.
        say: told where the page is, and what is disabled.
        clock: time and chance.

    Returns:
        Whether what was under way came to its end in time.

    Raises:
        ConfigError: `PORT_TAKEN`, another process listens on the port.
    """
    clock = clock or Clock()
    tasks = Tasks(context, settings, FolderUploads(context), Restores(context)).by_kind(restores=True)
    loops = Loops(tasks, watches=settings.watch, quick_s=settings.quick_s, clock=clock, prefix=PREFIX)
    reporter = StatusReporter(context, loops, clock.wall)
    if port is not None:
        say(f"the page is at {reporter.serve(port)}")
    for kind in settings.disabled():
        say(f"{kind} is disabled")
    for kind, folder in missing_folders(settings).items():
        say(f"{kind}: there is no folder {folder} yet")
    loops.start()
    try:
        reporter.report_until(context.stop)
    finally:
        context.stop.set()
        ended = loops.stop()
        reporter.close()
    return ended
