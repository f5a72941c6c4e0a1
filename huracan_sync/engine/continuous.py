"""Continuous sync inside the engine's own process, on threads of its own."""

from __future__ import annotations

import threading

from huracan_sync.engine.context import EngineContext
from huracan_sync.engine.daemon.scheduler import Loops
from huracan_sync.engine.daemon.status import State
from huracan_sync.engine.event_log import log
from huracan_sync.engine.folder_uploads import FolderUploads
from huracan_sync.engine.restores import Restores
from huracan_sync.engine.settings import Settings
from huracan_sync.engine.status_reporter import StatusReporter
from huracan_sync.engine.tasks import LOOPS, Tasks, missing_folders
from huracan_sync.remote.forked import renewed_in_child

PREFIX = "DropboxSync-"
"""Begins the names of the threads."""


class ContinuousSync:
    """Starts the loops, and stops them."""

    def __init__(self, context: EngineContext, folder_uploads: FolderUploads, restores: Restores) -> None:
        self._context = context
        self._folder_uploads = folder_uploads
        self._restores = restores
        self._loops: Loops | None = None
        self._ended = threading.Event()
        self._reporting: threading.Thread | None = None
        renewed_in_child(self)

    def renew_in_child(self) -> None:
        """See `forked`: the loops run in the parent."""
        self._loops, self._ended, self._reporting = None, threading.Event(), None

    def start(self, settings: Settings) -> list[threading.Thread]:
        """Start the loops, after those that run already have ended; the threads of the engine's own four."""
        self.stop()
        tasks = Tasks(self._context, settings, self._folder_uploads, self._restores)
        by_loop = tasks.by_loop()
        self._context.stop.clear()
        self._loops = loops = Loops(
            [*by_loop, *tasks.champions()], watches=settings.watch, quick_s=settings.quick_s, prefix=PREFIX
        )
        missing_folders(settings)
        for kind in settings.disabled():
            log.info("continuous_sync_kind_disabled", kind=kind)
        threads = loops.start()[: len(by_loop)]
        self._ended = ended = threading.Event()
        reporter = StatusReporter(self._context, loops)
        self._reporting = threading.Thread(
            target=reporter.report_until, args=(ended,), daemon=True, name=f"{PREFIX}Status"
        )
        self._reporting.start()
        intervals = {f"{kind}_interval": settings.interval(kind) for kind in LOOPS}
        log.info("continuous_sync_threads_started", **intervals, total_threads=len(threads))
        return threads

    def states(self) -> list[State]:
        """How each loop is; nothing when none runs."""
        return self._loops.states() if self._loops else []

    def stop(self, timeout_s: float = 30.0) -> bool:
        """End the loops; whether everything had ended within `timeout_s` seconds."""
        loops, self._loops = self._loops, None
        if loops is None:
            return True
        self._context.stop.set()
        try:
            return loops.stop(timeout_s)
        finally:
            self._context.stop.clear()
            self._ended.set()
            if self._reporting is not None:
                self._reporting.join(5.0)
