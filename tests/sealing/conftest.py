"""A machine that publishes, one that reads, and a local Dropbox between them."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "keys"))
sys.path.insert(0, str(Path(__file__).parent.parent / "transfer"))
sys.path.insert(0, str(Path(__file__).parent.parent / "reader"))

from keys_world import READ, Clock, Machine


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def engine(dropbox, tmp_path, clock):
    from sealing_world import Publisher

    machine = Publisher(dropbox, tmp_path / "engine", clock=clock)
    machine.roots().begin()
    return machine


@pytest.fixture
def hamilton(dropbox, tmp_path, clock, engine):
    machine = Machine(dropbox, tmp_path / "hamilton", scopes=READ, clock=clock)
    machine.reader().pin([engine.keys.signer().fingerprint])
    return machine
