"""The operating system's keyring, by an exact list of classes.

The `keyring` package chooses its backend by an environment variable, a config file that may also change `sys.path`,
and entry points of whatever is installed; `keyrings.alt` adds backends that keep plain text. None of that is asked
here: the three classes below are tried by name, in order, and no other can be reached. Its `KEYRING_PROPERTY_*`
variables, which set any attribute of a backend, are undone.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import unquote

from huracan_sync.auth.keystore.secret_id import SecretName, unwrap, wrap
from huracan_sync.errors import VaultRefused
from huracan_sync.secret import Secret

log = logging.getLogger(__name__)

ALLOWED = (
    ("keyring.backends.macOS", "Keyring", "darwin"),
    ("keyring.backends.SecretService", "Keyring", "linux"),
    ("keyring.backends.kwallet", "DBusKeyring", "linux"),
)
SERVICE = "huracan-sync"
LONGEST_WAIT = 120.0
"""Seconds, a person typing a password included; the libraries below wait for ever for a service that hangs."""
T = TypeVar("T")


class OsKeyring:
    """One allowed backend of the `keyring` package."""

    kind = "keyring"

    def __init__(self, backend: Any, *, longest_wait: float = LONGEST_WAIT) -> None:
        self._backend = backend
        self._longest_wait = longest_wait
        self.backend = f"{type(backend).__module__}.{type(backend).__name__}"

    def check(self) -> None:
        """Find out whether it is open, by asking for what is not there.

        Raises:
            VaultRefused: `KEYRING`, it is locked or failed.
        """
        self._read(SecretName("none", "nobody", "nothing"))

    def get(self, name: SecretName) -> Secret | None:
        """The secret, or None when the keyring holds none of that name.

        Raises:
            VaultRefused: `KEYRING`, the keyring is locked or failed.
            VaultRefused: `BOUND_ELSEWHERE`, what lies there belongs to another login.
        """
        text = self._read(name)
        return None if text is None else unwrap(name, text)

    def put(self, name: SecretName, secret: Secret) -> None:
        """Keep it, in place of an earlier one, and read it back."""
        text = wrap(name, secret)
        self._ask("written", lambda: self._backend.set_password(SERVICE, name.place, text.reveal()))
        kept = self._read(name)
        if kept is None or kept.reveal() != text.reveal():
            raise VaultRefused(f"{self.backend} did not keep what it was given", code="KEYRING", backend=self.backend)

    def forget(self, name: SecretName) -> bool:
        """Remove it; False when there was none."""
        there = self._read(name) is not None
        if there:
            self._ask("changed", lambda: self._backend.delete_password(SERVICE, name.place))
        return there

    def _read(self, name: SecretName) -> Secret | None:
        text = self._ask("read", lambda: self._backend.get_password(SERVICE, name.place))
        return None if text is None else Secret(text)

    def _ask(self, verb: str, call: Callable[[], T]) -> T:
        """What the backend answers, asked in a thread, since nothing interrupts a call that waits for the bus."""
        answer: list[T] = []
        why = f"no answer in {self._longest_wait:g} s"

        def ask() -> None:
            nonlocal why
            try:
                answer.append(call())
            except Exception as error:  # noqa: BLE001 - any desktop's; its message and frames may hold what was to be stored
                why = type(error).__name__

        asking = threading.Thread(target=ask, name="keyring", daemon=True)
        try:
            asking.start()
            asking.join(self._longest_wait)
        except RuntimeError:  # the interpreter is ending and starts no more threads
            ask()
        if answer:
            return answer[0]
        raise VaultRefused(f"the keyring {self.backend} cannot be {verb}: {why}", code="KEYRING", backend=self.backend)


def find_keyring(env: Mapping[str, str]) -> OsKeyring | None:
    """The first allowed backend that works here, or None."""
    for module, name, platform in ALLOWED:
        if sys.platform != platform:
            continue
        # Both Linux keyrings speak over the session bus. Without one there is nothing to import 80 ms of code for.
        if platform == "linux" and not _has_own_bus(env.get("DBUS_SESSION_BUS_ADDRESS", "")):
            continue
        if (backend := _make(module, name)) is not None:
            return OsKeyring(backend)
    return None


def _has_own_bus(addresses: str) -> bool:
    """Whether there is a session bus, and it is not another user's (as it is under `sudo -E`)."""
    for address in filter(None, addresses.split(";")):
        kind, _, options = address.partition(":")
        path = unquote(dict(option.partition("=")[::2] for option in options.split(",")).get("path", ""))
        if kind == "unix" and path:
            try:
                owner = os.stat(path).st_uid  # noqa: PTH116 - what the bus itself will be reached by
            except (OSError, ValueError):
                continue  # no bus there
            if owner != os.geteuid():
                log.warning("the session bus %s belongs to user %d: its keyring is not used", path, owner)
                return False
    return bool(addresses)


def _make(module: str, name: str) -> Any:
    try:
        kind = getattr(importlib.import_module(module), name)
        _ = kind.priority  # raises where the backend cannot work
        backend = kind()
    except Exception:  # noqa: BLE001 - whatever it is, this keyring does not work here
        return None
    for variable in os.environ:
        _, found, attribute = variable.partition("KEYRING_PROPERTY_")
        if found:
            vars(backend).pop(attribute.lower(), None)
    return backend if type(backend) is kind else None
