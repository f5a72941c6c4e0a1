"""With --data, what was answered for is there after a kill."""

import os
import subprocess
import sys

import pytest
from emulator_client import Client

from huracan_sync.emulator.running import Emulator


@pytest.mark.slow
def test_everything_outlives_a_kill(tmp_path):
    large = os.urandom(5_000_000)
    with Emulator.start("--data", str(tmp_path)) as first:
        tokens = first.token()
        client = Client(first.url, tokens["access_token"])
        assert client.upload("/a/Small.txt", b"one")[0] == 200
        assert client.upload("/a/small.txt", b"two", mode="overwrite")[0] == 200
        assert client.upload("/gone/x", b"x")[0] == 200
        assert client.rpc("files/delete_v2", {"path": "/gone"})[0] == 200
        before, cursor = client.ls("", recursive=True, include_deleted=True)
        _, session = client.content("files/upload_session/start", {}, large)
        first.advance(3600)
        first.kill()
    with Emulator.start("--data", str(tmp_path)) as second:
        client = Client(second.url, tokens["access_token"])
        after, _ = client.ls("", recursive=True, include_deleted=True)
        assert after == before
        assert client.since(cursor)[0] == []
        assert client.download("/a/Small.txt").data == b"two"
        status, revisions = client.rpc("files/list_revisions", {"path": "/a/small.txt"})
        assert [entry["size"] for entry in revisions["entries"]] == [3, 3]
        assert client.download("rev:" + revisions["entries"][1]["rev"]).data == b"one"
        commit = {
            "cursor": {"session_id": session["session_id"], "offset": len(large)},
            "commit": {"path": "/large"},
        }
        status, done = client.content("files/upload_session/finish", commit, b"!")
        assert (status, done["size"]) == (200, len(large) + 1)
        assert client.download("/large").data == large + b"!"
        assert [entry["path_lower"] for entry in client.since(cursor)[0]] == ["/large"]
        assert second.control("clock")["offset_s"] == 3600
        assert done["server_modified"] > before[-1].get("server_modified", "")


@pytest.mark.slow
def test_a_folder_has_one_emulator(tmp_path):
    with Emulator.start("--data", str(tmp_path)) as first:
        command = [sys.executable, "-m", "huracan_sync.emulator", "--data", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 69
        assert done.stderr == f"the emulator cannot start: another emulator keeps its data in {tmp_path}\n"
        first.kill()
    with Emulator.start("--data", str(tmp_path)):
        pass


@pytest.mark.slow
def test_a_torn_batch_is_dropped(tmp_path):
    with Emulator.start("--data", str(tmp_path)) as first:
        tokens = first.token()
        client = Client(first.url, tokens["access_token"])
        client.upload("/kept", b"kept")
        whole = (tmp_path / "ledger").stat().st_size
        client.upload("/torn", b"torn")
        first.kill()
    with (tmp_path / "ledger").open("r+b") as ledger:
        ledger.truncate(whole + 20)
    with Emulator.start("--data", str(tmp_path)) as second:
        client = Client(second.url, tokens["access_token"])
        assert [entry["name"] for entry in client.ls()[0]] == ["kept"]
        assert client.upload("/torn", b"torn")[0] == 200
