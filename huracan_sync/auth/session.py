"""From the name of a profile to its account: settings, secrets and connections meet here only.

Nothing is opened here: no socket, no keyring, no file. The first call that needs a token finds it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from huracan_sync.auth.credentials import Credentials, open_credentials
from huracan_sync.auth.keystore.store import Store
from huracan_sync.auth.scopes import check_destination, profile_named
from huracan_sync.auth.tokens import AccessTokens, ShortLived, TokenSource
from huracan_sync.errors import ConfigError
from huracan_sync.remote.http import Endpoint, Wire
from huracan_sync.remote.rate_limit import Pacing
from huracan_sync.remote.throttle import Throttle
from huracan_sync.secret import Secret
from huracan_sync.tree.paths import remote_root

DEFAULT_ROOT = "/Runpodhuracan"
"""The folder of the engine, where nothing else is said."""


def home_of(env: Mapping[str, str] = os.environ) -> Path:
    """Where this machine's state lies: `HURACAN_SYNC_HOME`, else the platform's place for an application's state."""
    named = env.get("HURACAN_SYNC_HOME")
    if named:
        try:
            return Path(named).expanduser().absolute()
        except (RuntimeError, OSError) as error:  # `~nobody`, or a working folder that is gone
            raise _no_home(str(error)) from error
    import platformdirs  # noqa: PLC0415 - most machines that count start-up time name their home

    try:
        return platformdirs.user_state_path("huracan-sync")
    except (RuntimeError, OSError, KeyError) as error:
        raise _no_home(str(error)) from error


def _no_home(why: str) -> ConfigError:
    return ConfigError(
        f"there is no folder for the state of this machine: {why}", hint="set HURACAN_SYNC_HOME to one you may write"
    )


def root_of(env: Mapping[str, str]) -> str:
    """The remote folder that holds everything of the engine: `HURACAN_APP_FOLDER` or `DROPBOX__APP_FOLDER`."""
    return remote_root(env.get("HURACAN_APP_FOLDER") or env.get("DROPBOX__APP_FOLDER") or DEFAULT_ROOT)


def credentials_of(
    profile: str | None,
    *,
    env: Mapping[str, str],
    home: Path,
    read_only: bool = False,
    app_key: str | None = None,
    token_fd: int | None = None,
    store: Store | None = None,
) -> Credentials:
    """The credentials of a profile on this machine; `token_fd` and `store` as in `open_credentials`."""
    return open_credentials(
        Endpoint.from_environment(env),
        home,
        env,
        profile_named(profile, read_only=read_only),
        app_key=app_key,
        token_fd=token_fd,
        store=store,
    )


class Account(NamedTuple):
    """One login: how to reach it, and what it is called here."""

    wire: Wire
    tokens: TokenSource
    identity: Callable[[], str]
    """Says whose Dropbox it is; local state is kept by that."""
    root: str
    """The remote folder that holds everything of the engine."""
    home: Path
    """Where this machine's state lies."""


def account_of(
    profile: str | None = "engine",
    *,
    env: Mapping[str, str] | None = None,
    home: Path | None = None,
    access_token: Secret | None = None,
    credentials: Credentials | None = None,
    pacing: Pacing | None = None,
    throttle: Throttle | None = None,
    root: str | None = None,
) -> Account:
    """A profile's account. Opens no socket and reads no secret before its first use. Arguments as `connect`."""
    env = os.environ if env is None else env
    home = home or home_of(env)
    wire = Wire(Endpoint.from_environment(env), throttle=throttle)
    tokens: TokenSource
    if access_token is not None:
        check_destination(wire.endpoint.namespace, access_token)
        tokens = ShortLived(access_token)
        identity = lambda: _mark(access_token)  # noqa: E731 - one expression each
    else:
        login = credentials or credentials_of(profile, env=env, home=home)
        tokens = AccessTokens(login, wire, pacing=pacing)
        identity = lambda: _identity(login)  # noqa: E731
    return Account(wire, tokens, identity, root_of(env) if root is None else remote_root(root), home)


def _identity(credentials: Credentials) -> str:
    """The account, or, for a delivered token, which does not say whose it is, a mark of the token."""
    credential = credentials.load()
    return credential.login.account_id if credential.login else _mark(credential.refresh_token)


def _mark(token: Secret) -> str:
    return "token-" + hashlib.sha256(b"huracan-sync place\0" + token.reveal().encode()).hexdigest()[:16]
