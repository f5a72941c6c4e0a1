"""Threats to secrets and logins, by their numbers: those that take the whole program, and where each other one is.

    23  a token in logs, tracebacks, arguments, core      31  scopes widened or narrowed
    24  a secret in the environment                       32  somebody else at the redirect port
    25  a silent fallback to plain text                   33  forged and replayed answers of the browser
    26  files that others can read or have planted        34  a token sent to the wrong service
    27  a stolen laptop, image or volume                  35  somebody else's code or account
    28  many processes that refresh                       36  clocks that are wrong or jump
    29  a refresh token that is replaced                  37  proxies and CA bundles from the environment
    30  a login that was withdrawn

Every test of one of them has its number in its name (`pytest -k threat_28`).
"""

import contextlib
import functools
import os
import re
import shutil
import socket
import sys
import time
from pathlib import Path

import pytest
import warm
from canaries import found_in
from shared_fixtures import everything_below
from terminal import CLICKS_ALLOW, Bare

from huracan_sync.auth.secret_scan import scan
from huracan_sync.auth.session import credentials_of
from huracan_sync.auth.tokens import AccessTokens
from huracan_sync.emulator.running import Emulator
from huracan_sync.errors import TlsRefused
from huracan_sync.remote.http import Endpoint, Wire

THREATS = range(23, 38)
FAILS_CLOSED = {
    "no backend": "test_no_backend_refuses_with_a_hint",
    "keyring class not allowed": "test_keyring_class_not_allowed_the_vault_is_taken",
    "chainer whose first viable member is not allowed": (
        "test_chainer_whose_first_member_is_not_allowed_the_allowed_one_is_taken"
    ),
    "vault or folder of a wrong owner": "test_threat_26_foreign_owner",
    "vault of a wrong mode": "test_threat_26_vault_that_others_may_read_or_write",
    "folder of a wrong mode": "test_threat_26_folder_that_others_may_enter",
    "symlinked vault": "test_threat_26_symlinked_vault",
    "symlinked folder": "test_threat_26_symlinked_folder",
    "hard-linked vault": "test_threat_26_hard_linked_vault",
    "passphrase under 16 characters": "test_passphrase_under_16_characters",
    "raw key that is not 32 bytes": "test_raw_key_that_is_not_32_bytes",
    "KDF parameters outside the limits": "test_kdf_parameters_outside_the_limits",
    "unknown magic": "test_unknown_magic_or_cut_short",
    "wrong key": "test_wrong_key_never_overwrites",
    "bad tag": "test_bad_tag",
    "lock not obtained in 10 s": "test_lock_not_obtained_in_10_s",
    "no terminal for a prompt": "test_no_terminal_for_a_prompt",
    "entry bound to another app or account": "test_entry_bound_to_another_app_or_account",
    "entry bound to another host": "test_entry_of_another_host_is_not_found",
    "never write plain text": "test_threat_25_never_plain_text_also_when_keyrings_alt_is_installed",
    "never overwrite a vault it could not open": "test_what_is_no_vault_is_not_overwritten",
    "never print a secret": "test_threat_23_a_traceback_that_shows_locals_shows_no_secret",
    "never take 'cannot open' for 'not logged in'": "test_a_vault_that_cannot_be_opened_is_not_logged_out",
    "4,000 bit flips": "test_4000_bit_flips_none_accepted",
}


@functools.cache
def names_of_tests():
    """The names of all tests."""
    texts = (path.read_text(encoding="utf-8") for path in Path(__file__).parents[1].rglob("test_*.py"))
    return {name for text in texts for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)}


@pytest.mark.parametrize("number", THREATS)
def test_every_threat_has_its_test(number):
    assert [name for name in names_of_tests() if name.startswith(f"test_threat_{number}_")]


@pytest.mark.parametrize("way", FAILS_CLOSED)
def test_every_way_to_fail_closed_has_its_test(way):
    assert FAILS_CLOSED[way] in names_of_tests()


# ---- the whole program --------------------------------------------------------------------------------------------


@pytest.fixture
def machine(dropbox, tmp_path):
    """A container with a vault, logged in as the engine."""
    bare = Bare(dropbox, tmp_path)
    bare.with_vault_key(tmp_path)
    bare.env["BROWSER"] = CLICKS_ALLOW
    code, _, err = bare.run("authorize", "--app-key", dropbox.app_key, "--expect-account", dropbox.account_id)
    assert code == 0, err
    return bare


def secrets_of(machine):
    """The refresh token and the access token of its login."""
    credentials = credentials_of("engine", env=machine.env, home=machine.home)
    wire = Wire(Endpoint.from_environment(machine.env))
    return [credentials.load().refresh_token.reveal(), AccessTokens(credentials, wire).token().reveal()]


