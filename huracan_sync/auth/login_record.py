"""The record of a login: whose it is and what it may do. No secret is in it; the account it pins is its point.

One file for each namespace and profile, so an emulator's logins and Dropbox's never meet.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

import msgspec

from huracan_sync.auth.keystore.secret_id import SecretName
from huracan_sync.disk.files import local_failure
from huracan_sync.disk.private_folder import Folder
from huracan_sync.errors import NotAuthorized, StateMissing

_MOST = 64 * 1024
LOCK = "login.lock"


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


def unknown(namespace: str, profile: str) -> Login:
    """A login of which only the name is left, enough to find and forget what it kept."""
    return Login(namespace, profile, read_only=True, app_key="", account_id="", scopes=(), authorized_at=0)


def file_name(namespace: str, profile: str) -> str:
    """The file of a login, in the private folder."""
    return f"{_head(namespace)}{quote(profile, safe='')}.json"


def _head(namespace: str) -> str:
    return f"login.{quote(namespace, safe='')}."


def read(folder: Folder, namespace: str, profile: str) -> Login | None:
    """The login, or None when nobody has logged in.

    Raises:
        StateMissing: the record is damaged. It is not taken for "nobody": the account it pins would be forgotten.
        UnsafePlace: others could have written it.
    """
    name = file_name(namespace, profile)
    data = folder.read(name, most=_MOST)
    if data is None:
        return None
    try:
        login = msgspec.json.decode(data, type=Login)
    except msgspec.DecodeError:
        login = None
    if login is None or (login.namespace, login.profile) != (namespace, profile):
        raise StateMissing(
            f"{folder.path / name} is damaged: which account profile {profile} belongs to is not known",
            hint="run `huracan-sync logout` and `huracan-sync authorize` for this profile, and compare the account id",
            path=folder.path / name,
        )
    return login


def write(folder: Folder, login: Login) -> None:
    """Keep the record.

    Raises:
        NotAuthorized: `ACCOUNT_CHANGED`, another account is pinned for this profile.
    """
    with folder.locked(LOCK):
        check_pin(read(folder, login.namespace, login.profile), login.account_id)
        folder.write(file_name(login.namespace, login.profile), msgspec.json.format(msgspec.json.encode(login)))


def check_pin(pinned: Login | None, account_id: str) -> None:
    """Raise AccountChanged when another account is pinned; an account that does not say its id is not judged."""
    if pinned is not None and account_id and account_id != pinned.account_id:
        raise NotAuthorized(
            f"profile {pinned.profile} belongs to account {pinned.account_id}, and {account_id} answered",
            code="ACCOUNT_CHANGED",
            hint="run `huracan-sync logout` first if the change is meant; nothing was stored",
            pinned=pinned.account_id,
            answered=account_id,
        )


def remove(folder: Folder, namespace: str, profile: str) -> bool:
    """Forget the login; False when there was none."""
    return folder.remove(file_name(namespace, profile))


def profiles(folder: Folder, namespace: str) -> list[str]:
    """The profiles that have a login, sorted.

    Raises:
        LocalFailure: the folder cannot be read.
    """
    head, tail = _head(namespace), ".json"
    try:
        names = [path.name for path in folder.path.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise local_failure(error, str(folder.path), "read") from error
    return sorted(unquote(n[len(head) : -len(tail)]) for n in names if n.startswith(head) and n.endswith(tail))
