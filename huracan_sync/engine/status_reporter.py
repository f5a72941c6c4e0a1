"""Reports the status of continuous sync while the loops do the work: to a file for `status`, and on the page."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from huracan_sync.engine.context import EngineContext
from huracan_sync.engine.daemon.dashboard.samples import SAMPLE_S, Samples
from huracan_sync.engine.daemon.scheduler import Loops
from huracan_sync.engine.daemon.status import State, Status
from huracan_sync.engine.daemon.status_file import read, write

if TYPE_CHECKING:
    from huracan_sync.engine.daemon.dashboard.page import Page

WRITE_S = 30.0
"""A status that has not changed is written again after this, so that others see that the process lives."""

LOOK_S = 600.0
"""What ends, and when, is looked up again after this: a renewal ends the warning."""


class StatusReporter:
    """One for each run of continuous sync."""

    def __init__(self, context: EngineContext, loops: Loops, now: Callable[[], float] = time.time) -> None:
        self._context = context
        self._loops = loops
        self._now = now
        self._started = now()
        self._samples = Samples()
        self._page: Page | None = None
        self._written: tuple[float, list[State]] = (float("-inf"), [])
        self._ends: tuple[float, list[str], float | None] = (float("-inf"), [], None)
        self._remember_successes()

    def _remember_successes(self) -> None:
        """Take over when each kind last succeeded from the process that ran before."""
        before = read(self._context.home)
        if before is None or (before.service, before.app_folder) != (
            self._context.service,
            self._context.layout.app_folder,
        ):
            return
        successes = {kind.name: kind.last_success for kind in before.kinds}
        for loop in self._loops.loops:
            if loop.state.last_success is None:
                loop.state.last_success = successes.get(loop.state.name)

    def serve(self, port: int) -> str:
        """Serve the page on a port of 127.0.0.1 (0: any free one); its address.

        Raises:
            ConfigError: `PORT_TAKEN`, another process listens there.
        """
        from huracan_sync.engine.daemon.dashboard.page import Page  # noqa: PLC0415 - an HTTP server, rarely asked for

        self._page = Page(port, self.status, self._samples, self._now)
        self._page.start()
        return self._page.url

    def status(self) -> Status:
        """The status now."""
        count = self._context.remote.wire.meter.read()
        return Status(
            pid=os.getpid(),
            started=self._started,
            written=self._now(),
            service=self._context.service,
            app_folder=self._context.layout.app_folder,
            kinds=self._loops.states(),
            pending=len(self._context.pending()),
            requests=count.requests,
            token_requests=count.token_requests,
            bytes_sent=count.bytes_sent,
            bytes_received=count.bytes_received,
            page=self._page.url if self._page else "",
            not_watching=self._loops.not_watching,
            endings=self._trust_ends()[1],
            trust_ends=self._trust_ends()[2],
        )

    def _trust_ends(self) -> tuple[float, list[str], float | None]:
        """When that was looked up, what ends soon, and when the first trust file does."""
        now = self._now()
        if not 0 <= now - self._ends[0] < LOOK_S:
            from huracan_sync.signing import expiry  # noqa: PLC0415 - start-up time: cryptography

            home = self._context.home
            self._ends = (now, [each.sentence for each in expiry.endings(home, now)], expiry.next_end(home))
        return self._ends

    def report_until(self, stop: threading.Event) -> None:
        """Take samples and write the status until `stop` is set, then for the last time."""
        self._report()
        while not stop.wait(SAMPLE_S):
            self._report()
        self._report(last=True)

    def close(self) -> None:
        """Write the status for the last time, and serve no more."""
        self._report(last=True)
        if self._page:
            self._page.stop()

    def _report(self, *, last: bool = False) -> None:
        status = self.status()
        self._samples.take(status, status.written)
        written, kinds = self._written
        if last or status.kinds != kinds or status.written - written >= WRITE_S:
            self._written = (status.written, status.kinds)
            write(self._context.home, status)
