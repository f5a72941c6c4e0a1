"""Secrets stay secret: in tracebacks that show locals, in logs at DEBUG, on the disk, in /proc. (Threats 23, 24.)"""

import base64
import contextlib
import gzip
import io
import logging
import os
import re
import secrets
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from canaries import found_in
from traceback_scan import in_tracebacks, shows_no_secret

from huracan_sync import secret
from huracan_sync.auth import login_calls, login_flow, pkce, token_endpoint
from huracan_sync.auth.connect import connect
from huracan_sync.auth.credentials import Credentials
from huracan_sync.auth.keystore.os_keyring import OsKeyring
from huracan_sync.auth.keystore.secret_id import SecretName, unwrap, wrap
from huracan_sync.auth.keystore.secret_io import Environment, from_bytes, read_file
from huracan_sync.auth.keystore.store import Store
from huracan_sync.auth.keystore.vault import Vault
from huracan_sync.auth.keystore.vault_key import KeySources, find_key, parse_key
from huracan_sync.auth.scopes import Profile
from huracan_sync.auth.secret_scan import scan
from huracan_sync.auth.tokens import AccessTokens
from huracan_sync.cli.redaction import NOISY, RedactingFilter, quiet_the_wire
from huracan_sync.cli.runner import SECRET_VARIABLES, take_environment
from huracan_sync.disk.private_folder import Folder
from huracan_sync.errors import HuracanError
from huracan_sync.remote.http import Endpoint, Wire
from huracan_sync.secret import Secret, redact

DEAD = Endpoint.from_environment({"HURACAN_SYNC_API": "http://127.0.0.1:9"})


def canary():
    return "canary-" + secrets.token_urlsafe(32)


def refuse_token(emulator, tmp_path, home):
    path = tmp_path / "token"
    path.write_text(canary())
    path.chmod(0o400)
    env = {"HURACAN_REFRESH_TOKEN_FILE": str(path), "HURACAN_APP_KEY": emulator.app_key}
    endpoint = Endpoint.from_environment({"HURACAN_SYNC_API": emulator.url})
    AccessTokens(Credentials(Profile(), endpoint.namespace, Store(home, env), env), Wire(endpoint)).token()


def lose_the_network(emulator, tmp_path, home):
    token_endpoint.refresh(Wire(DEAD), "app", Secret(canary()), frozenset({"files.metadata.read"}))


def lose_the_network_with_a_code(emulator, tmp_path, home):
    token_endpoint.exchange_code(Wire(DEAD), "app", Secret(canary()), Secret(canary()), "http://127.0.0.1:1/")


def lose_the_network_while_revoking(emulator, tmp_path, home):
    login_calls.revoke(Wire(DEAD), Secret(canary()))


def answer_with_half_a_token(emulator, tmp_path, home):
    value = canary()
    Secret(value)
    body = f'{{"access_token": "{value}", "expires_in": -1, "token_type": "bearer"}}'.encode()
    token_endpoint.read_answer(token_endpoint.Answer(200, {}, body), refreshing=True)


def paste_nearly_a_code(emulator, tmp_path, home):
    pkce.pasted(canary() + " and more")


def open_with_another_key(emulator, tmp_path, home):
    name = SecretName("dropbox", "engine", "refresh-token")
    Vault(Folder(home), lambda: parse_key(from_bytes(secrets.token_bytes(32)), "a test")).put(name, Secret(canary()))
    Vault(Folder(home), lambda: parse_key(from_bytes(secrets.token_bytes(32)), "a test")).get(name)


def damage_the_vault(emulator, tmp_path, home):
    name = SecretName("dropbox", "engine", "refresh-token")
    vault = Vault(Folder(home), lambda: parse_key(from_bytes(secrets.token_bytes(32)), "a test"))
    vault.put(name, Secret(canary()))
    data = bytearray((home / "vault").read_bytes())
    data[-1] ^= 1
    (home / "vault").write_bytes(data)
    vault.put(name, Secret(canary()))


def ask_for_another_account(emulator, tmp_path, home):
    name = SecretName("dropbox", "engine", "refresh-token", account_id="dbid:A")
    unwrap(SecretName("dropbox", "engine", "refresh-token", account_id="dbid:B"), wrap(name, Secret(canary())))


def read_what_is_no_envelope(emulator, tmp_path, home):
    unwrap(SecretName("dropbox", "engine", "refresh-token"), Secret(canary()))


