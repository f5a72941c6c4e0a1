"""Access tokens against a running emulator: when one is renewed, by whom, and when not. (Threats 28 to 31, 34, 36.)"""

import logging
import os
import socket
import subprocess
import sys
import time

import pytest
from expecting import raises
from login_machine import Machine, status_with
from shared_fixtures import everything_below

from huracan_sync.auth import login_record, scopes, token_cache, token_endpoint
from huracan_sync.auth.connect import connect
from huracan_sync.auth.credentials import Credentials
from huracan_sync.auth.keystore.store import Store
from huracan_sync.auth.scopes import Profile
from huracan_sync.auth.tokens import AccessTokens, ShortLived, alone
from huracan_sync.emulator.spec import idents
from huracan_sync.errors import (
    CallRefused,
    MissingScope,
    NoCredentials,
    NotAuthorized,
    RateLimited,
    Revoked,
    SecretMissing,
    ServiceFault,
    Unreachable,
)
from huracan_sync.remote.client import Remote
from huracan_sync.remote.errors import verdict_of
from huracan_sync.remote.http import Answer, Endpoint, Wire
from huracan_sync.remote.rate_limit import Pacing
from huracan_sync.secret import Secret

READ = ["files.metadata.read", "files.content.read"]
WRITE = "files.content.write"
HOUR = 3600.0


@pytest.fixture
def machine(emulator, home, tmp_path):
    machine = Machine(emulator, home)
    machine.delivered(tmp_path, emulator("token", scopes=[*READ, WRITE])["refresh_token"])
    return machine


# ---- when ---------------------------------------------------------------------------------------------------------


def test_one_refresh_serves_four_hours_less_five_minutes(machine):
    tokens = machine.tokens()
    first = tokens.token()
    assert status_with(machine, first) == 200
    machine.clocks.pass_(4 * HOUR - 301)
    assert tokens.token().reveal() == first.reveal()
    machine.clocks.pass_(2)
    second = tokens.token()
    assert second.reveal() != first.reveal()
    assert machine.emulator.refreshes() == 2


