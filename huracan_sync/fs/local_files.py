"""Files between this disk and Dropbox: read to be sent, fetched as zips where that pays."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from huracan_sync.disk.folding import is_folding, one_to_this_disk, refuse_another_way
from huracan_sync.disk.part_file import PartFile, make_folder
from huracan_sync.errors import (
    ContentMismatch,
    FileChanged,
    HuracanError,
    LocalFailure,
    NotAuthorized,
    TryLater,
    Unavailable,
)
from huracan_sync.fs.os_errors import as_os_error
from huracan_sync.remote.listing import FileMetadata, entry_of
from huracan_sync.transfer import download_zip
from huracan_sync.transfer.journal import Journal
from huracan_sync.transfer.ranges import PART, ReadAhead
from huracan_sync.transfer.staging import StreamUpload
from huracan_sync.tree.active_names import active
from huracan_sync.tree.content_hash import content_hash
from huracan_sync.tree.content_hasher import ContentHasher
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.look_alikes import look_alikes
from huracan_sync.tree.never_synced import never_synced
from huracan_sync.tree.paths import RelPath, refusal
from huracan_sync.tree.plan import Copy
from huracan_sync.tree.units import counted

if TYPE_CHECKING:
    from huracan_sync.fs.account import Account

log = logging.getLogger(__name__)

PIECE = 4 * 1024 * 1024
"""Bytes read from a local file at a time."""


class Pair(NamedTuple):
    """One file and where it goes."""

    source: str
    target: str
    callback: Any
    """fsspec's callback for this file."""


def without_never_synced(pairs: Sequence[Pair], named: Any) -> list[Pair]:
    """The pairs without those that a folder or a pattern brings under a name that Dropbox never takes; they are logged.

    What a caller has named itself stays: Dropbox refuses it.
    """
    folders = [Path(each).absolute() for each in ([named] if isinstance(named, str | os.PathLike) else named)]
    kept = []
    for pair in pairs:
        path = Path(pair.source).absolute()
        above = next((folder for folder in folders if path.is_relative_to(folder)), path.parent)
        if path not in folders and any(map(never_synced, path.relative_to(above).parts)):
            log.warning("%a is left out: Dropbox never takes such a name", pair.source)
        else:
            kept.append(pair)
    return kept


def read_into(upload: StreamUpload, local: str, callback: Any) -> int:
    """Read a local file into an upload; its time of modification in milliseconds.

    Raises:
        FileChanged: it changed meanwhile.
    """
    with Path(local).open("rb", buffering=0) as file:
        before = os.fstat(file.fileno())
        callback.set_size(before.st_size)
        while piece := file.read(PIECE):
            upload.write(piece)
            callback.relative_update(len(piece))
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or upload.size != before.st_size:
        raise FileChanged(f"{local} changed while it was read", path=local)
    return before.st_mtime_ns // 1_000_000


class Below(NamedTuple):
    """Where files go: no link below the folder is followed. None: each to the very place its pair names."""

    folder: Path | None = None

    def locate(self, local: str) -> tuple[Path, RelPath]:
        """The folder that is opened as it is called, and the path below it."""
        path = Path(local).absolute()
        if self.folder is not None and path.is_relative_to(self.folder) and path != self.folder:
            return self.folder, RelPath(path.relative_to(self.folder).as_posix())
        return path.parent, RelPath(path.name)

    def make_folder(self, local: str) -> None:
        """Make a folder and the folders above it, where they are missing."""
        folder, path = self.locate(local)
        os.close(make_folder(folder, f"{path}/"))


def get_many(
    account: Account, pairs: Sequence[Pair], describe: Callable[[str], FileMetadata], below: Below | None = None
) -> None:
    """Fetch files to this disk: whole folders as zips where that pays, the others several at once.

    Raises:
        OSError: one could not be fetched; what was in place before stays. The others are there, unless it was nothing
            about that file: no network, no login, no space.
    """
    described = {pair.source: describe(pair.source) for pair in pairs}
    _check_targets([pair.target for pair in pairs])
    hashes = [bytes.fromhex(found.content_hash) for found in described.values() if found.size]
    # Before it is here, so that no later push takes it for ours. Where there can be no journal, nothing is pushed.
    with contextlib.suppress(LocalFailure), Journal(account.home) as journal:
        journal.note_unsigned(hashes)
    below = below or Below()
    rest = _get_by_zip(account, pairs, described, below) if len(pairs) >= download_zip.FEWEST else list(pairs)
    small = [pair for pair in rest if described[pair.source].size <= PART]
    failed: list[OSError] = []

    def get(pair: Pair) -> None:
        try:
            (get_small if described[pair.source].size <= PART else get_large)(
                account, pair, described[pair.source], below
            )
        except OSError as error:
            if isinstance(error.__cause__, Unavailable | NotAuthorized | TryLater):
                raise
            failed.append(error)

    for _ in account.threads.map(get, small):
        pass
    for pair in rest:
        if described[pair.source].size > PART:
            get(pair)
    if failed:
        if len(pairs) > 1:
            failed[0].add_note(f"{counted(len(pairs) - len(failed), 'other file')} of {len(pairs)} came")
        raise failed[0]


