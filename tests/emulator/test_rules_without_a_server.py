"""What the emulator decides before, beside and after a handler, called directly: no server, no socket."""

import asyncio
import json
from base64 import b64encode
from types import SimpleNamespace

import pytest

from huracan_sync.emulator.calls.call import Answer, Call, header_json
from huracan_sync.emulator.calls.checks import basic, check_call
from huracan_sync.emulator.calls.path_faults import shaped, strike, strike_restricted
from huracan_sync.emulator.calls.request_body import Body, Disconnected, store
from huracan_sync.emulator.routes import jobs, oauth, sessions, table
from huracan_sync.emulator.serving import bandwidth, consent, fault_injection, server
from huracan_sync.emulator.serving.control import Control, Refused
from huracan_sync.emulator.serving.exchange import Exchange
from huracan_sync.emulator.serving.page import home, size
from huracan_sync.emulator.spec.failures import BadInput, Failure, RateLimited, Refusal, UploadFailed
from huracan_sync.emulator.state import faults
from huracan_sync.emulator.state.content import BLOCK, content_hash
from huracan_sync.emulator.state.records import Piece, Session
from huracan_sync.emulator.state.settings import changed
from huracan_sync.emulator.state.view import View
from huracan_sync.emulator.state.world import APP_KEY, READ_ONLY_APP_KEY, World

MIB = 1024 * 1024


@pytest.fixture
def state(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


def body_of(*chunks, then=None):
    """A body that comes in these chunks; `then`: how it ends, if not as announced."""
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append(then or {"type": "http.request", "body": b"", "more_body": False})

    async def receive():
        return messages.pop(0)

    return Body(receive)


def call_of(state, route="files/get_metadata", arg=None, **headers):
    """A call as the exchange makes one, before it was checked."""
    made = Call(
        world=state,
        route=table.ROUTES[route],
        body=body_of(json.dumps(arg).encode()),
        headers={"content-type": "application/json"} | headers,
        query={},
        base_url="http://127.0.0.1:1",
        moment=state.moment(),
        resets=state.resets,
    )
    account = state.accounts[state.default_account_id]
    made.admit(state.apps[APP_KEY], View.of(account, state.apps[APP_KEY]))
    return made


def signed_in(state, scopes=("files.metadata.read",), lifetime=100.0, app=APP_KEY):
    grant, _ = state.grant(state.apps[app], state.default_account_id, list(scopes), offline=True)
    return f"Bearer {state.issue(grant, list(scopes), lifetime)}"


# -- calls -----------------------------------------------------------------------------------------------------------


def test_json_for_a_header_is_ascii():
    assert header_json({"name": "ö\x7f"}) == '{"name": "\\u00f6\\u007f"}'
    assert (Answer.of({"a": 1}).body, Answer.of({"a": 1}, compact=True).body) == (b'{"a": 1}', b'{"a":1}')


def test_a_write_lock_is_waited_for_or_refused(state):
    state.settings = changed(state.settings, {"write_lock_ms": 20, "write_lock_mode": "refuse"})

    async def two():
        first, second = call_of(state), call_of(state)
        holding = asyncio.ensure_future(first.take_write_lock())
        await asyncio.sleep(0)
        with pytest.raises(RateLimited):
            await second.take_write_lock()
        await second.take_write_lock(patient=True)  # jobs wait, however it is set
        await holding
        state.resets += 1
        with pytest.raises(Disconnected):
            await first.take_write_lock()

    asyncio.run(two())


@pytest.mark.parametrize(
    ("credentials", "pair"),
    [
        ("Basic " + b64encode(b"key:secret").decode(), ("key", "secret")),
        ("basic " + b64encode(b"key:a:b").decode(), ("key", "a:b")),
        ("Bearer " + b64encode(b"key:secret").decode(), ("", "")),
        ("Basic !", ("", "")),
        ("Basic " + b64encode(b"\xff:x").decode(), ("", "")),
        ("", ("", "")),
    ],
)
def test_http_basic(credentials, pair):
    assert basic(credentials) == pair


def test_the_token_is_looked_at_before_the_argument(state):
    good = signed_in(state)
    refusals = {
        "Bearer unknown": (Refusal, "invalid_access_token"),
        signed_in(state, lifetime=-1.0): (Refusal, "expired_access_token"),
        signed_in(state, scopes=["account_info.read"]): (Refusal, "missing_scope"),
        "Basic abcdef": (BadInput, 'header "Authorization": "Basic..."'),
        "": (BadInput, "Must provide HTTP header"),
        good: (BadInput, "request body: path"),
    }
    for credentials, (kind, words) in refusals.items():
        call = call_of(state, arg={"path": 7}, authorization=credentials)
        with pytest.raises(kind) as caught:
            asyncio.run(check_call(call))
        assert words in str(caught.value), credentials
    asyncio.run(check_call(call_of(state, arg={"path": "/a"}, authorization=good)))


def test_the_rate_is_of_a_user_of_an_app(state):
    state.settings = changed(state.settings, {"rate_limit_requests": 2, "rate_limit_window_s": 60.0})
    good, other = signed_in(state), signed_in(state, app=READ_ONLY_APP_KEY)

    def check(credentials):
        asyncio.run(check_call(call_of(state, arg={"path": "/a"}, authorization=credentials)))

    check(good)
    check(good)
    with pytest.raises(RateLimited):
        check(good)
    check(other)


# -- faults of single paths ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("route", "tags", "shape"),
    [
        ("files/upload", ["path", "insufficient_space"], ("path", "insufficient_space")),
        ("files/move_v2", ["path", "insufficient_space"], ("to", "insufficient_space")),
        ("files/copy_v2", ["path", "insufficient_space"], ("insufficient_quota",)),
        ("files/get_metadata", ["path", "not_found"], ("path", "not_found")),
    ],
)
def test_a_scripted_error_has_the_shape_of_its_route(state, route, tags, shape):
    failure = shaped(call_of(state, route), tags, {})
    assert (failure.tags, isinstance(failure, UploadFailed)) == (shape, route == "files/upload")


