"""Shared by the disk wing: stat snapshots (stamps), symlink-safe opens, error translation."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import msgspec

from huracan_sync.errors import DiskFull, FileChanged, LocalFailure, hint_of
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.paths import RelPath, ancestors


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


Root = Path | FolderView
"""A folder on this disk."""


def located(root: Root, path: RelPath) -> tuple[Path, RelPath]:
    """The real folder, and the path below it."""
    return (root.path, root.at(path)) if isinstance(root, FolderView) else (root, path)


def sync_folders(root: Root, paths: Iterable[RelPath]) -> None:
    """Make the names of files that were just put in place durable: one fsync for each of their folders."""
    for folder in {(where / inner).parent for where, inner in (located(root, path) for path in paths)}:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def stamp_of(root: Root, path: RelPath) -> Stamp | None:
    """The stamp of the file that lies there now, None when there is none (or something that is no file)."""
    folder, inner = located(root, path)
    try:
        status = (folder / inner).lstat()
    except OSError:
        return None
    return Stamp.of(status) if stat.S_ISREG(status.st_mode) else None


def remove(root: Root, path: RelPath, *, stamp: Stamp | None) -> None:
    """Remove the file if it is still in the state `stamp`, then its folders that became empty.

    Raises:
        FileChanged: it is not in that state any more; it stays.
    """
    if stamp_of(root, path) != stamp:
        raise FileChanged(f"{path} changed since it was looked at; it stays", path=path)
    folder, inner = located(root, path)
    try:
        (folder / inner).unlink()
        for parent in ancestors(inner):
            (folder / parent).rmdir()
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise local_failure(error, path, "remove") from error


def open_folder(root: Path, path: RelPath, *, make: bool) -> int:
    """The folder of `path` as a file descriptor; no link is walked through below `root`."""
    if make:
        root.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    folder = os.open(root, flags)
    try:
        for name in path.split("/")[:-1]:
            try:
                inner = os.open(name, flags | os.O_NOFOLLOW, dir_fd=folder)
            except FileNotFoundError:
                if not make:
                    raise
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, dir_fd=folder)
                inner = os.open(name, flags | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
    except OSError:
        os.close(folder)
        raise
    return folder


def local_failure(error: OSError, path: str, verb: str) -> LocalFailure | DiskFull:
    """The typed error for an `OSError`."""
    shown = ascii(path)[1:-1]
    reason = error.strerror or str(error)
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull(f"{shown} cannot be written: {reason}", path=shown)
    return LocalFailure(
        f"{shown} cannot be {'read' if verb == 'read' else 'written' if verb == 'write' else 'removed'}: {reason}",
        hint=hint_of(error),
        path=shown,
        errno=error.errno,
    )
