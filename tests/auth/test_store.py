"""The one door to secrets: which place is taken, what is refused, and that nothing is ever written in the clear."""

import contextlib
import gc
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import warnings
from pathlib import Path

import pytest
from expecting import raises
from sampled import slow
from shared_fixtures import everything_below

from huracan_sync.auth.keystore import os_keyring
from huracan_sync.auth.keystore.os_keyring import ALLOWED, OsKeyring, find_keyring
from huracan_sync.auth.keystore.secret_id import SecretName
from huracan_sync.auth.keystore.store import Store
from huracan_sync.secret import Secret

CANARY = "canary-" + secrets.token_hex(24)


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "vault key"
    path.write_bytes(secrets.token_bytes(32))
    path.chmod(0o400)
    return path


@pytest.fixture
def with_key(key_file):
    return {"HURACAN_VAULT_KEY_FILE": str(key_file)}


# ---- a bare machine: no session bus, no keyring -------------------------------------------------------------------


def test_no_backend_refuses_with_a_hint(home, name):
    store = Store(home, {})
    assert store.would_keep_in() is None
    with raises("NO_SAFE_PLACE") as caught:
        store.put(name, Secret(CANARY))
    assert "HURACAN_VAULT_KEY_FILE" in caught.value.hint
    assert "HURACAN_REFRESH_TOKEN_FILE" in caught.value.hint
    assert not home.exists()


def test_bare_machine_with_a_key_keeps_it_in_the_vault(home, name, with_key):
    assert Store(home, with_key).put(name, Secret(CANARY)) == "vault"
    again = Store(home, with_key)
    assert (again.kept_in(name), again.get(name).reveal()) == ("vault", CANARY)
    assert CANARY.encode() not in everything_below(home)
    assert json.loads((home / "stored.json").read_text()) == {"dropbox/engine/refresh-token": "vault"}
    assert again.forget(name)
    assert not again.forget(name)
    assert (again.kept_in(name), again.get(name)) == (None, None)


def test_a_vault_that_cannot_be_opened_is_not_logged_out(home, name, with_key):
    Store(home, with_key).put(name, Secret(CANARY))
    with raises("NO_VAULT_KEY"):
        Store(home, {}).get(name)
    with raises("NO_VAULT_KEY"):
        Store(home, {}).put(SecretName("dropbox", "keys", "other"), Secret(CANARY))


def test_a_vault_that_is_gone_is_not_logged_out(home, name, with_key):
    Store(home, with_key).put(name, Secret(CANARY))
    (home / "vault").unlink()
    with raises("VAULT_DAMAGED", match="is gone") as caught:
        Store(home, with_key).get(name)
    assert "authorize" in caught.value.hint
    assert Store(home, with_key).put(name, Secret("new")) == "vault"  # a new login mends it


def test_a_keyring_that_is_gone_is_not_logged_out(home, name, with_key):
    home.mkdir(mode=0o700)
    (home / "stored.json").write_text('{"dropbox/engine/refresh-token": "keyring"}')
    (home / "stored.json").chmod(0o600)
    with raises("KEYRING", match="does not answer here"):
        Store(home, with_key).get(name)


def test_a_damaged_index_is_told(home, name, with_key):
    Store(home, with_key).put(name, Secret(CANARY))
    (home / "stored.json").write_text("{")
    with raises("VAULT_DAMAGED", match="where secrets lie"):
        Store(home, with_key).get(name)
    (home / "stored.json").unlink()  # what the hint says
    assert Store(home, with_key).get(name).reveal() == CANARY


@pytest.mark.slow
def test_the_passphrase_is_asked_for_once_a_process(home, name):
    from huracan_sync.auth.keystore.vault_key import KeySources

    asked = []

    def ask():
        asked.append(1)
        return "correct horse battery staple"

    store = Store(home, {}, sources=KeySources(ask=ask))
    store.put(name, Secret(CANARY))
    store.put(name, Secret(CANARY))
    assert store.get(name).reveal() == CANARY
    assert len(asked) == 1


# ---- a real Secret Service ----------------------------------------------------------------------------------------


needs_secret_service = pytest.mark.skipif(
    not shutil.which("dbus-daemon") or not shutil.which("gnome-keyring-daemon"),
    reason="needs dbus-daemon and gnome-keyring-daemon (Debian: dbus gnome-keyring)",
)


