"""By no door does a token of Dropbox reach the address of an emulator: not one byte is sent there."""

import contextlib
import socket
import threading

import msgspec
import pytest
from login_people import FULL

from huracan_sync.auth.connect import connect, connect_lent
from huracan_sync.cli import main
from huracan_sync.engine import DropboxSync
from huracan_sync.errors import HuracanError
from huracan_sync.fs.dropbox_fs import DropboxFileSystem
from huracan_sync.fs.snapshot_fs import SnapshotFileSystem
from huracan_sync.hamilton import Hamilton
from huracan_sync.operations.stage import stage
from huracan_sync.remote.stat import metadata
from huracan_sync.secret import Secret

ACCESS = "sl.u.AFq3canary_of_a_real_access_token_" + "x" * 120
REFRESH = "canary_of_a_real_refresh_token_0123456789abcdefghijklmnopqrstuvwx"


class Listener:
    """Whoever listens at the address of the emulator, and keeps what it is sent."""

    def __init__(self):
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self.heard = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        with contextlib.suppress(OSError):
            while True:
                wire, _ = self._server.accept()
                with wire:
                    self.heard.append(wire.recv(65536))

    def close(self):
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()


@pytest.fixture
def listener(tmp_path, monkeypatch):
    listener = Listener()
    monkeypatch.setenv("HURACAN_SYNC_API", listener.url)
    monkeypatch.setenv("HURACAN_SYNC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HURACAN_APP_KEY", "an-app-key")
    yield listener
    listener.close()


@pytest.fixture
def delivered(tmp_path_factory, monkeypatch):
    """A real refresh token, delivered as to a pod."""
    file = tmp_path_factory.mktemp("delivered") / "refresh"
    file.write_text(REFRESH)
    file.chmod(0o600)
    monkeypatch.setenv("HURACAN_REFRESH_TOKEN_FILE", str(file))


def refused(listener, act):
    with pytest.raises((HuracanError, OSError), match="this token belongs to Dropbox and is not sent to an emulator"):
        act()
    assert listener.heard == []


@pytest.mark.parametrize(
    "act",
    [
        lambda: connect(access_token=Secret(ACCESS)),
        lambda: DropboxSync(ACCESS),
        lambda: DropboxFileSystem(token=ACCESS, skip_instance_cache=True).ls("/Engine"),
        lambda: DropboxFileSystem(token=Secret(ACCESS), skip_instance_cache=True).cat("/Engine/x"),
    ],
    ids=["connect", "DropboxSync", "dropbox://", "dropbox:// with a Secret"],
)
def test_threat_34_an_access_token_that_is_given(listener, act):
    refused(listener, act)


@pytest.mark.usefixtures("delivered")
@pytest.mark.parametrize(
    "act",
    [
        lambda: metadata(connect(), "/Engine"),
        lambda: Hamilton.open("hamilton").pin("x" * 52),
        lambda: Hamilton.open("hamilton").latest(),
        lambda: DropboxFileSystem(skip_instance_cache=True).ls("/Engine"),
        lambda: SnapshotFileSystem("champions", skip_instance_cache=True).ls(""),
        lambda: connect().lend(),
        lambda: connect().sdk().files_list_folder(""),
    ],
    ids=["connect", "Hamilton.pin", "Hamilton.latest", "dropbox://", "huracan://", "lend", "the SDK"],
)
def test_threat_34_a_refresh_token_that_was_delivered(listener, act):
    with contextlib.suppress(
        HuracanError, OSError
    ):  # nothing is pinned here: that may be said before any token is looked for
        act()
    assert listener.heard == []


@pytest.mark.usefixtures("delivered")
@pytest.mark.parametrize(
    "words",
    [
        ["push", "{}", "/Engine/data"],
        ["restore", "/Engine/data", "{}"],
        ["verify", "{}"],
        ["publish", "champions"],
        ["ls", "/Engine"],
        ["status"],
        ["doctor"],
        ["token"],
        ["logout"],
    ],
    ids=lambda words: words[0],
)
def test_threat_34_a_command(listener, words, tmp_path, capsys):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x").write_text("1")
    main([word.replace("{}", str(tmp_path / "data")) for word in words])
    assert not any(REFRESH.encode() in heard for heard in listener.heard)
    assert REFRESH not in "".join(capsys.readouterr())


def test_threat_34_a_grant_of_a_real_login(listener, dropbox, home, tmp_path):
    own = tmp_path / "own"
    own.write_text(dropbox.token(list(FULL))["refresh_token"])
    own.chmod(0o600)
    env = dropbox.env(home) | {"HURACAN_REFRESH_TOKEN_FILE": str(own), "HURACAN_APP_KEY": dropbox.app_key}
    lent = connect(env=env).lend()
    own.unlink()
    endpoint = msgspec.structs.replace(lent.endpoint, api=listener.url, content=listener.url)
    grant = msgspec.structs.replace(lent, token=Secret(ACCESS), endpoint=endpoint)
    refused(listener, lambda: connect_lent(grant))
    refused(listener, lambda: stage(grant, {b"content": "Engine/x"}))
    refused(listener, lambda: DropboxFileSystem(grant=grant, skip_instance_cache=True).ls("/Engine"))
