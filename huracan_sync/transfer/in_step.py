"""Whether the disk holds exactly what was synced, found out file by file: in little memory, however many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from huracan_sync.disk.files import Root, Stamp
from huracan_sync.disk.scan import Scan, scan
from huracan_sync.transfer.journal import Journal, Synced
from huracan_sync.tree.paths import RelPath, fold


class SyncedFiles(Mapping[str, Synced]):
    """What was synced, by folded path, read from the journal when it is first asked for: mostly nobody asks."""

    def __init__(self, journal: Journal, pair: int, wanted: Callable[[str], bool] | None = None) -> None:
        self._journal = journal
        self._pair = pair
        self._wanted = wanted

    @cached_property
    def _files(self) -> dict[str, Synced]:
        wanted, files = self._wanted, self._journal.synced(self._pair)
        return files if wanted is None else {key: item for key, item in files.items() if wanted(item.entry.path)}

    def __getitem__(self, key: str) -> Synced:
        return self._files[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


class _Differs(Exception):
    """A file is not as it was synced."""


def scan_in_step(
    journal: Journal, pair: int, root: Root, wanted: Callable[[str], bool] | None
) -> tuple[Scan, int] | None:
    """A scan without the files, and how many there are; None where they are not those that were synced, as they were.

    None also for a folder under other names: there several files may have one name.

    Raises:
        UsageError, LocalFailure: the folder cannot be read.
    """
    count = 0

    def is_synced(path: RelPath, stamp: Stamp) -> bool:
        nonlocal count
        if not journal.is_synced(pair, fold(path), stamp):
            raise _Differs
        count += 1
        return True

    expected = sum(wanted is None or wanted(path) for path in journal.paths(pair)) if isinstance(root, Path) else 0
    if not expected or not isinstance(root, Path):
        return None
    try:
        scanned = scan(root, wanted=wanted, is_known=is_synced)
    except _Differs:
        return None
    return None if scanned.problems or count != expected else (scanned, count)
