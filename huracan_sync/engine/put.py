"""One file (or text) to one place in Dropbox: one request for a small one, resumable parts for a large one.

What is asked for is overwriting, so nothing is looked up first: a heartbeat costs one request a beat. Where a look may
save sending (the content was put there before, or is large), it is made, and only the server's own hash is believed:
what we put there may have been replaced since.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from huracan_sync.disk.files import Stamp
from huracan_sync.disk.lock import hold
from huracan_sync.disk.parquet import check_whole
from huracan_sync.disk.stable_read import StableRead
from huracan_sync.engine.outbox import KEPT
from huracan_sync.errors import Conflict, FileChanged, HuracanError
from huracan_sync.remote import files
from huracan_sync.remote.client import Remote
from huracan_sync.remote.listing import FolderMetadata, entry_of
from huracan_sync.remote.stat import metadata
from huracan_sync.transfer import upload_item
from huracan_sync.transfer.compare import UNREAD, hash_of
from huracan_sync.transfer.journal import Journal, Origin, Synced
from huracan_sync.transfer.progress import Silent
from huracan_sync.transfer.upload import Upload
from huracan_sync.transfer.worker_pool import WorkerPool
from huracan_sync.tree.content_hash import content_hash
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.paths import RelPath
from huracan_sync.tree.plan import Copy

SMALL = upload_item.Options().whole_up_to
"""Bytes of the largest file that is sent in one request."""
NOTED = 4096
"""A smaller file costs no more to send than to ask about, so nobody notes what it held."""
ASK_FIRST = 256 * 1024
"""From so many bytes on, a question costs less than sending what may be there already."""
MOST_NOTED = 50_000
TRIES = 3
PAUSE_S = 0.2
"""A file that changes while it is read is read again after this."""


class Put(msgspec.Struct, frozen=True):
    """What lies at the path now."""

    there: Entry
    sent: bool
    """Whether it had to be sent."""
    differs: bool = False
    """Something else lies there, and it was not to be overwritten: nothing was written."""


class Sender:
    """Puts files and texts. Any thread."""

    def __init__(self, remote: Remote, home: Path, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._remote = remote
        self._home = home
        self._sleep = sleep

    def put_content(self, content: bytes, path: str, *, overwrite: bool = True, rev: str | None = None) -> Put:
        """Put content at a remote path.

        Args:
            content: the bytes.
            path: absolute.
            overwrite: replace what lies there; else what differs stays.
            rev: replace exactly this revision (`""`: nothing may lie there), or raise.

        Raises:
            Conflict: another revision lies there than `rev`.
        """
        if not overwrite and (there := self._there(path)):
            return Put(there, sent=False, differs=there.content_hash != content_hash(content))
        mode: str | dict[str, str] = files.OVERWRITE if overwrite else files.ADD
        if rev is not None:
            mode = files.replacing(rev) if rev else files.ADD
        return Put(entry_of(RelPath(path), files.put(self._remote, path, content, mode=mode)), sent=True)

    def put_file(self, local: Path, path: str, *, overwrite: bool = True, rev: str | None = None) -> Put:
        """Put a local file at a remote path. Arguments as `put_content`.

        Raises:
            FileChanged: it kept changing while it was read.
            FileChanged: `HALF_WRITTEN`, it is a parquet without its footer.
            Conflict: another revision lies there than `rev`.
        """
        local = local.resolve()
        for last in range(TRIES, 0, -1):
            try:
                with StableRead(local.parent, RelPath(local.name), prefix_only=_grows(local.name)) as reading:
                    check_whole(reading)
                    stamp = reading.stamp
                    if stamp.size > SMALL:
                        break
                    content = reading.read(0, stamp.size)
                    reading.check_unchanged(lambda: content_hash(content))  # noqa: B023 - asked at once
                return self._put_small(content, stamp, path, overwrite=overwrite, rev=rev, marked=reading.marked)
            except FileChanged:
                if last == 1:
                    raise
                self._sleep(PAUSE_S)
        return self._put_large(local, stamp, path, overwrite=overwrite, rev=rev)

    def _there(self, path: str) -> Entry | None:
        found = metadata(self._remote, path)
        if isinstance(found, FolderMetadata):
            raise Conflict(f"{path} is a folder in Dropbox", path=path)
        return entry_of(RelPath(path), found) if found else None

    def _put_small(
        self, content: bytes, stamp: Stamp, path: str, *, overwrite: bool, rev: str | None, marked: bytes
    ) -> Put:
        if len(content) < NOTED and overwrite:
            return self._send(content, stamp, path, rev=rev)
        digest = content_hash(content)
        with Journal(self._home) as journal:
            pair = journal.pair(self._remote.place, Path("?files"), "")
            asks = not overwrite or len(content) >= ASK_FIRST or journal.known(pair, path) == digest
            there = self._there(path) if asks else None
            if there and (there.content_hash == digest or not overwrite):
                return Put(there, sent=False, differs=there.content_hash != digest)
            put = self._send(content, stamp, path, rev=rev, add=not overwrite)
            journal.forget_all(pair, beyond=MOST_NOTED)
            is_unsigned = digest == marked or digest in journal.unsigned_contents()
            journal.learn(pair, [Synced(put.there, None, origin=Origin.UNSIGNED if is_unsigned else Origin.OURS)])
            return put

    def _send(self, content: bytes, stamp: Stamp, path: str, *, rev: str | None, add: bool = False) -> Put:
        mode: str | dict[str, str] = files.ADD if add or rev == "" else files.OVERWRITE
        if rev:
            mode = files.replacing(rev)
        found = files.put(self._remote, path, content, mode=mode, mtime_ms=stamp.mtime_ns // 1_000_000)
        return Put(entry_of(RelPath(path), found), sent=True)

    def _put_large(self, local: Path, stamp: Stamp, path: str, *, overwrite: bool, rev: str | None) -> Put:
        """In parts that survive a kill. What lies there is looked up, so that exactly that is replaced."""
        with Journal(self._home) as journal:
            pair = journal.pair(self._remote.place, Path(f"{local}?file"), path)
            with hold(self._home / "locks" / f"file-{pair}.lock", what=str(local), wait_s=60.0):
                for last in range(TRIES, 0, -1):
                    there = self._there(path)
                    if rev is not None and (there.rev if there else "") != rev:
                        raise Conflict(f"{path} is another revision by now", path=path)
                    alike = there is not None and there.size == stamp.size
                    if there and alike and hash_of(local.parent, RelPath(local.name)) == there.content_hash:
                        return Put(there, sent=False)
                    if there and not overwrite:
                        return Put(there, sent=False, differs=True)
                    try:
                        return self._upload(journal, pair, local, stamp, path, there)
                    except Conflict:
                        if last == 1 or rev is not None:
                            raise
        raise AssertionError

    def _upload(self, journal: Journal, pair: int, local: Path, stamp: Stamp, path: str, there: Entry | None) -> Put:
        folder, _, name = path.rpartition("/")
        called, lies = RelPath(name), RelPath(local.name)
        disk = FolderView(local.parent, "file", lambda _: called, lambda _: lies)
        options = upload_item.Options(check=check_whole, append_only=_grows)
        step = Copy(Entry(called, stamp.size, UNREAD, "", stamp.mtime_ns // 1_000_000), there)
        with WorkerPool(self._remote.cut_short) as pool:
            context = upload_item.UploadContext(self._remote, journal, pair, disk, folder, options, Silent(), pool)
            outcome = Upload(context).run([step])
        journal.forget(pair, [called])
        if outcome.stopped:
            raise outcome.stopped
        if outcome.failures:
            raise outcome.failures[0].error
        return Put(outcome.done[0].entry, sent=True)


def _grows(path: str) -> bool:
    """A log only grows: its beginning is a consistent state."""
    return path.endswith(".log")


def snapshot(local: Path) -> bytes | None:
    """The content of a small file, whole and of one state; None when it is large, gone, or being written."""
    try:
        local = local.resolve()
        with StableRead(local.parent, RelPath(local.name)) as reading:
            if reading.stamp.size > KEPT:
                return None
            check_whole(reading)
            content = reading.read(0, reading.stamp.size)
            reading.check_unchanged()
    except (HuracanError, OSError):
        return None
    return content
