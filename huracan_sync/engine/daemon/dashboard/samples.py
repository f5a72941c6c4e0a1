"""What the counters read during the last hour."""

from __future__ import annotations

from collections import deque

import msgspec

from huracan_sync.engine.daemon.status import Status

SAMPLE_S = 5.0
"""Seconds between samples."""
SAMPLES = 720
"""How many are kept: an hour of them."""


class Sample(msgspec.Struct, frozen=True):
    """What the counters read at a moment (seconds since 1970)."""

    at: float
    requests: int
    token_requests: int
    bytes_sent: int
    bytes_received: int
    lag_s: float


class Samples:
    """The last hour."""

    def __init__(self) -> None:
        self._kept: deque[Sample] = deque(maxlen=SAMPLES)

    def take(self, status: Status, now: float) -> None:
        """Note what the counters read now."""
        lag = max((kind.lag_s(now) for kind in status.kinds), default=0.0)
        self._kept.append(
            Sample(
                now,
                status.requests,
                status.token_requests,
                status.bytes_sent,
                status.bytes_received,
                lag,
            )
        )

    def all(self) -> list[Sample]:
        """Oldest first."""
        return list(self._kept)
