"""What lies at a channel's head, and what may come after it. Pure."""

from __future__ import annotations

import itertools
from typing import NamedTuple

from huracan_sync.errors import Refused
from huracan_sync.manifest import checks, head, head_history
from huracan_sync.manifest.body_writer import Body
from huracan_sync.manifest.checks import Mark
from huracan_sync.manifest.head import Head, Opened
from huracan_sync.manifest.trust import Trust

_NOT_OURS = ("HEAD_FORMAT", "NOT_CANONICAL", "BAD_SIGNATURE", "THRESHOLD", "KEY_CHANNEL", "WRONG_CHANNEL")
"""What can only have been put there by somebody without the channel's keys."""
_PAST = ("ROLLBACK", "EPOCH", "KEY_REVOKED")
"""What counted once and does not any more."""


class StoredFile(NamedTuple):
    """A file as it lies in Dropbox."""

    data: bytes
    rev: str


class SeenHead(NamedTuple):
    """What this machine has seen of a channel."""

    mark: Mark
    head: bytes
    """The head file at the mark; empty where only a floor was set."""
    links: tuple[bytes, ...] = ()
    """Digests on the way of `skip` from the mark on, as far as they are known."""


class BodyRef(NamedTuple):
    """What a head says of its body."""

    sha256: bytes
    length: int
    raw_len: int
    entry_count: int


class ChainPosition(NamedTuple):
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


def chain_position(
    stored: StoredFile | None, held: SeenHead | None, *, trust: Trust, channel: str, now_ms: int
) -> ChainPosition:
    """Judge what lies at the head's place.

    What no reader would accept (an old head put back, no head at all, rubbish) is passed over in favour of what this
    machine has seen, and replaced by the next head.

    Raises:
        Refused: the head is none, and nothing was ever seen here that could be gone on from; or another publisher's
            that cannot be gone on from, a fork among them.
    """
    epoch = trust.policy(channel).epoch
    rev = stored.rev if stored else None
    mark = held.mark if held else None
    if stored is not None:
        try:
            opened = head.open(stored.data, trust=trust, channel=channel, now_ms=now_ms)
            checks.advances(mark, opened.head.epoch, opened.head.seq, opened.digest, opened.head.prev)
            return ChainPosition(opened, epoch, opened.head.seq + 1, opened.digest, rev, whole=True)
        except Refused as error:
            if error.code in _NOT_OURS:
                if mark is None and not _is_before(epoch, stored.data):
                    raise  # nobody here knows what was there before
            elif error.code not in _PAST and (mark is None or head_history.digest_of(stored.data) != mark.digest):
                raise  # it is signed by whom it must be: another publisher, whose head is not to be passed over
    if mark is None:
        prev = head.FIRST if stored is None else head_history.digest_of(stored.data)
        return ChainPosition(None, epoch, 1, prev, rev, whole=False)
    prev = mark.digest or head.FIRST
    if mark.epoch != epoch:
        return ChainPosition(None, epoch, 1, prev, rev, whole=False)
    return ChainPosition(_seen_head(held, trust, channel, now_ms), epoch, mark.sequence + 1, prev, rev, whole=False)


def _is_before(epoch: int, data: bytes) -> bool:
    """Whether a head file says that it is of an earlier epoch: whose keys may have been others."""
    try:
        return head.linked(data, head_history.digest_of(data)).epoch < epoch
    except Refused:
        return False


def _seen_head(held: SeenHead | None, trust: Trust, channel: str, now_ms: int) -> Opened | None:
    if held is None or not held.head:
        return None
    try:
        return head.open(held.head, trust=trust, channel=channel, now_ms=now_ms)
    except Refused:
        return None


def known_digests(position: ChainPosition, held: SeenHead | None) -> dict[int, bytes]:
    """Digests of earlier heads of the epoch, by sequence, as far as they are known without asking."""
    known: dict[int, bytes] = {}
    if held is not None and held.mark.epoch == position.epoch and held.mark.digest:
        known.update(zip(head_history.skip_path(held.mark.sequence), held.links, strict=False))
    if position.base is not None and position.base.head.skip != head.NONE:
        known[head.skip_target(position.base.head.seq)] = position.base.head.skip
    if position.seq > 1:
        known[position.seq - 1] = position.prev
    return known


def links_of(seq: int, digest: bytes, known: dict[int, bytes]) -> tuple[bytes, ...]:
    """What to remember of a new head, so that the ones after it can be linked without asking."""
    known = known | {seq: digest}
    return tuple(known[each] for each in itertools.takewhile(known.__contains__, head_history.skip_path(seq)))


def follow(
    position: ChainPosition, ref: BodyRef, *, skip: bytes, trust: Trust, channel: str, now_ms: int, publisher: str
) -> Head:
    """The head that comes next."""
    policy = trust.policy(channel)
    return Head(
        root_id=trust.root_id,
        channel=channel,
        epoch=position.epoch,
        seq=position.seq,
        created_ms=now_ms,
        expires_ms=now_ms + policy.max_age_s * 1000,
        trust_version=trust.version,
        prev=position.prev,
        skip=skip,
        body_sha256=ref.sha256,
        body_len=ref.length,
        raw_len=ref.raw_len,
        entry_count=ref.entry_count,
        publisher=publisher,
    )


def body_ref_of(made: Body) -> BodyRef:
    """What a head says of a new body."""
    return BodyRef(made.sha256, len(made.data), made.raw_len, made.entry_count)


def body_ref(payload: Head) -> BodyRef:
    """What a head says of its body."""
    return BodyRef(payload.body_sha256, payload.body_len, payload.raw_len, payload.entry_count)


def due_ms(payload: Head, trust: Trust) -> int:
    """When a head wants to be renewed, milliseconds since 1970."""
    return payload.created_ms + trust.policy(payload.channel).heartbeat_s * 1000
