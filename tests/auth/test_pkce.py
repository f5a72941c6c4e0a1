"""Consent: what the question says, and which answers count. (Threats 33 and 35.)"""

import base64
import hashlib
import os
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from expecting import raises

from huracan_sync.auth.pkce import Code, Denied, Ignored, begin, judge, pasted, redirect_uri
from huracan_sync.auth.scopes import Profile, check_granted, profile_named, to_authorize, writes
from huracan_sync.errors import MissingScope, UsageError

ENGINE, HAMILTON = Profile(), Profile("hamilton", read_only=True)
HOST = "127.0.0.1:53682"


def ask(redirect="http://127.0.0.1:53682/", **changes):
    return begin(
        "https://www.dropbox.com", "appkey", ENGINE.needed, redirect, now=1000.0, **{"entropy": os.urandom, **changes}
    )


def answer(request, *, method="GET", host=HOST, path="/", now=1001.0, raw=None, **fields):
    query = urlencode(fields) if raw is None else raw
    return judge(request, method, f"{path}?{query}", host, now=now)


def test_the_question():
    request = ask()
    url = urlsplit(request.url)
    fields = {name: values[0] for name, values in parse_qs(url.query, strict_parsing=True).items()}
    verifier = request.verifier.reveal()
    assert (url.scheme, url.netloc, url.path) == ("https", "www.dropbox.com", "/oauth2/authorize")
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert fields == {
        "response_type": "code",
        "client_id": "appkey",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "token_access_type": "offline",
        "scope": "files.content.read files.content.write files.metadata.read",
        "redirect_uri": "http://127.0.0.1:53682/",
        "state": request.state.reveal(),
    }
    assert 43 <= len(verifier) <= 128
    assert len(base64.urlsafe_b64decode(request.state.reveal() + "=")) * 8 == 256
    assert verifier not in request.url
    assert verifier not in repr(request)
    assert request.state.reveal() not in repr(request).replace(request.url, "")


def test_every_question_is_new():
    assert ask().state.reveal() != ask().state.reveal()
    assert ask().verifier.reveal() != ask().verifier.reveal()


def test_a_code_to_paste_has_no_redirect():
    assert "redirect_uri" not in ask(redirect=None).url
    assert "state=" not in ask(redirect=None).url


def test_the_right_answer():
    request = ask()
    verdict = answer(request, code="the-code", state=request.state.reveal())
    assert isinstance(verdict, Code)
    assert verdict.code.reveal() == "the-code"


def test_no():
    request = ask()
    fields = {
        "error": "access_denied",
        "error_description": "The user said\x1b[31m no",
        "state": request.state.reveal(),
    }
    assert answer(request, **fields) == Denied("The user said[31m no")
    del fields["error_description"]
    assert answer(request, **fields) == Denied("access_denied")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"state": "wrong"}, 400),
        ({"state": ""}, 400),
        ({"host": "localhost:53682"}, 421),
        ({"host": "evil.example:53682"}, 421),  # DNS rebinding
        ({"host": "127.0.0.1"}, 421),
        ({"host": "127.0.0.1:53683"}, 421),
        ({"host": None}, 421),
        ({"method": "POST"}, 405),
        ({"method": "HEAD"}, 405),
        ({"method": "get"}, 405),
        ({"path": "/favicon.ico"}, 404),
        ({"path": "//"}, 404),
        ({"path": ""}, 404),
        ({"path": "http://127.0.0.1:53682/"}, 404),
        ({"now": 1000.0 + 300.1}, 400),
        ({"error": "access_denied"}, 400),  # code and error both set
        ({"code": None}, 400),  # neither
        ({"code": ""}, 400),
        ({"code": "a b"}, 400),
        ({"code": "x" * 3000}, 400),
    ],
)
def test_threat_33_everything_else_is_ignored(change, status):
    request = ask()
    fields = {"code": "the-code", "state": request.state.reveal(), **change}
    verdict = answer(request, **{name: value for name, value in fields.items() if value is not None or name == "host"})
    assert isinstance(verdict, Ignored)
    assert verdict.status == status
    assert request.state.reveal() not in verdict.reason


