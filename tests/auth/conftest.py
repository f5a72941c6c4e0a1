"""Canaries: secrets of these tests that must show up nowhere, and small places to keep things in."""

import os
import secrets
from pathlib import Path

import pytest

from huracan_sync.auth.folder import Folder
from huracan_sync.auth.names import SecretName
from huracan_sync.auth.vault import Vault
from huracan_sync.auth.vault_key import parse_key


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
    return parse_key(secrets.token_bytes(32), "a test")


@pytest.fixture
def vault(home, key):
    return Vault(Folder(home), lambda: key)


def everything_below(folder: Path) -> bytes:
    """Every byte of every file, and every name, below a folder."""
    found = []
    for where, _, names in os.walk(folder):
        found += [name.encode() for name in names] + [Path(where, name).read_bytes() for name in names]
    return b"\n".join(found)
