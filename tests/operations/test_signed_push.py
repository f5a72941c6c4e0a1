"""Every push ends with a signed head that states what lies there, in as few requests as that takes."""

import pytest
from expecting import raises
from publishing_machine import DATA, weights
from transfer_world import Watching

from huracan_sync.errors import NoSigningKey, NotAuthorized, NotFound
from huracan_sync.manifest.entries import Item
from huracan_sync.remote import files
from huracan_sync.signing.executor import Executor
from huracan_sync.signing.head_log import lost
from huracan_sync.transfer.journal import Journal, Origin
from huracan_sync.transfer.upload_item import Options as Transfer
from huracan_sync.tree.content_hash import content_hash
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import RelPath

MIB = 1024 * 1024
WIDE = Transfer(header_limit=192 * 1024)


def entries(machine, channel="data"):
    snapshot = machine.reader().latest(channel)
    return snapshot.sequence, {entry.path: entry for entry in snapshot}


def test_what_was_pushed_is_signed_and_read_by_somebody_else(publisher, hamilton):
    publisher.write({"a.json": b"{}", "sub/b.parquet_not": 5000})
    report = publisher.push()
    assert (report.sequence, report.failed, report.unsigned) == (1, [], 0)
    sequence, found = entries(hamilton)
    assert sequence == 1
    assert set(found) == {"data/a.json", "data/sub/b.parquet_not"}
    assert found["data/a.json"].content_hash == content_hash(b"{}")
    assert hamilton.reader().latest("data").read("data/sub/b.parquet_not") == weights("sub/b.parquet_not", 5000)
    assert hamilton.reader().latest("data").item("data/a.json").kind == 2


@pytest.mark.parametrize(("transfer", "most"), [(None, 22), (WIDE, 7)])
def test_the_first_push_of_a_thousand_files(publisher, hamilton, transfer, most):
    publisher.dropbox.config(header_limit=256 * 1024)
    publisher.write({f"{n:04}.bin": b"%4d" % n * 512 for n in range(1000)})
    requests, report = publisher.counted(lambda: publisher.push(transfer=transfer))
    assert (report.uploaded, report.sequence) == (1000, 1)
    assert requests <= most
    assert report.requests == requests
    assert len(entries(hamilton)[1]) == 1000


def test_an_unchanged_push_is_one_request_and_keeps_its_sequence(publisher):
    publisher.write({f"{n}.bin": 2048 for n in range(50)})
    publisher.push()
    for _ in range(3):
        requests, report = publisher.counted(publisher.push)
        assert (requests, report.sequence, report.bytes_sent) == (1, 1, 0)


@pytest.mark.parametrize(("minutes", "most"), [(9, 6), (11, 7)])
@pytest.mark.every_case
def test_ten_changed_take_six_requests(publisher, hamilton, clock, minutes, most):
    publisher.write({f"{n:04}.bin": 2048 for n in range(300)})
    publisher.push()
    clock.now += minutes * 60
    publisher.write({f"{n:04}.bin": b"new %d" % n for n in range(10)})
    requests, report = publisher.counted(publisher.push)
    assert (report.uploaded, report.sequence) == (10, 2)
    assert requests == most  # listing; three for the files; log and swap; after ten minutes the next trust file
    assert entries(hamilton)[1]["data/0003.bin"].content_hash == content_hash(b"new 3")


def test_a_head_near_its_end_is_renewed_though_nothing_changed(publisher, hamilton, clock):
    publisher.write({"a": b"1"})
    publisher.push()
    clock.hours(20)  # an eighth of seven days is 21 hours
    assert publisher.push().sequence == 1
    clock.hours(2)
    requests, report = publisher.counted(publisher.push)
    assert (report.sequence, requests) == (2, 4)  # listing; trust; log and swap: the body lies there
    assert hamilton.reader().latest("data").head.created_ms == int(clock() * 1000)
    assert publisher.counted(publisher.push)[0] == 1


def test_what_is_deleted_leaves_the_list_before_it_leaves_dropbox(publisher, hamilton):
    publisher.write({f"{n}": b"%d" % n for n in range(4)})
    publisher.push()
    (publisher.src / "2").unlink()
    assert publisher.push().sequence == 1  # without --delete it stays, there and in the list
    report = publisher.push(delete=True)
    assert (report.deleted, report.sequence) == (1, 2)
    assert set(entries(hamilton)[1]) == {"data/0", "data/1", "data/3"}
    log = [route for route in publisher.dropbox.log()["requests"] if "delete" in route]
    assert log == ["files/delete_v2"]
    requests, report = publisher.counted(lambda: publisher.push(delete=True))
    assert (requests, report.sequence) == (1, 2)