@pytest.mark.parametrize("twice", ["state", "code"])
def test_a_field_that_comes_twice_is_ignored(twice):
    request = ask()
    fields = [("code", "the-code"), ("state", request.state.reveal())]
    raw = urlencode([*fields, *(f for f in fields if f[0] == twice)])
    assert isinstance(answer(request, raw=raw), Ignored)


@pytest.mark.parametrize("raw", ["&" * 100, "a=1&" * 100, "%ff%fe=%00", "state=\xff", "=", "code"])
def test_hostile_queries_are_ignored(raw):
    assert isinstance(answer(ask(), raw=raw), Ignored)


def test_within_five_minutes_counts():
    request = ask()
    assert isinstance(answer(request, now=1300.0, code="c", state=request.state.reveal()), Code)


@pytest.mark.parametrize("text", ["abc", "  abc\n"])
def test_pasted(text):
    assert pasted(text).code.reveal() == "abc"


@pytest.mark.parametrize("text", ["", "two words", "http://127.0.0.1/?code=x", "x" * 3000])
def test_pasted_nonsense(text):
    with pytest.raises(UsageError) as caught:
        pasted(text)
    assert not text or text not in str(caught.value)


def test_the_redirect_is_an_address_not_a_name():
    assert redirect_uri(53682) == "http://127.0.0.1:53682/"


# ---- scopes -------------------------------------------------------------------------------------------------------

R, C, W, A = "files.metadata.read", "files.content.read", "files.content.write", "account_info.read"


@pytest.mark.parametrize(
    ("profile", "granted", "error"),
    [
        (ENGINE, {R, C, W}, None),
        (ENGINE, None, None),
        (ENGINE, {R, C}, MissingScope),
        (ENGINE, set(), MissingScope),
        (ENGINE, {R, C, W, "sharing.write"}, "SCOPE_WIDENED"),
        (ENGINE, {R, C, W, A}, "SCOPE_WIDENED"),
        (HAMILTON, {R, C}, None),
        (HAMILTON, {R, C, W}, "SCOPE_WIDENED"),
        (HAMILTON, {R}, MissingScope),
        (HAMILTON, {R, W}, "SCOPE_WIDENED"),
    ],
)
def test_granted(profile, granted, error):
    granted = None if granted is None else frozenset(granted)
    if error is None:
        check_granted(profile, profile.asked(), granted)
        return
    with raises(error):
        check_granted(profile, profile.asked(), granted)


def test_a_service_that_always_grants_to_see_the_account_is_no_dead_end():
    with raises("SCOPE_WIDENED") as caught:
        check_granted(HAMILTON, HAMILTON.asked(), frozenset({R, C, A}))
    assert "--account-info" in caught.value.hint
    check_granted(HAMILTON, HAMILTON.asked(account_info=True), frozenset({R, C, A}))


def test_account_info_is_optional():
    check_granted(ENGINE, ENGINE.asked(account_info=True), ENGINE.needed)
    check_granted(ENGINE, ENGINE.asked(account_info=True), ENGINE.needed | {A})


def test_a_missing_scope_names_itself_and_the_page():
    with pytest.raises(MissingScope) as caught:
        check_granted(ENGINE, ENGINE.asked(), frozenset({R, C}))
    assert caught.value.facts["scope"] == W
    assert "Permissions tab of https://www.dropbox.com/developers/apps" in caught.value.hint


def test_what_can_write():
    assert writes({R, C, A}) == frozenset()
    assert writes({R, W, "files.metadata.write", "sharing.read"}) == {W, "files.metadata.write", "sharing.read"}


def test_the_command_that_logs_a_profile_in():
    assert to_authorize(ENGINE) == "huracan-sync authorize"
    assert to_authorize(HAMILTON) == "huracan-sync authorize --read-only"
    assert to_authorize(Profile("pod-a")) == "huracan-sync authorize --profile pod-a"
    assert to_authorize(Profile("pod-a", read_only=True)) == "huracan-sync authorize --read-only --profile pod-a"


def test_profiles():
    assert profile_named(None) == ENGINE
    assert profile_named(None, read_only=True) == HAMILTON
    assert profile_named("hamilton") == HAMILTON
    assert profile_named("pod-a").needed == {R, C, W}
    assert profile_named("pod-a", read_only=True).needed == {R, C}
    for bad in ("../x", "a b", "é", "x" * 65, "-_"):
        with pytest.raises(UsageError):
            profile_named(bad)
