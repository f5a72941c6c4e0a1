"""Small questions: what lies at one path, or directly in one folder."""

from __future__ import annotations

import msgspec

from huracan_sync.errors import NotFound
from huracan_sync.remote.listing import (
    FileMetadata,
    FolderMetadata,
    Metadata,
    begun_again,
    last_word,
    pages,
)
from huracan_sync.remote.read_client import ReadOnly


def children(remote: ReadOnly, folder: str) -> list[FileMetadata]:
    """The files directly in a folder, as Dropbox describes them, all pages of them.

    Raises:
        NotFound: there is no such folder.
    """

    def list_once() -> list[Metadata]:
        return [item for page in pages(remote, folder, recursive=False) for item in page.entries]

    return [item for item in last_word(begun_again(list_once)) if isinstance(item, FileMetadata)]


def metadata(remote: ReadOnly, path: str) -> FileMetadata | FolderMetadata | None:
    """What lies at a path, None when nothing does."""
    try:
        answer = remote.rpc("files/get_metadata", {"path": path}, msgspec.Raw)
    except NotFound:
        return None
    return msgspec.json.decode(answer, type=FileMetadata | FolderMetadata)


def folders(remote: ReadOnly, folder: str) -> list[str]:
    """The names of the folders directly in a folder, of the first page; none when there is no such folder."""
    try:
        page = next(pages(remote, folder, recursive=False))
    except NotFound:
        return []
    return [entry.name for entry in page.entries if isinstance(entry, FolderMetadata)]
