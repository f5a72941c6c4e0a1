"""What a signed head states of a remote folder, verified: the newest one, or an earlier one that took effect."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from huracan_sync.manifest.entries import Item
from huracan_sync.manifest.head import Opened
from huracan_sync.manifest.scope import Scope
from huracan_sync.remote.client import Remote
from huracan_sync.remote.source import RemoteSource
from huracan_sync.signing.executor import Executor
from huracan_sync.signing.head_log import committed
from huracan_sync.signing.local_manifest import LocalManifest
from huracan_sync.signing.open_reader import reader_at
from huracan_sync.signing.signing_key import KeyPlace
from huracan_sync.signing.transaction import listed


class List(NamedTuple):
    """What is stated."""

    items: list[Item]
    """Their paths relative to the folder."""
    sequence: int
    local_manifest: LocalManifest
    """The same as it was signed, to be kept."""


def stated(
    remote: Remote,
    home: Path,
    scope: Scope,
    channel: str,
    *,
    at: int | None = None,
    keys: KeyPlace | None = None,
    clock: Callable[[], float] = time.time,
) -> List:
    """What a channel says of a folder.

    Args:
        remote: the login.
        home: the state folder.
        scope: the folder.
        channel: the channel.
        at: the sequence of an earlier head; None: the newest. It may be stale, not dead.
        keys: where this machine's key is, if it may have one.
        clock: seconds since 1970.

    Raises:
        Refused: the first reason not to believe it.
        NotFound: there is no such head.
        NoTrust, StateMissing: nothing here says whom to believe.
        NotAuthorized, TryLater, Unavailable: Dropbox could not be asked.
    """
    reader = reader_at(remote, home, scope.root, keys=keys, clock=clock)
    place = RemoteSource(remote, scope.root).place
    snapshot = reader.latest(channel, allow_stale=True)
    if snapshot.problem is not None:
        raise snapshot.problem  # what was last known good is not what was asked for
    if at is None or at == snapshot.sequence:
        items = _below(scope, [snapshot.item(entry.path) for entry in snapshot.iter(scope.prefix)])
        return List(items, snapshot.sequence, LocalManifest(place, scope.prefix, channel, *reader.kept(channel)))
    known, executor, parts = reader.trust(), Executor(remote, scope.root), dict[bytes, bytes]()
    opened = executor.perform(committed(Opened(snapshot.head, snapshot.digest, b"", []), at, known))
    items = _below(scope, executor.perform(listed(opened.head, known.policy(channel), parts)))
    return List(items, at, LocalManifest(place, scope.prefix, channel, opened.data, parts))


def _below(scope: Scope, items: Sequence[Item]) -> list[Item]:
    if not scope.prefix:
        return list(items)
    inside = f"{scope.prefix}/"
    return [
        Item(item.path[len(inside) :], item.size, item.content_hash, item.rev, item.mtime_ms, item.kind, item.blocks)
        for item in items
        if item.path.startswith(inside)
    ]
