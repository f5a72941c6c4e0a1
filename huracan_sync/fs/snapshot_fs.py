"""`huracan://channel@sequence/path`: one signed snapshot as an fsspec filesystem, read-only, every byte proved.

`huracan://champions/...` is the newest snapshot at the moment of opening, `huracan://champions@12/...` the one of
sequence 12. A channel whose name has slashes needs the `@`: `huracan://sync/data@latest/...`. Whatever is published
later, an open filesystem goes on giving the files of its own snapshot.
"""

from __future__ import annotations

import errno
import os
import re
import threading
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Never

from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.utils import isfilelike, stringify_path

from huracan_sync.errors import NotFound, UsageError
from huracan_sync.fs.account import ACCOUNTS, Account, login_of
from huracan_sync.fs.files import ReadFile
from huracan_sync.fs.local_files import Pair, get_verified
from huracan_sync.fs.os_errors import as_os_error
from huracan_sync.fs.pinned import PinnedSnapshot
from huracan_sync.fs.read_cache import AdaptiveCache
from huracan_sync.fs.readable import ReadableFileSystem
from huracan_sync.manifest.entries import Item
from huracan_sync.reader.carried import Carried
from huracan_sync.reader.snapshot import Snapshot
from huracan_sync.remote.folder_listing import Present
from huracan_sync.remote.forked import renewed_in_child
from huracan_sync.remote.listing import FileMetadata, FolderMetadata
from huracan_sync.transfer.ranges import PART
from huracan_sync.tree.paths import ancestors, fold

LATEST = "latest"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PINNED = re.compile(rf"([^@]*)@([0-9]{{1,18}}|{LATEST})(?=/|$)")


def split(url: str) -> tuple[str, int | None, str]:
    """The channel, the sequence and the path that a URL names; of a plain path, no channel."""
    text = url.removeprefix("huracan::")
    if not text.startswith("huracan://"):
        return "", None, text
    text = text.removeprefix("huracan://")
    if pinned := _PINNED.match(text):
        sequence = None if pinned[2] == LATEST else int(pinned[2])
        return pinned[1], sequence, text[pinned.end() :]
    channel, _, path = text.partition("/")
    return channel, None, path


