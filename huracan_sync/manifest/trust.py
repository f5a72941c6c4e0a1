"""The trust file: which keys may sign which channel, said and signed by the root keys.

The rules, each of which raises:

 1. A machine pins the first trust file it believes: by a pin (the root id, and the fingerprints of root keys, every
    one of which must have signed it), or by its exact bytes.
 2. Version N+1 follows version N only when a threshold of N's roots and a threshold of its own have signed it, it has
    the same root id, its version is N+1, it names the digest of N, it was not made earlier, no channel's epoch goes
    back, no revocation is taken back, and every channel that a newly revoked key could sign begins a new epoch.
 3. A version on the way may have expired; the newest may not.

A pin is what a person carries to a machine that reads, in one text:

    hz2:<root id in base32>:SHA256:<fingerprint>[,SHA256:<fingerprint> ...]

It names one root folder and the root keys that may speak for it. One key used for two root folders gives two pins, so
nothing that was signed for the one is ever believed in the other.

Pure: bytes and times in, values or refusals out.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from huracan_sync.errors import HostilePath, Refused, UsageError
from huracan_sync.manifest import sshsig
from huracan_sync.manifest.canonical import (
    Digest,
    KeyId,
    Label,
    Millis,
    Ordinal,
    PublicKey,
    RootId,
    ascending,
    decode,
    encode,
)
from huracan_sync.manifest.envelope import Envelope, Form, unpack
from huracan_sync.manifest.locations import check_channel
from huracan_sync.manifest.refusals import refused
from huracan_sync.tree.paths import check

FORM = Form("trust file", b"HZTRST1\n", sshsig.TRUST, 60_000, "TRUST_FORMAT")

FIRST = bytes(32)
"""The `prev` of version 1."""

DAY_MS = 86_400_000
MAX_LIFETIME_MS = 366 * DAY_MS
WARN_MS = 30 * DAY_MS
"""How long before its end a trust file or a key is worth a warning."""

OTHERS = "*"
"""The name of the policy for every channel that has none of its own."""

MAX_AGE_S = 31 * 86_400
MAX_STALE_S = 10 * 366 * 86_400

ROOT_ID_SIZE = 16
_PIN = re.compile(r"hz2:([a-z2-7]{26}):(SHA256:[A-Za-z0-9+/]{43}(?:,SHA256:[A-Za-z0-9+/]{43}){0,7})")


class Pin(NamedTuple):
    """A root folder, and the root keys that a person believes in."""

    root_id: bytes
    """16 bytes."""
    fingerprints: tuple[str, ...]
    """`SHA256:...`, one or more; each of these keys must have signed the trust file."""

    def __str__(self) -> str:
        root = base64.b32encode(self.root_id).decode().rstrip("=").lower()
        return f"hz2:{root}:{','.join(self.fingerprints)}"


def parse_pin(text: str) -> Pin:
    """The pin that a text spells.

    Raises:
        UsageError: it spells none; with a hint where it is a fingerprint alone.
    """
    match = _PIN.fullmatch(text.strip())
    if match is None:
        bare = text.strip().startswith("SHA256:")
        raise UsageError(
            f"{text[:200]!a} is a fingerprint without the root folder it is for"
            if bare
            else f"{text[:200]!a} is no pin",
            hint="run `huracan-sync keys show` where the root key is: it prints the pin of that root folder (hz2:...)",
        )
    root_id = base64.b32decode(match[1].upper() + "=" * 6)
    pin = Pin(root_id, tuple(sorted(set(match[2].split(",")))))
    if not str(pin).startswith(f"hz2:{match[1]}:"):
        raise UsageError(f"{text[:200]!a} is no pin: it has a second spelling")
    return pin


def one_pin(pins: str | Iterable[str]) -> Pin:
    """The pin that one or several texts make; they must be of one root folder.

    Raises:
        UsageError: one of them is no pin, there is none, or they are of several root folders.
    """
    parsed = [parse_pin(text) for text in ([pins] if isinstance(pins, str) else pins)]
    if len({pin.root_id for pin in parsed}) != 1:
        what = "several root folders" if parsed else "no root folder"
        raise UsageError(f"these are pins of {what}", hint="pin each root folder by itself")
    return Pin(parsed[0].root_id, tuple(sorted({each for pin in parsed for each in pin.fingerprints})))


class Key(msgspec.Struct, array_like=True, frozen=True):
    """A key that may sign heads, between two times (milliseconds; the second one excluded)."""

    id: KeyId
    public: PublicKey
    label: Label
    not_before_ms: Millis
    not_after_ms: Millis

    def valid_at(self, created_ms: int, now_ms: int) -> bool:
        """Whether the key may have signed at `created_ms` and still counts now."""
        return self.not_before_ms <= created_ms and max(created_ms, now_ms) < self.not_after_ms


class Policy(msgspec.Struct, array_like=True, frozen=True):
    """What the root says of one channel, or of all that are not named (`*`)."""

    name: Annotated[str, Meta(max_length=128)]
    epoch: Ordinal
    """Raised by the root to make everything signed before not count any more."""
    key_ids: Annotated[tuple[KeyId, ...], Meta(min_length=1, max_length=8)]
    threshold: Annotated[int, Meta(ge=1, le=8)]
    max_age_s: Annotated[int, Meta(ge=1, le=MAX_AGE_S)]
    """Seconds a head is fresh: what a publisher writes, and the most a reader accepts."""
    stale_limit_s: Annotated[int, Meta(ge=0, le=MAX_STALE_S)]
    """Seconds after that in which a reader may still ask for it."""
    kinds: Annotated[tuple[Annotated[int, Meta(ge=0, le=255)], ...], Meta(max_length=64)]
    path_prefix: Annotated[str, Meta(max_length=1024)]
    """The folder below the root that the channel may speak of; empty for all of it."""
    max_entries: Annotated[int, Meta(ge=0, le=20_000_000)]

    @property
    def heartbeat_s(self) -> int:
        """Seconds after which a publisher signs the same body again: an eighth of the age a head may reach."""
        return max(1, self.max_age_s // 8)


class Revocation(msgspec.Struct, array_like=True, frozen=True):
    """A key that counts nowhere any more."""

    id: KeyId
    since_ms: Millis
    """From when on its signatures are doubted; for people who read the log, not for readers of channels."""
    reason: Label


class Trust(msgspec.Struct, array_like=True, frozen=True):
    """The payload of a trust file. Lists are in ascending order of key, id or name; nothing occurs twice."""

    v: Literal[2]
    root_id: RootId
    """The root folder that it is for; the same in every version."""
    version: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    prev: Digest
    """SHA-256 of the payload of the version before; zeros in version 1."""
    created_ms: Millis
    expires_ms: Millis
    roots: Annotated[tuple[PublicKey, ...], Meta(min_length=1, max_length=8)]
    root_threshold: Annotated[int, Meta(ge=1, le=8)]
    keys: Annotated[tuple[Key, ...], Meta(max_length=64)]
    channels: Annotated[tuple[Policy, ...], Meta(max_length=64)]
    revoked: Annotated[tuple[Revocation, ...], Meta(max_length=256)]

    def find(self, channel: str) -> Policy | None:
        """The policy of a channel: its own, else that of the others, else None."""
        named = {policy.name: policy for policy in self.channels}
        return named.get(channel) or named.get(OTHERS)

    def policy(self, channel: str) -> Policy:
        """The policy of a channel, or `CHANNEL_UNKNOWN`."""
        found = self.find(check_channel(channel))
        if found is None:
            message = f"version {self.version} of the trust file says nothing about the channel {channel}"
            raise refused("CHANNEL_UNKNOWN", message, channel=channel, trust_version=self.version)
        return found

    def key(self, key_id: bytes) -> Key | None:
        """The key of that id, revoked or not, or None."""
        return next((key for key in self.keys if key.id == key_id), None)

    def is_revoked(self, key_id: bytes) -> bool:
        """Whether signatures of the key count nowhere."""
        return any(revocation.id == key_id for revocation in self.revoked)


_decoder = msgspec.msgpack.Decoder(Trust)


def open(data: bytes) -> Trust:  # noqa: A001 - the verb of the house: trust.open, head.open
    """Read a trust file that is signed by a threshold of its own roots.

    That makes it whole, not trustworthy: `pin` and `follow` decide whom to believe. Alone it serves for a file that
    was pinned by its bytes, or read back from this machine's own state.
    """
    envelope = unpack(FORM, data)
    trust = _decode(envelope)
    _threshold(envelope, trust, f"version {trust.version} of the trust file")
    return trust


def pin(data: bytes, pin: Pin) -> Trust:
    """Read the first trust file, believed because the pinned root keys have signed it for the pinned root folder.

    Raises:
        Refused: `TRUST_PIN`, one of the keys is no root of the file, or did not sign it; `WRONG_ROOT`, it is of another
            root folder.
    """
    trust = open(data)
    signed = unpack(FORM, data).signatures
    roots = {sshsig.fingerprint(public): sshsig.key_id(public) for public in trust.roots}
    wanted = set(pin.fingerprints)
    missing = {name for name in wanted if roots.get(name) not in signed}
    if missing or not wanted:
        message = f"version {trust.version} of the trust file is not signed by the pinned root key"
        raise refused("TRUST_PIN", message, expected=", ".join(sorted(wanted)), actual=", ".join(sorted(roots)))
    check_root(trust.root_id, pin.root_id, f"version {trust.version} of the trust file")
    return trust


def check_root(actual: bytes, expected: bytes, what: str) -> None:
    """Raise `WRONG_ROOT` when something signed is of another root folder."""
    if actual != expected:
        raise refused("WRONG_ROOT", f"{what} is of another root folder", actual=actual.hex(), expected=expected.hex())


def pin_of(data: bytes) -> Pin:
    """The pin under which a trust file would be believed: its root id, and the roots that have signed it."""
    trust, signed = open(data), signers(data)
    fingerprints = (sshsig.fingerprint(public) for public in trust.roots if sshsig.key_id(public) in signed)
    return Pin(trust.root_id, tuple(sorted(fingerprints)))


def follow(current: Trust, data: bytes) -> Trust:
    """Read the version after `current`. The signatures of the current roots are judged before anything is decoded."""
    envelope = unpack(FORM, data)
    _threshold(envelope, current, f"what follows version {current.version} of the trust file")
    trust = _decode(envelope)
    _threshold(envelope, trust, f"version {trust.version} of the trust file")
    check_root(trust.root_id, current.root_id, f"version {trust.version} of the trust file")
    _check_chain(current, trust)
    return trust


def follow_all(current: Trust, files: Sequence[bytes]) -> Trust:
    """The version that these files lead to, each following the one before."""
    for data in files:
        current = follow(current, data)
    return current


def check_current(trust: Trust, now_ms: int) -> None:
    """Raise `TRUST_EXPIRED` when the newest version that can be found is past its time."""
    if now_ms >= trust.expires_ms:
        message, ended = f"version {trust.version} of the trust file has expired", trust.expires_ms
        raise refused("TRUST_EXPIRED", message, trust_version=trust.version, expires_ms=ended, now_ms=now_ms)


def link(trust: Trust) -> Digest:
    """What the next version names as `prev`."""
    return sshsig.sha256(encode(trust))


def digest(data: bytes) -> Digest:
    """What tells two trust files of one version apart: the SHA-256 of the payload, without the signatures."""
    return sshsig.sha256(unpack(FORM, data).payload)


def signers(data: bytes) -> frozenset[bytes]:
    """The ids of the keys under which a trust file is signed; `open` tells whether they have."""
    return frozenset(unpack(FORM, data).signatures)


def _decode(envelope: Envelope) -> Trust:
    trust = decode(_decoder, envelope.payload, "TRUST_FORMAT", "a trust file")
    _check(trust)
    return trust


def _threshold(envelope: Envelope, trust: Trust, what: str) -> None:
    """A threshold of `trust`'s roots has signed, and none of them badly."""
    good = 0
    for public in trust.roots:
        signature = envelope.signatures.get(sshsig.key_id(public))
        if signature is None:
            continue
        if not sshsig.verify(public, FORM.namespace, envelope.payload, signature):
            message = f"{what} has a signature that a root key did not make"
            raise refused("TRUST_SIGNATURES", message, key=sshsig.fingerprint(public))
        good += 1
    if good < (needed := trust.root_threshold):
        message = f"{what} is signed by {good} root keys of version {trust.version} where {needed} are needed"
        raise refused("TRUST_SIGNATURES", message, actual=good, expected=needed)