def arguments_of_all_processes():
    for process in Path("/proc").glob("[0-9]*"):
        try:
            yield (process / "cmdline").read_bytes()
        except OSError:  # gone
            continue


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_threat_23_a_push_at_debug_shows_no_token_anywhere(machine, dropbox, tmp_path):
    """Renewed tokens and misfortune on the way; output, log, arguments, files and core limit are looked through."""
    canaries = secrets_of(machine)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "x").write_bytes(b"x")
    dropbox.faults(
        {"route": "files/list_folder", "fault": "expired_access_token", "times": 1},
        {"route": "files/upload", "fault": "reset", "times": 1},
        {"route": "oauth2/token", "fault": "stall", "seconds": 0.5, "times": 1},
    )
    process = machine.start("push", tmp_path / "src", "/Engine/x", "--debug")
    seen, limits = b"", ""
    while process.poll() is None:
        seen += b"\n".join(arguments_of_all_processes())
        with contextlib.suppress(OSError):
            limits = Path(f"/proc/{process.pid}/limits").read_text() or limits  # of the last look: it was at work then
        time.sleep(0.02)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert "DEBUG huracan_sync.remote.http: /2/files/list_folder: 401" in err
    assert "an access token of profile engine" in err
    assert limits.split("Max core file size")[1].split()[:2] == ["0", "0"]
    canaries += secrets_of(machine)
    assert len(set(canaries)) == 3  # one refresh token, two access tokens
    assert found_in(seen + out.encode() + err.encode() + everything_below(machine.home), canaries) == []


def test_threat_23_a_crash_shows_no_token():
    """The last line of the program prints a traceback of a bug, masked."""
    value = "sl.u." + "crash-canary" * 5
    code = (
        "import argparse, sys\n"
        "from huracan_sync.cli.runner import run\n"
        "def crash(options, context): raise RuntimeError('a bug with ' + sys.stdin.read())\n"
        "sys.exit(run(argparse.Namespace(run=crash, json=False, debug=True)))\n"
    )
    done = warm.run([sys.executable, "-c", code], input=value, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "RuntimeError: a bug with ***" in done.stderr
    assert "crash-canary" not in done.stderr + done.stdout


def test_threat_26_places_that_are_not_ours_alone_are_refused_and_nothing_is_sent(machine, dropbox, tmp_path):
    auth, before = machine.home / "auth", dropbox.log()["total"]

    def refused():
        code, out, err = machine.run("token")
        assert (code, out, dropbox.log()["total"]) == (78, "", before)
        return err

    (auth / "vault").chmod(0o644)
    assert "others may read or change it" in refused()
    (auth / "vault").chmod(0o600)
    auth.chmod(0o755)
    assert "others may enter it" in refused()
    auth.chmod(0o700)
    (auth / "vault").rename(tmp_path / "vault")
    (auth / "vault").symlink_to(tmp_path / "vault")
    assert "symbolic link" in refused()
    (auth / "vault").unlink()
    (tmp_path / "vault").rename(auth / "vault")
    record = next(auth.glob("login.*.json"))
    record.chmod(0o666)
    assert "others may read or change it" in refused()
    record.chmod(0o600)
    assert machine.run("token")[0] == 0


def test_threat_27_a_stolen_volume_gives_nothing_away(machine, tmp_path):
    """All that a machine keeps, without the key that its platform delivers: no token, and nothing to open it with."""
    canaries = secrets_of(machine)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "x").write_bytes(b"x")
    assert machine.run("push", tmp_path / "src", "/Engine/x")[0] == 0
    stolen = tmp_path / "stolen"
    shutil.copytree(machine.home, stolen)
    kept = everything_below(stolen)
    assert len(kept) > 10_000
    assert found_in(kept, canaries) == []
    assert scan(kept.decode("latin-1")) == []
    thief = {"HURACAN_SYNC_HOME": str(stolen), "HURACAN_VAULT_KEY_FILE": ""}
    assert machine.run("token", **thief)[0] == 78
    (tmp_path / "another key").write_bytes(os.urandom(32))
    (tmp_path / "another key").chmod(0o400)
    code, out, err = machine.run("token", **thief | {"HURACAN_VAULT_KEY_FILE": str(tmp_path / "another key")})
    assert (code, out, "does not open the vault" in err) == (78, "", True)


def test_threat_30_withdrawn_ends_every_verb_with_77_and_one_question(machine, dropbox, tmp_path):
    (tmp_path / "src").mkdir()
    dropbox.control("revoke", {})
    before = dropbox.log()["requests"].get("oauth2/token", 0)
    for words in (["push", tmp_path / "src", "/Engine/x"], ["restore", "/Engine/x", tmp_path / "src"], ["token"]):
        code, _, err = machine.run(*words)
        assert (code, "run `huracan-sync authorize`" in err) == (77, True), err
    assert dropbox.log()["requests"]["oauth2/token"] == before + 1


def test_threat_37_ca_bundles_and_proxies_of_the_environment_are_not_believed(tmp_path, monkeypatch):
    """An impostor whose CA somebody put into every variable there is for it is still an impostor."""
    with Emulator.start("--tls", str(tmp_path)) as impostor, socket.create_server(("127.0.0.1", 0)) as trap:
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            monkeypatch.setenv(name, impostor.ca)
        monkeypatch.setenv("SSL_CERT_DIR", str(Path(impostor.ca).parent))
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{trap.getsockname()[1]}")
        env = {"HURACAN_SYNC_API": impostor.url}
        with pytest.raises(TlsRefused) as caught:
            Wire(Endpoint.from_environment(env)).exchange(f"{impostor.url}/2/check/user", headers={})
        assert not caught.value.retryable
        named = Wire(Endpoint.from_environment({**env, "HURACAN_SYNC_CA": impostor.ca}))
        assert named.exchange(f"{impostor.url}/2/check/user", headers={}).status == 400
        named.close()
        trap.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            trap.accept()
