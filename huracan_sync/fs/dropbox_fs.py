"""`dropbox://path`: Dropbox as an fsspec filesystem, to read and to write.

A path is absolute in the account: `dropbox://a/b` and `dropbox:///a/b` both mean `/a/b`. Dropbox knows no case: a file
is found under the spelling it was written with, and under no other.
"""

from __future__ import annotations

import errno
import io
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Never

from fsspec.callbacks import DEFAULT_CALLBACK, NoOpCallback
from fsspec.core import get_compression
from fsspec.utils import isfilelike

from huracan_sync.errors import NotFound, UsageError
from huracan_sync.fs import local_files, relocation, views
from huracan_sync.fs.account import ACCOUNTS, Account, login_of
from huracan_sync.fs.commits import Batch, Target, commit_upload
from huracan_sync.fs.files import CompressedFile, ReadFile, WriteFile
from huracan_sync.fs.local_files import Pair
from huracan_sync.fs.metadata_cache import TTL_S
from huracan_sync.fs.os_errors import as_os_error
from huracan_sync.fs.paths import check_writable, parent, parents
from huracan_sync.fs.read_cache import AdaptiveCache
from huracan_sync.fs.readable import ReadableFileSystem
from huracan_sync.fs.transaction import BatchTransaction
from huracan_sync.remote import files
from huracan_sync.remote.folder_listing import Present
from huracan_sync.remote.grant import Grant
from huracan_sync.remote.listing import FileMetadata, FolderMetadata
from huracan_sync.secret import Secret
from huracan_sync.transfer.staging import StreamUpload
from huracan_sync.tree.paths import fold

BULK_TTL_S = 60.0
"""Seconds for which what a bulk operation has listed at its beginning is believed by that operation."""


