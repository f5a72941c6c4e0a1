"""`keys recover`: the way out of a head from the future."""

import os
import pty
import shutil
import subprocess
import sys
import time

import msgspec
import pytest
import warm
from machines import Machine, publishing, write

from huracan_sync.errors import Refused
from huracan_sync.manifest import head, head_history, locations, signed_files
from huracan_sync.remote import files
from huracan_sync.remote.delete import remove_whatever
from huracan_sync.remote.source import RemoteSource
from huracan_sync.signing.signing_key import KeyPlace

ROOT, FOLDER = "/Runpodhuracan", "/Runpodhuracan/data/candles"
DAY_MS = 86_400_000


def put_a_head_of_tomorrow(machine, signers, channel):
    """What a stolen key, or the right one on a machine with a wrong clock, signs after the newest head."""
    data = RemoteSource(machine.remote, ROOT).fetch(locations.head(channel), head.MAX_SIZE)
    before = head.linked(data, head_history.digest_of(data))
    later = msgspec.structs.replace(
        before,
        seq=before.seq + 1,
        prev=head_history.digest_of(data),
        skip=head_history.digest_of(data),
        created_ms=before.created_ms + DAY_MS,
        expires_ms=before.expires_ms + DAY_MS,
    )
    made = signed_files.sign_head(later, signers)
    for place in (
        locations.log(channel, later.epoch, later.seq, head_history.digest_of(made)),
        locations.head(channel),
    ):
        files.put(machine.remote, f"{ROOT}/{place}", made)
    return made


@pytest.mark.slow
def test_a_head_from_the_future_is_left_behind_by_a_new_epoch(dropbox, tmp_path):
    engine = publishing(dropbox, tmp_path / "engine")
    thief = Machine(dropbox, tmp_path / "thief", root=ROOT, clock=time.time)
    hamilton = Machine(dropbox, tmp_path / "hamilton", root=ROOT, clock=time.time)
    reader = hamilton.reader()
    reader.pin([engine.run("keys", "show")["pin"]])
    src = write(tmp_path / "src", {"a": b"1", "b": b"2"})
    assert engine.run("push", src, FOLDER)["sequence"] == 1
    assert reader.latest("candles").read("data/candles/a") == b"1"

    signers = KeyPlace(engine.env, engine.home, "emulator").all()
    future = put_a_head_of_tomorrow(thief, signers, "candles")
    write(src, {"a": b"one"})
    stopped = engine.run("push", src, FOLDER, code=65)
    assert stopped["code"] == "FUTURE"
    assert "huracan-sync keys recover --channel" in stopped["hint"]

    asked = engine.run("keys", "recover", "--channel", "candles", code=2)
    assert "--yes" in asked["hint"]
    assert engine.run("push", src, FOLDER, code=65)["code"] == "FUTURE"
    done = engine.run("keys", "recover", "--channel", "candles", "--yes")
    assert (done["trust_version"], done["channel"], done["epoch"]) == (2, "candles", 2)
    assert "earlier snapshots" in done["forgotten"]
    channels = {each["channel"]: each["epoch"] for each in engine.run("keys", "show")["channels"]}
    assert {name for name, epoch in channels.items() if epoch == 2} == {"candles"}

    assert engine.run("push", src, FOLDER)["sequence"] == 1
    snapshot = reader.latest("candles")
    assert (snapshot.read("data/candles/a"), snapshot.read("data/candles/b")) == (b"one", b"2")
    files.put(thief.remote, f"{ROOT}/{locations.head('candles')}", future)
    with pytest.raises(Refused) as refusal:
        reader.latest("candles")
    assert refusal.value.code == "EPOCH"
    write(src, {"b": b"two"})
    assert engine.run("push", src, FOLDER)["sequence"] == 2
    assert reader.latest("candles").read("data/candles/b") == b"two"


def test_where_signed_files_are_missing_a_person_says_where_to_go_on(dropbox, tmp_path):
    engine = publishing(dropbox, tmp_path / "engine")
    thief = Machine(dropbox, tmp_path / "thief", root=ROOT, clock=time.time)
    src = write(tmp_path / "src", {"a": b"1"})
    engine.run("push", src, FOLDER)
    write(src, {"b": b"2"})
    assert engine.run("push", src, FOLDER)["sequence"] == 2
    remove_whatever(thief.remote, f"{ROOT}/{locations.LOG}/candles")
    shutil.rmtree(engine.home)
    write(src, {"c": b"3"})
    stopped = engine.run("push", src, FOLDER, code=78)
    assert stopped["error"] == "StateMissing"
    assert "huracan-sync keys trust --channel candles --at-least SEQ" in stopped["hint"]
    engine.run("keys", "trust", "--channel", "candles", "--at-least", "2")
    assert engine.run("push", src, FOLDER)["sequence"] == 3


@pytest.mark.parametrize(("answer", "code", "version"), [("y", 0, 2), ("n", 78, 1)])
def test_it_says_what_it_forgets_and_asks(answer, code, version, commands):
    commands.run("keys", "init")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "huracan_sync", "keys", "recover", "--channel", "candles", "--profile", "engine"]
    with warm.Popen(
        command, env=commands.env, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        os.write(ours, f"{answer}\n".encode())
        _, err = process.communicate(timeout=120)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == code
    assert "no way back to its earlier snapshots" in err
    assert commands.run("keys", "show")["trust_version"] == version


def test_only_a_root_key_recovers_and_only_a_channel(commands, dropbox, tmp_path):
    commands.run("keys", "init")
    assert commands.run("keys", "recover", "--channel", "No Such", "--yes", code=65)["code"] == "CHANNEL_NAME"
    pod = Machine(dropbox, tmp_path / "pod", key="pod.key", root=ROOT, clock=time.time)
    pod.keys.make()
    commands.env["HURACAN_SIGNING_KEY_FILE"] = str(pod.key)
    assert commands.run("keys", "recover", "--channel", "candles", "--yes", code=78)["error"] == "NoSigningKey"
