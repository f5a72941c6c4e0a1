"""Who signs and who reads, on a local Dropbox."""

import sys
from pathlib import Path

import pytest
from keys_world import READ, Clock, Commands, Machine

sys.path.insert(0, str(Path(__file__).parent.parent / "signed"))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def engine(dropbox, tmp_path, clock):
    return Machine(dropbox, tmp_path / "engine", key="sign.key", clock=clock)


@pytest.fixture
def hamilton(dropbox, tmp_path, clock):
    return Machine(dropbox, tmp_path / "hamilton", scopes=READ, clock=clock)


@pytest.fixture
def commands(dropbox, tmp_path):
    return Commands(dropbox, tmp_path / "commands", key="sign.key")
