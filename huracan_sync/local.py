"""The disk: find files, read one consistently, put one in place whole.

Laws: no symbolic link is followed below a root, neither in reading nor in writing. A file is put in place by writing
beside it, fsync, rename, fsync of the folder: a crash leaves the old file or the new one. Reading hands out bytes that
all belong to one state of the file, or raises `FileChanged`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

import msgspec

from huracan_sync.errors import Busy, DiskFull, FileChanged, HostilePath, HuracanError, LocalFailure, UsageError
from huracan_sync.layout import Arranged
from huracan_sync.paths import RelPath, check, fold, never_synced

PART_PREFIX = ".huracan-"
PART_SUFFIX = ".part"
"""How our half-written files are named; a scan passes over them."""
WRITTEN_AT_ONCE = 64 * 1024
"""Bytes of one write: with 4 MiB at once, Linux takes large pages for them, and ten times as long to get hold of."""


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """What changes whenever a file's content may have changed. `ctime_ns` cannot be set back by a program."""

    size: int
    """Bytes."""
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """The stamp in a stat result."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


class Found(msgspec.Struct, frozen=True, gc=False):
    """A file on disk, not yet read."""

    path: RelPath
    stamp: Stamp


class Problem(msgspec.Struct, frozen=True):
    """A file or folder that could not be taken into account; its state is unclear, not gone."""

    path: str
    error: HuracanError


class Scan(msgspec.Struct):
    """What a folder holds: files by their path, and what could not be read."""

    files: dict[RelPath, Stamp]
    problems: list[Problem]
    parts: list[str] = []
    """Half-written files of ours, of this run or a dead one."""

    def unclear(self) -> frozenset[str]:
        """Folded paths about which nothing is known."""
        return frozenset(fold(problem.path) for problem in self.problems)


Root = Path | Arranged
"""A folder on this disk."""


def _spot(root: Root, path: RelPath) -> tuple[Path, RelPath]:
    return (root.path, root.at(path)) if isinstance(root, Arranged) else (root, path)


def _renamed(root: Arranged, found: Scan) -> Scan:
    """What a scan found, by its other names. Of several with one name, that in its place counts, else the newest."""
    files: dict[RelPath, Stamp] = {}
    ranks: dict[str, tuple[bool, int]] = {}
    for path, stamp in found.files.items():
        other = root.there(path)
        key, rank = fold(other), (path == root.here(other), stamp.mtime_ns)
        if rank > ranks.get(key, (not root.takes_strays, -1)):
            ranks[key], files[other], root.strays[other] = rank, stamp, path
    return Scan(files, found.problems)


def _asked_by_other_name(root: Arranged, wanted: Callable[[str], bool]) -> Callable[[str], bool]:
    def asked(path: str) -> bool:
        with contextlib.suppress(HostilePath):  # the scan reports it
            path = root.there(path)
        return wanted(path)

    return asked


def scan(root: Root, *, wanted: Callable[[str], bool] | None = None) -> Scan:
    """Every regular file below `root`.

    Args:
        root: an existing folder (it may itself be reached through a symbolic link).
        wanted: asked with each relative path; files it declines are passed over, as are symbolic links, sockets, the
            names Dropbox never takes (`.DS_Store`, ...) and our own half-written files.

    Raises:
        UsageError: there is no such folder.
        LocalFailure: it cannot be read.
    """
    if isinstance(root, Arranged):
        return _renamed(root, scan(root.path, wanted=wanted and _asked_by_other_name(root, wanted)))
    result = Scan({}, [], [])
    try:
        _scan_folder(os.fspath(root), "", result, wanted)
    except NotADirectoryError as error:
        raise UsageError(f"{root} is a file, not a folder", hint="name the folder that holds it") from error
    except FileNotFoundError as error:
        raise UsageError(f"there is no folder {root}", hint="check the spelling and where you are") from error
    except OSError as error:
        raise _local_failure(error, str(root), "read") from error
    return result


def _scan_folder(folder: str, prefix: str, result: Scan, wanted: Callable[[str], bool] | None) -> None:
    names: dict[str, str] = {}
    folders: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name.startswith(PART_PREFIX) and name.endswith(PART_SUFFIX):
                result.parts.append(prefix + name)
                continue
            if never_synced(name):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(name)
            elif not _take_file(entry, prefix + name, result, wanted):
                continue
            _note_twins(names, name, prefix, result)
    unclear = {problem.path for problem in result.problems}
    for name in folders:
        if prefix + name in unclear:
            continue  # it has a twin
        try:
            _scan_folder(f"{folder}/{name}", f"{prefix}{name}/", result, wanted)
        except FileNotFoundError:
            continue  # gone since its parent was listed
        except OSError as error:
            result.problems.append(Problem(prefix + name, _local_failure(error, prefix + name, "read")))


def _take_file(entry: os.DirEntry[str], path: str, result: Scan, wanted: Callable[[str], bool] | None) -> bool:
    """Note a file or the problem with it; False when it is none of our business."""
    if not entry.is_file(follow_symlinks=False) or (wanted is not None and not wanted(path)):
        return False
    try:
        result.files[check(path)] = Stamp.of(entry.stat(follow_symlinks=False))
    except HostilePath as error:
        result.problems.append(Problem(path, error))
        return False
    except FileNotFoundError:
        return False
    except OSError as error:
        result.problems.append(Problem(path, _local_failure(error, path, "read")))
        return False
    return True


def _note_twins(names: dict[str, str], name: str, prefix: str, result: Scan) -> None:
    """Two names that Dropbox cannot hold side by side: neither is synced, both are reported."""
    twin = names.setdefault(fold(name), name)
    if twin == name:
        return
    for one, other in ((twin, name), (name, twin)):
        result.files.pop(RelPath(prefix + one), None)
        error = LocalFailure(
            f"{prefix}{one} and {prefix}{other} differ only in case or accents; Dropbox can hold one of them",
            hint="rename one of the two",
            path=prefix + one,
        )
        result.problems.append(Problem(prefix + one, error))


class Reading:
    """One open file whose bytes all belong to one state. Safe for several threads (`pread`)."""

    def __init__(self, root: Root, path: RelPath, *, prefix_only: bool = False) -> None:
        """Open `path` below `root`.

        Args:
            root: the folder.
            path: the file, below it.
            prefix_only: the file is only ever appended to (a log): its growth while it is read is no change, and
                the bytes that were there at the opening are a consistent state.

        Raises:
            FileChanged: it is gone, or no regular file any more.
            LocalFailure: it cannot be read.
        """
        self.path = path
        self._prefix_only = prefix_only
        folder_path, spot = _spot(root, path)
        try:
            folder = _open_folder(folder_path, spot, make=False)
            try:
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                self._fd = os.open(spot.rpartition("/")[2], flags, dir_fd=folder)
            finally:
                os.close(folder)
        except FileNotFoundError as error:
            raise FileChanged(f"{path} disappeared before it could be read", path=path) from error
        except OSError as error:
            raise _local_failure(error, path, "read") from error
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise FileChanged(f"{path} is no regular file any more", path=path)
        self.stamp = Stamp.of(status)

    def read(self, offset: int, size: int) -> bytes:
        """Exactly the bytes at `offset`, `size` of them or up to the size at the opening.

        Raises:
            FileChanged: they are not there any more.
        """
        data = bytearray(min(size, self.stamp.size - offset))
        self.read_into(offset, memoryview(data))
        return bytes(data)

    def read_into(self, offset: int, view: memoryview) -> None:
        """Fill the view with the bytes at `offset`.

        Raises:
            FileChanged: they are not there any more.
        """
        try:
            while view:  # a signal or a network disk may give less at once
                done = os.preadv(self._fd, [view], offset)
                if not done:
                    raise FileChanged(f"{self.path} became shorter while it was read", path=self.path)
                offset, view = offset + done, view[done:]
        except OSError as error:
            raise _local_failure(error, self.path, "read") from error

    def check_unchanged(self) -> None:
        """Say whether everything read so far belongs to one state.

        Raises:
            FileChanged: it does not.
        """
        now = Stamp.of(os.fstat(self._fd))
        grown_log = self._prefix_only and now.inode == self.stamp.inode and now.size >= self.stamp.size
        if now != self.stamp and not grown_log:
            raise FileChanged(f"{self.path} changed while it was read", path=self.path)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Placing:
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
        folder_path, spot = _spot(root, path)
        self._name = spot.rpartition("/")[2]
        self.part_name = f"{PART_PREFIX}{token[:32]}{PART_SUFFIX}"
        try:
            self._folder = _open_folder(folder_path, spot, make=True)
            try:
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                self._fd = os.open(self.part_name, flags, 0o666, dir_fd=self._folder)
            except OSError:
                os.close(self._folder)
                raise
        except OSError as error:
            raise _local_failure(error, path, "write") from error
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
            raise _local_failure(error, self.path, "write") from error

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
            os.fsync(self._fd)
            os.rename(self.part_name, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            if sync_folder:
                os.fsync(self._folder)
            return Stamp.of(os.fstat(self._fd))
        except OSError as error:
            raise _local_failure(error, self.path, "write") from error

    def _present(self) -> Stamp | None:
        try:
            status = os.stat(self._name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _local_failure(error, self.path, "write") from error
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


def sync_folders(root: Root, paths: Iterable[RelPath]) -> None:
    """Make the names of files that were just put in place durable: one fsync for each of their folders."""
    for folder in {(where / spot).parent for where, spot in (_spot(root, path) for path in paths)}:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def stamp_of(root: Root, path: RelPath) -> Stamp | None:
    """The stamp of the file that lies there now, None when there is none (or something that is no file)."""
    folder, spot = _spot(root, path)
    try:
        status = (folder / spot).lstat()
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
    folder, spot = _spot(root, path)
    try:
        (folder / spot).unlink()
        parent = spot.rpartition("/")[0]
        while parent:
            (folder / parent).rmdir()
            parent = parent.rpartition("/")[0]
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise _local_failure(error, path, "remove") from error


def _open_folder(root: Path, path: RelPath, *, make: bool) -> int:
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


def _local_failure(error: OSError, path: str, verb: str) -> LocalFailure | DiskFull:
    """An OSError in our words."""
    shown = ascii(path)[1:-1]
    reason = error.strerror or str(error)
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull(f"{shown} cannot be written: {reason}", path=shown)
    hints = {
        errno.EACCES: "check its owner and rights",
        errno.EPERM: "check its owner and rights",
        errno.EROFS: "the disk is mounted read-only",
        errno.EMFILE: "raise the limit of open files (ulimit -n)",
        errno.ENFILE: "the machine has too many files open",
        errno.ELOOP: "a symbolic link stands there; it is not followed",
        errno.ENOTDIR: "a file or a symbolic link stands where a folder must be",
        errno.EISDIR: "a folder stands where the file must be",
    }
    return LocalFailure(
        f"{shown} cannot be {'read' if verb == 'read' else 'written' if verb == 'write' else 'removed'}: {reason}",
        hint=hints.get(error.errno or 0, ""),
        path=shown,
        errno=error.errno,
    )