def test_a_rule_for_a_path_strikes_that_path_alone(state):
    rule = faults.read({"fault": "error", "path": "/A/*", "tags": ["path", "not_found"]})
    state.faults.add([rule])
    call = call_of(state)
    for harmless in ({"path": "/b"}, {"path": 7}, "no dict", {"commit": {"path": "/b/a/x"}}):
        strike(call, harmless)
    for struck in ({"path": "/a/x"}, {"from_path": "/b", "to_path": "/a/X"}, {"commit": {"path": "/a/y"}}):
        with pytest.raises(Failure):
            strike(call, struck)
    strike_restricted(call, ["/a/x"])  # this rule restricts no content
    state.faults.add([faults.read({"fault": "restricted_content", "path": "/a/x"})])
    with pytest.raises(Failure, match="restricted_content"):
        strike_restricted(call, ["/b", "/a/x"])
    assert call.struck == [rule] * 3 + [faults.read({"fault": "restricted_content", "path": "/a/x"})]


# -- bodies ----------------------------------------------------------------------------------------------------------


def test_a_body_is_read_to_its_end_also_when_it_is_too_long():
    long = body_of(b"abc", b"de")
    assert (asyncio.run(long.all(limit=4)), long.size) == (None, 5)
    assert asyncio.run(body_of(b"abc", b"", b"de").all(limit=5)) == b"abcde"
    with pytest.raises(Disconnected):
        asyncio.run(body_of(b"abc", then={"type": "http.disconnect"}).drain())


