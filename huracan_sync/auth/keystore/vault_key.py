"""What opens the vault: 32 random bytes from a machine's secret store, or a passphrase from a person.

Looked for in order, first hit wins: the file `HURACAN_VAULT_KEY_FILE` names, a descriptor, a systemd credential, the
output of a command, a prompt on a terminal, and last, with a warning, the variable `HURACAN_VAULT_KEY` (any process of
the same user can read another's environment). A source that is there and wrong refuses; the next is not tried.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from huracan_sync.auth.keystore.secret_io import (
    MOST,
    from_bytes,
    read_descriptor,
    read_file,
    systemd_credential,
    to_bytes,
)
from huracan_sync.errors import SecretMissing, VaultRefused
from huracan_sync.secret import Secret

log = logging.getLogger(__name__)

SHORTEST_PASSPHRASE = 16
CREDENTIAL = "huracan-vault-key"
"""The name a systemd unit gives the key: `LoadCredentialEncrypted=huracan-vault-key:...`."""
_COMMAND_S = 60.0


class VaultKey:
    """Key bytes or a passphrase, and where they came from. `roots` keeps what was derived, for this process."""

    __slots__ = ("_secret", "is_passphrase", "roots", "source")

    def __init__(self, secret: Secret, *, is_passphrase: bool, source: str) -> None:
        self._secret = secret
        self.is_passphrase = is_passphrase
        self.source = source
        self.roots: dict[object, bytes] = {}

    def material(self) -> bytes:
        """The bytes that go into the derivation."""
        return self._secret.reveal().encode() if self.is_passphrase else to_bytes(self._secret)

    def __repr__(self) -> str:
        return f"VaultKey(from {self.source})"


class KeySources(msgspec.Struct, frozen=True):
    """Where a key may be found, beside the environment."""

    fd: int | None = None
    command: str | None = None
    """A command line, run without a shell, whose output is the key."""
    ask: Callable[[], str] | None = None
    """Asks a person on a terminal; None where there is no terminal."""


def parse_key(given: Secret, source: str) -> VaultKey:
    """A random key in one of its three spellings: 32 raw bytes, or 64 hex or 44 base64 characters and a newline.

    Raises:
        VaultRefused: `WEAK_VAULT_KEY`, anything else.
    """
    raw = _decode(given)
    if not raw:
        raise VaultRefused(
            f"the vault key from {source} is not 32 raw bytes, 64 hex or 44 base64 characters "
            f"({len(given.reveal())} bytes)",
            code="WEAK_VAULT_KEY",
            source=source,
        )
    if len(set(to_bytes(raw))) < 12 or raw.reveal().isascii():  # of 32 random bytes about 30 differ, half are no ASCII
        log.warning("the vault key from %s does not look random", source)
    return VaultKey(raw, is_passphrase=False, source=source)


def parse_passphrase(given: Secret, source: str) -> VaultKey:
    """A passphrase a person chose.

    Raises:
        VaultRefused: `WEAK_VAULT_KEY`, fewer than 16 characters.
    """
    length = len(given.reveal())
    if length < SHORTEST_PASSPHRASE:
        raise VaultRefused(
            f"the passphrase from {source} has {length} characters; {SHORTEST_PASSPHRASE} are needed",
            code="WEAK_VAULT_KEY",
            source=source,
        )
    return VaultKey(given, is_passphrase=True, source=source)


def _decode(given: Secret) -> Secret:
    """The 32 bytes, or an empty secret when `given` spells none."""
    data = to_bytes(given)
    text = data.removesuffix(b"\n")
    try:
        if len(data) == 32:
            return given
        if len(text) == 64:
            return from_bytes(binascii.unhexlify(text))
        if len(text) == 44:
            return from_bytes(base64.b64decode(text, validate=True))
    except binascii.Error:
        pass
    return Secret("")


def _parse_either(given: Secret, source: str) -> VaultKey:
    """A key if it is spelled as one, else a passphrase: sources that a person or a tool may fill with either."""
    is_passphrase = len(given.reveal()) == 32 and given.reveal().isascii()  # a person's: random bytes are not all ASCII
    if _decode(given) and not is_passphrase:
        return parse_key(given, source)
    try:
        phrase = Secret(to_bytes(given).decode().removesuffix("\n"))
    except UnicodeDecodeError:
        raise VaultRefused(
            f"what came from {source} is neither a key nor text", code="WEAK_VAULT_KEY", source=source
        ) from None
    return parse_passphrase(phrase, source)


def find_key(env: Mapping[str, str], sources: KeySources | None = None) -> VaultKey:
    """The key for the vault.

    Args:
        env: the environment.
        sources: descriptor, command, prompt.

    Raises:
        VaultRefused: `NO_VAULT_KEY`, nothing names a key.
        SecretMissing: what is named gives none.
        UnsafePlace: the key file can be changed by others.
        VaultRefused: `WEAK_VAULT_KEY`, what was found is no key.
    """
    sources = sources or KeySources()
    if named := env.get("HURACAN_VAULT_KEY_FILE"):
        return parse_key(read_file(Path(named), "HURACAN_VAULT_KEY_FILE"), named)
    if sources.fd is not None:
        return _parse_either(read_descriptor(sources.fd), f"descriptor {sources.fd}")
    if credential := systemd_credential(env, CREDENTIAL):
        return _parse_either(read_file(credential, "CREDENTIALS_DIRECTORY"), str(credential))
    if sources.command:
        return _parse_either(_run(sources.command), "the vault key command")
    if sources.ask is not None:
        return parse_passphrase(Secret(sources.ask()), "the terminal")
    if "HURACAN_VAULT_KEY" in env:
        log.warning("HURACAN_VAULT_KEY is readable by every process of this user; prefer HURACAN_VAULT_KEY_FILE")
        return _parse_either(from_bytes(env["HURACAN_VAULT_KEY"].encode()), "HURACAN_VAULT_KEY")
    raise VaultRefused(
        "nothing here opens the vault: no key file, credential or command is named, and there is no terminal",
        code="NO_VAULT_KEY",
    )


def has_key(env: Mapping[str, str], sources: KeySources | None = None) -> bool:
    """Whether `find_key` would find something to try."""
    sources = sources or KeySources()
    named = env.get("HURACAN_VAULT_KEY_FILE") or env.get("HURACAN_VAULT_KEY") or systemd_credential(env, CREDENTIAL)
    return bool(named or sources.command or sources.ask is not None or sources.fd is not None)


def _run(command: str) -> Secret:
    import shlex  # noqa: PLC0415 - start-up time
    import subprocess  # noqa: PLC0415

    words = shlex.split(command)
    name = words[0] if words else ""
    hint = "run it by hand: it must print the key and nothing else"
    try:
        printed = from_bytes(
            subprocess.run(  # noqa: S603 - the operator's own command, and no shell
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=_COMMAND_S, check=True
            ).stdout
        )
    except (OSError, IndexError, subprocess.SubprocessError) as error:
        failed = type(error).__name__  # not the error: it holds what was printed
    else:
        if printed and len(printed.reveal()) <= MOST:
            return printed
        failed = f"it printed {len(printed.reveal())} bytes"
    raise SecretMissing(f"the vault key command {name!r} failed: {failed}", hint=hint)
