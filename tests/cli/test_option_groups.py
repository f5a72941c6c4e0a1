"""Options that several verbs share: what the settings say together, whose login it is, and what a person is asked."""

import argparse
from types import SimpleNamespace

import pytest

from huracan_sync.cli import settings_options
from huracan_sync.cli.login_options import add_arguments, passphrase_of
from huracan_sync.errors import ConfigError, UsageError, VaultRefused


def settings(*words, env=(), config=None, profile=None):
    parser = argparse.ArgumentParser()
    settings_options.add_arguments(parser)
    options = parser.parse_args(words)
    options.config, options.profile = config, profile
    return settings_options.settings_of(options, SimpleNamespace(env=dict(env)))


def test_an_option_wins_over_the_environment_and_that_over_the_file(tmp_path):
    file = tmp_path / "huracan-sync.toml"
    file.write_text("sync_interval_logs_seconds = 10\nsync_interval_models_seconds = 11\n")
    env = {"DROPBOX__SYNC_INTERVAL_LOGS_SECONDS": "20"}
    assert settings(config=file).sync_interval_logs_seconds == 10
    assert settings(config=file, env=env).sync_interval_logs_seconds == 20
    said = settings("--set", " sync_interval_logs_seconds = 30 ", config=file, env=env)
    assert (said.sync_interval_logs_seconds, said.sync_interval_models_seconds) == (30, 11)


def test_a_profile_and_a_preset_are_options_of_their_own():
    assert settings("--set", "profile=other").profile == "other"
    assert settings("--set", "profile=other", profile="mine").profile == "mine"
    with pytest.raises(ConfigError):
        settings("--preset", "nobody")


@pytest.mark.parametrize(
    ("words", "why"),
    [(["--set", "x"], "--set 'x' sets nothing"), (["--set", "access_token=sl.x"], "a token is no option")],
)
def test_what_no_setting_can_be(words, why):
    with pytest.raises(UsageError, match=why):
        settings(*words)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"--config .*none.toml cannot be read: No such file") as caught:
        settings(config=tmp_path / "none.toml")
    assert caught.value.facts["path"] == str(tmp_path / "none.toml")


def options(*words, **how):
    parser = argparse.ArgumentParser()
    add_arguments(parser, **how)
    return vars(parser.parse_args(words))


def test_what_an_outer_parser_said_stays_unless_it_is_said_again():
    assert options() == {"token_fd": None, "vault_key_fd": None, "vault_key_command": None}
    assert options(inner=True) == {}
    assert options("--vault-key-fd", "3", token=False) == {"vault_key_fd": 3, "vault_key_command": None}


LONG = "correct horse battery staple"


def asked(home, *answers):
    """What is asked, and what comes of these answers."""
    questions, given = [], iter(answers)

    def ask(question):
        questions.append(question)
        return next(given)

    return questions, passphrase_of(home, ask)


def test_for_a_vault_that_is_there_one_passphrase_is_asked_for(tmp_path):
    from huracan_sync.auth.keystore.store import FOLDER
    from huracan_sync.auth.keystore.vault import FILE

    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / FILE).write_bytes(b"")
    questions, passphrase = asked(tmp_path, "short")
    assert (passphrase(), questions) == ("short", ["Passphrase of the vault: "])


def test_for_a_new_vault_it_is_asked_for_twice(tmp_path, capsys):
    questions, passphrase = asked(tmp_path, LONG, LONG)
    assert (passphrase(), questions) == (LONG, ["New passphrase: ", "The same again: "])
    assert "There is no OS keyring here" in capsys.readouterr().err
    with pytest.raises(VaultRefused, match="the two passphrases differ") as caught:
        asked(tmp_path, LONG, f"{LONG}x")[1]()
    assert caught.value.code == "WEAK_VAULT_KEY"


def test_one_that_is_too_short_is_not_asked_for_again(tmp_path):
    questions, passphrase = asked(tmp_path, "x")
    assert (passphrase(), questions) == ("x", ["New passphrase: "])
