"""How conversations are kept: what of a request counts, what is left out, and what is blackened."""

import hashlib
import json
import logging
import re
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import vcr
import yaml
from vcr.request import Request
from vcr.stubs import VCRConnection

from huracan_sync.emulator.routes.table import ROUTES

logging.getLogger("vcr").setLevel(logging.WARNING)  # it logs whole requests, tokens and all
CASSETTES = Path(__file__).parents[2] / "cassettes"
BLACKENED_FIELDS = {"code", "code_verifier", "client_secret"}
"""Fields of a form that are of one use."""
REQUEST_HEADERS = {"authorization", "content-type", "dropbox-api-arg", "range", "accept-encoding"}
RESPONSE_HEADERS = {
    *(
        "content-type",
        "content-length",
        "content-range",
        "content-encoding",
        "transfer-encoding",
        "retry-after",
        "etag",
    ),
    *("dropbox-api-result", "x-dropbox-request-id", "www-authenticate", "date"),
}
LONGEST_BODY = 512
"""Bytes of an upload that are kept as they are; of a longer one only the size and the digest."""


# -- requests ----------------------------------------------------------------------------------------------------


_made = Request.__init__


def _made_whole(self, method, uri, body, headers):
    """vcrpy copies what it is given, and a view of memory cannot be copied: a body in pieces is joined first."""
    is_whole = body is None or isinstance(body, (bytes, str)) or hasattr(body, "read")
    _made(self, method, uri, body if is_whole else b"".join(body), headers)


Request.__init__ = _made_whole

_mirror = VCRConnection.__setattr__


def _set(self, name, value):
    """vcrpy gives what is set on its stand-in to the real connection too; a `connect` that calls it would never end."""
    (object.__setattr__ if name == "connect" else _mirror)(self, name, value)


VCRConnection.__setattr__ = _set


def as_sent_to_dropbox(request):
    """A request as it is kept, and compared: with the real service's hosts, and nothing in it that is of one use."""
    parts = urlsplit(request.uri)
    if parts.path.startswith("/emulator"):
        return None
    if "x-stranger" in {name.lower() for name in request.headers}:
        return None
    if parts.hostname in {"127.0.0.1", "localhost"}:
        found = ROUTES.get(parts.path[3:]) if parts.path.startswith("/2/") else None
        host = found.host if found else "api"
        parts = parts._replace(scheme="https", netloc=f"{host}.dropboxapi.com")
    headers = {name: value for name, value in request.headers.items() if name.lower() in REQUEST_HEADERS}
    return Request(request.method, parts.geturl(), _body(request), headers)


def _body(request):
    body = request.body
    data = body.encode() if isinstance(body, str) else bytes(body or b"")
    kind = request.headers.get("Content-Type", "")
    if kind == "application/x-www-form-urlencoded":
        fields = parse_qsl(data.decode(), keep_blank_values=True)
        return urlencode([(k, "BLACKENED" if k in BLACKENED_FIELDS else v) for k, v in sorted(fields)])
    if kind == "application/octet-stream" and len(data) > LONGEST_BODY:
        return f"{len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}"
    return data


def _equal(what, one, two):
    found = list(_differences(what, one, two))
    more = [f"and {len(found) - 5} more"] if len(found) > 5 else []
    assert not found, "\n".join([*found[:5], *more])


def _differences(where, one, two):
    """Where two values differ, with what was sent and what was recorded."""
    if isinstance(one, dict) and isinstance(two, dict):
        for name in {**one, **two}:
            yield from _differences(f"{where}.{name}", one.get(name), two.get(name))
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for number, (a, b) in enumerate(zip(one, two, strict=True)):
            yield from _differences(f"{where}[{number}]", a, b)
    elif one != two:
        yield f"{where}: sent {str(one)[:300]!r}, recorded {str(two)[:300]!r}"


def same_header(one, two):
    """Whether the headers that count are the same; the argument as JSON."""
    for name in sorted(REQUEST_HEADERS):
        a, b = (next((v for k, v in r.headers.items() if k.lower() == name), None) for r in (one, two))
        if name == "dropbox-api-arg" and a and b:
            a, b = json.loads(a), json.loads(b)
        _equal(name, a, b)


def same_body(one, two):
    """Whether the bodies are the same; JSON as JSON."""
    a, b = (json.loads(r.body) if _is_json(r) else r.body for r in (one, two))
    _equal("body", a, b)


def _is_json(request):
    return request.headers.get("Content-Type") == "application/json" and request.body