class SnapshotFileSystem(ReadableFileSystem):
    """One verified snapshot. `ls`, `find` and `info` make no request once it is open.

    A list of more than 50,000 files is in shards; each is fetched when something in it is first asked for.
    """

    protocol = "huracan"

    def __init__(
        self,
        channel: str,
        sequence: int | None = None,
        profile: str = "hamilton",
        *,
        allow_stale: bool = False,
        **storage_options: Any,
    ) -> None:
        """Open nothing; the first call reads and verifies the snapshot.

        Args:
            channel: which signed channel.
            sequence: which of its snapshots; None: the newest.
            profile: the login to read with, and whose pinned keys count.
            allow_stale: whether the newest may be stale. One named by its sequence may be of any age.
            storage_options: fsspec's own.
        """
        if self._cached:
            return
        super().__init__(**storage_options)
        self._channel = channel
        self._sequence = sequence
        self._allow_stale = allow_stale
        self._login = login_of(profile, None)
        self._lock = threading.Lock()  # guards _pinned
        self._pinned: PinnedSnapshot | None = None
        self._carried: Carried | None = None
        renewed_in_child(self)

    def renew_in_child(self) -> None:
        """See `forked`."""
        self._lock = threading.Lock()

    @property
    def account(self) -> Account:
        """What all filesystems of this login share in this process."""
        return ACCOUNTS.of(self._login, None)

    @property
    def pinned(self) -> PinnedSnapshot:
        """The snapshot; read and verified at the first use.

        Raises:
            OSError: it cannot be had, or is not to be believed.
        """
        with self._lock, as_os_error(self._channel):
            if self._pinned is None:
                if self._carried is not None:
                    self._pinned = PinnedSnapshot.carried(self.account, self._carried, allow_stale=self._allow_stale)
                else:
                    self._pinned = PinnedSnapshot.fetched(
                        self.account, self._login.home, self._channel, self._sequence, allow_stale=self._allow_stale
                    )
            return self._pinned

    @property
    def snapshot(self) -> Snapshot:
        """The verified snapshot itself: its sequence, when it was made, by whom."""
        return self.pinned.snapshot

    # --- what an instance is --------------------------------------------------------------------------------------

    def __reduce__(self) -> Any:
        carried = None
        if self._pinned is not None:
            carried = self._pinned.to_carry()
        return _arrived, (type(self), self.storage_args, self.storage_options, carried or self._carried)

    @property
    def fsid(self) -> str:
        """What tells this snapshot from every other: the digest of its signed head."""
        return f"huracan-{self.snapshot.digest.hex()}"

    # --- paths ----------------------------------------------------------------------------------------------------

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        return super()._strip_protocol(split(stringify_path(path))[2])

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        channel, sequence, _ = split(stringify_path(path))
        if not channel:
            return {}
        return {"channel": channel} if sequence is None else {"channel": channel, "sequence": sequence}

    def unstrip_protocol(self, name: str) -> str:
        """The path as a URL."""
        sequence = LATEST if self._sequence is None else self._sequence
        return f"huracan://{self._channel}@{sequence}{self._strip_protocol(name)}"

    # --- reading --------------------------------------------------------------------------------------------------

    @property
    def threads(self) -> Executor:
        """Shared by all filesystems of this login."""
        return self.account.threads

    def lookup(self, path: str, ttl_s: float | None = None) -> Present:
        """See `ReadableFileSystem`."""
        snapshot, inner = self.snapshot, path[1:]
        if inner in snapshot:
            return _described(snapshot.item(inner))
        if next(iter(snapshot.iter(inner)), None) is not None:
            return _folder(path)
        raise NotFound(f"{path} is not in sequence {snapshot.sequence} of {snapshot.channel}", path=path)

    def list_folder(self, path: str, *, recursive: bool) -> list[tuple[str, Present]]:
        """See `ReadableFileSystem`."""
        snapshot, inner = self.snapshot, path[1:]
        if inner and inner in snapshot:
            raise UsageError(f"{path} is a file", path=path, tags="path/not_folder")
        entries: dict[str, Present] = {}
        depth = path.count("/") + 1
        for entry in snapshot.iter(inner):
            name = f"/{entry.path}"
            for folder in (above for above in ancestors(name) if len(above) > len(path)):
                if folder not in entries and (recursive or folder.count("/") == depth):
                    entries[folder] = _folder(folder)
            if recursive or name.count("/") == depth:
                entries[name] = _described(snapshot.item(entry.path))
        if not entries and path:
            raise NotFound(f"{path} is not in sequence {snapshot.sequence} of {snapshot.channel}", path=path)
        return list(entries.items())

    def read_range(self, described: FileMetadata, path: str, start: int, end: int) -> bytes:
        """See `ReadableFileSystem`: every byte is compared with what is signed."""
        return self.pinned.read_range(path[1:], start, end)

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | str | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> ReadFile:
        if mode != "rb":
            self._refuse(path)
        path = self._readable(path)
        cache_type = kwargs.get("cache_type") or AdaptiveCache.name
        return ReadFile(
            self, path, self._file(path), block_size=block_size, cache_type=cache_type, cache_options=cache_options
        )

    def get_file(
        self, rpath: Any, lpath: Any, callback: Any = DEFAULT_CALLBACK, outfile: Any = None, **kwargs: Any
    ) -> None:
        """Fetch one file. It is put in its local place when all of it is there and verified."""
        rpath = self._readable(rpath)
        if outfile is not None or isfilelike(lpath):
            super().get_file(rpath, lpath, callback=callback, outfile=outfile, **kwargs)
        elif not rpath or self.isdir(rpath):
            Path(lpath).mkdir(parents=True, exist_ok=True)
        else:
            described = self._file(rpath)
            ends = range(0, described.size, PART)
            chunks = (self.read_range(described, rpath, at, min(at + PART, described.size)) for at in ends)
            get_verified(chunks, Pair(rpath, os.fspath(lpath), callback), described)

    # --- writing --------------------------------------------------------------------------------------------------

    def _refuse(self, path: Any = "", *_: Any, **__: Any) -> Never:
        raise OSError(errno.EROFS, "a signed snapshot cannot be written to: publish another", str(path))

    mkdir = makedirs = rmdir = rm = rm_file = _rm = cp_file = copy = mv = _refuse
    pipe_file = pipe = put_file = put = touch = _refuse


def _arrived(
    cls: type[SnapshotFileSystem], args: tuple[Any, ...], options: dict[str, Any], carried: Carried | None
) -> SnapshotFileSystem:
    """In the process where a pickled one arrives: the snapshot it was, not the newest by now."""
    fs = cls(*args, **options, skip_instance_cache=True)
    fs._carried = carried
    return fs


def _described(item: Item) -> FileMetadata:
    path = f"/{item.path}"
    modified = _EPOCH + timedelta(milliseconds=item.mtime_ms)
    name = path.rpartition("/")[2]
    return FileMetadata(name, item.rev, item.size, modified, item.content_hash.hex(), path, fold(path))


def _folder(path: str) -> FolderMetadata:
    return FolderMetadata(path.rpartition("/")[2], path, fold(path))
