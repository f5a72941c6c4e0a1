"""Whose login a verb works with, and what opens it: the options every such verb has, and a person at a terminal."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from huracan_sync.auth import login_record
from huracan_sync.auth.connect import credentials_of, home_of
from huracan_sync.auth.credentials import Credentials, read_login
from huracan_sync.auth.keystore.store import FOLDER, Store, open_store
from huracan_sync.cli.invocation import Invocation
from huracan_sync.errors import UsageError, VaultRefused
from huracan_sync.remote.client import Remote
from huracan_sync.remote.http import Endpoint
from huracan_sync.signing.context import Context
from huracan_sync.signing.signing_key import KeyPlace
from huracan_sync.transfer.progress import Monitor

if TYPE_CHECKING:
    from huracan_sync.auth.keystore.vault_key import KeySources

_ONLY_READ = {
    *("follow", "verify", "ls", "get", "cat", "diff", "restore", "doctor"),
    *("keys trust", "keys show", "keys export-sshsig"),
}
"""Verbs that write nothing in Dropbox, so that a reader's login does for them."""


def add_arguments(parser: argparse.ArgumentParser, *, token: bool = True, inner: bool = False) -> None:
    """The options that say where secrets come from.

    Args:
        parser: gets them.
        token: whether a delivered refresh token may be one of them.
        inner: whether an outer parser has them too; what is said there holds where nothing is said here.
    """
    default = argparse.SUPPRESS if inner else None
    group = parser.add_argument_group("secrets", "delivered by descriptor or command; never as an argument")
    if token:
        what = "read the refresh token from this descriptor"
        group.add_argument("--token-fd", type=int, metavar="N", default=default, help=what)
    what = "read the vault's key from this descriptor"
    group.add_argument("--vault-key-fd", type=int, metavar="N", default=default, help=what)
    what = "run this, without a shell, for the vault's key"
    group.add_argument("--vault-key-command", metavar="CMD", default=default, help=what)


def key_sources(options: argparse.Namespace, invocation: Invocation) -> KeySources:
    """Where the vault's key may come from, beside the environment."""
    from huracan_sync.auth.keystore.vault_key import KeySources  # noqa: PLC0415 - start-up time: many need no vault

    ask = passphrase_of(home_of(invocation.env)) if sys.stdin.isatty() else None
    return KeySources(fd=options.vault_key_fd, command=options.vault_key_command, ask=ask)


def store(options: argparse.Namespace, invocation: Invocation) -> Store:
    """The secrets of this machine. One for the whole run: a passphrase is asked for once, a descriptor read once."""
    if invocation.store is None:
        invocation.store = open_store(home_of(invocation.env), invocation.env, sources=key_sources(options, invocation))
    return invocation.store


def key_place(options: argparse.Namespace, invocation: Invocation) -> KeyPlace:
    """Where this machine's signing key is, or would be."""
    namespace = Endpoint.from_environment(invocation.env).namespace
    return KeyPlace(invocation.env, home_of(invocation.env), namespace, store=store(options, invocation))


def context_of(
    options: argparse.Namespace, invocation: Invocation, remote: Remote, monitor: Monitor | None = None
) -> Context:
    """What the operations work in: the login, and this machine's state and key."""
    return Context.of(remote, home=home_of(invocation.env), keys=key_place(options, invocation), monitor=monitor)


def credentials(
    options: argparse.Namespace, invocation: Invocation, *, read_only: bool = False, app_key: str | None = None
) -> Credentials:
    """The login that the options name. Opens nothing yet.

    Raises:
        UsageError: there is no such profile or descriptor.
    """
    token_fd: int | None = getattr(options, "token_fd", None)
    for name, number in (("--token-fd", token_fd), ("--vault-key-fd", options.vault_key_fd)):
        if number is not None and not 0 <= number < 1 << 20:
            raise UsageError(f"{name} {number} is no descriptor")
    found = credentials_of(
        _profile(options, invocation),
        env=invocation.env,
        home=home_of(invocation.env),
        read_only=read_only,
        app_key=app_key,
        token_fd=token_fd,
        store=store(options, invocation),
    )
    invocation.reads_only = found.profile.name if found.profile.read_only else ""
    return found


def _profile(options: argparse.Namespace, invocation: Invocation) -> str | None:
    """The profile that is named; else, for a verb that only reads, that of the only login here.

    On Hamilton's machine nobody should be told to log in as the engine.
    """
    named = options.profile or invocation.env.get("HURACAN_PROFILE")
    delivered = invocation.env.get("HURACAN_REFRESH_TOKEN_FILE") or getattr(options, "token_fd", None) is not None
    if named or delivered:
        return named or None
    folder, namespace = store(options, invocation).folder, Endpoint.from_environment(invocation.env).namespace
    here = login_record.profiles(folder, namespace)
    if len(here) != 1 or here[0] == "engine":
        return None
    if not {getattr(options, "verb", ""), f"keys {getattr(options, 'what', '')}"} & _ONLY_READ:
        login = read_login(folder, namespace, here[0])
        invocation.only_reader = here[0] if login and login.read_only else ""
        return None
    options.profile = here[0]  # said once
    invocation.output.say(f"note: using profile {here[0]}, the only login here")
    return here[0]


def passphrase_of(home: Path, ask: Callable[[str], str] = getpass.getpass) -> Callable[[], str]:
    """Asks a person for the vault's passphrase; for a new vault twice, so that a slip of the hand does not lock it."""

    def passphrase() -> str:
        from huracan_sync.auth.keystore.vault import FILE  # noqa: PLC0415 - as above
        from huracan_sync.auth.keystore.vault_key import SHORTEST_PASSPHRASE  # noqa: PLC0415

        if (home / FOLDER / FILE).exists():
            return ask("Passphrase of the vault: ")
        print(_NEW_VAULT.format(shortest=SHORTEST_PASSPHRASE), file=sys.stderr)
        chosen = ask("New passphrase: ")
        if len(chosen) >= SHORTEST_PASSPHRASE and ask("The same again: ") != chosen:
            raise VaultRefused(
                "the two passphrases differ",
                code="WEAK_VAULT_KEY",
                hint="run the command again; nothing was stored",
                source="the terminal",
            )
        return chosen

    return passphrase


_NEW_VAULT = """\
There is no OS keyring here, so secrets go into an encrypted vault. Choose a passphrase for it, at least
{shortest} characters. For a machine that starts by itself, use a key file: HURACAN_VAULT_KEY_FILE."""
