"""Stage: put files into upload sessions on a worker, visible to nobody, for a driver to commit."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from huracan_sync.auth.connect import connect_lent
from huracan_sync.disk.files import Stamp
from huracan_sync.disk.parquet import check_whole
from huracan_sync.disk.stable_read import StableRead
from huracan_sync.errors import FileChanged
from huracan_sync.manifest import leaves
from huracan_sync.manifest.file_proofs import examine
from huracan_sync.operations import receipts
from huracan_sync.operations.receipts import Receipt
from huracan_sync.remote.client import Remote
from huracan_sync.remote.grant import Grant
from huracan_sync.transfer.staging import PART, Staged, StreamUpload, parts_for, stage_contents
from huracan_sync.transfer.worker_pool import WORKERS, background
from huracan_sync.tree.content_hash import BLOCK_SIZE, block_hashes, combine, content_hash, leaf_hashes
from huracan_sync.tree.never_synced import lies_in_never_synced
from huracan_sync.tree.paths import RelPath, check, fold

log = logging.getLogger(__name__)

Source = Path | str | bytes
"""A local file, or content."""
S = TypeVar("S", bound=Source)
TOGETHER = 64 * 1024 * 1024
"""Bytes of small files that are in memory at once."""


def stage(
    grant: Grant | Remote,
    files: Mapping[S, str] | Iterable[tuple[S, str]],
    *,
    clock: Callable[[], float] = time.time,
) -> bytes:
    """Put files into upload sessions. Nothing is visible in Dropbox before the driver commits the receipts.

    Args:
        grant: what the driver has lent (`remote.lend()`), or a login.
        files: local files (or contents), each with its path below the folder that the driver will name. Names that
            Dropbox never takes (`~$x`, `.DS_Store`, ...) are left out, with a warning in the log.
        clock: seconds since 1970.

    Returns:
        Receipts: plain bytes for `commit`, valid for seven days even if the grant expires.

    Raises:
        HostilePath: a name that no tree may hold.
        FileChanged: a file changed while it was read, or is a parquet without its end. Run the task again.
        LocalFailure: a file cannot be read.
        NotAuthorized: `GRANT_EXPIRED`, or the login may not write.
        RateLimited, Unavailable, OutOfSpace: it could not be sent now.

    Examples:
        >>> from huracan_sync import connect, stage
        >>> grant = connect("engine").lend()  # on the driver; what follows happens on a worker
        >>> receipts = stage(grant, {"metrics.json": "ETH/metrics.json"})
    """
    pairs = [(source, check(path)) for source, path in (files.items() if isinstance(files, Mapping) else files)]
    with Stager(grant, clock=clock) as stager:
        for source, path in pairs:
            if lies_in_never_synced(path):
                log.warning("%a is left out: Dropbox never takes such a name", path)
            else:
                stager.add(source, path)
        return stager.receipts()


class Added(msgspec.Struct, frozen=True):
    """A file whose content is in an upload session, or in memory until more come."""

    path: RelPath
    size: int
    content_hash: bytes
    mtime_ms: int
    kind: int
    note: bytes
    table: bytes
    """Its table of leaves; empty where none pays."""
    marked: bytes = b""
    """The content hash under which the file is marked as one that nobody has signed."""


class Stager:
    """Stages files one after another, small ones together. One thread at a time. Use as a context manager."""

    def __init__(self, grant: Grant | Remote, *, clock: Callable[[], float] = time.time) -> None:
        """Nothing is sent before there is enough of it, or a receipt is asked for.

        Args:
            grant: what the driver has lent, or a login.
            clock: seconds since 1970.
        """
        self._remote = connect_lent(grant) if isinstance(grant, Grant) else grant
        self._share = grant.share if isinstance(grant, Grant) else 1.0
        self._threads = background(WORKERS, "huracan-stage")
        self._clock = clock
        self._done: dict[str, Receipt] = {}
        self._held = 0
        """Bytes in memory."""
        self._waiting: dict[str, tuple[Added, bytes]] = {}
        """Small files, whose content is in memory; by folded path, like the receipts: a path is staged once."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the threads. What has no receipt yet is given up."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def add(self, source: Source, path: RelPath, *, note: bytes = b"", stamp: Stamp | None = None) -> Added:
        """Take a file or a content, in the place of an earlier one for the same path. It may be changed afterwards.

        Args:
            source: a local file, or content.
            path: where it goes, below the folder that the driver will name.
            note: for the one who commits it.
            stamp: the only state of the file that is taken.

        Raises:
            FileChanged, LocalFailure: it cannot be read whole. Nothing is taken.
            NotAuthorized, RateLimited, Unavailable, OutOfSpace: it, or what waited, could not be sent.
        """
        added = (
            self._add(path, source, int(self._clock() * 1000), note)
            if isinstance(source, bytes)
            else self._read(Path(source), path, note, stamp)
        )
        if self._held > TOGETHER:
            self._send()
        return added

    def receipts(self) -> bytes:
        """Receipts for everything that was added. Raises as `add`; call it again, and what could be sent is not again.

        Raises:
            NotAuthorized, RateLimited, Unavailable, OutOfSpace: something could not be sent.
        """
        self._send()
        service = self._remote.wire.endpoint.namespace
        account = self._remote.place.removeprefix(f"{service}/")
        return receipts.encode(service, account, list(self._done.values()), self._remote.seal())

    def _read(self, local: Path, path: RelPath, note: bytes, stamp: Stamp | None) -> Added:
        """Read a local file; a large one goes out at once."""
        local = local.resolve()
        with StableRead(local.parent, RelPath(local.name), prefix_only=local.name.endswith(".log")) as reading:
            if stamp is not None and reading.stamp != stamp:
                raise FileChanged(f"{path} has changed since it was looked at", path=path)
            check_whole(reading)
            size, mtime_ms = reading.stamp.size, reading.stamp.mtime_ns // 1_000_000
            if size <= PART:
                content = reading.read(0, size)
                reading.check_unchanged(lambda: content_hash(content))
                return self._add(path, content, mtime_ms, note, marked=reading.marked)
            upload, table = self._upload(size), bytearray()
            try:
                kind = examine(path, size, reading.read)
                for at in range(0, size, BLOCK_SIZE):
                    piece = reading.read(at, min(BLOCK_SIZE, size - at))
                    upload.write(piece)
                    table += _table(kind, size, piece)
                staged = upload.finish()
                reading.check_unchanged(lambda: staged.content_hash)
                added = Added(path, size, staged.content_hash, mtime_ms, int(kind), note, bytes(table), reading.marked)
                return self._note(added, staged)
            except BaseException:
                upload.discard()
                raise

    def _add(self, path: RelPath, content: bytes, mtime_ms: int, note: bytes, *, marked: bytes = b"") -> Added:
        kind = examine(path, len(content), lambda at, count: content[at : at + count])
        size, table = len(content), _table(kind, len(content), content)
        if size <= PART:
            added = Added(path, size, combine(block_hashes(content)), mtime_ms, int(kind), note, table, marked)
            self._forget(path)
            self._waiting[fold(path)] = (added, content)
            self._held += size
            return added
        upload = self._upload(size)
        upload.write(content)
        staged = upload.finish()
        return self._note(Added(path, size, staged.content_hash, mtime_ms, int(kind), note, table), staged)

    def _upload(self, size: int) -> StreamUpload:
        parts = parts_for(self._share, size)
        return StreamUpload(self._remote, self._threads, part_size=parts.size, at_once=parts.at_once)

    def _forget(self, path: RelPath) -> None:
        self._done.pop(fold(path), None)
        _, content = self._waiting.pop(fold(path), (None, b""))
        self._held -= len(content)

    def _send(self) -> None:
        waiting = list(self._waiting.values())
        contents, body = [content for _, content in waiting], parts_for(self._share, TOGETHER).size
        staged = stage_contents(self._remote, self._threads, contents, body=body)
        self._waiting.clear()
        self._held = 0
        for (added, _), each in zip(waiting, staged, strict=True):
            self._note(added, each)

    def _note(self, added: Added, staged: Staged) -> Added:
        self._forget(added.path)
        self._done[fold(added.path)] = Receipt(
            added.path,
            staged.session,
            staged.size,
            staged.content_hash,
            max(0, added.mtime_ms),
            added.kind,
            staged.blocks,
            int(self._clock() * 1000),
            added.note,
            added.table,
            unsigned=bool(staged.size) and added.marked == staged.content_hash,
        )
        return added


def _table(kind: int, size: int, piece: bytes) -> bytes:
    """The leaves of a piece of a file; empty where the file gets no table of them."""
    return leaf_hashes(piece) if leaves.pay(kind, size) else b""
