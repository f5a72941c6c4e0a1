"""Eight processes on four machines publish in one channel over real sockets, with answers lost on the way."""

import json
import time

import pytest
from machines import READ, Commands, Machine

from huracan_sync.manifest import head
from huracan_sync.remote import files

PODS = 8
ROUNDS = 2


@pytest.mark.slow
def test_eight_processes_publish_in_one_channel(dropbox, tmp_path):
    first = Commands(dropbox, tmp_path / "pod0", key="sign.key")
    pin = first.run("keys", "init")["pin"]
    pods = [first]
    for number in range(1, PODS):
        pods.append(Commands(dropbox, tmp_path / f"pod{number}", key="sign.key"))
        pods[-1].env["HURACAN_SIGNING_KEY_FILE"] = first.env["HURACAN_SIGNING_KEY_FILE"]
        if number % 2:  # two of them are one machine
            pods[-1].env["HURACAN_SYNC_HOME"] = pods[-2].env["HURACAN_SYNC_HOME"]
        pods[-1].run("keys", "init")
    hamilton = Machine(dropbox, tmp_path / "hamilton", scopes=READ, clock=time.time, root="/Runpodhuracan")
    hamilton.reader().pin(pin)
    dropbox.faults({"fault": "reset", "route": "files/upload", "when": "after", "rate": 0.08, "seed": 1})
    expected = {}
    for turn in range(ROUNDS):
        running = []
        for number, pod in enumerate(pods):
            src = tmp_path / f"src{number}"
            src.mkdir(exist_ok=True)
            for name in ("kept", f"new{turn}"):
                (src / name).write_bytes(b"%d %d" % (number, turn))
                expected[f"pods/{number}/{name}"] = b"%d %d" % (number, turn)
            running.append(pod.start("push", src, f"/Runpodhuracan/pods/{number}", "--channel", "pods", "--json"))
        for process in running:
            out, err = process.communicate(timeout=120)
            assert process.returncode == 0, err
            assert json.loads(out)["failed"] == []
    dropbox.faults()
    snapshot = hamilton.reader().latest("pods")
    assert {entry.path: snapshot.read(entry.path) for entry in snapshot} == expected
    # Every run has published once, and each head follows the one before.
    assert snapshot.sequence == PODS * ROUNDS
    assert chain(hamilton, snapshot) == list(range(PODS * ROUNDS, 0, -1))


def chain(machine, snapshot):
    said, found = snapshot.head, [snapshot.sequence]
    while said.prev != head.FIRST:
        place = f"/Runpodhuracan/.huracan/log/pods/1-{said.seq - 1}-{said.prev.hex()[:8]}.hzh"
        said = head.linked(files.fetch(machine.remote, place, limit=9999)[1], said.prev)
        found.append(said.seq)
    return found
