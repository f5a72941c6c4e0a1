"""Whatever a file is called, here or in Dropbox: no verb sends a control character of its name to the terminal."""

import re

import command_line
import pytest
from emulator_client import Client
from machines import WRITE, publishing

NAMES = [
    "esc\x1b[2J\x1b]0;owned\x07",
    "two\nlines",
    "back\rOK",
    "\u202egnp.exe",
    "csi\x9b31m",
    "zero\u200bwidth",
    "\x7f",
]
FOLDER = "/Engine/data"
HOSTILE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]|two\nlines")


@pytest.fixture
def engine(dropbox, tmp_path):
    return publishing(dropbox, tmp_path / "engine")


@pytest.fixture
def say(engine, tmp_path):
    """What a verb prints, for people and for machines."""

    def run(*words, **env):
        printed = []
        for more in ([], ["--json"], ["-vv"]):
            words_now = [*words, *more, "--profile", engine.profile]
            code, out, err = command_line.run(words_now, env=engine.env | env, cwd=tmp_path)
            for text in (out, err):
                found = HOSTILE.search(text)
                assert found is None, (words_now, code, ascii(text[max(0, found.start() - 60) : found.end() + 20]))
            printed.append(out + err)
        return printed

    return run


@pytest.mark.slow
def test_names_in_dropbox(engine, say, dropbox, tmp_path):
    thief = Client(dropbox.url, dropbox.token(WRITE)["access_token"])
    put = [name for name in NAMES if thief.upload(f"{FOLDER}/{name}", b"1", mode="overwrite")[0] == 200]
    assert len(put) >= 4
    here = tmp_path / "here"
    told = say("restore", FOLDER, here)
    assert any("\\x1b" in text or "\\u001b" in text for text in told)
    for words in (
        ["ls", FOLDER],
        ["ls", "/", "--recursive"],
        ["restore", FOLDER, here, "--dry-run"],
        ["diff", here, FOLDER],
        ["push", here, FOLDER],
        ["push", here, FOLDER, "--delete", "--dry-run"],
        ["verify", FOLDER],
        ["get", FOLDER, tmp_path / "got"],
        ["status"],
        ["migrate", "--dry-run", "--app-folder", "Engine"],
    ):
        say(*words)
    for name in put:
        say("get", f"{FOLDER}/{name}", tmp_path / "one")
        say("cat", f"{FOLDER}/{name}/none")


@pytest.mark.slow
def test_names_on_this_disk(engine, say, tmp_path):
    here = tmp_path / "here"
    (here / "sub\x1b[1m").mkdir(parents=True)
    for name in NAMES:
        (here / name).write_bytes(b"1")
        (here / "sub\x1b[1m" / name).write_bytes(b"1")
    (here / "link\x1b[1m").symlink_to("nowhere")
    (here / "fine").write_bytes(b"1")
    told = say("push", here, FOLDER)
    assert any("\\x1b" in text or "\\u001b" in text for text in told)
    for words in (
        ["push", here, FOLDER, "--dry-run"],
        ["push", here, FOLDER, "--vouch", NAMES[0]],
        ["diff", here, FOLDER],
        ["restore", FOLDER, here],
        ["verify", here],
        ["publish", here, "/Engine/data"],
        ["status"],
    ):
        say(*words)
    for name in NAMES:
        say("put", here / name, f"{FOLDER}/{name}")
        say("put", here / f"{name}-none", FOLDER)
        say("push", here / f"{name}-none", FOLDER)
