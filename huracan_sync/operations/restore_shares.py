"""A restore whose bytes are carried by workers: they fetch, verify and place; the driver plans, guards and journals."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from huracan_sync.auth.connect import connect_lent
from huracan_sync.disk.files import Root, Stamp
from huracan_sync.errors import UsageError
from huracan_sync.operations.workers import Maps, Submits, Workers, in_shares
from huracan_sync.remote.grant import Grant
from huracan_sync.transfer.download import Download, Downloaded
from huracan_sync.transfer.download_file import DownloadContext, Validate
from huracan_sync.transfer.download_zip import Group
from huracan_sync.transfer.journal import Journal
from huracan_sync.transfer.progress import Silent
from huracan_sync.transfer.worker_pool import WorkerPool
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.layout import candle_view
from huracan_sync.tree.paths import RelPath, fold
from huracan_sync.tree.plan import Copy

V = TypeVar("V")
READING = ("files.content.read", "files.metadata.read")
"""What a worker needs to fetch."""


class RestoreShare(msgspec.Struct, frozen=True):
    """What a worker needs to know."""

    grant: Grant
    folder: Path
    is_candles: bool
    strays: dict[RelPath, RelPath]
    """Of candles: where they lie on this disk, if elsewhere than in their places."""
    remote_root: str
    zips: list[Group]
    files: list[Copy]
    stamps: dict[str, Stamp]
    blocks: dict[str, bytes]
    signed: dict[str, Entry]
    validate: Validate | None

    def root(self) -> Root:
        """The local side."""
        if not self.is_candles:
            return self.folder
        view = candle_view(self.folder)
        view.strays.update(self.strays)
        return view


def fetch_share(share: RestoreShare) -> Downloaded:
    """On a worker: put the files in their places, each verified. What it knows of parts under way ends with it."""
    remote = connect_lent(share.grant)
    with tempfile.TemporaryDirectory(prefix="huracan-worker-") as home:
        scratch = Path(home, "scratch")
        scratch.mkdir()
        with Journal(Path(home)) as journal, WorkerPool(remote.cut_short) as pool:
            context = DownloadContext(
                remote,
                journal,
                journal.pair(remote.place, share.folder, share.remote_root),
                share.root(),
                share.remote_root,
                Silent(),
                pool,
                scratch,
                share.stamps,
                blocks=share.blocks,
                validate=share.validate,
                signed=share.signed,
            )
            return Download(context).run_planned(share.zips, share.files)


class RestoreShares:
    """The downloads of one restore, a share for each worker at a time. See `DownloadElsewhere`."""

    def __init__(self, workers: Workers, context: DownloadContext) -> None:
        """Shares of one download.

        Args:
            workers: who does them.
            context: from where to where.

        Raises:
            UsageError: the local folder is a view that workers cannot make again.
        """
        root = context.local_root
        if isinstance(root, FolderView) and root.name != candle_view(root.path).name:
            raise UsageError(f"workers do not know the view {root.name} of {root.path}", hint="restore it alone")
        self._workers = workers
        self._context = context
        self._sizes: list[int] = []  # appended to by many threads

    @property
    def received(self) -> int:
        """Bytes of what workers have placed."""
        return sum(self._sizes)

    @classmethod
    def of(cls, executor: Submits | Maps, context: DownloadContext, clock: Callable[[], float]) -> RestoreShares:
        """The shares of a download. Raises `UsageError` where it is no executor, or as above."""
        return cls(Workers(executor, context.remote, READING, clock), context)

    def shares(self, zips: Sequence[Group], files: Sequence[Copy]) -> list[tuple[list[Group], list[Copy]]]:
        """See `DownloadElsewhere`."""
        units: list[Group | Copy] = [*zips, *files]
        most = self._workers.bytes_in_a_share(sum(map(_size, units)))
        return [
            ([unit for unit in share if isinstance(unit, Group)], [unit for unit in share if isinstance(unit, Copy)])
            for share in in_shares(units, _size, most)
        ]

    def fetch(self, zips: list[Group], files: list[Copy]) -> Downloaded:
        """See `DownloadElsewhere`."""
        context, root = self._context, self._context.local_root
        keys = {fold(step.path) for step in [*files, *(step for group in zips for step in group.copies)]}
        share = RestoreShare(
            self._workers.grant(),
            root.path if isinstance(root, FolderView) else root,
            isinstance(root, FolderView),
            {path: here for path, here in root.strays.items() if fold(path) in keys}
            if isinstance(root, FolderView)
            else {},
            context.remote_root,
            zips,
            files,
            _part(context.stamps, keys),
            _part(context.blocks, keys),
            _part(context.signed, keys),
            context.validate,
        )
        came = self._workers.run(fetch_share, share)
        self._sizes.append(sum(item.entry.size for item in came.done))
        return came


def _part(whole: Mapping[str, V], keys: set[str]) -> dict[str, V]:
    return {key: whole[key] for key in keys if key in whole}


def _size(unit: Group | Copy) -> int:
    return unit.size if isinstance(unit, Group) else unit.entry.size
