"""Heads that need not count any more, and the way they are linked, for who publishes or audits. Pure."""

from __future__ import annotations

from huracan_sync.manifest import checks, sshsig
from huracan_sync.manifest.canonical import decode
from huracan_sync.manifest.envelope import unpack
from huracan_sync.manifest.head import FORM, Opened, check_place, decoder, skip_target
from huracan_sync.manifest.trust import Trust


def digest_of(data: bytes) -> bytes:
    """What the next head names as `prev`, of a head file that need not count any more."""
    return sshsig.sha256(unpack(FORM, data).payload)


def past(data: bytes, *, trust: Trust, channel: str) -> Opened:
    """Read a head of the channel's present epoch that was signed at some time, whatever its age and its limits.

    That keys of the channel have signed it does not say that it ever took effect: the chain does.

    Raises:
        Refused: nobody who counts has signed it.
    """
    policy = trust.policy(channel)
    envelope = unpack(FORM, data)
    keys = checks.signers(trust, policy, envelope, FORM.namespace)
    head = decode(decoder, envelope.payload, "HEAD_FORMAT", "a head")
    check_place(head, trust, channel, policy.epoch)
    return Opened(head, sshsig.sha256(envelope.payload), envelope.signed, keys, envelope.carried)


def skip_path(sequence: int) -> list[int]:
    """The sequences on the way of `skip` down to the first: the only ones that later heads may skip to."""
    found = []
    while sequence > 0:
        found.append(sequence)
        sequence = skip_target(sequence)
    return found
