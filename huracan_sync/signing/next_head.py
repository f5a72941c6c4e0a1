"""What lies at a channel's head, and what may come after it. Pure."""

from __future__ import annotations

from typing import NamedTuple

from huracan_sync.errors import Refused
from huracan_sync.manifest import checks, head
from huracan_sync.manifest.body import Body
from huracan_sync.manifest.checks import Mark
from huracan_sync.manifest.head import Head, Opened
from huracan_sync.manifest.trust import Trust

_NOT_OURS = ("HEAD_FORMAT", "NOT_CANONICAL", "BAD_SIGNATURE", "THRESHOLD", "KEY_CHANNEL", "WRONG_CHANNEL")
"""What can only have been put there by somebody without the channel's keys."""
_PAST = ("ROLLBACK", "EPOCH", "KEY_REVOKED")
"""What counted once and does not any more."""


class Lying(NamedTuple):
    """A file as it lies in Dropbox."""

    data: bytes
    rev: str


class Held(NamedTuple):
    """What this machine has seen of a channel."""

    mark: Mark
    head: bytes
    """The head file at the mark; empty where only a floor was set."""


class Named(NamedTuple):
    """What a head says of its body."""

    sha256: bytes
    length: int
    raw_len: int
    entry_count: int


class Standing(NamedTuple):
    """Where a channel stands, for the one who publishes next."""

    base: Opened | None
    """The head to go on from; None where none counts."""
    epoch: int
    seq: int
    """Of the next head."""
    prev: bytes
    rev: str | None
    """The revision of what the next head replaces; None: nothing lies there."""
    whole: bool
    """Whether `base` is what lies there. If not, somebody has put something else in its place."""


def stand(lying: Lying | None, held: Held | None, *, trust: Trust, channel: str, now_ms: int) -> Standing:
    """Judge what lies at the head's place.

    What no reader would accept (an old head put back, no head at all, rubbish) is passed over in favour of what this
    machine has seen, and replaced by the next head.

    Raises:
        Refused: the head is none, and nothing was ever seen here that could be gone on from; or another publisher's
            that cannot be gone on from, a fork among them.
    """
    epoch = trust.policy(channel).epoch
    rev = lying.rev if lying else None
    mark = held.mark if held else None
    if lying is not None:
        try:
            opened = head.open(lying.data, trust=trust, channel=channel, now_ms=now_ms)
            checks.advances(mark, opened.head.epoch, opened.head.seq, opened.digest, opened.head.prev)
            return Standing(opened, epoch, opened.head.seq + 1, opened.digest, rev, whole=True)
        except Refused as error:
            if error.code in _NOT_OURS:
                if mark is None:
                    raise  # nobody here knows what was there before
            elif error.code not in _PAST and (held is None or lying.data != held.head):
                raise  # it is signed by whom it must be: another publisher, whose head is not to be passed over
    if mark is None:
        prev = head.FIRST if lying is None else head.digest_of(lying.data)
        return Standing(None, epoch, 1, prev, rev, whole=False)
    prev = mark.digest or head.FIRST
    if mark.epoch != epoch:
        return Standing(None, epoch, 1, prev, rev, whole=False)
    return Standing(_trust_store(held, trust, channel, now_ms), epoch, mark.sequence + 1, prev, rev, whole=False)


def _trust_store(held: Held | None, trust: Trust, channel: str, now_ms: int) -> Opened | None:
    if held is None or not held.head:
        return None
    try:
        return head.open(held.head, trust=trust, channel=channel, now_ms=now_ms)
    except Refused:
        return None


def follow(standing: Standing, named: Named, *, trust: Trust, channel: str, now_ms: int, publisher: str) -> Head:
    """The head that comes next."""
    policy = trust.policy(channel)
    return Head(
        channel=channel,
        epoch=standing.epoch,
        seq=standing.seq,
        created_ms=now_ms,
        expires_ms=now_ms + policy.max_age_s * 1000,
        trust_version=trust.version,
        prev=standing.prev,
        body_sha256=named.sha256,
        body_len=named.length,
        raw_len=named.raw_len,
        entry_count=named.entry_count,
        publisher=publisher,
    )


def named_by(made: Body) -> Named:
    """What a head says of a new body."""
    return Named(made.sha256, len(made.data), made.raw_len, made.entry_count)


def named_in(said: Head) -> Named:
    """What a head says of its body."""
    return Named(said.body_sha256, said.body_len, said.raw_len, said.entry_count)


def due_ms(said: Head, trust: Trust) -> int:
    """When a head wants to be renewed, milliseconds since 1970."""
    return said.created_ms + trust.policy(said.channel).heartbeat_s * 1000
