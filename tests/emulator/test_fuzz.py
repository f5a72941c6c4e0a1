"""Whatever bytes arrive, the emulator answers as Dropbox would, and stays up.

Arguments are drawn from the specification of each route and then spoiled, so that they get past the first checks;
headers, queries and bodies are drawn beside them. The application is called without a socket: so far more are tried.
"""

import asyncio
import json
import re
import string
import tempfile
from collections import Counter
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from huracan_sync.emulator.routes import table
from huracan_sync.emulator.serving.app import Application
from huracan_sync.emulator.spec import schema
from huracan_sync.emulator.state.world import APP_KEY, World

GOOD = ["a", "A", "b.txt", "\u00fc", "u\u0308", "\u03a3", "\U0001f600"]
BAD = ["x" * 256, "..", "", " ", "a ", "\\", "\x7f", "\0", "desktop.ini"]
NAMES = st.sampled_from(GOOD * 5 + BAD)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["", "/", "id:", "rev:0"]),
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)


def rarely(odd, usual):
    """One time in six the odd one."""
    return st.integers(0, 5).flatmap(lambda draw: odd if draw == 5 else usual)


def known(kind):
    """A stand-in for an identifier that was answered before; what is drawn must not depend on what happened."""
    return st.integers(0, 9).map(lambda number: f"<{kind}:{number}>")


PATHS = st.one_of(
    st.sampled_from(["/a", "/b.txt", "/a/b.txt"]),
    st.sampled_from(["/a", "/b.txt", "/a/b.txt"]),
    st.lists(NAMES, min_size=1, max_size=3).map(lambda names: "/" + "/".join(names)),
    known("ids"),
    st.tuples(known("ids"), NAMES).map("/".join),
    known("revs").map("rev:{}".format),
    st.sampled_from(["", "/", "ns:1", "ns:1/a", "//a", "/a/"]),
    st.text(max_size=30),
)


