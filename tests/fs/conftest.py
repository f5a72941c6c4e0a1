import importlib.util

import pytest

collect_ignore_glob = [] if importlib.util.find_spec("fsspec") else ["test_*.py"]


def pytest_collection_modifyitems(items):
    """The default run takes every fourth row of fsspec's tables of patterns; `-m slow` runs the others."""
    rows = [item for item in items if "glob_edge_cases" in item.nodeid]
    for number, item in enumerate(rows):
        if number % 4:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def environment(dropbox, tmp_path, monkeypatch):
    """This process talks to the emulator and keeps its state in a folder of the test."""
    for name, value in dropbox.env(tmp_path / "home").items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def dropbox_fs(dropbox, environment):
    """A filesystem on a fresh account."""
    from huracan_sync.fs import DropboxFileSystem

    return DropboxFileSystem(token=dropbox.token()["access_token"], skip_instance_cache=True)


@pytest.fixture
def requests(dropbox):
    """How many requests the block of a test cost: `with requests() as count: ...; assert count.total == 3`."""
    return lambda: Requests(dropbox)


class Requests:
    """Counts requests between entering and leaving."""

    def __init__(self, dropbox):
        self._dropbox = dropbox
        self.by_route = {}

    def __enter__(self):
        self._before = dict(self._dropbox.log()["requests"])
        return self

    def __exit__(self, *_):
        after = self._dropbox.log()["requests"]
        self.by_route = {
            route: count - self._before.get(route, 0)
            for route, count in after.items()
            if count != self._before.get(route, 0) and not route.startswith("oauth2")
        }

    @property
    def total(self):
        return sum(self.by_route.values())