def test_making_one_opens_nothing(home):
    """Neither socket nor file, nor the code that could: seen by the interpreter's own audit."""
    code = f"""
import sys
from pathlib import Path
from huracan_sync.auth.tokens import AccessTokens
from huracan_sync.auth.credentials import open_credentials
from huracan_sync.auth.scopes import Profile
from huracan_sync.remote.http import Endpoint, Wire
seen = []
sys.addaudithook(lambda event, _: seen.append(event))
AccessTokens(open_credentials(Endpoint(), Path({str(home)!r}), {{}}, Profile()), Wire(Endpoint()))
print([e for e in seen if e.startswith(("socket.", "open", "os.", "subprocess."))])
print([m for m in ("cryptography", "keyring", "secretstorage") if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "[]"]
    assert not home.exists()


def test_through_the_door_to_dropbox(machine, emulator):
    """What every verb does: a call whose token has ended is made again with another, and nobody notices."""
    remote = Remote(Wire(machine.endpoint), machine.tokens())
    remote.rpc("files/create_folder_v2", {"path": "/a"}, dict)
    emulator("clock", advance_s=5 * HOUR)  # the service ends the token; our clocks know nothing
    entries = remote.rpc("files/list_folder", {"path": ""}, dict)["entries"]
    assert [entry["name"] for entry in entries] == ["a"]
    assert emulator.refreshes() == 2
    assert emulator.log()["refusals"]["files/list_folder"] == {"401 expired_access_token": 1}
    emulator("revoke")
    with pytest.raises(NotAuthorized):
        remote.rpc("files/list_folder", {"path": ""}, dict)


def test_the_next_process_needs_no_refresh(machine):
    first = machine.tokens().token()
    assert machine.tokens().token().reveal() == first.reveal()
    assert machine.emulator.refreshes() == 1


def test_a_401_is_answered_with_one_refresh(machine):
    tokens = machine.tokens()
    first = tokens.token()
    second = tokens.renew(first)
    assert second.reveal() != first.reveal()
    assert tokens.renew(first).reveal() == second.reveal()  # a late thread with the same complaint
    assert machine.tokens().renew(first).reveal() == second.reveal()  # another process with it
    assert machine.emulator.refreshes() == 2


def test_threat_31_after_a_401_the_scope_is_sent_again(machine, emulator):
    """The bug of the official SDK up to 12.2.3: after a 401 its token could write."""
    machine.profile = Profile("hamilton", read_only=True)
    tokens = machine.tokens()
    token = tokens.renew(tokens.token())
    assert status_with(machine, token, "files/create_folder_v2", {"path": "/x"}) == 401
    assert status_with(machine, token) == 200


@pytest.mark.parametrize(("lifetime", "early"), [(14400, 300), (3600, 300), (1200, 100), (60, 5), (59, 0), (2, 0)])
def test_how_early(lifetime, early):
    assert token_cache.margin(lifetime) == early


def test_a_token_of_two_seconds_works(machine, emulator):
    emulator("config", token_lifetime_s=2)
    tokens = machine.tokens()
    first = tokens.token()
    machine.clocks.pass_(1.9)
    assert tokens.token().reveal() == first.reveal()
    machine.clocks.pass_(0.2)
    assert tokens.token().reveal() != first.reveal()


# ---- an early renewal that fails is no failure --------------------------------------------------------------------


def test_while_the_old_token_serves_a_fault_is_nothing(machine, emulator):
    tokens = machine.tokens()
    first = tokens.token()
    machine.clocks.pass_(4 * HOUR - 200)
    emulator("faults", route="oauth2/token", fault="server_error")
    for _ in range(5):
        assert tokens.token().reveal() == first.reveal()
    assert emulator.refreshes() == 2  # it was tried once, and not again for half a minute
    machine.clocks.pass_(31)
    assert tokens.token().reveal() == first.reveal()
    assert emulator.refreshes() == 3
    machine.clocks.pass_(200)
    with pytest.raises(ServiceFault):
        tokens.token()
    assert machine.slept == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0]


def test_while_the_old_token_serves_a_locked_store_is_nothing(machine, tmp_path):
    machine.env.clear()
    machine.log_in(tmp_path)
    tokens = machine.tokens()
    first = tokens.token()
    machine.clocks.pass_(4 * HOUR - 200)
    tokens._credentials = machine.credentials()
    (tmp_path / "vault key").rename(tmp_path / "away")
    assert tokens.token().reveal() == first.reveal()
    machine.clocks.pass_(201)
    with pytest.raises(SecretMissing):
        tokens.token()
    (tmp_path / "away").rename(tmp_path / "vault key")
    assert tokens.token().reveal() != first.reveal()


def test_while_another_process_refreshes_early_nobody_waits(machine):
    tokens = machine.tokens()
    first = tokens.token()
    machine.clocks.pass_(4 * HOUR - 200)
    with alone(tokens._credentials, tokens._credential, timeout=0):
        begun = time.monotonic()
        assert machine.tokens().token().reveal() == first.reveal()
        assert time.monotonic() - begun < 20


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"fault": "server_error", "status": 500, "body": "json"}, ServiceFault),
        ({"fault": "server_error", "status": 503}, ServiceFault),
        ({"fault": "captive_portal"}, ServiceFault),
        ({"fault": "reset"}, Unreachable),
        ({"fault": "reset", "when": "after"}, Unreachable),
        ({"fault": "truncate"}, Unreachable),
        ({"fault": "rate_limited", "retry_after": 3}, RateLimited),
    ],
)
def test_faults_that_pass(machine, emulator, fault, error):
    emulator("faults", route="oauth2/token", times=2, **fault)
    assert status_with(machine, machine.tokens().token()) == 200
    assert len(machine.slept) == 2
    assert fault.get("retry_after") is None or machine.slept == [3.25, 3.5]
    emulator("faults", route="oauth2/token", **fault)
    machine.clocks.pass_(5 * HOUR)
    with raises(error):
        machine.tokens().token()


def test_a_pause_too_long_is_told_at_once(machine, emulator):
    emulator("faults", route="oauth2/token", fault="rate_limited", retry_after=1000)
    with pytest.raises(RateLimited) as caught:
        machine.tokens().token()
    assert caught.value.facts["retry_after_s"] == 1000
    assert machine.slept == []


# ---- refused for good ---------------------------------------------------------------------------------------------


def test_threat_30_revoked_is_one_call_and_then_none(machine, emulator):
    tokens = machine.tokens()
    first = tokens.token()
    emulator("revoke")
    emulator("log/reset")
    for _ in range(3):
        with pytest.raises(Revoked) as caught:
            tokens.renew(first)
        with pytest.raises(Revoked):
            tokens.token()
    with pytest.raises(Revoked):
        machine.tokens().token()  # another process
    assert emulator.refreshes() == 1
    assert "huracan-sync authorize" in caught.value.hint
    assert "refresh token is invalid or revoked" in str(caught.value)


def test_a_new_login_heals_a_running_process(machine, emulator, tmp_path):
    tokens = machine.tokens()
    first = tokens.token()
    emulator("revoke")
    with pytest.raises(Revoked):
        tokens.renew(first)
    machine.delivered(tmp_path, emulator("token", scopes=[*READ, WRITE])["refresh_token"], name="token 2")
    tokens._credentials = machine.credentials()  # the platform put another file in place
    with pytest.raises(Revoked):
        tokens.token()
    machine.clocks.pass_(31)
    assert status_with(machine, tokens.token()) == 200


def test_threat_31_granted_less_names_the_scope_and_the_page(machine, emulator):
    emulator("faults", route="oauth2/token", fault="scope", scope=READ)
    tokens = machine.tokens()
    for _ in range(2):
        with pytest.raises(MissingScope) as caught:
            tokens.token()
    assert caught.value.facts["scope"] == WRITE
    assert "Permissions" in caught.value.hint
    assert emulator.refreshes() == 1


def test_threat_31_granted_more_is_refused(machine, emulator):
    machine.profile = Profile("hamilton", read_only=True)
    emulator("faults", route="oauth2/token", fault="scope", scope=[*READ, WRITE])
    tokens = machine.tokens()
    with raises("SCOPE_WIDENED", match=r"files\.content\.write"):
        tokens.token()
    assert b"HZTOKEN1" not in everything_below(machine.home)  # it was not kept


def test_a_login_that_never_had_the_scope(machine, emulator, tmp_path):
    """The service only says that not all was granted; the error says what was asked, where to enable it, and how on."""
    machine.delivered(tmp_path, emulator("token", scopes=READ)["refresh_token"], name="narrow")
    with pytest.raises(MissingScope, match=r"lacks at least one of .*files\.content\.write") as caught:
        machine.tokens().token()
    assert WRITE in caught.value.facts["scope"].split()
    assert "Permissions tab of https://www.dropbox.com/developers/apps" in caught.value.hint
    assert f"authorize --hand-over` where there is a browser, and deliver what it prints as {tmp_path / 'narrow'}" in (
        caught.value.hint
    )
    machine.profile = Profile("hamilton", read_only=True)
    assert status_with(machine, machine.tokens().token()) == 200


def test_a_stored_login_that_never_had_the_scope(machine, tmp_path):
    machine.env.clear()
    machine.log_in(tmp_path, scopes=READ)
    with pytest.raises(MissingScope, match=r"profile engine lacks files\.content\.write \(") as caught:
        machine.tokens().token()
    assert caught.value.facts["scope"] == WRITE
    assert caught.value.hint.endswith("then run `huracan-sync authorize`")


def test_an_app_nobody_knows(machine):
    machine.env["HURACAN_APP_KEY"] = "strangerstrange"
    with pytest.raises(NotAuthorized, match="does not know the app"):
        machine.tokens().token()


def test_a_request_dropbox_does_not_understand_is_our_bug(machine, emulator):
    emulator("faults", route="oauth2/token", fault="token_error", tags=["invalid_request", "something"])
    with pytest.raises(CallRefused, match="something"):
        machine.tokens().token()
    assert machine.slept == []


def test_no_answer_at_all(machine):
    machine.endpoint = Endpoint.from_environment({"HURACAN_SYNC_API": "http://127.0.0.1:9"})
    with pytest.raises(Unreachable):
        machine.tokens().token()
    assert len(machine.slept) == 4


def test_a_short_lived_token_is_used_and_not_renewed():
    source = ShortLived(Secret("sl.short"))
    assert source.token().reveal() == "sl.short"
    with pytest.raises(NotAuthorized, match="cannot be renewed"):
        source.renew(source.token())


# ---- rotation -----------------------------------------------------------------------------------------------------


def test_rotation_of_a_stored_login(machine, emulator, tmp_path):
    machine.env.clear()
    login = machine.log_in(tmp_path)
    emulator("config", rotate_refresh_tokens=True)
    store = machine.credentials().store
    seen = [store.get(login.refresh_token).reveal()]
    for _ in range(4):
        assert status_with(machine, machine.tokens().token()) == 200
        machine.clocks.pass_(4 * HOUR)
        kept = machine.credentials().store
        assert kept.get(login.refresh_token_before).reveal() == seen[-1]
        seen.append(kept.get(login.refresh_token).reveal())
    assert len(set(seen)) == 5
    emulator("config", rotate_refresh_tokens=False)
    machine.tokens().token()
    assert machine.credentials().store.get(login.refresh_token_before) is None  # the new one has worked


def test_rotation_of_a_delivered_token_is_kept_sealed(machine, emulator):
    emulator("config", rotate_refresh_tokens=True)
    for _ in range(4):
        assert status_with(machine, machine.tokens().token()) == 200
        machine.clocks.pass_(4 * HOUR)
    assert emulator.refreshes() == 4


@pytest.mark.parametrize("kind", ["stored", "delivered"])
def test_threat_29_killed_at_every_write_while_refresh_tokens_are_replaced(machine, emulator, tmp_path, kind):
    """Whatever a kill leaves of the new refresh token, the old one or the new one serves: nobody logs in anew."""
    if kind == "stored":
        machine.env.clear()
        machine.log_in(tmp_path)
    emulator("config", rotate_refresh_tokens=True)
    killed, write = 0, 0
    for after in (False, True):
        for write in range(1, 100):
            machine.clocks.pass_(4 * HOUR)
            if not _killed_at_write(machine, write, after=after):
                break
            killed += 1
            assert status_with(machine, machine.tokens().token()) == 200
    assert killed >= (8 if kind == "stored" else 2)


def _killed_at_write(machine, number, *, after):
    """Refresh in a child that is killed before or after its n-th file is in place; whether it was."""
    child = os.fork()
    if child == 0:
        rename, seen = os.rename, []

        def placed(*args, **kwargs):
            seen.append(1)
            if len(seen) == number and not after:
                os.kill(os.getpid(), 9)
            rename(*args, **kwargs)
            if len(seen) == number:
                os.kill(os.getpid(), 9)

        os.rename = placed
        try:
            machine.tokens().token()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] == 9


def test_killed_between_the_new_token_and_its_first_use(machine, emulator, tmp_path):
    """The new refresh token is on the disk before anybody has seen the access token that came with it."""
    machine.env.clear()
    login = machine.log_in(tmp_path)
    emulator("config", rotate_refresh_tokens=True)
    tokens = machine.tokens()
    child = os.fork()
    if child == 0:
        tokens._adopt = lambda _: os.kill(os.getpid(), 9)
        tokens.token()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 9
    (machine.home / "auth").joinpath(token_cache.file_name(login.namespace, machine.credentials().load())).unlink()
    assert status_with(machine, machine.tokens().token()) == 200
    assert status_with(machine, machine.tokens().token()) == 200


def test_a_new_token_that_never_works_falls_back_to_the_one_before(machine, emulator, tmp_path):
    machine.env.clear()
    login = machine.log_in(tmp_path)
    store = machine.credentials().store
    store.put(login.refresh_token_before, store.get(login.refresh_token))
    store.put(login.refresh_token, Secret("a-refresh-token-the-service-forgot"))
    assert status_with(machine, machine.tokens().token()) == 200
    assert emulator.refreshes() == 2
    machine.clocks.pass_(4 * HOUR)
    assert status_with(machine, machine.tokens().token()) == 200
    assert emulator.refreshes() == 3


# ---- the shared token is a cache ----------------------------------------------------------------------------------


def shared_file(machine):
    (path,) = (p for p in (machine.home / "auth").glob("access.*") if p.suffix != ".lock")
    return path


@pytest.mark.parametrize("content", [b"", b"HZTOKEN1", b"HZTOKEN1" + b"\0" * 200, b"{}", None])
def test_a_damaged_shared_token_is_ignored(machine, content):
    machine.tokens().token()
    path = shared_file(machine)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]) if content is None else content)
    assert status_with(machine, machine.tokens().token()) == 200
    assert machine.emulator.refreshes() == 2
    assert machine.tokens().token()
    assert machine.emulator.refreshes() == 2  # it was written anew


def test_a_foreign_shared_token_is_ignored(machine, emulator, tmp_path):
    """One sealed under another login's refresh token, put in our place, is not used."""
    other = Machine(emulator, tmp_path / "other home")
    other.delivered(tmp_path, emulator("token", scopes=[*READ, WRITE])["refresh_token"], name="other token")
    foreign = other.tokens().token()
    ours = machine.tokens().token()
    shared_file(machine).write_bytes(shared_file(other).read_bytes())
    assert machine.tokens().token().reveal() not in {foreign.reveal(), ours.reveal()}


