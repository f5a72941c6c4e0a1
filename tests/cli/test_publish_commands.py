"""The command line, as processes: push, publish, restore and what they answer."""

import pytest
from machines import Commands, publishing, write

SET = {"models/champions/latest/BTCUSDT.bin": b"bitcoin", "hamilton/roster.json": b'{"symbols": []}'}


@pytest.fixture
def publisher(dropbox, tmp_path):
    return publishing(dropbox, tmp_path / "engine")


def test_push_and_restore_by_the_signed_list(publisher, tmp_path):
    src = write(tmp_path / "src", {"a": b"1", "b": b"2"})
    pushed = publisher.run("push", src, "/Runpodhuracan/data/candles")
    assert (pushed["uploaded"], pushed["sequence"], pushed["failed"]) == (2, 1, [])
    again = publisher.run("push", src, "/Runpodhuracan/data/candles", "--channel", "candles")
    assert (again["requests"], again["sequence"], again["bytes_sent"]) == (1, 1, 0)
    write(src, {"a": b"one"})
    assert publisher.run("push", src, "/Runpodhuracan/data/candles")["sequence"] == 2
    got = publisher.run("restore", "/Runpodhuracan/data/candles", tmp_path / "to", "--channel", "candles", "--at", 1)
    assert (got["downloaded"], got["sequence"]) == (2, 1)
    assert (tmp_path / "to/a").read_bytes() == b"1"
    out, _ = publisher.say("restore", "/Runpodhuracan/data/candles", tmp_path / "new", "--channel", "candles")
    assert "sequence 2" in out
    write(tmp_path / "new", {"a": b"mine"})


def test_publish_roll_back_and_heartbeat(publisher, tmp_path):
    src = write(tmp_path / "src", SET)
    assert len(publisher.run("publish", src, "--dry-run")["copies"]) == 2
    first = publisher.run("publish", src)
    assert (first["sequence"], first["files"], first["channel"], first["made"]) == (1, 2, "champions", True)
    assert publisher.run("publish", src)["requests"] == 1
    write(src, {"models/champions/latest/BTCUSDT.bin": b"worse"})
    out, _ = publisher.say("publish", src, "/Runpodhuracan")
    assert out.startswith("published as sequence 2 of champions: 2 files, 1 uploaded; ")
    back = publisher.run("publish", "--rollback", 1)
    assert (back["sequence"], back["files"], back["made"]) == (3, 2, True)
    assert publisher.run("publish", "--heartbeat")["sequence"] == 4


def test_refusals_have_their_codes_and_say_what_to_do(publisher, dropbox, tmp_path):
    src = write(tmp_path / "src", SET | {"models/champions/latest/SOLUSDT.pkl": b"\x80\x04K\x01."})
    _, err = publisher.say("publish", src, code=65)
    assert "pickle" in err
    assert "ONNX" in err
    publisher.run("publish", "--rollback", 1, code=1)
    publisher.run("publish", code=2)
    publisher.run("publish", src, "--heartbeat", code=2)
    publisher.run("publish", src, "--channel", "No Such", code=65)
    publisher.run("restore", "/Runpodhuracan/data", tmp_path / "to", "--at", 1, code=2)
    pod = Commands(dropbox, tmp_path / "pod")
    pod.run("publish", src, code=78)
    assert pod.run("push", src, "/Runpodhuracan/data")["sequence"] == 0
    pod.run("restore", "/Runpodhuracan/data", tmp_path / "to", "--channel", "data", code=78)