def deliver_a_wrong_key(emulator, tmp_path, home):
    path = tmp_path / "key"
    path.write_text(canary())
    path.chmod(0o400)
    find_key({"HURACAN_VAULT_KEY_FILE": str(path)})


def deliver_too_much(emulator, tmp_path, home):
    path = tmp_path / "key"
    path.write_text(canary() * 200)
    path.chmod(0o400)
    read_file(path, "A_VARIABLE")


def choose_a_short_passphrase(emulator, tmp_path, home):
    find_key({}, KeySources(ask=lambda: "short " + secrets.token_hex(4)))


def run_a_command_that_fails(emulator, tmp_path, home):
    script = tmp_path / "command"
    script.write_text(f"#!/bin/sh\necho {Secret(canary()).reveal()}\nexit 1\n")
    script.chmod(0o500)
    find_key({}, KeySources(command=str(script)))


def use_an_environment_that_holds_secrets(emulator, tmp_path, home):
    value = canary()
    Secret(value)
    env = Environment({"HURACAN_DROPBOX_REFRESH_TOKEN": value, "HURACAN_VAULT_KEY_FILE": "/no/such/file"})
    del value
    Store(home, env).put(SecretName("dropbox", "engine", "refresh-token"), Secret(canary()))


class FailingBackend:
    def get_password(self, service, username):
        return None

    def set_password(self, service, username, password):
        raise RuntimeError(f"cannot keep {password}")


def fail_in_the_keyring(emulator, tmp_path, home):
    OsKeyring(FailingBackend()).put(SecretName("dropbox", "engine", "refresh-token"), Secret(canary()))


def log_in_and_be_refused(emulator, tmp_path, home):
    key = tmp_path / "key"
    key.write_bytes(secrets.token_bytes(32))
    key.chmod(0o400)
    env = {"HURACAN_VAULT_KEY_FILE": str(key)}

    class Person:
        def show(self, url, *, opens): ...

        def paste(self):
            return canary()

    endpoint = Endpoint.from_environment({"HURACAN_SYNC_API": emulator.url})
    credentials = Credentials(Profile(), endpoint.namespace, Store(home, env), env, app_key=emulator.app_key)
    login_flow.log_in(credentials, Wire(endpoint), Person(), login_flow.Wanted(browser=False))


FAILURES = [
    refuse_token,
    lose_the_network,
    lose_the_network_with_a_code,
    lose_the_network_while_revoking,
    answer_with_half_a_token,
    paste_nearly_a_code,
    open_with_another_key,
    damage_the_vault,
    ask_for_another_account,
    read_what_is_no_envelope,
    deliver_a_wrong_key,
    deliver_too_much,
    choose_a_short_passphrase,
    run_a_command_that_fails,
    use_an_environment_that_holds_secrets,
    fail_in_the_keyring,
    log_in_and_be_refused,
]


@pytest.mark.slow
@pytest.mark.parametrize("fails", FAILURES, ids=lambda f: f.__name__)
def test_threat_23_a_traceback_that_shows_locals_shows_no_secret(fails, emulator, tmp_path, home):
    with shows_no_secret(__file__):
        fails(emulator, tmp_path, home)


def test_the_search_finds_what_is_there():
    """Otherwise the tests above prove nothing."""
    value = canary()

    def leak(held):
        raise HuracanError("a failure")

    with pytest.raises(HuracanError) as caught:
        leak(value)
    shown = in_tracebacks(caught.value)
    assert shown.count(value) >= 2  # by Python's own traceback, and by rich's


def raises(text):
    raise ValueError(text)


