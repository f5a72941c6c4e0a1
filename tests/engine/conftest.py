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


@pytest.fixture
def logged_in(world, tmp_path, monkeypatch):
    """A machine where somebody has authorized once: a refresh token is delivered, none is pasted."""
    tokens = world.dropbox.token(["files.metadata.read", "files.content.read", "files.content.write"])
    secret = tmp_path / "refresh-token"
    secret.write_text(tokens["refresh_token"])
    secret.chmod(0o400)
    monkeypatch.setenv("HURACAN_REFRESH_TOKEN_FILE", str(secret))
    monkeypatch.setenv("HURACAN_APP_KEY", tokens["app_key"])
    return world
