"""`doctor` as a person runs it: one screen that says what is wrong and what to do, and changes nothing in Dropbox."""

import json

import pytest
from terminal import CLICKS_ALLOW, Bare

from huracan_sync.auth.pkce import redirect_uri

READS_ONLY = {"check/user", "files/get_metadata", "files/list_folder", "users/get_space_usage",
              "users/get_current_account", "oauth2/token"}  # fmt: skip
READ = ["files.metadata.read", "files.content.read"]
ENGINE = [*READ, "files.content.write"]


@pytest.fixture
def machine(dropbox, tmp_path):
    bare = Bare(dropbox, tmp_path)
    bare.with_vault_key(tmp_path)
    bare.env["BROWSER"] = CLICKS_ALLOW
    return bare


def log_in(machine, *options, app_key=None):
    account = machine.dropbox.account_id
    code, _, err = machine.run(
        "authorize", "--app-key", app_key or machine.dropbox.app_key, "--expect-account", account, *options
    )
    assert code == 0, err


def deliver(machine, scopes, folder):
    """A refresh token as a mounted file."""
    token = machine.dropbox.token(scopes)["refresh_token"]
    path = folder / "delivered"
    path.touch(mode=0o600)
    path.write_text(token)
    path.chmod(0o400)
    machine.env |= {"HURACAN_REFRESH_TOKEN_FILE": str(path), "HURACAN_APP_KEY": machine.dropbox.app_key}
    return token


def look(machine, *options, **env):
    """Exit code, the verdict of every check, and the checks by name. The log shows that nothing was written."""
    machine.dropbox.control("log/reset", {})
    code, out, err = machine.run("doctor", "--json", *options, **env)
    assert set(machine.dropbox.log()["requests"]) <= READS_ONLY
    checks = {check["name"]: check for check in json.loads(out)["checks"]}
    assert err == ""
    assert json.loads(out)["healthy"] is (code == 0)
    return code, {name: check["verdict"] for name, check in checks.items()}, checks


def test_all_is_well_on_one_screen(machine):
    log_in(machine, "--account-info")
    machine.dropbox.control("account", {"account_id": machine.dropbox.account_id, "quota_bytes": 2**30})
    code, verdicts, checks = look(machine)
    assert code == 0
    assert verdicts == {
        "credentials": "ok",
        "keyring": "ok",
        "vault key": "warn",  # the test keeps both on one disk
        "environment": "ok",
        "state folder": "ok",
        "network": "ok",
        "login": "ok",
        "scopes": "ok",
        "root folder": "warn",  # nothing was pushed yet
        "quota": "ok",
        "lifetimes": "ok",
        "disk events": "ok",
    }
    assert checks["credentials"]["facts"]["account_id"] == machine.dropbox.account_id
    assert checks["scopes"]["facts"]["verbs"]["push"] == []
    assert "Ada Emulated" in checks["login"]["says"]
    assert "no proxy" in checks["network"]["says"]
    code, screen = machine.at_terminal("doctor")
    assert code == 0
    assert len(screen.splitlines()) <= 24
    assert max(map(len, screen.splitlines())) <= 120
    assert "@" not in screen  # no e-mail


def test_nobody_is_logged_in(machine):
    code, verdicts, checks = look(machine)
    assert (code, verdicts["credentials"], "login" in verdicts) == (1, "bad", False)
    assert checks["credentials"]["hint"] == "run `huracan-sync authorize`"
    assert not machine.home.exists()


def test_revoked(machine):
    log_in(machine)
    machine.dropbox.control("revoke", {})
    path = next((machine.home / "auth").glob("access.*[0-9a-f]"))
    path.unlink()  # the access token of the last hour would still have served
    code, verdicts, checks = look(machine)
    assert (code, verdicts["login"], checks["login"]["hint"]) == (1, "bad", "run `huracan-sync authorize`")


def test_no_network(machine):
    log_in(machine)
    code, verdicts, _ = look(machine, HURACAN_SYNC_API="http://127.0.0.1:9")
    assert (code, verdicts["network"], "login" in verdicts) == (1, "bad", False)


def test_secrets_that_should_not_be_there_are_named_and_not_shown(machine, tmp_path):
    token = deliver(machine, ENGINE, tmp_path)
    (tmp_path / "delivered").chmod(0o444)
    left = {"DROPBOX_ACCESS_TOKEN": "sl." + "canary" * 8, "HTTPS_PROXY": "http://somebody:" + "else@127.0.0.1:9"}
    code, out, err = machine.run("doctor", "--debug", **left)
    assert code == 0
    said = " ".join(out.split())  # however it is wrapped
    assert "DROPBOX_ACCESS_TOKEN is still set" in said
    assert "others may read" in said
    assert "kept in memory only" in said
    assert not any(secret in out + err for secret in (token, left["DROPBOX_ACCESS_TOKEN"], "somebody"))
    assert "HTTPS_PROXY" in json.dumps(look(machine, **left)[2]["environment"])


