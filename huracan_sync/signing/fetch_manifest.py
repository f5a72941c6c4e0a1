"""The verified manifest of a remote folder: the newest one, or an earlier one that took effect."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

from huracan_sync.errors import NotFound, NoTrust, Refused
from huracan_sync.manifest import locations, rotation, trust
from huracan_sync.manifest.entries import Item
from huracan_sync.manifest.head import Opened
from huracan_sync.manifest.scope import Scope
from huracan_sync.reader import Reader, Snapshot
from huracan_sync.reader.trust_store import TrustStore
from huracan_sync.remote.client import Remote
from huracan_sync.remote.contents import everything
from huracan_sync.remote.source import RemoteSource
from huracan_sync.signing.context import Context
from huracan_sync.signing.executor import Executor
from huracan_sync.signing.head_log import committed
from huracan_sync.signing.local_manifest import LocalManifest
from huracan_sync.signing.open_reader import reader_at
from huracan_sync.signing.transaction import read_items
from huracan_sync.transfer.journal import Journal
from huracan_sync.transfer.journal.signed_state import doubt
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import join

T = TypeVar("T")


class Again(Generic[T]):
    """Something that is made anew each time it is gone through, and never held."""

    def __init__(self, begin: Callable[[], Iterator[T]]) -> None:
        self._begin = begin

    def __iter__(self) -> Iterator[T]:
        return self._begin()


class Listed(Again[Item]):
    """The entries below a folder in the order of their paths, which are relative to it."""

    def __init__(self, scope: Scope, items: Callable[[], Iterable[Item]]) -> None:
        super().__init__(lambda: _below(scope, items()))

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
    scope: Scope,
    channel: str,
    *,
    at: int | None = None,
    journal: Journal | None = None,
) -> FetchedManifest:
    """What the manifest of a channel lists of a folder.

    Args:
        context: the login, the state folder, the key and the clock.
        scope: the folder.
        channel: the channel.
        at: the sequence of an earlier head; None: the newest. It may be stale, not dead.
        journal: of who is about to take it over as signed; what was taken over before is doubted where that is due.

    Raises:
        Refused: the first reason not to believe it.
        NotFound: there is no such head.
        NoTrust, StateMissing: nothing here says whom to believe.
        NotAuthorized, TryLater, Unavailable: Dropbox could not be asked.
    """
    reader = reader_at(context, scope.root)
    place = RemoteSource(context.remote, scope.root).place
    snapshot = reader.latest(channel, allow_stale=True)
    if snapshot.problem is not None:
        raise snapshot.problem  # what was last known good is not what was asked for
    _doubt_revoked(context, scope, journal)
    if at is None or at == snapshot.sequence:
        items = _items(scope, snapshot)
        local = LocalManifest(place, scope.prefix, channel, *reader.kept(channel))
        return FetchedManifest(items, snapshot.sequence, local)
    known, executor, parts = reader.trust(), Executor(context.remote, scope.root), dict[bytes, bytes]()
    opened = executor.perform(committed(Opened(snapshot.head, snapshot.digest, b"", []), at, known))
    past = executor.perform(read_items(opened.head, known.policy(channel), parts))
    local = LocalManifest(place, scope.prefix, channel, opened.data, parts)
    return FetchedManifest(Listed(scope, lambda: past), at, local)


class SignedFiles(NamedTuple):
    """What verified manifests list of a folder."""

    items: list[Item]
    """Their paths relative to the folder."""
    channels: list[str]
    sequence: int
    """Of the folder's own channel; 0 where others list its files."""


def signed_files(context: Context, scope: Scope, own: str, journal: Journal | None = None) -> SignedFiles | None:
    """What is signed of a folder: by its own channel, or else by whichever channels list files of it.

    Channels that this machine has seen are asked for though Dropbox lists no head of them: anybody can delete one.
    One request where the channel is known and unchanged.

    Args:
        context: the login, the state folder, the key and the clock.
        scope: the folder.
        own: the channel that is called as the folder.
        journal: as for `fetch_manifest`.

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
    if snapshot is not None:
        return SignedFiles(list(_items(scope, snapshot)), [own], snapshot.sequence)
    known = TrustStore(context.home, RemoteSource(context.remote, scope.root).place).load().channels
    found: dict[str, list[Item]] = {}
    for channel in (_channels(context.remote, scope.root) | known.keys()) - {own}:
        try:
            snapshot = _newest(reader, channel)
        except Refused:
            if channel in known:
                raise
            continue  # anybody with a token can put rubbish where no channel was ever seen
        if snapshot is not None and (items := list(_items(scope, snapshot))):
            found[channel] = items
    return SignedFiles(list(itertools.chain(*found.values())), sorted(found), 0) if found else None


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


def _channels(remote: Remote, root: str) -> set[str]:
    """Every channel of a root folder that has a head."""
    try:
        heads = everything(remote, join(root, locations.HEADS), lambda entry: entry.path).files
    except NotFound:
        return set()
    return {name for path in heads.values() if (name := locations.channel_of_head(f"{locations.HEADS}/{path}"))}


def _items(scope: Scope, snapshot: Snapshot) -> Listed:
    snapshot.check_whole()
    return Listed(scope, lambda: snapshot.items(scope.prefix))


def _below(scope: Scope, items: Iterable[Item]) -> Iterator[Item]:
    if not scope.prefix:
        yield from items
        return
    inside = f"{scope.prefix}/"
    for item in items:
        if item.path.startswith(inside):
            path = item.path[len(inside) :]
            yield Item(path, item.size, item.content_hash, item.rev, item.mtime_ms, item.kind, item.blocks)
