"""A file on its way up, and what all who carry it share."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import msgspec

from huracan_sync.disk.files import Root, Stamp
from huracan_sync.disk.stable_read import StableRead
from huracan_sync.errors import FileChanged, HuracanError
from huracan_sync.manifest import file_kinds, leaves
from huracan_sync.remote import files, upload_session
from huracan_sync.remote.client import Remote
from huracan_sync.remote.listing import timestamp
from huracan_sync.transfer.journal import Journal, Origin, Sent
from huracan_sync.transfer.journal.signed_state import Proof
from huracan_sync.transfer.progress import Monitor
from huracan_sync.tree.content_hash import BLOCK_SIZE, block_hashes, combine, content_hash, leaf_hashes
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import RelPath, join
from huracan_sync.tree.plan import Copy
from huracan_sync.tree.units import counted

if TYPE_CHECKING:
    from huracan_sync.disk.last_folder import LastFolder
    from huracan_sync.transfer.worker_pool import WorkerPool

SESSION_DAYS = 6.0
"""Dropbox keeps a session for seven days; one older than this is not trusted to live until its commit."""
PYARROW = 24 * 1024 * 1024
"""Bytes that looking into a parquet file takes, from the first of them on."""


class Options(msgspec.Struct, frozen=True):
    """How to upload."""

    check: Callable[[StableRead], None] | None = None
    """Asked before a file is sent; raises when it must not be (a parquet without its footer)."""
    append_only: Callable[[str], bool] = lambda _: False
    """Which files only ever grow, so that their beginning is a consistent state (logs)."""
    header_limit: int = upload_session.HeaderBudget.FIRST
    """Bytes the argument header of one append may have."""
    learn_headers: bool = False
    """Whether to try longer ones as long as the server takes them."""
    batches: bool = True
    """Whether to send small files in batches."""
    whole_up_to: int = 2 * BLOCK_SIZE
    """Bytes of the largest file that is sent in one piece."""
    part_size: int = 2 * BLOCK_SIZE
    """Bytes in a part of a larger one: a multiple of 4 MiB, as concurrent sessions ask."""


class UploadContext(msgspec.Struct, frozen=True):
    """From where to where, and with what."""

    remote: Remote
    journal: Journal
    pair: int
    local_root: Root
    remote_root: str
    options: Options
    monitor: Monitor
    pool: WorkerPool
    stop: Callable[[], bool] = lambda: False
    """Whether to begin nothing more."""
    unsigned: Collection[bytes] = ()
    """Content hashes that this machine knows only from unsigned files in Dropbox: sending them signs nothing."""

    def origin_of(self, item: UploadItem) -> Origin:
        """Where content that was read from this disk comes from."""
        return Origin.UNSIGNED if item.digest in self.unsigned or item.marked == item.digest else Origin.OURS


class UploadItem(msgspec.Struct):
    """One file. Its worker fills in what was read; everything else is the caller's thread's."""

    step: Copy
    attempts: int = 0
    refusals: int = 0
    """How often its commit was refused while others of the same call were taken."""
    stamp: Stamp | None = None
    """The state that was read."""
    digest: bytes = b""
    """The content hash of what was sent; empty until all of it was read."""
    marked: bytes = b""
    """The content hash under which the file is marked as one that nobody has signed."""
    session: str = ""
    first: bytes = b""
    """Of a large file the first bytes: they may tell its kind."""
    proof: Proof | None = None
    """What a signed list wants to know of the content, where name and hash do not tell."""

    @property
    def path(self) -> RelPath:
        """Where, below both roots."""
        return self.step.entry.path

    @property
    def size(self) -> int:
        """Bytes: of what was read, before that of what was seen."""
        return self.stamp.size if self.stamp else self.step.entry.size

    def intent(self, context: UploadContext) -> tuple[Entry, Origin]:
        """What is about to be committed, as the journal notes it."""
        entry = msgspec.structs.replace(self.step.entry, content_hash=self.digest, size=self.size)
        return entry, context.origin_of(self)

    def begin_again(self) -> None:
        """Forget what was read and sent."""
        self.attempts += 1
        self.stamp, self.digest, self.session, self.proof = None, b"", "", None

    def commit(self, context: UploadContext) -> files.Commit:
        """Where it goes, and the one revision it may replace."""
        replaces = self.step.replaces
        modified = self.stamp.mtime_ns // 1_000_000 if self.stamp else self.step.entry.mtime_ms
        return files.commit_of(
            join(context.remote_root, self.path), timestamp(modified), replaces_rev=replaces.rev if replaces else None
        )

    def open(self, context: UploadContext, last: LastFolder | None = None) -> StableRead:
        """The file, open for reading and fit to be sent. `last`: the folder of the file before."""
        grows = context.options.append_only(self.path)
        reading = StableRead(context.local_root, self.path, prefix_only=grows, last=last)
        self.marked = reading.marked if reading.stamp.size else b""
        if context.options.check:
            try:
                context.options.check(reading)
            except HuracanError:
                reading.close()
                raise
        return reading

    def is_large(self, context: UploadContext) -> bool:
        """Whether it is sent in parts."""
        return self.size > context.options.whole_up_to

    def read_whole(self, context: UploadContext, last: LastFolder | None = None) -> bytes | HuracanError:
        """On a worker: the content, all of one state, with its digest noted; or why not."""
        try:
            with self.open(context, last) as reading:
                if reading.stamp.size > context.options.whole_up_to:
                    self.stamp = reading.stamp
                    return FileChanged(
                        f"{self.path} has grown to {counted(reading.stamp.size, 'byte')}", path=self.path
                    )
                content = reading.read(0, reading.stamp.size)
                reading.check_unchanged(lambda: content_hash(content))
        except HuracanError as error:
            return error
        self.stamp = reading.stamp
        table = leaf_hashes(content) if self.wants_leaves else b""
        self.prove(content[: file_kinds.SNIFF], block_hashes(content), table)
        return content

    @property
    def wants_leaves(self) -> bool:
        """Whether a table of its leaves is worth making."""
        return leaves.pay(file_kinds.by_name(self.path), self.size)

    def prove(self, first: bytes, blocks: bytes, table: bytes) -> None:
        """All of it was read: its first bytes, the digests of its blocks, and its table of leaves (empty: none)."""
        self.digest = combine(blocks)
        hidden = file_kinds.hidden(self.path, first)
        if self.size > BLOCK_SIZE or hidden is not None or table:
            kind = file_kinds.by_name(self.path) if hidden is None else hidden
            self.proof = Proof(self.path, self.digest, int(kind), blocks if self.size > BLOCK_SIZE else b"", table)

    def resume(self, context: UploadContext, earlier: Sent) -> bool:
        """An earlier run sent all of it; whether it is still the same, so that only its commit is missing."""
        try:
            with StableRead(context.local_root, self.path) as reading:
                first = reading.read(0, file_kinds.SNIFF)
                self.marked = reading.marked if reading.stamp.size else b""
        except HuracanError:
            return False
        if token_of(reading.stamp) != earlier.token:
            return False
        self.stamp, self.digest, self.session = reading.stamp, earlier.digest, earlier.session
        if (hidden := file_kinds.hidden(self.path, first)) is not None:
            self.proof = Proof(self.path, self.digest, int(hidden), b"")
        return True


def token_of(stamp: Stamp) -> str:
    """What tells one state of a local file from another."""
    return f"{stamp.size}.{stamp.mtime_ns}.{stamp.ctime_ns}.{stamp.inode}"


def is_fresh(since: float, now: float) -> bool:
    """Whether a session of then may be gone on with. One of the future (a clock set back) may not."""
    return 0 <= now - since < SESSION_DAYS * 86400
