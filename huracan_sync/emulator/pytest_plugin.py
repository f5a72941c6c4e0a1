"""For pytest: the fixture `dropbox`, a local Dropbox with a fresh account for every test.

    def test_upload(dropbox):
        token = dropbox.token()["access_token"]
        ... POST dropbox.url + "/2/files/upload" ...
        assert dropbox.log()["requests"] == {"files/upload": 1}

One server runs for the whole session, in a process of its own; between tests it forgets everything.
"""

from collections.abc import Iterator

import pytest

from huracan_sync.emulator.running import Emulator


@pytest.fixture(scope="session")
def dropbox_server() -> Iterator[Emulator]:
    """The emulator of this session. Tests use `dropbox`, which is the same one, made fresh."""
    with Emulator.start("--port", "0") as emulator:
        yield emulator


@pytest.fixture
def dropbox(dropbox_server: Emulator) -> Emulator:
    """A local Dropbox: fresh account, default apps, no faults, empty log, the clock set right."""
    dropbox_server.reset()
    return dropbox_server
