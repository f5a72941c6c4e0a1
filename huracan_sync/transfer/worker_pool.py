"""The only threads for bytes. Workers compute; the caller remembers.

Work runs on the pool's threads; what it returns or raises is handed to a callback in the caller's thread, which alone
touches the journal, the plan and the monitor. `cost` is memory: pieces in flight never hold more than the budget.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from typing import Self, TypeVar

from huracan_sync.errors import HuracanError
from huracan_sync.remote.forked import renewed_in_child
from huracan_sync.remote.parallel import Threads

T = TypeVar("T")

WORKERS = 24
BUDGET = 56 * 1024 * 1024
"""Bytes of file content in memory at once."""
LONG_S = 0.0003
"""A file that takes so long has more use for threads than harm from them; 0.05 to 0.2 ms where the disk is memory."""
ONCE_S = 0.005
"""What a turn may take beside its files: modules that are loaded, a processor that is busy."""
GRACE_S = 3.0
"""When a run ends early, what is under way has so many seconds to come to its end; then it is cut short."""


class Background(Threads):
    """Threads that may outlive the call that made them, and so a fork."""

    def __init__(self, workers: int, thread_name_prefix: str) -> None:
        super().__init__(workers, thread_name_prefix)
        self._made_with = workers, thread_name_prefix
        renewed_in_child(self)

    def renew_in_child(self) -> None:
        """See `forked`: the threads, and what waits for them, are the parent's."""
        if not self._is_over:
            super().__init__(*self._made_with)


def background(workers: int = WORKERS, name: str = "huracan-background") -> Threads:
    """Threads for bytes beside a caller who goes on with other things meanwhile (a file that is read ahead)."""
    return Background(workers, name)


class DiskTurns:
    """Many small files are read or placed by one worker at a time, unless a file takes long. Shared by a run's workers.

    A small file takes some ten short system calls. Several threads that make nothing but such calls take the
    interpreter's lock from each other: 1,000 files placed by eight threads took 0.5 s of CPU, by one 0.25 s. Where a
    file takes longer (a sync that reaches a disk, a network, much to hash) the threads work beside each other, and all
    of them are of use.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: monotonic seconds."""
        self._clock = clock
        self._lock = threading.Lock()  # held by the worker that has the turn
        self.are_over = False
        """Whether files take long here, so that nobody waits for a turn any more."""
        renewed_in_child(self)

    def renew_in_child(self) -> None:
        """See `forked`: the turn is the parent's."""
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def turn(self, files: int) -> Iterator[None]:
        """Wait for the turn, if there are turns, and have it within the block, for so many files."""
        with contextlib.ExitStack() as held:
            if not self.are_over:
                held.enter_context(self._lock)
            if self.are_over:  # since we began to wait
                held.close()
            began = self._clock()
            yield
            if self._clock() - began >= ONCE_S + LONG_S * files:
                self.are_over = True


class WorkerPool:
    """A pool of threads with a budget, driven by the caller. Use as a context manager."""

    def __init__(
        self,
        cut_short: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
        *,
        threads: Executor | None = None,
        workers: int = WORKERS,
        budget: int = BUDGET,
        grace_s: float = GRACE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make a pool.

        Args:
            cut_short: within its block, whatever the workers wait for ends at once, with an error.
            threads: whose they are, where others share them: then it is not used as a context manager.
            workers: how many threads.
            budget: bytes in memory at once.
            grace_s: seconds that work under way has when the run ends early.
            clock: monotonic seconds.
        """
        self._cut_short = cut_short
        self._grace_s = grace_s
        self._clock = clock
        self._pool = threads or background(workers, "huracan-transfer")
        self._done: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._workers = workers
        self._budget = budget
        self._busy = 0
        self._held = 0
        self.disk = DiskTurns()
        """Whose turn it is to read or place many small files."""
        self.taken = 0
        """Bytes of the budget that something else of the run takes for itself."""
        self.is_ending = False
        """Whether the run ends early: long work stops at the next place where it can be gone on from."""

    def has_room(self, cost: int = 0) -> bool:
        """Whether work that holds `cost` bytes may start now. One piece always may."""
        return self._busy == 0 or (self._busy < 2 * self._workers and self._held + self.taken + cost <= self._budget)

    @property
    def room(self) -> int:
        """Bytes that may be in memory at once."""
        return self._budget - self.taken

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

    def resume(self) -> None:
        """Hand over one result; waits until there is one."""
        self._done.get()()

    def drive(self, feed: Callable[[], bool]) -> None:
        """Call `feed` as long as it starts something, hand over results, until nothing is left.

        `feed` starts as much as there is room for and says whether it started anything. When something ends the run
        early (a signal, a bug), what comes to its end within the grace is handed over, so that the journal knows of it.
        """
        try:
            while True:
                while feed():
                    pass
                if self._busy == 0:
                    return
                self.resume()
                while not self._done.empty():  # take all that is there before starting more
                    self._done.get()()
        except BaseException:
            self.is_ending = True
            self._end()
            raise

    def _end(self) -> None:
        """Hand over what still comes. Nobody waits long: not for a pause the server asked for, nor for a slow link."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        until = self._clock() + self._grace_s
        with contextlib.suppress(queue.Empty):
            while self._busy:
                self._hand_over(max(0.0, until - self._clock()))
        # Not until all have reported: the signal may have come between two lines of ours, where one is counted that
        # never reports. The pool knows which threads there are.
        with self._cut_short() if self._busy else contextlib.nullcontext():
            self._pool.shutdown(wait=True)
        with contextlib.suppress(queue.Empty):
            while True:
                self._hand_over(0.0)

    def _hand_over(self, timeout: float) -> None:
        report = self._done.get(timeout=timeout)
        with contextlib.suppress(BaseException):  # the first one is on its way already
            report()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._cut_short() if self._busy else contextlib.nullcontext():  # a second signal, while ending
            self._pool.shutdown(wait=True, cancel_futures=True)
