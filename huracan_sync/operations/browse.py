"""Look at one place in Dropbox: list a folder, find what was signed of a file, compare a folder by hash.

Nothing here changes Dropbox or the disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from huracan_sync.errors import NotFound, Refused
from huracan_sync.manifest.scope import Scope
from huracan_sync.reader import Reader, Snapshot
from huracan_sync.reader.trust_store import TrustStore
from huracan_sync.remote.client import Remote
from huracan_sync.remote.folder_listing import FolderListing
from huracan_sync.remote.listing import FileMetadata, FolderMetadata, begun_again
from huracan_sync.remote.source import RemoteSource
from huracan_sync.remote.stat import metadata
from huracan_sync.signing.context import Context
from huracan_sync.signing.fetch_manifest import channels_there, likely_channels
from huracan_sync.signing.open_reader import readers
from huracan_sync.transfer.pair import Options, Pair
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import ancestors, fold, remote_root
from huracan_sync.tree.symbols import CHAMPIONS


class Listed(msgspec.Struct, frozen=True):
    """A file or folder in Dropbox."""

    path: str
    """Relative to the folder that was listed."""
    type: str
    """`file` or `folder`."""
    size: int = 0
    """Bytes; 0 of a folder."""
    modified: datetime | None = None
    """When the file was modified on the machine that sent it; None of a folder."""
    rev: str = ""
    content_hash: str = ""


class Difference(msgspec.Struct, frozen=True):
    """A file that is not the same on both sides."""

    path: str
    what: str
    """`differs`, `only_local` or `only_remote`."""
    local_size: int | None = None
    remote_size: int | None = None


class Comparison(msgspec.Struct):
    """A local folder and a remote one, compared by content hash."""

    differences: list[Difference]
    same: int
    """Files that both sides hold alike."""
    problems: list[str]
    """What could not be read, so that nobody knows whether it differs."""


def list_folder(remote: Remote, path: str, *, recursive: bool = False) -> list[Listed]:
    """What a remote folder holds, sorted by path; of a file, the file itself.

    Raises:
        NotFound: nothing lies there.
    """
    folder = remote_root(path)
    found = metadata(remote, folder) if folder else None
    if isinstance(found, FileMetadata):
        return [_listed(found.name, found)]
    if folder and found is None:
        raise NotFound(
            f"{folder} does not exist in Dropbox", path=folder, hint="check the spelling, or list its parent"
        )

    def list_once() -> FolderListing:
        listing = FolderListing(folder, recursive=recursive)
        listing.apply(listing.fetch_changes(remote)[0])
        return listing

    entries = {path[len(folder) + 1 :]: item for path, item in begun_again(list_once).named(folder)}
    return [_listed(path, entries[path]) for path in sorted(entries)]


def _listed(path: str, item: FileMetadata | FolderMetadata) -> Listed:
    if isinstance(item, FolderMetadata):
        return Listed(path, "folder")
    return Listed(path, "file", item.size, item.client_modified, item.rev, item.content_hash)


def find_signed(context: Context, path: str, *, channel: str | None = None) -> tuple[Snapshot, str] | None:
    """The snapshot that lists a remote file, and what it calls the file; None where nobody has signed it.

    Of several pinned root folders that it lies in, the nearest that lists it counts.

    Args:
        context: the login and this machine's state.
        path: of the file.
        channel: look in this channel only.

    Raises:
        NoTrust: this machine has pinned no root key, so nothing can be verified.
        Refused: a channel that may list the file does not stand up.
        NotFound: a channel was named, and it does not list the file.
    """
    unknown: NotFound | None = None
    for scope, reader in readers(context, path):
        try:
            if found := _find_in(context, scope, reader, path, channel):
                return found
        except NotFound as error:
            if channel is None:
                raise  # something is gone that was there, which is not to say that nobody has signed the file
            unknown = unknown or error
    if channel:
        raise unknown or NotFound(f"{channel} does not list {path}", path=path, channel=channel)
    return None


def _find_in(
    context: Context, scope: Scope, reader: Reader, path: str, channel: str | None
) -> tuple[Snapshot, str] | None:
    """As `find_signed`, in one root folder."""
    known = TrustStore(context.home, RemoteSource(context.remote, scope.root).place).load().channels
    snapshots = list[Snapshot]()
    for name in [channel] if channel else _channels(context.remote, scope.root, path, known):
        try:
            snapshot = reader.latest(name, allow_stale=True, remember=False)
        except Refused:
            if channel or name in known:
                raise
            continue  # anybody with a token can put rubbish where no channel was ever seen
        if scope.prefix in snapshot:
            return snapshot, scope.prefix
        snapshots.append(snapshot)
    wanted = fold(scope.prefix)  # Dropbox knows no case
    for snapshot in snapshots:
        if name := next((item.path for item in snapshot.items() if fold(item.path) == wanted), ""):
            return snapshot, name
    return None


def _channels(remote: Remote, root: str, path: str, known: Iterable[str]) -> Iterator[str]:
    """The channels of a root folder; first those that are called like a folder the file lies in.

    Also those that this machine has seen: anybody with a token can delete a head, or hide it.
    """
    there = channels_there(remote, root).union(known)
    yield from (name for name in dict.fromkeys([*likely_channels(path), CHAMPIONS, *sorted(there)]) if name in there)


def compare(pair: Pair, options: Options | None = None) -> Comparison:
    """What differs between both sides of a pair, by content hash. Downloads nothing; reads only what moved."""
    changes = pair.find_changes(options or Options())
    differences = []
    unclear = changes.unclear
    for key in sorted(changes.here.keys() | changes.there.keys()):
        if key in unclear or not unclear.isdisjoint(ancestors(key)):
            continue
        here, there = changes.here.get(key), changes.there.get(key)
        if here is None or there is None or not _is_same(here, there):
            differences.append(_difference(here, there))
    problems = [str(problem.error) for problem in changes.problems] + [str(error) for error in changes.refused]
    local = sum(each.what != "only_remote" for each in differences)
    return Comparison(differences, max(0, changes.local_count - local), problems)


def _is_same(here: Entry, there: Entry) -> bool:
    return here.size == there.size and here.content_hash == there.content_hash


def _difference(here: Entry | None, there: Entry | None) -> Difference:
    if here is None:
        assert there is not None  # noqa: S101 - one of them is there
        return Difference(there.path, "only_remote", None, there.size)
    if there is None:
        return Difference(here.path, "only_local", here.size, None)
    return Difference(here.path, "differs", here.size, there.size)
