"""An executor's workers, each with a part of the login: any object with `submit` or `map` carries a share of the work.

Threads, processes, loky, Dask's `get_executor()`, MPI (`submit`); pools of multiprocessing and Ray (`map`). What
travels is small: a grant, paths and digests, never the login. A worker that dies loses its share; the driver says so
for each of its files, and the next run does them again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

from huracan_sync.errors import HuracanError, TryLater, UsageError
from huracan_sync.remote.client import Remote
from huracan_sync.remote.forked import renewed_in_child
from huracan_sync.remote.grant import Grant

T = TypeVar("T")
U = TypeVar("U")
SHARES_EACH = 4
"""How many shares each worker gets: with one only, the slowest would decide."""
LEAST, MOST = 16 * 1024 * 1024, 256 * 1024 * 1024
"""Bytes in a share, unless one file is larger."""
MOST_FILES = 1000
LEFT = 0.25
"""The part of its life that a grant must have before it, to be handed out."""


class Submits(Protocol):
    """As `concurrent.futures.Executor`."""

    def submit(self, work: Callable[..., Any], /, *args: Any) -> Any:
        """Start it; the answer has `result()`."""


class Maps(Protocol):
    """As `multiprocessing.Pool`."""

    def map(self, work: Callable[..., Any], items: Any, /) -> Iterable[Any]:
        """What it returns for each item."""


class Workers:
    """The workers of an executor. Any thread."""

    def __init__(
        self, executor: Submits | Maps, remote: Remote, scopes: tuple[str, ...], clock: Callable[[], float]
    ) -> None:
        """Nothing is lent before it is needed.

        Args:
            executor: any object with `submit` or `map`.
            remote: the driver's login.
            scopes: what a worker needs.
            clock: seconds since 1970.

        Raises:
            UsageError: it is no executor.
        """
        if not (hasattr(executor, "submit") or hasattr(executor, "map")):
            raise UsageError(
                f"a {type(executor).__name__} has neither `submit` nor `map`", hint="pass a pool or an executor"
            )
        self._executor: Any = executor
        self._remote = remote
        self._scopes = scopes
        self._clock = clock
        self._lock = threading.Lock()  # guards the grant
        self._grant: Grant | None = None
        self._lent_s = 0.0
        self.count = _count(executor)
        renewed_in_child(self)

    def renew_in_child(self) -> None:
        """See `forked`: workers may be forked while a grant is lent."""
        self._lock = threading.Lock()

    def grant(self) -> Grant:
        """A grant that will last a while. Raises as `Remote.lend`."""
        with self._lock:
            now, grant = self._clock(), self._grant
            if grant is None or grant.expires_s - now < LEFT * (grant.expires_s - self._lent_s):
                grant = self._remote.lend(self._scopes, share=1.0 / self.count, clock=self._clock)
                self._grant, self._lent_s = grant, now
            return grant

    def run(self, work: Callable[[T], U], task: T) -> U:
        """Have one worker do it, and wait.

        Raises:
            HuracanError: what it raised there.
            TryLater: it ended, or the task could not be sent.
        """
        try:
            if hasattr(self._executor, "submit"):
                result: U = self._executor.submit(work, task).result()
                return result
            (result,) = self._executor.map(work, [task])
        except HuracanError:
            raise
        except Exception as error:
            hint = "run it again: what the worker had is done again"
            raise TryLater(f"a worker ended: {type(error).__name__}: {error}", hint=hint) from error
        return result

    def bytes_in_a_share(self, total: int) -> int:
        """How many bytes a share has, of so many."""
        return min(MOST, max(LEAST, total // (self.count * SHARES_EACH)))


def _count(executor: Any) -> int:
    known = getattr(executor, "_max_workers", None) or getattr(executor, "_processes", None)
    return max(1, known if isinstance(known, int) else os.cpu_count() or 1)


def in_shares(items: Iterable[T], size_of: Callable[[T], int], most_bytes: int) -> list[list[T]]:
    """Items one after another, in shares of so many bytes and at most a thousand."""
    shares: list[list[T]] = []
    held = 0
    for item in items:
        size = size_of(item)
        if not shares or held + size > most_bytes or len(shares[-1]) == MOST_FILES:
            shares.append([])
            held = 0
        shares[-1].append(item)
        held += size
    return shares
