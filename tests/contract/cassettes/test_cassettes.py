"""The client's conversations as they were recorded, replayed with no server: a changed request shows here first."""

import socket

import cassette_flows
import pytest
from cassette_flows import FLOWS, ONLY_EMULATED, Stage
from cassette_tools import CASSETTES, load, recorder, secrets_in
from vcr.errors import CannotOverwriteExistingCassetteException

from huracan_sync.remote import files

BY_NAME = {flow.__name__: flow for flow in FLOWS}


@pytest.fixture(autouse=True)
def _no_way_out(monkeypatch):
    def refuse(*_):
        raise AssertionError("a socket was opened")

    for way in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, way, refuse)


def replay(name, tmp_path):
    path = CASSETTES / f"{name}.yaml"
    kept = load(path)
    with recorder("none").use_cassette(str(path)) as cassette:
        came = BY_NAME[name](Stage(tmp_path, kept["facts"]))
    return came, kept["came"], cassette


@pytest.mark.parametrize("name", BY_NAME)
def test_the_same_is_sent_and_comes_of_it(name, tmp_path):
    came, before, cassette = replay(name, tmp_path)
    assert came == before
    assert cassette.all_played, "something is not asked any more"


def test_a_changed_request_fails_and_shows_the_difference(tmp_path, monkeypatch):
    monkeypatch.setattr(files.Commit, "__init__", files.Commit.__init__)
    commit_of = files.commit_of
    monkeypatch.setattr(
        "huracan_sync.transfer.upload_item.files.commit_of",
        lambda path, modified, *, replaces_rev: commit_of(path + "x", modified, replaces_rev=replaces_rev),
    )
    with pytest.raises(CannotOverwriteExistingCassetteException) as refused:
        replay("push_small", tmp_path)
    assert "finish_batch_v2" in str(refused.value)
    assert "größe 0.jsonx" in str(refused.value)


def test_there_is_a_cassette_for_every_flow_and_no_other():
    assert {path.stem for path in CASSETTES.glob("*.yaml")} == set(BY_NAME)


@pytest.mark.parametrize("name", BY_NAME)
def test_it_says_what_it_was_recorded_against_and_holds_no_secret(name):
    path = CASSETTES / f"{name}.yaml"
    text = path.read_text(encoding="utf-8")
    kept = load(path)
    against = kept["recorded_against"]
    assert against == "Dropbox" or against.startswith("huracan-sync emulator ")
    assert against != "Dropbox" or name not in ONLY_EMULATED
    assert text.startswith(f"# Recorded {kept['recorded']} against {against}, by scripts/record_cassettes.py: {name}.")
    assert secrets_in(text) == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Authorization: Bearer sl." + "u.AbCdEfGhIjKlMnOpQrStUv", ["an access token", "a bearer token"]),
        ('{"refresh_token": ' + '"abcdefghijklmnopqrstuvwxyz0123"}', ["a refresh token"]),
        ("grant_type=refresh_token&refresh_token=abcdefghijklmnopqrstuvwxyz", ["a refresh token"]),
        ("dbid:AAH4f99T0taONIb-OurWxbNQ6ywGRopQngc", ["an account"]),
        ("ada@example.com", ["an e-mail address"]),
        ("code_verifier=abc", ["a verifier"]),
        ("Bearer ACCESS-TOKEN-1-ACCESS refresh_token=REFRESH-TOKEN-REFRESH dbid:AAAAAAAAAAAAAAAAAAAAAAAAAAAA", []),
    ],
)
def test_secrets_are_known_when_seen(text, what):
    assert secrets_in(text) == what


def test_flows_send_nothing_of_this_machine():
    assert cassette_flows.ROOT not in {"", "/"}
