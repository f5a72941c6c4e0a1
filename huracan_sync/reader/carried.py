"""A snapshot as it travels to another process, which verifies it again with no request."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec

from huracan_sync.manifest import body, checks, head, head_history, trust
from huracan_sync.reader.cache import BlobCache
from huracan_sync.reader.snapshot import Snapshot
from huracan_sync.reader.source import Source, fetch_body

MOST_CARRIED = 4 * 1024 * 1024
"""Bytes of a manifest that travel; a larger one is fetched where it arrives, and proved by the head all the same."""


class Carried(msgspec.Struct, frozen=True):
    """The files that say what a snapshot is, as they are signed. The caller is trusted as their source."""

    channel: str
    trust: bytes
    head: bytes
    parts: list[bytes] = []
    """The files of the body; none where they are too many."""
    is_past: bool = False
    """Whether it is an earlier one that was asked for by its sequence: then its age does not count."""


def open_carried(
    carried: Carried, *, source: Source, blob_cache: BlobCache, allow_stale: bool, clock: Callable[[], float]
) -> Snapshot:
    """The snapshot, everything of it verified again. No request where its body travelled too.

    Raises:
        Refused: the first reason not to believe it.
        Unavailable: its body did not travel, and Dropbox cannot be reached.
    """
    known = trust.open(carried.trust)
    policy = known.policy(carried.channel)
    now_ms = int(clock() * 1000)
    if carried.is_past:
        opened = head_history.past(carried.head, trust=known, channel=carried.channel)
        made_s = opened.head.created_ms / 1000
        judged_at: Callable[[], float] = lambda: made_s  # noqa: E731 - a moment that stands still
    else:
        opened = head.open(carried.head, trust=known, channel=carried.channel, now_ms=now_ms)
        checks.check_fresh(policy, expires_ms=opened.head.expires_ms, now_ms=now_ms, allow_stale=allow_stale)
        judged_at = clock
    here = {hashlib.sha256(part).digest(): part for part in carried.parts}

    def fetch(sha256: bytes, length: int) -> bytes:
        data = here.get(sha256)
        if data is None:
            data = blob_cache.body(sha256, length)
        if data is None:
            return fetch_body(source, opened, sha256, length)
        body.check_part(data, sha256, length)
        return data

    return Snapshot(
        opened,
        policy,
        body.entries(opened.head, policy, fetch),
        source=source,
        blob_cache=blob_cache,
        allow_stale=allow_stale,
        clock=judged_at,
    )
