"""An engine's machine and a local Dropbox."""

import pytest
from engine_world import World


@pytest.fixture
def world(dropbox, tmp_path, monkeypatch):
    made = World(dropbox, tmp_path)
    for name, value in dropbox.env(made.home).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(made.work)
    return made
