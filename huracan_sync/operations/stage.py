"""Stage: put files into upload sessions on a worker, visible to nobody, for a driver to commit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import TypeVar

from huracan_sync.auth.connect import connect_lent
from huracan_sync.disk.parquet import check_whole
from huracan_sync.disk.stable_read import StableRead
from huracan_sync.manifest import file_kinds
from huracan_sync.operations import receipts
from huracan_sync.operations.receipts import Receipt
from huracan_sync.remote.client import Remote
from huracan_sync.remote.grant import Grant
from huracan_sync.transfer.staging import PART, Staged, StreamUpload, stage_contents
from huracan_sync.transfer.worker_pool import WORKERS, background
from huracan_sync.tree.content_hash import BLOCK_SIZE
from huracan_sync.tree.paths import RelPath, check

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
        files: local files (or contents), each with where it goes below the folder that the driver will name.
        clock: seconds since 1970.

    Returns:
        Receipts: plain bytes for `commit`. They are good for seven days, whatever becomes of the grant.

    Raises:
        HostilePath: a name that no tree may hold.
        FileChanged: a file changed while it was read, or is a parquet without its end. Run the task again.
        LocalFailure: a file cannot be read.
        NotAuthorized: `GRANT_EXPIRED`, or the login may not write.
        RateLimited, Unavailable, OutOfSpace: not now.
    """
    pairs = [(source, check(path)) for source, path in (files.items() if isinstance(files, Mapping) else files)]
    remote = connect_lent(grant) if isinstance(grant, Grant) else grant
    with background(WORKERS, "huracan-stage") as threads:
        done = _Stage(remote, threads, clock).run(pairs)
    service = remote.wire.endpoint.namespace
    return receipts.encode(service, remote.place.removeprefix(f"{service}/"), done)


class _Stage:
    """One call of `stage`."""

    def __init__(self, remote: Remote, threads: Executor, clock: Callable[[], float]) -> None:
        self._remote = remote
        self._threads = threads
        self._clock = clock
        self._done: list[Receipt] = []
        self._together: list[tuple[RelPath, bytes, int]] = []

    def run(self, pairs: list[tuple[Source, RelPath]]) -> list[Receipt]:
        size = 0
        for source, path in pairs:
            if isinstance(source, bytes):
                self._add(path, source, int(self._clock() * 1000))
                size += len(source)
            else:
                size += self._read(Path(source), path)
            if size > TOGETHER:
                self._flush()
                size = 0
        self._flush()
        return self._done

    def _read(self, local: Path, path: RelPath) -> int:
        """Read a local file; a large one goes out at once. How many bytes stay in memory."""
        local = local.absolute()
        with StableRead(local.parent, RelPath(local.name)) as reading:
            check_whole(reading)
            size, mtime_ms = reading.stamp.size, reading.stamp.mtime_ns // 1_000_000
            if size <= PART:
                content = reading.read(0, size)
                reading.check_unchanged()
                self._add(path, content, mtime_ms)
                return size
            upload = StreamUpload(self._remote, self._threads)
            try:
                for at in range(0, size, BLOCK_SIZE):
                    upload.write(reading.read(at, BLOCK_SIZE))
                reading.check_unchanged()
                self._note(path, upload.finish(), reading.read(0, file_kinds.SNIFF), mtime_ms)
            except BaseException:
                upload.discard()
                raise
        return 0

    def _add(self, path: RelPath, content: bytes, mtime_ms: int) -> None:
        if len(content) <= PART:
            self._together.append((path, content, mtime_ms))
            return
        upload = StreamUpload(self._remote, self._threads)
        upload.write(content)
        self._note(path, upload.finish(), content[: file_kinds.SNIFF], mtime_ms)

    def _flush(self) -> None:
        small, self._together = self._together, []
        if not small:
            return
        staged = stage_contents(self._remote, self._threads, [content for _, content, _ in small])
        for (path, content, mtime_ms), each in zip(small, staged, strict=True):
            self._note(path, each, content[: file_kinds.SNIFF], mtime_ms)

    def _note(self, path: RelPath, staged: Staged, first: bytes, mtime_ms: int) -> None:
        kind, now_ms = int(file_kinds.of(path, first)), int(self._clock() * 1000)
        digest, blocks = staged.content_hash, staged.blocks
        self._done.append(Receipt(path, staged.session, staged.size, digest, max(0, mtime_ms), kind, blocks, now_ms))
