"""A file that arrives piece by piece, beside its place until it is whole, and that a later run can go on with."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Self

from huracan_sync.disk.atomic_write import put_in_place
from huracan_sync.disk.files import Root, Stamp, located, open_inner
from huracan_sync.disk.folding import refuse_another
from huracan_sync.disk.origin_mark import mark
from huracan_sync.disk.scan import require_utf8
from huracan_sync.errors import Busy, FileChanged, LocalFailure, local_failure
from huracan_sync.tree.paths import PART_PREFIX, PART_SUFFIX, RelPath

if TYPE_CHECKING:
    from huracan_sync.disk.last_folder import LastFolder

WRITTEN_AT_ONCE = 64 * 1024
"""Bytes of one write: with 4 MiB at once, Linux takes large pages for them, and ten times as long to get hold of."""
_PART_MODE = 0o600
_TRIES = 5
"""How often a part is opened that others put there or take away at the same moment."""


class PartFile:
    """A file being written beside its place. `commit` puts it there; leaving without it keeps the part for later.

    The part's name depends on path and content only, so an interrupted download finds it again.
    """

    def __init__(self, root: Root, path: RelPath, *, token: str, last: LastFolder | None = None) -> None:
        """Open (or make) the part of `path` below `root`; missing folders are made.

        Args:
            root: the folder.
            path: the file, below it.
            token: what tells this content from another: at least 16 characters of its content hash.
            last: the folder that the file before went into, where many are written one after the other.

        Raises:
            Busy: another process writes the same file.
            ConfigError: this process spells file names in another encoding than UTF-8.
            DiskFull: no space.
            LocalFailure: a link or a file stands where a folder must be, or writing is not allowed.
        """
        self.path = path
        if not path.isascii():
            require_utf8()  # else the file would be written under another name
        folder_path, inner = located(root, path)
        self._name = inner.rpartition("/")[2]
        self.part_name = f"{PART_PREFIX}{token[:32]}{PART_SUFFIX}"
        try:
            self._folder = (
                os.dup(last.open(folder_path, inner, make_folder)) if last else make_folder(folder_path, inner)
            )
            try:
                part = self._open_part()
            except OSError:
                os.close(self._folder)
                raise
        except OSError as error:
            raise local_failure(error, path, "write") from error
        if part is None:
            os.close(self._folder)
            raise Busy(f"another process is writing {path}", path=path)
        self._fd = part
        self.size = os.fstat(self._fd).st_size

    def _open_part(self) -> int | None:
        """The part, locked: that of an earlier run if it is ours alone, else a new one; None when another writes it.

        The lock is held as long as we write: what a dead process left can be told from what a living one writes.
        """
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # O_NONBLOCK: a planted pipe must not hang us
        for _ in range(_TRIES):
            try:
                part = os.open(self.part_name, flags | os.O_CREAT | os.O_EXCL, _PART_MODE, dir_fd=self._folder)
                is_new = True
            except FileExistsError:
                is_new = False
                try:
                    part = os.open(self.part_name, flags, dir_fd=self._folder)
                except FileNotFoundError:
                    continue  # committed or discarded meanwhile
                except OSError:  # a link, or another user's
                    os.unlink(self.part_name, dir_fd=self._folder)
                    continue
            status = os.fstat(part)
            if is_new and stat.S_IMODE(status.st_mode) != _PART_MODE:  # the umask took some of it
                os.fchmod(part, _PART_MODE)
                status = os.fstat(part)
            if not _is_ours_alone(status):
                os.close(part)
                os.unlink(self.part_name, dir_fd=self._folder)
                continue
            if not lock_part(part):
                os.close(part)
                return None
            if self._is_still(status):
                return part
            os.close(part)  # committed by another process between opening and locking it
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    def _is_still(self, status: os.stat_result) -> bool:
        """Whether the name of the part still leads to this file."""
        try:
            now = os.stat(self.part_name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return (now.st_dev, now.st_ino) == (status.st_dev, status.st_ino)

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
        self,
        *,
        size: int,
        replaces: Stamp | None,
        mtime_ns: int | None = None,
        sync_folder: bool = True,
        unsigned: bytes = b"",
    ) -> Stamp:
        """Cut the part to `size`, give it its time and its rights, make it durable and put it in its place.

        A file that is replaced hands on its rights; a new one has those that the umask leaves.

        Args:
            size: bytes.
            replaces: the state of the file that lies there, None for nothing.
            mtime_ns: its time of modification; None leaves the time of writing.
            sync_folder: make the new name durable too; without it, call `sync_folders` afterwards.
            unsigned: its content hash, where nobody has signed it: it is marked so.

        Returns:
            The stamp of the file as it lies there now.

        Raises:
            FileChanged: another state lies there by now; it stays, and so does the part.
            LocalFailure: the file of another name lies there, which this disk finds instead; or it cannot be written.
        """
        present = self._present()
        if (Stamp.of(present) if present else None) != replaces:
            try:
                refuse_another(self._folder, self._name, self.path[: -len(self._name)])
            except LocalFailure:
                self.discard()  # no later run can put it there either
                raise
            raise FileChanged(f"{self.path} changed on this disk meanwhile; it stays", path=self.path)
        try:
            os.ftruncate(self._fd, size)
            with contextlib.suppress(PermissionError):  # a disk that knows no rights
                os.fchmod(self._fd, present.st_mode & 0o777 if present else 0o666 & ~_umask())
            if unsigned:
                mark(self._fd, unsigned)
            if mtime_ns is not None:
                os.utime(self._fd, ns=(mtime_ns, mtime_ns))
            put_in_place(self._fd, self._folder, self.part_name, self._name, sync_folder=sync_folder)
            return Stamp.of(os.fstat(self._fd))
        except OSError as error:
            raise local_failure(error, self.path, "write") from error

    def present(self) -> Stamp | None:
        """The state of the file that lies in the place now, None for nothing.

        Raises:
            LocalFailure: no file lies there, or that of another name, which this disk finds instead.
        """
        status = self._present()
        if status is not None:
            refuse_another(self._folder, self._name, self.path[: -len(self._name)])
        return Stamp.of(status) if status else None

    def _present(self) -> os.stat_result | None:
        try:
            status = os.stat(self._name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise local_failure(error, self.path, "write") from error
        if not stat.S_ISREG(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
            raise LocalFailure(f"{self.path} cannot be written: {what} lies there", path=self.path)
        return status

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


def make_folder(root: Path, path: str) -> int:
    """The folder that holds `path` as a file descriptor, made where it is missing; no link is walked through.

    Raises:
        OSError: it cannot be opened, or made.
        LocalFailure: to write into it would be to write into the folder of another name, which this disk finds instead.
    """
    root.mkdir(parents=True, exist_ok=True)
    folder, above = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), ""
    try:
        for name in path.split("/")[:-1]:
            refuse_another(folder, name, above)
            try:
                inner = open_inner(folder, name)
            except FileNotFoundError:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, dir_fd=folder)
                inner = open_inner(folder, name)
            os.close(folder)
            folder, above = inner, f"{above}{name}/"
    except BaseException:
        os.close(folder)
        raise
    return folder


def _is_ours_alone(status: os.stat_result) -> bool:
    """Whether nobody else can have written a part, nor can write it while we do."""
    is_private = stat.S_IMODE(status.st_mode) == _PART_MODE
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and status.st_nlink == 1 and is_private


@functools.cache
def _umask() -> int:
    """The umask of this process, as it is when it is first asked for."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.partition("Umask:")[2].split(maxsplit=1)[0], 8)
    except (OSError, ValueError, IndexError):  # no Linux: it can only be read by setting it
        umask = os.umask(0o077)
        os.umask(umask)
        return umask


def lock_part(descriptor: int) -> bool:
    """Take the lock of an open part; False when another process holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a disk without locks: as before there were any
    return True