def _check(trust: Trust) -> None:
    """The rules inside one trust file."""
    lists: dict[str, list[bytes] | list[str]] = {
        "roots": list(trust.roots),
        "keys": [key.id for key in trust.keys],
        "channels": [policy.name for policy in trust.channels],
        "revoked": [revocation.id for revocation in trust.revoked],
    }
    for name, keys in lists.items():
        if not ascending(keys):
            raise refused("TRUST_FORMAT", f"the {name} of a trust file are not in ascending order")
    if trust.root_threshold > len(trust.roots):
        raise refused("TRUST_FORMAT", f"a trust file asks for {trust.root_threshold} of {len(trust.roots)} roots")
    if (trust.version == 1) != (trust.prev == FIRST):
        raise refused("TRUST_FORMAT", "the first version of a trust file names one before it, or a later one none")
    if not 0 < trust.expires_ms - trust.created_ms <= MAX_LIFETIME_MS:
        raise refused("TRUST_FORMAT", "a trust file does not expire within 366 days of being made")
    for key in trust.keys:
        if key.id != sshsig.key_id(key.public) or key.not_before_ms >= key.not_after_ms:
            raise refused(
                "TRUST_FORMAT", "a key of a trust file has not the id or the times of a key", key=key.id.hex()
            )
    for policy in trust.channels:
        _check_policy(trust, policy)


