"""What the doctor says, and that it says nothing secret and changes nothing."""

import os
import secrets
import shutil
import subprocess
import sys
import time
from email.utils import formatdate

import msgspec
import pytest

from huracan_sync.auth import login_record
from huracan_sync.auth.credentials import Login, open_credentials
from huracan_sync.auth.keystore.secret_id import SecretName
from huracan_sync.auth.keystore.store import open_store
from huracan_sync.auth.scopes import Profile
from huracan_sync.auth.tokens import AccessTokens
from huracan_sync.cli import doctor_checks
from huracan_sync.errors import NotFound, Unreachable
from huracan_sync.remote.http import Answer, Endpoint, Wire
from huracan_sync.remote.rate_limit import Pacing
from huracan_sync.secret import Secret
from huracan_sync.signing.expiry import Ending

READ = ["files.metadata.read", "files.content.read"]
WRITE = "files.content.write"
HAMILTON = Profile("hamilton", read_only=True)


@pytest.fixture
def key_env(tmp_path):
    path = tmp_path / "vault key"
    path.write_bytes(secrets.token_bytes(32))
    path.chmod(0o400)
    return {"HURACAN_VAULT_KEY_FILE": str(path)}


@pytest.fixture
def logged_in(emulator, home, key_env):
    endpoint = Endpoint.from_environment({"HURACAN_SYNC_API": emulator.url})
    granted = emulator("token", scopes=[*READ, WRITE])
    login = Login(endpoint.namespace, "engine", False, granted["app_key"], granted["account_id"], (*READ, WRITE), 0)
    credentials = open_credentials(endpoint, home, key_env, Profile())
    credentials.store.put(login.refresh_token, Secret(granted["refresh_token"]))
    login_record.write(credentials.folder, login)
    return credentials, Wire(endpoint), granted


def test_credentials(logged_in, home, key_env, tmp_path):
    credentials, wire, granted = logged_in
    check = doctor_checks.check_credentials(credentials)
    assert check.verdict == "ok"
    assert check.facts == {
        "source": "vault",
        "app_key": granted["app_key"],
        "profile": "engine",
        "account_id": granted["account_id"],
    }
    nobody = doctor_checks.check_credentials(open_credentials(wire.endpoint, tmp_path / "other", key_env, Profile()))
    assert (nobody.verdict, "huracan-sync authorize" in nobody.hint) == ("bad", True)
    locked = doctor_checks.check_credentials(open_credentials(wire.endpoint, home, {}, Profile()))
    assert (locked.verdict, locked.facts["error"]) == ("bad", "NO_VAULT_KEY")
    (tmp_path / "token").write_text(granted["refresh_token"])
    (tmp_path / "token").chmod(0o400)
    env = {"HURACAN_REFRESH_TOKEN_FILE": str(tmp_path / "token"), "HURACAN_APP_KEY": "k"}
    delivered = doctor_checks.check_credentials(open_credentials(wire.endpoint, home, env, Profile()))
    assert (delivered.verdict, delivered.facts["source"]) == ("ok", str(tmp_path / "token"))


def test_no_check_shows_a_secret(logged_in, home, key_env):
    credentials, wire, granted = logged_in
    env = {**key_env, "DROPBOX_ACCESS_TOKEN": "sl.canary-canary", "HURACAN_DROPBOX_REFRESH_TOKEN": "canary-two"}
    checks = [
        doctor_checks.check_credentials(credentials),
        doctor_checks.check_keeping(credentials.store),
        doctor_checks.check_vault_key(key_env, credentials.store),
        doctor_checks.check_token(AccessTokens(credentials, wire)),
        doctor_checks.check_environment(env),
        doctor_checks.check_state_folder(home),
    ]
    said = msgspec.json.encode(checks).decode()
    assert granted["refresh_token"] not in said
    assert "canary" not in said


def test_keeping(logged_in, home, key_env):
    credentials, _, _ = logged_in
    assert doctor_checks.check_keeping(credentials.store).verdict == "ok"
    assert doctor_checks.check_keeping(open_store(home, {})).verdict == "bad"  # there is a vault, and nothing opens it
    assert doctor_checks.check_keeping(open_store(home / "x", {})).verdict == "warn"
    assert doctor_checks.check_keeping(open_store(home / "x", {}), delivered=True).verdict == "ok"
    assert doctor_checks.check_keeping(open_store(home, {}), delivered=True).verdict == "bad"


def test_vault_key_on_the_vault_s_volume(logged_in, key_env):
    credentials, _, _ = logged_in
    check = doctor_checks.check_vault_key(key_env, credentials.store)
    assert (check.verdict, "one volume" in check.says) == ("warn", True)
    assert doctor_checks.check_vault_key({}, credentials.store) is None
    gone = doctor_checks.check_vault_key({"HURACAN_VAULT_KEY_FILE": "/no/such/file"}, credentials.store)
    assert gone.verdict == "bad"


