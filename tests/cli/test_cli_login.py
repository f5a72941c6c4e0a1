"""`authorize`, `logout` and `token`, as a person at a terminal or a script runs them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from terminal import CLICKS_ALLOW, OPENS_NOTHING, Bare, address_on

PHRASE = "correct horse battery staple"
NEW_PHRASE = [("New passphrase", PHRASE), ("The same again", PHRASE)]


@pytest.fixture
def bare(dropbox, tmp_path):
    return Bare(dropbox, tmp_path)


@pytest.fixture
def machine(bare, tmp_path):
    """A container: no keyring, but a key for the vault; and a browser."""
    bare.with_vault_key(tmp_path)
    bare.env["BROWSER"] = CLICKS_ALLOW
    return bare


def requests(machine):
    return machine.dropbox.log()["requests"]


# ---- at a terminal ------------------------------------------------------------------------------------------------


def test_a_newcomer_without_a_keyring(bare):
    """From nothing to a login: the app is asked for, the vault's passphrase chosen, the account confirmed, once."""
    code, screen = bare.at_terminal("authorize")
    assert code == 78
    assert "https://www.dropbox.com/developers/apps" in screen
    code, screen = bare.at_terminal(
        "authorize", "--app-key", bare.dropbox.app_key, answers=[*NEW_PHRASE, ("[y/N]", "y")], BROWSER=CLICKS_ALLOW
    )
    assert code == 0, screen
    assert f"Dropbox account {bare.dropbox.account_id} allows:\n  files.content.read   restoring, reading" in screen
    assert "Store this login as profile engine? [y/N]" in screen
    assert "kept in the vault" in screen
    assert screen.count("files.content.read   restoring") == 1
    assert PHRASE not in screen
    code, screen = bare.at_terminal("token", answers=[("Passphrase of the vault", PHRASE)])
    assert (code, "sl." in screen) == (0, True)
    code, screen = bare.at_terminal("token", answers=[("Passphrase of the vault", PHRASE + "x")])
    assert code == 78
    assert "the passphrase from the terminal does not open the vault" in screen
    assert "type it again" in screen
    assert requests(bare)["oauth2/token"] == 1


def test_two_passphrases_that_differ(bare):
    answers = [("New passphrase", PHRASE), ("The same again", PHRASE + "x")]
    code, screen = bare.at_terminal(
        "authorize", "--app-key", bare.dropbox.app_key, answers=answers, BROWSER=CLICKS_ALLOW
    )
    assert (code, "differ" in screen) == (78, True)
    assert requests(bare) == {}
    assert not bare.home.exists()


def test_no_is_no(machine):
    code, screen = machine.at_terminal("authorize", "--app-key", machine.dropbox.app_key, answers=[("[y/N]", "n")])
    assert code == 77
    assert "was not confirmed" in screen
    assert not (machine.home / "auth" / "vault").exists()
    assert machine.live_grants() == 0


def test_ctrl_c_at_the_question_leaves_no_login_behind(machine):
    code, screen = machine.at_terminal("authorize", "--app-key", machine.dropbox.app_key, answers=[("[y/N]", "\x03")])
    assert code == 130
    assert "no login was stored or changed" in screen
    assert not (machine.home / "auth" / "vault").exists()
    assert machine.live_grants() == 0


def test_pasting_a_code_at_a_terminal(machine):
    answers = [("Paste the code", machine.code_for), ("[y/N]", "yes")]
    code, screen = machine.at_terminal(
        "authorize", "--no-browser", "--app-key", machine.dropbox.app_key, answers=answers
    )
    assert code == 0, screen
    assert "redirect_uri" not in address_on(screen)


def test_a_reader_by_a_key_of_its_own(machine):
    code, screen = machine.at_terminal(
        "authorize", "--read-only", "--app-key", machine.dropbox.read_only_app_key, answers=[("[y/N]", "y")]
    )
    assert code == 0, screen
    assert "Store this login as profile hamilton?" in screen
    assert "files.content.write" not in screen
    (machine.home.parent / "src").mkdir()
    (machine.home.parent / "src" / "x").write_bytes(b"x")
    code, _, err = machine.run("push", machine.home.parent / "src", "/Engine/x", "--profile", "hamilton")
    assert (code, "the app lacks the scope files.content.write" in err) == (77, True)
    assert machine.dropbox.control("")["accounts"][0]["items"] == 0


