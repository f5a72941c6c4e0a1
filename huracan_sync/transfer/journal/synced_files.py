"""What was synced, left in the journal as long as single files are asked for: a million of them is much memory."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, Mapping, ValuesView
from functools import cached_property

from huracan_sync.disk.files import Stamp
from huracan_sync.transfer.journal import Journal
from huracan_sync.transfer.journal.records import SYNCED, Synced, synced_of
from huracan_sync.tree.paths import RelPath, fold


class SyncedFiles(Mapping[str, Synced]):
    """As `Journal.synced`, which is read when all of it is asked for."""

    def __init__(self, journal: Journal, pair: int, wanted: Callable[[str], bool] | None = None) -> None:
        self._journal = journal
        self._pair = pair
        self._wanted = wanted

    @cached_property
    def _files(self) -> dict[str, Synced]:
        wanted, files = self._wanted, self._journal.synced(self._pair)
        return files if wanted is None else {key: item for key, item in files.items() if wanted(item.entry.path)}

    def _paths(self) -> Iterator[str]:
        rows = self._journal.rows("SELECT path FROM synced WHERE pair=?", (self._pair,))
        return (path for (path,) in rows if self._wanted is None or self._wanted(path))

    def __getitem__(self, key: str) -> Synced:
        if "_files" in self.__dict__:
            return self._files[key]
        row = next(self._journal.rows(f"{SYNCED} WHERE pair=? AND key=?", (self._pair, key)), None)
        item = synced_of(row)[1] if row else None
        if item is None or not (self._wanted is None or self._wanted(item.entry.path)):
            raise KeyError(key)
        return item

    def __iter__(self) -> Iterator[str]:
        return iter(self._files) if "_files" in self.__dict__ else map(fold, self._paths())

    def __len__(self) -> int:
        return len(self._files) if "_files" in self.__dict__ else sum(1 for _ in self._paths())

    def items(self) -> ItemsView[str, Synced]:
        """All of them, read at once."""
        return self._files.items()

    def values(self) -> ValuesView[Synced]:
        """All of them, read at once."""
        return self._files.values()

    def called(self, name: str) -> list[RelPath]:
        """The paths of all files of this name, in whatever folder. Not asked whether they are wanted."""
        query = "SELECT path FROM synced WHERE pair=? AND (key=? OR substr(key, -length(?))=?)"
        inside = f"/{fold(name)}"
        rows = self._journal.rows(query, (self._pair, fold(name), inside, inside))
        return [RelPath(path) for (path,) in rows]

    def had(self, key: str, stamp: Stamp) -> bool:
        """Whether a file was synced and had this stamp then. Not asked whether it is wanted."""
        query = "SELECT size, mtime_ns, ctime_ns, inode FROM synced WHERE pair=? AND key=?"
        found = next(self._journal.rows(query, (self._pair, key)), None)
        return bool(found == (stamp.size, stamp.mtime_ns, stamp.ctime_ns, stamp.inode))
