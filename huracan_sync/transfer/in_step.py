"""Which files of the disk are as they were synced, found out file by file: in little memory, however many there are."""

from __future__ import annotations

from array import array
from collections.abc import Collection

from huracan_sync.disk.files import Stamp
from huracan_sync.transfer.journal.synced_files import SyncedFiles
from huracan_sync.tree.paths import RelPath, fold


class KnownFiles:
    """The files that a scan finds as they were synced: counted, and remembered with eight bytes each."""

    def __init__(self, synced: SyncedFiles) -> None:
        self.count = 0
        self.folders: set[str] = set()
        """Those that hold known files, besides the root itself."""
        self._folder = ""
        self._synced = synced
        self._is_first = not synced
        self._hashes = array("q")

    def is_known(self, path: RelPath, stamp: Stamp) -> bool:
        """Whether a file is as it was synced."""
        key = fold(path)
        if self._is_first or not self._synced.had(key, stamp):
            return False
        if (folder := path.rpartition("/")[0]) != self._folder:
            self.folders.add(folder)
            self._folder = folder
        self.count += 1
        self._hashes.append(hash(key))
        return True

    def settle(self, keys: Collection[str]) -> None:
        """These files, by folded path, were found, and are in step by now."""
        self.count += len(keys)
        self._hashes.extend(map(hash, keys))

    def are_all(self, others: Collection[str]) -> bool:
        """Whether everything that was synced is among the known files and the others, by folded path."""
        return self.count + sum(key in self._synced for key in others) == len(self._synced)

    def lost(self, others: Collection[str]) -> frozenset[str]:
        """Which of the synced files, by folded path, the scan has found neither known nor among the others.

        Two paths may have one hash, once in millions of scans: then a file that is gone is missed until the next one.
        """
        if self.are_all(others):
            return frozenset()
        found = set(self._hashes)
        return frozenset(key for key in self._synced if hash(key) not in found and key not in others)