def drawn(kind, name=""):
    """A strategy for values of a kind: mostly right, often strange."""
    if isinstance(kind, schema.Struct):
        required = {field: drawn(inner, field) for field, inner in kind.kinds.items() if field in kind.required}
        optional = {field: drawn(inner, field) for field, inner in kind.kinds.items() if field not in kind.required}
        return st.fixed_dictionaries(required, optional=optional)
    if isinstance(kind, schema.Nullable):
        return st.none() | drawn(kind.kind, name)
    if isinstance(kind, schema.Many):
        return st.lists(drawn(kind.item, name), max_size=3)
    if isinstance(kind, schema.Union):
        return st.one_of([_member(tag, inner) for tag, inner in kind.members.items()])
    if isinstance(kind, schema.Int):
        return st.integers(kind.low - 1, min(kind.high + 1, 40)) | st.integers(0, 20)
    simple = {
        schema.Bool: st.booleans(),
        schema.Void: st.none(),
        schema.Real: st.floats(0, 20000),
        schema.Timestamp: st.sampled_from(
            ["2020-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "2020-13-01T00:00:00Z", "x"]
        ),
    }
    return simple[type(kind)] if type(kind) in simple else _text(name)


def _member(tag, inner):
    if inner is None:
        return st.just(tag) | st.just({".tag": tag})
    return drawn(inner, tag).map(
        lambda value: {".tag": tag, **(value if isinstance(inner, schema.Struct) else {tag: value})}
    )


def _text(name):
    by_name = {
        "session_id": known("sessions"),
        "cursor": known("cursors"),
        "async_job_id": known("jobs"),
        "rev": known("revs"),
        "update": known("revs"),
        "parent_rev": known("revs"),
        "before_rev": known("revs"),
        "query": st.text(max_size=10),
        "url": st.text(max_size=20).map("http://".__add__),
        "content_hash": st.sampled_from(["0" * 64, "x"]),
    }
    return rarely(st.text(max_size=12), by_name.get(name, PATHS))


def spoiled(value):
    """A strategy for the same value with something of it replaced."""
    if isinstance(value, dict) and value:
        return st.sampled_from(sorted(value)).flatmap(lambda key: JSON.map(lambda other: {**value, key: other}))
    return JSON


ROUTES = sorted(table.ROUTES)
RAW = st.binary(max_size=40) | st.sampled_from(
    [b"", b"null", b"{", b"[" * 5000, b'{"path": "\\ud800"}', b"1e999", b"NaN"]
)


CALLS = st.sampled_from(ROUTES).flatmap(
    lambda name: st.tuples(
        st.just(name),
        drawn(table.ROUTES[name].argument).flatmap(lambda value: rarely(spoiled(value), st.just(value))),
        rarely(RAW, st.none()),
        st.binary(max_size=30),
    )
)
ODD_NAMES = ["range", "if-none-match", "dropbox-api-path-root", "content-type", "authorization", "accept-encoding"]
ODD_VALUES = ["", "bytes=0-", "bytes=5-2", "bytes=-1", "*", '{".tag": "home"}', "gzip", "Bearer", "text/plain"]
ODD_HEADERS = rarely(
    st.dictionaries(
        st.sampled_from(ODD_NAMES),
        st.sampled_from(ODD_VALUES) | st.text(alphabet=string.printable[:95], max_size=30),
        max_size=2,
    ),
    st.just({}),
)
QUERIES = rarely(
    st.sampled_from([b"arg=", b"arg=%7B%7D&authorization=x", b"%ff=%00", b"reject_cors_preflight=1"]), st.just(b"")
)


class Served:
    """One emulator, called without a socket; begun anew now and then, so that it does not fill up."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.statuses = Counter()
        self.kept = {"ids": [], "revs": [], "sessions": [], "cursors": [], "jobs": []}
        self.routes = set()
        self.renew()

    def renew(self):
        self.world = World(Path(tempfile.mkdtemp()))
        self.app = Application(self.world)
        self.world.settings.longpoll_cap_s = 0.0001
        self.log_in()
        account = self.world.accounts[self.world.default_account_id]
        digest = sha256(b"").hexdigest()
        blob = self.world.blob(digest, 0, [])
        folder = account.add_folder(account.root, "a")
        for parent in (account.root, folder):
            account.add_file(parent, "b.txt", blob, "2020-01-01T00:00:00Z", self.world.moment())

    def filled(self, text):
        """Stand-ins replaced by identifiers that were answered."""

        def real(match):
            kept = self.kept[match[1]] or ["none"]
            return kept[int(match[2]) % len(kept)]

        return re.sub("<(ids|revs|sessions|cursors|jobs):([0-9])>", real, text)

    def log_in(self):
        app = self.world.apps[APP_KEY]
        grant, _ = self.world.grant(app, self.world.default_account_id, app.scopes, offline=True)
        self.token = self.world.issue(grant, app.scopes, None)

    def call(self, path, headers, query, body):
        return self.loop.run_until_complete(self._call(path, headers, query, body))

    async def _call(self, path, headers, query, body):
        answers = []

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message):
            answers.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "query_string": query,
            "scheme": "http",
            "client": ("127.0.0.1", 1),
            "headers": [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()],
        }
        await self.app(scope, receive, send)
        while self.world.running:
            await asyncio.gather(*self.world.running)
        text = b"".join(message.get("body", b"") for message in answers[1:])
        return answers[0]["status"], dict(answers[0]["headers"]), text


@pytest.fixture(scope="module")
def served():
    emulator = Served()
    yield emulator
    emulator.loop.close()


def one(served, call, headers, query):
    name, value, raw, content = call
    route = table.ROUTES[name]
    text = raw if raw is not None else served.filled(json.dumps(value)).encode()
    given = {"host": "127.0.0.1"}
    if route.auth != "none":
        given["authorization"] = f"Bearer {served.token}"
    body = content if route.style == "upload" else b""
    if route.style == "rpc":
        given["content-type"], body = "application/json", text
    else:
        given["content-type"] = "application/octet-stream" if route.style == "upload" else ""
        given["dropbox-api-arg"] = text.decode("latin-1").replace("\n", " ")
    status, answered, said = served.call(f"/2/{quote(name)}", {**given, **headers}, query, body)
    served.statuses[status] += 1
    if status < 300:
        served.routes.add(name)
    if name == "auth/token/revoke":
        served.log_in()
    if served.world.traffic.count > 2000:
        served.renew()
    assert len(answered[b"x-dropbox-request-id"]) == 32
    assert status < 500, (name, value, raw, headers, said)
    assert status in {200, 206, 304, 400, 401, 405, 409, 416, 422, 431}
    if status == 400:
        assert said.startswith(f'Error in call to API function "{route.name}": '.encode())
        assert answered[b"content-type"].startswith(b"text/plain")
    if status in {401, 409, 422}:
        assert json.loads(said)["error_summary"]
    remember(served, status, answered, said)


def remember(served, status, answered, said):
    """Keep identifiers that were answered, so that later calls meet what is there."""
    if status != 200 or answered.get(b"content-type") != b"application/json" or answered.get(b"content-encoding"):
        return
    pending = [json.loads(said)]
    fields = {"id": "ids", "rev": "revs", "session_id": "sessions", "cursor": "cursors", "async_job_id": "jobs"}
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending += value
        elif isinstance(value, dict):
            pending += value.values()
            for field, kind in fields.items():
                if isinstance(value.get(field), str):
                    served.kept[kind] = [*served.kept[kind][-9:], value[field]]


QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}


@pytest.mark.slow
@settings(max_examples=80, derandomize=True, **QUIET)
@given(CALLS, ODD_HEADERS, QUERIES)
def test_no_argument_brings_more_than_a_refusal(served, call, headers, query):
    one(served, call, headers, query)


@settings(max_examples=150, derandomize=True, **QUIET)
@given(CALLS, ODD_HEADERS, QUERIES)
def three_hundred(served, call, headers, query):
    one(served, call, headers, query)


@pytest.mark.slow
def test_not_all_that_is_drawn_ends_with_a_refused_token_or_argument(served):
    served.statuses.clear()
    three_hundred(served)
    # How much does not depends on the draw.
    assert served.statuses[200] > sum(served.statuses.values()) / 50
    assert served.statuses[409] > sum(served.statuses.values()) / 50
    assert len(served.routes) > 1


@pytest.mark.long
@settings(max_examples=50_000, **QUIET)
@given(CALLS, ODD_HEADERS, QUERIES)
def test_fifty_thousand_arguments_bring_no_more_than_refusals(served, call, headers, query):
    one(served, call, headers, query)


FORMS = st.dictionaries(
    st.sampled_from(
        ["grant_type", "code", "client_id", "client_secret", "refresh_token", "scope", "code_verifier", "x"]
    ),
    st.sampled_from(
        ["authorization_code", "refresh_token", APP_KEY, "emulatorconfapp", "emulatorsecret0", "v" * 64, ""]
    )
    | st.text(max_size=10),
)


@settings(max_examples=60, derandomize=True, **QUIET)
@given(FORMS, st.none() | st.binary(max_size=30), st.none() | st.text(max_size=20))
def test_no_form_brings_more_than_a_refusal(served, form, raw, basic):
    body = raw if raw is not None else "&".join(f"{name}={quote(value)}" for name, value in form.items()).encode()
    headers = {"host": "127.0.0.1"} | ({"authorization": f"Basic {basic}"} if basic is not None else {})
    for path in ("/oauth2/token", "/oauth2/authorize", "/apitul/1/x"):
        status, _, _ = served.call(path, headers, b"", body)
        assert status in {200, 400, 409}
