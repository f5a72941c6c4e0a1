"""Checks before a handler runs: credentials, scopes, rate, path root, argument.

The order of the checks: credentials, the app's scopes, the token's scopes, the account, the rate, the path root, the
content type, the argument. Only that the token comes before the argument is known of the real service.
"""

import json
import time
from base64 import b64decode
from binascii import Error as BadBase64
from collections import deque
from typing import Any

from huracan_sync.emulator.calls.call import Call
from huracan_sync.emulator.calls.request_body import LONGEST_JSON
from huracan_sync.emulator.spec import arguments
from huracan_sync.emulator.spec.failures import BadInput, PathRootRefused, RateLimited, Refusal
from huracan_sync.emulator.spec.idents import app_number, fingerprint
from huracan_sync.emulator.spec.schema import Invalid, Void, decode
from huracan_sync.emulator.state.records import App, Token
from huracan_sync.emulator.state.view import View
from huracan_sync.emulator.state.world import World

_BOTH_PLACES = 'Must provide HTTP header "{header}" or URL parameter "{parameter}".'
_HACK = "text/plain; charset=dropbox-cors-hack"
_LISTINGS = {"files/list_folder", "files/list_folder/continue"}
_TYPES = {
    "rpc": ["application/json", "application/json; charset=utf-8", _HACK],
    "upload": ["application/octet-stream", _HACK],
    "download": ["text/plain", "text/plain; charset=utf-8", "application/octet-stream", _HACK],
}


async def check_call(call: Call) -> None:
    """Authenticate a call and decode its argument; sets the call's app, token, view and argument.

    Raises:
        BadInput: 400. Refusal: 401. PathRootRefused: 422. RateLimited: 429.
    """
    credentials = _credentials(call)
    for header in ("dropbox-api-select-user", "dropbox-api-select-admin"):
        if header in call.headers:  # the words are not recorded, the 400 is
            raise BadInput(f'HTTP header "{header.title().replace("Api", "API")}": only team apps may choose a user.')
    if call.route.auth == "none":
        if credentials:
            raise BadInput("Your request includes an Authorization header, but this function does not use it.")
    elif call.route.auth == "app":
        call.admit(_app_of(call, credentials), None)
    else:
        _user(call, credentials)
    await _argument(call)
    _no_twin(call)


def _credentials(call: Call) -> str:
    given = call.headers.get("authorization")
    if given is None:
        given = call.query.get("authorization", "")
    if not given and call.route.auth != "none":
        raise BadInput(_BOTH_PLACES.format(header="Authorization", parameter="authorization"))
    return given


def _user(call: Call, credentials: str) -> None:
    world, route = call.world, call.route
    scheme, _, secret = credentials.partition(" ")
    if scheme != "Bearer" or not secret.strip():
        raise _unusable(credentials, "Bearer <oauth2-access-token>")
    token, app = _known(world, secret.strip())
    grant = call.grant = world.grants[token.grant_id]
    call.token = token
    if token.expires is not None and token.expires <= world.clock.now():
        raise Refusal("expired_access_token")
    if route.scope and route.scope not in app.scopes:
        raise BadInput(
            f"Your app (ID: {app_number(app.app_key)}) is not permitted to access this endpoint because it does not "
            f"have the required scope '{route.scope}'. The owner of the app can enable the scope for the app using the "
            "Permissions tab on the App Console."
        )
    if route.scope and route.scope not in token.scopes:
        raise Refusal("missing_scope", required_scope=route.scope)
    account = world.accounts[grant.account_id]
    if account.person.suspended:
        raise Refusal("user_suspended")
    call.admit(app, View.of(account, app, astral=world.settings.astral_names))
    _rate(world, f"{app.app_key} {grant.account_id}")
    _path_root(call, account.person.namespace)


def _known(world: World, secret: str) -> tuple[Token, App]:
    """Return a token that was issued and not revoked, and its app."""
    token = world.tokens.get(fingerprint(secret))
    if token is None or world.grants[token.grant_id].revoked:
        raise Refusal("invalid_access_token")
    return token, world.apps[world.grants[token.grant_id].app_key]


def _app_of(call: Call, credentials: str) -> App:
    key, secret = basic(credentials)
    if not key:
        raise _unusable(credentials, "Basic <base64(APP_KEY:APP_SECRET)>")
    app = call.world.apps.get(key)
    if app is None or app.secret is None or app.secret != secret:
        raise BadInput("Invalid app key or app secret.")
    return app


