"""Many small files in one request: `download_zip` of the folder that holds them.

A folder is fetched whole, so this pays only where most of its bytes are wanted. What arrives is trusted for nothing:
every name is checked like any other, and every content is compared with the hash that was planned.
"""

from __future__ import annotations

import tempfile
import threading
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

import msgspec

from huracan_sync.errors import ContentMismatch, DiskFull, HostilePath, ServiceFault
from huracan_sync.remote.client import Remote
from huracan_sync.remote.files import open_zip
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import RelPath, ancestors, check, fold, join
from huracan_sync.tree.plan import Copy

FEWEST = 6
"""Fewer wanted files than this are fetched one by one: they come in parallel, and without the rest of the folder."""
MOST_FILES = 9_000
"""Dropbox refuses 10,000 entries, folders included."""
MOST_BYTES = 256 * 1024 * 1024
"""Bytes of one zip: it lies on the disk a second time while it is unpacked, and comes over one connection."""
LARGEST = 8 * 1024 * 1024
"""A larger file is better fetched in ranges."""
IN_MEMORY = 16 * 1024 * 1024
SLACK = 16 * 1024 * 1024
"""Bytes by which a zip may be longer than twice what it was to hold: names, and what was added since."""
_LOCAL_HEADER = 30
"""Bytes before the name in an entry of a zip; the lengths of name and extra field are its last four."""


class Group(msgspec.Struct, frozen=True):
    """A folder (relative; `""` is the root of the pair) to be fetched as a zip, for these copies."""

    folder: str
    copies: list[Copy]
    size: int = 0
    """Bytes of all files that lie in the folder, wanted or not."""


def groups(copies: Sequence[Copy], everything: Iterable[Entry], split: Collection[str] = ()) -> list[Group]:
    """Which folders to fetch whole. Pure.

    Args:
        copies: what is wanted.
        everything: all files that lie there, wanted or not.
        split: folders, folded, of which not all files are among these.
    """
    wanted = {fold(step.path): step for step in copies if step.entry.size <= LARGEST}
    return _groups("", wanted, _totals(wanted, everything), split) if len(wanted) >= FEWEST else []


class _Total(msgspec.Struct):
    """What lies in a folder, at any depth."""

    files: int = 0
    size: int = 0
    folders: int = 0
    """Those that hold files, itself among them."""


def _totals(wanted: Mapping[str, Copy], everything: Iterable[Entry]) -> dict[str, _Total]:
    """By folder: there are far fewer of them than files."""
    totals: dict[str, _Total] = {}
    holders: set[str] = set()

    def add(key: str, size: int) -> None:
        folder = key.rpartition("/")[0]
        is_new = folder not in holders
        holders.add(folder)
        for each in ("", *ancestors(key)):
            total = totals.setdefault(each, _Total())
            total.files, total.size, total.folders = total.files + 1, total.size + size, total.folders + is_new

    unlisted = dict(wanted)
    for entry in everything:
        key = fold(entry.path)
        unlisted.pop(key, None)
        add(key, entry.size)
    for key, step in unlisted.items():
        add(key, step.entry.size)
    return totals


def _groups(folder: str, wanted: dict[str, Copy], totals: Mapping[str, _Total], split: Collection[str]) -> list[Group]:
    if len(wanted) < FEWEST:
        return []
    wanted_bytes = sum(step.entry.size for step in wanted.values())
    total = totals[folder]
    fits = total.files + total.folders * 2 <= MOST_FILES and total.size <= MOST_BYTES
    # The cost of what is not wanted is weighed against a request for each wanted file (some 64 KiB of a link's time).
    if fits and folder not in split and total.size - wanted_bytes <= 64 * 1024 * len(wanted):
        return [Group(folder, list(wanted.values()), total.size)]
    inner_wanted: dict[str, dict[str, Copy]] = defaultdict(dict)
    depth = folder.count("/") + 1 if folder else 0
    for key, step in wanted.items():
        parts = key.split("/")
        if len(parts) > depth + 1:
            inner_wanted["/".join(parts[: depth + 1])][key] = step
    return [group for inner in sorted(inner_wanted) for group in _groups(inner, inner_wanted[inner], totals, split)]


class Zip:
    """A zip on its way into files. Safe for several threads once it is open."""

    def __init__(self, spool: IO[bytes], prefix: str) -> None:
        """Read the directory of what was fetched.

        Raises:
            ServiceFault: it is no zip.
        """
        self._spool = spool
        self._lock = threading.Lock()  # guards where the spool stands
        try:
            self._zip = zipfile.ZipFile(spool)
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            spool.close()
            raise ServiceFault(f"download_zip sent something that is no zip: {error}") from error
        self._names: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            # Every name begins with the folder's own; the root of an account has none.
            inner = info.filename.removeprefix("/").partition("/")[2] if prefix else info.filename.removeprefix("/")
            if info.is_dir() or not inner:
                continue
            try:
                self._names[fold(check(inner))] = info
            except HostilePath:
                continue  # not asked for under this name, and under no other

    def content(self, path: str, size: int) -> bytes | None:
        """The bytes of `path` (relative to the folder), None when it holds none, or not exactly `size`.

        Raises:
            ContentMismatch: its own checksum does not fit.
        """
        info = self._names.get(fold(path))
        if info is None or info.file_size != size:
            return None
        try:
            data = self._read(info.header_offset, _LOCAL_HEADER)
            names = int.from_bytes(data[26:28], "little") + int.from_bytes(data[28:30], "little")
            data = self._read(info.header_offset + _LOCAL_HEADER + names, info.compress_size)
            if info.compress_type == zipfile.ZIP_DEFLATED:
                data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size + 1)
        except (zlib.error, OSError, ValueError) as error:
            raise ContentMismatch(f"{path} arrived damaged inside a zip: {error}", path=path) from error
        # No checksum is looked at: the caller compares the content hash, which says more.
        return data if len(data) == size else None

    def _read(self, offset: int, size: int) -> bytes:
        # Not ZipFile.open: that costs 150 us a file, ten times this, and small files are what this is for.
        with self._lock:
            self._spool.seek(offset)
            return self._spool.read(size)

    def close(self) -> None:
        """Close it."""
        self._zip.close()
        self._spool.close()


def fetch(remote: Remote, root: str, group: Group, scratch: Path, arrived: Callable[[int], None]) -> Zip:
    """Fetch the folder of a group, telling again and again how many bytes have arrived.

    Raises:
        ServiceFault, CallRefused, ...: it cannot be had as a zip; fetch the files one by one.
    """
    folder = join(root, RelPath(group.folder)) if group.folder else root
    spool: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY, dir=str(scratch))  # noqa: SIM115 - Zip closes it
    try:
        with open_zip(remote, folder) as download:
            for piece in download.chunks():
                spool.write(piece)
                _check_size(folder, spool.tell(), group.size)
                arrived(spool.tell())
    except OSError as error:
        spool.close()
        raise DiskFull(f"the zip of {folder} does not fit on this disk: {error.strerror}") from error
    except BaseException:
        spool.close()
        raise
    spool.seek(0)
    return Zip(spool, folder)


def _check_size(folder: str, size: int, listed: int) -> None:
    if size > 2 * listed + SLACK:
        raise ServiceFault(f"{folder} holds much more than when it was listed")