def _check_policy(trust: Trust, policy: Policy) -> None:
    try:
        if policy.name != OTHERS:
            check_channel(policy.name)
        if policy.path_prefix:
            check(policy.path_prefix)
    except (Refused, HostilePath) as error:
        raise refused("TRUST_FORMAT", f"a channel of a trust file is refused: {error}") from None
    if not ascending(list(policy.key_ids)) or not ascending(list(policy.kinds)):
        raise refused("TRUST_FORMAT", f"the keys or kinds of the channel {policy.name} are not in ascending order")
    if policy.threshold > len(policy.key_ids):
        raise refused(
            "TRUST_FORMAT", f"the channel {policy.name} asks for {policy.threshold} of {len(policy.key_ids)} keys"
        )
    for key_id in policy.key_ids:
        if trust.key(key_id) is None or trust.is_revoked(key_id):
            raise refused(
                "TRUST_FORMAT", f"the channel {policy.name} names a key that is unknown or revoked", key=key_id.hex()
            )


def _check_chain(old: Trust, new: Trust) -> None:
    """The rules between one trust file and the next."""
    why = _broken_link(old, new)
    if why:
        message = f"version {new.version} of the trust file cannot follow version {old.version}: {why}"
        raise refused("TRUST_CHAIN", message, actual=new.version, expected=old.version + 1)


def _broken_link(old: Trust, new: Trust) -> str:
    """Why `new` cannot follow `old`, or an empty string."""
    if new.version != old.version + 1:
        return f"version {old.version + 1} must"
    if new.prev != link(old):
        return "it names another one as the version before it"
    if new.created_ms < old.created_ms:
        return "it was made earlier"
    before = {revocation.id for revocation in old.revoked}
    after = {revocation.id for revocation in new.revoked}
    if not before <= after:
        return "it takes a revocation back"
    for name in sorted({policy.name for policy in (*old.channels, *new.channels)}):
        was, now = old.find(name), new.find(name)
        if was is None or now is None:
            continue
        if now.epoch < was.epoch:
            return f"the epoch of {name} goes back"
        if now.epoch == was.epoch and (after - before).intersection(was.key_ids):
            return f"{name} loses a key by revocation but begins no new epoch"
    return ""
