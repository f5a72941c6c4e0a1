"""Logging in and out, end to end: a person in a real browser, the consent page, the redirect, the store."""

import contextlib
import secrets
import socket
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from huracan_sync.auth import login_record, pkce
from huracan_sync.auth.login_flow import log_out
from huracan_sync.auth.scopes import Profile
from huracan_sync.errors import (
    AccountChanged,
    MissingScope,
    NoAppKey,
    NoConsent,
    NoSafePlace,
    NotAuthorized,
    PortTaken,
    ScopeWidened,
    ServiceFault,
    UsageError,
)
from tests.auth.browser import chromium
from tests.auth.login_desk import FULL, READ, Operator, answering


@pytest.fixture(scope="module")
def window():
    with chromium() as browser:
        yield browser


@contextlib.contextmanager
def somebody_at(host, port):
    """Another process's server; the test is skipped where the machine has no such address."""
    try:
        server = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError:
        pytest.skip(f"this machine has no {host}")
    with server:
        yield server


# ---- in a real browser --------------------------------------------------------------------------------------------


def test_allow(desk, window):
    def allow(url):
        window.go(url)
        assert "files.content.write" in window.text
        window.click("button[value=allow]")
        allow.page = window.read("You can close this page")

    operator = Operator(allow)
    login = desk.log_in(operator)
    assert "You can close this page" in allow.page
    assert window.url.startswith(f"http://127.0.0.1:{pkce.PORTS[0]}/?code=")
    assert (login.profile, login.app_key, login.scopes) == ("engine", desk.emulator.app_key, FULL)
    assert login.account_id.startswith("dbid:")
    (identity,) = operator.seen
    assert (identity.account_id, identity.scopes, identity.pinned) == (login.account_id, FULL, False)
    assert desk.can_write()
    assert desk.emulator.refreshes() == 1  # the code; its access token serves the first command
    assert login_record.profiles(desk.credentials().folder, desk.endpoint.namespace) == ["engine"]


@pytest.mark.long  # it is about time, and other work on the machine takes of it
def test_ready_in_under_two_seconds_beyond_the_click(desk, window):
    clicked, took = [], []

    def allow(url):
        window.go(url)
        clicked.append(time.monotonic())
        window.click("button[value=allow]")

    for _ in range(9):
        desk.log_in(Operator(allow))
        took.append(time.monotonic() - clicked[-1])
        assert desk.can_write()
        log_out(desk.credentials(), desk.wire)
    assert sorted(took)[4] < 2, took


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_threat_32_allow_where_somebody_stands_at_the_first_door(desk, window, host):
    """On either family: no browser is ever sent to a door that is not ours on both."""

    def allow(url):
        window.go(url)
        window.click("button[value=allow]")
        window.read("You can close this page")

    with somebody_at(host, pkce.PORTS[0]) as them:
        desk.log_in(Operator(allow))
        assert window.url.startswith(f"http://127.0.0.1:{pkce.PORTS[1]}/?code=")
        them.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            them.accept()
    assert desk.can_write()


def test_threat_35_a_code_begun_elsewhere_that_the_browser_brings(desk, window, emulator):
    """With the right state even: who saw our address cannot make us take a code that was not begun here."""

    def bring(url):
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        fields = {"app_key": emulator.app_key, "redirect_uri": asked["redirect_uri"], "scope": asked["scope"]}
        code = emulator("code", code_challenge="x" * 43, **fields)["code"]
        window.go(f"{asked['redirect_uri']}?code={code}&state={asked['state']}")

    with pytest.raises(NoConsent, match="invalid code verifier") as caught:
        desk.log_in(Operator(bring))
    assert caught.value.facts["reason"] == "code"
    assert desk.credentials().login is None


def test_the_page_is_closed(desk, window):
    def look_and_leave(url):
        with window.another_tab():
            window.go(url)
            assert "files.content.write" in window.text

    with pytest.raises(NoConsent, match=r"no answer came from the browser within 1 s") as caught:
        desk.log_in(Operator(look_and_leave), answer_s=1.0)
    assert caught.value.facts["reason"] == "timeout"
    assert "--no-browser" in caught.value.hint
    assert desk.credentials().login is None


