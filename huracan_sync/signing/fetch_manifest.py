"""The verified manifest of a remote folder: the newest one, or an earlier one that took effect."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, NamedTuple, TypeVar

from huracan_sync.errors import HuracanError, NotFound, NoTrust, Refused
from huracan_sync.manifest import locations, rotation, trust
from huracan_sync.manifest.entries import Item
from huracan_sync.manifest.head import Opened
from huracan_sync.manifest.scope import Scope, channel_of
from huracan_sync.reader import Reader, Snapshot
from huracan_sync.reader.trust_store import TrustStore
from huracan_sync.remote.client import Remote
from huracan_sync.remote.contents import everything
from huracan_sync.remote.source import RemoteSource
from huracan_sync.signing.context import Context
from huracan_sync.signing.executor import Executor
from huracan_sync.signing.head_log import committed
from huracan_sync.signing.local_manifest import LocalManifest
from huracan_sync.signing.open_reader import in_nearest, reader_at
from huracan_sync.signing.transaction import read_items
from huracan_sync.transfer.journal import Journal
from huracan_sync.transfer.journal.signed_state import doubt
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import fold, join

T = TypeVar("T")


class Again(Generic[T]):
    """Something that is made anew each time it is gone through, and never held."""

    def __init__(self, begin: Callable[[], Iterator[T]]) -> None:
        self._begin = begin

    def __iter__(self) -> Iterator[T]:
        return self._begin()


class Listed(Again[Item]):
    """The entries below a folder in the order of their paths, which are relative to it."""

    def __init__(self, scope: Scope, items: Callable[[str], Iterable[Item]]) -> None:
        """`items` gives the entries of a folder as it is spelled there; of the empty name, all."""
        super().__init__(lambda: _below(scope.prefix, items))

    def entries(self) -> Iterable[Entry]:
        """The same as the rest of the package describes them."""
        return Again(lambda: (item.entry() for item in self))


class FetchedManifest(NamedTuple):
    """What a signed manifest lists of a folder."""

    items: Listed
    sequence: int
    local: LocalManifest
    """The manifest as it was signed, to be kept on this disk."""


def fetch_manifest(
    context: Context,
    folder: str,
    channel: str,
    *,
    at: int | None = None,
    journal: Journal | None = None,
) -> FetchedManifest:
    """What the manifest of a channel lists of a remote folder.

    Of several pinned root folders that it lies in, the nearest that has the channel counts.

    Args:
        context: the login, the state folder, the key and the clock.
        folder: the remote folder.
        channel: the channel.
        at: the sequence of an earlier head; None: the newest. It may be stale, not dead.
        journal: of who is about to take it over as signed; what was taken over before is doubted where that is due.

    Raises:
        Refused: the first reason not to believe it.
        NotFound: there is no such head.
        NoTrust, StateMissing: nothing here says whom to believe.
        NotAuthorized, TryLater, Unavailable: Dropbox could not be asked.
    """

    def newest(scope: Scope, reader: Reader) -> tuple[Scope, Reader, Snapshot]:
        return scope, reader, reader.latest(channel, allow_stale=True)

    scope, reader, snapshot = in_nearest(context, folder, newest)
    if snapshot.problem is not None:
        raise snapshot.problem  # what was last known good is not what was asked for
    place = RemoteSource(context.remote, scope.root).place
    _doubt_revoked(context, scope, journal)
    if at is None or at == snapshot.sequence:
        items = _items(scope, snapshot)
        local = LocalManifest(place, scope.prefix, channel, *reader.kept(channel))
        return FetchedManifest(items, snapshot.sequence, local)
    known, executor, parts = reader.trust(), Executor(context.remote, scope.root), dict[bytes, bytes]()
    opened = executor.perform(committed(Opened(snapshot.head, snapshot.digest, b"", []), at, known))
    past = executor.perform(read_items(opened, known.policy(channel), parts))
    local = LocalManifest(place, scope.prefix, channel, opened.data, parts)

    def inside(prefix: str) -> Iterable[Item]:
        return [item for item in past if item.path.startswith(f"{prefix}/")] if prefix else past

    return FetchedManifest(Listed(scope, inside), at, local)


class SignedFiles(NamedTuple):
    """What verified manifests list of a folder."""

    items: list[Item]
    """Their paths relative to the folder."""
    channels: list[str]
    sequence: int
    """Of the folder's own channel; 0 where others list its files."""
    from_all: bool
    """Whether every channel of the root folder was asked."""