def wait_for_service(address, daemon):
    """Until the keyring is on the bus: who asks before has the bus start a second one, and may wait for ever."""
    from jeepney import message_bus
    from jeepney.io.blocking import open_dbus_connection

    with contextlib.closing(open_dbus_connection(address)) as bus:
        until = time.monotonic() + 60
        while not bus.send_and_get_reply(message_bus.NameHasOwner("org.freedesktop.secrets")).body[0]:
            assert daemon.poll() is None, f"gnome-keyring-daemon ended with {daemon.returncode}"
            assert time.monotonic() < until, "no Secret Service came up"
            time.sleep(0.01)


def answers(address):
    """Whether the keyring opens a session within seconds: now and then one hangs from its start, on a busy machine."""
    from jeepney import DBusAddress, new_method_call
    from jeepney.io.blocking import open_dbus_connection

    service = DBusAddress("/org/freedesktop/secrets", "org.freedesktop.secrets", "org.freedesktop.Secret.Service")
    with contextlib.closing(open_dbus_connection(address)) as bus, contextlib.suppress(TimeoutError):
        bus.send_and_get_reply(new_method_call(service, "OpenSession", "sv", ("plain", ("s", ""))), timeout=5)
        return True
    return False


@contextlib.contextmanager
def session_with_keyring(place, *options):
    """As `one_session`; a keyring that hangs from its start is replaced."""
    for _ in range(2):
        with one_session(place, *options) as (address, daemon):
            if answers(address):
                yield address, daemon
                return
    with one_session(place, *options) as session:
        yield session


