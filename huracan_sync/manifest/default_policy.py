"""What `keys init` writes: one root key that is also the one publisher, and a policy for every channel."""

from __future__ import annotations

from typing import Final

from huracan_sync.manifest import sshsig
from huracan_sync.manifest.file_kinds import DATA
from huracan_sync.manifest.trust import DAY_MS, OTHERS, Key, Policy, Trust

LIFETIME_MS: Final = 180 * DAY_MS
"""How long a trust file counts, and with it the publishing key. `keys rotate` renews both."""

_HOUR = 3_600
_DAY = 86_400

CHANNELS: Final = (
    # name, seconds a head is fresh, seconds after that in which one may still ask for it
    (OTHERS, 7 * _DAY, 366 * _DAY),  # what is pushed now and then, and restored any time later
    ("candles", 26 * _HOUR, 366 * _DAY),  # a daily run, with two hours to be late
    ("champions", 2 * _HOUR, 24 * _HOUR),  # what Hamilton trades on; a heartbeat every fifteen minutes
)


def first_trust(public: bytes, *, now_ms: int, label: str = "root") -> Trust:
    """Version 1 of the trust file for one person with one key (32 bytes)."""
    key_id = sshsig.key_id(public)
    expires_ms = now_ms + LIFETIME_MS
    return Trust(
        v=1,
        version=1,
        created_ms=now_ms,
        expires_ms=expires_ms,
        roots=(public,),
        root_threshold=1,
        # A machine whose clock runs a day behind the one that made the key can still publish.
        keys=(Key(key_id, public, label, max(0, now_ms - DAY_MS), expires_ms),),
        channels=tuple(
            Policy(
                name=name,
                epoch=1,
                key_ids=(key_id,),
                threshold=1,
                max_age_s=fresh_s,
                stale_limit_s=stale_s,
                kinds=tuple(map(int, DATA)),
                path_prefix="",
                max_entries=2_000_000,
            )
            for name, fresh_s, stale_s in CHANNELS
        ),
        revoked=(),
    )