@pytest.mark.parametrize("chunk", [3, 2 * MIB])
def test_the_parts_of_a_stored_body_are_hashed_apart(state, chunk):
    """A small body, and one that is written while it arrives."""
    data = bytes(range(256)) * (3 * MIB // 256 if chunk > 3 else 1)
    cuts = [0, 5, len(data) - 5]
    chunks = [data[at : at + chunk] for at in range(0, len(data), chunk)]
    received = asyncio.run(store(body_of(*chunks), state.content, limit=1 << 30, cuts=cuts, whole=True))
    assert [part.length for part in received.parts] == cuts
    assert received.content_hash == hash_of(data)
    held = [b"".join(state.content.read(part.extents)) for part in received.parts]
    assert held == [b"", data[:5], data[5:]]
    assert [content_hash(part.digests) for part in received.parts[1:]] == [hash_of(data[:5]), hash_of(data[5:])]


def test_a_body_that_is_too_large_is_not_kept(state):
    received = asyncio.run(store(body_of(bytes(2 * MIB), b"x"), state.content, limit=MIB))
    assert (received.too_large, received.parts) == (True, [])


def hash_of(data):
    from huracan_sync.emulator.state.content import Blocks

    blocks = Blocks()
    blocks.update(data)
    return content_hash(blocks.digests())


# -- upload sessions and jobs ----------------------------------------------------------------------------------------


def session(**fields):
    return Session("s", "dbid:1", "k", 0.0, **fields)


@pytest.mark.parametrize(
    ("held", "offset", "length", "close", "error"),
    [
        (session(size=4), 4, 1, False, ""),
        (session(size=4), 3, 1, False, "incorrect_offset"),
        (session(size=4, closed=True), 4, 1, False, "closed"),
        (session(size=4), 4, 1 << 50, False, "too_large"),
        (session(concurrent=True), BLOCK, BLOCK, False, ""),
        (session(concurrent=True), 1, BLOCK, False, "concurrent_session_invalid_offset"),
        (session(concurrent=True), BLOCK, 1, False, "concurrent_session_invalid_data_size"),
        (session(concurrent=True), BLOCK, 1, True, ""),
    ],
)
def test_what_may_be_appended(state, held, offset, length, close, error):
    if not error:
        sessions.check_append(call_of(state), held, offset, length, close=close)
        return
    with pytest.raises(Failure) as caught:
        sessions.check_append(call_of(state), held, offset, length, close=close)
    assert caught.value.tags == (error,)


def piece(number, offset, length):
    return Piece("s", number, offset, length, [(1, offset, length)], bytes(32))


@pytest.mark.parametrize(
    ("held", "pieces", "error"),
    [
        (session(concurrent=True, closed=True, size=BLOCK + 1), [(0, BLOCK), (BLOCK, 1)], ""),
        (session(concurrent=True, size=BLOCK), [(0, BLOCK)], "concurrent_session_not_closed"),
        (session(concurrent=True, closed=True, size=2 * BLOCK), [(BLOCK, BLOCK)], "concurrent_session_missing_data"),
        (session(size=3), [(0, 3)], ""),
        (session(size=2), [(0, 2)], "lookup_failed"),
    ],
)
def test_what_may_be_finished(held, pieces, error):
    made = {number: piece(number, *each) for number, each in enumerate(pieces)}
    offset = held.size if held.concurrent else 3
    if not error:
        sessions.check_finish(held, made, offset)
        return
    with pytest.raises(Failure) as caught:
        sessions.check_finish(held, made, offset)
    assert caught.value.tags[0] == error


def test_a_job_is_in_progress_until_it_was_asked_for_often_enough(state):
    state.settings = changed(state.settings, {"job_polls": 1})

    async def launched():
        call = call_of(state)

        async def work():
            return {".tag": "complete"}

        name = jobs.launch(call, "delete_batch", work)["async_job_id"]
        await asyncio.gather(*state.running)
        call.arg = {"async_job_id": name}
        answers = [await jobs.check(call, "delete_batch") for _ in range(2)]
        with pytest.raises(Failure, match="invalid_async_job_id"):
            await jobs.check(call, "copy_batch")
        return answers

    assert asyncio.run(launched()) == [{".tag": "in_progress"}, {".tag": "complete"}]


# -- OAuth -----------------------------------------------------------------------------------------------------------

ASKED = {"client_id": APP_KEY, "response_type": "code", "code_challenge": "a" * 43, "code_challenge_method": "S256"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"client_id": "nobody"}, "no app has this key"),
        ({"response_type": "token"}, "response_type"),
        ({"redirect_uri": "http://127.0.0.1:53682"}, "exactly match"),  # without its slash
        ({"state": "x" * 2001}, "at most 2000 bytes"),
        ({"scope": " "}, "parameter is empty"),
        ({"scope": "files.metadata.read team_data.member"}, "does not have team_data.member"),
        ({"token_access_type": "forever"}, "token_access_type"),
        ({"code_challenge": ""}, "must use PKCE"),
        ({"code_challenge": "a" * 42}, "43 to 128"),
        ({"code_challenge_method": "S512"}, "code_challenge_method"),
    ],
)
def test_an_authorization_request_that_is_shown_to_nobody(state, change, why):
    with pytest.raises(oauth.Unacceptable, match=why):
        oauth.read(state, ASKED | change)
    page = consent.consent_page(state, ASKED | change)
    assert (page.status, b"<form" in page.body) == (400, False)


def test_whoever_may_write_metadata_may_read_it(state):
    assert oauth.read(state, ASKED | {"scope": "files.metadata.write"}).scopes == [
        "files.metadata.read",
        "files.metadata.write",
    ]


def test_the_way_back_keeps_what_the_address_says_already(state):
    request = oauth.Request(state.apps[APP_KEY], [], "http://127.0.0.1:1/?a=b", "s t")
    assert oauth.back(request, code="c") == "http://127.0.0.1:1/?a=b&code=c&state=s+t"