def test_deny(desk, window):
    def deny(url):
        window.go(url)
        window.click("button[value=deny]")
        deny.page = window.read("no access")

    operator = Operator(deny)
    with pytest.raises(NoConsent, match="was not allowed") as caught:
        desk.log_in(operator)
    assert caught.value.facts["reason"] == "denied"
    assert "no access" in deny.page
    assert desk.credentials().login is None
    assert not (desk.home / "auth" / "vault").exists()


def test_threat_33_wrong_state_and_a_replayed_callback(desk, window):
    """Answers of others are shown a page that says so, and the right one still counts. A replay finds the door shut."""

    def click(url):
        redirect = parse_qs(urlsplit(url).query)["redirect_uri"][0]
        window.go(f"{redirect}?code=stolen&state={secrets.token_urlsafe(32)}")
        click.refused = window.text
        window.go(url)
        window.click("button[value=allow]")
        window.read("You can close this page")
        click.answer = window.url

    operator = Operator(click)
    desk.log_in(operator)
    assert "did not belong to this login" in click.refused
    with pytest.raises(AssertionError, match="ERR_CONNECTION_REFUSED"):
        window.go(click.answer)
    assert desk.can_write()


def test_paste(desk, window):
    def allow(url):
        window.go(url)
        window.click("button[value=allow]")

    operator = Operator(allow, pastes=lambda: f" {window.value('#auth-code')}\n")
    login = desk.log_in(operator, browser=False)
    assert operator.shown[0][1] is False
    assert "redirect_uri" not in operator.shown[0][0]
    assert login.scopes == FULL
    assert desk.can_write()


def test_read_only(desk, window):
    def allow(url):
        window.go(url)
        assert "files.content.write" not in window.text
        window.click("button[value=allow]")

    hamilton = Profile("hamilton", read_only=True)
    login = desk.log_in(Operator(allow), hamilton)
    assert (login.read_only, login.scopes) == (True, READ)
    assert not desk.can_write(hamilton)
    assert desk.emulator.log()["refusals"]["files/create_folder_v2"] == {"401 missing_scope": 1}


# ---- what goes wrong ----------------------------------------------------------------------------------------------


def test_threat_35_code_from_another_verifier(desk, emulator):
    """Somebody else's code, pasted to us, is refused: it was not begun here."""
    challenge = "x" * 43
    code = emulator("code", app_key=emulator.app_key, code_challenge=challenge, scope=" ".join(FULL))["code"]
    operator = Operator(lambda _: None, pastes=lambda: code)
    with pytest.raises(NoConsent, match="invalid code verifier") as caught:
        desk.log_in(operator, browser=False)
    assert caught.value.facts["reason"] == "code"
    assert desk.credentials().login is None


def test_code_that_was_used(desk, emulator):
    taken = []
    operator = Operator(lambda _: None, pastes=lambda: taken.append(1) or "never-issued")
    with pytest.raises(NoConsent, match="doesn't exist or has expired"):
        desk.log_in(operator, browser=False)
    assert taken


def test_the_registered_ports():
    """The README and the emulator name these; an app has to be registered with them."""
    assert pkce.PORTS == (53682, 53683, 53684)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_port_already_taken_on_either_family(desk, emulator, host):
    with somebody_at(host, pkce.PORTS[0]):
        with pytest.raises(PortTaken, match=str(pkce.PORTS[0])):
            desk.log_in(Operator(), port=pkce.PORTS[0])
        operator = Operator(answering(emulator))
        desk.log_in(operator)  # the next registered port serves
        assert str(pkce.PORTS[1]) in operator.shown[0][0]


def test_all_ports_taken(desk):
    with contextlib.ExitStack() as held:
        for port in pkce.PORTS:
            held.enter_context(socket.create_server(("127.0.0.1", port)))
        with pytest.raises(PortTaken) as caught:
            desk.log_in(Operator())
        assert str(pkce.PORTS[2]) in str(caught.value)


def test_no_app_key(desk):
    with pytest.raises(NoAppKey) as caught:
        desk.log_in(Operator(), app_key=None)
    assert "https://www.dropbox.com/developers/apps" in caught.value.hint
    desk.env["HURACAN_APP_KEY"] = "not an app key"
    with pytest.raises(NoAppKey, match="is no app key"):
        desk.log_in(Operator(), app_key=None)