def test_the_shared_token_cannot_be_renamed_to_another_scope_set(machine):
    machine.tokens().token()
    path = shared_file(machine)
    credential = machine.credentials().load()
    assert token_cache.unseal(path.read_bytes(), credential.refresh_token, path.name).token is not None
    assert token_cache.unseal(path.read_bytes(), credential.refresh_token, "access.other") == token_cache.State()


def test_a_shared_token_others_can_read_is_ignored(machine, caplog):
    machine.tokens().token()
    shared_file(machine).chmod(0o644)
    machine.tokens().token()
    assert machine.emulator.refreshes() == 2
    assert "is ignored" in caplog.text


def test_no_token_lies_on_the_disk_in_clear(machine, emulator, tmp_path):
    refresh_token = (tmp_path / "token").read_text().strip()
    token = machine.tokens().token()
    written = everything_below(machine.home)
    assert token.reveal().encode() not in written
    assert refresh_token.encode() not in written


def test_a_disk_that_cannot_be_written_is_no_failure(machine, home):
    home.parent.joinpath("home").touch()  # a file where the state folder should be
    tokens = machine.tokens()
    first = tokens.token()
    assert status_with(machine, first) == 200
    assert tokens.token().reveal() == first.reveal()


def test_a_volume_where_everything_is_everybody_s(machine, emulator, home, caplog):
    """Some network volumes know no rights. A delivered token works there; nothing is written or believed."""
    (home / "auth").mkdir(parents=True)
    (home / "auth").chmod(0o777)
    caplog.set_level(logging.INFO)
    for _ in range(2):
        assert status_with(machine, machine.tokens().token()) == 200
    assert emulator.refreshes() == 2  # each process for itself
    assert list((home / "auth").iterdir()) == []
    assert "is not shared with other processes" in caplog.text


