"""A push whose bytes are carried by workers: they stage their shares, the driver commits, journals and signs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from huracan_sync.disk.files import Root, Stamp
from huracan_sync.errors import HuracanError
from huracan_sync.manifest import file_kinds
from huracan_sync.operations import receipts
from huracan_sync.operations.receipts import Receipt
from huracan_sync.operations.stage import Stager
from huracan_sync.operations.workers import Maps, Submits, Workers, in_shares
from huracan_sync.remote.grant import STAGING, Grant
from huracan_sync.transfer.journal.signed_state import Proof
from huracan_sync.transfer.pair import Pair
from huracan_sync.transfer.upload_item import UploadItem
from huracan_sync.tree.content_hash import BLOCK_SIZE
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.paths import RelPath, fold


class ShareFile(msgspec.Struct, frozen=True):
    """One file of a share."""

    local: Path
    path: RelPath
    stamp: Stamp | None
    """The state that the driver has seen; another one is not staged."""


class PushShare(msgspec.Struct, frozen=True):
    """What a worker needs to know."""

    grant: Grant
    files: list[ShareFile]


class StagedShare(msgspec.Struct, frozen=True):
    """What came of a share."""

    receipts: bytes
    failures: list[tuple[str, HuracanError]]


def stage_share(share: PushShare) -> StagedShare:
    """On a worker: stage every file; one that cannot be read whole keeps no other back."""
    failures: list[tuple[str, HuracanError]] = []
    with Stager(share.grant) as stager:
        for file in share.files:
            try:
                stager.add(file.local, file.path, stamp=file.stamp)
            except HuracanError as error:
                failures.append((file.path, error))
        return StagedShare(stager.receipts(), failures)


class PushShares:
    """The uploads of one push, a share for each worker at a time. See `UploadElsewhere`."""

    def __init__(self, workers: Workers, root: Root, stamps: Mapping[str, Stamp]) -> None:
        self._workers = workers
        self._root = root
        self._stamps = stamps
        self._sizes: list[int] = []  # appended to by many threads

    @property
    def sent(self) -> int:
        """Bytes of what workers have staged."""
        return sum(self._sizes)

    @classmethod
    def of(
        cls, executor: Submits | Maps, pair: Pair, stamps: Mapping[str, Stamp], clock: Callable[[], float]
    ) -> PushShares:
        """The shares of a pair. Raises `UsageError` where it is no executor."""
        return cls(Workers(executor, pair.remote, STAGING, clock), pair.disk, stamps)

    def shares(self, items: Sequence[UploadItem]) -> list[list[UploadItem]]:
        """See `UploadElsewhere`."""
        total = sum(item.size for item in items)
        return in_shares(items, lambda item: item.size, self._workers.bytes_in_a_share(total))

    def stage(self, items: list[UploadItem]) -> list[HuracanError | None]:
        """See `UploadElsewhere`."""
        root, grant = self._root, self._workers.grant()
        folder = root.path if isinstance(root, FolderView) else root
        files = [
            ShareFile(
                folder / (root.at(item.path) if isinstance(root, FolderView) else item.path),
                item.path,
                self._stamps.get(fold(item.path)),
            )
            for item in items
        ]
        done = self._workers.run(stage_share, PushShare(grant, files))
        staged = {file.path: file for file in receipts.decode(done.receipts, grant.seal or None).files}
        failed = dict(done.failures)
        results: list[HuracanError | None] = []
        for item, file in zip(items, files, strict=True):
            receipt = staged.get(item.path)
            if receipt is None:
                results.append(failed.get(item.path) or HuracanError(f"{item.path} was not staged", code="BUG"))
                continue
            _note(item, receipt, file.stamp)
            self._sizes.append(receipt.size)
            results.append(None)
        return results


def _note(item: UploadItem, receipt: Receipt, stamp: Stamp | None) -> None:
    item.stamp, item.digest, item.session = stamp, receipt.content_hash, receipt.session
    if receipt.size > BLOCK_SIZE or receipt.table or receipt.kind != file_kinds.by_name(receipt.path):
        item.proof = Proof(item.path, receipt.content_hash, receipt.kind, receipt.blocks, receipt.table)
