"""The listing of a very large folder: the folders in it at once, where one page after the other takes longer.

A page tells what lay there when it was made, so pages of several listings contradict each other where something changes
meanwhile. Therefore a cursor of the whole folder is taken before them, and what changed since that cursor comes after
them. A path that has not changed since then is told the same by every page; of any other the changes have the last
word. They name what was made and deleted again in between too, because Dropbox keeps the last state of every path.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import NamedTuple

import msgspec

from huracan_sync.remote.listing import FEW, Changes, FolderMetadata, Page, changes, latest_cursor, pages, relative
from huracan_sync.remote.parallel import AT_ONCE, Threads
from huracan_sync.remote.read_client import ReadOnly
from huracan_sync.tree.paths import fold

MOST = 2 * AT_ONCE
"""Of more folders each would cost a request, and may be small."""


class _Part(NamedTuple):
    """A folder that is listed with everything below it, and how far that is."""

    folder: str
    cursor: str = ""
    number: int = 1
    """Of the next page."""


def parallel_listing(remote: ReadOnly, folder: str) -> Iterator[Changes] | None:
    """As `listing`, for a folder of more than a few pages; None where it does not lie in a few folders.

    Raises:
        CursorReset: Dropbox forgot a cursor: begin again.
        NotFound: the folder, or one in it, is not there any more.
        UsageError: one of them is a file by now.
    """
    cursor = latest_cursor(remote, folder)
    split = _split(remote, folder)
    return _all_of(remote, folder, cursor, *split) if split else None


def _all_of(remote: ReadOnly, folder: str, cursor: str, read: list[Page], parts: list[_Part]) -> Iterator[Changes]:
    waiting, running = deque(parts), set[Future[tuple[list[Page], list[_Part]]]]()
    with Threads(AT_ONCE, thread_name_prefix="huracan-listing") as threads:
        try:
            while True:
                for page in read:
                    yield msgspec.structs.replace(relative(folder, page), cursor=cursor, has_more=True)
                while waiting and len(running) < AT_ONCE:
                    running.add(threads.submit(_next_page, remote, waiting.popleft()))
                if not running:
                    break
                done, running = wait(running, return_when=FIRST_COMPLETED)
                read = []
                for future in done:
                    more, parts = future.result()
                    read += more
                    waiting += parts
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
    yield from changes(remote, folder, cursor)


def _next_page(remote: ReadOnly, part: _Part) -> tuple[list[Page], list[_Part]]:
    """On a thread: the next page of a folder, and what is to be listed after it."""
    page = next(pages(remote, part.folder, part.cursor, recursive=True))
    if not page.has_more:
        return [page], []
    if part.number == FEW and (split := _split(remote, part.folder)):
        return [page, *split[0]], split[1]
    return [page], [part._replace(cursor=page.cursor, number=part.number + 1)]


def _split(remote: ReadOnly, folder: str) -> tuple[list[Page], list[_Part]] | None:
    """What lies directly in a folder, and the folders in it; None where these are none or many.

    Where it holds one folder, those in that one count.
    """
    read: list[Page] = []
    while True:
        page = next(pages(remote, folder, recursive=False))
        read.append(page)
        found = [item for item in page.entries if isinstance(item, FolderMetadata)]
        inside = [path for item in found if fold(path := item.path_lower or item.path_display) != fold(folder)]
        if page.has_more or not 0 < len(inside) <= MOST:
            return None
        if len(inside) > 1:
            return read, list(map(_Part, inside))
        folder = inside[0]
