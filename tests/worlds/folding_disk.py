"""A disk that folds as those of macOS do: one file for all names that are equal caseless and decomposed.

Where this user may mount one, it is a mounted disk with the kernel in between (`mounted_disk`). Elsewhere every call of
this process that names a file below the folder is led to the entry that is there under another spelling: `os.open`,
`os.stat` and their like, with and without `dir_fd`, and what `pathlib` calls. Names are kept as they were given, or
decomposed (HFS+).
"""

# ruff: noqa: PTH109, PTH115, PTH117, PTH118, PTH206 - what pathlib stands on

import contextlib
import io
import os
import unicodedata
from pathlib import Path
from unittest import mock

from mounted_disk import Unmountable, mount

_REAL = {name: getattr(os, name) for name in (
    "open", "stat", "lstat", "mkdir", "rename", "replace", "link", "unlink", "remove", "rmdir", "listdir", "scandir",
    "utime", "chmod", "access",
)}  # fmt: skip


def caseless(name):
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


class _Disk:
    def __init__(self, root, *, decomposes):
        self._root, self._decomposes = os.path.realpath(root), decomposes

    def found(self, path, dir_fd=None):
        """The path as the disk has it: the entry that is there, else the name as it is written."""
        if isinstance(path, int) or (folder := self._absolute(path, dir_fd)) is None:
            return path, dir_fd
        at = self._root
        for name in os.path.relpath(folder, self._root).split(os.sep):
            try:
                inside = _REAL["listdir"](at)
            except OSError:
                inside = []
            kept = next((other for other in inside if caseless(other) == caseless(name)), None)
            at = os.path.join(at, kept or (unicodedata.normalize("NFD", name) if self._decomposes else name))
        return at, None

    def _absolute(self, path, dir_fd):
        path = os.fspath(path)
        path = path.decode() if isinstance(path, bytes) else path
        if not os.path.isabs(path):
            above = os.readlink(f"/proc/self/fd/{dir_fd}") if dir_fd is not None else os.getcwd()
            path = os.path.join(above, path)
        path = os.path.normpath(path)
        return path if path.startswith(self._root + os.sep) else None


@contextlib.contextmanager
def folding(root, *, decomposes=False):
    """Within the block everything below `root`, an empty folder, lies on such a disk."""
    with contextlib.ExitStack() as disk:
        try:
            disk.enter_context(mount(root, decomposes=decomposes))
        except Unmountable:
            disk.enter_context(in_this_process(root, decomposes=decomposes))
        yield


@contextlib.contextmanager
def in_this_process(root, *, decomposes=False):
    """As `folding`, for the calls of this process alone."""
    Path(root).mkdir(parents=True, exist_ok=True)
    disk = _Disk(root, decomposes=decomposes)

    def one(name):
        def call(path, *rest, dir_fd=None, **more):
            path, dir_fd = disk.found(path, dir_fd)
            return _REAL[name](path, *rest, **({"dir_fd": dir_fd} if dir_fd is not None else {}), **more)

        return call

    def two(name):
        def call(source, target, *, src_dir_fd=None, dst_dir_fd=None, **more):
            (source, src), (target, dst) = disk.found(source, src_dir_fd), disk.found(target, dst_dir_fd)
            return _REAL[name](source, target, src_dir_fd=src, dst_dir_fd=dst, **more)

        return call

    def opened(file, *rest, **more):
        return real_open(disk.found(file)[0], *rest, **more)

    real_open = io.open
    with contextlib.ExitStack() as patches:
        for name in ("open", "stat", "lstat", "mkdir", "unlink", "remove", "rmdir", "utime", "chmod", "access"):
            patches.enter_context(mock.patch(f"os.{name}", one(name)))
        for name in ("rename", "replace", "link"):
            patches.enter_context(mock.patch(f"os.{name}", two(name)))
        patches.enter_context(mock.patch("io.open", opened))
        patches.enter_context(mock.patch("builtins.open", opened))
        yield