class DropboxFileSystem(ReadableFileSystem):
    """Dropbox, as fsspec knows a filesystem. Instances of one login share connections, pacing and what they know."""

    protocol = "dropbox"
    transaction_type = BatchTransaction

    def __init__(
        self,
        profile: str = "engine",
        *,
        token: str | Secret | None = None,
        grant: Grant | None = None,
        metadata_ttl: float = TTL_S,
        **storage_options: Any,
    ) -> None:
        """Open nothing; the first call finds the login.

        Args:
            profile: the login to use, as `huracan-sync authorize --profile` made it.
            token: a short-lived access token instead; it cannot be renewed, and such a filesystem cannot be pickled.
            grant: what a driver has lent (`remote.lend()`) instead: it travels to workers with the filesystem.
            metadata_ttl: seconds for which what is known of a single path is believed. Listings always ask.
            storage_options: fsspec's own.
        """
        if self._cached:
            return
        super().__init__(**storage_options)
        self._token = Secret(token) if isinstance(token, str) else token
        self._secret = grant or self._token
        self._login = login_of(profile, self._secret)
        self._ttl_s = metadata_ttl
        self._local = threading.local()

    @property
    def account(self) -> Account:
        """What all filesystems of this login share in this process."""
        return ACCOUNTS.of(self._login, self._secret)

    # --- what an instance is --------------------------------------------------------------------------------------

    @property
    def storage_options(self) -> dict[str, Any]:
        """The arguments, without a token's value."""
        return self._options

    @storage_options.setter
    def storage_options(self, options: dict[str, Any]) -> None:
        secret = options.get("token")
        self._options = {**options, "token": Secret(secret)} if isinstance(secret, str) else options

    def __reduce__(self) -> Any:
        if self._token is not None:
            raise TypeError("a filesystem with a token is not pickled: name a profile that the other process can open")
        return super().__reduce__()

    def to_dict(self, *, include_password: bool = True) -> dict[str, Any]:
        """For JSON. A token is never in it: the other side needs a profile of its own."""
        options = self._options
        self._options = {name: value for name, value in options.items() if name not in {"token", "grant"}}
        try:
            described: dict[str, Any] = super().to_dict(include_password=include_password)
        finally:
            self._options = options
        return described

    @property
    def fsid(self) -> str:
        """What tells this account's files from another's."""
        return f"dropbox-{self.account.remote.place}"

    # --- paths ----------------------------------------------------------------------------------------------------

    def _writable(self, path: Any) -> str:
        stripped: str = self._strip_protocol(path)
        if not stripped:
            raise IsADirectoryError(errno.EISDIR, "the root of the account is a folder", "/")
        with as_os_error(stripped):
            return check_writable(stripped)

    # --- what lies where ------------------------------------------------------------------------------------------

    @property
    def threads(self) -> Executor:
        """Shared by all filesystems of this login."""
        return self.account.threads

    def lookup(self, path: str, ttl_s: float | None = None) -> Present:
        """See `ReadableFileSystem`."""
        try:
            present = self.account.metadata.info(path, ttl_s=self._ttl_s if ttl_s is None else ttl_s)
        except UsageError as error:
            raise NotFound(f"nothing lies at {path} in Dropbox: {error}", path=path) from error
        name = path.rpartition("/")[2]
        if present.name != name and fold(present.name) == fold(name):
            raise NotFound(f"{path} is spelled {present.name!a} in Dropbox", hint="use that spelling", path=path)
        return present

    def list_folder(self, path: str, *, recursive: bool) -> list[tuple[str, Present]]:
        """See `ReadableFileSystem`."""
        return self.account.metadata.listing(path, recursive=recursive)

    def read_range(self, described: FileMetadata, path: str, start: int, end: int) -> bytes:
        """See `ReadableFileSystem`: exactly the revision that is described."""
        return self.account.read(described, path, start, end)

    def fetch_part(self, described: FileMetadata, path: str, start: int, end: int) -> bytes:
        """See `ReadableFileSystem`."""
        return self.account.fetch_part(described, path, start, end)

    def invalidate_cache(self, path: Any = None) -> None:
        """Believe nothing of what is known of a path, or of any."""
        self.account.metadata.forget(None if path is None else self._strip_protocol(path))
        super().invalidate_cache(path)

    # --- reading --------------------------------------------------------------------------------------------------

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | str | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> ReadFile | WriteFile:
        if mode == "rb":
            path = self._readable(path)
            cache_type = kwargs.get("cache_type") or AdaptiveCache.name
            described = self._file(path)
            return ReadFile(
                self, path, described, block_size=block_size, cache_type=cache_type, cache_options=cache_options
            )
        if mode not in {"wb", "xb"}:
            raise io.UnsupportedOperation(f"mode {mode!r}: Dropbox replaces files whole; write the file anew")
        path = self._writable(path)
        if mode == "xb" and self.exists(path):
            raise FileExistsError(errno.EEXIST, "that exists in Dropbox", path)
        if isinstance(self.account.metadata.remembered(path, ttl_s=self._ttl_s), FolderMetadata):
            raise IsADirectoryError(errno.EISDIR, "that is a folder in Dropbox", path)
        return WriteFile(self, path, exclusive=mode == "xb", autocommit=autocommit)

    def open(self, path: Any, mode: str = "rb", compression: str | None = None, **kwargs: Any) -> Any:
        """Open a file, as fsspec does; here closing a compressed file closes, and so commits, the file below it."""
        if compression is None or "b" not in mode:
            return super().open(path, mode, compression=compression, **kwargs)
        return CompressedFile(super().open(path, mode, **kwargs), get_compression(path, compression), mode[0])

    def get_file(
        self, rpath: Any, lpath: Any, callback: Any = DEFAULT_CALLBACK, outfile: Any = None, **kwargs: Any
    ) -> None:
        """Fetch one file. It is put in its local place when all of it is there and verified."""
        rpath = self._readable(rpath)
        if outfile is not None or isfilelike(lpath):
            super().get_file(rpath, lpath, callback=callback, outfile=outfile, **kwargs)
            return
        if not rpath or self.isdir(rpath):
            below = getattr(self._local, "below", None) or local_files.Below()
            with as_os_error(rpath):
                below.make_folder(os.fspath(lpath))
            return
        gathered = self._gathered
        pair = Pair(rpath, os.fspath(lpath), callback)
        if gathered is not None:
            gathered.append(pair)
        else:
            local_files.get_many(self.account, [pair], self._file)

    def get(
        self,
        rpath: Any,
        lpath: Any,
        recursive: bool = False,
        callback: Any = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        active_names: bool = False,
        **kwargs: Any,
    ) -> None:
        """Fetch files: folders of small ones as zips where that pays. No link below `lpath` is followed.

        Raises:
            PermissionError: a folder holds a file that programs act on by themselves (`.git/config`, `.bashrc`), and
                `active_names` does not ask for it; nothing was fetched.
        """
        folder = Path(lpath).absolute() if recursive and isinstance(lpath, str | os.PathLike) else None
        self._local.below = below = local_files.Below(folder)
        try:
            with self._gathering() as pairs:
                super().get(rpath, lpath, recursive=recursive, callback=NoOpCallback(), maxdepth=maxdepth, **kwargs)
        finally:
            self._local.below = None
        if recursive and isinstance(rpath, str) and not active_names:
            local_files.check_harmless(self._strip_protocol(rpath).rstrip("/"), pairs)
        callback.set_size(len(pairs))
        counted = [pair._replace(callback=callback.branched(pair.source, pair.target)) for pair in pairs]
        local_files.get_many(self.account, counted, lambda path: self._file(path, BULK_TTL_S), below)
        callback.relative_update(len(pairs))

    # --- writing --------------------------------------------------------------------------------------------------

    def end_of_transaction(self) -> None:
        """Writes are committed one by one again."""
        self._intrans = False
        self._transaction = None

    def pipe_file(self, path: Any, value: Any, mode: str = "overwrite", **kwargs: Any) -> None:
        """Put content at a path; with mode `create` nothing may lie there."""
        with self.open(self._writable(path), "xb" if mode == "create" else "wb") as file:
            file.write(value)

    def pipe(self, path: Any, value: Any = None, **kwargs: Any) -> None:
        """Put content at a path, or many contents at theirs with few requests."""
        if not isinstance(path, dict) or self._intrans or kwargs:
            super().pipe(path, value, **kwargs)
            return
        batch = Batch(self.account)
        for each, content in path.items():
            batch.add_content(self._writable(each), content)
        batch.commit()

    def put_file(
        self, lpath: Any, rpath: Any, callback: Any = DEFAULT_CALLBACK, mode: str = "overwrite", **kwargs: Any
    ) -> None:
        """Send one file."""
        local, gathered = os.fspath(lpath), self._gathered
        if gathered is not None and mode == "overwrite":
            gathered.append(Pair(local, self._strip_protocol(rpath), callback))
            return
        if Path(local).is_dir():
            self.makedirs(rpath, exist_ok=True)
            return
        rpath = self._writable(rpath)
        upload = StreamUpload(self.account.remote, self.account.threads)
        exclusive = mode == "create"
        try:
            with as_os_error(rpath):
                mtime_ms = local_files.read_into(upload, local, callback)
            if self._intrans:
                self.transaction.batch.add(rpath, upload, exclusive=exclusive, mtime_ms=mtime_ms)
            else:
                commit_upload(self.account, rpath, upload, Target(b"", exclusive, mtime_ms))
        except BaseException:
            upload.discard()
            raise

    def put(
        self,
        lpath: Any,
        rpath: Any,
        recursive: bool = False,
        callback: Any = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Send files, many with few requests. Folders without a file in them are made too."""
        with self._gathering() as pairs:
            super().put(lpath, rpath, recursive=recursive, callback=NoOpCallback(), maxdepth=maxdepth, **kwargs)
        folders = [pair.target for pair in pairs if Path(pair.source).is_dir()]
        pairs = [pair._replace(target=self._writable(pair.target)) for pair in pairs if pair.target not in folders]
        callback.set_size(len(pairs))
        self._make_empty(folders, [pair.target for pair in pairs])
        if len(pairs) == 1 or self._intrans:
            for pair in pairs:
                self.put_file(pair.source, pair.target, callback=callback.branched(pair.source, pair.target))
                callback.relative_update(1)
            return
        batch = Batch(self.account)
        for pair in pairs:
            upload = StreamUpload(self.account.remote, self.account.threads)
            with as_os_error(pair.target):
                child = callback.branched(pair.source, pair.target)
                mtime_ms = local_files.read_into(upload, pair.source, child)
            batch.add(pair.target, upload, mtime_ms=mtime_ms)
            callback.relative_update(1)
        batch.commit()

    def _make_empty(self, folders: list[str], files_made: list[str]) -> None:
        """Make the folders that no file and no other folder makes."""
        made = {above for path in (*folders, *files_made) for above in parents(path)}
        for path in folders:
            if path and path not in made:
                self.makedirs(path, exist_ok=True)

    @contextmanager
    def _gathering(self) -> Iterator[list[Pair]]:
        """Within the block `put_file`, `get_file` and `cp_file` of this thread only note what they are asked for."""
        pairs: list[Pair] = []
        self._local.gathered = pairs
        try:
            yield pairs
        finally:
            self._local.gathered = None

    @property
    def _gathered(self) -> list[Pair] | None:
        return getattr(self._local, "gathered", None)

    # --- folders, moving, removing --------------------------------------------------------------------------------

    def mkdir(self, path: Any, create_parents: bool = True, **kwargs: Any) -> None:
        """Make a folder.

        Raises:
            FileExistsError: something lies there.
        """
        path = self._writable(path)
        if not create_parents and parent(path) and not self.isdir(parent(path)):
            raise FileNotFoundError(errno.ENOENT, "there is no such folder in Dropbox", parent(path))
        with as_os_error(path):
            is_new = files.create_folder(self.account.remote, path)
        if not is_new:
            raise FileExistsError(errno.EEXIST, "that exists in Dropbox", path)
        self.account.metadata.wrote(path, FolderMetadata(path.rpartition("/")[2], path, fold(path)))

    def makedirs(self, path: Any, exist_ok: bool = False) -> None:
        """Make a folder and those it lies in; with `exist_ok` it may be there."""
        path = self._strip_protocol(path)
        if exist_ok and (not path or self.isdir(path)):
            return
        try:
            self.mkdir(path, create_parents=True)
        except FileExistsError:
            if not exist_ok or not self.isdir(path):
                raise

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

    def touch(self, path: Any, truncate: bool = True, **kwargs: Any) -> None:
        """Make an empty file; with `truncate` also where one lies."""
        if truncate or not self.exists(path):
            self.pipe_file(path, b"")

    def sign(self, path: Any, expiration: int = 100, **kwargs: Any) -> Never:
        """Refused: a link that anybody can open says nothing about who does."""
        raise io.UnsupportedOperation("links to Dropbox are not made here")
