"""Removing, copying and moving as fsspec asks for it: as few requests as Dropbox's own calls take."""

from __future__ import annotations

import errno
from typing import Any

from huracan_sync.fs import relocation, spelling, views
from huracan_sync.fs.local_files import Pair
from huracan_sync.fs.os_errors import as_os_error
from huracan_sync.fs.paths import key
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
        one = self._one(path1, path2) if recursive and maxdepth is None else None
        if one is not None and self._relocate_one(*one, keep=True):
            return
        on_error = on_error or ("ignore" if recursive else "raise")
        with self._gathering() as pairs:
            super().copy(path1, path2, recursive=recursive, maxdepth=maxdepth, on_error="raise", **kwargs)
        self._relocate([(pair.source, pair.target) for pair in pairs], keep=True, on_error=on_error)

    def mv(self, path1: Any, path2: Any, recursive: bool = False, maxdepth: int | None = None, **kwargs: Any) -> None:
        """Move inside Dropbox. What lies at the target is removed first: Dropbox has no move that overwrites.

        Raises:
            FileNotFoundError: nothing lies there.
            OSError: a folder is to go into itself (EINVAL).
        """
        one = self._one(path1, path2)
        if one is not None and maxdepth is None:
            source, target = one
            if key(source) == key(target):
                if source != target:
                    self._present(source)
                    with as_os_error(source):
                        spelling.respell(self.account, source, target)
                return
            self._check_apart([source], target)
            if self._relocate_one(source, target, keep=False):
                return
        self._check_apart(self._named(path1), self._strip_protocol(path2))
        with self._gathering() as pairs:
            super().copy(path1, path2, recursive=recursive, maxdepth=maxdepth, on_error="raise")
        self._relocate([(pair.source, pair.target) for pair in pairs], keep=False, on_error="raise")
        if recursive:
            self._remove_emptied(path1)

    def _one(self, path1: Any, path2: Any) -> tuple[str, str] | None:
        """Source and target where one thing is named, and its new name; None where there may be more to it."""
        if not (isinstance(path1, str) and isinstance(path2, str)) or views.has_magic(path1):
            return None
        source, target = self._readable(path1), self._strip_protocol(path2)
        if path2.endswith("/") and not path1.endswith("/"):
            target = f"{target}/{source.rpartition('/')[2]}"
        return source, self._writable(target)

    def _named(self, paths: Any) -> list[str]:
        """What a caller names, patterns resolved."""
        every = paths if isinstance(paths, list) else [paths]
        return [
            each for path in every for each in (self.glob(path) if views.has_magic(path) else [self._readable(path)])
        ]

    @staticmethod
    def _check_apart(sources: list[str], targets: Any) -> None:
        """Raise where a folder would go into itself: what was moved there would go with what is left of it."""
        for target in targets if isinstance(targets, list) else [targets]:
            for source in sources:
                if f"{key(target)}/".startswith(f"{key(source)}/"):
                    raise OSError(errno.EINVAL, "a folder cannot be moved into itself", source, None, target)

    def _remove_emptied(self, path1: Any) -> None:
        """Remove what a move has left of its sources: folders in which no file lies."""
        for each in self._named(path1):
            if self.isdir(each) and not self.find(each):
                relocation.remove_whatever(self.account, each)

    def _relocate_one(self, source: str, target: str, *, keep: bool) -> bool:
        """Copy or move a file or a whole folder with one request, where nothing lies at its target; whether so."""
        present = self._present(source)
        if keep and (isinstance(present, FileMetadata) or f"{key(target)}/".startswith(f"{key(source)}/")):
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
            if key(source) == key(target):
                raise FileExistsError(
                    errno.EEXIST, f"that is spelled {present.name!a} in Dropbox, the same file", target
                )
            if isinstance(present, FileMetadata):
                wanted.append((source, target))
            else:
                folders.append(target)
        self._make_empty(folders, [target for _, target in wanted])
        missing = relocation.relocate(self.account, wanted, keep=keep)
        if missing and on_error == "raise":
            raise FileNotFoundError(errno.ENOENT, "nothing lies there in Dropbox any more", missing[0])