# ---- clocks -------------------------------------------------------------------------------------------------------


@pytest.mark.every_case
@pytest.mark.parametrize("step", [-10 * 365 * 24 * HOUR, -5 * HOUR, -60, 60, 5 * HOUR, 10 * 365 * 24 * HOUR])
def test_threat_36_steps_of_the_wall_clock_change_nothing(machine, step):
    tokens = machine.tokens()
    first = tokens.token()
    machine.clocks.wall += step
    assert tokens.token().reveal() == first.reveal()
    assert machine.tokens().token().reveal() == first.reveal()  # another process
    machine.clocks.pass_(4 * HOUR - 301)
    assert tokens.token().reveal() == first.reveal()
    machine.clocks.pass_(2)
    assert tokens.token().reveal() != first.reveal()
    assert machine.emulator.refreshes() == 2


@pytest.mark.parametrize(("step", "refreshes"), [(-5 * HOUR, 2), (600, 1), (5 * HOUR, 2)])
def test_after_a_boot_the_wall_clock_is_asked(machine, step, refreshes):
    machine.tokens().token()
    machine.clocks.boot_id, machine.clocks.since_boot = "boot-2", 5.0
    machine.clocks.wall += step
    assert status_with(machine, machine.tokens().token()) == 200
    assert machine.emulator.refreshes() == refreshes


