"""The private key of this machine: one file that is delivered, else one secret in the keyring or vault.

The file that `HURACAN_SIGNING_KEY_FILE` names goes before all. What the environment names must be there; only
`keys init` makes it. A key is read for one signature at a time and kept nowhere else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from huracan_sync.auth.keystore.secret_id import SecretName
from huracan_sync.auth.keystore.secret_io import Environment, read_file, to_bytes
from huracan_sync.auth.keystore.store import Store, open_store
from huracan_sync.disk.atomic_write import write_file
from huracan_sync.errors import HuracanError, NoSigningKey, SecretMissing
from huracan_sync.secret import Secret, bare

if TYPE_CHECKING:
    from huracan_sync.manifest.signer import Signer
    from huracan_sync.manifest.trust import Pin

KEY_FILE = "HURACAN_SIGNING_KEY_FILE"
ROOT_PIN = "HURACAN_ROOT_PIN"
"""The variable that may hold the pin of the root folder, on machines that sign and on those that read."""


class KeyPlace:
    """Where this machine's key is, or would be. Nothing is opened before it is needed."""

    def __init__(self, env: Mapping[str, str], home: Path, namespace: str, *, store: Store | None = None) -> None:
        """Know where to look.

        Args:
            env: the environment.
            home: the state folder.
            namespace: `Endpoint.namespace`: a key made for an emulator is not one for Dropbox. A delivered file is for
                whoever names it.
            store: the secrets of this machine, where not the environment alone says what opens them.
        """
        self._file = env.get(KEY_FILE) or ""
        self._root_pin = env.get(ROOT_PIN) or ""
        self._store = store or open_store(home, Environment(env))
        # A new key is kept before any trust file names it, and the one before for as long as its heads count.
        self._name, self._next, self._before = (
            SecretName(namespace, "keys", name) for name in ("signing", "signing-next", "signing-before")
        )

    @property
    def file(self) -> Path | None:
        """The file that must hold the key; None where the keyring or vault does."""
        return Path(self._file) if self._file else None

    @property
    def root_pin(self) -> Pin | None:
        """The pin that the environment delivers beside the key; None where it names none.

        Raises:
            UsageError: it names something else.
        """
        if not self._root_pin:
            return None
        from huracan_sync.manifest.trust import parse_pin  # noqa: PLC0415 - start-up time: cryptography

        return parse_pin(self._root_pin)

    @property
    def has_root_pin(self) -> bool:
        """Whether the environment delivers a pin, or something else under its name."""
        return bool(self._root_pin)

    def exists(self) -> bool:
        """Whether there is a key, by what is written down: no keyring is asked."""
        return bool(self._file) or self._store.kept_in(self._name) is not None

    def find(self) -> Signer | None:
        """The key; None where this machine has none.

        Raises:
            SecretMissing: the file that is named is not there.
            NoSigningKey: it holds no key.
            VaultRefused: the place it was put in cannot be opened.
        """
        return next(iter(self.all()), None)

    def all(self) -> Iterator[Signer]:
        """The key; then those that were made to follow it, or that it has followed. Raises as `find`."""
        if self._file:
            try:
                yield _parsed(read_file(Path(self._file), KEY_FILE), self._file)
            except SecretMissing as error:
                error.hint = "check that the key is mounted there, or run `huracan-sync keys init`, which makes it"
                raise
            return
        for name in (self._name, self._next, self._before):
            kept = self._store.get(name) if self._store.kept_in(name) else None
            if kept is not None:
                yield _parsed(kept, "the stored key")

    def signer(self) -> Signer:
        """The key, or `NoSigningKey`."""
        found = self.find()
        if found is None:
            raise NoSigningKey("nothing on this machine can sign")
        return found

    def make(self) -> tuple[Signer, bool]:
        """The key, made when there is none; and whether it was.

        Raises:
            VaultRefused: `NO_SAFE_PLACE`, there is no keyring, no key for the vault, and no named file.
        """
        if self._file:
            if os.path.lexists(self._file):
                return self.signer(), False
            return _write(Path(self._file)), True
        found = self.find()
        if found is not None:
            return found, False
        return self._keep(self._name, _generated()), True

    def make_next(self, file: Path | None) -> Signer:
        """A key to follow the present one, durably kept: in `file`, made there unless it is; else beside the present.

        Raises:
            NoSigningKey: the present one is a file, and none is named for the next.
        """
        if file is not None:
            if not os.path.lexists(file):
                return _write(file)
            return _parsed(read_file(file, "--key-file"), str(file))
        if self._file:
            raise NoSigningKey(
                f"the present key is the file {self._file}, and nothing says where the next one goes",
                hint=f"name a file for it with --key-file NEW, and afterwards set {KEY_FILE}=NEW",
            )
        kept = self._store.get(self._next) if self._store.kept_in(self._next) else None
        if kept is not None:
            return _parsed(kept, "the stored key")  # of a rotation that was cut short
        return self._keep(self._next, _generated())

    def take_next(self, signer: Signer) -> None:
        """The trust file names the next key now: it is the present one. Of files nothing is done."""
        if self._file or self._store.kept_in(self._next) is None:
            return
        present = self._store.get(self._name)
        if present is not None:
            self._store.put(self._before, present)
        self._keep(self._name, signer)
        self._store.forget(self._next)

    def where(self) -> str:
        """Where the key is kept, in words."""
        return f"file {self._file}" if self._file else self._store.kept_in(self._name) or "nowhere"

    def _keep(self, name: SecretName, signer: Signer) -> Signer:
        try:
            self._store.put(name, signer.secret())
        except HuracanError as error:
            error.hint = f"{error.hint}; or set {KEY_FILE} to a file that does not exist yet, and it is made"
            raise
        return signer


def _generated() -> Signer:
    from huracan_sync.manifest import signer as keys  # noqa: PLC0415 - 50 ms of cryptography, which most runs do not need

    return keys.Signer.generate(os.urandom)


def _parsed(kept: Secret, where: str) -> Signer:
    from huracan_sync.manifest import signer as keys  # noqa: PLC0415 - as above

    try:
        return keys.Signer.parse(to_bytes(kept))
    except NoSigningKey as error:
        refused = bare(error)
        refused.facts["path"] = where
    raise refused


def _write(path: Path) -> Signer:
    """A new key in a file that nobody has made yet, readable by us alone."""
    signer = _generated()
    failure: HuracanError
    try:
        write_file(path, to_bytes(signer.openssh()), mode=0o400, replace=False, name=f"the key file {path}")
    except FileExistsError:
        failure = SecretMissing(f"{path} was made by somebody else just now", hint="run the same command again")
    except HuracanError as error:
        failure = bare(error)  # its frames hold the key
    else:
        return signer
    raise failure
