"""`huracan-sync run`: continuous sync as a process of its own, under a supervisor."""

# ruff: noqa: SLF001 - it drives a DropboxSync from the inside
from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from huracan_sync import standing as standings
from huracan_sync.engine import DropboxSync
from huracan_sync.engine.continuous import kind_task
from huracan_sync.engine.delivery import deliver
from huracan_sync.engine.failing import log, said
from huracan_sync.errors import HuracanError
from huracan_sync.page import SAMPLE_S, Page, Samples
from huracan_sync.settings import KINDS, Settings
from huracan_sync.standing import Standing, State
from huracan_sync.watch import Loops, Outcome, Task

WRITE_S = 30.0
"""A standing that has not changed is written again after this, so that others see that somebody lives."""


class RunReport(msgspec.Struct):
    """What `run --once` came to."""

    restored: int = 0
    """Candles that were brought here."""
    kinds: dict[str, Outcome] = {}
    failed: dict[str, dict[str, Any]] = {}
    """Kinds that could not be synced, and why; `restore` and `outbox` may be among them."""
    pending: int = 0
    """Letters that still wait in the outbox."""
    requests: int = 0

    @property
    def is_good(self) -> bool:
        """Whether everything is in step."""
        return not (self.failed or self.pending or any(outcome.failed for outcome in self.kinds.values()))

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        told: dict[str, Any] = msgspec.to_builtins(self)
        uploaded = sum(outcome.sent for outcome in self.kinds.values())
        return {**told, "uploaded": uploaded, "bytes_sent": sum(outcome.bytes_sent for outcome in self.kinds.values())}


def run_once(sync: DropboxSync, settings: Settings) -> RunReport:
    """Restore, then one pass over every kind, then the outbox. One kind that fails stops no other."""
    report = RunReport()
    before = sync._remote.wire.meter.read()
    if settings.restore_data_cache_on_startup and settings.interval("data_cache") > 0:
        try:
            report.restored = sync._restore(Path(settings.folder("data_cache"))).downloaded
        except Exception as error:  # noqa: BLE001 - see above
            log.error("data_cache_restore_failed", **said(error))
            report.failed["restore"] = _typed(error).as_dict()
    for task in _tasks(sync, settings, restored=True):
        try:
            report.kinds[task.name] = task.act(because_of_the_disk=False)
        except Exception as error:  # noqa: BLE001
            task.failed(_typed(error))
            report.failed[task.name] = _typed(error).as_dict()
    deliver(sync)
    report.pending = len(sync.pending)
    report.requests = (sync._remote.wire.meter.read() - before).requests
    return report


def _typed(error: Exception) -> HuracanError:
    return error if isinstance(error, HuracanError) else HuracanError(f"{type(error).__name__}: {error}")


def run(
    sync: DropboxSync,
    settings: Settings,
    stop: threading.Event,
    *,
    port: int | None = None,
    say: Callable[[str], None] = lambda _: None,
    now: Callable[[], float] = time.time,
) -> bool:
    """Keep everything in Dropbox until `stop` is set; candles are restored before the first of them is pushed.

    Args:
        sync: the engine's class, made with the same settings.
        settings: what, where, how often.
        stop: set by whoever wants it to end (a signal's handler).
        port: serve the page there on 127.0.0.1; 0 takes any free port.
        say: told where the page is, and what is disabled.
        now: the wall clock.

    Returns:
        Whether what was under way came to its end in time.

    Raises:
        PortTaken: another process listens on the port.
    """
    loops = Loops(
        _tasks(sync, settings, restored=False),
        jitter=settings.jitter,
        debounce_s=settings.watch_debounce_seconds,
        watches=settings.watch,
        prefix="DropboxSync-",
    )
    desk = _Desk(sync, settings, loops, now)
    if port is not None:
        say(f"the page is at {desk.serve(port)}")
    for kind in settings.disabled():
        say(f"{kind} is disabled")
    sync._stopping.clear()
    loops.start()
    try:
        desk.sit(stop)
    finally:
        sync._stopping.set()
        ended = loops.stop()
        sync._stopping.clear()
        desk.close()
    return ended


def _tasks(sync: DropboxSync, settings: Settings, *, restored: bool) -> list[Task]:
    restore = sync._restored_once(Path(settings.folder("data_cache")))
    wants_restore = settings.restore_data_cache_on_startup and not restored
    return [
        kind_task(sync, settings, kind, before=restore if kind == "data_cache" and wants_restore else None)
        for kind in KINDS
        if settings.interval(kind) > 0
    ]


class _Desk:
    """Tells the world how it stands, while the loops do the work."""

    def __init__(self, sync: DropboxSync, settings: Settings, loops: Loops, now: Callable[[], float]) -> None:
        self._sync = sync
        self._settings = settings
        self._loops = loops
        self._now = now
        self._started = now()
        self._samples = Samples()
        self._page: Page | None = None
        self._told: tuple[float, list[State]] = (float("-inf"), [])

    def serve(self, port: int) -> str:
        self._page = Page(port, self.standing, self._samples, self._now)
        self._page.start()
        return self._page.url

    def standing(self) -> Standing:
        count = self._sync._remote.wire.meter.read()
        return Standing(
            pid=os.getpid(),
            started=self._started,
            written=self._now(),
            service=self._sync._service,
            app_folder=self._settings.app_folder,
            kinds=self._loops.states(),
            pending=len(self._sync.pending),
            requests=count.requests,
            token_requests=count.token_requests,
            bytes_sent=count.bytes_sent,
            bytes_received=count.bytes_received,
            page=self._page.url if self._page else "",
        )

    def sit(self, stop: threading.Event) -> None:
        """Sample and tell until asked to stop."""
        while not stop.wait(SAMPLE_S):
            self._tell()

    def close(self) -> None:
        self._tell(last=True)
        if self._page:
            self._page.stop()

    def _tell(self, *, last: bool = False) -> None:
        found = self.standing()
        self._samples.take(found, found.written)
        written, kinds = self._told
        if last or found.kinds != kinds or found.written - written >= WRITE_S:
            self._told = (found.written, found.kinds)
            standings.write(self._sync._home, found)