def recorder(mode):
    """How flows are recorded (`all`) or replayed (`none`)."""
    made = vcr.VCR(
        record_mode=mode,
        match_on=["method", "uri", "same_header", "same_body"],
        before_record_request=as_sent_to_dropbox,
        before_record_response=_kept_response,
        decode_compressed_response=True,
    )
    made.register_matcher("same_header", same_header)
    made.register_matcher("same_body", same_body)
    return made


def _kept_response(response):
    kept = {name: values for name, values in response["headers"].items() if name.lower() in RESPONSE_HEADERS}
    return {**response, "headers": kept}


# -- secrets -----------------------------------------------------------------------------------------------------

PERSONAL = {
    *("access_token", "refresh_token", "account_id", "uid", "email", "given_name", "surname", "familiar_name"),
    *("display_name", "abbreviated_name", "referral_link", "profile_photo_url", "team_member_id", "modified_by"),
    *("root_namespace_id", "home_namespace_id", "shared_folder_id", "parent_shared_folder_id"),
}
SECRETS = {
    "an access token": re.compile(r"\bsl\.[A-Za-z0-9_.-]{16,}"),
    "a bearer token": re.compile(r"Bearer (?!ACCESS-TOKEN|realm=)\S+"),
    "a refresh token": re.compile(r"refresh_token(?:=|\W{2,6})(?!(?:READ-ONLY-)?REFRESH-TOKEN|:)[A-Za-z0-9_-]{20,}"),
    "an account": re.compile(r"dbid:(?!A{20})[A-Za-z0-9_-]{10,}"),
    "an e-mail address": re.compile(r"[\w.+-]+@[\w-]+\.[a-z]{2,}"),
    "a verifier": re.compile(r"code_verifier=(?!BLACKENED)"),
    "a private key": re.compile(r"PRIVATE KEY"),
}
"""What no cassette may hold."""


def secrets_in(text):
    """What kinds of secrets a text holds."""
    return [what for what, pattern in SECRETS.items() if pattern.search(text)]


def _filler(word, like):
    """As long as what it stands for, so that no length has to be mended."""
    return (f"{word}-" * (len(like) // (len(word) + 1) + 1))[: len(like)]


SHORTEST = 8
"""Characters of what is blackened wherever it stands; what is shorter, a name, only where it is called so."""
_SHORT = re.compile(rf'("(?:{"|".join(sorted(PERSONAL))})": ?")([^"]{{1,{SHORTEST - 1}}})(")')


class Pencil:
    """Blackens secrets: the same one by the same filler everywhere."""

    def __init__(self, known):
        """Begin with what is known: secret -> word."""
        self.words = {secret: _filler(word, secret) for secret, word in known.items()}
        self.tokens = 0

    def learn(self, value):
        """Find what is personal in an answer."""
        if isinstance(value, dict):
            for name, inner in value.items():
                if name in PERSONAL and isinstance(inner, str) and len(inner) >= SHORTEST and inner not in self.words:
                    self.words[inner] = self._word(name, inner)
                self.learn(inner)
        elif isinstance(value, list):
            for inner in value:
                self.learn(inner)

    def _word(self, name, value):
        if name == "access_token":
            self.tokens += 1
            return _filler(f"ACCESS-TOKEN-{self.tokens}", value)
        if value.startswith("dbid:"):
            return "dbid:" + "A" * (len(value) - 5)
        return _filler(name.upper().replace("_", "-"), value)

    def blacken(self, value):
        """The same with every secret blackened."""
        if isinstance(value, dict):
            return {self.blacken(name): self.blacken(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.blacken(inner) for inner in value]
        if isinstance(value, bytes):
            return self.blacken(value.decode("latin-1")).encode("latin-1")
        if isinstance(value, str):
            # The longest first: an address may hold a name.
            for secret in sorted(self.words, key=len, reverse=True):
                value = value.replace(secret, self.words[secret])
            return _SHORT.sub(lambda found: found[1] + "X" * len(found[2]) + found[3], value)
        return value


def blackened(interactions, known):
    """Interactions without a secret; and the pencil, for what else is kept."""
    pencil = Pencil(known)
    for each in interactions:
        body = each["response"]["body"].get("string") or b""
        try:
            pencil.learn(json.loads(body))
        except ValueError:
            continue
    return pencil.blacken(interactions), pencil


# -- cassettes ---------------------------------------------------------------------------------------------------


def load(path):
    """What a cassette says, its interactions among it."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def text(heading, cassette):
    """A cassette as it is written: `heading` for people, then what it says."""
    return "".join(f"# {line}\n" for line in heading) + yaml.safe_dump(cassette, sort_keys=False, allow_unicode=True)


def save(path, heading, cassette):
    """Write a cassette."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text(heading, cassette), encoding="utf-8")
