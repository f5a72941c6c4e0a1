"""A set counts all at once or not at all; an earlier one becomes current again without being sent."""

import json

import msgspec
import pytest
from expecting import raises
from publishing_machine import Publisher

from huracan_sync.errors import Conflict, NoSigningKey, NotFound
from huracan_sync.hamilton import Hamilton
from huracan_sync.manifest import rotation
from huracan_sync.remote import files

SET = {
    "models/champions/latest/BTCUSDT.bin": b"bitcoin",
    "models/champions/latest/ETHUSDT.bin": b"ether",
    "hamilton/roster.json": json.dumps({"symbols": [{"symbol": "BTCUSDT", "rank": 1, "trade_ok": True}]}).encode(),
    "hamilton/configs/BTCUSDT.json": b'{"model_id": "one"}',
    "hamilton/active/BTCUSDT.txt": b"one\n",
}


@pytest.fixture
def trader(hamilton):
    return Hamilton(hamilton.reader())


def taken(trader):
    """The set as Hamilton has it: path -> bytes."""
    snapshot = trader.latest()
    return {entry.path: snapshot.read(entry.path) for entry in snapshot}


def test_hamilton_reads_what_was_published(publisher, trader):
    publisher.write(SET)
    report = publisher.publish()
    assert (report.sequence, report.files, report.uploaded, report.made) == (1, 5, 5, True)
    assert taken(trader) == SET
    assert trader.symbols() == ["BTCUSDT", "ETHUSDT"]
    assert trader.champion("BTC-USDT").data == b"bitcoin"
    assert trader.roster().get("BTCUSDT").trade_ok
    assert trader.active("BTCUSDT") == "one"


def test_publishing_again_is_one_request(publisher):
    publisher.write(SET)
    publisher.publish()
    requests, report = publisher.counted(publisher.publish)
    assert (requests, report.sequence, report.made) == (1, 1, False)


def test_what_is_gone_from_the_folder_is_gone_from_the_set_and_stays_in_dropbox(publisher, trader):
    publisher.write(SET)
    publisher.publish()
    (publisher.src / "models/champions/latest/ETHUSDT.bin").unlink()
    assert publisher.publish().sequence == 2
    assert trader.latest() is not None
    assert trader.symbols() == ["BTCUSDT"]
    assert files.fetch(publisher.remote, "/Engine/models/champions/latest/ETHUSDT.bin", limit=9)[1] == b"ether"
    assert publisher.counted(publisher.publish)[0] == 1
    publisher.write({"models/champions/latest/ETHUSDT.bin": b"ether two"})
    assert publisher.publish().sequence == 3
    assert taken(trader) == SET | {"models/champions/latest/ETHUSDT.bin": b"ether two"}


@pytest.mark.parametrize("name", ["models/champions/latest/SOLUSDT.pkl", "models/champions/latest/SOLUSDT.bin"])
def test_a_pickle_refuses_the_whole_before_anything_moves(publisher, trader, name):
    publisher.write(SET)
    publisher.publish()
    publisher.write({name: b"\x80\x04K\x01.", "models/champions/latest/BTCUSDT.bin": b"bitcoin two"})
    with raises("KIND") as refused:
        publisher.publish()
    assert "ONNX" in refused.value.hint
    assert taken(trader) == SET
    assert files.fetch(publisher.remote, "/Engine/models/champions/latest/BTCUSDT.bin", limit=99)[1] == b"bitcoin"


@pytest.mark.parametrize("half", [b"", b'{"symbols": [', b"\xff\xfe", b"[" * 100_000])
def test_half_a_json_file_refuses_the_whole(publisher, trader, half):
    publisher.write(SET)
    publisher.publish()
    publisher.write({"hamilton/roster.json": half, "models/champions/latest/BTCUSDT.bin": b"bitcoin two"})
    with raises("HALF_WRITTEN", match="nothing was published"):
        publisher.publish()
    assert taken(trader) == SET
    publisher.write({"hamilton/roster.json": b'{"symbols": [], "spread": NaN}'})  # as Python writes it
    assert publisher.publish().sequence == 2


