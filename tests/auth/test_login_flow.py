"""Logging in and out, end to end: a person in a real browser, the consent page, the redirect, the store."""

import contextlib
import secrets
import socket
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from browser import chromium, needs_chromium
from expecting import raises
from login_people import FULL, READ, Operator, answering

from huracan_sync.auth import login_record, pkce
from huracan_sync.auth.login_flow import log_out
from huracan_sync.auth.scopes import Profile
from huracan_sync.errors import LocalFailure, MissingScope, NotAuthorized, ServiceFault, UsageError


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


@needs_chromium
def test_allow(reporter, window):
    def allow(url):
        window.go(url)
        assert "files.content.write" in window.text
        window.click("button[value=allow]")
        allow.page = window.read("You can close this page")

    operator = Operator(allow)
    login = reporter.log_in(operator)
    assert "You can close this page" in allow.page
    assert window.url.startswith(f"http://127.0.0.1:{pkce.PORTS[0]}/?code=")
    assert (login.profile, login.app_key, login.scopes) == ("engine", reporter.emulator.app_key, FULL)
    assert login.account_id.startswith("dbid:")
    (identity,) = operator.seen
    assert (identity.account_id, identity.scopes, identity.pinned) == (login.account_id, FULL, False)
    assert reporter.can_write()
    assert reporter.emulator.refreshes() == 1  # the code; its access token serves the first command
    assert login_record.profiles(reporter.credentials().folder, reporter.endpoint.namespace) == ["engine"]


@needs_chromium
@pytest.mark.long  # it is about time, and other work on the machine takes of it
def test_ready_in_under_two_seconds_beyond_the_click(reporter, window):
    clicked, took = [], []

    def allow(url):
        window.go(url)
        clicked.append(time.monotonic())
        window.click("button[value=allow]")

    for _ in range(9):
        reporter.log_in(Operator(allow))
        took.append(time.monotonic() - clicked[-1])
        assert reporter.can_write()
        log_out(reporter.credentials(), reporter.wire)
    assert sorted(took)[4] < 2, took


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_threat_32_allow_where_somebody_stands_at_the_first_door(reporter, window, host):
    """On either family: no browser is ever sent to a door that is not ours on both."""

    def allow(url):
        window.go(url)
        window.click("button[value=allow]")
        window.read("You can close this page")

    with somebody_at(host, pkce.PORTS[0]) as them:
        reporter.log_in(Operator(allow))
        assert window.url.startswith(f"http://127.0.0.1:{pkce.PORTS[1]}/?code=")
        them.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            them.accept()
    assert reporter.can_write()


@needs_chromium
def test_threat_35_a_code_begun_elsewhere_that_the_browser_brings(reporter, window, emulator):
    """With the right state even: who saw our address cannot make us take a code that was not begun here."""

    def bring(url):
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        fields = {"app_key": emulator.app_key, "redirect_uri": asked["redirect_uri"], "scope": asked["scope"]}
        code = emulator("code", code_challenge="x" * 43, **fields)["code"]
        window.go(f"{asked['redirect_uri']}?code={code}&state={asked['state']}")

    with raises("NO_CONSENT", match="invalid code verifier") as caught:
        reporter.log_in(Operator(bring))
    assert caught.value.facts["reason"] == "code"
    assert reporter.credentials().login is None


@pytest.mark.slow
@needs_chromium
def test_the_page_is_closed(reporter, window):
    def look_and_leave(url):
        with window.another_tab():
            window.go(url)
            assert "files.content.write" in window.text

    with raises("NO_CONSENT", match=r"no answer came from the browser within 1 s") as caught:
        reporter.log_in(Operator(look_and_leave), answer_s=1.0)
    assert caught.value.facts["reason"] == "timeout"
    assert "--no-browser" in caught.value.hint
    assert reporter.credentials().login is None


@needs_chromium
def test_deny(reporter, window):
    def deny(url):
        window.go(url)
        window.click("button[value=deny]")
        deny.page = window.read("no access")

    operator = Operator(deny)
    with raises("NO_CONSENT", match="was not allowed") as caught:
        reporter.log_in(operator)
    assert caught.value.facts["reason"] == "denied"
    assert "no access" in deny.page
    assert reporter.credentials().login is None
    assert not (reporter.home / "auth" / "vault").exists()


