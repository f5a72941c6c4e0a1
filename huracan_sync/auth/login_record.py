"""Keeps and forgets the records of logins (`credentials.Login`): what only logging in and out needs."""

from __future__ import annotations

from urllib.parse import unquote

import msgspec

from huracan_sync.auth.credentials import Login, check_pin, login_file, login_file_head, read_login
from huracan_sync.disk.private_folder import Folder
from huracan_sync.errors import local_failure

LOCK = "login.lock"


def unknown(namespace: str, profile: str) -> Login:
    """A login of which only the name is left, enough to find and forget what it kept."""
    return Login(namespace, profile, read_only=True, app_key="", account_id="", scopes=(), authorized_at=0)


def write(folder: Folder, login: Login) -> None:
    """Keep the record.

    Raises:
        NotAuthorized: `ACCOUNT_CHANGED`, another account is pinned for this profile.
    """
    with folder.locked(LOCK):
        check_pin(read_login(folder, login.namespace, login.profile), login.account_id)
        folder.write(login_file(login.namespace, login.profile), msgspec.json.format(msgspec.json.encode(login)))


def remove(folder: Folder, namespace: str, profile: str) -> bool:
    """Forget the login; False when there was none."""
    return folder.remove(login_file(namespace, profile))


def profiles(folder: Folder, namespace: str) -> list[str]:
    """The profiles that have a login, sorted.

    Raises:
        LocalFailure: the folder cannot be read.
    """
    head, tail = login_file_head(namespace), ".json"
    try:
        names = [path.name for path in folder.path.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise local_failure(error, str(folder.path), "read") from error
    return sorted(unquote(n[len(head) : -len(tail)]) for n in names if n.startswith(head) and n.endswith(tail))
