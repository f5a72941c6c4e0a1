"""Whether the disk holds exactly what was synced, found out file by file: in little memory, however many there are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from huracan_sync.disk.files import Root, Stamp
from huracan_sync.disk.scan import Scan, scan
from huracan_sync.transfer.journal.synced_files import SyncedFiles
from huracan_sync.tree.paths import RelPath, fold


class _Differs(Exception):
    """A file is not as it was synced."""


def scan_in_step(synced: SyncedFiles, root: Root, wanted: Callable[[str], bool] | None) -> tuple[Scan, int] | None:
    """A scan without the files, and how many there are; None where they are not those that were synced, as they were.

    None also for a folder under other names: there several files may have one name.

    Raises:
        UsageError, LocalFailure: the folder cannot be read.
    """
    count = 0

    def was_so(path: RelPath, stamp: Stamp) -> bool:
        nonlocal count
        if not synced.had(fold(path), stamp):
            raise _Differs
        count += 1
        return True

    if not isinstance(root, Path) or not (expected := len(synced)):
        return None
    try:
        scanned = scan(root, wanted=wanted, is_known=was_so)
    except _Differs:
        return None
    return None if scanned.problems or count != expected else (scanned, count)