@contextlib.contextmanager
def one_session(place, *options):
    """A session bus and a gnome-keyring of this test alone; the address of the bus, and the keyring's process."""
    place.chmod(0o700)
    # A socket that an earlier keyring left would be asked first.
    runtime = Path(tempfile.mkdtemp(prefix="run-", dir=place))
    env = {"PATH": os.environ["PATH"], "HOME": str(place), "XDG_RUNTIME_DIR": str(runtime), "LANG": "C.UTF-8"}
    bus = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", "--print-address"],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        env["DBUS_SESSION_BUS_ADDRESS"] = bus.stdout.readline().strip()
        daemon = subprocess.Popen(
            ["gnome-keyring-daemon", "--foreground", "--components=secrets", *options],
            env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            daemon.stdin.write(b"\n")
            daemon.stdin.close()
            daemon.stdout.readline()  # it prints where it listens when it does
            wait_for_service(env["DBUS_SESSION_BUS_ADDRESS"], daemon)
            yield env["DBUS_SESSION_BUS_ADDRESS"], daemon
        finally:
            daemon.terminate()
            daemon.wait(120)
            daemon.stdout.close()
    finally:
        bus.terminate()
        bus.wait(120)
        bus.stdout.close()


@pytest.fixture(scope="module")
def session_bus(tmp_path_factory):
    """An unlocked keyring; the address of its bus, and where it keeps things."""
    place = tmp_path_factory.mktemp("session")
    with session_with_keyring(place, "--unlock") as (address, _daemon):
        yield address, place


@pytest.fixture
def desktop(session_bus, monkeypatch):
    """The environment of a desktop with a Secret Service."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", session_bus[0])
    return {"DBUS_SESSION_BUS_ADDRESS": session_bus[0]}


@needs_secret_service
def test_secret_service_is_the_first_place(desktop, session_bus, home, name, with_key):
    store = Store(home, {**desktop, **with_key})
    assert store.put(name, Secret(CANARY)) == "keyring"
    assert store.keyring.backend == "keyring.backends.SecretService.Keyring"
    again = Store(home, desktop)
    assert (again.kept_in(name), again.get(name).reveal()) == ("keyring", CANARY)
    assert not (home / "vault").exists()
    assert CANARY.encode() not in everything_below(home) + everything_below(session_bus[1])
    assert again.forget(name)
    assert again.get(name) is None


@needs_secret_service
def test_entries_in_the_keyring_are_bound_too(desktop, name):
    keyring = find_keyring(desktop)
    keyring.put(name, Secret(CANARY))
    with raises("BOUND_ELSEWHERE") as caught:
        keyring.get(SecretName("dropbox", "engine", "refresh-token", app_key="appkey", account_id="dbid:OTHER"))
    assert CANARY not in str(caught.value)
    assert keyring.get(SecretName("emulator:127.0.0.1:1", "engine", "refresh-token")) is None
    assert keyring.forget(name)


@needs_secret_service
def test_a_foreign_entry_in_our_place_is_refused(desktop, name):
    keyring = find_keyring(desktop)
    keyring._backend.set_password("huracan-sync", name.place, CANARY)  # somebody else's, in the clear
    with raises("VAULT_DAMAGED") as caught:
        keyring.get(name)
    assert CANARY not in str(caught.value)
    keyring._backend.delete_password("huracan-sync", name.place)


def collect_the_library_s_connections():
    """`keyring` leaves its bus open when it fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@needs_secret_service
def test_a_keyring_that_fails_refuses(desktop, name):
    from keyring.backends.SecretService import Keyring

    broken = Keyring()
    broken.preferred_collection = "/no/such/collection"
    with raises("KEYRING") as caught:
        OsKeyring(broken).put(name, Secret(CANARY))
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None
    collect_the_library_s_connections()


@needs_secret_service
def test_a_locked_keyring_refuses_at_once_and_before_a_person_is_bothered(home, name, with_key, tmp_path, monkeypatch):
    """As after a login by ssh: there is a keyring, and nobody to unlock it. No vault is begun beside it unasked."""
    with session_with_keyring(tmp_path, "--unlock") as (address, _daemon):
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        assert Store(home, {"DBUS_SESSION_BUS_ADDRESS": address}).put(name, Secret(CANARY)) == "keyring"
    with session_with_keyring(tmp_path) as (address, _daemon):
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        env = {"DBUS_SESSION_BUS_ADDRESS": address, **with_key}
        for act in (Store.check_can_keep, lambda store: store.get(name), lambda store: store.put(name, Secret("new"))):
            with raises("KEYRING", match="Locked|DBusErrorResponse") as caught:  # the second while the daemon starts
                act(Store(home, env))
        collect_the_library_s_connections()
        assert not (home / "vault").exists()
        assert "DBUS_SESSION_BUS_ADDRESS= (empty)" in caught.value.hint
        env["DBUS_SESSION_BUS_ADDRESS"] = ""  # what the hint says
        assert Store(home, env).put(name, Secret("new")) == "vault"
        assert Store(home, env).get(name).reveal() == "new"


@needs_secret_service
def test_a_keyring_that_hangs_is_given_up(name, tmp_path, monkeypatch):
    """The bus lives and the service behind it does not answer: seen with daemons that crashed while they started."""
    with session_with_keyring(tmp_path, "--unlock") as (address, daemon):
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        backend = find_keyring({"DBUS_SESSION_BUS_ADDRESS": address})._backend
        daemon.send_signal(signal.SIGSTOP)
        try:
            hanging = OsKeyring(backend, longest_wait=0.2)
            for act in (hanging.check, lambda: hanging.get(name), lambda: hanging.put(name, Secret(CANARY))):
                with raises("KEYRING", match="no answer in 0.2 s") as caught:
                    act()
            assert CANARY not in str(caught.value)
            assert "DBUS_SESSION_BUS_ADDRESS= (empty)" in caught.value.hint
        finally:
            daemon.send_signal(signal.SIGCONT)
        other = SecretName("dropbox", "hamilton", "refresh-token", app_key="appkey")
        answering = OsKeyring(backend)
        answering.put(other, Secret("again"))
        assert answering.get(other).reveal() == "again"
    collect_the_library_s_connections()


@needs_secret_service
def test_keyring_properties_of_the_environment_are_undone(desktop, monkeypatch, name):
    monkeypatch.setenv("KEYRING_PROPERTY_PREFERRED_COLLECTION", "/org/freedesktop/secrets/collection/session")
    monkeypatch.setenv("KEYRING_PROPERTY_SET_PASSWORD", "x")
    keyring = find_keyring(desktop)
    keyring.put(name, Secret(CANARY))
    monkeypatch.delenv("KEYRING_PROPERTY_PREFERRED_COLLECTION")
    assert find_keyring(desktop).get(name).reveal() == CANARY
    assert keyring.forget(name)


# ---- plain-text keyrings, plug-ins and config files ---------------------------------------------------------------

EVIL = """
from pathlib import Path
Path({loaded!r}).touch()
from keyring.backend import KeyringBackend
class Keyring(KeyringBackend):
    priority = 99
    def get_password(self, service, username): return None
    def set_password(self, service, username, password): Path({loaded!r}).write_text(password)
"""

DRIVER = """
import os, sys
from pathlib import Path
from huracan_sync.auth.keystore.secret_id import SecretName
from huracan_sync.auth.keystore.store import Store
from huracan_sync.errors import VaultRefused
from huracan_sync.secret import Secret
import keyrings.alt.file  # it is installed here
store = Store(Path(os.environ["STATE"]), os.environ)
try:
    print(store.put(SecretName("dropbox", "engine", "refresh-token"), Secret(sys.stdin.read())))
except VaultRefused:
    print("refused")
"""


@pytest.fixture
def traps(tmp_path):
    """A machine where every door `keyring` has is wired to a plain-text or a hostile backend."""
    loaded = tmp_path / "loaded"
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "evil_keyring.py").write_text(textwrap.dedent(EVIL.format(loaded=str(loaded))))
    metadata = plugins / "evil-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[keyring.backends]\nevil = evil_keyring\n")
    config = tmp_path / "user" / ".config" / "python_keyring"
    config.mkdir(parents=True)
    (config / "keyringrc.cfg").write_text(f"[backend]\ndefault-keyring=evil_keyring.Keyring\nkeyring-path={plugins}\n")
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "user"),
        "PYTHONPATH": os.pathsep.join([str(plugins), str(Path.cwd())]),
        "STATE": str(tmp_path / "home"),
    }
    return env, loaded