def test_scopes_granted_earlier_are_merged_when_asked_for(state):
    state.grant(state.apps[APP_KEY], state.default_account_id, ["files.content.read"], offline=True)
    asked = ASKED | {"scope": "account_info.read"}
    for merge, scopes in ((False, ["account_info.read"]), (True, ["account_info.read", "files.content.read"])):
        request = oauth.read(state, asked | ({"include_granted_scopes": "user"} if merge else {}))
        oauth.allow(state, request, state.default_account_id)
        assert list(state.codes.values())[-1].scopes == scopes


def test_a_consent_form_is_answered_once_and_cannot_be_forged(state):
    page = consent.consent_page(state, ASKED).body.decode()
    form = {"consent": page.partition('name="consent" value="')[2].partition('"')[0], "decision": "allow"}
    for _ in range(1100):  # whoever shows more pages takes nothing from this one
        consent.consent_page(state, ASKED)
    forged = form | {"consent": "0" + form["consent"][1:] if form["consent"][0] != "0" else "1" + form["consent"][1:]}
    answers = [consent.decide(state, each) for each in (forged, form, form)]
    assert [answer.status for answer in answers] == [400, 200, 400]
    assert len(state.codes) == 1


# -- control ---------------------------------------------------------------------------------------------------------


def test_the_control_endpoints_take_what_they_know_alone(state):
    control = Control(state)
    with pytest.raises(ValueError, match="no field is called 'scope'; there are app_key"):
        control.token({"scope": "x"})
    with pytest.raises(ValueError, match="Expected"):
        control.clock({"advance_s": "soon"})
    with pytest.raises(Refused, match="an object is expected"):
        control.apps([])
    with pytest.raises(Refused, match="does not have the scopes nothing"):
        control.token({"scopes": ["nothing"]})
    with pytest.raises(Refused, match="the nearest is 'files/upload'"):
        control.add_faults({"fault": "slow", "route": "files/uploads"})
    with pytest.raises(Refused, match="makes no difference to 'files/search_v2', only to files/list_folder, "):
        control.add_faults({"fault": "pages", "form": "empty", "route": "files/search_v2"})
    for fault, routes in faults.SHOWN_BY.items():
        control.add_faults([{"fault": fault, "route": route, "nth": 1} for route in ("*", *routes)])
    with pytest.raises(Refused, match="hold a slash"):
        control.apps({"name": "a/b"})


def test_unlinking_revokes_the_grants_of_one_app(state):
    control = Control(state)
    for key in (APP_KEY, APP_KEY, READ_ONLY_APP_KEY):
        control.token({"app_key": key, "scopes": ["files.metadata.read"]})
    assert [control.revoke({"app_key": APP_KEY}), control.revoke({"app_key": APP_KEY})] == [
        {"revoked": 2},
        {"revoked": 0},
    ]


# -- answers and the connection --------------------------------------------------------------------------------------


def arriving(rule, data, chunk=10):
    """What arrives of a body, and whether it is cut."""

    async def read():
        came = b""
        chunks = iter([data[at : at + chunk] for at in range(0, len(data), chunk)])
        try:
            async for each in fault_injection.shaped(chunks, [faults.read(rule)], len(data), None):
                came += each
        except fault_injection.Cut:
            return came, True
        return came, False

    return asyncio.run(read())


DATA = bytes(range(25))


@pytest.mark.parametrize(
    ("rule", "came", "cut"),
    [
        ({"fault": "truncate", "offset": 13}, DATA[:13], True),
        ({"fault": "truncate", "fraction": 0.0}, b"", True),
        ({"fault": "corrupt", "offset": 12}, DATA[:12] + bytes([DATA[12] ^ 1]) + DATA[13:], False),
        ({"fault": "wrong_length"}, DATA, True),
        ({"fault": "stall", "point": "body", "offset": 3, "seconds": 0.0}, DATA, False),
        ({"fault": "slow", "bytes_per_s": 100_000}, DATA, False),
    ],
)
def test_how_a_body_arrives(rule, came, cut):
    assert arriving(rule, DATA) == (came, cut)


def test_a_scripted_refusal_is_true_for_later_calls(state):
    credentials = signed_in(state)
    call = call_of(state, authorization=credentials)
    assert fault_injection.answer(call, faults.read({"fault": "expired_access_token"})).tags == (
        "expired_access_token",
    )
    with pytest.raises(Refusal, match="expired_access_token"):
        asyncio.run(check_call(call_of(state, arg={"path": "/a"}, authorization=credentials)))