def test_threat_36_a_clock_set_back_over_a_boot_is_mended_by_the_401(machine, emulator):
    """Nobody can know that the token is old; the service says so, and one refresh is enough."""
    first = machine.tokens().token()
    emulator("clock", advance_s=5 * HOUR)
    machine.clocks.boot_id, machine.clocks.since_boot = "boot-2", 5.0
    machine.clocks.wall += 60
    tokens = machine.tokens()
    assert tokens.token().reveal() == first.reveal()
    assert status_with(machine, first) == 401
    assert status_with(machine, tokens.renew(first)) == 200
    assert machine.emulator.refreshes() == 2


# ---- where the credential comes from ------------------------------------------------------------------------------


def test_the_order_of_sources(machine, emulator, tmp_path):
    login = machine.log_in(tmp_path)
    tokens = {name: emulator("token", scopes=[*READ, WRITE])["refresh_token"] for name in ("fd", "systemd", "env")}
    (tmp_path / "huracan-refresh-token").write_text(tokens["systemd"])
    (tmp_path / "huracan-refresh-token").chmod(0o400)
    machine.env |= {"CREDENTIALS_DIRECTORY": str(tmp_path), "HURACAN_DROPBOX_REFRESH_TOKEN": tokens["env"]}

    def load(**changes):
        credentials = machine.credentials()
        return Credentials(credentials.profile, credentials.namespace, credentials.store, machine.env, **changes).load()

    reader, writer = os.pipe()
    os.write(writer, tokens["fd"].encode() + b"\n")
    os.close(writer)
    by_fd = Credentials(
        Profile(), machine.endpoint.namespace, machine.credentials().store, machine.env, token_fd=reader
    )
    assert by_fd.load().refresh_token.reveal() == tokens["fd"]
    assert by_fd.load().refresh_token.reveal() == tokens["fd"]  # read once, kept for the process
    assert load().refresh_token.reveal() == (tmp_path / "token").read_text().strip()
    del machine.env["HURACAN_REFRESH_TOKEN_FILE"]
    assert load().refresh_token.reveal() == tokens["systemd"]
    del machine.env["CREDENTIALS_DIRECTORY"]
    assert (load().source, load().login) == ("vault", login)
    login_record.remove(machine.credentials().folder, login.namespace, login.profile)
    assert load().refresh_token.reveal() == tokens["env"]
    del machine.env["HURACAN_DROPBOX_REFRESH_TOKEN"]
    with pytest.raises(NoCredentials) as caught:
        load()
    assert "huracan-sync authorize" in caught.value.hint