def run(env):
    return subprocess.run(
        [sys.executable, "-c", DRIVER], env=env, input=CANARY, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_traps_are_real(traps):
    """Without our door, `keyring` falls into them: otherwise the tests below prove nothing."""
    env, loaded = traps
    subprocess.run([sys.executable, "-c", "import keyring; keyring.set_password('a', 'b', 'c')"], env=env, check=True)
    assert loaded.read_text() == "c"


PLAIN = "keyrings.alt.file.PlaintextKeyring"


@pytest.mark.parametrize(
    "backend", [slow(""), PLAIN, "evil_keyring.Keyring", slow("keyring.backends.chainer.ChainerBackend")]
)
def test_threat_25_never_plain_text_also_when_keyrings_alt_is_installed(traps, tmp_path, backend):
    env, loaded = traps
    if backend:
        env["PYTHON_KEYRING_BACKEND"] = backend
    assert run(env) == "refused"
    assert not loaded.exists()
    assert CANARY.encode() not in everything_below(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("backend", [slow(PLAIN), "keyring.backends.chainer.ChainerBackend"])
def test_keyring_class_not_allowed_the_vault_is_taken(traps, tmp_path, with_key, backend):
    env, loaded = traps
    assert run({**env, **with_key, "PYTHON_KEYRING_BACKEND": backend}) == "vault"
    assert not loaded.exists()
    assert CANARY.encode() not in everything_below(tmp_path)


@pytest.mark.slow
@needs_secret_service
@pytest.mark.parametrize("backend", [PLAIN, slow("keyring.backends.chainer.ChainerBackend")])
def test_chainer_whose_first_member_is_not_allowed_the_allowed_one_is_taken(traps, tmp_path, desktop, backend):
    env, loaded = traps
    assert run({**env, **desktop, "PYTHON_KEYRING_BACKEND": backend}) == "keyring"
    assert not loaded.exists()
    assert CANARY.encode() not in everything_below(tmp_path)


def test_only_three_classes_are_allowed():
    assert [f"{module}.{name}" for module, name, _ in ALLOWED] == [
        "keyring.backends.macOS.Keyring",
        "keyring.backends.SecretService.Keyring",
        "keyring.backends.kwallet.DBusKeyring",
    ]


@pytest.mark.parametrize(
    ("address", "owner", "used"),
    [
        ("", 0, False),
        ("unix:path={}", 0, True),
        ("unix:path={}", 1, False),
        ("unix:path={},guid=0123", 1, False),
        ("unix:abstract=/tmp/dbus-x", 0, True),
        ("unix:path=/no/such/bus", 0, True),
        ("unix:abstract=x;unix:path={}", 1, False),
    ],
)
def test_the_session_bus_of_another_user_is_not_used(tmp_path, monkeypatch, address, owner, used):
    """Under `sudo -E` the bus is the one of whoever called: its keyring would hold our secrets, or give us its own."""
    bus = tmp_path / "a bus"
    bus.touch()
    monkeypatch.setattr(os, "geteuid", lambda: bus.stat().st_uid + owner)
    assert os_keyring._has_own_bus(address.format(str(bus).replace(" ", "%20"))) is used
