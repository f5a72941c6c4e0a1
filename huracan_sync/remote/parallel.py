"""A few small requests at once, on threads of their own: waiting for the network costs this machine nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

AT_ONCE = 12
"""Requests under way at once."""

T = TypeVar("T")
U = TypeVar("U")


def several(work: Callable[[T], U], items: Iterable[T]) -> Iterator[U]:
    """As `map`, on a few threads."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="huracan-reader") as pool:
        try:
            yield from pool.map(work, items)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
