"""What has moved among the signed things since the last look: one question, whatever lies there."""

from __future__ import annotations

from typing import NamedTuple

from huracan_sync.manifest import locations
from huracan_sync.manifest.trust import Trust
from huracan_sync.reader.source import Source
from huracan_sync.reader.trust_store import Channel
from huracan_sync.tree.content_hash import content_hash
from huracan_sync.tree.paths import fold


class PollResult(NamedTuple):
    """What the listing says has moved."""

    cursor: str
    """Where the next look goes on. It comes first: whatever moves while we look is news the next time."""
    trust: bool
    head: bool


def poll_signed(source: Source, channel: str, held: Channel | None, known: Trust) -> PollResult:
    """Ask once what has moved.

    Args:
        source: where.
        channel: the channel.
        held: what was seen of it.
        known: the newest trust file that was seen.

    Raises:
        NotFound: the folder of signed things is gone.
    """
    answer = source.changed(locations.HOME, held.cursor) if held and held.cursor else None
    if answer is None:
        return _poll_everything(source, channel, held, known)
    cursor, moved = answer
    # What this machine has published itself is no news to it.
    own, wanted = content_hash(held.head) if held else b"", locations.head(channel)
    folded = {fold(path): digest for path, digest in moved.items()}
    trust_moved = any(path.startswith(f"{locations.TRUST}/") or _holds(path, locations.TRUST) for path in folded)
    head_moved = any(_holds(path, wanted) and (path, digest) != (wanted, own) for path, digest in folded.items())
    return PollResult(cursor, trust_moved, head_moved)


def _poll_everything(source: Source, channel: str, held: Channel | None, known: Trust) -> PollResult:
    """Where the last look is not known: what lies there, if one answer tells; else everything may have moved."""
    answer = source.lying(locations.HOME)
    if answer is None:
        return PollResult(source.cursor(locations.HOME), trust=True, head=True)
    cursor, lying = answer
    folded = {fold(path): digest for path, digest in lying.items()}
    same = held is not None and folded.get(locations.head(channel)) == content_hash(held.head)
    return PollResult(cursor, trust=locations.trust(known.version + 1) in folded, head=not same)


def _holds(moved: str, wanted: str) -> bool:
    """Whether news of `moved` is news of `wanted`: the place itself, or a folder it lies in."""
    return wanted == moved or wanted.startswith(f"{moved}/")
