"""The consent of a person, as OAuth 2 with PKCE: what goes out, and which answer may come in. Pure.

Laws (RFC 7636, RFC 8252): the app has no secret; the proof is the verifier, made here and sent once, to the token
route. What comes back through the browser is an answer only if everything about it is right: the method, the path, the
host it was addressed to, one `state` and it is ours, exactly one of `code` and `error`, within five minutes. Anything
else is ignored, not failed: any page in any browser may send us requests, and must not be able to end a login.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from huracan_sync.auth.scopes import spelled
from huracan_sync.errors import UsageError
from huracan_sync.secret import Secret, redact

PORTS = (53682, 53683, 53684)
"""The loopback ports to register with the app; Dropbox compares the whole redirect URI."""
ANSWER_S = 300.0
"""Seconds a person has to answer."""
_CODE = re.compile(r"[A-Za-z0-9_.~+/=-]{1,2048}")


class Request(msgspec.Struct, frozen=True):
    """One question to a person. Used once."""

    url: str
    """The page that asks."""
    app_key: str
    scopes: frozenset[str]
    verifier: Secret
    state: Secret
    redirect_uri: str | None
    """Where the answer goes; None: the page shows a code to paste."""
    begun: float
    """Seconds on the monotonic clock."""


class Code(msgspec.Struct, frozen=True):
    """The person said yes."""

    code: Secret


class Denied(msgspec.Struct, frozen=True):
    """The person said no, or Dropbox did."""

    reason: str


class Ignored(msgspec.Struct, frozen=True):
    """Not an answer to our question."""

    status: int
    reason: str


def redirect_uri(port: int) -> str:
    """Where the browser brings the answer. The address, not `localhost`: a name can be resolved to somebody else's ::1.

    Dropbox takes http redirect URIs for both; its own .NET SDK has its example on 127.0.0.1.
    """
    return f"http://127.0.0.1:{port}/"


def begin(
    web: str,
    app_key: str,
    scopes: frozenset[str],
    redirect: str | None,
    *,
    now: float,
    entropy: Callable[[int], bytes],
) -> Request:
    """Ask for consent.

    Args:
        web: base URL of the consent page (`Endpoint.web`).
        app_key: the app's public key.
        scopes: what to ask for.
        redirect: where the browser brings the answer; None for a code to paste.
        now: seconds on the monotonic clock.
        entropy: random bytes.
    """
    verifier, state = _text(entropy(64)), _text(entropy(32))
    challenge = _text(hashlib.sha256(verifier.encode()).digest())
    fields = {
        "response_type": "code",
        "client_id": app_key,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "token_access_type": "offline",
        "scope": spelled(scopes),
    }
    if redirect is not None:
        fields |= {"redirect_uri": redirect, "state": state}
    url = f"{web}/oauth2/authorize?{urlencode(fields)}"
    return Request(url, app_key, scopes, Secret(verifier), Secret(state), redirect, now)


def judge(request: Request, method: str, target: str, host: str | None, *, now: float) -> Code | Denied | Ignored:
    """Whether an HTTP request that reached the redirect port is the answer.

    Args:
        request: the question.
        method: of the HTTP request.
        target: its request target, as sent.
        host: its Host header; None when it had not exactly one.
        now: seconds on the monotonic clock.
    """
    own = urlsplit(request.redirect_uri or "")
    path, _, query = target.partition("?")
    if host != own.netloc:
        return Ignored(421, "it was addressed to another host")
    if method != "GET":
        return Ignored(405, "it was no GET")
    if path != own.path or "#" in target:
        return Ignored(404, "it was for another path")
    if now - request.begun > ANSWER_S:
        return Ignored(400, "it came too late")
    return _judge_fields(request, query)


def _judge_fields(request: Request, query: str) -> Code | Denied | Ignored:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=20)
    except ValueError:
        return Ignored(400, "it had too many fields")
    fields = dict(pairs)
    if len(fields) != len(pairs):
        return Ignored(400, "a field came twice")
    if not hmac.compare_digest(fields.get("state", "").encode(), request.state.reveal().encode()):
        return Ignored(400, "it did not belong to this login")
    code, error = fields.get("code"), fields.get("error")
    if (code is None) == (error is None) or (code is not None and not _CODE.fullmatch(code)):
        return Ignored(400, "it had not exactly one of a code and an error")
    if code is None:
        return Denied(_printable(fields.get("error_description") or error or ""))
    return Code(Secret(code))


def pasted(text: str) -> Code:
    """The code a person copied from the page.

    Raises:
        UsageError: what was pasted cannot be a code.
    """
    code = Secret(text.strip())
    text = ""  # nearly a code is nearly a secret
    if not _CODE.fullmatch(code.reveal()):
        raise UsageError(
            f"what was pasted is no code ({len(code.reveal())} characters)",
            hint="copy the code that the page shows after Allow, and nothing else",
        )
    return Code(code)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _printable(text: str) -> str:
    """What a server said, fit for a terminal."""
    return redact("".join(c for c in text if c.isprintable())[:200])
