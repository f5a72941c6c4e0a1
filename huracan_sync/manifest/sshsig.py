"""OpenSSH's signature format, SSHSIG, for Ed25519 alone: what is signed, and how it is shown to `ssh-keygen -Y`.

A signature is over the namespace and the SHA-512 of the message, never over the message itself, so no signature of
one purpose can pass for another's. Source: PROTOCOL.sshsig of OpenSSH, draft-josefsson-sshsig-format-04.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Iterable
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from huracan_sync.manifest.refusals import refused

HEAD = "huracan-sync/head/v2"
TRUST = "huracan-sync/trust/v2"

KEY_SIZE = 32
SIGNATURE_SIZE = 64
KEY_ID_SIZE = 16

_MAGIC = b"SSHSIG"
_VERSION = 1
_ALGORITHM = b"ssh-ed25519"
_HASH = b"sha512"
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


def signed_bytes(namespace: str, message: bytes) -> bytes:
    """The bytes that Ed25519 signs for `message` in `namespace`."""
    parts = (namespace.encode(), b"", _HASH, hashlib.sha512(message).digest())
    return _MAGIC + b"".join(map(_string, parts))


def verify(public: bytes, namespace: str, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) over `message` in `namespace` is by the key `public` (32 bytes)."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, signed_bytes(namespace, message))
    except InvalidSignature:
        return False
    return True


def sha256(data: bytes) -> bytes:
    """32 bytes."""
    return hashlib.sha256(data).digest()


def key_id(public: bytes) -> bytes:
    """The 16 bytes by which heads and trust files name a key."""
    return sha256(b"huracan-key/ed25519\0" + public)[:KEY_ID_SIZE]


def public_blob(public: bytes) -> bytes:
    """The key as OpenSSH writes it in its files, before base64."""
    return _string(_ALGORITHM) + _string(public)


def fingerprint(public: bytes) -> str:
    """The key's fingerprint, as `ssh-keygen -l` prints it: `SHA256:...`."""
    return "SHA256:" + base64.b64encode(sha256(public_blob(public))).decode().rstrip("=")


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
            _MAGIC,
            struct.pack(">I", _VERSION),
            _string(public_blob(signature.public)),
            _string(signature.namespace.encode()),
            _string(b""),
            _string(_HASH),
            _string(_string(_ALGORITHM) + _string(signature.value)),
        )
    )


def _parse(blob: bytes) -> Signature:
    if blob[:10] != _MAGIC + struct.pack(">I", _VERSION):
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


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


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
