"""The two primitives that the key store encrypts with: HKDF-SHA256, and AES-256-GCM under a key that is used once.

Every message has its own 32-byte salt, from which its key and nonce are derived. So two messages share a nonce under
one key only if 256 random bits repeat, and nothing has to be counted or remembered.
"""

from __future__ import annotations

SALT_SIZE = 32
TAG_SIZE = 16


def hkdf(secret: bytes, *, salt: bytes, info: bytes, size: int = 32) -> bytes:
    """HKDF-SHA256 (RFC 5869)."""
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - start-up time: not every verb needs it
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

    return HKDF(algorithm=SHA256(), length=size, salt=salt, info=info).derive(secret)


def encrypt(root: bytes, salt: bytes, plain: bytes, *, info: bytes, bound: bytes) -> bytes:
    """The ciphertext and tag of `plain`.

    Args:
        root: 32 secret bytes, used for many messages.
        salt: 32 random bytes, used for this one.
        plain: the message.
        info: what the message is for.
        bound: bytes beside it that may be read but not changed.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    both = hkdf(root, salt=salt, info=info, size=44)
    return AESGCM(both[:32]).encrypt(both[32:], plain, bound)


def decrypt(root: bytes, salt: bytes, data: bytes, *, info: bytes, bound: bytes) -> bytes | None:
    """What `encrypt` was given, or None when any byte is not as it wrote it."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    if len(data) < TAG_SIZE:
        return None
    both = hkdf(root, salt=salt, info=info, size=44)
    try:
        return AESGCM(both[:32]).decrypt(both[32:], data, bound)
    except InvalidTag:
        return None