# ---- as a script --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_script_says_whom_it_expects(machine):
    mine = ["authorize", "--app-key", machine.dropbox.app_key, "--json"]
    code, out, err = machine.run(*mine)
    assert code == 77
    assert json.loads(out)["code"] == "NO_CONSENT"
    assert "--expect-account" in err
    code, out, _ = machine.run(*mine, "--expect-account", "dbid:SOMEBODY")
    assert (code, json.loads(out)["code"]) == (77, "ACCOUNT_CHANGED")
    code, out, err = machine.run(*mine, "--expect-account", machine.dropbox.account_id)
    login = json.loads(out)
    assert code == 0, err
    assert (login["profile"], login["account_id"], login["kept_in"]) == ("engine", machine.dropbox.account_id, "vault")
    assert login["scopes"] == ["files.content.read", "files.content.write", "files.metadata.read"]
    assert machine.live_grants() == 1  # what was not kept was withdrawn


@pytest.mark.slow
def test_a_login_again_needs_nobody_and_another_account_is_refused(machine):
    expected = ["--expect-account", machine.dropbox.account_id]
    assert machine.run("authorize", "--app-key", machine.dropbox.app_key, *expected)[0] == 0
    code, out, err = machine.run("authorize")  # the app is known, the account pinned
    assert (code, machine.dropbox.account_id in out) == (0, True), err
    other = machine.dropbox.control("account", {"given_name": "Grace"})["account_id"]
    code, _, err = machine.run("authorize", "--expect-account", other)
    assert code == 77
    assert f"belongs to account {expected[1]}, and {other} answered" in err
    assert machine.run("token")[0] == 0


def test_a_code_piped_in(machine):
    process = machine.start("authorize", "--no-browser", "--app-key", machine.dropbox.app_key, "--expect-account",
                            machine.dropbox.account_id)  # fmt: skip
    shown = ""
    while "oauth2/authorize" not in shown:
        shown += process.stderr.readline()
    out, err = process.communicate(machine.code_for(shown) + "\n", timeout=60)
    assert (process.returncode, "logged in" in out) == (0, True), err


@pytest.mark.slow
def test_handed_over_to_a_container(machine, tmp_path):
    """The token goes from one machine's stdout to another's secret store, and lies on the first one nowhere."""
    options = ["--read-only", "--app-key", machine.dropbox.read_only_app_key]
    code, screen = machine.at_terminal("authorize", "--hand-over", *options)
    assert (code, "does not print a token on a terminal" in screen) == (2, True)
    code, out, err = machine.run("authorize", "--hand-over", *options, "--expect-account", machine.dropbox.account_id)
    assert code == 0, err
    assert f"HURACAN_APP_KEY={machine.dropbox.read_only_app_key}" in err
    assert out.strip() not in err
    assert not (machine.home / "auth" / "vault").exists()
    there = tmp_path / "delivered"
    there.touch(mode=0o600)
    there.write_text(out)
    there.chmod(0o400)
    env = {"HURACAN_REFRESH_TOKEN_FILE": str(there), "HURACAN_APP_KEY": machine.dropbox.read_only_app_key}
    code, out, err = machine.run("token", "--profile", "hamilton", "--json", **env)
    assert (code, json.loads(out)["access_token"][:3]) == (0, "sl."), err
    reader, writer = os.pipe()
    os.write(writer, there.read_bytes())
    os.close(writer)
    command = machine.command("token", "--export", "--profile", "hamilton", "--token-fd", reader)
    done = subprocess.run(
        command, env=machine.env | env, pass_fds=[reader], capture_output=True, text=True, check=False
    )
    os.close(reader)
    assert done.stdout.startswith("export DROPBOX_ACCESS_TOKEN=sl."), done.stderr


