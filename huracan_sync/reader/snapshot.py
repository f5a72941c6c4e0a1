"""A verified manifest one can read from."""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from huracan_sync.errors import DiskFull, HuracanError, LocalFailure, NotFound, Refused, UsageError
from huracan_sync.manifest import body, checks, locations
from huracan_sync.manifest.checks import Freshness
from huracan_sync.manifest.entries import Item
from huracan_sync.manifest.head import Opened
from huracan_sync.manifest.trust import Policy
from huracan_sync.reader.cache import BlobCache
from huracan_sync.reader.source import Source
from huracan_sync.reader.verified_blocks import VerifiedFile, local_block, remote_blocks, remote_leaves, remote_pieces
from huracan_sync.tree.content_hash import BLOCK_SIZE, DIGEST_SIZE, LEAF_SIZE, block_count, leaf_count
from huracan_sync.tree.entry import Entry

KEEP_FILE = 64 * 1024 * 1024
"""Bytes: files up to this size are kept on this disk once they were read."""


class Snapshot:
    """One verified manifest of a channel: `snapshot.read(path)` gives verified bytes.

    Whatever is published later, a snapshot still gives the files of its own manifest, unless it is too old: a stale
    one gives them only if it was asked for with `allow_stale`, and a dead one gives none. Safe for several
    threads.
    """

    def __init__(
        self,
        opened: Opened,
        policy: Policy,
        items: body.Items,
        *,
        source: Source,
        blob_cache: BlobCache,
        allow_stale: bool,
        clock: Callable[[], float],
    ) -> None:
        """A `Reader` makes these."""
        self.head = opened.head
        """The signed head: channel, epoch, seq, times, publisher."""
        self.digest = opened.digest
        """What tells this head from every other: SHA-256 of its payload."""
        self.head_file = opened.data
        """The head as it is signed."""
        self.policy = policy
        self.problem: HuracanError | None = None
        """Why this is what was last known good, and not what lies in Dropbox now; None when it is."""
        self._items = items
        self._source = source
        self._blob_cache = blob_cache
        self._allow_stale = allow_stale
        self.superseded = False
        """Whether it is known not to be the newest of its channel: then it is stale, however young."""
        self._clock = clock
        self._tables: dict[bytes, bytes] = {}  # of leaves, proved; only ever added to

    @property
    def channel(self) -> str:
        """Its channel."""
        return self.head.channel

    @property
    def sequence(self) -> int:
        """Its place in the channel's history."""
        return self.head.seq

    @property
    def status(self) -> Freshness:
        """Whether it is fresh, stale or dead now."""
        status = checks.freshness(self.policy, expires_ms=self.head.expires_ms, now_ms=self._now_ms())
        return Freshness.STALE if self.superseded and status is Freshness.FRESH else status

    @property
    def size(self) -> int:
        """Bytes in all its files."""
        return sum(item.size for item in self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Entry]:
        return self.iter()

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self._find(path) is not None

    def iter(self, folder: str = "") -> Iterator[Entry]:
        """The entries, sorted by path; only those below `folder`, if one is named."""
        return (item.entry() for item in self.items(folder))

    def items(self, folder: str = "") -> Iterator[Item]:
        """As `iter`, as they were signed."""
        inside = f"{folder}/" if folder else ""
        return itertools.takewhile(lambda item: item.path.startswith(inside), self._items.since(inside, inside))

    def check_whole(self) -> None:
        """Check all entries together, before all files are put on a disk. Raises as `Reader.latest`."""
        self._items.check()

    def entry(self, path: str) -> Entry:
        """The entry of a path. Raises `NotFound`."""
        return self._item(path).entry()

    def item(self, path: str) -> Item:
        """The entry as it was signed, with its kind and its block hashes. Raises `NotFound`."""
        return self._item(path)

    def read(self, path: str) -> bytes:
        """The bytes of a file, proved.

        Raises:
            NotFound: the snapshot has no such file.
            ContentMismatch: what lies in Dropbox is not what was signed.
            Refused: `KIND`, it is a pickle, and its channel allows none.
            Refused: `STALE`, the snapshot is past its time, and was not asked for with `allow_stale`.
            Refused: `DEAD`, it is too old for any use.
            Unavailable: it is not on this disk, and Dropbox cannot be reached.
        """
        item = self._item(path)
        self._check_alive()
        file = self._blob_cache.blob(item)
        if file is not None:
            with contextlib.suppress(OSError, Refused):
                return b"".join(_local(file, item, 0, None))
        data = b"".join(itertools.chain.from_iterable(remote_pieces(self._source, item)))
        if item.size <= KEEP_FILE:
            # A full disk is no reason not to read: then it is not kept.
            with contextlib.suppress(DiskFull, LocalFailure):
                self._blob_cache.put_blob(item, [data])
        return data

    def read_range(self, path: str, start: int, length: int) -> bytes:
        """Some bytes of a file, proved; fewer at its end. One request, for only the pieces that hold them.

        A piece is 64 KiB if the entry names a table of leaves (which is fetched once), else 4 MiB.
        """
        if start < 0 or length < 0:
            raise UsageError(f"there are no bytes {start} to {start + length}", path=path)
        item = self._item(path)
        self._check_alive()
        end = min(start + length, item.size)
        if start >= end:
            return b""
        table = self._table(item) if item.leaves and self._blob_cache.blob(item) is None else None
        if table is not None:
            first, last = start // LEAF_SIZE, leaf_count(end)
            data = remote_leaves(self._source, item, table, first, last)
            return data[start - first * LEAF_SIZE : end - first * LEAF_SIZE]
        first, last = start // BLOCK_SIZE, block_count(end)
        data = b"".join(self._blocks(item, first, last - first))
        return data[start - first * BLOCK_SIZE : end - first * BLOCK_SIZE]

    def open(self, path: str) -> io.BufferedReader:
        """The file to read and seek in, every byte proved before it is given; never whole in memory."""
        item = self._item(path)
        self._check_alive()
        return io.BufferedReader(VerifiedFile(item, lambda first, count: self._blocks(item, first, count)), 1 << 20)

    def path(self, path: str) -> Path:
        """A proved copy on this disk, for a library that wants a file name. Read-only.

        It was proved a moment ago, and stays there until its channel has moved on twice. If somebody else may write
        to this disk, use `read` or `open` instead, which prove the very bytes that they return.
        """
        item = self._item(path)
        self._check_alive()
        return bring(self._source, self._blob_cache, item)

    def _blocks(self, item: Item, first: int, count: int | None) -> Iterator[bytes]:
        """From the copy on this disk while it proves, else from Dropbox."""
        file = self._blob_cache.blob(item)
        last = block_count(item.size) if count is None else first + count
        at = first
        if file is not None:
            with contextlib.suppress(OSError, Refused):
                for block in _local(file, item, first, count):
                    yield block
                    at += 1
        if at < last:
            yield from remote_blocks(self._source, item, at, last - at)

    def _table(self, item: Item) -> bytes | None:
        """The table of leaves of an entry; None where it cannot be had: the blocks prove the same."""
        table = self._tables.get(item.leaves)
        if table is None:
            with contextlib.suppress(NotFound, Refused):
                table = self._source.fetch(locations.leaves(item.leaves), leaf_count(item.size) * DIGEST_SIZE)
                body.check_leaves(table, item.leaves, item.size)
                self._tables[item.leaves] = table
        return self._tables.get(item.leaves)

    def _find(self, path: str) -> Item | None:
        found = next(self._items.since(path, path), None)
        return found if found is not None and found.path == path else None

    def _item(self, path: str) -> Item:
        found = self._find(path)
        if found is None:
            raise NotFound(
                f"{path!a} is not in sequence {self.sequence} of {self.channel}",
                hint="iterate over the snapshot to see what is",
                path=path,
                sequence=self.sequence,
            )
        return found

    def _check_alive(self) -> None:
        expires_ms, now_ms = self.head.expires_ms, self._now_ms()
        checks.check_fresh(self.policy, expires_ms=expires_ms, now_ms=now_ms, allow_stale=self._allow_stale)

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

    def __reduce__(self) -> NoReturn:
        raise UsageError(
            f"a snapshot of {self.channel} cannot be sent to another process: it reads by the login of this one",
            hint=f"open it there: Hamilton.open(...).latest({self.channel!r}); this is sequence {self.sequence}",
        )

    def __repr__(self) -> str:
        return f"Snapshot({self.channel} {self.head.epoch}-{self.sequence}, {len(self)} files, {self.status.value})"


def bring(source: Source, blob_cache: BlobCache, item: Item) -> Path:
    """A proved copy of an entry on this disk: the one that is there, or a new one."""
    return blob_cache.check(item) or blob_cache.put_blob(item, remote_blocks(source, item))


def _local(file: Path, item: Item, first: int, count: int | None) -> Iterator[bytes]:
    last = max(1, block_count(item.size)) if count is None else first + count
    for number in range(first, last):
        yield local_block(file, item, number)
