"""Signatures as OpenSSH writes them in text, and a head as `ssh-keygen -Y` signs and verifies it. Pure."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterable
from typing import NamedTuple

from huracan_sync.manifest.envelope import unpack
from huracan_sync.manifest.head import FORM
from huracan_sync.manifest.refusals import refused
from huracan_sync.manifest.signed_files import pack
from huracan_sync.manifest.sshsig import (
    ALGORITHM,
    HASH,
    HEAD,
    KEY_SIZE,
    MAGIC,
    SIGNATURE_SIZE,
    TRUST,
    key_id,
    public_blob,
    ssh_string,
)

_VERSION = 1
_BEGIN = "-----BEGIN SSH SIGNATURE-----"
_END = "-----END SSH SIGNATURE-----"
_MAX_ARMOR = 4096  # an Ed25519 signature takes about 300 characters


class Signature(NamedTuple):
    """What an armored signature holds."""

    public: bytes
    """32 bytes."""
    namespace: str
    value: bytes
    """64 bytes."""


def public_line(public: bytes, comment: str = "") -> str:
    """The key as the one line of an OpenSSH `.pub` file."""
    return f"ssh-ed25519 {base64.b64encode(public_blob(public)).decode()} {comment}".rstrip()


def allowed_signer(public: bytes, principal: str, namespaces: Iterable[str] = (HEAD, TRUST)) -> str:
    """A line for the allowed-signers file of `ssh-keygen -Y verify -I principal`."""
    return f'{principal} namespaces="{",".join(namespaces)}" {public_line(public)}'


def armor(signature: Signature) -> str:
    """The signature as a file that `ssh-keygen -Y verify -s` reads."""
    text = base64.b64encode(_blob(signature)).decode()
    lines = [text[at : at + 70] for at in range(0, len(text), 70)]
    return "\n".join([_BEGIN, *lines, _END, ""])


def dearmor(text: str) -> Signature:
    """Read what `ssh-keygen -Y sign` wrote. Proves nothing yet: `verify` does.

    Raises:
        Refused: `SSHSIG_FORMAT`, it is not an SSHSIG of version 1 by an Ed25519 key over a SHA-512.
    """
    if len(text) > _MAX_ARMOR:
        raise refused("SSHSIG_FORMAT", f"an armored signature of {len(text)} characters is longer than any can be")
    lines = text.strip().splitlines()
    if len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:
        raise refused("SSHSIG_FORMAT", "the text is not between the two lines of an SSH signature")
    try:
        blob = base64.b64decode("".join(lines[1:-1]), validate=True)
    except (binascii.Error, ValueError):
        raise refused("SSHSIG_FORMAT", "an SSH signature is not base64 inside") from None
    signature = _parse(blob)
    # One signature has one spelling: whatever the fields did not tell apart is refused here.
    if _blob(signature) != blob:
        raise refused("SSHSIG_FORMAT", "an SSH signature is not an Ed25519 signature over a SHA-512")
    return signature


def _blob(signature: Signature) -> bytes:
    return b"".join(
        (
            MAGIC,
            struct.pack(">I", _VERSION),
            ssh_string(public_blob(signature.public)),
            ssh_string(signature.namespace.encode()),
            ssh_string(b""),
            ssh_string(HASH),
            ssh_string(ssh_string(ALGORITHM) + ssh_string(signature.value)),
        )
    )


def _parse(blob: bytes) -> Signature:
    if blob[:10] != MAGIC + struct.pack(">I", _VERSION):
        raise refused("SSHSIG_FORMAT", "an SSH signature has not the magic and version of SSHSIG 1")
    key, namespace, _reserved, _hash, wrapped = _strings(blob[10:], 5)
    _algorithm, public = _strings(key, 2)
    _algorithm, value = _strings(wrapped, 2)
    if len(public) != KEY_SIZE or len(value) != SIGNATURE_SIZE:
        raise refused("SSHSIG_FORMAT", "an SSH signature is not by an Ed25519 key")
    try:
        return Signature(public, namespace.decode(), value)
    except UnicodeDecodeError:
        raise refused("SSHSIG_FORMAT", "the namespace of an SSH signature is not text") from None


def _strings(data: bytes, count: int) -> list[bytes]:
    """Exactly `count` strings, and nothing behind them."""
    found: list[bytes] = []
    at = 0
    for _ in range(count):
        length = int.from_bytes(data[at : at + 4], "big")
        if at + 4 + length > len(data):
            raise refused("SSHSIG_FORMAT", "an SSH signature is cut short")
        found.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    if at != len(data):
        raise refused("SSHSIG_FORMAT", "an SSH signature has bytes left over")
    return found


def export_sshsig(data: bytes, publics: Iterable[bytes]) -> tuple[bytes, list[str]]:
    """A head as `ssh-keygen -Y verify` wants it: the message, and one armored signature for each known key.

    Args:
        data: the head file.
        publics: public keys (32 bytes), of the trust file for one; signatures of others are left out.
    """
    envelope = unpack(FORM, data)
    known = [(public, envelope.signatures.get(key_id(public))) for public in publics]
    armored = [armor(Signature(public, FORM.namespace, signature)) for public, signature in known if signature]
    return envelope.payload, armored


def import_sshsig(payload: bytes, armored: Iterable[str]) -> bytes:
    """The head file of a payload that `ssh-keygen -Y sign -n huracan-sync/head/v2` has signed."""
    signatures = [dearmor(text) for text in armored]
    if any(signature.namespace != FORM.namespace for signature in signatures):
        raise refused("HEAD_FORMAT", f"a signature is not in the namespace {FORM.namespace}")
    return pack(FORM, payload, {key_id(signature.public): signature.value for signature in signatures})
