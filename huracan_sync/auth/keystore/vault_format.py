"""The vault's format: bytes in, bytes out. Pure; the disk is in `vault.py`.

    "HZVAULT1" | kdf 1 | mem 4 | iters 1 | lanes 1 | salt 16 | wsalt 32 | commit 32 | AES-256-GCM of the entries

Numbers are big-endian; mem is in KiB. kdf 1 is Argon2id over a passphrase, kdf 2 is HKDF-SHA256 over a 32-byte random
key (then mem, iters and lanes are 0). `salt` makes the root key; it stays while the vault lives. `wsalt` is new with
every write and gives that write its own key and nonce, so no nonce is ever used twice under one key. `commit` is a MAC
of the root key: GCM alone would open under several keys, and it tells a wrong key from a damaged vault. All bytes
before the ciphertext are its associated data.

The order of opening, each step with its own refusal: magic, limits, root key, commit, GCM. The limits come before the
key, so that a vault can neither make us weak (one iteration) nor fall over (a terabyte of memory).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from collections.abc import Callable

import msgspec

from huracan_sync.auth.keystore.ciphers import SALT_SIZE, TAG_SIZE, decrypt, encrypt, hkdf
from huracan_sync.auth.keystore.vault_key import VaultKey
from huracan_sync.errors import VaultRefused

MAGIC = b"HZVAULT1"
PASSPHRASE = 1
RANDOM_KEY = 2
_HEADER = struct.Struct(">8sBIBB16s32s32s")

MEM_KIB = range(19 * 1024, 1024 * 1024 + 1)
ITERS = range(2, 17)
LANES = range(1, 5)


_TYPE_AGAIN = (
    "run the command again and type it again; if it is lost, move the vault away and run `huracan-sync authorize`"
)
_AT_A_TERMINAL = (
    "unset what names a key (HURACAN_VAULT_KEY_FILE, --vault-key-fd, --vault-key-command) and run it at a terminal"
)


class Kdf(msgspec.Struct, frozen=True):
    """How a root key is made."""

    kind: int
    salt: bytes
    mem_kib: int = 0
    iters: int = 0
    lanes: int = 0


def new_kdf(key: VaultKey, entropy: Callable[[int], bytes] = os.urandom) -> Kdf:
    """The derivation a new vault under `key` uses."""
    if key.is_passphrase:
        return Kdf(PASSPHRASE, entropy(16), mem_kib=64 * 1024, iters=3, lanes=1)  # 0.2 s on a laptop
    return Kdf(RANDOM_KEY, entropy(16))


def seal(plain: bytes, key: VaultKey, kdf: Kdf, *, entropy: Callable[[int], bytes] = os.urandom) -> bytes:
    """The file that holds `plain`."""
    wsalt = entropy(SALT_SIZE)
    header = _HEADER.pack(MAGIC, kdf.kind, kdf.mem_kib, kdf.iters, kdf.lanes, kdf.salt, wsalt, _commit(key, kdf))
    return header + encrypt(_root(key, kdf), wsalt, plain, info=b"huracan-sync vault write", bound=header)


def unseal(data: bytes, key: VaultKey) -> tuple[bytes, Kdf]:
    """What a file holds, and how its root key is made.

    Raises:
        VaultRefused: `VAULT_UNKNOWN`, not this format, or limits outside those accepted.
        VaultRefused: `WRONG_VAULT_KEY`, made with another key.
        VaultRefused: `VAULT_DAMAGED`, made with this key, and changed since.
    """
    kdf, wsalt, commit = parse_header(data)
    if key.is_passphrase != (kdf.kind == PASSPHRASE):
        asked, given = ("a passphrase", "a key") if kdf.kind == PASSPHRASE else ("a key file", "a passphrase")
        hint = _AT_A_TERMINAL if kdf.kind == PASSPHRASE else None
        raise VaultRefused(
            f"the vault opens with {asked}; {given} was given (from {key.source})",
            code="WRONG_VAULT_KEY",
            hint=hint,
            source=key.source,
        )
    if not hmac.compare_digest(commit, _commit(key, kdf)):
        what, hint = ("passphrase", _TYPE_AGAIN) if key.is_passphrase else ("key", None)
        raise VaultRefused(
            f"the {what} from {key.source} does not open the vault",
            code="WRONG_VAULT_KEY",
            hint=hint,
            source=key.source,
        )
    header, sealed = data[: _HEADER.size], data[_HEADER.size :]
    plain = decrypt(_root(key, kdf), wsalt, sealed, info=b"huracan-sync vault write", bound=header)
    if plain is None:
        raise VaultRefused("the vault's bytes are not those that were written", code="VAULT_DAMAGED")
    return plain, kdf


def parse_header(data: bytes) -> tuple[Kdf, bytes, bytes]:
    """Derivation, write salt and commitment of a vault file.

    Raises:
        VaultRefused: `VAULT_UNKNOWN`, not this format, or limits outside those accepted.
    """
    if data[: len(MAGIC)] != MAGIC:
        raise VaultRefused("the file is no vault, or one of a newer huracan-sync", code="VAULT_UNKNOWN")
    if len(data) < _HEADER.size + TAG_SIZE:
        raise VaultRefused(f"the vault is cut short: {len(data)} bytes", code="VAULT_UNKNOWN")
    _, kind, mem, iters, lanes, salt, wsalt, commit = _HEADER.unpack_from(data)
    limits = (mem, iters, lanes)
    if kind == PASSPHRASE:
        fine = mem in MEM_KIB and iters in ITERS and lanes in LANES
    else:
        fine = kind == RANDOM_KEY and limits == (0, 0, 0)
    if not fine:
        raise VaultRefused(
            f"the vault asks for derivation {kind} with limits {limits}, which are not accepted", code="VAULT_UNKNOWN"
        )
    return Kdf(kind, salt, mem, iters, lanes), wsalt, commit


def _commit(key: VaultKey, kdf: Kdf) -> bytes:
    return hmac.digest(_root(key, kdf), b"huracan-sync vault commit", hashlib.sha256)


def _root(key: VaultKey, kdf: Kdf) -> bytes:
    known = key.roots.get(kdf)  # Argon2id costs 0.2 s: once a process, not once a write
    if known is None:
        known = key.roots[kdf] = _derive(key, kdf)
    return known


def _derive(key: VaultKey, kdf: Kdf) -> bytes:
    if kdf.kind == RANDOM_KEY:
        return hkdf(key.material(), salt=kdf.salt, info=b"huracan-sync vault root", size=32)
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id  # noqa: PLC0415

    return Argon2id(salt=kdf.salt, length=32, iterations=kdf.iters, lanes=kdf.lanes, memory_cost=kdf.mem_kib).derive(
        key.material()
    )
