"""Which login a verb takes where none is named."""

import os

import command_line
import pytest
from machines import Commands

from huracan_sync.auth import login_record
from huracan_sync.auth.credentials import Login
from huracan_sync.auth.keystore.store import open_store
from huracan_sync.remote.http import Endpoint

PIN = f"hz2:{'a' * 26}:SHA256:{'A' * 43}"
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
    return "hamilton" if "profile hamilton is logged in as" in out + err else "engine"


@pytest.mark.every_case
@pytest.mark.parametrize(
    "words",
    [("verify", "/Engine/x"), ("follow", "--once"), ("ls",), ("cat", "/x"), ("doctor",), ("keys", "trust", PIN)],
)
def test_a_reading_verb_takes_the_only_login_here(env, tmp_path, words):
    log_in(env, tmp_path, "hamilton")
    assert whose(env, *words) == "hamilton"


def test_a_writing_verb_and_a_named_profile_are_left_alone(env, tmp_path):
    log_in(env, tmp_path, "hamilton")
    assert whose(env, "push", str(tmp_path), "/x") == "engine"
    assert whose(env, "ls", "--profile", "engine") == "engine"
    assert whose(env, "ls", HURACAN_PROFILE="engine") == "engine"


def test_a_file_that_names_no_profile_changes_nothing(env, tmp_path):
    log_in(env, tmp_path, "hamilton")
    file = tmp_path / "c.toml"
    file.write_text('app_folder = "Engine"\n')
    assert whose(env, "ls", "--config", str(file)) == "hamilton"
    assert whose(env, "ls", "--config", str(file), HURACAN_PROFILE="engine") == "engine"


@pytest.mark.every_case
@pytest.mark.parametrize("words", [("run", "--once"), ("migrate",), ("push", ".", "/x")])
def test_a_writing_verb_takes_the_profile_of_the_environment(env, tmp_path, words):
    _, _, err = command_line.run(words, env=env | {"HURACAN_PROFILE": "night"}, cwd=tmp_path)
    assert "under profile night" in err


def test_with_both_logins_the_engine_is_the_default(env, tmp_path):
    log_in(env, tmp_path, "hamilton", "engine")
    assert whose(env, "ls") == "engine"


@pytest.mark.every_case
@pytest.mark.parametrize("words", [("verify", "/Engine/x"), ("follow", "--once"), ("keys", "trust", PIN)])
def test_where_nobody_is_logged_in_a_reader_s_verb_names_the_reader_s_login_too(env, words):
    _, _, err = command_line.run(words, env=env)
    assert "run `huracan-sync authorize`; on a machine that only reads, `huracan-sync authorize --read-only`" in err


def test_a_hint_to_pin_names_the_profile_that_lacks_the_pin(dropbox, tmp_path):
    reads = {"scopes": SCOPES, "app_key": dropbox.read_only_app_key, "profile": "hamilton"}
    hamilton = Commands(dropbox, tmp_path / "hamilton", **reads)
    hint = hamilton.run("follow", "--once", code=78)["hint"]
    assert hint.startswith("run `huracan-sync keys trust PIN --profile hamilton` with the pin that `keys show` prints")


@pytest.mark.parametrize("words", [("push", ".", "/x"), ("put", "f", "/x"), ("migrate",), ("run", "--once")])
def test_nothing_advises_a_writing_login_where_only_a_reader_is_logged_in(env, tmp_path, words):
    log_in(env, tmp_path, "hamilton")
    (tmp_path / "f").write_text("f")
    code, _, err = command_line.run(words, env=env, cwd=tmp_path)
    assert (code, "authorize" in err) == (77, False), err
    assert "only profile hamilton is logged in here, to read; write from the engine's machine" in err
    assert "run `huracan-sync authorize`" in command_line.run([*words, "--profile", "engine"], env=env, cwd=tmp_path)[2]
