"""OAuth 2: the authorization request, the code it yields, and the exchange of codes and refresh tokens.

An authorization request is checked before anything is redirected: an unknown app or an unregistered redirect_uri ends
on a page of the emulator, never in a redirect. Redirect URIs are compared letter by letter.
"""

import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from huracan_sync.emulator.calls.call import Answer, Call
from huracan_sync.emulator.calls.checks import basic
from huracan_sync.emulator.spec import idents
from huracan_sync.emulator.spec.failures import POLICY
from huracan_sync.emulator.state.records import App, Grant
from huracan_sync.emulator.state.world import World

Json = dict[str, Any]
_LONGEST_STATE = 2000
_CHALLENGE = range(43, 129)
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# dropbox-sdk-python#470 saw it; rclone, which asks to write metadata and not to read it, lists all the same.
_BRINGS = {"files.metadata.write": "files.metadata.read", "sharing.write": "sharing.read"}
_ACCESS = {"online", "offline", "legacy"}


class Unacceptable(Exception):
    """An authorization request that cannot be shown to a person; the text says why."""


@dataclass
class Request:
    """A valid authorization request."""

    app: App
    scopes: list[str]
    redirect_uri: str = ""
    state: str = ""
    challenge: str = ""
    method: str = ""
    access: str = ""
    merge: bool = False


@dataclass
class Code:
    """An authorization code that is not used yet."""

    request: Request
    account_id: str
    expires: float
    scopes: list[str] = field(default_factory=list)


def read(world: World, query: dict[str, str]) -> Request:
    """Read and check an authorization request from the URL's parameters.

    Raises:
        Unacceptable: it cannot be shown to a person.
    """
    app = world.apps.get(query.get("client_id", ""))
    if app is None:
        raise Unacceptable("Invalid client_id: no app has this key.")
    if query.get("response_type") != "code":
        raise Unacceptable('Invalid response_type: it must be "code".')
    redirect_uri = query.get("redirect_uri", "")
    if redirect_uri and redirect_uri not in app.redirect_uris:
        raise Unacceptable(
            f'Invalid redirect_uri: "{redirect_uri}". '
            "It must exactly match one of the redirect URIs registered for the app."
        )
    if len(query.get("state", "").encode()) > _LONGEST_STATE:
        raise Unacceptable(f"Invalid state: it may have at most {_LONGEST_STATE} bytes.")
    if "scope" in query and not query["scope"].split():
        raise Unacceptable("Invalid scope: the parameter is empty.")
    scopes = set(query.get("scope", "").split() or app.scopes)
    unknown = sorted(scopes - set(app.scopes))
    if unknown:
        raise Unacceptable(f"Invalid scope: the app does not have {', '.join(unknown)}.")
    scopes |= {_BRINGS.get(scope, scope) for scope in scopes} & set(app.scopes)
    access = query.get("token_access_type", "")
    if access and access not in _ACCESS:
        raise Unacceptable(f'Invalid token_access_type: "{access}".')
    challenge, method = _challenge(app, query)
    merge = query.get("include_granted_scopes", "") == "user"
    return Request(app, sorted(scopes), redirect_uri, query.get("state", ""), challenge, method, access, merge)


def _challenge(app: App, query: dict[str, str]) -> tuple[str, str]:
    challenge, method = query.get("code_challenge", ""), query.get("code_challenge_method", "")
    if not challenge:
        if app.secret is None:
            raise Unacceptable("Missing code_challenge: this app has no secret, so it must use PKCE.")
        return "", ""
    if method not in {"", "plain", "S256"}:
        raise Unacceptable(f'Invalid code_challenge_method: "{method}".')
    if len(challenge) not in _CHALLENGE or not set(challenge) <= _UNRESERVED:
        raise Unacceptable("Invalid code_challenge: it must be 43 to 128 unreserved characters.")
    return challenge, method or "plain"


