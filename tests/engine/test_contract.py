"""What callers of `DropboxSync` rely on, frozen: names, arguments, defaults, what a disabled or broken one answers."""

import inspect
import pickle
import subprocess
import sys
from datetime import date

import dropbox as official
import pytest
from structlog.testing import capture_logs

from huracan_sync import DropboxSync, engine
from huracan_sync.errors import HostilePath, NotAuthorized, UsageError

SIGNATURES = {
    "__init__": "access_token=None, app_folder='Runpodhuracan', enabled=True, create_dated_folder=True",
    "upload_file": "local_path, remote_path, overwrite=True, use_dated_folder=True",
    "sync_directory": "local_dir, remote_dir, pattern='*', recursive=True, use_dated_folder=True",
    "upload_logs": "logs_dir='logs', use_dated_folder=True",
    "upload_models": "models_dir='models'",
    "upload_monitoring_data": "monitoring_dir='logs'",
    "upload_reports": "reports_dir='reports'",
    "upload_exports": "exports_dir='exports'",
    "upload_configs": "config_dir='config'",
    "upload_data_cache": "data_cache_dir='data/candles', use_dated_folder=False, organize_by_symbol=True",
    "restore_data_cache": "data_cache_dir='data/candles', remote_dir=None, use_latest_dated_folder=False",
    "sync_all": "logs_dir='logs', models_dir='models', monitoring_dir='logs', learning_dir='logs/learning', "
    "data_cache_dir='data/candles', reports_dir='reports', config_dir='config', exports_dir='exports'",
    "list_files": "remote_dir='/'",
    "write_text": "remote_path, text_content, use_dated_folder=False, overwrite=True",
    "export_coin_results": "symbol, run_date, model_path=None, metrics_path=None, costs_path=None, features_path=None, "
    "candle_data_path=None, additional_files=None, use_organized_structure=True",
    "export_hamilton_roster": "roster_path, overwrite=True",
    "export_hamilton_champion": "champion_path, overwrite=True",
    "upload_champion_model": "symbol, model_path, archive_previous=True, overwrite=True",
    "upload_hamilton_config": "symbol, config_path, overwrite=True",
    "set_active_model": "symbol, model_id, overwrite=True",
    "get_active_model": "symbol",
    "upload_training_artifact": "symbol, run_date, artifact_path, artifact_type='model', overwrite=True",
    "upload_candle_data": "symbol, candle_path, overwrite=True",
    "list_hamilton_roster": "",
    "list_champion_models": "",
    "_normalize_path": "path, use_dated_folder=True",
    "_create_dated_folder": "",
}


@pytest.mark.parametrize(("name", "expected"), SIGNATURES.items())
def test_every_argument_and_default_is_as_callers_know_it(name, expected):
    found = inspect.signature(getattr(DropboxSync, name)).parameters.values()
    positional = [p for p in found if p.name != "self" and p.kind is p.POSITIONAL_OR_KEYWORD]
    spelled = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in positional]
    assert ", ".join(spelled) == expected
    added = [p for p in found if p.kind is p.KEYWORD_ONLY]
    assert all(p.default is not p.empty for p in added)  # what was added since can be left out


def test_the_private_members_callers_use(machine):
    sync = machine.sync()
    assert sync._enabled is True
    assert sync._app_folder == "Runpodhuracan"
    assert sync._dated_folder == "/Runpodhuracan/2025-11-14"
    assert sync._access_token.startswith("sl.")
    assert sync._normalize_path("logs/x") == "/Runpodhuracan/2025-11-14/logs/x"
    assert sync._create_dated_folder() == "/Runpodhuracan/2025-11-14"
    assert isinstance(sync._dbx, official.Dropbox)
    assert machine.sync(create_dated_folder=False)._dated_folder == ""
    assert engine.DROPBOX_AVAILABLE is True