def test_without_a_key_nothing_is_signed_and_nothing_fails(publisher):
    publisher.write({"a": b"1"})
    publisher.keys = type(publisher)(publisher.dropbox, publisher.home.parent / "other", key="").keys
    requests, report = publisher.counted(publisher.push)
    assert (report.uploaded, report.sequence, report.failed) == (1, 0, [])
    assert requests == 2


def test_keys_that_come_later_sign_what_lies_there(publisher, hamilton):
    publisher.write({"a": b"1"})
    keys, publisher.keys = (
        publisher.keys,
        type(publisher)(publisher.dropbox, publisher.home.parent / "other", key="").keys,
    )
    publisher.push()
    publisher.keys = keys
    report = publisher.push()
    assert (report.uploaded, report.sequence) == (0, 1)
    assert set(entries(hamilton)[1]) == {"data/a"}


@pytest.mark.slow
def test_a_large_file_is_signed_with_its_blocks_and_read_once(publisher, hamilton):
    publisher.write({"large.bin": 21 * MIB, "middle.bin": 6 * MIB, "small.bin": 100})
    publisher.push()
    snapshot = hamilton.reader().latest("data")
    assert len(snapshot.item("data/large.bin").blocks) == 6 * 32
    assert len(snapshot.item("data/middle.bin").blocks) == 2 * 32
    assert snapshot.read_range("data/large.bin", 9 * MIB, 10) == weights("large.bin", 21 * MIB)[9 * MIB :][:10]


def test_blocks_of_what_was_there_before_come_from_the_disk(dropbox, tmp_path, publisher, hamilton, clock):
    publisher.write({"large.bin": 9 * MIB})
    publisher.push()
    (publisher.home / "journal.db").unlink()  # as on a machine that never pushed
    publisher.write({"new": b"1"})
    report = publisher.push()
    assert (report.uploaded, report.sequence, report.unsigned) == (1, 2, 0)
    assert len(hamilton.reader().latest("data").item("data/large.bin").blocks) == 3 * 32


def test_pickles_are_kept_safe_and_not_signed_among_the_champions(publisher, hamilton):
    pickled = b"\x80\x04K\x01."
    publisher.write({"model.pkl": pickled, "hidden.bin": pickled, "fine.bin": b"1"})
    watching = Watching()
    report = publisher.push(channel="champions", monitor=watching)
    assert (report.uploaded, report.unsigned, report.failed) == (3, 2, [])
    assert set(entries(hamilton, "champions")[1]) == {"data/fine.bin"}
    assert any("'data/hidden.bin', 'data/model.pkl'" in note for note in watching.notes)
    assert publisher.counted(lambda: publisher.push(channel="champions"))[0] == 1


def test_a_sync_channel_lists_every_file_whatever_its_kind(publisher, hamilton):
    pickled = b"\x80\x04K\x01."
    publisher.write({"model.pkl": pickled, "hidden.bin": pickled, "fine.bin": b"1"})
    report = publisher.push()
    assert (report.uploaded, report.unsigned, report.failed) == (3, 0, [])
    snapshot = hamilton.reader().latest("data")
    kinds = {entry.path: snapshot.item(entry.path).kind for entry in snapshot}
    assert kinds == {"data/model.pkl": 30, "data/hidden.bin": 30, "data/fine.bin": 8}


def test_a_pickle_in_disguise_is_known_however_the_file_came_to_be_in_step(publisher, hamilton):
    pickled = b"\x80\x04K\x01."
    publisher.write({"hidden.bin": pickled, "large.bin": pickled + bytes(5 * 1024 * 1024), "fine.bin": b"1"})
    assert publisher.push(channel="champions").unsigned == 2
    for path in publisher.home.glob("journal.db*"):
        path.unlink()
    assert publisher.push(channel="champions").unsigned == 2  # adopted: read, not sent
    for path in publisher.home.glob("journal.db*"):
        path.unlink()
    for path in publisher.src.iterdir():
        path.unlink()
    publisher.restore(DATA, publisher.src)
    (publisher.src / "new.bin").write_bytes(b"2")
    assert publisher.push(channel="champions").unsigned == 2  # fetched
    for path in publisher.home.glob("journal.db*"):
        path.unlink()
    publisher.write({f"also/{n}.bin": pickled + bytes(300_000) for n in range(4)})
    publisher.dropbox.faults({"route": "files/upload_session/finish_batch_v2", "fault": "user_suspended", "times": 1})
    with pytest.raises(NotAuthorized):
        publisher.push(channel="champions")
    report = publisher.push(channel="champions")
    assert (report.bytes_sent, report.unsigned) == (0, 6)  # sent by one run, committed by another
    assert set(entries(hamilton, "champions")[1]) == {"data/fine.bin", "data/new.bin"}


