"""Tells the world how continuous sync stands, while the loops do the work: for `status`, for the page."""

# ruff: noqa: SLF001 - it looks at a DropboxSync from the inside
from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from huracan_sync.engine.daemon import status as standings
from huracan_sync.engine.daemon.dashboard import SAMPLE_S, Page, Samples
from huracan_sync.engine.daemon.scheduler import Loops
from huracan_sync.engine.daemon.status import State, Status
from huracan_sync.engine.state import Instance

WRITE_S = 30.0
"""A standing that has not changed is written again after this, so that others see that somebody lives."""


class StatusReporter:
    """One for each run of continuous sync."""

    def __init__(self, sync: Instance, loops: Loops, now: Callable[[], float] = time.time) -> None:
        self._sync = sync
        self._loops = loops
        self._now = now
        self._started = now()
        self._samples = Samples()
        self._page: Page | None = None
        self._told: tuple[float, list[State]] = (float("-inf"), [])

    def serve(self, port: int) -> str:
        """Serve the page on a port of 127.0.0.1 (0: any free one); its address.

        Raises:
            ConfigError: `PORT_TAKEN`, another process listens there.
        """
        self._page = Page(port, self.standing, self._samples, self._now)
        self._page.start()
        return self._page.url

    def standing(self) -> Status:
        """How everything stands now."""
        count = self._sync._remote.wire.meter.read()
        return Status(
            pid=os.getpid(),
            started=self._started,
            written=self._now(),
            service=self._sync._service,
            app_folder=self._sync._layout.app_folder,
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
        self._tell()
        while not stop.wait(SAMPLE_S):
            self._tell()

    def close(self) -> None:
        """Tell for the last time, and serve no more."""
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
