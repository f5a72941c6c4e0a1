"""One verified snapshot that a filesystem is pinned to, and the bytes of it that were proved a moment ago."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self

from huracan_sync.errors import HuracanError
from huracan_sync.manifest import body, head
from huracan_sync.manifest.head import Opened
from huracan_sync.reader import Reader
from huracan_sync.reader.cache import BlobCache, blob_cache
from huracan_sync.reader.carried import MOST_CARRIED, Carried, open_carried
from huracan_sync.reader.snapshot import Snapshot
from huracan_sync.reader.trust_store import TrustStore
from huracan_sync.remote.source import RemoteSource
from huracan_sync.signing.executor import Executor
from huracan_sync.signing.head_log import committed
from huracan_sync.tree.content_hash import BLOCK_SIZE, LEAF_SIZE

if TYPE_CHECKING:
    from huracan_sync.fs.account import Account


class PinnedSnapshot:
    """A verified snapshot. Thread-safe."""

    def __init__(self, account: Account, snapshot: Snapshot, source: Carried, cache: BlobCache) -> None:
        """Use `fetched` or `carried`."""
        self.snapshot = snapshot
        self._account = account
        self._signed = source
        self._cache = cache

    @classmethod
    def fetched(cls, account: Account, home: Path, channel: str, sequence: int | None, *, allow_stale: bool) -> Self:
        """Read and verify the newest snapshot of a channel, or the one of a sequence.

        Raises:
            NotFound: there is no such channel or sequence.
            NoTrust: no root key is pinned here.
            Refused: the first reason not to believe it.
            Unavailable, NotAuthorized: Dropbox cannot be asked.
        """
        source = RemoteSource(account.remote)
        store = TrustStore(home, source.place)
        reader = Reader(source, home, place=source.place, keep_set=0, clock=account.clock)
        # An earlier one is led to by the newest, however old that is.
        newest = reader.latest(channel, allow_stale=allow_stale or sequence is not None, remember=False)
        trust_file, cache = store.load().trust, blob_cache(store.folder, channel)
        if sequence is None or sequence == newest.sequence:
            carried = Carried(channel, trust_file, newest.head_file, is_past=sequence is not None)
            if sequence is None:
                return cls(account, newest, carried, cache)
        else:
            if newest.problem is not None:
                raise newest.problem
            top = Opened(newest.head, newest.digest, b"", [])
            opened = Executor(account.remote, account.remote.root).perform(committed(top, sequence, reader.trust()))
            carried = Carried(channel, trust_file, head.carrying(opened.data, opened.body), is_past=True)
        return cls.carried(account, carried, allow_stale=True, cache=cache)

    @classmethod
    def carried(cls, account: Account, carried: Carried, *, allow_stale: bool, cache: BlobCache | None = None) -> Self:
        """Verify a snapshot that came from another process.

        Raises:
            Refused: the first reason not to believe it.
        """
        source = RemoteSource(account.remote)
        here = cache or blob_cache(account.home / "carried", carried.channel)
        snapshot = open_carried(carried, source=source, blob_cache=here, allow_stale=allow_stale, clock=account.clock)
        return cls(account, snapshot, carried, here)

    def to_carry(self) -> Carried:
        """As it travels to another process, its manifest with it where that is small and lies on this disk."""
        if self._signed.parts:
            return self._signed
        parts: list[bytes] = []

        def noted(sha256: bytes, length: int) -> bytes:
            data = self._cache.body(sha256, length) or b""
            parts.append(data)
            return data

        try:
            body.read(self.snapshot.head, self.snapshot.policy, noted)
        except HuracanError:
            parts = []
        if sum(map(len, parts)) > MOST_CARRIED:
            parts = []
        signed = self._signed
        return Carried(signed.channel, signed.trust, signed.head, parts, signed.is_past)

    def read_range(self, path: str, start: int, end: int) -> bytes:
        """Some bytes of a file, each of them proved; what lies beside them and was proved with them is kept.

        Raises:
            NotFound: the snapshot has no such file.
            ContentMismatch: what lies in Dropbox is not what was signed.
            Refused: the snapshot is past its time.
        """
        item = self.snapshot.item(path)
        end = min(end, item.size)
        if start >= end:
            return b""
        unit = LEAF_SIZE if item.leaves else BLOCK_SIZE  # the least that can be proved alone
        first, last = start // unit, -(-end // unit)
        blocks = {at: self._account.proved.get((item.content_hash, unit, at)) for at in range(first, last)}
        for run in _runs([at for at, block in blocks.items() if block is None]):
            data = self.snapshot.read_range(path, run.start * unit, len(run) * unit)
            for at in run:
                block = data[(at - run.start) * unit :][:unit]
                self._account.proved.put((item.content_hash, unit, at), block)
                blocks[at] = block
        data = b"".join(block for block in blocks.values() if block is not None)
        return data[start - first * unit : end - first * unit]


def _runs(numbers: list[int]) -> Iterator[range]:
    """The numbers, which ascend, in runs without a gap."""
    for _, run in itertools.groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        yield range(members[0], members[-1] + 1)