# ---- Hamilton's login ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scopes", "verdict"), [(READ, "ok"), (ENGINE, "bad")])
def test_a_reader_that_was_given_an_engine_s_token(machine, tmp_path, scopes, verdict):
    """It reads with fewer scopes, but who steals the file can ask for all: so it is said."""
    deliver(machine, scopes, tmp_path)
    code, verdicts, checks = look(machine, "--profile", "hamilton")
    assert verdicts["reader"] == verdict
    assert checks["reader"]["facts"]["could_write"] is (verdict == "bad")
    if verdict == "bad":
        assert "authorize --read-only --hand-over" in checks["reader"]["hint"]
    assert code == 1  # the root is not there either


def test_asking_whether_a_token_could_write_keeps_the_login_when_tokens_are_replaced(machine, tmp_path):
    deliver(machine, ENGINE, tmp_path)
    machine.dropbox.config(rotate_refresh_tokens=True)
    for _ in range(3):
        assert look(machine, "--profile", "hamilton")[1]["reader"] == "bad"
        machine.dropbox.advance(5 * 3600)
        code, out, err = machine.run("token", "--profile", "hamilton")
        assert (code, out[:3]) == (0, "sl."), err


def engine_in_an_app_folder(machine):
    """What an engine with an App-folder app makes of its root."""
    dropbox = machine.dropbox
    fields = {"app_key": "engineapp", "name": "The Engine", "app_folder": True}
    dropbox.control("apps", {**fields, "redirect_uris": [redirect_uri(machine.port)]})
    log_in(machine, app_key="engineapp")
    source = machine.home.parent / "src"
    source.mkdir()
    (source / "x").write_bytes(b"x")
    assert machine.run("push", source, "/Runpodhuracan/data")[0] == 0


@pytest.mark.slow
def test_hamilton_sees_the_whole_dropbox_and_the_engine_its_folder(machine):
    engine_in_an_app_folder(machine)
    log_in(machine, "--read-only", app_key=machine.dropbox.read_only_app_key)
    code, verdicts, checks = look(machine, "--profile", "hamilton")
    root = checks["root folder"]
    assert (code, verdicts["root folder"]) == (1, "bad")
    assert root["facts"]["elsewhere"] == ["/Apps/The Engine/Runpodhuracan"]
    assert "set HURACAN_APP_FOLDER='/Apps/The Engine/Runpodhuracan' here" in root["hint"]
    found = {"HURACAN_APP_FOLDER": "/Apps/The Engine/Runpodhuracan"}  # what the hint says
    assert look(machine, "--profile", "hamilton", **found)[1]["root folder"] == "ok"


@pytest.mark.slow
def test_hamilton_sees_a_folder_of_his_own_alone(machine):
    engine_in_an_app_folder(machine)
    fields = {"app_key": "hamiltonapp", "name": "Hamilton", "app_folder": True, "scopes": READ}
    machine.dropbox.control("apps", {**fields, "redirect_uris": [redirect_uri(machine.port)]})
    log_in(machine, "--read-only", app_key="hamiltonapp")
    code, verdicts, checks = look(machine, "--profile", "hamilton")
    assert (code, verdicts["root folder"]) == (1, "bad")
    assert "an App-folder app sees only Apps/<its name>" in checks["root folder"]["hint"]
    log_in(machine, "--read-only", "--profile", "reader", app_key="engineapp")  # what the hint says
    assert look(machine, "--profile", "reader")[1]["root folder"] == "ok"


# ---- a source tree ------------------------------------------------------------------------------------------------


def test_scan_names_places_and_kinds_and_asks_nobody(machine, tmp_path):
    tree, token = tmp_path / "engine", "sl." + "u.AFq3_x-9Zk" * 10
    tree.mkdir()
    (tree / "settings.py").write_text(f'a = 1\naccess_token = "{token}"\n')
    code, out, err = machine.run("doctor", "--scan", tree)
    assert (code, err) == (1, "")
    assert out.startswith("settings.py:2: Dropbox access token\n")
    assert token not in out
    (tree / "settings.py").write_text("access_token = os.environ['X']\n")
    assert machine.run("doctor", "--scan", tree)[:2] == (0, "none found\n")
    assert machine.run("doctor", "--scan", tree / "nowhere")[0] == 2
    assert machine.dropbox.log()["requests"] == {}
