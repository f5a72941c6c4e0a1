"""The consent page, clicked as a browser would: read the form, submit one of its buttons."""

import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from emulator_client import HTTP, post_form

pytestmark = pytest.mark.every_case  # a few milliseconds each

VERIFIER = "0123456789-._~" * 5
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
HERE = "http://127.0.0.1:53682/"


def ask(dropbox, **more):
    query = {
        "response_type": "code",
        "client_id": dropbox.app_key,
        "redirect_uri": HERE,
        "state": "s t&te",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "token_access_type": "offline",
        **more,
    }
    url = f"{dropbox.url}/oauth2/authorize?" + urlencode({name: value for name, value in query.items() if value})
    return HTTP.request("GET", url)


def click(dropbox, page, decision):
    html = page.data.decode()
    form = {"consent": re.search(r'name="consent" value="([^"]+)"', html)[1], "decision": decision}
    return post_form(f"{dropbox.url}/oauth2/authorize", form)


def exchange(dropbox, **form):
    form = {"grant_type": "authorization_code", "client_id": dropbox.app_key, **form}
    response = post_form(f"{dropbox.url}/oauth2/token", form)
    return response.status, response.json()


def test_allow_leads_to_tokens(dropbox):
    page = ask(dropbox)
    assert page.status == 200
    assert "files.content.write" in page.data.decode()
    answer = click(dropbox, page, "allow")
    assert answer.status == 302
    where = urlsplit(answer.headers["Location"])
    assert f"{where.scheme}://{where.netloc}{where.path}" == HERE
    back = parse_qs(where.query)
    assert set(back) == {"code", "state"}
    assert back["state"] == ["s t&te"]
    status, tokens = exchange(dropbox, code=back["code"][0], code_verifier=VERIFIER, redirect_uri=HERE)
    assert status == 200
    assert tokens["refresh_token"]
    assert tokens["account_id"] == dropbox.account_id
    assert tokens["expires_in"] == 14400


def test_deny_comes_back_with_the_state(dropbox):
    answer = click(dropbox, ask(dropbox), "deny")
    back = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert back["error"] == ["access_denied"]
    assert back["state"] == ["s t&te"]
    assert "code" not in back


def test_without_redirect_the_code_is_shown(dropbox):
    answer = click(dropbox, ask(dropbox, redirect_uri=""), "allow")
    assert answer.status == 200
    code = re.search(r'data-token="([^"]+)"', answer.data.decode())[1]
    assert exchange(dropbox, code=code, code_verifier=VERIFIER)[0] == 200


def test_a_page_can_be_answered_once(dropbox):
    page = ask(dropbox)
    assert click(dropbox, page, "allow").status == 302
    assert click(dropbox, page, "allow").status == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": "nobody"},
        {"redirect_uri": "http://127.0.0.1:53682/other"},
        {"redirect_uri": "http://evil.example/"},
        {"response_type": "token"},
        {"scope": "files.everything"},
        {"code_challenge": ""},
        {"code_challenge": "short"},
        {"code_challenge_method": "S512"},
        {"token_access_type": "forever"},
        {"state": "x" * 2001},
    ],
    ids=str,
)
def test_what_cannot_be_asked_never_redirects(dropbox, wrong):
    answer = ask(dropbox, **wrong)
    assert answer.status == 400
    assert "Location" not in answer.headers


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"code_verifier": "w" * 64}, "invalid code verifier"),
        ({"redirect_uri": "http://localhost:53682/"}, "redirect_uri mismatch"),
        ({"code": "never-issued"}, "code doesn't exist or has expired"),
        ({"code": ""}, 'missing required field "code"'),
        ({"code_verifier": ""}, 'missing required field "code_verifier"'),
    ],
    ids=str,
)
def test_what_a_code_does_not_buy(dropbox, wrong, said):
    answer = click(dropbox, ask(dropbox), "allow")
    code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
    right = {"code": code, "code_verifier": VERIFIER, "redirect_uri": HERE}
    status, body = exchange(dropbox, **{**right, **wrong})
    assert status == 400
    assert body["error_description"] == said
    # A refused exchange does not use the code up.
    assert exchange(dropbox, **right)[0] == 200


def test_scope_online_and_legacy(dropbox):
    page = ask(dropbox, scope="files.metadata.read account_info.read", token_access_type="online")
    code = parse_qs(urlsplit(click(dropbox, page, "allow").headers["Location"]).query)["code"][0]
    _, tokens = exchange(dropbox, code=code, code_verifier=VERIFIER, redirect_uri=HERE)
    assert tokens["scope"] == "account_info.read files.metadata.read"
    assert "refresh_token" not in tokens
    code = parse_qs(
        urlsplit(click(dropbox, ask(dropbox, token_access_type="legacy"), "allow").headers["Location"]).query
    )
    _, tokens = exchange(dropbox, code=code["code"][0], code_verifier=VERIFIER, redirect_uri=HERE)
    assert "expires_in" not in tokens


def test_who_may_write_may_read(dropbox):
    page = ask(dropbox, scope="files.metadata.write sharing.write")
    code = parse_qs(urlsplit(click(dropbox, page, "allow").headers["Location"]).query)["code"][0]
    _, tokens = exchange(dropbox, code=code, code_verifier=VERIFIER, redirect_uri=HERE)
    assert set(tokens["scope"].split()) == {
        *("files.metadata.read", "files.metadata.write"),
        *("sharing.read", "sharing.write"),
    }


def test_the_old_names_of_the_oauth_routes_lead_to_the_same(dropbox):
    old = f"{dropbox.url}/1/oauth2"
    query = urlencode({"response_type": "code", "client_id": dropbox.app_key, "code_challenge": CHALLENGE})
    assert HTTP.request("GET", f"{old}/authorize?{query}").status == 200
    form = {"grant_type": "refresh_token", "client_id": dropbox.app_key}
    assert post_form(f"{old}/token", {**form, "refresh_token": dropbox.token()["refresh_token"]}).status == 200


def test_showing_pages_takes_nothing_from_the_one_a_person_looks_at(dropbox):
    """Another site can let a browser open any number of them: a GET changes nothing."""
    page = ask(dropbox)
    for _ in range(40):
        ask(dropbox)
    assert click(dropbox, page, "allow").status == 302


def test_a_form_that_is_not_ours_is_no_answer(dropbox):
    sealed = re.search(r'name="consent" value="([^"]+)"', ask(dropbox).data.decode())[1]
    seal, _, asked = sealed.partition(".")
    for wrong in (
        "",
        "x",
        f"{seal}.",
        f"{seal}.{asked}AAAA",
        f"é.{asked}",
        f"{seal[::-1]}.{asked}",
    ):
        answer = post_form(f"{dropbox.url}/oauth2/authorize", {"consent": wrong, "decision": "allow"})
        assert answer.status == 400
        assert "Location" not in answer.headers
    assert (
        post_form(f"{dropbox.url}/oauth2/authorize", {"consent": f"{seal}.{asked}", "decision": "allow"}).status == 302
    )


def test_an_app_that_was_changed_since_is_not_allowed_what_it_no_longer_may(dropbox):
    page = ask(dropbox)
    dropbox.control("apps", {"app_key": dropbox.app_key, "redirect_uris": []})
    assert click(dropbox, page, "allow").status == 400