def test_the_environment_comes_with_a_warning(machine, emulator, caplog):
    token = emulator("token", scopes=[*READ, WRITE])["refresh_token"]
    machine.env = {"HURACAN_DROPBOX_REFRESH_TOKEN": token, "HURACAN_APP_KEY": emulator.app_key}
    assert status_with(machine, machine.tokens().token()) == 200
    assert "readable by every process" in caplog.text
    assert token not in caplog.text


@pytest.mark.parametrize(
    "content", ["", "\n", "two tokens", "tökén", "sl.u.short-lived", '{"refresh_token": "x"}', "x" * 5000]
)
def test_a_delivered_file_that_holds_no_token(machine, tmp_path, content):
    path = tmp_path / "other"
    path.write_text(content)
    path.chmod(0o400)
    machine.env["HURACAN_REFRESH_TOKEN_FILE"] = str(path)
    with pytest.raises(SecretMissing) as caught:
        machine.tokens().token()
    assert not content.strip() or content not in str(caught.value)


def test_a_delivered_file_that_is_not_there_is_not_passed_over(machine, tmp_path, emulator):
    machine.log_in(tmp_path)
    machine.env["HURACAN_REFRESH_TOKEN_FILE"] = str(tmp_path / "missing")
    with pytest.raises(SecretMissing, match="HURACAN_REFRESH_TOKEN_FILE"):
        machine.tokens().token()


def test_a_delivered_token_without_its_app(machine):
    del machine.env["HURACAN_APP_KEY"]
    with raises("NO_APP_KEY") as caught:
        machine.tokens().token()
    assert "https://www.dropbox.com/developers/apps" in caught.value.hint


