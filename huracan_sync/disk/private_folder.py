"""A folder that is ours alone, and files in it that are read and placed whole.

Laws: the folder is 0700 and ours; a file in it is regular, ours, 0600 or stricter and has one name. Whatever is
otherwise is refused, never repaired: somebody else may have read or planted it. Every check looks at the open
descriptor, and every name is resolved below the open folder, so nothing can be exchanged between check and use.
A file is written beside its place, synced, renamed over it, and the folder synced: a crash leaves the old or the new.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from huracan_sync.disk.atomic_write import make_private, remove_temporaries, write_at
from huracan_sync.disk.lock import hold
from huracan_sync.errors import DiskFull, HuracanError, LocalFailure, UnsafePlace, hint_of

LOCK_S = 10.0
"""Seconds to wait for a lock that another process holds over a few milliseconds of disk."""


class Folder:
    """One private folder. It is created by the first write; before that, reading finds nothing."""

    def __init__(
        self, path: Path, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.path = path
        self._clock = clock
        self._sleep = sleep

    def read(self, name: str, *, most: int) -> bytes | None:
        """The file's bytes, or None when there is none.

        Raises:
            UnsafePlace: the folder or the file is not ours alone, or is larger than `most` bytes.
        """
        with self._opened(create=False) as folder:
            if folder is None:
                return None
            try:
                # O_NONBLOCK: a planted pipe must not hang the open.
                file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            except FileNotFoundError:
                return None
            except OSError as error:
                raise self._failure(error, name, "read") from error
            with open(file, "rb") as stream:  # noqa: PTH123 - a descriptor, not a path
                self._check_file(os.fstat(file), name, most)
                data = stream.read(most + 1)
            if len(data) > most:
                raise self._unsafe(name, f"it is larger than {most} bytes")
            return data

    def write(self, name: str, data: bytes) -> None:
        """Place `data` whole under `name`. Call it under the lock that guards `name`.

        Raises:
            UnsafePlace: the folder is not ours alone.
            DiskFull: no space; what was there is untouched.
            LocalFailure: the disk refused otherwise.
        """
        with self._opened(create=True) as folder:
            assert folder is not None  # noqa: S101 - create=True made it
            try:
                write_at(folder, name, data)
            except OSError as error:
                raise self._failure(error, name, "written") from error

    def sweep(self, name: str) -> None:
        """Remove what writers of `name` left when they were killed. Call it under the lock that guards `name`."""
        with self._opened(create=False) as folder:
            if folder is not None:
                remove_temporaries(folder, name)

    def remove(self, name: str) -> bool:
        """Remove the file; False when there was none."""
        with self._opened(create=False) as folder:
            if folder is None:
                return False
            try:
                os.unlink(name, dir_fd=folder)
                os.fsync(folder)
            except FileNotFoundError:
                return False
            except OSError as error:
                raise self._failure(error, name, "removed") from error
            return True

    @contextlib.contextmanager
    def locked(self, name: str, *, timeout: float = LOCK_S) -> Iterator[None]:
        """Hold the lock `name`, alone among all threads and processes of this machine.

        Raises:
            Busy: another held it for `timeout` seconds.
            UnsafePlace: the folder is not ours alone.
            LocalFailure: the disk takes no lock.
        """
        with self._opened(create=True):
            pass
        path = self.path / name
        with hold(path, what=str(path), wait_s=timeout, clock=self._clock, sleep=self._sleep):
            yield

    @contextlib.contextmanager
    def _opened(self, *, create: bool) -> Iterator[int | None]:
        """The folder as an open, checked descriptor; None when it is not there."""
        try:
            if create:
                make_private(self.path)
            folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            yield None
            return
        except OSError as error:
            raise self._failure(error, "", "opened") from error
        try:
            status = os.fstat(folder)
            if status.st_uid != os.geteuid():
                raise self._unsafe("", f"it belongs to user {status.st_uid}, not to us")
            if status.st_mode & 0o077:
                mode = stat.S_IMODE(status.st_mode)
                raise self._unsafe("", f"others may enter it (mode {mode:04o})", hint=f"run `chmod 700 {self.path}`")
            yield folder
        finally:
            os.close(folder)

    def _check_file(self, status: os.stat_result, name: str, most: int) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise self._unsafe(name, "it is no regular file")
        if status.st_uid != os.geteuid():
            raise self._unsafe(name, f"it belongs to user {status.st_uid}, not to us")
        if status.st_mode & 0o077:
            mode = stat.S_IMODE(status.st_mode)
            hint = f"if nobody else can have read it, run `chmod 600 {self.path / name}`; else log in again"
            raise self._unsafe(name, f"others may read or change it (mode {mode:04o})", hint=hint)
        if status.st_nlink != 1:
            raise self._unsafe(name, f"it has {status.st_nlink} names (hard links)")
        if status.st_size > most:
            raise self._unsafe(name, f"it is larger than {most} bytes")

    def _unsafe(self, name: str, reason: str, hint: str = "see who made it, then move it away") -> UnsafePlace:
        path = self.path / name if name else self.path
        return UnsafePlace(f"{path} is refused: {reason}", hint=hint, path=path, reason=reason)

    def _failure(self, error: OSError, name: str, verb: str) -> HuracanError:
        path = self.path / name if name else self.path
        if error.errno in {errno.ELOOP, errno.EMLINK} or (error.errno == errno.ENOTDIR and path.is_symlink()):
            return self._unsafe(name, "it is a symbolic link")
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return DiskFull(f"{path} cannot be {verb}: {error.strerror}", path=path)
        return LocalFailure(f"{path} cannot be {verb}: {error.strerror}", hint=hint_of(error), path=path)
