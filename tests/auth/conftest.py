"""Canaries: secrets of these tests that must show up nowhere, and small places to keep things in."""

import contextlib
import os
import secrets
import socket
from pathlib import Path

import pytest

from huracan_sync.auth import pkce
from huracan_sync.auth.keystore.secret_id import SecretName
from huracan_sync.auth.keystore.secret_io import from_bytes
from huracan_sync.auth.keystore.vault import Vault
from huracan_sync.auth.keystore.vault_key import parse_key
from huracan_sync.disk.private_folder import Folder
from tests.auth.login_desk import LoginPerson


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
