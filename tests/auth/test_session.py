"""Where the state of this machine lies, and what happens where there is no place for it."""

from pathlib import Path

import pytest
from root_powers import without_root_powers

from huracan_sync.auth import login_record
from huracan_sync.auth.session import home_of
from huracan_sync.disk.private_folder import Folder
from huracan_sync.errors import ConfigError, LocalFailure


def test_a_named_home(tmp_path):
    assert home_of({"HURACAN_SYNC_HOME": str(tmp_path)}) == tmp_path


@pytest.mark.parametrize("env", [{"HURACAN_SYNC_HOME": "~no-such-user/x"}])
def test_no_home_is_said(env):
    with pytest.raises(ConfigError, match="no folder for the state") as caught:
        home_of(env)
    assert "HURACAN_SYNC_HOME" in caught.value.hint


def test_no_home_at_all_is_said(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("platformdirs.user_state_path", fail)
    with pytest.raises(ConfigError, match="Could not determine"):
        home_of({})


def test_the_state_of_another_user_is_said(tmp_path):
    folder = Path(tmp_path, "auth")
    folder.mkdir(mode=0)
    with without_root_powers(), pytest.raises(LocalFailure, match="cannot be read"):
        login_record.profiles(Folder(folder), "dropbox")
    folder.chmod(0o700)
    assert login_record.profiles(Folder(folder / "none"), "dropbox") == []
