"""The half that writes: files that appear whole or not at all, many of them with few requests."""

from __future__ import annotations

import errno
import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Never

from fsspec.callbacks import DEFAULT_CALLBACK, NoOpCallback
from fsspec.core import get_compression

from huracan_sync.fs import local_files, spelling
from huracan_sync.fs.account import Account
from huracan_sync.fs.commits import Batch, Target, commit_upload
from huracan_sync.fs.files import CompressedFile, WriteFile
from huracan_sync.fs.local_files import Pair
from huracan_sync.fs.os_errors import as_os_error
from huracan_sync.fs.paths import check_writable, parent
from huracan_sync.fs.readable import ReadableFileSystem
from huracan_sync.fs.transaction import BatchTransaction
from huracan_sync.remote import files
from huracan_sync.remote.listing import FolderMetadata
from huracan_sync.transfer.staging import StreamUpload
from huracan_sync.tree.paths import ancestors, fold


class WritableFileSystem(ReadableFileSystem):
    """Reads and writes. A subclass says which account."""

    transaction_type = BatchTransaction
    metadata_ttl_s: float
    """Seconds for which what is known of a single path is believed."""
    _local: threading.local

    @property
    def account(self) -> Account:
        """What all filesystems of this login share in this process."""
        raise NotImplementedError

    def _writable(self, path: Any) -> str:
        stripped: str = self._strip_protocol(path)
        if not stripped:
            raise IsADirectoryError(errno.EISDIR, "the root of the account is a folder", "/")
        with as_os_error(stripped):
            return check_writable(stripped)

    def open_to_write(self, path: str, mode: str, *, autocommit: bool) -> WriteFile:
        """A new file, or one in the place of another (`wb`); with `xb` nothing may lie there."""
        if mode not in {"wb", "xb"}:
            raise io.UnsupportedOperation(f"mode {mode!r}: Dropbox replaces files whole; write the whole file again")
        path = self._writable(path)
        if mode == "xb" and self.exists(path):
            raise FileExistsError(errno.EEXIST, "that exists in Dropbox", path)
        present = self.account.metadata.remembered(path, ttl_s=self.metadata_ttl_s)
        if isinstance(present, FolderMetadata):
            raise IsADirectoryError(errno.EISDIR, "that is a folder in Dropbox", path)
        return WriteFile(self, path, exclusive=mode == "xb", autocommit=autocommit)

    def open(self, path: Any, mode: str = "rb", compression: str | None = None, **kwargs: Any) -> Any:
        """Open a file, as fsspec does; here closing a compressed file closes, and so commits, the file below it."""
        if compression is None or "b" not in mode:
            return super().open(path, mode, compression=compression, **kwargs)
        return CompressedFile(super().open(path, mode, **kwargs), get_compression(path, compression), mode[0])

    @property
    def is_in_transaction(self) -> bool:
        """Whether what is written waits for the end of a transaction."""
        return bool(self._intrans)

    def start_transaction(self) -> BatchTransaction:
        """Begin a transaction without a `with` block; `end_transaction` commits it."""
        transaction: BatchTransaction = self.transaction
        transaction.start()
        return transaction

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
        contents = {self._writable(each): content for each, content in path.items()}
        spelling.check_all_differ(contents)
        batch = Batch(self.account)
        for each, content in contents.items():
            batch.add_content(each, content)
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
        """Send files, many with few requests. Folders without a file in them are made too.

        Names that Dropbox never takes (`~$x`, `.DS_Store`, ...) are left out where a folder or a pattern brings them.
        """
        with self._gathering() as pairs:
            super().put(lpath, rpath, recursive=recursive, callback=NoOpCallback(), maxdepth=maxdepth, **kwargs)
        pairs = local_files.without_never_synced(pairs, lpath)
        folders = [pair.target for pair in pairs if Path(pair.source).is_dir()]
        pairs = [pair._replace(target=self._writable(pair.target)) for pair in pairs if pair.target not in folders]
        spelling.check_all_differ(pair.target for pair in pairs)
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
        made = {above for path in (*folders, *files_made) for above in ancestors(path)}
        for path in folders:
            if path and path not in made:
                self.makedirs(path, exist_ok=True)

    @contextmanager
    def _gathering(self) -> Iterator[list[Pair]]:
        """Within the block `put_file`, `get_file` and `cp_file` of this thread only collect their files."""
        pairs: list[Pair] = []
        self._local.gathered = pairs
        try:
            yield pairs
        finally:
            self._local.gathered = None

    @property
    def _gathered(self) -> list[Pair] | None:
        return getattr(self._local, "gathered", None)

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

    def touch(self, path: Any, truncate: bool = True, **kwargs: Any) -> None:
        """Make an empty file; with `truncate` also where one lies."""
        if truncate or not self.exists(path):
            self.pipe_file(path, b"")

    def sign(self, path: Any, expiration: int = 100, **kwargs: Any) -> Never:
        """Refused: anybody could open such a link, and nobody would know who did."""
        raise io.UnsupportedOperation("links to Dropbox are not made here")
