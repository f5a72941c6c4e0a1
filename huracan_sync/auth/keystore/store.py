"""Stored secrets: the OS keyring, else the vault, else a refusal. Never plain text.

A secret is put in the first place that works, and which one that was is written down (`stored.json`, no secret in
it). So a place that cannot be opened today refuses: what was put there is not taken for missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from huracan_sync.auth.keystore.secret_id import SecretName
from huracan_sync.auth.keystore.secret_io import Environment
from huracan_sync.disk.private_folder import Folder
from huracan_sync.errors import VaultRefused
from huracan_sync.secret import Secret

if TYPE_CHECKING:
    from huracan_sync.auth.keystore.os_keyring import OsKeyring
    from huracan_sync.auth.keystore.vault import Vault, VaultStorage
    from huracan_sync.auth.keystore.vault_key import KeySources

VAULT = "vault"
INDEX = "stored.json"
LOCK = "stored.lock"
_MOST = 1024 * 1024


FOLDER = "auth"
"""The folder below the state folder that is ours alone. The state folder itself may be one that others made."""


def open_store(home: Path, env: Mapping[str, str], *, sources: KeySources | None = None) -> Store:
    """The secrets of this machine, in the state folder `home`. Opens nothing yet."""
    return Store(home / FOLDER, env, sources=sources)


class Store:
    """Secrets of this machine, under `home`. Nothing is opened before it is needed."""

    def __init__(
        self,
        home: Path,
        env: Mapping[str, str],
        *,
        sources: KeySources | None = None,
        find_keyring: Callable[[Mapping[str, str]], OsKeyring | None] | None = None,
    ) -> None:
        self.folder = Folder(home)
        self._env = Environment(env)
        self._sources = sources
        self._find_keyring = find_keyring

    @cached_property
    def vault(self) -> Vault:
        """The vault of this machine, which may not exist yet."""
        from huracan_sync.auth.keystore.vault import Vault  # noqa: PLC0415 - start-up time: most logins lie elsewhere
        from huracan_sync.auth.keystore.vault_key import find_key  # noqa: PLC0415

        return Vault(self.folder, lambda: find_key(self._env, self._sources))

    @cached_property
    def keyring(self) -> OsKeyring | None:
        """The allowed OS keyring that works here, if one does."""
        from huracan_sync.auth.keystore import os_keyring  # noqa: PLC0415 - start-up time

        return (self._find_keyring or os_keyring.find_keyring)(self._env)

    def _has_key(self) -> bool:
        from huracan_sync.auth.keystore.vault_key import has_key  # noqa: PLC0415 - start-up time

        return has_key(self._env, self._sources)

    def get(self, name: SecretName) -> Secret | None:
        """The secret, or None when none was put.

        Raises:
            VaultRefused: the place it was put in cannot be opened.
            VaultRefused: `BOUND_ELSEWHERE`, it belongs to another service, app or account.
        """
        kept_in = self.kept_in(name)
        if kept_in is not None:
            return self._opened(kept_in).get(name)
        # Never put, or put by a process that died before it wrote down where.
        for place in (self.keyring, self.vault if self.vault.exists() else None):
            secret = place.get(name) if place is not None else None
            if secret is not None:
                return secret
        return None

    def put(self, name: SecretName, secret: Secret) -> str:
        """Keep the secret durably where an earlier one lies, else in the first place that works; says where.

        Raises:
            VaultRefused: `NO_SAFE_PLACE`, there is neither a keyring nor a key for the vault.
            VaultRefused: the place cannot be opened or written.
        """
        kept_in = self.kept_in(name)
        if kept_in == VAULT:
            place: VaultStorage = self.vault
        else:  # a keyring that no longer answers must not stop a new login; what it holds is no longer asked for
            place = self._first_that_works()
        place.put(name, secret)
        self._note(name, place.kind)
        return place.kind

    def forget(self, name: SecretName) -> bool:
        """Remove the secret; False when there was none."""
        kept_in = self.kept_in(name)
        places: list[VaultStorage | None] = [self.keyring, self.vault] if kept_in is None else [self._opened(kept_in)]
        had = [place.forget(name) for place in places if place is not None]
        self._note(name, None)
        return any(had)

    def kept_in(self, name: SecretName) -> str | None:
        """Where the secret lies: `keyring`, `vault`, or None when it was never put."""
        return self._index().get(name.place)

    def would_keep_in(self) -> str | None:
        """Where a new secret would go, or None when it would be refused."""
        if self.keyring is not None:
            return self.keyring.kind
        return VAULT if self._has_key() else None

    def check_can_keep(self) -> None:
        """Find out whether `put` would work, without putting anything.

        Raises:
            VaultRefused: there is no place, or it cannot be opened.
        """
        self._first_that_works().check()

    def _first_that_works(self) -> VaultStorage:
        if self.keyring is not None:
            return self.keyring
        if self._has_key():
            return self.vault
        if self.vault.exists():
            raise VaultRefused(
                f"there is a vault in {self.folder.path}, and nothing here opens it", code="NO_VAULT_KEY"
            )
        raise VaultRefused(
            "there is no OS keyring here and no key for a vault, so no secret is kept", code="NO_SAFE_PLACE"
        )

    def _opened(self, kind: str) -> VaultStorage:
        if kind == VAULT:
            if not self.vault.exists():
                raise VaultRefused(
                    f"the vault in {self.folder.path} is gone, and a secret was in it",
                    code="VAULT_DAMAGED",
                    hint="bring it back, or remove `stored.json` beside it and run `huracan-sync authorize`",
                )
            return self.vault
        if self.keyring is None:
            raise VaultRefused("the secret lies in the OS keyring, which does not answer here", code="KEYRING")
        return self.keyring

    def _index(self) -> dict[str, str]:
        data = self.folder.read(INDEX, most=_MOST)
        try:
            return {} if data is None else msgspec.json.decode(data, type=dict[str, str])
        except msgspec.DecodeError:
            raise VaultRefused(
                f"{self.folder.path / INDEX} is damaged: where secrets lie is not known",
                code="VAULT_DAMAGED",
                hint="remove that file: the keyring and the vault are then searched",
            ) from None

    def _note(self, name: SecretName, kind: str | None) -> None:
        if self.kept_in(name) == kind:
            return
        with self.folder.locked(LOCK):
            self.folder.sweep(INDEX)
            index = self._index()
            index.pop(name.place, None)
            if kind is not None:
                index[name.place] = kind
            self.folder.write(INDEX, msgspec.json.format(msgspec.json.encode(dict(sorted(index.items())))))