def test_nobody_answers(machine):
    code, out, err = machine.run(
        "authorize", "--app-key", machine.dropbox.app_key, "--timeout", "0.2", "--json", BROWSER=OPENS_NOTHING
    )
    assert (code, json.loads(out)["facts"]["reason"]) == (77, "timeout")
    assert "add --no-browser" in err


def test_nowhere_to_keep_it(bare):
    code, _, err = bare.run("authorize", "--app-key", bare.dropbox.app_key, BROWSER=CLICKS_ALLOW)
    assert code == 78
    assert "HURACAN_VAULT_KEY_FILE" in err
    assert "HURACAN_REFRESH_TOKEN_FILE" in err
    assert requests(bare) == {}


@pytest.mark.parametrize("options", [["--port", "0"], ["--port", "70000"], ["--timeout", "0"], ["--timeout", "301"]])
def test_options_that_cannot_be(machine, options):
    assert machine.run("authorize", *options)[0] == 2


@pytest.mark.slow
def test_out(machine):
    assert machine.run("logout")[1] == "nobody was logged in under profile engine\n"
    expected = ["--expect-account", machine.dropbox.account_id]
    machine.run("authorize", "--app-key", machine.dropbox.app_key, *expected)
    code, out, _ = machine.run("logout", "--json")
    assert (code, json.loads(out)["revoked"], json.loads(out)["forgotten"]) == (0, True, True)
    code, _, err = machine.run("token")
    assert (code, "run `huracan-sync authorize`" in err) == (77, True)
    assert machine.live_grants() == 0


def test_revoked_is_said_with_the_command_for_this_profile(machine):
    """Who reads is never told to run a command that would let him write."""
    options = ["--read-only", "--expect-account", machine.dropbox.account_id]
    machine.run("authorize", "--app-key", machine.dropbox.read_only_app_key, *options)
    machine.dropbox.control("revoke", {"app_key": machine.dropbox.read_only_app_key})
    machine.dropbox.advance(5 * 3600)
    before = requests(machine)["oauth2/token"]
    # The client's clock does not know of those hours; so the first run only learns it from a 401.
    (machine.home.parent / "dst").mkdir()
    for _ in range(2):
        code, _, err = machine.run("restore", "/Engine/x", machine.home.parent / "dst", "--profile", "hamilton")
        assert code == 77
        assert "run `huracan-sync authorize --read-only`" in err
    assert requests(machine)["oauth2/token"] == before + 1


@pytest.mark.slow
def test_the_script_in_the_checkout_is_the_same_door(machine):
    script = Path(__file__).parent.parent.parent / "scripts" / "authorize.py"
    words = ["--app-key", machine.dropbox.app_key, "--expect-account", machine.dropbox.account_id]
    command = [sys.executable, str(script), *words, "--port", str(machine.port)]
    done = subprocess.run(command, env=machine.env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert re.match("logged in: profile engine, account dbid:", done.stdout)


@pytest.mark.slow
def test_a_passphrase_is_asked_for_once_by_every_verb_also_to_sign(bare):
    """The login and the signing key lie in one vault; one question opens it for both."""
    source = bare.home.parent / "src"
    source.mkdir()
    (source / "x").write_bytes(b"x")
    key = ["--app-key", bare.dropbox.app_key]
    bare.at_terminal("authorize", *key, answers=[*NEW_PHRASE, ("[y/N]", "y")], BROWSER=CLICKS_ALLOW)
    for words in (["keys", "init"], ["push", source, "/Runpodhuracan/x", "--channel", "x"]):
        code, screen = bare.at_terminal(*words, answers=[("Passphrase of the vault", PHRASE)])
        assert (code, screen.count("Passphrase")) == (0, 1), screen
    command = ["--vault-key-command", f"echo {PHRASE}"]  # a script has no terminal
    code, out, err = bare.run("push", source, "/Runpodhuracan/x", "--channel", "x", *command)
    assert (code, "sequence 1" in out) == (0, True), err
    assert bare.run("keys", "show", *command)[0] == bare.run("keys", *command, "show")[0] == 0
