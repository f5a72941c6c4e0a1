"""Heads and trust files as who publishes writes them. Readers never import this page. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from huracan_sync.manifest import head, trust
from huracan_sync.manifest.canonical import encode
from huracan_sync.manifest.envelope import MAX_SIGNATURES, Form
from huracan_sync.manifest.refusals import refused


class Signs(Protocol):
    """Anything that can sign: `manifest.signer.Signer` where private keys may be, anything else in a test."""

    @property
    def key_id(self) -> bytes:
        """16 bytes."""

    def sign(self, namespace: str, payload: bytes) -> bytes:
        """An SSHSIG signature, 64 bytes."""


def sign_head(content: head.Head, signers: Iterable[Signs]) -> bytes:
    """The head file. The body, the blobs and the copy in the log must be in place before it is."""
    return seal(head.FORM, head.encode(content), signers)


def sign_trust(content: trust.Trust, signers: Iterable[Signs]) -> bytes:
    """The trust file, signed by root keys. Raises `TRUST_FORMAT` for what a reader would refuse."""
    return seal(trust.FORM, trust_payload(content), signers)


def trust_payload(content: trust.Trust) -> bytes:
    """The bytes to sign elsewhere, with `ssh-keygen -Y sign` on an offline machine for one."""
    trust._check(content)  # noqa: SLF001 - what readers hold against it
    return encode(content)


def seal(form: Form, payload: bytes, signers: Iterable[Signs]) -> bytes:
    """The file: `payload` signed by each of `signers`."""
    return pack(form, payload, {signer.key_id: signer.sign(form.namespace, payload) for signer in signers})


def pack(form: Form, payload: bytes, signatures: dict[bytes, bytes]) -> bytes:
    """The file of a payload and signatures that were made elsewhere."""
    if not 1 <= len(signatures) <= MAX_SIGNATURES or len(payload) > form.max_payload:
        raise refused(
            form.refusal,
            f"a {form.name} of {len(payload)} bytes with {len(signatures)} signatures cannot be written",
            payload_bytes=len(payload),
            max_payload_bytes=form.max_payload,
            signatures=len(signatures),
        )
    fixed = form.magic + len(payload).to_bytes(2, "big") + bytes([len(signatures)])
    return fixed + payload + b"".join(key + signatures[key] for key in sorted(signatures))
