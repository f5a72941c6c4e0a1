"""Keeping secrets out of tracebacks: a traceback that shows locals must have nothing to show.

Laws: bytes and text that are secret become `Secret` on the line that reads them; structs hold `Secret`, not `str`; a
frame that can raise holds no raw key. The environment may hold secrets too, so it travels as `Environment`.

What the machine's operator delivers (a file, an inherited descriptor, a systemd credential) and the environment names
must be there: a name that leads nowhere refuses, it never means "look elsewhere".
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from huracan_sync.errors import SecretMissing, UnsafePlace
from huracan_sync.secret import Secret

MOST = 4096
"""Bytes; no secret of ours is longer."""


class Environment(Mapping[str, str]):
    """A copy of an environment that does not print itself."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = dict(env)

    def __getitem__(self, name: str) -> str:
        return self._env[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._env)

    def __len__(self) -> int:
        return len(self._env)

    def __repr__(self) -> str:
        return f"Environment({len(self)} variables)"


def from_bytes(data: bytes) -> Secret:
    """Secret bytes, as text of the same length."""
    return Secret(data.decode("latin-1"))


def to_bytes(secret: Secret) -> bytes:
    """What `from_bytes` was given."""
    return secret.reveal().encode("latin-1")


def encode_secret(value: Any) -> str:
    """For msgspec: how a `Secret` in a struct is written."""
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError


def decode_secret(kind: type, value: Any) -> Secret:
    """For msgspec: how a `Secret` in a struct is read."""
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise ValueError("not text")


def systemd_credential(env: Mapping[str, str], name: str) -> Path | None:
    """The file of the credential `name` that systemd delivered to this service, if it did."""
    folder = env.get("CREDENTIALS_DIRECTORY")
    path = Path(folder, name) if folder else None
    return path if path is not None and path.is_file() else None


def read_file(path: Path, named_by: str) -> Secret:
    """What a delivered file holds (`to_bytes` gives its bytes).

    Container platforms deliver secrets through symbolic links and often world-readable, inside a container that is
    all ours; so links are followed, and who may read is `doctor`'s to judge. Nobody else may change it, though.

    Raises:
        SecretMissing: it is not there, cannot be read, is empty or too large.
        UnsafePlace: others may change it, or it is no regular file.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:  # noqa: PTH123 - a pipe must not hang us
            reason = who_may_change(os.fstat(stream.fileno()))
            if reason:
                hint = f"deliver {named_by} as a file of ours with mode 0400"
                raise UnsafePlace(f"{path} is refused: {reason}", hint=hint, path=path, reason=reason)
            secret = from_bytes(stream.read(MOST + 1))
    except OSError as error:
        raise SecretMissing(f"{named_by} names {path}, which cannot be read: {error.strerror}", path=path) from error
    return _of_fair_size(secret, f"{named_by} names {path}, which holds")


def read_descriptor(number: int) -> Secret:
    """All of an inherited descriptor. It is closed, so that no child inherits it.

    Raises:
        SecretMissing: it is not open, or gives nothing, or too much.
    """
    try:
        with open(number, "rb") as stream:
            secret = from_bytes(stream.read(MOST + 1))
    except OSError as error:
        raise SecretMissing(f"descriptor {number} cannot be read: {error.strerror}", fd=number) from error
    return _of_fair_size(secret, f"descriptor {number} gave")


def who_may_change(status: os.stat_result) -> str:
    """Why a delivered file cannot be trusted; empty when it can."""
    if not stat.S_ISREG(status.st_mode):
        return "it is no regular file"
    if status.st_uid not in {os.geteuid(), 0}:
        return f"it belongs to user {status.st_uid}, neither to us nor to root"
    if status.st_mode & 0o022:
        return f"others may change it (mode {stat.S_IMODE(status.st_mode):04o})"
    return ""


def _of_fair_size(secret: Secret, where: str) -> Secret:
    if not secret:
        raise SecretMissing(f"{where} nothing")
    if len(secret.reveal()) > MOST:
        raise SecretMissing(f"{where} more than {MOST} bytes")
    return secret