def check_harmless(root: str, pairs: Sequence[Pair]) -> None:
    """Of a folder nobody has looked at, no file is fetched that programs act on by themselves.

    Raises:
        PermissionError: there is one.
    """
    inside = [pair.source.removeprefix(f"{root}/") for pair in pairs]
    for path in sorted(active(inside, inside)):
        message = "programs act on a file of this name, and nobody has signed it; active_names=True fetches it"
        raise PermissionError(errno.EPERM, message, f"{root}/{path}")


def _check_targets(targets: Sequence[str]) -> None:
    """Refuse targets that this disk would take for another file or folder, or for each other.

    Raises:
        OSError: one is such.
    """
    absolute = {str(Path(target).absolute()): target for target in targets}
    alike = look_alikes(absolute)
    for path, other in alike.items():
        if is_folding(Path(path).parent):
            with as_os_error(absolute[path]):
                raise one_to_this_disk(path, other)
    for folder in {Path(path).parent for path in absolute}:
        with as_os_error(str(folder)):
            refuse_another_way(folder)


def get_verified(chunks: Iterable[bytes], pair: Pair, described: FileMetadata) -> None:
    """Put a file whose every chunk was verified as it was read at its local place, at once.

    Raises:
        OSError: it cannot be had, or be written; what was in place before stays.
    """
    _check_targets([pair.target])
    pair.callback.set_size(described.size)
    with as_os_error(pair.source), _placing(pair.target, described, Below()) as write:
        at = 0
        for piece in chunks:
            write(at, piece)
            at += len(piece)
            pair.callback.relative_update(len(piece))


def get_small(account: Account, pair: Pair, described: FileMetadata, below: Below) -> None:
    """Fetch one file with one request."""
    with as_os_error(pair.source):
        data = account.fetch_part(described, pair.source, 0, described.size) if described.size else b""
        place(pair, data, described, below)


def place(pair: Pair, data: bytes, described: FileMetadata, below: Below) -> None:
    """Put a whole content at its local place, at once."""
    pair.callback.set_size(described.size)
    with _placing(pair.target, described, below) as write:
        write(0, data)
    pair.callback.relative_update(len(data))


def get_large(account: Account, pair: Pair, described: FileMetadata, below: Below) -> None:
    """Fetch one file in parts, several on their way while one is written; it is in place when all of it is verified."""
    pair.callback.set_size(described.size)

    def fetch(start: int, end: int) -> bytes:
        return account.fetch_part(described, pair.source, start, end)

    ahead = ReadAhead(account.threads, fetch, start=0, end=described.size, first=PART)
    hasher = ContentHasher()
    try:
        with as_os_error(pair.source), _placing(pair.target, described, below) as write:
            while piece := ahead.read(PART):
                write(hasher.size, piece)
                hasher.update(piece)
                pair.callback.relative_update(len(piece))
            if hasher.digest().hex() != described.content_hash:
                raise ContentMismatch(
                    f"{pair.source} arrived with other bytes than Dropbox describes", path=pair.source
                )
    finally:
        ahead.close()


@contextlib.contextmanager
def _placing(local: str, described: FileMetadata, below: Below) -> Iterator[Callable[[int, bytes], None]]:
    """Write beside the local place; put it there when the block ends well."""
    folder, name = below.locate(local)
    with PartFile(folder, name, token=secrets.token_hex(16)) as placing:
        try:
            yield placing.write
            modified = int(described.client_modified.timestamp() * 1000) * 1_000_000
            placing.commit(
                size=described.size,
                replaces=placing.present(),
                mtime_ns=modified,
                sync_folder=False,
                unsigned=bytes.fromhex(described.content_hash),
            )
        except BaseException:
            placing.discard()
            raise


def _get_by_zip(
    account: Account, pairs: Sequence[Pair], described: dict[str, FileMetadata], below: Below
) -> list[Pair]:
    """Fetch what lies together in folders worth it; what is left to be fetched one by one."""
    root = os.path.commonpath([pair.source.rpartition("/")[0] or "/" for pair in pairs]).rstrip("/")
    wanted: dict[str, Pair] = {}
    rest: list[Pair] = []
    for pair in pairs:
        path = pair.source[len(root) + 1 :]
        if refusal(path) or path in wanted:
            rest.append(pair)
        else:
            wanted[path] = pair
    copies = [Copy(entry_of(RelPath(path), described[pair.source]), None) for path, pair in wanted.items()]
    lying: Iterable[Entry] = (
        entry_of(RelPath(path[len(root) + 1 :]), entry)
        for path, entry in account.metadata.listing(root, recursive=True)
        if isinstance(entry, FileMetadata)
    )
    left = dict(wanted)
    for group in download_zip.groups(copies, lying):
        with contextlib.suppress(HuracanError):  # what cannot be had as a zip is fetched one by one
            _unpack(account, root, group, left, described, below)
    return rest + list(left.values())


def _unpack(
    account: Account,
    root: str,
    group: download_zip.Group,
    left: dict[str, Pair],
    described: dict[str, FileMetadata],
    below: Below,
) -> None:
    archive = download_zip.fetch(account.remote, root, group, Path(tempfile.gettempdir()), lambda _: None)
    try:
        for step in group.copies:
            pair = left[step.path]
            inner = step.path[len(group.folder) + 1 :] if group.folder else step.path
            data = archive.content(inner, step.entry.size)
            if data is not None and content_hash(data) == step.entry.content_hash:
                place(pair, data, described[pair.source], below)
                del left[step.path]
    finally:
        archive.close()
