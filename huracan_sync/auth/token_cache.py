"""The access token that the processes of one machine share, sealed under the refresh token they all hold anyway.

    "HZTOKEN1" | salt 32 | AES-256-GCM of the state, under HKDF(refresh token)

It is a cache: damaged, foreign, of another login or of the future, it is ignored, never fatal and never believed.
Age is taken from a clock that no one sets (seconds since boot) while the machine stays up, and from the wall clock
after that; an age below zero means that the clock was set back, and the token's age is then unknown.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import msgspec

from huracan_sync.auth.credentials import Credential
from huracan_sync.auth.keystore.ciphers import SALT_SIZE, decrypt, encrypt, hkdf
from huracan_sync.auth.keystore.secret_io import decode_secret, encode_secret
from huracan_sync.auth.scopes import spelled
from huracan_sync.secret import Secret

MAGIC = b"HZTOKEN1"
MOST = 64 * 1024
_INFO = b"huracan-sync shared access token"


class Now(msgspec.Struct, frozen=True):
    """One reading of all clocks."""

    boot_id: str
    since_boot: float
    wall: float


class Clocks:
    """The clocks of this machine."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall

    def now(self) -> Now:
        """Read them all."""
        return Now(_boot_id(), since_boot(), self._wall())


def since_boot() -> float:
    """Seconds since boot, also those the machine slept through where the system counts them (Linux)."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@lru_cache(maxsize=1)
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


class Token(msgspec.Struct, frozen=True):
    """An access token, and when it was received."""

    value: Secret
    lifetime: float
    at: Now

    def age(self, now: Now) -> float | None:
        """Seconds since it was received; None when no clock can tell."""
        if self.at.boot_id and self.at.boot_id == now.boot_id:
            age = now.since_boot - self.at.since_boot
        else:
            age = now.wall - self.at.wall
        return age if age >= 0 else None

    def is_valid(self, now: Now) -> bool:
        """Whether it is not past its lifetime, as far as we can tell."""
        age = self.age(now)
        return age is not None and age < self.lifetime

    def is_fresh(self, now: Now) -> bool:
        """Whether it need not be renewed yet."""
        age = self.age(now)
        return age is not None and age < self.lifetime - margin(self.lifetime)


def margin(lifetime: float) -> float:
    """Seconds before its end at which a token is renewed: 5 minutes of Dropbox's four hours.

    A token of under a minute is used to its end: renewing it early would cost more than the 401 that ends it.
    """
    return 0.0 if lifetime < 60 else min(300.0, lifetime / 12)


class State(msgspec.Struct, frozen=True):
    """What one login's processes tell each other."""

    token: Token | None = None
    revoked: str | None = None
    """What Dropbox said when it withdrew the login; nobody asks again."""
    successor: Secret | None = None
    """The refresh token that replaces a delivered one, which we cannot write back where it came from."""


def file_name(namespace: str, credential: Credential) -> str:
    """The state file of one (service, app, account, scope set): only same askers share a token.

    The account of a delivered token is not known; the token itself stands for it.
    """
    login = credential.login
    account = login.account_id if login is not None else credential.refresh_token.reveal()
    what = "\0".join((namespace, credential.app_key, account, spelled(credential.asked)))
    return "access." + hmac.digest(b"huracan-sync shared", what.encode(), hashlib.sha256).hex()[:32]


def seal(state: State, refresh_token: Secret, name: str, entropy: Callable[[int], bytes] = os.urandom) -> bytes:
    """The file that holds `state`."""
    salt = entropy(SALT_SIZE)
    plain = msgspec.msgpack.encode(state, enc_hook=encode_secret)
    return MAGIC + salt + encrypt(_root(refresh_token), salt, plain, info=_INFO, bound=MAGIC + name.encode())


def unseal(data: bytes | None, refresh_token: Secret, name: str) -> State:
    """What the file holds; an empty state when it was not sealed under this refresh token and name."""
    head = len(MAGIC) + SALT_SIZE
    if data is None or len(data) < head or not data.startswith(MAGIC):
        return State()
    salt, sealed = data[len(MAGIC) : head], data[head:]
    plain = decrypt(_root(refresh_token), salt, sealed, info=_INFO, bound=MAGIC + name.encode())
    try:
        return State() if plain is None else msgspec.msgpack.decode(plain, type=State, dec_hook=decode_secret)
    except (msgspec.DecodeError, UnicodeDecodeError):  # of a newer huracan-sync
        return State()


def _root(refresh_token: Secret) -> bytes:
    return hkdf(refresh_token.reveal().encode(), salt=b"", info=b"huracan-sync shared root")
