"""Every knob, where it may be said, and who wins."""

import pytest
from expecting import raises

from huracan_sync.engine.settings import KINDS, PRESETS, Settings, layout_kind, load, login_of
from huracan_sync.errors import ConfigError, HostilePath, UsageError
from huracan_sync.secret import Secret

FILE = b"""
app_folder = "FromFile"
sync_interval_logs_seconds = 111
[dropbox]
sync_models = false
"""


def test_the_defaults_are_the_documented_ones():
    settings = load()
    assert settings.enabled
    assert settings.app_folder == "Runpodhuracan"
    assert settings.restore_data_cache_on_startup
    assert {kind: settings.interval(kind) for kind in ("learning", "logs", "models", "data_cache")} == {
        "learning": 300,
        "logs": 300,
        "models": 1800,
        "data_cache": 7200,
    }
    assert settings.folder("learning") == "logs/learning"
    assert settings.folder("data_cache") == "data/candles"
    assert settings.access_token is None
    assert settings.disabled() == ()
    assert [layout_kind(kind) for kind in KINDS if layout_kind(kind) != kind] == ["candles"]


def test_arguments_win_over_environment_over_file_over_defaults():
    environment = {"DROPBOX__APP_FOLDER": "FromEnv", "DROPBOX__SYNC_INTERVAL_LEARNING_SECONDS": "60"}
    settings = load(arguments={"app_folder": "FromArg", "preset": None}, environment=environment, file=FILE)
    assert settings.app_folder == "FromArg"
    assert settings.interval("learning") == 60
    assert settings.interval("logs") == 111
    assert settings.interval("models") == 0
    assert settings.origins == {
        "app_folder": "argument",
        "sync_interval_learning_seconds": "DROPBOX__SYNC_INTERVAL_LEARNING_SECONDS",
        "sync_interval_logs_seconds": "huracan-sync.toml",
        "sync_models": "huracan-sync.toml",
    }
    assert load(environment=environment, file=FILE).app_folder == "FromEnv"
    assert load(file=FILE).app_folder == "FromFile"


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_sets_what_was_not_said(preset):
    settings = load(arguments={"preset": preset}, environment={"DROPBOX__SYNC_INTERVAL_LOGS_SECONDS": "7"})
    assert settings.interval("logs") == 7
    assert settings.interval("models") == PRESETS[preset]["models"]
    assert settings.interval("reports") == 7  # as often as the logs
    assert settings.interval("config") == PRESETS[preset]["models"]


@pytest.mark.parametrize("seconds", ["0", "-5", "0.0"])
def test_an_interval_of_nothing_disables(seconds):
    settings = load(environment={"DROPBOX__SYNC_INTERVAL_DATA_CACHE_SECONDS": seconds})
    assert settings.interval("data_cache") == 0
    assert settings.disabled() == ("data_cache",)


def test_disabled_is_disabled_altogether():
    assert load(environment={"DROPBOX__ENABLED": "false"}).disabled() == KINDS


@pytest.mark.parametrize(
    ("said", "near"),
    [
        ({"arguments": {"sync_interval_log_seconds": 1}}, "sync_interval_logs_seconds"),
        ({"environment": {"DROPBOX__APPFOLDER": "x"}}, "app_folder"),
        ({"environment": {"HURACAN_SYNC_INTERVAL_LOGS_SECONDS": "1"}}, "DROPBOX__SYNC_INTERVAL_LOGS_SECONDS"),
        ({"file": b"sinc_logs = true"}, "sync_logs"),
        ({"file": b"[dropbox]\nrestore_data_cache_at_startup = true"}, "restore_data_cache_on_startup"),
        ({"file": b"origins = 1"}, ""),
    ],
)
def test_an_unknown_name_is_an_error_that_names_the_nearest(said, near):
    with raises("UNKNOWN_SETTING") as caught:
        load(**said)
    assert near in caught.value.hint


def test_the_environment_is_shared_with_others():
    others = """HURACAN_SYNC_HOME HURACAN_SYNC_API HURACAN_SYNC_CA HURACAN_APP_KEY HURACAN_REFRESH_TOKEN_FILE
    HURACAN_ENV HURACAN_VAULT_KEY_FILE HURACAN_SIGNING_KEY_FILE HURACAN_ACCESS_TOKEN_FILE HURACAN_VENV HURACAN_SHARED
    DROPBOX_APP_KEY HURACAN_DROPBOX_REFRESH_TOKEN PATH"""
    assert load(environment=dict.fromkeys(others.split(), "whatever")) == load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enabled", "maybe"),
        ("sync_logs", 2),
        ("sync_interval_logs_seconds", "soon"),
        ("sync_interval_logs_seconds", float("nan")),
        ("sync_interval_logs_seconds", "inf"),
        ("sync_interval_logs_seconds", True),
        ("sync_interval_logs_seconds", 1e300),
        ("preset", "prodction"),
        ("app_folder", 5),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_what_is_wanted(name, value):
    with pytest.raises(ConfigError) as caught:
        load(arguments={name: value})
    assert name in str(caught.value) or "preset" in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["a/../b", "a\x00b", "a//b"])
def test_an_app_folder_is_a_name(name):
    with pytest.raises(HostilePath):
        load(arguments={"app_folder": name})


@pytest.mark.parametrize(
    "content", [b"not toml", b"\xff\xfe", b"app_folder = 'a'\n[dropbox]\napp_folder = 'b'", b"dropbox = 3"]
)
def test_a_file_that_cannot_be_read_is_said_to_be_so(content):
    with pytest.raises(ConfigError, match=r"mine\.toml"):
        load(file=content, file_name="mine.toml")


def test_no_file_holds_a_token():
    token = "sl." + "a" * 200
    with pytest.raises(ConfigError) as caught:
        load(file=f'access_token = "{token}"'.encode())
    assert token not in str(caught.value)
    assert load(file=b'access_token = "sl.keyring:night"').profile == "night"


def test_the_sentinel_names_a_profile_and_is_no_token():
    settings = load(environment={"DROPBOX_ACCESS_TOKEN": "sl.keyring:engine2"})
    assert (settings.profile, settings.access_token) == ("engine2", None)
    assert settings.origins["profile"] == "DROPBOX_ACCESS_TOKEN"
    assert load(arguments={"profile": "x"}, environment={"DROPBOX_ACCESS_TOKEN": "sl.keyring:y"}).profile == "x"
    with pytest.raises(UsageError):
        login_of(Secret("sl.keyring:../x"))


def test_a_pasted_token_is_a_secret():
    token = "sl." + "b" * 200
    settings = load(environment={"DROPBOX_ACCESS_TOKEN": f'"{token}"\n'})
    assert settings.access_token.reveal() == token
    assert token not in repr(settings)
    assert load(environment={"DROPBOX_ACCESS_TOKEN": ""}).access_token is None


def test_a_setting_reaches_the_layout():
    settings = load(environment={"HURACAN_APP_FOLDER": "Other"})
    assert settings.layout.place("logs/x", "2025-11-14") == "/Other/2025-11-14/logs/x"


def test_settings_are_plain_values():
    assert Settings() == Settings()
    with pytest.raises(AttributeError):
        Settings().app_folder = "x"
