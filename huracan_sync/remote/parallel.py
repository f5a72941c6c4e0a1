"""A few small requests at once, on threads of their own: waiting for the network costs this machine nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

AT_ONCE = 12
"""Requests under way at once."""

P = ParamSpec("P")
T = TypeVar("T")
U = TypeVar("U")


class Threads(ThreadPoolExecutor):
    """Threads; where there can be none, the caller's thread does the work.

    There can be none at the end of the interpreter (atexit handlers, a thread that outlives the main one), where
    engines like to upload their last logs, and where the system has no more.
    """

    _is_over = False

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start work; its future may be done already."""
        once = _Once(partial(work, *args, **kwargs))
        try:
            return super().submit(once)
        except RuntimeError:
            if self._is_over:
                raise
        return _done_here(once)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - as overridden
        """Take no more work."""
        self._is_over = True
        super().shutdown(wait, cancel_futures=cancel_futures)


class _Once:
    """Work that is done once: a pool that could not start a thread keeps it in its queue all the same."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._taken = threading.Lock()

    def __call__(self) -> Any:
        return self._work() if self._taken.acquire(blocking=False) else None


def _done_here(work: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - the caller of the future gets it
        future.set_exception(error)
    return future


def several(work: Callable[[T], U], items: Iterable[T]) -> Iterator[U]:
    """As `map`, on a few threads."""
    with Threads(AT_ONCE, thread_name_prefix="huracan-reader") as pool:
        try:
            yield from pool.map(work, items)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
