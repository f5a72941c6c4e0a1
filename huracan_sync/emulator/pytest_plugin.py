"""For pytest: the fixture `dropbox_emulator`, a local Dropbox with a fresh account for every test.

Ask for it in the top conftest.py, `pytest_plugins = ["huracan_sync.emulator.pytest_plugin"]`, or on the command line,
`pytest -p huracan_sync.emulator.pytest_plugin`:

    def test_upload(dropbox_emulator):
        token = dropbox_emulator.token()["access_token"]
        ... POST dropbox_emulator.url + "/2/files/upload" ...
        assert dropbox_emulator.log()["requests"] == {"files/upload": 1}

One server runs for the whole session, in a process of its own; between tests it forgets everything. `dropbox` is
another name of the same fixture; a test that takes it cannot use the official SDK's `dropbox` by that name.
"""

from collections.abc import Iterator

import pytest

from huracan_sync.emulator.running import Emulator


@pytest.fixture(scope="session")
def dropbox_server() -> Iterator[Emulator]:
    """The emulator of this session. Tests use `dropbox_emulator`, which is the same one, made fresh."""
    with Emulator.start("--port", "0") as emulator:
        yield emulator


@pytest.fixture
def dropbox_emulator(dropbox_server: Emulator) -> Emulator:
    """A local Dropbox: fresh account, default apps, no faults, empty log, the clock set right."""
    dropbox_server.reset()
    return dropbox_server


# The function has another name, so that no module that imports it loses its `import dropbox`.
@pytest.fixture(name="dropbox")
def _dropbox(dropbox_emulator: Emulator) -> Emulator:
    """The same as `dropbox_emulator`."""
    return dropbox_emulator