def test_a_conflict_refuses_the_whole(publisher, trader):
    publisher.write(SET)
    publisher.publish()
    files.put(publisher.remote, "/Engine/hamilton/roster.json", b"{}")
    publisher.write({"models/champions/latest/BTCUSDT.bin": b"bitcoin two", "hamilton/roster.json": b'{"date": "2"}'})
    with pytest.raises(Conflict, match="nothing was published"):
        publisher.publish()
    assert taken(trader) == SET  # also while the roster's path holds something else
    assert publisher.publish(overwrite=True).sequence == 2
    assert taken(trader)["hamilton/roster.json"] == b'{"date": "2"}'


def test_nothing_is_published_from_an_empty_folder_or_without_a_key(dropbox, tmp_path, publisher, clock):
    with pytest.raises(NotFound):
        publisher.publish()
    pod = Publisher(dropbox, tmp_path / "pod", clock=clock, key="")
    pod.write(SET)
    with pytest.raises(NoSigningKey):
        pod.publish()
    pod = Publisher(dropbox, tmp_path / "pod2", clock=clock)
    pod.keys.make()
    pod.reader().pin(publisher.pin())
    pod.write(SET)
    with pytest.raises(NoSigningKey):
        pod.publish()
    assert "files/upload_session/start_batch" not in dropbox.log()["requests"]


def test_roll_back_makes_an_earlier_set_current_and_sends_no_file(publisher, trader):
    publisher.write(SET)
    publisher.publish()
    publisher.write({"models/champions/latest/BTCUSDT.bin": b"a bad one", "hamilton/active/BTCUSDT.txt": b"two"})
    publisher.publish()
    assert taken(trader)["models/champions/latest/BTCUSDT.bin"] == b"a bad one"
    before = publisher.remote.wire.meter.read().bytes_sent
    made = publisher.roll_back(1)
    assert (made.head.seq, made.head.entry_count) == (3, 5)
    assert publisher.remote.wire.meter.read().bytes_sent - before < 2000  # the head, twice
    assert taken(trader) == SET
    # What is published afterwards goes on from there, and does not undo it by the way.
    publisher.write({"models/champions/latest/ETHUSDT.bin": b"ether two"})
    assert publisher.publish().sequence == 4
    assert taken(trader) == SET | {"models/champions/latest/ETHUSDT.bin": b"ether two"}
    # Who means it says so.
    assert publisher.publish(overwrite=True).sequence == 5
    assert taken(trader)["models/champions/latest/BTCUSDT.bin"] == b"a bad one"


def test_roll_back_finds_its_set_among_many_heads_and_losers(publisher, trader, clock):
    publisher.write(SET)
    publisher.publish()
    publisher.write({"hamilton/active/BTCUSDT.txt": b"two"})
    publisher.publish()
    for _ in range(4):
        clock.hours(0.5)
        publisher.renew()
    lost = files.fetch(publisher.remote, "/Engine/.huracan/heads/champions.hzh", limit=9999)[1]
    # Copies of heads that never took effect, and rubbish, lie in the log too.
    for place in ("1-1-00000000.hzh", "1-2-00000000.hzh", "1-3-ffffffff.hzh", "notes.txt"):
        files.put(publisher.remote, f"/Engine/.huracan/log/champions/{place}", lost)
    made = publisher.roll_back(1)
    assert made.head.seq == 7
    assert taken(trader) == SET


def test_roll_back_refuses_what_cannot_be_had(publisher, clock):
    publisher.write(SET)
    publisher.publish()
    for sequence in (0, 2, -1):
        with pytest.raises(NotFound):
            publisher.roll_back(sequence)
    assert publisher.roll_back(1).made is False  # it is current


def test_a_heartbeat_gives_the_same_set_more_time(publisher, trader, clock):
    with pytest.raises(NotFound):
        publisher.renew()
    publisher.write(SET)
    publisher.publish()
    clock.hours(1)
    requests, made = publisher.counted(publisher.renew)
    assert (made.head.seq, requests) == (2, 4)
    assert taken(trader) == SET
    clock.hours(1.9)
    assert taken(trader) == SET


def test_a_new_epoch_begins_with_the_next_publish(publisher, trader, hamilton):
    publisher.write(SET)
    publisher.publish()

    def raised(newest, now_ms):
        made = rotation.renewed(newest, now_ms=now_ms)
        replace = msgspec.structs.replace
        return replace(made, channels=tuple(replace(channel, epoch=2) for channel in made.channels))

    publisher.roots().publish_next(raised)
    with raises("EPOCH"):
        trader.latest()
    assert publisher.publish().sequence == 1
    assert taken(trader) == SET
    assert trader.snapshot.head.epoch == 2