def test_nowhere_to_keep_it_is_said_before_the_person_is_bothered(desk):
    desk.env.clear()
    operator = Operator()
    with pytest.raises(NoSafePlace):
        desk.log_in(operator)
    assert operator.shown == []


def test_an_app_the_service_does_not_know(desk):
    operator = Operator(lambda _: None, pastes=lambda: "some-code")
    with pytest.raises(NotAuthorized, match="does not know the app"):
        desk.log_in(operator, app_key="strangerstrange", browser=False)


def test_pasted_nonsense(desk):
    with pytest.raises(UsageError):
        desk.log_in(Operator(lambda _: None, pastes=lambda: "two words"), browser=False)


# ---- whose account ------------------------------------------------------------------------------------------------


def test_threat_35_not_confirmed_is_withdrawn(desk, emulator):
    with pytest.raises(NoConsent, match="was not confirmed"):
        desk.log_in(Operator(answering(emulator), confirms=False))
    assert desk.credentials().login is None
    assert desk.live_grants() == 0


def test_expect_account(desk, emulator):
    operator = Operator(answering(emulator))
    with pytest.raises(AccountChanged, match="was expected"):
        desk.log_in(operator, expect_account="dbid:SOMEBODY")
    assert desk.live_grants() == 0
    login = desk.log_in(Operator(answering(emulator)))
    operator = Operator(answering(emulator), confirms=False)
    assert desk.log_in(operator, expect_account=login.account_id).account_id == login.account_id
    assert operator.seen == []  # nobody was asked


def test_threat_35_account_is_pinned(desk, emulator):
    first = desk.log_in(Operator(answering(emulator)))
    other = emulator("account", given_name="Grace")["account_id"]
    operator = Operator(answering(emulator, account_id=other))
    with pytest.raises(AccountChanged, match=first.account_id):
        desk.log_in(operator)
    assert operator.seen == []
    assert desk.credentials().login == first
    assert desk.can_write()
    log_out(desk.credentials(), desk.wire)
    assert desk.log_in(Operator(answering(emulator, account_id=other))).account_id == other


def test_again_is_said_to_be_the_same(desk, emulator):
    desk.log_in(Operator(answering(emulator)))
    operator = Operator(answering(emulator))
    desk.log_in(operator, app_key=None)  # the app key is known from the first login
    assert operator.seen[0].pinned
    assert desk.can_write()


# ---- what was granted ---------------------------------------------------------------------------------------------


def test_hamilton_refuses_a_grant_that_can_write(desk, emulator):
    emulator("faults", route="oauth2/token", fault="scope", scope=list(FULL))
    with pytest.raises(ScopeWidened, match=r"files\.content\.write"):
        desk.log_in(Operator(answering(emulator)), Profile("hamilton", read_only=True))
    assert not (desk.home / "auth" / "vault").exists()
    assert desk.live_grants() == 0


def test_granted_less_than_needed(desk, emulator):
    emulator("faults", route="oauth2/token", fault="scope", scope=list(READ))
    with pytest.raises(MissingScope):
        desk.log_in(Operator(answering(emulator)))
    assert desk.live_grants() == 0


def test_an_online_grant_is_no_login(desk, emulator):
    operator = Operator(answering(emulator, token_access_type="online"))
    with pytest.raises(ServiceFault, match="no refresh token"):
        desk.log_in(operator)


def test_account_info_on_request(desk, emulator):
    operator = Operator(answering(emulator))
    login = desk.log_in(operator, account_info=True)
    assert "account_info.read" in login.scopes
    assert operator.seen[0].name == "Ada Emulated"  # whose account it is can be told by the name; no e-mail is shown
    assert "@" not in repr(operator.seen[0])
    assert desk.can_write()


def test_a_name_that_nobody_tells_is_no_failure(desk, emulator):
    emulator("faults", route="users/get_current_account", fault="server_error")
    operator = Operator(answering(emulator))
    desk.log_in(operator, account_info=True)
    assert operator.seen[0].name == ""
