"""Secrets in a sealed file, for machines without an OS keyring. The format is `vault_format.py`'s.

Laws: what cannot be opened is never written over, and never counts as empty. One writer at a time, under a lock that
outlives them all. The version before the last write stays as `vault.1`; nothing falls back to it by itself, since
that would let somebody who damages the vault bring back what it replaced.
Honest limit: with the key on the same volume, a vault stops accidents (git, image layers, backups), not a thief.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from huracan_sync.auth.keystore.secret_id import SecretName, unwrap, wrap
from huracan_sync.auth.keystore.secret_io import decode_secret, encode_secret
from huracan_sync.auth.keystore.vault_format import Kdf, new_kdf, seal, unseal
from huracan_sync.auth.keystore.vault_key import VaultKey
from huracan_sync.disk.private_folder import Folder
from huracan_sync.errors import VaultRefused
from huracan_sync.secret import Secret

FILE = "vault"
BEFORE = "vault.1"
LOCK = "vault.lock"
MOST = 1024 * 1024
"""Bytes of the largest vault we read; a login takes about 300."""


class VaultStorage(Protocol):
    """A place that keeps secrets: the vault, the OS keyring."""

    kind: str

    def check(self) -> None:
        """Find out whether it can be opened, without putting anything."""

    def get(self, name: SecretName) -> Secret | None:
        """The secret, or None when none was put."""

    def put(self, name: SecretName, secret: Secret) -> None:
        """Keep it durably, in place of an earlier one."""

    def forget(self, name: SecretName) -> bool:
        """Remove it; False when there was none."""


class Vault:
    """The vault file in `folder`. The key is asked for when it is first needed."""

    kind = "vault"

    def __init__(
        self, folder: Folder, find_key: Callable[[], VaultKey], *, entropy: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._folder = folder
        self._find_key = find_key
        self._entropy = entropy
        self._key: VaultKey | None = None

    def exists(self) -> bool:
        """Whether there is a vault, readable or not."""
        return os.path.lexists(self._folder.path / FILE)

    def get(self, name: SecretName) -> Secret | None:
        """The secret, or None when the vault holds none of that name.

        Raises:
            VaultRefused: there is a vault and it cannot be opened, each reason with its own class.
        """
        text = self._read()[0].get(name.place) if self.exists() else None
        return None if text is None else unwrap(name, text)

    def put(self, name: SecretName, secret: Secret) -> None:
        """Keep it durably, in place of an earlier one.

        Raises:
            VaultRefused: the vault cannot be opened; it is untouched.
            Busy: another process held the lock for 10 s.
        """
        text = wrap(name, secret)
        self._change(lambda entries: {**entries, name.place: text})

    def forget(self, name: SecretName) -> bool:
        """Remove it, here and in the version before; False when there was none."""
        if not self.exists():
            return False
        had = self._change(lambda entries: {k: v for k, v in entries.items() if k != name.place}, keep_before=False)
        return name.place in had

    def check(self) -> None:
        """Open the vault, or find the key that a new one would have.

        Raises:
            VaultRefused: either fails.
        """
        self._read()

    def places(self) -> list[str]:
        """Where the vault has secrets, sorted; never what they are."""
        return sorted(self._read()[0]) if self.exists() else []

    def _change(
        self, change: Callable[[Mapping[str, Secret]], Mapping[str, Secret]], *, keep_before: bool = True
    ) -> Mapping[str, Secret]:
        """Read, change and write under the lock; what it held before."""
        with self._folder.locked(LOCK):
            self._folder.sweep(FILE)
            entries, kdf = self._read()
            before = self._folder.read(FILE, most=MOST)
            data = seal(_encode(change(entries)), self._the_key(), kdf, entropy=self._entropy)
            if before is not None and keep_before:
                self._folder.write(BEFORE, before)
            self._folder.write(FILE, data)
            if not keep_before:
                self._folder.remove(BEFORE)
            return entries

    def _read(self) -> tuple[dict[str, Secret], Kdf]:
        data = self._folder.read(FILE, most=MOST)
        if data is None:
            return {}, new_kdf(self._the_key(), self._entropy)
        plain, kdf = unseal(data, self._the_key())
        try:
            return msgspec.msgpack.decode(plain, type=dict[str, Secret], dec_hook=decode_secret), kdf
        except msgspec.DecodeError:
            plain = b""
            raise VaultRefused("the vault opens, and holds something else than secrets", code="VAULT_DAMAGED") from None

    def _the_key(self) -> VaultKey:
        if self._key is None:
            self._key = self._find_key()
        return self._key


def _encode(entries: Mapping[str, Secret]) -> bytes:
    return msgspec.msgpack.encode(dict(sorted(entries.items())), enc_hook=encode_secret)
