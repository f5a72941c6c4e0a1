"""Which login a verb takes where none is named."""

import os

import command_line
import pytest

from huracan_sync.auth import login_record
from huracan_sync.auth.credentials import Login
from huracan_sync.auth.keystore.store import open_store
from huracan_sync.remote.http import Endpoint

SCOPES = ("files.metadata.read", "files.content.read")


@pytest.fixture
def env(dropbox, tmp_path):
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("HURACAN", "DROPBOX"))}
    return plain | dropbox.env(tmp_path / "home") | {"DBUS_SESSION_BUS_ADDRESS": ""}


def log_in(env, tmp_path, *profiles):
    namespace = Endpoint.from_environment(env).namespace
    store = open_store(tmp_path / "home", env)
    for profile in profiles:
        login = Login(namespace, profile, profile != "engine", "key", "dbid:x", SCOPES, 0)
        login_record.write(store.folder, login)


def whose(env, *words, **more):
    """The profile that the error of a login without its secret names."""
    _, out, err = command_line.run(words, env=env | more)
    return "hamilton" if "hamilton" in out + err else "engine"


@pytest.mark.every_case
@pytest.mark.parametrize("words", [("verify", "/Engine/x"), ("follow", "--once"), ("ls",), ("cat", "/x"), ("doctor",)])
def test_a_reading_verb_takes_the_only_login_here(env, tmp_path, words):
    log_in(env, tmp_path, "hamilton")
    assert whose(env, *words) == "hamilton"


def test_a_writing_verb_and_a_named_profile_are_left_alone(env, tmp_path):
    log_in(env, tmp_path, "hamilton")
    assert whose(env, "push", str(tmp_path), "/x") == "engine"
    assert whose(env, "ls", "--profile", "engine") == "engine"
    assert whose(env, "ls", HURACAN_PROFILE="engine") == "engine"


def test_with_both_logins_the_engine_is_the_default(env, tmp_path):
    log_in(env, tmp_path, "hamilton", "engine")
    assert whose(env, "ls") == "engine"
