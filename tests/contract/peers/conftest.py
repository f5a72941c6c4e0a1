"""Other people's clients. They know only Dropbox's own addresses, so these tests run inside scripts/real_clients.py."""

import json
import os

import pytest
from peer_clients import Account

from huracan_sync.emulator.running import Emulator


@pytest.fixture(scope="session")
def dropbox_server():
    """The emulator that Dropbox's names lead to here, instead of one of this session's own."""
    ready = os.environ.get("DROPBOX_EMULATOR")
    if not ready:
        pytest.skip("Dropbox's names lead to Dropbox here; run: bash scripts/test_peers.sh")
    emulator = Emulator(json.loads(ready))
    yield emulator
    emulator.stop()  # its connection; the process is not ours


@pytest.fixture
def account(dropbox):
    return Account(dropbox)
