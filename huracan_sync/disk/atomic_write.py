"""The one atomic write: bytes go into a temporary file beside the target, are synced, and take its name by a rename.

A crash leaves the old file or the new one, never a mixture. `part_file` ends in the same `put_in_place`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from huracan_sync.errors import local_failure

_TEMPORARY = ".new"


def make_private(folder: Path) -> None:
    """Make a folder of our own state for this user alone, also what is missing above it, as `Path.mkdir` does not."""
    for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


@contextlib.contextmanager
def locked_folder(folder: Path, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold the lock file of a folder of our own state, which is made; `how` as for `flock`."""
    make_private(folder)
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)  # a child that was forked just now may have it open still
        os.close(handle)


def write_file(
    path: Path,
    content: bytes | Iterable[bytes],
    *,
    mode: int = 0o600,
    replace: bool = True,
    durable: bool = True,
    name: str | None = None,
) -> None:
    """Write a file whole, making its folder (0700) where it is missing.

    Args:
        path: the file.
        content: its bytes, or pieces of them.
        mode: its rights, whatever the umask says.
        replace: whether a file that is there may be replaced.
        durable: wait until the disk has it. Only what may be lost in a power failure goes without.
        name: what errors call it, where that is not its path.

    Raises:
        FileExistsError: `replace` is False and something is there.
        DiskFull: no space; what was there is untouched.
        LocalFailure: it cannot be written.
    """
    try:
        make_private(path.parent)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            write_at(folder, path.name, content, mode=mode, replace=replace, durable=durable)
        finally:
            os.close(folder)
    except FileExistsError:
        raise
    except OSError as error:
        raise local_failure(error, name or str(path), "write") from error


def write_at(
    folder: int,
    name: str,
    content: bytes | Iterable[bytes],
    *,
    mode: int = 0o600,
    replace: bool = True,
    durable: bool = True,
) -> None:
    """As `write_file`, below a folder that is open. Raises the `OSError` itself."""
    temporary = f".{name}.{os.urandom(6).hex()}{_TEMPORARY}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(temporary, flags, mode, dir_fd=folder), "wb") as file:  # noqa: PTH123 - a descriptor
            with contextlib.suppress(PermissionError):  # a disk that knows no rights; who keeps secrets checks them
                os.fchmod(file.fileno(), mode)
            file.writelines([content] if isinstance(content, bytes) else content)
            file.flush()
            put_in_place(file.fileno(), folder, temporary, name, replace=replace, sync=durable, sync_folder=durable)
    finally:
        with contextlib.suppress(OSError):  # gone by the rename, unless something failed or nothing may be replaced
            os.unlink(temporary, dir_fd=folder)


def replace_file(new: Path, target: Path) -> None:
    """Put a finished file of ours that another program wrote (SQLite) in the place of `target`, in the same folder.

    Raises:
        OSError: the disk refused.
    """
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with new.open("rb") as file:
            put_in_place(file.fileno(), folder, new.name, target.name)
    finally:
        os.close(folder)


def put_in_place(
    file: int,
    folder: int,
    temporary: str,
    name: str,
    *,
    replace: bool = True,
    sync: bool = True,
    sync_folder: bool = True,
) -> None:
    """Make the temporary file's bytes durable, give it its name, make the name durable."""
    if sync:
        os.fsync(file)
    if replace:
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    else:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)  # unlike a rename it replaces nothing
    if sync_folder:
        os.fsync(folder)


def remove_temporaries(folder: int, name: str) -> None:
    """Remove what writers of `name` left when they were killed. Call it under the lock that guards `name`."""
    for left in os.listdir(folder):
        if left.startswith(f".{name}.") and left.endswith(_TEMPORARY):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(left, dir_fd=folder)
