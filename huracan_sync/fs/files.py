"""Open files: one that reads a pinned revision, one that writes and is committed only when all went well."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any, Self

from fsspec.compression import compr
from fsspec.spec import AbstractBufferedFile

from huracan_sync.errors import HuracanError
from huracan_sync.fs.commits import Target, commit_upload
from huracan_sync.fs.os_errors import as_os_error, os_error
from huracan_sync.fs.read_cache import AdaptiveCache
from huracan_sync.fs.views import describe
from huracan_sync.remote.listing import FileMetadata
from huracan_sync.transfer.ranges import PART, ReadAhead
from huracan_sync.transfer.staging import StreamUpload

if TYPE_CHECKING:
    from huracan_sync.fs.readable import ReadableFileSystem
    from huracan_sync.fs.writable import WritableFileSystem


LINES = 64 * 1024
"""Bytes in which a line is looked for at a time."""


class ReadFile(AbstractBufferedFile):
    """A file at the revision that lay there when it was opened, whatever is written meanwhile."""

    def __init__(
        self,
        fs: ReadableFileSystem,
        path: str,
        described: FileMetadata,
        *,
        block_size: int | str | None = None,
        cache_type: str = AdaptiveCache.name,
        cache_options: dict[str, Any] | None = None,
    ) -> None:
        """Open it; nothing is fetched yet.

        Args:
            fs: the filesystem.
            path: where it was opened.
            described: the revision.
            block_size: for fsspec's own caches.
            cache_type: `adaptive`, or one of fsspec's own caches.
            cache_options: for that cache.
        """
        options = dict(cache_options or {})
        if cache_type == AdaptiveCache.name:
            options["read_ahead"] = self._read_ahead
        self.described = described
        self._kept_options = (block_size, cache_type, cache_options)
        super().__init__(
            fs,
            path,
            "rb",
            block_size=block_size or "default",
            cache_type=cache_type,
            cache_options=options,
            size=described.size,
        )
        self._details = describe(path, described)

    def _fetch_range(self, start: int, end: int) -> bytes:
        with as_os_error(self.path):
            data: bytes = self.fs.read_range(self.described, self.path, start, end)
            return data

    def _read_ahead(self, start: int, first: int) -> ReadAhead:
        def fetch(begin: int, end: int) -> bytes:
            with as_os_error(self.path):
                data: bytes = self.fs.fetch_part(self.described, self.path, begin, end)
                return data

        return ReadAhead(self.fs.threads, fetch, start=start, end=self.size, first=min(first, PART))

    def readuntil(self, char: bytes = b"\n", blocks: int | None = None) -> Any:
        """Up to and including `char`, looked for in small steps: lines are short."""
        return super().readuntil(char, blocks or LINES)

    def read1(self, length: int = -1) -> Any:
        """As `read`: one call gives all that is asked for."""
        return self.read(length)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.fs, self.path, self.described, self._kept_options, self.loc)


def _reopen(
    fs: ReadableFileSystem, path: str, described: FileMetadata, options: tuple[Any, Any, Any], position: int
) -> ReadFile:
    block_size, cache_type, cache_options = options
    file = ReadFile(fs, path, described, block_size=block_size, cache_type=cache_type, cache_options=cache_options)
    file.seek(position)
    return file


class WriteFile(io.RawIOBase):
    """A file on its way to Dropbox. `close` commits it, unless something failed: then nothing of it is ever seen.

    Text, compression and buffering layers close this file also when an exception passes through their `with` block, so
    an exception that is being handled at `close`, and was not when the file was opened, counts as a failure.
    """

    mode = "wb"

    def __init__(self, fs: WritableFileSystem, path: str, *, exclusive: bool, autocommit: bool) -> None:
        """Open it; nothing is sent yet.

        Args:
            fs: the filesystem.
            path: where it will lie.
            exclusive: nothing may lie there.
            autocommit: commit on `close`; else by `commit`, within a transaction.
        """
        super().__init__()
        self.fs = fs
        self.path = path
        self.exclusive = exclusive
        self.autocommit = autocommit
        self.upload = StreamUpload(fs.account.remote, fs.account.threads)
        self.is_complete = False
        """Whether it was closed with nothing gone wrong."""
        self._failed = False
        self._handled_at_open = sys.exc_info()[1]

    @property
    def name(self) -> str:
        """The path."""
        return self.path

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self.upload.size

    def writable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: object) -> int:
        """Refused: it is written."""
        raise io.UnsupportedOperation("not readable")

    def tell(self) -> int:
        """Bytes written so far."""
        return self.upload.size

    def write(self, data: Any) -> int:
        """Take bytes; whatever is full goes out meanwhile.

        Raises:
            OSError: it could not be sent. Nothing will be committed.
        """
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        if self._failed:
            raise OSError(f"an earlier write to {self.path} failed; nothing of it will be committed")
        view = memoryview(data).cast("B")
        try:
            self.upload.write(view)
        except HuracanError as error:
            self._failed = True
            raise os_error(error, self.path) from error
        except BaseException:
            self._failed = True
            raise
        return len(view)

    def close(self) -> None:
        """Send what is left and commit it, or discard all of it.

        Raises:
            OSError: it was not committed.
        """
        if self.closed:
            return
        handled = sys.exc_info()[1]
        is_failing = handled is not None and handled is not self._handled_at_open
        try:
            if is_failing:
                self.upload.discard()
                return
            if self._failed:
                self.upload.discard()
                raise OSError(f"a write to {self.path} failed; nothing of it was committed")
            self.is_complete = True
            if self.autocommit:
                self.commit()
            else:
                self.fs.transaction.batch.add(self.path, self.upload, exclusive=self.exclusive)
        finally:
            super().close()

    def commit(self) -> None:
        """Put it in its place. Called once, by `close` or by the transaction.

        Raises:
            OSError: it was not.
        """
        commit_upload(self.fs.account, self.path, self.upload, Target(b"", self.exclusive))

    def discard(self) -> None:
        """Discard what was written; nothing of it is committed."""
        self._failed = True
        self.upload.discard()

    def __exit__(self, kind: object, *rest: object) -> None:
        self._failed = self._failed or kind is not None
        if kind is not None:
            self.upload.discard()
            super().close()
        else:
            self.close()

    def __enter__(self) -> Self:
        return self

    def __del__(self) -> None:
        # Nobody closed it: it was abandoned, so it is not committed.
        if not self.closed:
            self._failed = True
            self.upload.discard()
            super().close()

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a file that is being written cannot be pickled; close it first")


class CompressedFile(io.BufferedIOBase):
    """A compressing layer that closes the file below it: those of Python leave it open, and so uncommitted."""

    def __init__(self, file: ReadFile | WriteFile, compression: str | None, mode: str) -> None:
        """Put the layer on a file.

        Args:
            file: the file below.
            compression: a name that fsspec knows; None for no layer.
            mode: `r`, `w` or `x`.
        """
        super().__init__()
        self._file = file
        self._layer = compr[compression](file, mode="r" if mode == "r" else "w")

    def readable(self) -> bool:
        """Whether it was opened to read."""
        return isinstance(self._file, ReadFile)

    def writable(self) -> bool:
        """Whether it was opened to write."""
        return isinstance(self._file, WriteFile)

    def seekable(self) -> bool:
        """As the layer."""
        return bool(self._layer.seekable())

    def read(self, size: int | None = -1, /) -> bytes:
        """Bytes as they were before compression."""
        return bytes(self._layer.read(-1 if size is None else size))

    def read1(self, size: int = -1, /) -> bytes:
        """As `read`, perhaps fewer."""
        return self.read(LINES if size < 0 else size)

    def write(self, data: Any, /) -> int:
        """Bytes to be compressed."""
        return int(self._layer.write(data))

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go there; slow, for the layer reads its way."""
        return int(self._layer.seek(offset, whence))

    def tell(self) -> int:
        """The next byte, before compression."""
        return int(self._layer.tell())

    def flush(self) -> None:
        """Do nothing: part of a compressed file cannot be used."""

    def close(self) -> None:
        """Close both; what was written is committed unless something failed."""
        if self.closed:
            return
        try:
            if self._layer is not self._file:
                self._layer.close()
        finally:
            super().close()
            self._file.close()

    def __del__(self) -> None:
        # Nobody closed it: the file below discards itself.
        self._layer = self._file = None  # type: ignore[assignment]