def basic(credentials: str) -> tuple[str, str]:
    """Return key and secret of an HTTP Basic value; empty strings if it is none."""
    scheme, _, value = credentials.partition(" ")
    try:
        key, _, secret = b64decode(value.strip(), validate=True).decode().partition(":")
    except (BadBase64, UnicodeDecodeError, ValueError):
        return "", ""
    return (key, secret) if scheme.lower() == "basic" else ("", "")


def _unusable(credentials: str, expected: str) -> BadInput:
    shown = credentials if len(credentials) <= 5 else credentials[:5] + "..."
    return BadInput(f'Invalid authorization value in HTTP header "Authorization": "{shown}".  Expecting "{expected}".')


def _rate(world: World, who: str) -> None:
    """Limit the calls of one user of one app within a time window; refused calls count as well."""
    limit = world.settings.rate_limit_requests
    if limit is None:
        return
    now = time.monotonic()
    calls = world.calls.setdefault(who, deque())
    while calls and calls[0] <= now - world.settings.rate_limit_window_s:
        calls.popleft()
    calls.append(now)
    if len(calls) > limit:
        raise RateLimited("too_many_requests", world.settings.rate_limit_retry_after)


def _no_twin(call: Call) -> None:
    """Refuse a listing while the same one is under way, if the settings say so."""
    if call.world.settings.refuse_twin_listings and call.route.name in _LISTINGS:
        call.twin = f"{call.app.app_key} {call.account_id} {call.route.name} {call.arg}"
        if call.twin in call.world.listing_now:
            call.twin = ""
            raise RateLimited("too_many_requests", call.world.settings.rate_limit_retry_after)
        call.world.listing_now.add(call.twin)


def _path_root(call: Call, home: str) -> None:
    given = call.headers.get("dropbox-api-path-root")
    if given is None:
        return
    try:
        tag, value = decode(arguments.PATH_ROOT, given)
    except Invalid as error:
        raise BadInput(f'HTTP header "Dropbox-API-Path-Root": {error}') from None
    if tag == "home":
        return
    if call.view.sandbox:
        raise BadInput('HTTP header "Dropbox-API-Path-Root": Path root is not supported for sandbox app')
    if value != home:
        info = {".tag": "user", "root_namespace_id": home, "home_namespace_id": home}
        if tag == "namespace_id":
            raise PathRootRefused("no_permission")
        raise PathRootRefused("invalid_root", invalid_root=info)


async def _argument(call: Call) -> None:
    style = call.route.style
    if style == "rpc":
        call.place, raw = await _rpc_argument(call)
    else:
        _check_type(call.headers.get("content-type", ""), style)
        call.place, raw = _content_argument(call)
    try:
        call.arg = decode(call.route.argument, raw)
    except Invalid as error:
        raise BadInput(f"{call.place}: {error}") from None


async def _rpc_argument(call: Call) -> tuple[str, Any]:
    raw = await call.body.all()
    if raw is None:
        raise BadInput(f"request body: The request body may not be longer than {LONGEST_JSON} bytes.")
    kind = call.headers.get("content-type", "")
    if not raw and "arg" in call.query:
        return 'URL parameter "arg"', call.query["arg"]
    if not raw and not kind and isinstance(call.route.argument, Void):
        return "request body", "null"  # but with a content type the empty body is no JSON
    _check_type(kind, "rpc")
    return "request body", raw


def _content_argument(call: Call) -> tuple[str, Any]:
    if "dropbox-api-arg" in call.headers:
        # The documentation wants ASCII, but UTF-8 is taken too (rclone sent it for years); other bytes are no JSON.
        return 'HTTP header "Dropbox-API-Arg"', call.headers["dropbox-api-arg"].encode("latin-1")
    if "arg" in call.query:
        return 'URL parameter "arg"', call.query["arg"]
    if isinstance(call.route.argument, Void):
        return "request body", "null"
    raise BadInput(_BOTH_PLACES.format(header="Dropbox-API-Arg", parameter="arg"))


def _check_type(given: str, style: str) -> None:
    plain = "; ".join(part.strip().lower() for part in given.split(";"))
    if plain in _TYPES[style] or (style == "download" and not plain):
        return
    expected = ", ".join(json.dumps(kind) for kind in _TYPES[style])
    raise BadInput(f'Bad HTTP "Content-Type" header: "{given}".  Expecting one of {expected}.')
