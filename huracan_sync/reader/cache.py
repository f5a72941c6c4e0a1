"""Bodies and files kept on this disk, so that what was last known good can be read with no network.

Named by their hashes and proved again whenever they are read; what does not prove is as if it were not there. Put in
place whole. What neither the current head of a channel nor the one before names is thrown away.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from huracan_sync.disk.atomic_write import locked_folder, write_file
from huracan_sync.errors import Refused
from huracan_sync.manifest import body
from huracan_sync.manifest.entries import Item
from huracan_sync.reader.verified_blocks import local_block
from huracan_sync.tree.content_hash import block_count
from huracan_sync.tree.paths import RelPath


class BlobCache:
    """What is kept of one channel."""

    def __init__(self, folder: Path) -> None:
        """Nothing is touched yet."""
        self._folder = folder

    def body(self, sha256: bytes, length: int) -> bytes | None:
        """The body or shard of that hash, or None."""
        try:
            data = (self._folder / _body(sha256)).read_bytes()
            body.check_part(data, sha256, length)
        except (OSError, Refused):
            return None
        return data

    def part(self, sha256: bytes) -> bytes | None:
        """As `body`, of whatever length."""
        try:
            data = (self._folder / _body(sha256)).read_bytes()
        except OSError:
            return None
        return data if hashlib.sha256(data).digest() == sha256 else None

    def put_body(self, sha256: bytes, data: bytes) -> None:
        """Keep a body that was proved."""
        write_file(self._folder / _body(sha256), data)

    def put_bodies(self, parts: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep bodies and shards that this machine has made, by their SHA-256; what is here already is left alone."""
        for sha256, data in parts:
            if self.body(sha256, len(data)) is None:
                self.put_body(sha256, data)

    def blob(self, item: Item) -> Path | None:
        """The copy of an entry, when there is one of its size. Proved when it is read, not here."""
        file = self._folder / _blob(item.content_hash)
        try:
            return file if file.lstat().st_size == item.size else None
        except OSError:
            return None

    def check(self, item: Item) -> Path | None:
        """The copy of an entry, every block of it proved, or None."""
        file = self.blob(item)
        if file is None:
            return None
        try:
            for number in range(max(1, block_count(item.size))):
                local_block(file, item, number)
        except (OSError, Refused):
            return None
        return file

    def put_blob(self, item: Item, blocks: Iterable[bytes]) -> Path:
        """Keep an entry whose blocks are proved as they come; all of them, or nothing is kept."""
        file = self._folder / _blob(item.content_hash)
        write_file(file, blocks)
        file.chmod(0o400)
        return file

    def in_use(self) -> contextlib.AbstractContextManager[None]:
        """While something is fetched that no state on this disk names yet: nobody throws anything away."""
        return locked_folder(self._folder, fcntl.LOCK_SH)

    @contextlib.contextmanager
    def unused(self) -> Iterator[bool]:
        """Whether nobody fetches anything now, nor begins to before the block ends."""
        try:
            with locked_folder(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
                yield True
        except BlockingIOError:
            yield False

    def keep_only(self, bodies: Iterable[bytes], blobs: Iterable[bytes] | None = None) -> None:
        """Throw away everything else, half-written files of processes that died among it (None: no blob)."""
        kept = {_body(sha256) for sha256 in bodies} | {_blob(content_hash) for content_hash in blobs or ()}
        for folder in ("bodies",) if blobs is None else ("bodies", "blobs"):
            with contextlib.suppress(FileNotFoundError), os.scandir(self._folder / folder) as found:
                for each in found:
                    if f"{folder}/{each.name}" not in kept:
                        with contextlib.suppress(OSError):
                            Path(each.path).unlink()


def blob_cache(folder: Path, channel: str) -> BlobCache:
    """The cache of a channel: one flat folder each (`+` is in no channel's name)."""
    return BlobCache(folder / "kept" / channel.replace("/", "+"))


def _body(sha256: bytes) -> RelPath:
    return RelPath(f"bodies/{sha256.hex()}.hzm")


def _blob(content_hash: bytes) -> RelPath:
    return RelPath(f"blobs/{content_hash.hex()}")
