"""Remove files: one that is still in the state that was seen, and what dead writers left half-written."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from huracan_sync.disk.files import Root, Stamp, located, parent_of
from huracan_sync.disk.part_file import lock_part
from huracan_sync.errors import FileChanged, local_failure
from huracan_sync.tree.paths import RelPath, ancestors


def remove(root: Root, path: RelPath, *, stamp: Stamp | None) -> None:
    """Remove the file if it is still in the state `stamp`, then its folders that became empty.

    Raises:
        FileChanged: it is not in that state any more; it stays.
    """
    folder_path, inner = located(root, path)
    try:
        with parent_of(folder_path, inner) as (folder, name):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode) or Stamp.of(status) != stamp:
                raise _changed(path)
            os.unlink(name, dir_fd=folder)
        for above in ancestors(inner):
            with parent_of(folder_path, above) as (folder, name):
                os.rmdir(name, dir_fd=folder)
    except FileNotFoundError as error:
        raise _changed(path) from error
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise local_failure(error, path, "remove") from error


def _changed(path: str) -> FileChanged:
    return FileChanged(f"{path} changed since it was looked at; it stays", path=path)


def sweep(root: Path, parts: Iterable[str]) -> int:
    """Remove half-written files that nobody writes any more; how many there were."""
    swept = 0
    for path in parts:
        with contextlib.suppress(OSError), parent_of(root, path) as (folder, name):
            part = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
            try:
                if lock_part(part):
                    os.unlink(name, dir_fd=folder)
                    swept += 1
            finally:
                os.close(part)
    return swept
