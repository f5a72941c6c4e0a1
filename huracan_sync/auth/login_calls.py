"""What is asked of Dropbox about a login, besides its tokens: whose it is, whether it could write, its end."""

from __future__ import annotations

import msgspec

from huracan_sync.auth import token_endpoint
from huracan_sync.auth.credentials import Credential, Credentials
from huracan_sync.auth.scopes import WRITE, writes
from huracan_sync.auth.token_cache import State
from huracan_sync.auth.token_endpoint import ANSWER_S
from huracan_sync.auth.tokens import LOCK_S, alone, read_state, write_state
from huracan_sync.errors import HuracanError, MissingScope, ServiceFault
from huracan_sync.remote.http import Answer, Wire
from huracan_sync.secret import Secret


def revoke(wire: Wire, access_token: Secret) -> bool:
    """Withdraw a login: this token, its refresh token and its other access tokens. False: it was not valid any more.

    Raises:
        Unavailable: no answer, or none that is one.
    """
    answer = _call(wire, "/2/auth/token/revoke", access_token)
    if answer.status not in {200, 401}:
        raise ServiceFault(f"the login could not be withdrawn: status {answer.status}", status=answer.status)
    return answer.status == 200


def ask_whether_reachable(wire: Wire) -> Answer:
    """What Dropbox answers to a call without a login: any answer that is its own means that it can be reached.

    Raises:
        Unreachable, TlsRefused: it cannot be.
    """
    headers = {"Content-Type": "application/json"}
    return wire.exchange(f"{wire.endpoint.api}/2/check/user", headers=headers, body=b"{}")


class _Name(msgspec.Struct):
    display_name: str = ""


class _Account(msgspec.Struct):
    name: _Name


def account_name(wire: Wire, access_token: Secret) -> str:
    """How the account's owner is called; empty when the token may not know, or nobody says. No e-mail is looked at."""
    try:
        answer = _call(wire, "/2/users/get_current_account", access_token)
        found = msgspec.json.decode(answer.body, type=_Account) if answer.status == 200 else None
    except (HuracanError, msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return "" if found is None else "".join(c for c in found.name.display_name if c.isprintable())[:100]


def could_write(credentials: Credentials, wire: Wire, credential: Credential) -> bool:
    """Whether a delivered login would be granted a scope to write. What comes of it is dropped at once.

    Raises:
        HuracanError: nobody knows.
    """
    with alone(credentials, credential, timeout=LOCK_S):
        state = read_state(credentials, credential)
        newest = state.successor or credential.refresh_token
        asked = credential.asked | frozenset(WRITE)
        try:
            grant = token_endpoint.refresh(wire, credential.app_key, newest, asked)
        except MissingScope:
            return False
        if grant.refresh_token is not None:  # it was replaced by the asking
            write_state(credentials, credential, State(state.token, successor=grant.refresh_token))
        return grant.scopes is None or bool(writes(grant.scopes))


def _call(wire: Wire, route: str, access_token: Secret) -> Answer:
    headers = {"Content-Type": "application/json"}
    url = f"{wire.endpoint.api}{route}"
    return wire.exchange(url, headers=headers, token=access_token, body=b"null", read_timeout=ANSWER_S)
