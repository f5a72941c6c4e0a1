"""What goes to the token route, and what its answers mean. Reading an answer is pure; sending takes a `Wire`.

The answer's Content-Type is not asked: Dropbox has sent both `application/json` and `text/javascript`. What is not
JSON is nobody's answer (a captive portal, a proxy's page) and is never taken for success.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from huracan_sync.auth.keystore.secret_io import decode_secret
from huracan_sync.auth.scopes import check_destination, spelled
from huracan_sync.errors import (
    CallRefused,
    HuracanError,
    MissingScope,
    NotAuthorized,
    RateLimited,
    Revoked,
    ServiceFault,
)
from huracan_sync.remote.errors import retry_after
from huracan_sync.remote.http import Answer, Wire
from huracan_sync.secret import Secret, bare, redact

ROUTE = "oauth2/token"
_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
ANSWER_S = 30.0
_TOKEN = re.compile(r"[!-~]{1,8192}")


class Grant(msgspec.Struct, frozen=True):
    """What the service granted."""

    access_token: Secret
    lifetime: float
    """Seconds from now."""
    scopes: frozenset[str] | None
    """None: the answer did not say, as refreshes do not."""
    refresh_token: Secret | None
    account_id: str
    """Empty when the answer did not say, as refreshes do not."""


class _Body(msgspec.Struct):
    access_token: Secret
    expires_in: float
    token_type: str
    scope: str | None = None
    refresh_token: Secret | None = None
    account_id: str = ""


class _Failure(msgspec.Struct):
    error: str
    error_description: str = ""


def exchange_code(wire: Wire, app_key: str, code: Secret, verifier: Secret, redirect_uri: str | None) -> Grant:
    """Exchange the code a person's consent gave for tokens.

    Raises:
        NotAuthorized: `NO_CONSENT`, the code is used, expired, or was not begun here.
        NotAuthorized: Dropbox does not know the app.
        Unavailable, VaultRefused: no answer, or none that is one; as `check_destination`.
    """
    check_destination(wire.endpoint.namespace, code, "code")
    fields = {"grant_type": "authorization_code", "client_id": app_key}
    if redirect_uri is not None:
        fields["redirect_uri"] = redirect_uri
    return _send(wire, fields, {"code": code, "code_verifier": verifier}, refreshing=False)


def refresh(wire: Wire, app_key: str, refresh_token: Secret, scopes: frozenset[str]) -> Grant:
    """A new access token, of exactly these scopes; they are said every time, so that it never grows.

    Raises:
        Revoked: the refresh token is no longer valid.
        MissingScope: the login was not granted these scopes.
        NotAuthorized: Dropbox does not know the app.
        RateLimited, Unavailable: not now.
    """
    fields = {"grant_type": "refresh_token", "client_id": app_key, "scope": spelled(scopes)}
    return _send(wire, fields, {"refresh_token": refresh_token}, refreshing=True)


def _send(wire: Wire, fields: Mapping[str, str], secrets: Mapping[str, Secret], *, refreshing: bool) -> Grant:
    def body() -> bytes:
        return urlencode({**fields, **{name: secret.reveal() for name, secret in secrets.items()}}).encode()

    return read_answer(_post(wire, body), refreshing=refreshing)


def _post(wire: Wire, body: Callable[[], bytes]) -> Answer:
    """One exchange whose failure tells nothing of what was sent: the body is made below the `try`."""
    failure: BaseException
    try:
        return wire.exchange(f"{wire.endpoint.api}/{ROUTE}", headers=_FORM, body=body(), read_timeout=ANSWER_S)
    except BaseException as error:  # noqa: BLE001 - Ctrl-C too: its frames hold the body all the same
        failure = error
    raise bare(failure)


def read_answer(answer: Answer, *, refreshing: bool) -> Grant:
    """What the token route answered.

    Raises:
        HuracanError: as `refresh` and `exchange_code` say.
    """
    if answer.status != 200:
        raise _failure(answer, refreshing=refreshing)
    try:
        body = msgspec.json.decode(answer.body, type=_Body, dec_hook=decode_secret)
    except (msgspec.DecodeError, UnicodeDecodeError):  # the message may quote a token
        raise ServiceFault("the token route answered with something that is no token") from None
    fine = all(_TOKEN.fullmatch(t.reveal()) for t in (body.access_token, body.refresh_token) if t is not None)
    if not fine or body.token_type.lower() != "bearer" or not 0 < body.expires_in < 1e9:
        raise ServiceFault("the token route answered with a token that cannot be used")
    return Grant(
        access_token=body.access_token,
        lifetime=body.expires_in,
        scopes=None if body.scope is None else frozenset(body.scope.split()),
        refresh_token=body.refresh_token,
        account_id=body.account_id,
    )


def _failure(answer: Answer, *, refreshing: bool) -> HuracanError:
    asked: dict[str, Any] = {} if (pause := retry_after(answer)) is None else {"retry_after_s": pause}
    if answer.status == 429:
        return RateLimited("Dropbox asks to slow down (the token route)", **asked)
    if not 400 <= answer.status < 404:
        return ServiceFault(f"the token route answered with status {answer.status}", status=answer.status, **asked)
    try:
        failure = msgspec.json.decode(answer.body, type=_Failure)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ServiceFault(f"the token route answered with status {answer.status} and no reason")
    # Dropbox puts the words of some errors behind the tag, in the same field.
    tag, _, words = failure.error.partition(":")
    said = redact((failure.error_description or words or tag).strip())[:200]
    return _refusal(tag.strip(), said, refreshing=refreshing)


def _refusal(tag: str, said: str, *, refreshing: bool) -> HuracanError:
    match tag:
        case "invalid_grant" if refreshing:
            return Revoked(f"this login was withdrawn ({said})", said=said)
        case "invalid_grant":
            return NotAuthorized(
                f"Dropbox does not accept the code ({said})", code="NO_CONSENT", reason="code", said=said
            )
        case "invalid_client" | "unauthorized_client":
            hint = "compare the App key with the one on https://www.dropbox.com/developers/apps, then authorize again"
            return NotAuthorized(f"Dropbox does not know the app ({said})", hint=hint, said=said)
        case "invalid_scope":
            return MissingScope(f"the login does not have the scopes asked for ({said})", scope="", said=said)
        case _:
            return CallRefused(f"the token route refused: {said}", error=tag)
