"""What may follow a trust file: more time, another key, a key revoked, a channel's own policy. Pure.

`renewed` gives version N+1, made now and good for as long as version N was; the other functions change it further.
The rules in `trust` accept the result after N, signed by a threshold of N's roots and of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from huracan_sync.errors import UsageError
from huracan_sync.manifest import sshsig
from huracan_sync.manifest.trust import DAY_MS, MAX_AGE_S, WARN_MS, Key, Policy, Revocation, Trust, link

OVERLAP_MS = (MAX_AGE_S * 1000) + DAY_MS
"""How long a key that was replaced still counts: every head it has signed ends before."""


def renewed(trust: Trust, *, now_ms: int) -> Trust:
    """Version N+1 with new times. Keys whose time is over are left out where enough others remain."""
    created_ms = max(now_ms, trust.created_ms)
    expires_ms = created_ms + trust.expires_ms - trust.created_ms
    living = {key.id for key in trust.keys if created_ms < key.not_after_ms}
    channels = tuple(msgspec.structs.replace(policy, key_ids=_kept(policy, living)) for policy in trust.channels)
    named = {key_id for policy in channels for key_id in policy.key_ids}
    return msgspec.structs.replace(
        trust,
        version=trust.version + 1,
        prev=link(trust),
        created_ms=created_ms,
        expires_ms=expires_ms,
        keys=tuple(
            _extended(key, trust, expires_ms) for key in trust.keys if key.id in named or trust.is_revoked(key.id)
        ),
        channels=channels,
    )


def replaced(made: Trust, old: bytes, new: bytes, *, label: str = "root") -> Trust:
    """Another public key (32 bytes) does from now on what `old` did; what `old` has signed counts while it is fresh."""
    old_id = sshsig.key_id(old)
    # Before the trust file ends: a key that counts as long as that is given more time with the next version.
    ends_ms = min(made.created_ms + OVERLAP_MS, made.expires_ms - 1)
    keys = [
        msgspec.structs.replace(key, not_after_ms=min(key.not_after_ms, ends_ms)) if key.id == old_id else key
        for key in made.keys
    ]
    return msgspec.structs.replace(
        made,
        roots=_ascending(new if public == old else public for public in made.roots),
        keys=_by_id([*keys, _key(new, made, label)]),
        channels=tuple(
            _also_by(policy, sshsig.key_id(new)) if old_id in policy.key_ids else policy for policy in made.channels
        ),
    )


def revoked_ids(trust: Trust) -> frozenset[bytes]:
    """The keys whose signatures count nowhere."""
    return frozenset(revocation.id for revocation in trust.revoked)


def revoked(made: Trust, before: Trust, key_id: bytes, *, reason: str) -> Trust:
    """A key counts nowhere any more, and every channel it could sign begins a new epoch.

    Args:
        made: version N+1 so far.
        before: version N.
        key_id: the key's id.
        reason: a few words for people.

    Raises:
        UsageError: there is no such key, or a channel or the roots would be left with too few.
    """
    found = before.key(key_id)
    if found is None or before.is_revoked(key_id):
        raise UsageError("the trust file knows no such key that counts", hint="`huracan-sync keys show` lists them")
    channels = tuple(_without(policy, before, key_id) for policy in made.channels)
    roots = tuple(public for public in made.roots if public != found.public)
    if len(roots) < made.root_threshold or any(len(policy.key_ids) < policy.threshold for policy in channels):
        raise UsageError("without that key too few are left", hint="let another one take its place")
    revocations = (*made.revoked, Revocation(key_id, made.created_ms, reason))
    return msgspec.structs.replace(
        made,
        roots=roots,
        keys=_by_id([*made.keys, found]),
        channels=channels,
        revoked=tuple(sorted(revocations, key=lambda each: each.id)),
    )


def with_channel(made: Trust, name: str, *, signers: Mapping[bytes, str] | None = None, **changes: Any) -> Trust:
    """A channel has a policy of its own, or another than before.

    Args:
        made: version N+1 so far.
        name: the channel, or `*` for all that have none of their own.
        signers: the public keys (32 bytes) that may sign it, and what people call them; None leaves them.
        **changes: fields of `Policy`.

    Raises:
        UsageError: there is no policy that it could begin with.
    """
    before = made.find(name)
    if before is None:
        raise UsageError(f"the trust file has no policy that {name} could begin with")
    keys = list(made.keys)
    if signers is not None:
        ids = changes["key_ids"] = _ascending(map(sshsig.key_id, signers))
        keys = [key for key in keys if key.id not in ids or made.created_ms < key.not_after_ms]
        keys += [_key(public, made, label) for public, label in signers.items()]
    policy = msgspec.structs.replace(before, name=name, **changes)
    others = [each for each in made.channels if each.name != name]
    return msgspec.structs.replace(
        made, keys=_by_id(keys), channels=tuple(sorted([*others, policy], key=lambda each: each.name))
    )


def recovered(made: Trust, name: str) -> Trust:
    """A channel begins a new epoch: what lies at its head no longer counts, whatever its place in history and its time.

    Args:
        made: version N+1 so far.
        name: the channel.

    Raises:
        Refused: `CHANNEL_NAME` or `CHANNEL_UNKNOWN`, there is no such channel.
    """
    return with_channel(made, name, epoch=made.policy(name).epoch + 1)


def endings(trust: Trust, *, now_ms: int) -> list[str]:
    """What ends soon, in words: within a month, or the last third of a life that is shorter than two months."""
    life_ms = trust.expires_ms - trust.created_ms
    window_ms = WARN_MS if life_ms >= 2 * WARN_MS else min(WARN_MS, life_ms // 3)
    ends = [(trust.expires_ms, f"version {trust.version} of the trust file")]
    named = {key_id for policy in trust.channels for key_id in policy.key_ids}
    ends += [
        (key.not_after_ms, f"the key {key.label or sshsig.fingerprint(key.public)}")
        for key in trust.keys
        if key.id in named and not _was_replaced(key, trust)
    ]
    return [
        f"{what} {'ended' if at_ms <= now_ms else 'ends'} on {_day(at_ms)}; run `huracan-sync keys rotate`"
        for at_ms, what in ends
        if at_ms - now_ms < window_ms
    ]


def _was_replaced(key: Key, trust: Trust) -> bool:
    """Whether another key of its channels counts longer."""
    others = {key_id for policy in trust.channels if key.id in policy.key_ids for key_id in policy.key_ids}
    return any(other.id in others and other.not_after_ms > key.not_after_ms for other in trust.keys)


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).date().isoformat()


def _extended(key: Key, trust: Trust, expires_ms: int) -> Key:
    """More time for a key that could sign until the trust file itself ended; none for one that was replaced."""
    if trust.is_revoked(key.id) or key.not_after_ms < trust.expires_ms:
        return key
    return msgspec.structs.replace(key, not_after_ms=max(key.not_after_ms, expires_ms))


def _kept(policy: Policy, living: set[bytes]) -> tuple[bytes, ...]:
    kept = tuple(key_id for key_id in policy.key_ids if key_id in living)
    return kept if len(kept) >= policy.threshold else policy.key_ids


def _key(public: bytes, made: Trust, label: str) -> Key:
    return Key(sshsig.key_id(public), public, label, max(0, made.created_ms - DAY_MS), made.expires_ms)


def _by_id(keys: Iterable[Key]) -> tuple[Key, ...]:
    """In order; of two with one id the first."""
    found: dict[bytes, Key] = {}
    for key in keys:
        found.setdefault(key.id, key)
    return tuple(found[key_id] for key_id in sorted(found))


def _ascending(values: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(sorted(set(values)))


def _also_by(policy: Policy, key_id: bytes) -> Policy:
    return msgspec.structs.replace(policy, key_ids=_ascending([*policy.key_ids, key_id]))


def _without(policy: Policy, before: Trust, key_id: bytes) -> Policy:
    was = before.find(policy.name)
    if key_id not in policy.key_ids and (was is None or key_id not in was.key_ids):
        return policy
    kept = tuple(each for each in policy.key_ids if each != key_id)
    return msgspec.structs.replace(policy, key_ids=kept, epoch=policy.epoch + 1)
