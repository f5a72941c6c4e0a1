"""The one atomic write: bytes go into a temporary file beside the target, are synced, and take its name by a rename.

`write_file` writes a small file of our own at once; `AtomicWrite` writes a downloaded file piece by piece and can be
continued by a later run. Both end in `_put_in_place`, so a crash leaves the old file or the new one, never a mixture.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from huracan_sync.disk.files import Root, Stamp, local_failure, located, open_folder
from huracan_sync.errors import Busy, FileChanged, LocalFailure
from huracan_sync.tree.paths import PART_PREFIX, PART_SUFFIX, RelPath

WRITTEN_AT_ONCE = 64 * 1024
"""Bytes of one write: with 4 MiB at once, Linux takes large pages for them, and ten times as long to get hold of."""
_TEMPORARY = ".new"


def write_file(
    path: Path, *pieces: bytes, mode: int = 0o600, replace: bool = True, durable: bool = True, name: str | None = None
) -> None:
    """Write a file whole, making its folder (0700) where it is missing.

    Args:
        path: the file.
        pieces: its content.
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
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            write_at(folder, path.name, *pieces, mode=mode, replace=replace, durable=durable)
        finally:
            os.close(folder)
    except FileExistsError:
        raise
    except OSError as error:
        raise local_failure(error, name or str(path), "write") from error


def write_at(
    folder: int, name: str, *pieces: bytes, mode: int = 0o600, replace: bool = True, durable: bool = True
) -> None:
    """As `write_file`, below a folder that is open. Raises the `OSError` itself."""
    temporary = f".{name}.{os.urandom(6).hex()}{_TEMPORARY}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(temporary, flags, mode, dir_fd=folder), "wb") as file:  # noqa: PTH123 - a descriptor
            os.fchmod(file.fileno(), mode)
            file.writelines(pieces)
            file.flush()
            _put_in_place(file.fileno(), folder, temporary, name, replace=replace, sync=durable, sync_folder=durable)
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
            _put_in_place(file.fileno(), folder, new.name, target.name)
    finally:
        os.close(folder)


def _put_in_place(
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


class AtomicWrite:
    """A file being written beside its place. `commit` puts it there; leaving without it keeps the part for later.

    The part's name depends on path and content only, so an interrupted download finds it again.
    """

    def __init__(self, root: Root, path: RelPath, *, token: str) -> None:
        """Open (or make) the part of `path` below `root`; missing folders are made.

        Args:
            root: the folder.
            path: the file, below it.
            token: what tells this content from another: at least 16 characters of its content hash.

        Raises:
            Busy: another process writes the same file.
            DiskFull: no space.
            LocalFailure: a link or a file stands where a folder must be, or writing is not allowed.
        """
        self.path = path
        folder_path, inner = located(root, path)
        self._name = inner.rpartition("/")[2]
        self.part_name = f"{PART_PREFIX}{token[:32]}{PART_SUFFIX}"
        try:
            self._folder = open_folder(folder_path, inner, make=True)
            try:
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                self._fd = os.open(self.part_name, flags, 0o666, dir_fd=self._folder)
            except OSError:
                os.close(self._folder)
                raise
        except OSError as error:
            raise local_failure(error, path, "write") from error
        # Held as long as we write: what a dead process left can be told from what a living one writes.
        if not _lock(self._fd):
            self.close()
            raise Busy(f"another process is writing {path}", path=path)
        self.size = os.fstat(self._fd).st_size

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Put `data` at `offset`; several threads may write at different offsets."""
        view = memoryview(data)
        try:
            while view:
                done = os.pwrite(self._fd, view[:WRITTEN_AT_ONCE], offset)
                offset, view = offset + done, view[done:]
        except OSError as error:
            raise local_failure(error, self.path, "write") from error

    def begin_to_settle(self, offset: int, size: int) -> None:
        """Have the system begin to bring these bytes to the disk, so that less is left to wait for in the end."""
        if hasattr(os, "posix_fadvise"):  # where there is none, the end takes longer
            os.posix_fadvise(self._fd, offset, size, os.POSIX_FADV_DONTNEED)

    def read(self, offset: int, size: int) -> bytes:
        """What lies there in the part, fewer bytes at its end."""
        return os.pread(self._fd, size, offset)

    def commit(
        self, *, size: int, replaces: Stamp | None, mtime_ns: int | None = None, sync_folder: bool = True
    ) -> Stamp:
        """Cut the part to `size`, give it its time, make it durable and put it in its place.

        Args:
            size: bytes.
            replaces: the state of the file that lies there, None for nothing.
            mtime_ns: its time of modification; None leaves the time of writing.
            sync_folder: make the new name durable too; without it, call `sync_folders` afterwards.

        Returns:
            The stamp of the file as it lies there now.

        Raises:
            FileChanged: another state lies there by now; it stays, and so does the part.
        """
        if self._present() != replaces:
            raise FileChanged(f"{self.path} changed on this disk meanwhile; it stays", path=self.path)
        try:
            os.ftruncate(self._fd, size)
            if mtime_ns is not None:
                os.utime(self._fd, ns=(mtime_ns, mtime_ns))
            _put_in_place(self._fd, self._folder, self.part_name, self._name, sync_folder=sync_folder)
            return Stamp.of(os.fstat(self._fd))
        except OSError as error:
            raise local_failure(error, self.path, "write") from error

    def _present(self) -> Stamp | None:
        try:
            status = os.stat(self._name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise local_failure(error, self.path, "write") from error
        if not stat.S_ISREG(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
            raise LocalFailure(f"{self.path} cannot be written: {what} lies there", path=self.path)
        return Stamp.of(status)

    def discard(self) -> None:
        """Remove the part."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.part_name, dir_fd=self._folder)

    def close(self) -> None:
        """Close it; a part that was not committed stays."""
        os.close(self._fd)
        os.close(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def sweep(root: Path, parts: Iterable[str]) -> int:
    """Remove half-written files that nobody writes any more; how many there were."""
    swept = 0
    for part in parts:
        try:
            held = os.open(root / part, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if _lock(held):
                (root / part).unlink()
                swept += 1
        except OSError:
            continue
        finally:
            os.close(held)
    return swept


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a disk without locks: as before there were any
    return True
