"""`huracan-sync run`: continuous sync as a process of its own, under a supervisor."""

# ruff: noqa: SLF001 - it drives a DropboxSync from the inside
from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from huracan_sync.disk.lock import hold
from huracan_sync.engine import DropboxSync
from huracan_sync.engine.champion_set import QUIET_S
from huracan_sync.engine.continuous import champions_task, kind_task
from huracan_sync.engine.daemon.scheduler import Clock, Loops, Outcome, Task
from huracan_sync.engine.deliver import deliver
from huracan_sync.engine.error_boundary import is_unfinished, log, said
from huracan_sync.engine.settings import KINDS, Settings
from huracan_sync.engine.status_reporter import StatusReporter
from huracan_sync.errors import HuracanError, Stopped


class RunReport(msgspec.Struct):
    """What `run --once` came to."""

    restored: int = 0
    """Candles that were brought here."""
    kinds: dict[str, Outcome] = {}
    failed: dict[str, HuracanError] = {}
    """Kinds that could not be synced, and why; `restore` and `outbox` may be among them."""
    pending: int = 0
    """Letters that still wait in the outbox."""
    requests: int = 0
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


def run_once(sync: DropboxSync, settings: Settings, stop: threading.Event | None = None) -> RunReport:
    """Restore, then one pass over every kind, then the outbox. One kind that fails stops no other.

    Args:
        sync: the engine's class, made with the same settings.
        settings: what and where.
        stop: set by whoever wants it to end: what is under way comes to its end, nothing more is begun.
    """
    report = RunReport()
    sync._stopping = stop or threading.Event()
    before = sync._remote.wire.meter.read()
    if settings.restore_data_cache_on_startup and settings.interval("data_cache") > 0:
        try:
            restored = sync._restore(Path(settings.folder("data_cache")))
            report.restored = restored.downloaded
            if failed := [f.error for f in restored.failed if not is_unfinished(f.error)]:
                report.failed["restore"] = failed[0]
        except Stopped:
            pass
        except Exception as error:  # noqa: BLE001 - see above
            log.error("data_cache_restore_failed", **said(error))
            report.failed["restore"] = _typed(error)
    for task in _tasks(sync, settings, restored=True):
        if sync._stopping.is_set():
            break
        try:
            report.kinds[task.name] = task.act(because_of_the_disk=False)
        except Stopped:
            break
        except Exception as error:  # noqa: BLE001
            report.failed[task.name] = _typed(error)
            task.failed(report.failed[task.name])
    if not sync._stopping.is_set():
        deliver(sync)
    report.ended_early = sync._stopping.is_set()
    report.pending = len(sync.pending)
    report.requests = (sync._remote.wire.meter.read() - before).requests
    return report


@contextlib.contextmanager
def only_one(sync: DropboxSync) -> Iterator[None]:
    """For a process that runs continuously: no other does on this machine, for the same folder of the same service.

    Raises:
        Busy: another does.
    """
    name = hashlib.sha256(f"{sync._service}{sync._layout.root}".encode()).hexdigest()[:16]
    with hold(sync._home / "locks" / f"run-{name}.lock", what=f"{sync._layout.root} continuously"):
        yield


def _typed(error: Exception) -> HuracanError:
    return error if isinstance(error, HuracanError) else HuracanError(f"{type(error).__name__}: {error}")


def run(
    sync: DropboxSync,
    settings: Settings,
    stop: threading.Event,
    *,
    port: int | None = None,
    say: Callable[[str], None] = lambda _: None,
    clock: Clock | None = None,
) -> bool:
    """Keep everything in Dropbox until `stop` is set; candles are restored before the first of them is pushed.

    Args:
        sync: the engine's class, made with the same settings.
        settings: what, where, how often.
        stop: set by whoever wants it to end (a signal's handler).
        port: serve the page there on 127.0.0.1; 0 takes any free port.
        say: told where the page is, and what is disabled.
        clock: time and chance.

    Returns:
        Whether what was under way came to its end in time.

    Raises:
        ConfigError: `PORT_TAKEN`, another process listens on the port.
    """
    clock = clock or Clock()
    loops = Loops(
        _tasks(sync, settings, restored=False),
        jitter=settings.jitter,
        debounce_s=settings.watch_debounce_seconds,
        watches=settings.watch,
        quick_s=settings.quick_s,
        clock=clock,
        prefix="DropboxSync-",
    )
    reporter = StatusReporter(sync, loops, clock.wall)
    if port is not None:
        say(f"the page is at {reporter.serve(port)}")
    for kind in settings.disabled():
        say(f"{kind} is disabled")
    sync._stopping = stop
    loops.start()
    try:
        reporter.sit(stop)
    finally:
        stop.set()
        ended = loops.stop()
        sync._stopping = threading.Event()
        reporter.close()
    return ended


def _tasks(sync: DropboxSync, settings: Settings, *, restored: bool) -> list[Task]:
    """What is to be done; `restored`: once, and the candles are here already."""
    restore = sync._restored_once(Path(settings.folder("data_cache")))
    wants_restore = settings.restore_data_cache_on_startup and not restored
    kinds = [
        kind_task(sync, settings, kind, before=restore if kind == "data_cache" and wants_restore else Outcome)
        for kind in KINDS
        if settings.interval(kind) > 0
    ]
    return [*kinds, *champions_task(sync, quiet_s=0.0 if restored else QUIET_S)]
