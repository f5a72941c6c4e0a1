"""What that is signed ends soon, by what this machine knows. No network."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple

from huracan_sync.errors import Refused
from huracan_sync.manifest import rotation, trust
from huracan_sync.reader.known_roots import known


class Ending(NamedTuple):
    """A trust file or key that ends within 30 days, or has ended."""

    sentence: str
    has_ended: bool
    """Whether the trust file that it is about no longer counts."""


def next_end(home: Path) -> float | None:
    """When the first trust file of this machine ends, seconds since 1970; None where it knows none."""
    ends = []
    for state in known(home):
        with contextlib.suppress(Refused):
            ends.append(trust.open(state.trust).expires_ms / 1000)
    return min(ends, default=None)


def endings(home: Path, now: float) -> list[Ending]:
    """What ends soon, each once."""
    found: dict[Ending, None] = {}
    for state in known(home):
        try:
            opened = trust.open(state.trust)
        except Refused:
            continue
        sentences = rotation.endings(opened, now_ms=int(now * 1000))
        found |= dict.fromkeys(Ending(each, opened.expires_ms <= now * 1000) for each in sentences)
    return list(found)