def test_the_raw_client_speaks_the_official_language(machine):
    sync = machine.sync()
    machine.stranger.write("/Runpodhuracan/2025-11-14/logs/a.log", b"hello")
    meta, response = sync._dbx.files_download("/Runpodhuracan/2025-11-14/logs/a.log")
    assert response.content == b"hello"
    assert isinstance(meta, official.files.FileMetadata)
    assert (meta.size, meta.name, meta.path_lower) == (5, "a.log", "/runpodhuracan/2025-11-14/logs/a.log")
    assert meta.path_display == "/Runpodhuracan/2025-11-14/logs/a.log"
    with pytest.raises(official.exceptions.ApiError):
        sync._dbx.files_get_metadata("/Runpodhuracan/nothing")
    page = sync._dbx.files_list_folder("/Runpodhuracan/2025-11-14/logs")
    assert sync._dbx.files_list_folder_continue(page.cursor).entries == []
    sync._dbx.files_create_folder_v2("/Runpodhuracan/new")
    sync._dbx.files_copy_v2(meta.path_display, "/Runpodhuracan/new/b.log")
    sync._dbx.files_move_v2("/Runpodhuracan/new/b.log", "/Runpodhuracan/new/c.log")
    sync._dbx.files_delete_v2("/Runpodhuracan/new/c.log")
    assert machine.stranger.paths() == ["/Runpodhuracan/2025-11-14/logs/a.log"]


def test_a_disabled_one_does_nothing_and_has_nothing():
    with capture_logs() as events:
        sync = DropboxSync("whatever it is", enabled=False)
    assert [event["event"] for event in events] == ["dropbox_sync_disabled"]
    assert vars(sync) == {"_enabled": False}
    assert not hasattr(sync, "_dbx")
    assert not hasattr(sync, "_dated_folder")
    assert sync.upload_file("a", "b") is False
    assert sync.write_text("a", "b") is False
    assert (sync.sync_directory("a", "b"), sync.upload_logs(), sync.restore_data_cache()) == (0, 0, 0)
    assert sync.upload_data_cache() == 0
    assert sync.list_files() == sync.list_champion_models() == sync.pending == []
    assert sync.export_coin_results("BTC/USDT", date(2025, 11, 14), model_path="x") == {}
    assert sync.get_active_model("BTC/USDT") is None
    assert sync.list_hamilton_roster() is None
    assert sync.set_active_model("BTC/USDT", "x") is False
    assert sync.upload_champion_model("BTC/USDT", "x") is False
    assert sync.export_hamilton_roster("x") is sync.export_hamilton_champion("x") is False
    assert sync.upload_hamilton_config("BTC/USDT", "x") is False
    assert sync.upload_training_artifact("BTC/USDT", date(2025, 11, 14), "x") is False
    assert sync.upload_candle_data("BTC/USDT", "x") is False
    assert sync._create_dated_folder() == ""
    assert sync.publish_champions() is False
    assert sync.last_error is None
    with capture_logs() as events:
        assert sync.set_active_model("BTC/USDT", "x") is False
    assert [event["event"] for event in events] == ["dropbox_not_enabled"]


@pytest.mark.parametrize("setting", [None, "", "sl.keyring:engine", ' "sl.keyring:engine"\n'])
def test_stored_credentials_need_no_token_and_no_network(machine, setting):
    machine.clear_log()
    sync = DropboxSync(setting)
    assert sync._access_token == "sl.keyring:engine"
    assert sync._access_token.startswith("sl.")  # callers ask
    assert machine.count() == 0
    assert not machine.home.exists()
    with capture_logs() as events:
        assert sync.upload_logs() == 0  # no folder: said, without asking anybody
        assert sync.list_files() == []
    assert [event["event"] for event in events] == ["directory_not_found", "list_files_failed"]
    assert isinstance(sync.last_error, NotAuthorized)
    assert "authorize" in events[1]["hint"]


