"""What a signed head states of a remote folder, verified: the newest one, or an earlier one that took effect."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from huracan_sync.manifest.entries import Item
from huracan_sync.manifest.head import Opened
from huracan_sync.manifest.scope import Spot
from huracan_sync.remote.client import Remote
from huracan_sync.remote.source import RemoteSource
from huracan_sync.signing.executor import Board
from huracan_sync.signing.head_log import committed
from huracan_sync.signing.local_manifest import Statement
from huracan_sync.signing.open_reader import reader_at
from huracan_sync.signing.signing_key import KeyPlace
from huracan_sync.signing.transaction import listed


class List(NamedTuple):
    """What is stated."""

    items: list[Item]
    """Their paths relative to the folder."""
    sequence: int
    statement: Statement
    """The same as it was signed, to be kept."""


def stated(
    remote: Remote,
    home: Path,
    spot: Spot,
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
        spot: the folder.
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
    reader = reader_at(remote, home, spot.root, keys=keys, clock=clock)
    place = RemoteSource(remote, spot.root).place
    snapshot = reader.latest(channel, allow_stale=True)
    if snapshot.problem is not None:
        raise snapshot.problem  # what was last known good is not what was asked for
    if at is None or at == snapshot.sequence:
        items = _below(spot, [snapshot.item(entry.path) for entry in snapshot.iter(spot.prefix)])
        return List(items, snapshot.sequence, Statement(place, spot.prefix, channel, *reader.kept(channel)))
    known, board, parts = reader.trust(), Board(remote, spot.root), dict[bytes, bytes]()
    opened = board.perform(committed(Opened(snapshot.head, snapshot.digest, b"", []), at, known))
    items = _below(spot, board.perform(listed(opened.head, known.policy(channel), parts)))
    return List(items, at, Statement(place, spot.prefix, channel, opened.data, parts))


def _below(spot: Spot, items: Sequence[Item]) -> list[Item]:
    if not spot.prefix:
        return list(items)
    inside = f"{spot.prefix}/"
    return [
        Item(item.path[len(inside) :], item.size, item.content_hash, item.rev, item.mtime_ms, item.kind, item.blocks)
        for item in items
        if item.path.startswith(inside)
    ]
