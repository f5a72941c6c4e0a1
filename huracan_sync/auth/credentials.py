"""Which refresh token a profile works with, and where it came from. The first hit wins.

1. a descriptor (`--token-fd`), the file `HURACAN_REFRESH_TOKEN_FILE` names, a systemd credential: memory only;
2. the profile's login: OS keyring or vault, whichever it was put in;
3. the variable `HURACAN_DROPBOX_REFRESH_TOKEN`, with a warning: any process of the same user can read it;
4. else nobody is logged in, said with a hint.

The record of a login names its account and its scopes, and holds no secret: later logins must be of that account. One
file for each namespace and profile, so an emulator's logins and Dropbox's never meet.

What may be a token of Dropbox is never sent to an emulator, nor the reverse: an emulator's tokens say what they are.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import msgspec

from huracan_sync.auth.keystore.secret_id import SecretName
from huracan_sync.auth.keystore.secret_io import Environment, read_descriptor, read_file, systemd_credential
from huracan_sync.auth.keystore.store import Store, open_store
from huracan_sync.auth.scopes import Profile, check_destination, to_authorize
from huracan_sync.disk.private_folder import Folder
from huracan_sync.errors import (
    ConfigError,
    NoCredentials,
    NotAuthorized,
    SecretMissing,
    StateMissing,
)
from huracan_sync.remote.http import Endpoint
from huracan_sync.secret import Secret

log = logging.getLogger(__name__)

CREDENTIAL = "huracan-refresh-token"
"""The name a systemd unit gives the token: `LoadCredentialEncrypted=huracan-refresh-token:...`."""


_MOST_RECORD = 64 * 1024


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One login, as it was confirmed by a person."""

    namespace: str
    profile: str
    read_only: bool
    app_key: str
    account_id: str
    scopes: tuple[str, ...]
    authorized_at: int
    """Seconds since 1970."""
    root: str = ""
    """The remote folder this profile works in; empty when it was not chosen."""

    @property
    def refresh_token(self) -> SecretName:
        """Where its refresh token lies."""
        return self._secret("refresh-token")

    @property
    def refresh_token_before(self) -> SecretName:
        """The refresh token before the service last changed it; kept until the new one has worked."""
        return self._secret("refresh-token-before")

    def _secret(self, name: str) -> SecretName:
        return SecretName(self.namespace, self.profile, name, app_key=self.app_key, account_id=self.account_id)


class Credential(msgspec.Struct, frozen=True):
    """A refresh token and what it is for."""

    app_key: str
    refresh_token: Secret
    profile: Profile
    asked: frozenset[str]
    """The scopes said with every refresh."""
    source: str
    """Where it came from, for people."""
    login: Login | None
    """The stored login; None for a delivered token."""

    @property
    def to_replace(self) -> str:
        """What a person does when this one no longer works."""
        command = to_authorize(self.profile)
        if self.login is not None:
            return f"run `{command}`"
        return f"run `{command} --hand-over` where there is a browser, and deliver what it prints as {self.source}"


def open_credentials(
    endpoint: Endpoint,
    home: Path,
    env: Mapping[str, str],
    profile: Profile,
    *,
    app_key: str | None = None,
    token_fd: int | None = None,
    store: Store | None = None,
) -> Credentials:
    """The credentials of one profile on this machine. Opens nothing yet.

    Args:
        endpoint: whom they are for; an emulator's are kept apart.
        home: the state folder.
        env: the environment.
        profile: whose.
        app_key: the app's key, where neither the environment nor an earlier login names it.
        token_fd: a descriptor to read the refresh token from.
        store: the secrets of this machine, where not the environment alone says what opens them.
    """
    store = store or open_store(home, env)
    return Credentials(profile, endpoint.namespace, store, env, app_key=app_key, token_fd=token_fd)


