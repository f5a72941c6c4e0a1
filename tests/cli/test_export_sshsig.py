"""`keys export-sshsig`: a channel's head as OpenSSH verifies it."""

import shlex
import shutil
import subprocess

import pytest
from machines import publishing, write

SET = {"models/champions/latest/BTCUSDT.bin": b"1", "hamilton/roster.json": b"{}"}


@pytest.fixture
def publisher(dropbox, tmp_path):
    publisher = publishing(dropbox, tmp_path / "engine")
    publisher.run("publish", write(tmp_path / "src", SET))
    return publisher


def test_what_is_written_and_how_it_is_verified(publisher, tmp_path):
    out = tmp_path / "new" / "folder"
    told = publisher.run("keys", "export-sshsig", "--channel", "champions", "--out", out)
    assert told["files"] == ["allowed_signers", "champions.payload", "champions.sig"]
    assert {path.name for path in out.iterdir()} == set(told["files"])
    assert (out / "champions.sig").read_text().startswith("-----BEGIN SSH SIGNATURE-----\n")
    assert told["verify"].startswith("ssh-keygen -Y verify -n ")
    said, _ = publisher.say("keys", "export-sshsig", "--channel", "champions", "--out", out)
    assert told["verify"] in said


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
def test_openssh_verifies_it_as_it_is_told_to(publisher, tmp_path):
    told = publisher.run("keys", "export-sshsig", "--channel", "champions", "--out", tmp_path / "out")
    command, _, payload = told["verify"].partition(" < ")
    (file,) = shlex.split(payload)
    data = (tmp_path / "out" / "champions.payload").read_bytes()
    assert file == str(tmp_path / "out" / "champions.payload")
    assert subprocess.run(shlex.split(command), input=data, capture_output=True, check=False).returncode == 0
    assert subprocess.run(shlex.split(command), input=data + b"x", capture_output=True, check=False).returncode != 0


def test_a_channel_of_which_there_is_no_head(publisher, tmp_path):
    assert (
        publisher.run("keys", "export-sshsig", "--channel", "candles", "--out", tmp_path, code=1)["error"] == "NotFound"
    )


def test_a_place_that_cannot_be_written(publisher, tmp_path):
    (tmp_path / "file").write_text("")
    told = publisher.run("keys", "export-sshsig", "--channel", "champions", "--out", tmp_path / "file", code=1)
    assert (told["error"], str(tmp_path / "file") in told["message"]) == ("LocalFailure", True)
