"""What this machine keeps is ours alone, whatever the umask says."""

import os
import stat

import pytest
from publishing_machine import Publisher

from huracan_sync.engine.outbox import Outbox, QueuedWrite


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_every_state_file_has_its_rights_under_any_umask(umask, dropbox, tmp_path, clock):
    tmp_path.chmod(0o700)
    publisher = Publisher(dropbox, tmp_path / "engine", clock=clock)
    os.umask(umask)
    publisher.home = tmp_path / "far" / "away" / "home"
    publisher.roots().begin()
    publisher.write({"a.json": b"{}"})
    publisher.push()
    publisher.publish("/Engine/data")
    publisher.restore("/Engine/data", tmp_path / "back", channel="data")
    publisher.reader().latest("data").read("data/a.json")
    Outbox(publisher.home).put(QueuedWrite(remote="/x", service="emulator", queued=1.0), b"1")
    assert {path.name for path in publisher.home.iterdir()} >= {"journal.db", "locks", "outbox", "statements", "trust"}
    for path in [publisher.home, *publisher.home.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert not mode & 0o077, (path, oct(mode))
        assert mode & 0o400, (path, oct(mode))
        assert not path.is_dir() or mode == 0o700, (path, oct(mode))