class Credentials:
    """Finds the credential of one profile. Nothing is read before `load`, and nothing is kept after."""

    def __init__(
        self,
        profile: Profile,
        namespace: str,
        store: Store,
        env: Mapping[str, str],
        *,
        app_key: str | None = None,
        token_fd: int | None = None,
    ) -> None:
        self.profile = profile
        self.namespace = namespace
        self.store = store
        self._env = Environment(env)
        self._app_key = app_key
        self._token_fd = token_fd
        self._from_fd: Secret | None = None  # a descriptor can be read once

    @property
    def folder(self) -> Folder:
        """The private folder."""
        return self.store.folder

    def load(self) -> Credential:
        """The refresh token to use now.

        Raises:
            NoCredentials: nobody is logged in.
            ConfigError: `NO_APP_KEY`, a token was delivered and the app it belongs to was not said.
            SecretMissing: what the environment names is not there.
            VaultRefused: the login is stored and cannot be opened.
            VaultRefused: `BOUND_ELSEWHERE`, the token belongs to another service, app or account.
        """
        delivered = self._delivered()
        if delivered is not None:
            return self._of_delivered(*delivered)
        stored = self.load_stored()
        if stored is not None:
            return stored
        name = "HURACAN_DROPBOX_REFRESH_TOKEN"
        if self._env.get(name):
            log.warning("%s is readable by every process of this user; prefer HURACAN_REFRESH_TOKEN_FILE", name)
            return self._of_delivered(_one_token(Secret(self._env[name]), name), name)
        raise NoCredentials(
            f"nobody has logged in under profile {self.profile.name} ({self.namespace})",
            hint=f"run `{to_authorize(self.profile)}`",
        )

    def load_stored(self) -> Credential | None:
        """The credential of the profile's stored login, whatever was delivered; None when there is no login."""
        login = self.login
        if login is None:
            return None
        token = self.store.get(login.refresh_token)
        if token is None:
            message = f"profile {login.profile} is logged in as {login.account_id}, but its refresh token is gone"
            raise NoCredentials(message, hint=f"run `{to_authorize(Profile(login.profile, login.read_only))}`")
        return self.of_login(login, token)

    def of_login(self, login: Login, token: Secret) -> Credential:
        """The credential of a login and its refresh token."""
        profile = Profile(login.profile, login.read_only)
        asked = frozenset(login.scopes) & profile.asked(account_info=True) | profile.needed
        source = self.store.kept_in(login.refresh_token) or "store"
        return Credential(login.app_key, token, profile, asked, source, login)

    def of_stored_login(self) -> Credentials:
        """The same profile's, whatever was delivered."""
        return Credentials(self.profile, self.namespace, self.store, {})

    @property
    def login(self) -> Login | None:
        """The profile's stored login."""
        return read_login(self.folder, self.namespace, self.profile.name)

    def find_app_key(self) -> str:
        """The app key given, of the environment, or of the profile's login.

        Raises:
            ConfigError: `NO_APP_KEY`, there is none.
        """
        given = self._app_key or self._env.get("HURACAN_APP_KEY")
        if not given:
            login = self.login
            given = login.app_key if login is not None else ""
        if not given:
            raise ConfigError(
                "no app key is known: neither --app-key, HURACAN_APP_KEY nor an earlier login names one",
                code="NO_APP_KEY",
            )
        if not given.isascii() or not given.replace("-", "").replace("_", "").isalnum() or len(given) > 128:
            raise ConfigError(f"{given[:20]!r} is no app key", code="NO_APP_KEY")
        return given

    def _delivered(self) -> tuple[Secret, str] | None:
        if self._token_fd is not None:
            source = f"descriptor {self._token_fd}"
            self._from_fd = self._from_fd or _one_token(read_descriptor(self._token_fd), source)
            return self._from_fd, source
        if named := self._env.get("HURACAN_REFRESH_TOKEN_FILE"):
            return _one_token(read_file(Path(named), "HURACAN_REFRESH_TOKEN_FILE"), named), named
        if path := systemd_credential(self._env, CREDENTIAL):
            return _one_token(read_file(path, "CREDENTIALS_DIRECTORY"), str(path)), str(path)
        return None

    def _of_delivered(self, token: Secret, source: str) -> Credential:
        app_key = self.find_app_key()
        check_destination(self.namespace, token)
        return Credential(app_key, token, self.profile, self.profile.needed, source, None)


def login_file(namespace: str, profile: str) -> str:
    """The file of a login, in the private folder."""
    return f"{login_file_head(namespace)}{quote(profile, safe='')}.json"


def login_file_head(namespace: str) -> str:
    """How the names of the logins of one namespace begin."""
    return f"login.{quote(namespace, safe='')}."


def read_login(folder: Folder, namespace: str, profile: str) -> Login | None:
    """The login, or None when nobody has logged in.

    Raises:
        StateMissing: the record is damaged. It is not taken for "nobody": the account it pins would be forgotten.
        UnsafePlace: others could have written it.
    """
    name = login_file(namespace, profile)
    data = folder.read(name, most=_MOST_RECORD)
    if data is None:
        return None
    try:
        login = msgspec.json.decode(data, type=Login)
    except msgspec.DecodeError:
        login = None
    if login is None or (login.namespace, login.profile) != (namespace, profile):
        message = f"{folder.path / name} is damaged: which account profile {profile} belongs to is not known"
        hint = "run `huracan-sync logout` and `huracan-sync authorize` for this profile, and compare the account id"
        raise StateMissing(message, hint=hint, path=folder.path / name)
    return login


def check_pin(pinned: Login | None, account_id: str) -> None:
    """Raise AccountChanged when another account is pinned; an account that does not say its id is not judged."""
    if pinned is not None and account_id and account_id != pinned.account_id:
        message = f"profile {pinned.profile} belongs to account {pinned.account_id}, and {account_id} answered"
        hint, code = "run `huracan-sync logout` first if the change is meant; nothing was stored", "ACCOUNT_CHANGED"
        raise NotAuthorized(message, code=code, hint=hint, pinned=pinned.account_id, answered=account_id)


def _one_token(given: Secret, source: str) -> Secret:
    token = Secret(given.reveal().strip())
    if not re.fullmatch(r"[!-~]+", token.reveal()):
        raise SecretMissing(
            f"{source} does not hold a refresh token alone", hint="put the token, and nothing else, there"
        )
    if not re.fullmatch(r"[\w.~+/=-]+", token.reveal()):
        hint = "put the bare token there: printf %s TOKEN, without quotes, commas and brackets"
        raise SecretMissing(f"{source} holds quotes or other characters that no token has", hint=hint)
    if token.reveal().startswith("sl."):
        hint = "it lasts four hours at most; log in with `huracan-sync authorize --no-browser` instead"
        raise SecretMissing(f"{source} holds a short-lived access token, not a refresh token", hint=hint)
    return token