@needs_chromium
def test_threat_33_wrong_state_and_a_replayed_callback(reporter, window):
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
    reporter.log_in(operator)
    assert "did not belong to this login" in click.refused
    with pytest.raises(AssertionError, match="ERR_CONNECTION_REFUSED"):
        window.go(click.answer)
    assert reporter.can_write()


@pytest.mark.slow
@needs_chromium
def test_paste(reporter, window):
    def allow(url):
        window.go(url)
        window.click("button[value=allow]")

    operator = Operator(allow, pastes=lambda: f" {window.value('#auth-code')}\n")
    login = reporter.log_in(operator, browser=False)
    assert operator.shown[0][1] is False
    assert "redirect_uri" not in operator.shown[0][0]
    assert login.scopes == FULL
    assert reporter.can_write()


@pytest.mark.slow
@needs_chromium
def test_read_only(reporter, window):
    def allow(url):
        window.go(url)
        assert "files.content.write" not in window.text
        window.click("button[value=allow]")

    hamilton = Profile("hamilton", read_only=True)
    login = reporter.log_in(Operator(allow), hamilton)
    assert (login.read_only, login.scopes) == (True, READ)
    assert not reporter.can_write(hamilton)
    assert reporter.emulator.log()["refusals"]["files/create_folder_v2"] == {"401 missing_scope": 1}


# ---- what goes wrong ----------------------------------------------------------------------------------------------


def test_threat_35_code_from_another_verifier(reporter, emulator):
    """Somebody else's code, pasted to us, is refused: it was not begun here."""
    challenge = "x" * 43
    code = emulator("code", app_key=emulator.app_key, code_challenge=challenge, scope=" ".join(FULL))["code"]
    operator = Operator(lambda _: None, pastes=lambda: code)
    with raises("NO_CONSENT", match="invalid code verifier") as caught:
        reporter.log_in(operator, browser=False)
    assert caught.value.facts["reason"] == "code"
    assert reporter.credentials().login is None


@pytest.mark.parametrize("pasted", ["x" * 43, "sl.u." + "x" * 60, "Emulator-" + "x" * 34])
def test_threat_34_a_code_of_dropbox_is_never_sent_to_an_emulator(reporter, pasted):
    """With it would go the proof that it is ours: whoever listens there could log in as the person."""
    with raises("BOUND_ELSEWHERE", match="this code belongs to Dropbox"):
        reporter.log_in(Operator(lambda _: None, pastes=lambda: pasted), browser=False)
    assert reporter.emulator.refreshes() == 0
    assert reporter.credentials().login is None


def test_code_that_was_used(reporter, emulator):
    taken = []
    operator = Operator(lambda _: None, pastes=lambda: taken.append(1) or "never-issued")
    with raises("NO_CONSENT", match="doesn't exist or has expired"):
        reporter.log_in(operator, browser=False)
    assert taken


def test_the_registered_ports():
    """The README and the emulator name these; an app has to be registered with them."""
    assert pkce.PORTS == (53682, 53683, 53684)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_port_already_taken_on_either_family(reporter, emulator, host):
    with somebody_at(host, pkce.PORTS[0]):
        with raises("PORT_TAKEN", match=str(pkce.PORTS[0])):
            reporter.log_in(Operator(), port=pkce.PORTS[0])
        operator = Operator(answering(emulator))
        reporter.log_in(operator)  # the next registered port serves
        assert str(pkce.PORTS[1]) in operator.shown[0][0]


def test_all_ports_taken(reporter):
    with contextlib.ExitStack() as held:
        for port in pkce.PORTS:
            held.enter_context(socket.create_server(("127.0.0.1", port)))
        with raises("PORT_TAKEN") as caught:
            reporter.log_in(Operator())
        assert str(pkce.PORTS[2]) in str(caught.value)


def test_no_app_key(reporter):
    with raises("NO_APP_KEY") as caught:
        reporter.log_in(Operator(), app_key=None)
    assert "https://www.dropbox.com/developers/apps" in caught.value.hint
    reporter.env["HURACAN_APP_KEY"] = "not an app key"
    with raises("NO_APP_KEY", match="is no app key"):
        reporter.log_in(Operator(), app_key=None)


def test_nowhere_to_keep_it_is_said_before_the_person_is_bothered(reporter):
    reporter.env.clear()
    operator = Operator()
    with raises("NO_SAFE_PLACE"):
        reporter.log_in(operator)
    assert operator.shown == []


