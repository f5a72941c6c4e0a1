"""Keeping secrets out of tracebacks: a traceback that shows locals must have nothing to show.

Laws: bytes and text that are secret become `Secret` on the line that reads them; structs hold `Secret`, not `str`; a
frame that can raise holds no raw key. The environment may hold secrets too, so it travels as `Environment`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from huracan_sync.secret import Secret

SECRET_VARIABLES = (
    "HURACAN_DROPBOX_REFRESH_TOKEN",
    "HURACAN_VAULT_KEY",
    "DROPBOX_ACCESS_TOKEN",
    "DROPBOX__ACCESS_TOKEN",
)
"""The variables that are secrets themselves. Those that name a file are none."""


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


def take_environment(environ: MutableMapping[str, str]) -> Environment:
    """The environment of a command of ours, taken out of `environ` where it is secret, so that no child inherits it.

    It hides nothing from other processes of the same user: /proc/PID/environ still shows what the process began with.
    """
    taken = Environment(environ)
    for name in SECRET_VARIABLES:
        environ.pop(name, None)
    return taken


def guard_memory() -> None:
    """For a process of our own: no core dump, and no other process of this user may read its memory or environment.

    Not for a library's host: debuggers and profilers cannot attach afterwards.
    """
    import resource  # noqa: PLC0415 - start-up time

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415

        pr_set_dumpable = 4
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_dumpable, 0, 0, 0, 0)


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
