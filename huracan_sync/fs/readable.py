"""The read half of every filesystem here: fsspec's calls, built on three questions that a subclass answers.

What lies at a path (`lookup`), what lies in a folder (`list_folder`), which bytes a file has (`read_range`). Errors
leave as `OSError`; "no" is answered only where nothing lies there, never where that could not be found out.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from datetime import datetime
from typing import Any

from fsspec.spec import AbstractFileSystem
from fsspec.utils import stringify_path

from huracan_sync.fs import views
from huracan_sync.fs.os_errors import as_os_error
from huracan_sync.fs.paths import check_readable, parent, strip
from huracan_sync.fs.views import Info
from huracan_sync.remote.folder_listing import Present
from huracan_sync.remote.listing import FileMetadata


class ReadableFileSystem(AbstractFileSystem):
    """The half that reads. Its errors are `OSError`."""

    root_marker = "/"
    async_impl = False

    # --- what a subclass answers ----------------------------------------------------------------------------------

    @property
    def threads(self) -> Executor:
        """Where bytes are fetched."""
        raise NotImplementedError

    def lookup(self, path: str, ttl_s: float | None = None) -> Present:
        """What lies at a path (not the root).

        Args:
            path: as `strip` gives it.
            ttl_s: seconds for which what is known of it is believed; None: what the filesystem was opened with.

        Raises:
            NotFound: nothing does.
        """
        raise NotImplementedError

    def list_folder(self, path: str, *, recursive: bool) -> list[tuple[str, Present]]:
        """What lies in a folder, with its paths.

        Raises:
            NotFound: there is no such folder.
            UsageError: it is a file.
        """
        raise NotImplementedError

    def read_range(self, described: FileMetadata, path: str, start: int, end: int) -> bytes:
        """Some bytes of a file. Any thread.

        Raises:
            HuracanError: they cannot be had.
        """
        raise NotImplementedError

    def fetch_part(self, described: FileMetadata, path: str, start: int, end: int) -> bytes:
        """As `read_range`, for a file that is read in order: from no cache."""
        return self.read_range(described, path, start, end)

    # --- paths ----------------------------------------------------------------------------------------------------

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        return strip(stringify_path(path), cls.protocol)

    @classmethod
    def _parent(cls, path: str) -> str:
        return parent(cls._strip_protocol(path))

    def unstrip_protocol(self, name: str) -> str:
        """The path as a URL."""
        return f"{self.protocol}://{self._strip_protocol(name)}"

    def _readable(self, path: Any) -> str:
        stripped = self._strip_protocol(path)
        if not isinstance(stripped, str):
            raise TypeError(f"a path is text or a path object, not {type(path).__name__}")
        with as_os_error(stripped):
            return check_readable(stripped)

    # --- what lies where ------------------------------------------------------------------------------------------

    def info(self, path: Any, **kwargs: Any) -> Info:
        """What lies at a path.

        Raises:
            FileNotFoundError: nothing does, or under another spelling.
        """
        path = self._readable(path)
        if not path:
            return views.folder("")
        return views.describe(path, self._present(path))

    def _present(self, path: str, ttl_s: float | None = None) -> Present:
        with as_os_error(path):
            return self.lookup(path, ttl_s)

    def _file(self, path: str, ttl_s: float | None = None) -> FileMetadata:
        """The file at a path.

        Raises:
            FileNotFoundError: nothing lies there.
            IsADirectoryError: a folder does.
        """
        present = self._present(path, ttl_s) if path else None
        if not isinstance(present, FileMetadata):
            raise IsADirectoryError(errno.EISDIR, "that is a folder", path or "/")
        return present

    def ls(self, path: Any, detail: bool = True, **kwargs: Any) -> Any:
        """What lies directly in a folder; of a file, itself."""
        path = self._readable(path)
        found = self._list(path, recursive=False)
        if found is None:
            found = [(path, self._file(path))]
        infos = [views.describe(name, entry) for name, entry in found]
        infos.sort(key=_name)
        return infos if detail else [info["name"] for info in infos]

    def _list(self, path: str, *, recursive: bool) -> list[tuple[str, Present]] | None:
        """What lies in a folder; None where a file lies there.

        Raises:
            FileNotFoundError: nothing lies there.
        """
        try:
            with as_os_error(path):
                return self.list_folder(path, recursive=recursive)
        except NotADirectoryError:
            return None

    def find(
        self,
        path: Any,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Everything below a path, by one listing of Dropbox."""
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        path = self._readable(path)
        try:
            found = self._list(path, recursive=maxdepth != 1)
        except FileNotFoundError:
            return {} if detail else []
        if found is None:
            infos = {path: views.describe(path, self._file(path))}
        else:
            infos = views.found(path, found, maxdepth, withdirs=withdirs)
        return infos if detail else list(infos)

    def walk(
        self,
        path: Any,
        maxdepth: int | None = None,
        topdown: bool = True,
        on_error: Any = "omit",
        **kwargs: Any,
    ) -> Iterator[tuple[str, Any, Any]]:
        """As `os.walk`, by one listing of Dropbox. Errors other than a missing folder are never hidden."""
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        detail = kwargs.pop("detail", False)
        path = self._readable(path)
        try:
            found = self._list(path, recursive=maxdepth != 1)
        except FileNotFoundError as error:
            if on_error == "raise":
                raise
            if callable(on_error):
                on_error(error)
            return
        if found is None:
            yield path, ({} if detail else []), ({"": self.info(path)} if detail else [""])
            return
        yield from views.walked(path, found, maxdepth, topdown=topdown, detail=detail)

    def exists(self, path: Any, **kwargs: Any) -> bool:
        """Whether anything lies there. What cannot be found out is an error, not a no."""
        return self._type(path) is not None

    def isdir(self, path: Any) -> bool:
        """Whether a folder lies there. What cannot be found out is an error, not a no."""
        return self._type(path) == "directory"

    def isfile(self, path: Any) -> bool:
        """Whether a file lies there. What cannot be found out is an error, not a no."""
        return self._type(path) == "file"

    def _type(self, path: Any) -> str | None:
        try:
            kind: str = self.info(path)["type"]
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno == errno.EINVAL:
                return None  # nothing can lie under such a name
            raise
        return kind

    def du(
        self,
        path: Any,
        total: bool = True,
        maxdepth: int | None = None,
        withdirs: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Bytes below a path, by one listing."""
        found = self.find(path, maxdepth=maxdepth, withdirs=withdirs, detail=True)
        sizes = {name: info["size"] for name, info in found.items()}
        return sum(sizes.values()) if total else sizes

    def modified(self, path: Any) -> datetime:
        """When Dropbox took the content of a file."""
        moment: datetime = self._dated(path)["modified"]
        return moment

    def created(self, path: Any) -> datetime:
        """When the content of a file was made, as its writer said."""
        moment: datetime = self._dated(path)["created"]
        return moment

    def _dated(self, path: Any) -> Info:
        return views.describe(path, self._file(self._readable(path)))

    def ukey(self, path: Any) -> str:
        """What tells one content from another: Dropbox's content hash."""
        return self._file(self._readable(path)).content_hash

    def checksum(self, path: Any) -> int:
        """As `ukey`, as a number."""
        return int(self.ukey(path) or "0", 16)

    # --- reading --------------------------------------------------------------------------------------------------

    def cat_file(self, path: Any, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """The bytes of a file, or some of them; negative positions count from its end."""
        path = self._readable(path)
        described = self._file(path)
        first, last = views.bounds(described.size, start, end)
        with as_os_error(path):
            return self.read_range(described, path, first, last)

    def cat_ranges(
        self,
        paths: list[str],
        starts: int | Sequence[int | None] | None,
        ends: int | Sequence[int | None] | None,
        max_gap: int | None = None,
        on_error: str = "return",
        **kwargs: Any,
    ) -> list[bytes | BaseException]:
        """Ranges of files, several at once."""
        if not isinstance(paths, list):
            raise TypeError("paths must be a list")
        first = starts if isinstance(starts, Sequence) else [starts] * len(paths)
        last = ends if isinstance(ends, Sequence) else [ends] * len(paths)
        if not len(paths) == len(first) == len(last):
            raise ValueError("there must be as many starts and ends as paths")
        return self._several(
            lambda at: self.cat_file(paths[at], first[at], last[at]), range(len(paths)), on_error=on_error
        )

    def _several(self, work: Callable[[Any], bytes], items: Sequence[Any], *, on_error: str) -> list[Any]:
        def guarded(item: Any) -> bytes | Exception:
            try:
                return work(item)
            except Exception as error:  # noqa: BLE001 - it is handed to the caller, raised or as a result
                return error

        results = list(self.threads.map(guarded, items))
        if on_error == "raise":
            for result in results:
                if isinstance(result, Exception):
                    raise result
        return results

    def cat(self, path: Any, recursive: bool = False, on_error: str = "raise", **kwargs: Any) -> Any:
        """The bytes of a file, or of many by their paths, several at once."""
        paths = self.expand_path(path, recursive=recursive)
        if len(paths) == 1 and not isinstance(path, list) and paths[0] == self._strip_protocol(path):
            return self.cat_file(paths[0], **kwargs)
        if recursive:
            paths = [each for each in paths if not self.isdir(each)]
        results = self._several(self.cat_file, paths, on_error=on_error)
        return {
            each: result
            for each, result in zip(paths, results, strict=True)
            if on_error == "return" or not isinstance(result, Exception)
        }


def _name(info: Info) -> str:
    name: str = info["name"]
    return name