def test_a_push_into_a_channel_of_others_keeps_theirs(publisher, hamilton):
    publisher.write({"a": b"1"})
    assert publisher.push("/Engine/one", channel="logs").sequence == 1
    assert publisher.push("/Engine/two", channel="logs").sequence == 2
    assert set(entries(hamilton, "logs")[1]) == {"one/a", "two/a"}
    (publisher.src / "a").unlink()
    assert publisher.push("/Engine/one", channel="logs", delete=True, force=True).sequence == 3
    assert set(entries(hamilton, "logs")[1]) == {"two/a"}


def test_channels_are_called_as_their_folders(publisher, hamilton):
    publisher.write({"a": b"1"})
    publisher.push("/Engine/Data Of/My Candles")
    assert set(entries(hamilton, "my-candles")[1]) == {"Data Of/My Candles/a"}
    with raises("CHANNEL_NAME"):
        publisher.push(channel="No Channel")
    with pytest.raises(NotFound):
        hamilton.reader().latest("data")


def test_a_push_of_the_root_itself_leaves_the_signed_things_alone(publisher, hamilton):
    publisher.write({"data/a": b"1"})
    assert publisher.push("/Engine").sequence == 1
    publisher.write({".huracan/heads/engine.hzh": b"mine"})
    report = publisher.push("/Engine")
    assert (report.uploaded, report.failed) == (0, [])
    assert set(entries(hamilton, "engine")[1]) == {"data/a"}


def test_another_root_gets_the_trust_file_too(publisher, hamilton):
    publisher.write({"a": b"1"})
    assert publisher.push("/Elsewhere/things").sequence == 1
    reader = hamilton.reader("/Elsewhere")
    reader.pin(publisher.pin("/Elsewhere"))
    assert [entry.path for entry in reader.latest("things")] == ["things/a"]


def test_a_key_that_may_not_sign_says_so_after_everything_is_safe(dropbox, tmp_path, publisher, clock):
    from publishing_machine import Publisher

    pod = Publisher(dropbox, tmp_path / "pod", clock=clock)
    pod.keys.make()
    pod.reader().pin(publisher.pin())
    pod.write({"a": b"1"})
    with pytest.raises(NoSigningKey):
        pod.push()
    assert files.fetch(publisher.remote, "/Engine/data/a", limit=9)[1] == b"1"


def test_what_a_cut_run_committed_and_did_not_note_is_signed_by_the_next(publisher, hamilton):
    publisher.write({"a": b"1", "b": b"2"})
    publisher.push()
    publisher.write({"a": b"one"})
    with Journal(publisher.home) as journal:
        pair = journal.pair(publisher.remote.place, publisher.src, DATA)
        journal.intend(pair, [(Entry(RelPath("a"), 3, content_hash(b"one")), Origin.OURS)])
    rev = files.put(publisher.remote, f"{DATA}/a", b"one").rev
    report = publisher.push()
    assert (report.uploaded, report.sequence, report.failed) == (0, 2, [])
    assert entries(hamilton)[1]["data/a"].rev == rev
    assert publisher.counted(publisher.push)[0] == 1


@pytest.mark.parametrize("count", [3, 30])
def test_many_new_files_in_a_channel_of_others_are_asked_for_one_by_one_or_by_one_listing(publisher, hamilton, count):
    publisher.write({"a": b"1"})
    publisher.push("/Engine/one", channel="logs")
    publisher.write({f"sub/{number}": b"%d" % number for number in range(count)})
    requests, report = publisher.counted(lambda: publisher.push("/Engine/two", channel="logs"))
    assert (report.sequence, report.failed) == (2, [])
    assert len(entries(hamilton, "logs")[1]) == count + 2
    assert requests <= 16


def test_what_dropbox_no_longer_has_is_named(publisher):
    publisher.write({f"{number}": b"%d" % number for number in range(25)})
    publisher.push()
    publisher.write({"0": b"newer"})
    publisher.push()
    kept = [publisher.reader().latest("data").item(f"data/{number}") for number in range(25)]
    gone = [
        Item("data/1", 1, content_hash(b"x"), "0123456789abcdef0"),
        Item("data/none", 1, content_hash(b"x"), "f" * 17),
    ]
    executor = Executor(publisher.remote, "/Engine")
    assert executor.perform(lost(kept)) == []
    assert sorted(executor.perform(lost([*kept[2:], *gone]))) == ["data/1", "data/none"]
