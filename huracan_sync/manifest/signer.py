"""Private keys: code that holds a `Signer` can sign. Readers never import this page (tests/house/test_laws.py).

A key comes as 32 raw bytes, 64 hexadecimal digits, 44 characters of base64, or an Ed25519 private key in a PEM file
(PKCS 8 or OpenSSH's own) that has no passphrase.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from huracan_sync.errors import NoSigningKey
from huracan_sync.manifest import sshsig
from huracan_sync.secret import Secret

_MAX_KEY_FILE = 16_384
_FORMS = "32 raw bytes, 64 hexadecimal digits, 44 characters of base64, or an Ed25519 PEM file without a passphrase"


class Signer:
    """Holds one private key, signs with it, and shows it to nobody who does not ask by name."""

    __slots__ = ("__private", "key_id", "public")

    def __init__(self, private: bytes) -> None:
        """Take the 32 bytes of an Ed25519 private key."""
        self.__private = Ed25519PrivateKey.from_private_bytes(private)
        self.public: bytes = self.__private.public_key().public_bytes_raw()
        self.key_id: bytes = sshsig.key_id(self.public)

    @classmethod
    def generate(cls, entropy: Callable[[int], bytes]) -> Signer:
        """A new key."""
        return cls(entropy(32))

    @classmethod
    def parse(cls, data: bytes) -> Signer:
        """The key in a file's bytes, in any of the forms above. Raises `NoSigningKey`, which never quotes them."""
        return cls(_private_bytes(data))

    def sign(self, namespace: str, payload: bytes) -> bytes:
        """The SSHSIG signature of `payload`, 64 bytes."""
        return self.__private.sign(sshsig.signed_bytes(namespace, payload))

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` prints it."""
        return sshsig.fingerprint(self.public)

    def secret(self) -> Secret:
        """The key as 44 characters of base64, for a keyring or vault to keep."""
        return Secret(base64.b64encode(self.__private.private_bytes_raw()).decode())

    def openssh(self) -> Secret:
        """The key as an OpenSSH private key file, for `ssh-keygen -Y sign`."""
        encoded = self.__private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        return Secret(encoded.decode())

    def __repr__(self) -> str:
        return f"Signer({self.fingerprint})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Signer is not pickled")


def _private_bytes(data: bytes) -> bytes:
    if len(data) == 32:
        return data
    text = data.strip()
    if len(data) > _MAX_KEY_FILE:
        raise NoSigningKey(f"the signing key file has {len(data)} bytes; no key is that long", hint=_FORMS)
    if text.startswith(b"-----BEGIN "):
        return _from_pem(text + b"\n")
    try:
        if len(text) == 64:
            return bytes.fromhex(text.decode())
        if len(text) == 44:
            return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoSigningKey("the signing key file is neither hexadecimal nor base64", hint=_FORMS) from None
    raise NoSigningKey(f"the signing key file holds {len(text)} characters, which is no key", hint=_FORMS)


def _from_pem(text: bytes) -> bytes:
    load = (
        serialization.load_ssh_private_key
        if text.startswith(b"-----BEGIN OPENSSH PRIVATE KEY-----")
        else serialization.load_pem_private_key
    )
    try:
        key = load(text, password=None)
    except TypeError:
        raise NoSigningKey("the signing key file is locked with a passphrase", hint=_FORMS) from None
    except (ValueError, UnsupportedAlgorithm):
        raise NoSigningKey("the signing key file is not a private key that can be read", hint=_FORMS) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise NoSigningKey("the signing key file holds a key that is not Ed25519", hint=_FORMS)
    return key.private_bytes_raw()