@pytest.mark.every_case
@pytest.mark.parametrize("token", ["a-real-refresh-token", "sl.u.AFq3_x", "Emulator-xxxxxxx", "x-emulator-xxxxx"])
def test_threat_34_a_real_token_is_never_sent_to_an_emulator(machine, tmp_path, token):
    """An emulator's tokens say what they are; every other is refused before a byte is sent, whatever came before."""
    machine.delivered(tmp_path, token, name="real") if not token.startswith("sl.") else None
    env = {"HURACAN_SYNC_API": machine.endpoint.api, "HURACAN_SYNC_HOME": str(tmp_path / "state")}
    with raises("BOUND_ELSEWHERE", match="belongs to Dropbox"):
        connect(env=env, access_token=Secret(token))
    if not token.startswith("sl."):
        with raises("BOUND_ELSEWHERE", match="belongs to Dropbox"):
            machine.tokens().token()
    assert machine.emulator.refreshes() == 0


def test_another_local_server_may_have_tokens_of_its_own(machine, tmp_path):
    """Too short for Dropbox: a test's or a benchmark's. It may reach a local server, and does reach this one."""
    machine.delivered(tmp_path, "refresh-bench", name="bench")
    with pytest.raises(NotAuthorized):
        machine.tokens().token()
    assert machine.emulator.refreshes() >= 1


def test_an_emulator_s_token_serves_at_its_next_port(machine, home):
    machine.tokens().token()
    moved = Credentials(machine.profile, "emulator:127.0.0.1:1", Store(home / "auth", machine.env), machine.env)
    assert moved.load().app_key == machine.emulator.app_key


def test_an_emulator_s_token_is_never_sent_to_dropbox(machine, home):
    real = Credentials(machine.profile, "dropbox", Store(home / "auth", machine.env), machine.env)
    with raises("BOUND_ELSEWHERE", match="belongs to an emulator"):
        real.load()


def test_our_words_for_an_emulator_s_tokens_are_its_own():
    assert set(scopes.EMULATOR_TOKENS) == {idents.ACCESS_TOKEN_PREFIX, idents.REFRESH_TOKEN_PREFIX}


@pytest.fixture
def hostile_environment(monkeypatch, tmp_path):
    """A proxy, a netrc, a CA bundle and another domain, each of which would carry a token elsewhere; who was called."""
    called = []
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.1)
        proxy = f"http://127.0.0.1:{trap.getsockname()[1]}"
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
            monkeypatch.setenv(name.lower(), proxy)
        monkeypatch.setenv("NO_PROXY", "")
        (tmp_path / ".netrc").write_text("default login somebody password else\n")
        (tmp_path / ".netrc").chmod(0o600)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        for name in ("DROPBOX_DOMAIN", "DROPBOX_API_HOST", "DROPBOX_API_CONTENT_HOST", "DROPBOX_WEB_HOST"):
            monkeypatch.setenv(name, ".evil.example")
        yield called
        with pytest.raises(TimeoutError):
            trap.accept()  # nobody came to the proxy


def test_threat_37_env_tampering_changes_nothing(machine, hostile_environment):
    assert status_with(machine, machine.tokens().token()) == 200


def test_threat_34_a_real_token_goes_to_dropbox_alone(home, tmp_path, hostile_environment, monkeypatch):
    """With all DROPBOX_*, proxy and netrc variables set, the only name that is looked up is Dropbox's."""
    asked = []

    def look_up(host, *_, **__):
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    (tmp_path / "token").write_text("a-real-refresh-token")
    (tmp_path / "token").chmod(0o400)
    env = {"HURACAN_REFRESH_TOKEN_FILE": str(tmp_path / "token"), "HURACAN_APP_KEY": "realappkey00000"}
    endpoint = Endpoint.from_environment({**os.environ, **env})
    credentials = Credentials(Profile(), endpoint.namespace, Store(home / "auth", env), env)
    with pytest.raises(Unreachable):
        AccessTokens(credentials, Wire(endpoint), pacing=Pacing(sleep=lambda _: None)).token()
    assert set(asked) == {"api.dropboxapi.com"}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_the_pause_that_the_token_route_asks_for_is_known_whatever_its_status(status):
    answer = Answer(status, {"Retry-After": "60"}, b"<html>later</html>")
    with pytest.raises((RateLimited, ServiceFault)) as caught:
        token_endpoint.read_answer(answer, refreshing=True)
    assert verdict_of(caught.value).after_s == 60.0
