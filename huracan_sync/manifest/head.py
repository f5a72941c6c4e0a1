"""The head: the small signed pointer to a channel's current body. FORMAT.md, section 2.

A head is opened in one order, and the first rule that fails raises: size, magic and lengths; signatures over the raw
payload, counted against the trust file; the fields, in their one spelling; the root folder, the channel, the trust
version, the epoch; the times and the keys' windows; the limits. What comes after is in `checks` (freshness, the place
in history) and `check_linked` (whether it leads back to what was seen).

Each head names the one before it (`prev`) and one farther back (`skip`), which jumps as skew-binary numbers do (Myers,
1983): where it leads follows from the sequence alone, and over a gap of n heads the way down takes about 2 log2(n)
steps: at most 51 over a gap of a million. (Clearing the lowest bit of the sequence, which is simpler, takes up to half
the square of that logarithm: 195.) Pure.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from huracan_sync.errors import Refused
from huracan_sync.manifest import checks, locations, sshsig
from huracan_sync.manifest.canonical import Count, Digest, Label, Millis, Ordinal, RootId, decode
from huracan_sync.manifest.canonical import encode as _encode
from huracan_sync.manifest.checks import Mark
from huracan_sync.manifest.envelope import Form, unpack
from huracan_sync.manifest.locations import check_channel
from huracan_sync.manifest.refusals import refused
from huracan_sync.manifest.trust import Key, Trust, check_root
from huracan_sync.tree.paths import RelPath

MAX_CARRIED = 64 * 1024
"""Bytes of the largest body that travels in the head file, behind the signatures."""
FORM = Form("head", b"HZHEAD1\n", sshsig.HEAD, 2_048, "HEAD_FORMAT", MAX_CARRIED)
MAX_SIZE = FORM.max_size
"""Bytes a reader asks for; no head is larger."""

NONE = bytes(32)
"""No head: below the first of an epoch, and where a publisher does not know the digest."""

FUTURE_MS = 120_000
"""How far a head may be ahead of the reader's clock."""

MAX_BODY = 64 * 1024 * 1024
MAX_RAW = 256 * 1024 * 1024
MAX_ENTRIES = 20_000_000

FIRST = bytes(32)
"""The `prev` of a channel's first head."""


