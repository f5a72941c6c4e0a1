"""Fixtures for every test: state folders and vaults, an emulator's account, machines that sync, sign and read."""

import contextlib
import os
import secrets
import socket
from pathlib import Path

import pytest
from engine_world import World as EngineWorld
from login_people import LoginPerson
from machines import READ, Clock, Commands, Machine
from plain_machine import PlainMachine
from publishing_machine import Publisher
from transfer_world import World

from huracan_sync.auth import pkce
from huracan_sync.auth.keystore.secret_id import SecretName
from huracan_sync.auth.keystore.secret_io import from_bytes
from huracan_sync.auth.keystore.vault import Vault
from huracan_sync.auth.keystore.vault_key import parse_key
from huracan_sync.disk.private_folder import Folder


@pytest.fixture
def home(tmp_path):
    """The state folder of one test, not there yet."""
    return tmp_path / "home"


@pytest.fixture
def name():
    """The refresh token of a login."""
    return SecretName("dropbox", "engine", "refresh-token", app_key="appkey", account_id="dbid:AAA")


@pytest.fixture
def key():
    return parse_key(from_bytes(secrets.token_bytes(32)), "a test")


@pytest.fixture
def vault(home, key):
    return Vault(Folder(home), lambda: key)


def everything_below(folder: Path) -> bytes:
    """Every byte of every file, and every name, below a folder."""
    found = []
    for where, _, names in os.walk(folder):
        paths = [Path(where, name) for name in names]
        found += [os.fsencode(path) for path in paths] + [path.read_bytes() for path in paths if path.is_file()]
    return b"\n".join(found)


class Emulator:
    """The emulator of this test: its control doors as calls, and how often the token route was called."""

    def __init__(self, dropbox):
        self._dropbox = dropbox
        self.url, self.app_key, self.read_only_app_key = dropbox.url, dropbox.app_key, dropbox.read_only_app_key

    def __call__(self, door, **fields):
        return self._dropbox.control(door, fields)

    def log(self):
        return self._dropbox.log()

    def refreshes(self):
        return self.log()["requests"].get("oauth2/token", 0)


@pytest.fixture
def emulator(dropbox):
    """An emulator that begins anew with every test."""
    return Emulator(dropbox)


@pytest.fixture
def reporter(emulator, home, tmp_path, monkeypatch):
    """Three free ports take the place of the registered ones, which another login on this machine may hold."""
    with contextlib.ExitStack() as held:
        servers = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        ports = tuple(server.getsockname()[1] for server in servers)
    monkeypatch.setattr(pkce, "PORTS", ports)
    emulator("apps", app_key=emulator.app_key, redirect_uris=[pkce.redirect_uri(port) for port in ports])
    return LoginPerson(emulator, home, tmp_path)


@pytest.fixture
def world(dropbox, tmp_path):
    """A local folder, a local Dropbox, and the operations between them."""
    return World(dropbox, tmp_path)


@pytest.fixture
def machine(dropbox, tmp_path, monkeypatch):
    """An engine's machine; this process works in its folder, with its environment."""
    engine = EngineWorld(dropbox, tmp_path)
    for name, value in dropbox.env(engine.home).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(engine.work)
    return engine


@pytest.fixture
def logged_in(machine, tmp_path, monkeypatch):
    """A machine where somebody has authorized once: a refresh token is delivered, none is pasted."""
    tokens = machine.dropbox.token(["files.metadata.read", "files.content.read", "files.content.write"])
    secret = tmp_path / "refresh-token"
    secret.write_text(tokens["refresh_token"])
    secret.chmod(0o400)
    monkeypatch.setenv("HURACAN_REFRESH_TOKEN_FILE", str(secret))
    monkeypatch.setenv("HURACAN_APP_KEY", tokens["app_key"])
    return machine


@pytest.fixture
def clock():
    """Stands still until a test moves it."""
    return Clock()


@pytest.fixture
def signing_machine(dropbox, tmp_path, clock):
    """A machine with a signing key; no trust file is published yet."""
    return Machine(dropbox, tmp_path / "engine", key="sign.key", clock=clock)


@pytest.fixture
def reading_machine(dropbox, tmp_path, clock):
    """A machine that may only read; no key is pinned yet."""
    return Machine(dropbox, tmp_path / "hamilton", scopes=READ, clock=clock)


@pytest.fixture
def publisher(dropbox, tmp_path, clock):
    """A machine with a signing key that has published its trust file."""
    machine = Publisher(dropbox, tmp_path / "engine", clock=clock)
    machine.roots().begin()
    return machine


@pytest.fixture
def pod(dropbox, tmp_path, clock, publisher):
    """Another machine with the publisher's key, and an empty state folder."""
    machine = Publisher(dropbox, tmp_path / "pod", clock=clock)
    machine.take_key_of(publisher)
    return machine


@pytest.fixture
def hamilton(dropbox, tmp_path, clock, publisher):
    """A machine that may only read and has pinned the publisher's key."""
    machine = Machine(dropbox, tmp_path / "hamilton", scopes=READ, clock=clock)
    machine.reader().pin(publisher.pin())
    return machine


@pytest.fixture
def commands(dropbox, tmp_path):
    """The command line of a machine with a place for a signing key."""
    return Commands(dropbox, tmp_path / "commands", key="sign.key")


@pytest.fixture
def plain_machine(dropbox, tmp_path, capsys, monkeypatch):
    """A machine with a delivered token, whose commands run in this process."""
    return PlainMachine(dropbox, tmp_path, capsys, monkeypatch)