@pytest.mark.parametrize(
    ("profile", "scopes", "verdict", "lacking"),
    [
        (Profile(), [*READ, WRITE], "ok", {"quota"}),
        (Profile(), [*READ, WRITE, "account_info.read"], "ok", set()),
        (Profile(), READ, "bad", {"push", "publish", "migrate", "quota"}),
        (HAMILTON, READ, "ok", {"push", "publish", "migrate", "quota"}),
        (HAMILTON, [*READ, WRITE], "bad", {"quota"}),
        (HAMILTON, READ[:1], "bad", {"push", "publish", "migrate", "restore", "follow", "quota"}),
    ],
)
def test_scopes(profile, scopes, verdict, lacking):
    check = doctor_checks.check_scopes(profile, scopes)
    assert check.verdict == verdict
    assert {verb for verb, missing in check.facts["verbs"].items() if missing} == lacking


def test_token(logged_in, emulator):
    credentials, wire, _ = logged_in
    assert doctor_checks.check_token(AccessTokens(credentials, wire)).verdict == "ok"
    emulator("revoke")
    emulator("clock", advance_s=20000)
    (home_file,) = (p for p in credentials.folder.path.glob("access.*") if p.suffix != ".lock")
    home_file.unlink()
    check = doctor_checks.check_token(AccessTokens(credentials, wire))
    assert (check.verdict, check.facts["error"]) == ("bad", "Revoked")
    dead = Wire(Endpoint.from_environment({"HURACAN_SYNC_API": "http://127.0.0.1:9"}))
    credentials.folder.remove(home_file.name)
    lost = doctor_checks.check_token(AccessTokens(credentials, dead, pacing=Pacing(sleep=lambda _: None)))
    assert (lost.verdict, lost.facts["error"]) == ("unknown", "Unreachable")


@pytest.mark.parametrize(
    ("ahead", "verdict"), [(0, "ok"), (119, "ok"), (-119, "ok"), (125, "warn"), (-125, "warn"), (1e8, "warn")]
)
def test_threat_36_clock_skew(ahead, verdict):
    now = 1_700_000_000.0
    check = doctor_checks.check_reach(
        Endpoint(), Answer(401, {"Date": formatdate(now - ahead, usegmt=True)}, b""), now=now
    )
    assert check.verdict == verdict
    assert check.facts["clock_skew_s"] == ahead


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Foo 2026 00:00:00 GMT"])
def test_a_date_that_is_none(date):
    check = doctor_checks.check_reach(Endpoint(), Answer(401, {"Date": date}, b""), now=0.0)
    assert (check.verdict, "clock_skew_s" in check.facts) == ("ok", False)


def test_reach_of_a_running_service(emulator):
    wire = Wire(Endpoint.from_environment({"HURACAN_SYNC_API": emulator.url}))
    answer = wire.exchange(f"{emulator.url}/2/files/list_folder", headers={"Content-Type": "application/json"})
    assert doctor_checks.check_reach(wire.endpoint, answer, now=time.time()).verdict == "ok"
    assert doctor_checks.check_reach(wire.endpoint, Unreachable("gone"), now=0.0).verdict == "bad"


def test_environment():
    assert doctor_checks.check_environment({"PATH": "/bin"}).verdict == "ok"
    leftover = doctor_checks.check_environment({"DROPBOX_ACCESS_TOKEN": "sl.x", "https_proxy": "http://evil"})
    assert (leftover.verdict, leftover.facts["leftover"]) == ("warn", ["DROPBOX_ACCESS_TOKEN"])
    assert leftover.facts["ignored"] == ["https_proxy"]
    assert doctor_checks.check_environment({"HURACAN_VAULT_KEY": "x"}).verdict == "warn"
    assert (
        "set, and ignored here: DROPBOX_DOMAIN"
        in doctor_checks.check_environment({"DROPBOX_DOMAIN": ".evil.example"}).says
    )


def test_state_folder(home):
    assert (doctor_checks.check_state_folder(home).verdict, home.exists()) == ("ok", False)
    home.mkdir(mode=0o755)
    home.chmod(0o755)
    assert doctor_checks.check_state_folder(home).verdict == "warn"
    home.chmod(0o700)
    (home / "auth").mkdir(mode=0o700)
    assert doctor_checks.check_state_folder(home).verdict == "ok"
    (home / "auth").chmod(0o750)
    check = doctor_checks.check_state_folder(home)
    assert (check.verdict, check.hint) == ("bad", f"run `chmod 700 {home / 'auth'}`")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_state_folder_of_somebody_else(home):
    (home / "auth").mkdir(parents=True, mode=0o700)
    os.chown(home / "auth", 12345, 12345)
    assert doctor_checks.check_state_folder(home).verdict == "bad"


