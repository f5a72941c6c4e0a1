"""Removing, copying and moving as fsspec asks for it: as few requests as Dropbox's own calls take."""

from __future__ import annotations

import errno
from typing import Any

from huracan_sync.fs import relocation, views
from huracan_sync.fs.local_files import Pair
from huracan_sync.fs.writable import WritableFileSystem
from huracan_sync.remote.listing import FileMetadata, FolderMetadata

BULK_TTL_S = 60.0
"""Seconds for which what a bulk operation has listed at its beginning is believed by that operation."""


class MovableFileSystem(WritableFileSystem):
    """Removes, copies and moves too."""

    def rmdir(self, path: Any) -> None:
        """Remove a folder that is empty.

        Raises:
            OSError: it is not (ENOTEMPTY).
        """
        path = self._writable(path)
        inside = self._list(path, recursive=False)
        if inside is None:
            raise NotADirectoryError(errno.ENOTDIR, "that is a file in Dropbox", path)
        if inside:
            raise OSError(errno.ENOTEMPTY, "the folder is not empty", path)
        relocation.remove_whatever(self.account, path)

    def rm_file(self, path: Any) -> None:
        """Remove a file: exactly the revision that is known to lie there.

        Raises:
            IsADirectoryError: it is a folder.
        """
        path = self._writable(path)
        self._file(path)
        relocation.remove_files(self.account, [path])

    _rm = rm_file

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        """Remove files and folders; a whole folder with one request."""
        if recursive and maxdepth is None:
            for each in path if isinstance(path, list) else [path]:
                for one in self.expand_path(each) if views.has_magic(each) else [self._writable(each)]:
                    relocation.remove_whatever(self.account, one)
            return
        paths = self.expand_path(path, recursive=recursive, maxdepth=maxdepth)
        kinds = {each: self._present(each) for each in map(self._writable, paths)}
        relocation.remove_files(
            self.account, [each for each, found in kinds.items() if isinstance(found, FileMetadata)]
        )
        for each, found in sorted(kinds.items(), reverse=True):
            if isinstance(found, FolderMetadata):
                self.rmdir(each)

    def cp_file(self, path1: Any, path2: Any, **kwargs: Any) -> None:
        """Copy a file inside Dropbox; of a folder, only the folder itself."""
        source, target = self._readable(path1), self._writable(path2)
        gathered = self._gathered
        if gathered is not None:
            gathered.append(Pair(source, target, None))
        else:
            self._relocate([(source, target)], keep=True, on_error="raise")

    def copy(
        self,
        path1: Any,
        path2: Any,
        recursive: bool = False,
        maxdepth: int | None = None,
        on_error: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Copy inside Dropbox: a whole folder with one request, many files in one job."""
        if maxdepth is None and self._relocate_folder(path1, path2, recursive=recursive, keep=True):
            return
        on_error = on_error or ("ignore" if recursive else "raise")
        with self._gathering() as pairs:
            super().copy(path1, path2, recursive=recursive, maxdepth=maxdepth, on_error="raise", **kwargs)
        self._relocate([(pair.source, pair.target) for pair in pairs], keep=True, on_error=on_error)

    def mv(self, path1: Any, path2: Any, recursive: bool = False, maxdepth: int | None = None, **kwargs: Any) -> None:
        """Move inside Dropbox. What lies at the target is removed first: Dropbox has no move that overwrites."""
        if self._strip_protocol(path1) == self._strip_protocol(path2):
            return
        if maxdepth is None and self._relocate_folder(path1, path2, recursive=recursive, keep=False):
            return
        with self._gathering() as pairs:
            super().copy(path1, path2, recursive=recursive, maxdepth=maxdepth, on_error="raise")
        self._relocate([(pair.source, pair.target) for pair in pairs], keep=False, on_error="raise")
        if recursive:
            for each in path1 if isinstance(path1, list) else [path1]:
                for left in self.expand_path(each) if views.has_magic(each) else [self._writable(each)]:
                    if self.exists(left):
                        relocation.remove_whatever(self.account, left)

    def _relocate_folder(self, path1: Any, path2: Any, *, recursive: bool, keep: bool) -> bool:
        """Copy or move a whole folder with one request, where nothing lies at its target; whether that was so."""
        plain = isinstance(path1, str) and isinstance(path2, str) and not views.has_magic(path1)
        if not (recursive and plain):
            return False
        source, target = self._readable(path1), self._writable(path2)
        if not self.isdir(source):
            return False
        if not path1.endswith("/") and (path2.endswith("/") or self.isdir(target)):
            target = f"{target}/{source.rpartition('/')[2]}"
        if self.exists(target) or target.startswith(f"{source}/"):
            return False
        return relocation.relocate_folder(self.account, source, target, keep=keep)

    def _relocate(self, pairs: list[tuple[str, str]], *, keep: bool, on_error: str) -> None:
        wanted, folders = [], []
        for source, target in pairs:
            try:
                present = self._present(source, BULK_TTL_S)
            except FileNotFoundError:
                if on_error == "raise":
                    raise
                continue
            if source == target:
                continue
            if isinstance(present, FileMetadata):
                wanted.append((source, target))
            else:
                folders.append(target)
        self._make_empty(folders, [target for _, target in wanted])
        missing = relocation.relocate(self.account, wanted, keep=keep)
        if missing and on_error == "raise":
            raise FileNotFoundError(errno.ENOENT, "nothing lies there in Dropbox any more", missing[0])
