"""What fsspec's calls show of a listing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fsspec.utils import stringify_path

from huracan_sync.fs.paths import parent
from huracan_sync.remote.folder_listing import Present
from huracan_sync.remote.listing import FileMetadata, FolderMetadata

Info = dict[str, Any]


def describe(path: str, present: Present) -> Info:
    """What fsspec calls the info of a file or folder."""
    if isinstance(present, FolderMetadata):
        return folder(path)
    modified = present.server_modified or present.client_modified
    return {
        "name": path,
        "size": present.size,
        "type": "file",
        "rev": present.rev,
        "content_hash": present.content_hash,
        "mtime": modified.timestamp(),
        "modified": modified,
        "created": present.client_modified,
        "id": present.id,
    }


def folder(path: str) -> Info:
    """The info of a folder."""
    return {"name": path, "size": 0, "type": "directory"}


def found(
    path: str, entries: Iterable[tuple[str, Present]], maxdepth: int | None, *, withdirs: bool
) -> dict[str, Info]:
    """What `find` gives for a folder: by path, in the order of paths."""
    infos = {
        name: describe(name, entry)
        for name, entry in entries
        if (withdirs or isinstance(entry, FileMetadata))
        and (maxdepth is None or name[len(path) :].count("/") <= maxdepth)
    }
    if withdirs and path and path not in infos:
        infos[path] = folder(path)
    return dict(sorted(infos.items()))


def walked(
    path: str, entries: Iterable[tuple[str, Present]], maxdepth: int | None, *, topdown: bool, detail: bool
) -> Iterator[tuple[str, Any, Any]]:
    """What `walk` gives for a folder. From the top down, a caller may strike folders from what it is given."""
    inside: dict[str, tuple[dict[str, Info], dict[str, Info]]] = {}
    for name, entry in entries:
        here = inside.setdefault(parent(name), ({}, {}))
        here[isinstance(entry, FileMetadata)][name.rpartition("/")[2]] = describe(name, entry)

    def walk(at: str, depth: int) -> Iterator[tuple[str, Any, Any]]:
        folders, files = inside.get(at, ({}, {}))
        dirs: Any = dict(folders) if detail else list(folders)
        names: Any = dict(files) if detail else list(files)
        if topdown:
            yield at, dirs, names
        if maxdepth is None or depth < maxdepth:
            for name in list(dirs):
                yield from walk(f"{at}/{name}", depth + 1)
        if not topdown:
            yield at, dirs, names

    yield from walk(path, 1)


def bounds(size: int, start: int | None, end: int | None) -> tuple[int, int]:
    """The bytes that a range means; negative positions count from the end of the file."""
    first, last, _ = slice(start, end).indices(size)
    return first, max(first, last)


def has_magic(path: Any) -> bool:
    """Whether a path is a pattern."""
    return any(char in stringify_path(path) for char in "*?[")