def allow(world: World, request: Request, account_id: str) -> str:
    """Return the code for a person who clicked Allow."""
    code, now = idents.code(), world.clock.now()
    world.codes = {printed: each for printed, each in world.codes.items() if each.expires > now}
    scopes = request.scopes
    if request.merge:
        earlier = [grant for grant in world.grants.values() if _same_link(grant, request.app, account_id)]
        scopes = sorted({*scopes, *(scope for grant in earlier for scope in grant.scopes)})
    expires = now + world.settings.code_lifetime_s
    world.codes[idents.fingerprint(code)] = Code(request, account_id, expires, scopes)
    return code


def _same_link(grant: Grant, app: App, account_id: str) -> bool:
    return grant.app_key == app.app_key and grant.account_id == account_id and not grant.revoked


def back(request: Request, **outcome: str) -> str:
    """Return the redirect URI with the outcome of the request, and its state."""
    parts = urlsplit(request.redirect_uri)
    query = [*parse_qsl(parts.query, keep_blank_values=True), *outcome.items()]
    if request.state:
        query.append(("state", request.state))
    return urlunsplit(parts._replace(query=urlencode(query)))


# -- tokens -------------------------------------------------------------------------------------------------------


class TokenError(Exception):
    """An error of /oauth2/token."""

    def __init__(self, error: str, description: str = "") -> None:
        super().__init__(error)
        self.body: Json = {"error": error, **({"error_description": description} if description else {})}


_STRANGER = TokenError("invalid_client: Invalid client_id or client_secret")


async def token(call: Call) -> Answer:
    """Answer POST /oauth2/token. Fields come in the body or in the URL's query (the JavaScript SDK does so)."""
    raw = await call.body.all(limit=1024 * 1024) or b""
    try:
        answer = Answer.of(_exchange(call, {**call.query, **_form(raw)}))
    except TokenError as error:
        return refused(error)
    # Recorded in 2021: text/javascript. What it is today is not known.
    answer.headers = [("Content-Type", "text/javascript"), ("Cache-Control", "no-cache"), ("Pragma", "no-cache")]
    return answer


def refused(error: TokenError) -> Answer:
    """Return the 400 of /oauth2/token."""
    answer = Answer.of(error.body)
    answer.status, answer.error = 400, error.body["error"]
    answer.headers += [POLICY, ("Pragma", "no-cache")]
    return answer


def _form(raw: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=100, errors="strict"))
    except ValueError:
        raise TokenError("invalid_request", "request body is not form-urlencoded") from None


def _exchange(call: Call, form: dict[str, str]) -> Json:
    app, proven = _client(call, form)
    grant_type = _field(form, "grant_type")
    if grant_type == "authorization_code":
        return _by_code(call, app, form, proven=proven)
    if grant_type == "refresh_token":
        return _by_refresh(call, app, form, proven=proven)
    raise TokenError("unsupported_grant_type", "grant_type must be authorization_code or refresh_token")


def _field(form: dict[str, str], name: str) -> str:
    if not form.get(name):
        raise TokenError("invalid_request", f'missing required field "{name}"')
    return form[name]


def _client(call: Call, form: dict[str, str]) -> tuple[App, bool]:
    """Return the calling app, and whether it proved its secret: in the body or as HTTP Basic, but not both."""
    key, secret = basic(call.headers.get("authorization", ""))
    if key and ("client_secret" in form or form.get("client_id", key) != key):
        raise TokenError("invalid_request", "client credentials given both in the body and as HTTP Basic")
    if not key and not form.get("client_id"):
        raise TokenError("invalid_request", "No auth function available for given request")
    if not key:
        key, secret = form["client_id"], form.get("client_secret", "")
    app = call.world.apps.get(key)
    if app is None or (secret and secret != app.secret):
        raise _STRANGER
    return app, bool(secret)