def test_a_state_folder_that_cannot_be_written_is_said_before_the_person_is_bothered(reporter):
    folder = reporter.credentials().folder.path
    (folder / login_record.LOCK).mkdir(parents=True)
    folder.chmod(0o700)
    operator = Operator()
    with pytest.raises(LocalFailure, match="no login can be kept") as caught:
        reporter.log_in(operator)
    assert (operator.shown, "HURACAN_SYNC_HOME" in caught.value.hint) == ([], True)


def test_an_app_the_service_does_not_know(reporter):
    operator = Operator(lambda _: None, pastes=lambda: "some-code")
    with pytest.raises(NotAuthorized, match="does not know the app"):
        reporter.log_in(operator, app_key="strangerstrange", browser=False)


def test_pasted_nonsense(reporter):
    with pytest.raises(UsageError):
        reporter.log_in(Operator(lambda _: None, pastes=lambda: "two words"), browser=False)


# ---- whose account ------------------------------------------------------------------------------------------------


def test_threat_35_not_confirmed_is_withdrawn(reporter, emulator):
    with raises("NO_CONSENT", match="was not confirmed"):
        reporter.log_in(Operator(answering(emulator), confirms=False))
    assert reporter.credentials().login is None
    assert reporter.live_grants() == 0


def test_expect_account(reporter, emulator):
    operator = Operator(answering(emulator))
    with raises("ACCOUNT_CHANGED", match="was expected"):
        reporter.log_in(operator, expect_account="dbid:SOMEBODY")
    assert reporter.live_grants() == 0
    login = reporter.log_in(Operator(answering(emulator)))
    operator = Operator(answering(emulator), confirms=False)
    assert reporter.log_in(operator, expect_account=login.account_id).account_id == login.account_id
    assert operator.seen == []  # nobody was asked


def test_threat_35_account_is_pinned(reporter, emulator):
    first = reporter.log_in(Operator(answering(emulator)))
    other = emulator("account", given_name="Grace")["account_id"]
    operator = Operator(answering(emulator, account_id=other))
    with raises("ACCOUNT_CHANGED", match=first.account_id):
        reporter.log_in(operator)
    assert operator.seen == []
    assert reporter.credentials().login == first
    assert reporter.can_write()
    log_out(reporter.credentials(), reporter.wire)
    assert reporter.log_in(Operator(answering(emulator, account_id=other))).account_id == other


def test_again_is_said_to_be_the_same(reporter, emulator):
    reporter.log_in(Operator(answering(emulator)))
    operator = Operator(answering(emulator))
    reporter.log_in(operator, app_key=None)  # the app key is known from the first login
    assert operator.seen[0].pinned
    assert reporter.can_write()


# ---- what was granted ---------------------------------------------------------------------------------------------


def test_hamilton_refuses_a_grant_that_can_write(reporter, emulator):
    emulator("faults", route="oauth2/token", fault="scope", scope=list(FULL))
    with raises("SCOPE_WIDENED", match=r"files\.content\.write"):
        reporter.log_in(Operator(answering(emulator)), Profile("hamilton", read_only=True))
    assert not (reporter.home / "auth" / "vault").exists()
    assert reporter.live_grants() == 0


def test_granted_less_than_needed(reporter, emulator):
    emulator("faults", route="oauth2/token", fault="scope", scope=list(READ))
    with pytest.raises(MissingScope):
        reporter.log_in(Operator(answering(emulator)))
    assert reporter.live_grants() == 0


def test_an_online_grant_is_no_login(reporter, emulator):
    operator = Operator(answering(emulator, token_access_type="online"))
    with pytest.raises(ServiceFault, match="no refresh token"):
        reporter.log_in(operator)


def test_account_info_on_request(reporter, emulator):
    operator = Operator(answering(emulator))
    login = reporter.log_in(operator, account_info=True)
    assert "account_info.read" in login.scopes
    assert operator.seen[0].name == "Ada Emulated"  # whose account it is can be told by the name; no e-mail is shown
    assert "@" not in repr(operator.seen[0])
    assert reporter.can_write()


def test_a_name_that_nobody_tells_is_no_failure(reporter, emulator):
    emulator("faults", route="users/get_current_account", fault="server_error")
    operator = Operator(answering(emulator))
    reporter.log_in(operator, account_info=True)
    assert operator.seen[0].name == ""
