"""Whether a head may be believed: by whom it is signed, when, and after which other.

The rules always raise; which failures are ordinary (an expired head when the caller allows stale ones, an older trust
file when a newer one is about to be looked for) is known to the workflow in `reader`, not here. Time is an argument.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from huracan_sync.manifest import sshsig
from huracan_sync.manifest.envelope import Envelope
from huracan_sync.manifest.refusals import refused
from huracan_sync.manifest.trust import Key, Policy, Trust

CLOCK_SLACK_MS = 300_000
"""How far a clock may fall behind what was seen before freshness cannot be judged any more."""

MAX_JUMP = 1_000_000
"""More heads than any publisher writes between two looks: at one every fifteen minutes, 28 years of them."""


class Mark(NamedTuple):
    """The highest place in a channel's history that was seen, and which head was there."""

    epoch: int
    sequence: int
    digest: bytes
    """SHA-256 of the head's payload; empty when an operator set a floor without knowing the head."""


class Freshness(StrEnum):
    """How much a head is worth now."""

    FRESH = "fresh"
    STALE = "stale"
    """Past its time: for managing what is open, not for new risk."""
    DEAD = "dead"


def signers(trust: Trust, policy: Policy, envelope: Envelope, namespace: str) -> list[Key]:
    """The keys of the channel that have signed; at least a threshold of them.

    Signatures under names that the trust file does not know are passed over: they may be of a key not known yet or
    not any more. One under a known name that is not by that key refuses the whole.
    """
    counted: list[Key] = []
    foreign: list[str] = []
    revoked: list[str] = []
    for key_id, signature in envelope.signatures.items():
        key = trust.key(key_id)
        if key is not None and not sshsig.verify(key.public, namespace, envelope.payload, signature):
            raise refused("BAD_SIGNATURE", f"a signature of {policy.name} is not by the key it names", key=key_id.hex())
        if trust.is_revoked(key_id):
            revoked.append(key_id.hex())
        elif key is not None and key_id in policy.key_ids:
            counted.append(key)
        elif key is not None:
            foreign.append(key_id.hex())
    if len(counted) < policy.threshold:
        message = f"{len(counted)} trusted keys have signed where {policy.threshold} must"
        if revoked:
            raise refused("KEY_REVOKED", f"{message}; one that signed is revoked", keys=", ".join(revoked))
        if foreign:
            raise refused("KEY_CHANNEL", f"{message}; one that signed is for another channel", keys=", ".join(foreign))
        raise refused("THRESHOLD", message, actual=len(counted), expected=policy.threshold)
    return counted


def check_windows(keys: list[Key], policy: Policy, *, created_ms: int, now_ms: int) -> None:
    """A threshold of the keys that signed could sign then and counts now."""
    inside = [key for key in keys if key.valid_at(created_ms, now_ms)]
    if len(inside) < policy.threshold:
        late = next(key for key in keys if key not in inside)
        raise refused(
            "KEY_WINDOW",
            f"the key {late.label or late.id.hex()} signed outside the time in which it may",
            key=late.id.hex(),
            not_before_ms=late.not_before_ms,
            not_after_ms=late.not_after_ms,
            created_ms=created_ms,
            now_ms=now_ms,
        )


def advances(mark: Mark | None, epoch: int, sequence: int, digest: bytes, prev: bytes) -> bool:
    """Whether a head comes after what was seen (True) or is what was seen (False). Anything else raises."""
    if mark is None:
        return True
    here, there = f"{epoch}-{sequence}", f"{mark.epoch}-{mark.sequence}"
    if (epoch, sequence) < (mark.epoch, mark.sequence):
        raise refused("ROLLBACK", f"the head is at {here}, and {there} was already seen", actual=here, expected=there)
    if (epoch, sequence) == (mark.epoch, mark.sequence):
        if mark.digest and digest != mark.digest:
            raise refused("FORK", f"two different heads are at {here}", actual=digest.hex(), expected=mark.digest.hex())
        return not mark.digest
    if epoch == mark.epoch:
        if sequence == mark.sequence + 1 and mark.digest and prev != mark.digest:
            raise refused("FORK", f"the head at {here} does not follow the one seen at {there}", actual=prev.hex())
        if sequence - mark.sequence > MAX_JUMP:
            raise refused("SEQUENCE_JUMP", f"the head is at {here}, far beyond {there}", actual=here, expected=there)
    return True


def check_clock(now_ms: int, seen_ms: int) -> None:
    """Raise `CLOCK` when this machine's clock runs behind what it has already seen."""
    if now_ms < seen_ms - CLOCK_SLACK_MS:
        message = f"this machine's clock is {(seen_ms - now_ms) // 1000} s behind a time it has already seen"
        raise refused("CLOCK", message, now_ms=now_ms, seen_ms=seen_ms)


def freshness(policy: Policy, *, expires_ms: int, now_ms: int) -> Freshness:
    """How much a head that expires then is worth now."""
    if now_ms < expires_ms:
        return Freshness.FRESH
    return Freshness.STALE if now_ms < expires_ms + policy.stale_limit_s * 1000 else Freshness.DEAD


def check_fresh(policy: Policy, *, expires_ms: int, now_ms: int, allow_stale: bool) -> Freshness:
    """The freshness, or `DEAD`, or `STALE` when the caller does not allow that."""
    status = freshness(policy, expires_ms=expires_ms, now_ms=now_ms)
    late = f"the newest head expired {(now_ms - expires_ms) // 1000} s ago"
    if status is Freshness.DEAD:
        message = f"{late}, more than the {policy.stale_limit_s} s it may be used after that"
        raise refused("DEAD", message, expires_ms=expires_ms, now_ms=now_ms, stale_limit_s=policy.stale_limit_s)
    if status is Freshness.STALE and not allow_stale:
        raise refused("STALE", late, expires_ms=expires_ms, now_ms=now_ms, stale_limit_s=policy.stale_limit_s)
    return status
