"""A publisher of the files that a test module names in `FILES`, and the snapshot that a reader takes of them."""

import pytest
from reader_world import World


@pytest.fixture
def world(request, tmp_path):
    made = World(tmp_path, keep_set=0)
    made.publish(request.module.FILES)
    return made


@pytest.fixture
def snapshot(world):
    taken = world.reader.latest("champions")
    world.peer.requests()
    return taken