def _by_code(call: Call, app: App, form: dict[str, str], *, proven: bool) -> Json:
    world = call.world
    given = _field(form, "code")
    code: Code | None = world.codes.get(idents.fingerprint(given))
    if code is None or code.expires <= world.clock.now() or code.request.app.app_key != app.app_key:
        raise TokenError("invalid_grant", "code doesn't exist or has expired")
    request = code.request
    if app.secret and not proven and not request.challenge:
        raise _STRANGER
    if form.get("redirect_uri", "") != request.redirect_uri:
        raise TokenError("invalid_grant", "redirect_uri mismatch")
    _verify(request, form)
    del world.codes[idents.fingerprint(given)]
    scopes = _scripted(call, code.scopes)
    grant, refresh = world.grant(app, code.account_id, scopes, offline=request.access == "offline")
    grant.pkce = bool(request.challenge)
    world.keep_grant(grant)
    person = world.accounts[code.account_id].person
    answer = {
        "access_token": world.issue(grant, scopes, _lifetime(world, request)),
        "token_type": "bearer",
        "expires_in": world.settings.token_lifetime_s,
        "scope": " ".join(scopes),
        "uid": person.uid,
        "account_id": person.account_id,
    }
    if refresh:
        answer["refresh_token"] = refresh
    if request.access == "legacy":
        del answer["expires_in"]
    return answer


def _lifetime(world: World, request: Request) -> float | None:
    return None if request.access == "legacy" else world.settings.token_lifetime_s


def _verify(request: Request, form: dict[str, str]) -> None:
    if not request.challenge:
        if "code_verifier" in form:
            raise TokenError("invalid_grant", "code verifier was not expected")
        return
    verifier = _field(form, "code_verifier")
    proof = verifier
    if request.method == "S256":
        proof = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    well_formed = len(verifier) in _CHALLENGE and set(verifier) <= _UNRESERVED
    if not well_formed or not secrets.compare_digest(proof, request.challenge):
        raise TokenError("invalid_grant", "invalid code verifier")


def _scripted(call: Call, scopes: list[str]) -> list[str]:
    """Return the scopes that are granted: others than asked for, if scripted so."""
    struck = call.quirk("scope")
    return sorted(struck.scope) if struck else scopes


def _by_refresh(call: Call, app: App, form: dict[str, str], *, proven: bool) -> Json:
    world = call.world
    given = _field(form, "refresh_token")
    if not set(given) <= _UNRESERVED or not given:
        raise TokenError("invalid_grant", "refresh token is malformed")
    printed = idents.fingerprint(given)
    grant = world.refresh_tokens.get(printed)
    if (
        grant is None
        or grant.revoked
        or grant.app_key != app.app_key
        or printed not in {grant.refresh, grant.successor}
    ):
        raise TokenError("invalid_grant", "refresh token is invalid or revoked")
    if app.secret and not proven and not grant.pkce:
        raise _STRANGER
    asked = form.get("scope", "").split()
    if not set(asked) <= set(grant.scopes):
        raise TokenError("invalid_scope", "requested scope is not a subset of the scope that was granted")
    if printed == grant.successor:  # the new one is in use, so the old one ends
        world.refresh_tokens.pop(grant.refresh or "", None)
        grant.refresh, grant.successor = printed, None
        world.keep_grant(grant)
    scopes = _scripted(call, sorted(set(asked)) or grant.scopes)
    answer: Json = {
        "token_type": "bearer",
        "access_token": world.issue(grant, scopes, world.settings.token_lifetime_s),
        "expires_in": world.settings.token_lifetime_s,
    }
    if call.quirk("scope"):
        answer["scope"] = " ".join(scopes)
    if world.settings.rotate_refresh_tokens:
        answer["refresh_token"] = _rotate(world, grant)
    return answer


def _rotate(world: World, grant: Grant) -> str:
    fresh = idents.refresh_token()
    if grant.successor:
        world.refresh_tokens.pop(grant.successor, None)
    grant.successor = idents.fingerprint(fresh)
    world.keep_grant(grant)
    return fresh
