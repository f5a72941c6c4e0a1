"""OpenSSH's signature format, SSHSIG, for Ed25519 alone: what is signed. `ssh_armor` shows it to `ssh-keygen -Y`.

A signature is over the namespace and the SHA-512 of the message, never over the message itself, so no signature of
one purpose can pass for another's. Source: PROTOCOL.sshsig of OpenSSH, draft-josefsson-sshsig-format-04.
"""

from __future__ import annotations

import base64
import hashlib
import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

HEAD = "huracan-sync/head/v2"
TRUST = "huracan-sync/trust/v2"

KEY_SIZE = 32
SIGNATURE_SIZE = 64
KEY_ID_SIZE = 16

MAGIC = b"SSHSIG"
ALGORITHM = b"ssh-ed25519"
HASH = b"sha512"


def signed_bytes(namespace: str, message: bytes) -> bytes:
    """The bytes that Ed25519 signs for `message` in `namespace`."""
    parts = (namespace.encode(), b"", HASH, hashlib.sha512(message).digest())
    return MAGIC + b"".join(map(ssh_string, parts))


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
    return ssh_string(ALGORITHM) + ssh_string(public)


def fingerprint(public: bytes) -> str:
    """The key's fingerprint, as `ssh-keygen -l` prints it: `SHA256:...`."""
    return "SHA256:" + base64.b64encode(sha256(public_blob(public))).decode().rstrip("=")


def ssh_string(data: bytes) -> bytes:
    """Bytes as OpenSSH writes them: their length before them."""
    return struct.pack(">I", len(data)) + data
