"""The only threads for bytes. Workers compute; the caller remembers.

Work runs on the crew's threads; what it returns or raises is handed to a callback in the caller's thread, which alone
touches the journal, the plan and the monitor. `cost` is memory: pieces in flight never hold more than the budget.
"""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self, TypeVar

from huracan_sync.errors import HuracanError

T = TypeVar("T")

WORKERS = 24
BUDGET = 56 * 1024 * 1024
"""Bytes of file content in memory at once."""


class Crew:
    """A pool of threads with a budget, driven by the caller. Use as a context manager."""

    def __init__(self, *, workers: int = WORKERS, budget: int = BUDGET) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="huracan-transfer")
        self._done: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._workers = workers
        self._budget = budget
        self._busy = 0
        self._held = 0
        self.is_ending = False
        """Whether the run ends early: long work stops at the next place where it can be gone on from."""

    def has_room(self, cost: int = 0) -> bool:
        """Whether work that holds `cost` bytes may start now. One piece always may."""
        return self._busy == 0 or (self._busy < 2 * self._workers and self._held + cost <= self._budget)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return self._busy == 0

    def start(
        self,
        work: Callable[[], T],
        then: Callable[[T], None],
        failed: Callable[[HuracanError], None],
        *,
        cost: int = 0,
    ) -> None:
        """Run `work` on a thread; later, in the caller's thread, `then` with its result or `failed` with its error."""
        self._busy += 1
        self._held += cost

        def settle(future: Future[T]) -> None:
            def report() -> None:
                self._busy -= 1
                self._held -= cost
                if future.cancelled():
                    return
                error = future.exception()
                if error is None:
                    then(future.result())
                elif isinstance(error, HuracanError):
                    failed(error)
                else:
                    raise error  # a bug: it ends the run with its traceback

            self._done.put(report)

        self._pool.submit(work).add_done_callback(settle)

    def tell(self, report: Callable[[], None]) -> None:
        """From a worker, before its work ends: have this called in the caller's thread."""
        self._done.put(report)

    def drive(self, feed: Callable[[], bool]) -> None:
        """Call `feed` as long as it starts something, hand over results, until nothing is left.

        `feed` starts as much as there is room for and says whether it started anything. When something ends the run
        early (a signal, a bug), what is under way is finished and handed over, so that the journal knows of it.
        """
        try:
            while True:
                while feed():
                    pass
                if self._busy == 0:
                    return
                self._done.get()()
                while not self._done.empty():  # take all that is there before starting more
                    self._done.get()()
        except BaseException:
            self.is_ending = True
            self._pool.shutdown(wait=True, cancel_futures=True)
            while not self._done.empty():
                with contextlib.suppress(BaseException):  # the first one is on its way already
                    self._done.get()()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