def signed_files(
    context: Context, scope: Scope, own: str, journal: Journal | None = None, *, everywhere: bool = False
) -> SignedFiles | None:
    """What is signed of a folder: by its own channel, and by the others that list files of it.

    Where several list a path, the one that is called as the nearest folder counts. The others are asked where the own
    channel lists nothing there, where what this machine has seen of them lists something, and where that is asked for.
    Channels that this machine has seen are asked though Dropbox lists no head of them: anybody can delete one. One
    request where the own channel alone is known and unchanged.

    Args:
        context: the login, the state folder, the key and the clock.
        scope: the folder.
        own: the channel that is called as the folder.
        journal: as for `fetch_manifest`.
        everywhere: ask every channel of the root folder.

    Returns:
        None where nothing on this machine says whom to trust, or no channel has signed anything there.

    Raises:
        Refused: the first reason not to believe what is signed.
        StateMissing: what was remembered of the root folder is lost.
        NotAuthorized, TryLater, Unavailable: Dropbox could not be asked.
    """
    try:
        reader = reader_at(context, scope.root)
    except NoTrust:
        return None
    snapshot = _newest(reader, own)
    _doubt_revoked(context, scope, journal)
    known = TrustStore(context.home, RemoteSource(context.remote, scope.root).place).load().channels.keys() - {own}
    found: dict[str, list[Item]] = {}
    if snapshot is not None:
        found[own] = list(_items(scope, snapshot))
    if everywhere := everywhere or not found.get(own):
        others = (channels_there(context.remote, scope.root) | known) - {own}
    else:
        others = {channel for channel in known if _has_listed(reader, channel, scope.prefix)}
    for channel in sorted(others):
        items = _of_another(reader, channel, scope, is_known=channel in known, is_alone=snapshot is None)
        if items:
            found[channel] = items
    if not found:
        return None
    return SignedFiles(_one_of_each(scope, found), list(found), snapshot.sequence if snapshot else 0, everywhere)


def _of_another(reader: Reader, channel: str, scope: Scope, *, is_known: bool, is_alone: bool) -> list[Item]:
    """What another channel lists of a folder.

    Where the folder has a channel of its own, another that is too old, or damaged, is no reason to restore nothing.
    """
    try:
        snapshot = _newest(reader, channel) if is_alone else reader.latest(channel, allow_stale=True)
    except NotFound:
        return []
    except Refused:
        if is_known and is_alone:
            raise
        return []  # anybody with a token can put rubbish where no channel was ever seen
    return [] if snapshot is None else list(_items(scope, snapshot))


def _has_listed(reader: Reader, channel: str, folder: str) -> bool:
    """Whether what this machine saw last of a channel lists files of a folder. No network."""
    try:
        return next(iter(reader.last_good(channel, allow_stale=True).items(folder)), None) is not None
    except HuracanError:
        return True  # nobody knows


def _one_of_each(scope: Scope, lists: Mapping[str, list[Item]]) -> list[Item]:
    """Of every path the entry of the channel that has the most to say of it; else the one modified last."""
    if len(lists) == 1:
        return next(iter(lists.values()))

    def rank(channel: str, item: Item) -> tuple[int, int]:
        names = likely_channels(join(scope.root, scope.path(item.path)))
        return names.index(channel) if channel in names else len(names), -item.mtime_ms

    chosen: dict[str, tuple[str, Item]] = {}
    for channel, items in lists.items():
        for item in items:
            other = chosen.setdefault(fold(item.path), (channel, item))
            if other[1] is not item and rank(channel, item) < rank(*other):
                chosen[fold(item.path)] = channel, item
    return sorted((item for _, item in chosen.values()), key=lambda item: item.path)


def likely_channels(path: str) -> list[str]:
    """The channels that are called like a folder that a remote file lies in, the nearest first."""
    return [channel_of(folder) for folder in reversed(path.strip("/").split("/")[:-1])]


def _doubt_revoked(context: Context, scope: Scope, journal: Journal | None) -> None:
    """Doubt what this machine took over as signed before the revocations that it knows of in the root folder."""
    if journal is not None:
        place = RemoteSource(context.remote, scope.root).place
        known = trust.open(TrustStore(context.home, place).load().trust)
        doubt(journal, place, rotation.revoked_ids(known))


def _newest(reader: Reader, channel: str) -> Snapshot | None:
    try:
        snapshot = reader.latest(channel, allow_stale=True)
    except NotFound:
        return None
    if snapshot.problem is not None:
        raise snapshot.problem  # what was last known good is not what was asked for
    return snapshot


def channels_there(remote: Remote, root: str) -> set[str]:
    """Every channel of a root folder that has a head."""
    try:
        heads = everything(remote, join(root, locations.HEADS), lambda entry: entry.path).files
    except NotFound:
        return set()
    return {name for path in heads if (name := locations.channel_of_head(f"{locations.HEADS}/{path}"))}


def _items(scope: Scope, snapshot: Snapshot) -> Listed:
    snapshot.check_whole()
    return Listed(scope, snapshot.items)


def _below(prefix: str, items: Callable[[str], Iterable[Item]]) -> Iterator[Item]:
    """The entries below a folder, whatever its case: Dropbox knows none."""
    if not prefix:
        yield from items("")
        return
    length = len(fold(prefix))
    spelled = {item.path[:length] for item in items("") if item.path[length : length + 1] == "/"}
    spelled = {folder for folder in spelled if fold(folder) == fold(prefix)}
    inside = (map(_relative_to(length + 1), items(folder)) for folder in spelled)
    yield from heapq.merge(*inside, key=lambda item: item.path)


def _relative_to(length: int) -> Callable[[Item], Item]:
    return lambda item: Item(
        item.path[length:], item.size, item.content_hash, item.rev, item.mtime_ms, item.kind, item.blocks
    )
