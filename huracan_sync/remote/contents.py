"""What lies below a folder: the pages of its listing put together, though the folder may change while it is listed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Generic, TypeVar

from huracan_sync.errors import NotFound, UsageError
from huracan_sync.remote.listing import FEW, Changes, Void, begun_again, listing
from huracan_sync.remote.read_client import ReadOnly
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import fold, folders_of

V = TypeVar("V")


class Contents(Generic[V]):
    """What lies below a folder, put together from the pages of its listing."""

    def __init__(self, keep: Callable[[Entry], V]) -> None:
        """Begin with nothing; `keep` says what to remember of a file."""
        self.files: dict[str, V] = {}
        """By `fold(path)`."""
        self.refused: dict[str, str] = {}
        """Paths of files under names no tree may hold, by `fold(path)`."""
        self.cursor = ""
        self._keep = keep
        self._folders: set[str] = set()

    def add(self, page: Changes) -> None:
        """Take in the next page."""
        self.cursor = page.cursor
        if self.files or self.refused:
            for known in (self.files, self.refused):
                for key in taken_back(page, known.keys(), self._folders):
                    del known[key]
        files = {fold(entry.path): entry for entry in page.files}
        refused = {fold(path): path for path in page.refused}
        self._folders |= folders_of([*files, *refused])
        self.files |= {key: self._keep(entry) for key, entry in files.items()}
        self.refused |= refused


def taken_back(page: Changes, known: AbstractSet[str], folders: AbstractSet[str]) -> list[str]:
    """Which of the known files are gone by what a page says. All are given by `fold(path)`.

    Gone is what was deleted itself or with a folder above it, what a folder has taken the place of, and what lay below
    a folder that a file has taken the place of.

    Args:
        page: a page of a listing or of changes.
        known: the files.
        folders: the folders they lie in, at any depth.
    """
    void = Void()
    void.alone.update(map(fold, page.folders))
    void.with_all_below.update(map(fold, page.gone))
    void.with_all_below |= folders & {fold(path) for path in (*(entry.path for entry in page.files), *page.refused)}
    if not void.with_all_below:
        return list(void.alone & known)
    return [key for key in known if key in void]


def everything(remote: ReadOnly, folder: str, keep: Callable[[Entry], V]) -> Contents[V]:
    """What lies below a remote folder: a whole listing, begun again where Dropbox resets it.

    Of many pages those of the folders in it come at once, where these are few.

    Raises:
        NotFound: there is no such folder.
        UsageError: it is a file.
        CursorReset: it was reset every time.
    """
    return begun_again(lambda: _list_once(remote, folder, keep))


def _list_once(remote: ReadOnly, folder: str, keep: Callable[[Entry], V]) -> Contents[V]:
    contents = Contents(keep)
    for number, page in enumerate(listing(remote, folder), 1):
        contents.add(page)
        if number == FEW and page.has_more:
            from huracan_sync.remote.parallel_listing import parallel_listing  # noqa: PLC0415 - start-up time

            # Where a folder goes or becomes a file meanwhile, one page after the other is the way that holds.
            with contextlib.suppress(NotFound, UsageError):
                if parts := parallel_listing(remote, folder):
                    return contents_of(parts, keep)
    return contents


def contents_of(pages: Iterable[Changes], keep: Callable[[Entry], V]) -> Contents[V]:
    """What the pages of a whole listing say in the end."""
    contents = Contents(keep)
    for page in pages:
        contents.add(page)
    return contents