def test_root():
    assert doctor_checks.check_root(Profile(), "/Runpodhuracan", visible=True).verdict == "ok"
    assert doctor_checks.check_root(Profile(), "/Runpodhuracan", visible=False).verdict == "warn"
    hamilton = doctor_checks.check_root(HAMILTON, "/Runpodhuracan", visible=False)
    assert hamilton.verdict == "bad"
    assert "App-folder" in hamilton.hint
    assert "Full Dropbox" in hamilton.hint
    assert doctor_checks.check_root(Profile(), "", visible=NotFound("x")).verdict == "unknown"
    elsewhere = doctor_checks.check_root(
        HAMILTON, "/Runpodhuracan", visible=False, elsewhere=["/Apps/Engine/Runpodhuracan"]
    )
    assert elsewhere.verdict == "bad"
    assert "HURACAN_APP_FOLDER=/Apps/Engine/Runpodhuracan" in elsewhere.hint


def test_quota():
    assert doctor_checks.check_quota(None, None).verdict == "unknown"
    assert doctor_checks.check_quota(50, 100).verdict == "ok"
    assert doctor_checks.check_quota(99, 100).verdict == "warn"
    assert doctor_checks.check_quota(1, 0).verdict == "warn"


@pytest.mark.parametrize(("mode", "verdict"), [(0o400, "ok"), (0o600, "ok"), (0o440, "bad"), (0o604, "bad")])
def test_the_signing_key_is_judged_by_its_mode(tmp_path, mode, verdict):
    key = tmp_path / "key"
    key.write_bytes(b"x" * 32)
    key.chmod(mode)
    check = doctor_checks.check_signing_key({"HURACAN_SIGNING_KEY_FILE": str(key)})
    assert check.verdict == verdict
    assert ("chmod 400" in check.hint) is (verdict == "bad")


def test_a_signing_key_that_is_not_there():
    assert doctor_checks.check_signing_key({}) is None
    assert doctor_checks.check_signing_key({"HURACAN_SIGNING_KEY_FILE": "/nowhere/key"}).verdict == "warn"


def test_what_ends_soon_is_a_warning_and_what_ended_is_bad():
    assert doctor_checks.check_ends([]).verdict == "ok"
    soon, over = Ending("the key ends on 2027-01-20", has_ended=False), Ending("it ended", has_ended=True)
    assert doctor_checks.check_ends([soon]).verdict == "warn"
    assert "2027-01-20" in doctor_checks.check_ends([soon]).says
    assert doctor_checks.check_ends([soon, over]).verdict == "bad"


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
def test_disk_events(tmp_path):
    assert doctor_checks.check_disk_events(tmp_path).verdict == "warn"
    (tmp_path / "max_user_instances").write_text("128")
    (tmp_path / "max_user_watches").write_text("100")
    assert "fs.inotify.max_user_watches" in doctor_checks.check_disk_events(tmp_path).hint
    (tmp_path / "max_user_watches").write_text("65536")
    assert doctor_checks.check_disk_events(tmp_path).verdict == "ok"


NONE_LEFT = "echo 0 > /proc/sys/user/max_inotify_instances"
SAYS = "from huracan_sync.cli.doctor_checks import check_disk_events; c = check_disk_events(); print(c.verdict, c.says)"


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("unshare"), reason="needs unshare")
def test_disk_events_when_others_have_taken_every_instance():
    """In a user namespace, which has a limit of its own."""

    def run(script):
        words = ["unshare", "--user", "--map-root-user", "bash", "-c", script, sys.executable, SAYS]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    if run(NONE_LEFT).returncode:
        pytest.skip("no user namespace may be made here")
    assert run('"$0" -c "$1"').stdout.startswith("ok ")
    done = run(f'{NONE_LEFT}; "$0" -c "$1"')
    assert done.stdout == "warn the disk cannot be watched: Too many open files.\n", done.stderr


def test_a_damaged_vault_is_bad_and_says_what_to_do(tmp_path):
    key = tmp_path / "key"
    key.write_bytes(os.urandom(32))
    key.chmod(0o400)
    env = {"HURACAN_VAULT_KEY_FILE": str(key), "DBUS_SESSION_BUS_ADDRESS": ""}
    store = open_store(tmp_path / "home", env)
    store.vault.put(SecretName("emulator", "engine", "refresh-token"), Secret("s"))
    vault = tmp_path / "home" / "auth" / "vault"
    vault.write_bytes(vault.read_bytes()[:-1] + b"!")
    check = doctor_checks.check_keeping(open_store(tmp_path / "home", env))
    assert (check.name, check.verdict) == ("vault", "bad")
    assert "vault.1" in check.hint
