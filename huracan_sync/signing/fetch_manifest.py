"""The verified manifest of a remote folder: the newest one, or an earlier one that took effect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from huracan_sync.manifest.entries import Item
from huracan_sync.manifest.head import Opened
from huracan_sync.manifest.scope import Scope
from huracan_sync.remote.source import RemoteSource
from huracan_sync.signing.context import Context
from huracan_sync.signing.executor import Executor
from huracan_sync.signing.head_log import committed
from huracan_sync.signing.local_manifest import LocalManifest
from huracan_sync.signing.open_reader import reader_at
from huracan_sync.signing.transaction import read_items


class FetchedManifest(NamedTuple):
    """What a signed manifest lists of a folder."""

    items: list[Item]
    """Their paths relative to the folder."""
    sequence: int
    local: LocalManifest
    """The manifest as it was signed, to be kept on this disk."""


def fetch_manifest(
    context: Context,
    scope: Scope,
    channel: str,
    *,
    at: int | None = None,
) -> FetchedManifest:
    """What the manifest of a channel lists of a folder.

    Args:
        context: the login, the state folder, the key and the clock.
        scope: the folder.
        channel: the channel.
        at: the sequence of an earlier head; None: the newest. It may be stale, not dead.

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
    if at is None or at == snapshot.sequence:
        items = _below(scope, [snapshot.item(entry.path) for entry in snapshot.iter(scope.prefix)])
        return FetchedManifest(
            items, snapshot.sequence, LocalManifest(place, scope.prefix, channel, *reader.kept(channel))
        )
    known, executor, parts = reader.trust(), Executor(context.remote, scope.root), dict[bytes, bytes]()
    opened = executor.perform(committed(Opened(snapshot.head, snapshot.digest, b"", []), at, known))
    items = _below(scope, executor.perform(read_items(opened.head, known.policy(channel), parts)))
    return FetchedManifest(items, at, LocalManifest(place, scope.prefix, channel, opened.data, parts))


def _below(scope: Scope, items: Sequence[Item]) -> list[Item]:
    if not scope.prefix:
        return list(items)
    inside = f"{scope.prefix}/"
    return [
        Item(item.path[len(inside) :], item.size, item.content_hash, item.rev, item.mtime_ms, item.kind, item.blocks)
        for item in items
        if item.path.startswith(inside)
    ]