@pytest.mark.parametrize(
    ("route", "tags"),
    [
        ("files/upload", ("path", "too_many_write_operations")),
        ("files/delete_v2", ("path_write", "too_many_write_operations")),
        ("files/move_v2", ("from_write", "too_many_write_operations")),
        ("files/create_folder_batch", ("too_many_write_operations",)),
    ],
)
def test_contention_as_a_conflict_has_the_shape_of_its_route(state, route, tags):
    rule = faults.read({"fault": "too_many_write_operations", "form": "conflict"})
    assert fault_injection.answer(call_of(state, route), rule).tags == tags


def test_a_limited_line_is_shared_and_takes_its_time(state):
    state.settings = changed(state.settings, {"bandwidth_mbit": 8.0})  # a megabyte a second

    async def carried():
        link, loop = bandwidth.Link(state), asyncio.get_running_loop()
        began = loop.time()
        await asyncio.gather(link.up(30_000), link.up(30_000), link.down(1))
        return loop.time() - began

    assert asyncio.run(carried()) >= 0.05  # 60 ms, less what a late sleeper is given


def answered(state, path, method="POST", body=b"", **headers):
    """(status, headers) of a request, by the exchange itself."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "path": path,
        "method": method,
        "scheme": "http",
        "query_string": b"",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(Exchange(state, bandwidth.Link(state), scope, receive, send).run())
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(each.get("body", b"") for each in sent[1:])


def test_every_request_gets_an_answer_and_is_logged(state):
    assert answered(state, "/nowhere")[0] == 404
    assert answered(state, "/2/files/upload", "GET")[0] == 405
    assert answered(state, "/2/users/get_current_account")[0] == 400
    status, headers, _ = answered(state, "/2/check/user", big="x" * 70_000)
    assert (status, headers[b"connection"]) == (431, b"close")
    assert (state.traffic.count, state.traffic.report()["requests"]["unknown"]) == (4, 1)


def test_long_answers_are_packed_for_who_takes_that(state):
    credentials = signed_in(state)
    account = state.accounts[state.default_account_id]
    for number in range(20):
        account.add_folder(account.root, f"folder {number}")
    ask = {"body": b'{"path": ""}', "authorization": credentials, "content_type": "application/json"}
    ask["content_length"] = "12"
    _, plain, long = answered(state, "/2/files/list_folder", **ask)
    _, packed, short = answered(state, "/2/files/list_folder", accept_encoding="gzip", **ask)
    assert (b"content-encoding" in plain, packed[b"content-encoding"]) == (False, b"gzip")
    assert len(short) < len(long) / 2


# -- the page and the server -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 40, "5.0 TiB"), (2048 << 40, "2048.0 TiB")],
)
def test_sizes_on_the_page(count, words):
    assert size(count) == words


def test_names_on_the_page_are_no_markup(state):
    account = state.accounts[state.default_account_id]
    account.add_folder(account.root, "<script>")
    for _ in range(61):
        answered(state, "/<b>")
    page = home(state)
    assert "&lt;script&gt;" in page
    assert "<script>/" not in page
    assert "older" in page
    assert "newer" in home(state, 30)


def test_the_address_that_a_client_is_told(state):
    names = [server._name("0.0.0.0", loopback=False), server._name("::", loopback=False)]  # noqa: S104
    assert [*names, server._name("::1", loopback=True)] == ["127.0.0.1", "[::1]", "[::1]"]
    assert server.ready(state, "http://127.0.0.1:1")["control"] == "http://127.0.0.1:1/emulator"


def test_a_connection_that_sends_no_headers_is_cut(state):
    """The timer runs while headers are under way, and not between requests."""
    cut, timers = [], []
    protocol = server.Protocol.__new__(server.Protocol)
    protocol.world, protocol._deadline = state, None
    protocol.transport = SimpleNamespace(abort=lambda: cut.append(True))

    def call_later(seconds, act):
        timer = SimpleNamespace(seconds=seconds, act=act, cancelled=False)
        timer.cancel = lambda: setattr(timer, "cancelled", True)
        timers.append(timer)
        return timer

    protocol.loop = SimpleNamespace(call_later=call_later)
    protocol._waits_for_headers = True
    protocol._watch_headers()
    protocol._watch_headers()
    assert [timer.seconds for timer in timers] == [state.settings.header_timeout_s]
    timers[0].act()
    assert cut == [True]
    protocol._waits_for_headers = False
    protocol._watch_headers()
    assert (timers[0].cancelled, protocol._deadline) == (True, None)
