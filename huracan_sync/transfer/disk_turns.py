"""Many small files are read or placed by one worker at a time, unless a file takes long.

A small file takes some ten short system calls. Several threads that make nothing but such calls take the interpreter's
lock from each other: 1,000 files placed by eight threads took 0.5 s of CPU, by one 0.25 s. Where a file takes longer (a
sync that reaches a disk, a network, much to hash) the threads work beside each other, and all of them are of use.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from huracan_sync.remote.forked import renewed_in_child

LONG_S = 0.0003
"""A file that takes so long has more use for threads than harm from them; 0.05 to 0.2 ms where the disk is memory."""
ONCE_S = 0.005
"""What a turn may take beside its files: modules that are loaded, a processor that is busy."""


class DiskTurns:
    """Who may work on the disk. Shared by the workers of one run."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: monotonic seconds."""
        self._clock = clock
        self._lock = threading.Lock()  # held by whoever has the turn
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