@pytest.mark.parametrize(
    ("token", "event"),
    [("not a token at all", "dropbox_token_invalid_format"), ("sl.short", "dropbox_token_too_short")],
)
def test_what_is_no_token_is_refused_without_being_shown(token, event):
    with capture_logs() as events, pytest.raises(ValueError, match="token") as caught:
        DropboxSync(token)
    assert event in [e["event"] for e in events]
    assert token.replace(" ", "") not in str(caught.value)
    assert token not in repr(events)


def test_a_pasted_token_is_checked_at_once(machine):
    machine.clear_log()
    with capture_logs() as events:
        sync = DropboxSync(machine.token())
    assert machine.requests() == {"files/list_folder": 1}
    names = [event["event"] for event in events]
    assert "dropbox_token_received" in names
    assert names[-1] == "dropbox_sync_initialized"
    assert sync.list_files() == []
    assert machine.stranger.paths() == machine.stranger.entries("folder") == []  # looking writes nothing


@pytest.mark.parametrize(("lifetime", "event"), [(0, "dropbox_token_expired"), (None, "dropbox_token_invalid")])
def test_a_dead_token_raises_what_callers_catch(machine, lifetime, event):
    token = machine.token(expires_in=0) if lifetime == 0 else "sl.emulator." + "A" * 120
    with capture_logs() as events, pytest.raises(official.exceptions.AuthError) as caught:
        DropboxSync(token)
    assert isinstance(caught.value, NotAuthorized)
    assert caught.value.error.is_expired_access_token() == (lifetime == 0)
    assert events[-1]["event"] == event
    assert token not in repr(events) + str(caught.value) + repr(caught.value)


FORBIDDING = """
import sys
from huracan_sync import DropboxSync

def forbid(event, arguments):
    if event.startswith("socket.") or event in {"os.mkdir", "os.rename", "os.remove", "os.truncate", "os.chmod"}:
        raise AssertionError(f"{event} {arguments}")
    if event == "open" and (set(arguments[1] or "") & set("wax+") or (arguments[2] or 0) & 0o3):
        raise AssertionError(f"writes {arguments}")

sys.addaudithook(forbid)
sync = DropboxSync(app_folder="Runpodhuracan")
sync._dated_folder, sync._app_folder, sync._enabled, sync._access_token, sync._normalize_path("logs/x"), sync.last_error
print("made")
"""


def test_making_one_opens_no_socket_and_writes_nothing(machine):
    words = [sys.executable, "-B", "-W", "error", "-c", FORBIDDING]
    done = subprocess.run(words, env=machine.env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "made"), done.stderr
    assert not machine.home.exists()


def test_importing_needs_neither_network_nor_the_official_client():
    program = "import sys, huracan_sync.engine as e; sys.exit('dropbox' in sys.modules or 'requests' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_worker_gets_its_own(machine):
    sync = pickle.loads(pickle.dumps(DropboxSync(None, "Other", create_dated_folder=False)))  # noqa: S301
    assert (sync._app_folder, sync._dated_folder, sync._access_token) == ("Other", "", "sl.keyring:engine")
    assert pickle.loads(pickle.dumps(DropboxSync(enabled=False)))._enabled is False  # noqa: S301
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(DropboxSync(machine.token()))
    with pytest.raises(UsageError, match="cannot be sent") as caught:
        pickle.dumps(machine.sync().context.remote)
    assert "connect(" in caught.value.hint


def test_an_impossible_app_folder_is_refused_at_once(machine):
    with pytest.raises(HostilePath):
        DropboxSync(app_folder="a/../b")


def test_strict_raises_what_is_otherwise_false(machine, monkeypatch):
    monkeypatch.setenv("HURACAN_SYNC_STRICT", "1")
    sync = DropboxSync()
    with pytest.raises(official.exceptions.AuthError):
        sync.list_files()
    with pytest.raises(HostilePath):
        sync.write_text("a/../b", "x")