def test_threat_23_logs_at_debug_show_no_secret(emulator, tmp_path, home, caplog):
    """The noisy libraries log at DEBUG into a handler with our filter, while tokens go over the wire."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.addFilter(RedactingFilter())
    caplog.handler.addFilter(handler.filters[0])  # pytest's own handler comes first
    root = logging.getLogger()
    root.addHandler(handler)
    before = set(secret._known)
    try:
        with contextlib.suppress(HuracanError):
            refuse_token(emulator, tmp_path, home)
        for name in ("urllib3", "keyring", "huracan_sync"):
            logging.getLogger(name).debug("Authorization: Bearer %s", Secret(canary()).reveal())
        try:
            raises(Secret(canary()).reveal())
        except ValueError:
            root.exception("with its traceback")
    finally:
        root.removeHandler(handler)
        caplog.handler.removeFilter(handler.filters[0])
    assert "Bearer ***" in written.getvalue()
    assert found_in(written.getvalue().encode(), secret._known - before) == []


def test_threat_23_libraries_are_quiet_at_debug(emulator, home, caplog, monkeypatch):
    """The SDK and urllib3 on the wire, with every logger at DEBUG: what is heard is ours."""
    for name in NOISY:
        monkeypatch.setattr(logging.getLogger(name), "level", logging.NOTSET)  # put back afterwards
    quiet_the_wire()
    token = Secret(emulator("token", scopes=["files.metadata.read"])["access_token"])
    remote = connect(env={"HURACAN_SYNC_API": emulator.url}, home=home, access_token=token)
    remote.rpc("files/list_folder", {"path": ""}, dict)
    remote.sdk().files_list_folder("")
    assert {record.name.partition(".")[0] for record in caplog.records} == {"huracan_sync"}
    assert found_in(caplog.text.encode(), [token.reveal()]) == []


def test_threat_24_proc_environ_still_shows_what_a_process_began_with():
    """Documented: popping a variable hides it from children only. Hence files and descriptors."""
    value = canary()
    code = (
        "import os, subprocess, sys\n"
        "from huracan_sync.cli.runner import take_environment\n"
        "env = take_environment(os.environ)\n"
        "own = open('/proc/self/environ', 'rb').read()\n"
        "show = [sys.executable, '-c', 'import os; print(dict(os.environ))']\n"
        "child = subprocess.run(show, capture_output=True).stdout\n"
        "value = env['HURACAN_DROPBOX_REFRESH_TOKEN'].encode()\n"
        "print(value in own, value in child, repr(env).encode() in own, 'HURACAN' in repr(env))\n"
    )
    env = {**os.environ, "HURACAN_DROPBOX_REFRESH_TOKEN": value}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "False", "False"]


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_threat_23_memory_is_guarded():
    code = (
        "import resource\n"
        "from huracan_sync.cli.runner import guard_memory\n"
        "guard_memory()\n"
        "import ctypes; print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(0, 0) 0"  # PR_GET_DUMPABLE


def test_threat_24_every_secret_variable_is_taken_from_children():
    environ = dict.fromkeys(SECRET_VARIABLES, "x") | {"HURACAN_VAULT_KEY_FILE": "/a/file", "PATH": "/bin"}
    taken = take_environment(environ)
    assert sorted(environ) == ["HURACAN_VAULT_KEY_FILE", "PATH"]
    assert set(taken) == {*SECRET_VARIABLES, "HURACAN_VAULT_KEY_FILE", "PATH"}


# ---- recorded exchanges -------------------------------------------------------------------------------------------


def plain(recorded):
    """A cassette as text, and its binary bodies (base64, perhaps zipped) unpacked after it."""
    text = recorded.decode("utf-8", "replace")
    for body in re.findall(r"!!binary \|\n((?:[ \t]+[A-Za-z0-9+/=]+\n)+)", text):
        data = base64.b64decode("".join(body.split()))
        with contextlib.suppress(OSError, EOFError, zlib.error):
            data = gzip.decompress(data)
        text += data.decode("latin-1")
    # What a recording says in a token's place: ACCESS-TOKEN-1-ACCESS-TOKEN-1-..., REFRESH-TOKEN-..., BLACKENED
    return re.sub(r"\bBLACKENED\b|(?<![A-Za-z0-9-])(?:[A-Z]+-)+TOKEN(?:-[A-Z0-9]+)*-?(?![A-Za-z0-9])", "***", text)


def holds_a_secret(recorded):
    text = plain(recorded)
    return redact(text) != text or bool(scan(text))


def test_threat_23_cassettes_hold_no_token():
    root = Path(__file__).parent.parent.parent
    cassettes = [path for path in (root / "cassettes").rglob("*") if path.is_file()]
    assert cassettes
    assert [path.name for path in cassettes if holds_a_secret(path.read_bytes())] == []


def test_the_search_of_cassettes_finds_what_is_there():
    token = "sl.u." + secrets.token_urlsafe(40)
    zipped = base64.b64encode(gzip.compress(b'{"access_token": "%s"}' % token.encode())).decode()
    assert holds_a_secret(f"    Authorization:\n    - Bearer {token}\n".encode())
    assert holds_a_secret(b"    body: grant_type=refresh_token&refresh_token=abcdefgh\n")
    assert holds_a_secret(f"      string: !!binary |\n        {zipped[:40]}\n        {zipped[40:]}\n".encode())
    masked = b"    Authorization:\n    - Bearer ***\n    body: refresh_token=***&scope=files.content.read\n"
    assert not holds_a_secret(masked)
