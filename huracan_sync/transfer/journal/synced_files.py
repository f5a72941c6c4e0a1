"""What was synced, left in the journal as long as single files are asked for: a million of them is much memory."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, Mapping, ValuesView

from huracan_sync.disk.files import Stamp
from huracan_sync.transfer.journal import Journal
from huracan_sync.transfer.journal.records import SYNCED, Synced, synced_of
from huracan_sync.tree.paths import RelPath, fold

MOST_AHEAD = 64
"""Files that are read ahead at most."""
_STAMPS = "SELECT key, size, mtime_ns, ctime_ns, inode FROM synced WHERE pair=?"


class SyncedFiles(Mapping[str, Synced]):
    """As `Journal.synced`, read row by row. Not to be gone through while the journal learns."""

    def __init__(self, journal: Journal, pair: int, wanted: Callable[[str], bool] | None = None) -> None:
        self._journal = journal
        self._pair = pair
        self._wanted = wanted
        self._ahead: list[tuple[object, ...]] = []
        self._count = 1

    def rows(self) -> Iterator[tuple[str, Synced]]:
        """All of them, one after the other."""
        rows, wanted = map(synced_of, self._journal.rows(f"{SYNCED} WHERE pair=?", (self._pair,))), self._wanted
        return rows if wanted is None else (row for row in rows if wanted(row[1].entry.path))

    def _paths(self) -> Iterator[str]:
        rows = self._journal.rows("SELECT path FROM synced WHERE pair=?", (self._pair,))
        return (path for (path,) in rows if self._wanted is None or self._wanted(path))

    def __getitem__(self, key: str) -> Synced:
        row = self._journal.first(f"{SYNCED} WHERE pair=? AND key=?", (self._pair, key))
        item = synced_of(row)[1] if row else None
        if item is None or not (self._wanted is None or self._wanted(item.entry.path)):
            raise KeyError(key)
        return item

    def __iter__(self) -> Iterator[str]:
        return map(fold, self._paths())

    def __len__(self) -> int:
        if self._wanted is not None:
            return sum(1 for _ in self._paths())
        return int(self._journal.first("SELECT count(*) FROM synced WHERE pair=?", (self._pair,))[0])

    def __bool__(self) -> bool:
        return next(self._paths(), None) is not None

    def items(self) -> ItemsView[str, Synced]:
        """All of them, one after the other."""
        return _Items(self)

    def values(self) -> ValuesView[Synced]:
        """All of them, one after the other."""
        return _Values(self)

    def called(self, name: str) -> list[RelPath]:
        """The paths of all files of this name, in whatever folder. Not asked whether they are wanted."""
        query = "SELECT path FROM synced WHERE pair=? AND (key=? OR substr(key, -length(?))=?)"
        inside = f"/{fold(name)}"
        rows = self._journal.rows(query, (self._pair, fold(name), inside, inside))
        return [RelPath(path) for (path,) in rows]

    def had(self, key: str, stamp: Stamp) -> bool:
        """Whether a file was synced and had this stamp then. Not asked whether it is wanted.

        Files are mostly asked about in the order of their keys, so as many as were are read ahead.
        """
        found = self._ahead.pop() if self._ahead else None
        if found is None or found[0] != key:
            self._count = 1 if found else min(2 * self._count, MOST_AHEAD)
            query = f"{_STAMPS} AND key>=? ORDER BY key LIMIT ?"
            self._ahead = [*self._journal.rows(query, (self._pair, key, self._count))][::-1]
            found = self._ahead.pop() if self._ahead else None
        return found == (key, stamp.size, stamp.mtime_ns, stamp.ctime_ns, stamp.inode)


class _Items(ItemsView[str, Synced]):
    _mapping: SyncedFiles

    def __iter__(self) -> Iterator[tuple[str, Synced]]:
        return self._mapping.rows()


class _Values(ValuesView[Synced]):
    _mapping: SyncedFiles

    def __iter__(self) -> Iterator[Synced]:
        return (item for _, item in self._mapping.rows())
