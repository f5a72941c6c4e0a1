"""What lies in Dropbox: listings, and what changed since a cursor.

Laws: only `has_more` ends a listing, an empty page does not. A listing that was not read to its end says nothing about
what is missing from it. A cursor that Dropbox no longer knows means a whole new listing. A folder may change while it
is listed: later pages then take back what earlier ones said, which `contents.py` works out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from huracan_sync.errors import ServiceFault, UsageError
from huracan_sync.remote.errors import CursorReset
from huracan_sync.remote.read_client import ReadOnly
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import RelPath, ancestors, below, fold, parents, refusal

LISTINGS = 3
"""How often a listing is begun that Dropbox resets in the middle."""
PAGE = 2000
"""Entries in a page: the most Dropbox gives."""
FEW = 5
"""Pages of a folder that come one after the other before those of the folders in it are asked for at once."""

V = TypeVar("V")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FileMetadata(msgspec.Struct, tag_field=".tag", tag="file", gc=False):
    """A file as Dropbox describes it."""

    name: str
    rev: str
    size: int
    client_modified: datetime
    content_hash: str = ""
    """Hex; empty for what cannot be downloaded (a Paper document)."""
    path_display: str = ""
    path_lower: str = ""
    id: str = ""
    server_modified: datetime | None = None


class FolderMetadata(msgspec.Struct, tag_field=".tag", tag="folder", gc=False):
    """A folder."""

    name: str
    path_display: str = ""
    path_lower: str = ""
    id: str = ""


class DeletedMetadata(msgspec.Struct, tag_field=".tag", tag="deleted", gc=False):
    """A file or folder that is gone, with everything below it."""

    name: str
    path_display: str = ""
    path_lower: str = ""


Metadata = FileMetadata | FolderMetadata | DeletedMetadata


class Page(msgspec.Struct):
    """One answer of list_folder or its continue."""

    entries: list[Metadata]
    cursor: str
    has_more: bool


class _LoosePage(msgspec.Struct):
    entries: list[dict[str, Any]]
    cursor: str
    has_more: bool


class Changes(msgspec.Struct):
    """One page of a listing or of changes below a folder, relative to it. What is gone comes before the files."""

    cursor: str
    has_more: bool
    files: list[Entry] = []
    gone: list[str] = []
    """Paths of files or folders that are gone with everything below; their spelling may be lower-cased."""
    folders: list[str] = []
    """Paths that are folders now: a file that lay there is gone."""
    refused: list[str] = []
    """Paths of files under names no tree may hold; they are left alone."""


class Void:
    """Paths about which earlier entries no longer hold, by `fold(path)`."""

    def __init__(self) -> None:
        self.alone: set[str] = set()
        """A folder lies there now: a file of this very path is gone."""
        self.with_all_below: set[str] = set()
        """Nothing lies there now, or a file: whatever lay at it or below it is gone."""

    def __contains__(self, key: str) -> bool:
        return key in self.alone or not self.with_all_below.isdisjoint((key, *ancestors(key)))


def begun_again(list_once: Callable[[], V]) -> V:
    """What a listing says, begun again where Dropbox resets it."""
    for _ in range(1, LISTINGS):
        with contextlib.suppress(CursorReset):  # reset in the middle: what was listed so far is void
            return list_once()
    return list_once()


def listing(remote: ReadOnly, folder: str) -> Iterator[Changes]:
    """Everything below the remote folder, page by page; the last page has no `has_more`.

    One page does not say what lies there: `everything` does.

    Raises:
        NotFound: there is no such folder.
        UsageError: it is a file.
    """
    arg = {"path": folder, "recursive": True, "limit": PAGE, "include_non_downloadable_files": False}
    try:
        yield from (relative(folder, page) for page in _pages(remote, "files/list_folder", arg))
    except UsageError as error:
        if "not_folder" not in str(error.facts.get("tags")):
            raise
        raise UsageError(
            f"{folder} is a file in Dropbox, not a folder", hint="name the folder that holds it", path=folder
        ) from error


def changes(remote: ReadOnly, folder: str, cursor: str) -> Iterator[Changes]:
    """What changed below the folder since the cursor, page by page.

    Raises:
        CursorReset: list again.
        NotFound: the folder is gone.
    """
    yield from (relative(folder, page) for page in pages(remote, folder, cursor, recursive=True))


def latest_cursor(remote: ReadOnly, folder: str) -> str:
    """A cursor of now, without a listing.

    Raises:
        NotFound: there is no such folder.
    """
    arg = {"path": folder, "recursive": True, "include_non_downloadable_files": False}
    return remote.rpc("files/list_folder/get_latest_cursor", arg, _Cursor).cursor


class _Cursor(msgspec.Struct):
    cursor: str


def check_access(remote: ReadOnly) -> None:
    """Ask for the least there is, with a scope that every profile has.

    Raises:
        NotAuthorized: the login is not accepted.
    """
    remote.rpc("files/list_folder", {"path": "", "limit": 1}, msgspec.Raw)


def pages(remote: ReadOnly, folder: str, cursor: str = "", *, recursive: bool) -> Iterator[Page]:
    """The pages of a folder's listing as they come; with a cursor, of what has changed since.

    Raises:
        CursorReset: the cursor is no longer known.
        NotFound: there is no such folder.
        UsageError: it is a file.
    """
    if cursor:
        return _pages(remote, "files/list_folder/continue", {"cursor": cursor})
    arg = {"path": folder, "recursive": recursive, "limit": PAGE, "include_non_downloadable_files": False}
    return _pages(remote, "files/list_folder", arg)


def _pages(remote: ReadOnly, route: str, arg: dict[str, Any]) -> Iterator[Page]:
    has_more = True
    while has_more:
        page = _page(remote, route, arg)
        yield page
        has_more = page.has_more
        route, arg = "files/list_folder/continue", {"cursor": page.cursor}


def _page(remote: ReadOnly, route: str, arg: dict[str, Any]) -> Page:
    raw = remote.rpc(route, arg, msgspec.Raw)
    try:
        return msgspec.json.decode(raw, type=Page)
    except msgspec.ValidationError:
        # A kind of entry this version does not know must not hide the others.
        loose = msgspec.json.decode(raw, type=_LoosePage)
        known = [entry for entry in loose.entries if entry.get(".tag") in {"file", "folder", "deleted"}]
        return Page(msgspec.convert(known, list[Metadata]), loose.cursor, loose.has_more)


def relative(folder: str, page: Page) -> Changes:
    """What a page says, with paths relative to the remote folder."""
    changes = Changes(page.cursor, page.has_more, [], [], [], [])
    for item in last_word(page.entries) if _contradicts_itself(page.entries) else page.entries:
        path = below(folder, item.path_display or item.path_lower)
        if path is None:
            raise ServiceFault(f"the listing of {folder!r} holds {item.path_display!r}", path=item.path_display)
        if isinstance(item, FileMetadata):
            if refusal(path):
                changes.refused.append(path)
            else:
                changes.files.append(entry_of(RelPath(path), item))
        elif isinstance(item, FolderMetadata):
            changes.folders.append(path)
        else:
            changes.gone.append(path)
    return changes


def _contradicts_itself(entries: list[Metadata]) -> bool:
    """Whether an entry of a page may take back an earlier one of the same page; nearly none does."""
    kinds = [type(item) for item in entries]
    if DeletedMetadata in kinds:
        return True
    files = {item.path_lower for item in entries if type(item) is FileMetadata}
    folders = {path.rpartition("/")[0] for path in files}
    if len(files) < len(entries):
        folders |= {item.path_lower for item in entries if type(item) is FolderMetadata}
    return not files.isdisjoint(parents(folders))


def last_word(entries: list[Metadata]) -> list[Metadata]:
    """The entries of a page; what later entries of the same page take back is no file or folder among them."""
    kept: list[Metadata] = []
    void = Void()
    for item in reversed(entries):
        key = fold(item.path_display or item.path_lower)
        if key not in void:
            kept.append(item)
        elif not isinstance(item, FolderMetadata):  # what a folder held whose place this file took is gone all the same
            kept.append(DeletedMetadata(item.name, item.path_display, item.path_lower))
        (void.alone if isinstance(item, FolderMetadata) else void.with_all_below).add(key)
    return kept[::-1]


def entry_of(path: RelPath, item: FileMetadata) -> Entry:
    """The file as an entry of a tree. A file without a content hash has 32 zero bytes: equal to nothing."""
    digest = bytes.fromhex(item.content_hash) if item.content_hash else bytes(32)
    return Entry(path, item.size, digest, item.rev, (item.client_modified - _EPOCH) // timedelta(milliseconds=1))


def timestamp(mtime_ms: int) -> str:
    """A moment as Dropbox takes it: UTC, whole seconds."""
    return (_EPOCH + timedelta(milliseconds=max(0, mtime_ms))).strftime("%Y-%m-%dT%H:%M:%SZ")
