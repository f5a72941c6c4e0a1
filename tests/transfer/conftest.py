"""A local folder, a local Dropbox, and our verbs between them."""

import pytest
from transfer_world import World


@pytest.fixture
def world(dropbox, tmp_path):
    return World(dropbox, tmp_path)