class Head(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """The signed payload, its fields in the order in which they are written."""

    v: Literal[2] = 2
    root_id: RootId
    """The root folder that it is for."""
    channel: Annotated[str, Meta(max_length=128)]
    epoch: Ordinal
    seq: Ordinal
    created_ms: Millis
    expires_ms: Millis
    trust_version: Ordinal
    prev: Digest
    """SHA-256 of the payload of the head before, of whatever epoch; `FIRST` when there was none."""
    skip: Digest
    """The same of a head farther back (`skip_target`); zeros for none."""
    body_sha256: Digest
    body_len: Count
    """Bytes of the body and of all its shards."""
    raw_len: Count
    """The same, unpacked."""
    entry_count: Count
    publisher: Label
    """Who published, for people."""


class Opened(NamedTuple):
    """A head that its channel's keys have signed."""

    head: Head
    digest: bytes
    """SHA-256 of the payload: what the next head names as `prev`; more signatures do not change it."""
    data: bytes
    """The file without the body that it may carry."""
    signers: list[Key]
    body: bytes = b""
    """The body that the file carries, not compared with the head yet; empty where it lies in a file of its own."""


decoder = msgspec.msgpack.Decoder(Head)


def encode(head: Head) -> bytes:
    """The payload: the bytes that are signed."""
    check_channel(head.channel)
    return _encode(head)


def digest(head: Head) -> bytes:
    """What the next head names as `prev`."""
    return sshsig.sha256(encode(head))


def linked(data: bytes, expected: bytes) -> Head:
    """A head of the past, believed because one that is believed names its digest.

    Raises:
        Refused: `HEAD_FORMAT`, it is another one, or none.
    """
    envelope = unpack(FORM, data)
    if sshsig.sha256(envelope.payload) != expected:
        raise refused("HEAD_FORMAT", "a head is not the one that its successor names", expected=expected.hex())
    return decode(decoder, envelope.payload, "HEAD_FORMAT", "a head")


def carrying(data: bytes, made_body: bytes) -> bytes:
    """The head file with the body that it names, where that is small enough to travel in it."""
    size = len(made_body)
    return data + size.to_bytes(4, "big") + made_body if 0 < size <= MAX_CARRIED else data


def open(data: bytes, *, trust: Trust, channel: str, now_ms: int) -> Opened:  # noqa: A001 - the verb of the house
    """Read a head that keys of `channel` have signed, or raise the first reason not to.

    Args:
        data: the file, as it came.
        trust: the newest trust file, itself verified.
        channel: the channel that was asked for.
        now_ms: milliseconds since 1970.

    Raises:
        Refused: each reason its own class, in the order of `refusals`.
    """
    policy = trust.policy(channel)
    envelope = unpack(FORM, data)
    keys = checks.signers(trust, policy, envelope, FORM.namespace)
    head = decode(decoder, envelope.payload, "HEAD_FORMAT", "a head")
    check_place(head, trust, channel, policy.epoch)
    if head.created_ms > now_ms + FUTURE_MS:
        message = f"the head was made {(head.created_ms - now_ms) // 1000} s after now"
        raise refused("FUTURE", message, created_ms=head.created_ms, now_ms=now_ms)
    lifetime_ms = head.expires_ms - head.created_ms
    if not 0 < lifetime_ms <= policy.max_age_s * 1000:
        message = f"the head claims {lifetime_ms // 1000} s where {channel} allows {policy.max_age_s} s"
        raise refused("LIFETIME", message, actual_ms=lifetime_ms, expected_s=policy.max_age_s)
    checks.check_windows(keys, policy, created_ms=head.created_ms, now_ms=now_ms)
    for name, actual, most in (
        ("body_len", head.body_len, MAX_BODY),
        ("raw_len", head.raw_len, MAX_RAW),
        ("entry_count", head.entry_count, policy.max_entries),
    ):
        if actual > most:
            raise refused("LIMIT", f"{name} is {actual}, more than {most}", field=name, actual=actual, expected=most)
    return Opened(head, sshsig.sha256(envelope.payload), envelope.signed, keys, envelope.carried)


def check_place(head: Head, trust: Trust, channel: str, epoch: int) -> None:
    """The head is of this root folder and channel, of a trust file we know, and of the epoch that counts."""
    check_root(head.root_id, trust.root_id, "the head")
    if head.channel != channel:
        message = f"the head is signed for {head.channel!a}, not for {channel}"
        raise refused("WRONG_CHANNEL", message, actual=head.channel, expected=channel)
    if head.trust_version > trust.version:
        made_under = head.trust_version
        message = f"the head was made under version {made_under} of the trust file, and {trust.version} is known"
        raise refused("TRUST_TOO_OLD", message, actual=trust.version, expected=made_under)
    if head.epoch != epoch:
        message = f"the head is of epoch {head.epoch}, and {channel} is in epoch {epoch}"
        raise refused("EPOCH", message, actual=head.epoch, expected=epoch)


def skip_target(sequence: int) -> int:
    """The sequence that `skip` of a head leads to; 0 for none."""
    rest, weight = sequence, (1 << (sequence + 1).bit_length() - 1) - 1
    while True:
        while weight > rest:
            weight >>= 1
        rest -= weight
        if not rest:
            return sequence - weight


def check_linked(top: Head, mark: Mark | None) -> Generator[tuple[RelPath, bytes], bytes | None, None]:
    """The way from a head down to the one that was seen before, if there are others between them.

    Yields the place of a copy in the log and the digest it must have; is sent its bytes, or None where none lies.

    Raises:
        Refused: `GAP`, a link is missing, or the way leads elsewhere: the history branched off below.
    """
    if mark is None or not mark.digest or mark.epoch != top.epoch or top.seq <= mark.sequence + 1:
        return
    above = top
    while True:
        at, digest = skip_target(above.seq), above.skip
        if at < mark.sequence or digest == NONE:
            at, digest = above.seq - 1, above.prev
        if at == mark.sequence:
            if digest == mark.digest:
                return
            raise _gap(top, mark, f"it branches off below {mark.epoch}-{mark.sequence}")
        data = yield locations.log(top.channel, top.epoch, at, digest), digest
        if data is None:
            raise _gap(top, mark, f"the log has no copy of {top.epoch}-{at}")
        try:
            above = linked(data, digest)
        except Refused as error:
            raise _gap(top, mark, str(error)) from None
        if (above.channel, above.epoch, above.seq) != (top.channel, top.epoch, at):
            raise _gap(top, mark, f"the copy of {top.epoch}-{at} in the log is another head")


def _gap(top: Head, mark: Mark, why: str) -> Refused:
    return refused(
        "GAP",
        f"the head at {top.epoch}-{top.seq} does not lead back to the one seen at {mark.epoch}-{mark.sequence}: {why}",
        channel=top.channel,
        actual=f"{top.epoch}-{top.seq}",
        expected=f"{mark.epoch}-{mark.sequence}",
    )
