"""What `keys init` writes: one root key that is also the one publisher, and a policy for every channel."""

from __future__ import annotations

from typing import Final

from huracan_sync.manifest import sshsig
from huracan_sync.manifest.file_kinds import PROVABLE, Kind
from huracan_sync.manifest.trust import DAY_MS, FIRST, OTHERS, Key, Policy, Trust

LIFETIME_MS: Final = 30 * DAY_MS
"""How long a trust file counts, and with it the publishing key, where the root key is on the machine that publishes:
`run`, `publish` and `push` renew both. A thief with a revoked key can sign for so long at the most."""

APART_MS: Final = 90 * DAY_MS
"""The same where the root key is kept apart, and a person renews."""

_HOUR = 3_600
_DAY = 86_400

CHANNELS: Final = (
    # name, seconds a head is fresh, seconds after that in which one may still ask for it, kinds of files
    (OTHERS, 7 * _DAY, 366 * _DAY, tuple(Kind)),  # what is pushed now and then, and restored any time later
    ("candles", 26 * _HOUR, 366 * _DAY, tuple(Kind)),  # a daily run, with two hours to be late
    ("champions", 2 * _HOUR, 24 * _HOUR, PROVABLE),  # what Hamilton trades on; a heartbeat every fifteen minutes
)


def first_trust(
    public: bytes, *, root_id: bytes, now_ms: int, label: str = "root", lifetime_ms: int = LIFETIME_MS
) -> Trust:
    """Version 1 of the trust file of a root folder, for one person with one key (32 bytes).

    Args:
        public: the key.
        root_id: 16 random bytes.
        now_ms: milliseconds since 1970.
        label: what people call the key.
        lifetime_ms: how long it counts.
    """
    key_id = sshsig.key_id(public)
    expires_ms = now_ms + lifetime_ms
    return Trust(
        v=2,
        root_id=root_id,
        version=1,
        prev=FIRST,
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
                kinds=tuple(map(int, kinds)),
                path_prefix="",
                max_entries=2_000_000,
            )
            for name, fresh_s, stale_s, kinds in CHANNELS
        ),
        revoked=(),
    )
