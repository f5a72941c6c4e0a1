"""`dropbox://path`: Dropbox as an fsspec filesystem, to read and to write.

A path is absolute in the account: `dropbox://a/b` and `dropbox:///a/b` both mean `/a/b`. Dropbox knows no case: a file
is found under the spelling it was written with, and under no other.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from fsspec.callbacks import DEFAULT_CALLBACK, NoOpCallback
from fsspec.utils import isfilelike

from huracan_sync.errors import NotFound, UsageError
from huracan_sync.fs import local_files, spelling
from huracan_sync.fs.account import ACCOUNTS, Account, login_of
from huracan_sync.fs.files import ReadFile, WriteFile
from huracan_sync.fs.local_files import Pair
from huracan_sync.fs.metadata_cache import TTL_S
from huracan_sync.fs.movable import BULK_TTL_S, MovableFileSystem
from huracan_sync.fs.os_errors import as_os_error
from huracan_sync.fs.read_cache import AdaptiveCache
from huracan_sync.remote.folder_listing import Present
from huracan_sync.remote.grant import Grant
from huracan_sync.remote.listing import FileMetadata
from huracan_sync.secret import Secret


class DropboxFileSystem(MovableFileSystem):
    """Dropbox as an fsspec filesystem. Instances of one login share connections, pacing and cached metadata."""

    protocol = "dropbox"

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
            metadata_ttl: seconds for which the metadata of a single path is cached. Listings always ask Dropbox.
            storage_options: fsspec's own.
        """
        if self._cached:
            return
        super().__init__(**storage_options)
        self._token = Secret(token) if isinstance(token, str) else token
        self._secret = grant or self._token
        self._login = login_of(profile, self._secret)
        self.metadata_ttl_s = metadata_ttl
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

    # --- what lies where ------------------------------------------------------------------------------------------

    @property
    def threads(self) -> Executor:
        """Shared by all filesystems of this login."""
        return self.account.threads

    def lookup(self, path: str, ttl_s: float | None = None) -> Present:
        """See `ReadableFileSystem`."""
        try:
            present = self.account.metadata.info(path, ttl_s=self.metadata_ttl_s if ttl_s is None else ttl_s)
        except UsageError as error:
            raise NotFound(f"nothing lies at {path} in Dropbox: {error}", path=path) from error
        if spelling.is_other(path, present):
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
        """Forget cached metadata of a path, or of all paths."""
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
        return self.open_to_write(path, mode, autocommit=autocommit)

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
