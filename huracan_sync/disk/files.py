"""Shared by the disk wing: stat snapshots (stamps), and opens that walk through no link."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeAlias

import msgspec

from huracan_sync.tree.paths import RelPath

if TYPE_CHECKING:
    from huracan_sync.tree.folder_view import FolderView


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """What changes whenever a file's content may have changed. `ctime_ns` cannot be set back by a program."""

    size: int
    """Bytes."""
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """The stamp in a stat result. Its numbers fit 64 bits with a sign, as the journal's do, whatever the disk says.

        Times after 2262 are one time, and inodes differ in 63 bits: NFS and overlays number theirs up to 2**64.
        """
        mtime_ns, ctime_ns = min(status.st_mtime_ns, _MOST), min(status.st_ctime_ns, _MOST)
        return cls(status.st_size, mtime_ns, ctime_ns, status.st_ino & _MOST)


_MOST = 2**63 - 1


Root: TypeAlias = "Path | FolderView"
"""A folder on this disk."""


def located(root: Root, path: RelPath) -> tuple[Path, RelPath]:
    """The real folder, and the path below it."""
    return (root, path) if isinstance(root, Path) else (root.path, root.at(path))


@contextlib.contextmanager
def parent_of(root: Root, path: str) -> Iterator[tuple[int, str]]:
    """The folder that holds `path`, as an open descriptor, and the name in it. No link below `root` is followed.

    Raises:
        OSError: there is no such folder, or a link stands in the way.
    """
    folder_path, inner = located(root, RelPath(path))
    folder = open_folder(folder_path, inner)
    try:
        yield folder, inner.rpartition("/")[2]
    finally:
        os.close(folder)


def sync_folders(root: Root, paths: Iterable[RelPath]) -> None:
    """Make the names of files that were just put in place durable: one fsync for each of their folders."""
    places = [located(root, path) for path in paths]
    for folder_path, folder in {(folder_path, inner.rpartition("/")[0]) for folder_path, inner in places}:
        descriptor = open_folder(folder_path, f"{folder}/" if folder else "")
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def stamp_of(root: Root, path: RelPath) -> Stamp | None:
    """The stamp of the file that lies there now, None when there is none (or something that is no file)."""
    try:
        with parent_of(root, path) as (folder, name):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    return Stamp.of(status) if stat.S_ISREG(status.st_mode) else None


def open_folder(root: Path, path: str) -> int:
    """The folder that holds `path` as a file descriptor; no link is walked through below `root`."""
    folder = os.open(root, _FOLDER)
    try:
        for name in path.split("/")[:-1]:
            inner = open_inner(folder, name)
            os.close(folder)
            folder = inner
    except OSError:
        os.close(folder)
        raise
    return folder


_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def open_inner(folder: int, name: str) -> int:
    """A folder directly in an open one, which may be no link."""
    return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
