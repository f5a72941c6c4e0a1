"""A remote folder is proved from its listing: what a thief changed is found, and nothing is downloaded."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from machines import READ, Commands, Machine
from publishing_machine import DATA, Publisher
from root_powers import without_root_powers

from huracan_sync.errors import Busy, DiskFull, NotFound, NoTrust, Refused, Unavailable
from huracan_sync.operations.verify import _Looks, compare, verify, verify_local
from huracan_sync.remote.listing import listing
from huracan_sync.signing.local_manifest import find, keep
from huracan_sync.transfer.upload_item import Options as TransferOptions
from huracan_sync.tree.entry import Entry, tree
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.layout import candle_view
from huracan_sync.tree.paths import RelPath, fold


def look(machine, folder=DATA, **more):
    return verify(folder, remote=machine.remote, home=machine.home, keys=machine.keys, clock=machine.clock, **more)


def told(verdict):
    return [(each.what, each.path) for each in verdict.differences]


class Thief:
    """Who has a token that may write."""

    def __init__(self, machine):
        self.remote = machine.remote

    def write(self, path, data):
        self.remote.send("files/upload", {"path": path, "mode": "overwrite", "mute": True}, data, dict)

    def delete(self, path):
        self.remote.rpc("files/delete_v2", {"path": path}, dict)


def test_a_verdict_is_of_the_head_that_was_compared(publisher, monkeypatch):
    """A thief puts the old content back in time for the second look, and a new head comes just after that."""
    publisher.write({"a": b"1"})
    first, thief, real = publisher.push().sequence, Thief(publisher), _Looks.begin
    thief.write(f"{DATA}/a", b"evil")
    looks = []

    def begin(self):
        looks.append(self)
        if len(looks) == 2:
            thief.write(f"{DATA}/a", b"1")
        begun = real(self)
        if len(looks) == 2:
            publisher.write({"b": b"2"})
            publisher.push(overwrite=True)
            thief.delete(f"{DATA}/b")
        return begun

    monkeypatch.setattr(_Looks, "begin", begin)
    verdict = look(publisher)
    assert (verdict.ok, verdict.sequence) == (True, first)
    assert told(look(publisher)) == [("missing", "b")]


def test_what_was_pushed_is_proved_by_two_requests(publisher, dropbox):
    publisher.write({f"{n:03}.json": 100 for n in range(300)} | {"a/B.bin.json": 5000})
    publisher.push()
    requests, verdict = publisher.counted(lambda: look(publisher))
    assert verdict.ok
    assert (verdict.files, verdict.sequence, verdict.status, verdict.channel) == (301, 1, "fresh", "data")
    assert requests == verdict.requests == 2
    assert "files/download" not in dropbox.log()["requests"]


@pytest.mark.parametrize("profile", ["engine", "hamilton"])
def test_what_a_thief_changed_is_found(publisher, hamilton, dropbox, profile):
    publisher.write({"a.json": 100, "b.json": 100, "deep/c.json": 100, "big.onnx": 5 << 20})
    publisher.push()
    thief = Thief(publisher)
    thief.write(f"{DATA}/a.json", b"x" * 100)  # of the same size
    thief.delete(f"{DATA}/deep/c.json")
    thief.write(f"{DATA}/deep/new.pkl", b"x")
    verdict = look(publisher if profile == "engine" else hamilton)
    assert not verdict.ok
    assert told(verdict) == [("changed", "a.json"), ("missing", "deep/c.json"), ("extra", "deep/new.pkl")]
    assert verdict.differences[0].expected != verdict.differences[0].actual


def test_the_same_content_under_another_revision_is_the_same(publisher):
    publisher.write({"a.json": b"1"})
    publisher.push()
    Thief(publisher).delete(f"{DATA}/a.json")
    Thief(publisher).write(f"{DATA}/a.json", b"1")
    assert look(publisher).ok


def test_a_folder_that_is_gone_is_missing_whole(publisher):
    publisher.write({"a.json": b"1", "b.json": b"2"})
    publisher.push()
    Thief(publisher).delete(DATA)
    assert told(look(publisher)) == [("missing", "a.json"), ("missing", "b.json")]


def test_a_folder_inside_of_what_was_pushed(publisher):
    publisher.write({"a.json": b"1", "deep/b.json": b"2"})
    publisher.push()
    assert look(publisher, f"{DATA}/Deep", channel="data").files == 1
    with pytest.raises(NotFound, match="has no file below"):
        look(publisher, f"{DATA}/elsewhere", channel="data")


def test_in_the_root_folder_others_have_their_places(publisher):
    publisher.write({"a.json": b"1"})
    publisher.push()
    Thief(publisher).write("/Engine/unsigned/log.txt", b"x")
    assert look(publisher, "/Engine", channel="data").ok
    Thief(publisher).write(f"{DATA}/log.txt", b"x")
    assert told(look(publisher, "/Engine", channel="data")) == [("extra", "data/log.txt")]


def test_a_head_of_the_thief_s_is_refused(publisher, hamilton):
    publisher.write({"a.json": b"1"})
    publisher.push()
    Thief(publisher).write("/Engine/.huracan/heads/data.hzh", b"HZHEAD1\n" + bytes(200))
    with pytest.raises(Refused):
        look(hamilton)


def test_nothing_published_nobody_trusted_nobody_there(publisher, dropbox, tmp_path):
    with pytest.raises(NotFound, match="nothing was ever published in data"):
        look(publisher)
    with pytest.raises(NoTrust):
        look(Machine(dropbox, tmp_path / "stranger", scopes=READ))
    publisher.write({"a.json": b"1"})
    publisher.push()
    look(publisher)
    dropbox.faults({"route": "*", "rate": 1.0, "seed": 1, "fault": "server_error"})
    with pytest.raises(Unavailable):  # what was last known good says nothing about Dropbox
        look(publisher)


def test_a_large_root_folder_is_listed_only_where_the_channel_has_files(publisher, dropbox):
    publisher.write(
        {"models/champions/latest/BTCUSDT.bin": b"1", "hamilton/roster.json": b"{}", "hamilton/a/B.txt": b"b"}
    )
    publisher.publish()
    thief = Thief(publisher)
    for n in range(30):
        thief.write(f"/Engine/logs/{n}.log", b"x")
    dropbox.config(page_size=15)
    look(publisher, "/Engine", channel="champions")  # the folder of signed things takes two pages of these
    requests, verdict = publisher.counted(lambda: look(publisher, "/Engine", channel="champions"))
    assert (requests, verdict.ok, verdict.files) == (4, True, 3)  # news, first page, the two folders
    thief.write("/Engine/hamilton/b/planted.txt", b"x")
    thief.write("/Engine/models/other.bin", b"x")
    thief.delete("/Engine/models/champions/latest")
    assert told(look(publisher, "/Engine", channel="champions")) == [
        ("extra", "hamilton/b/planted.txt"),
        ("missing", "models/champions/latest/BTCUSDT.bin"),
    ]


def test_files_directly_in_a_large_root_folder(publisher, dropbox):
    publisher.write({f"{n}.json": 5 for n in range(30)})
    publisher.push("/Engine", channel="all")
    dropbox.config(page_size=10)
    assert look(publisher, "/Engine", channel="all").files == 30
    assert look(publisher, "/Engine", channel="all").ok
    Thief(publisher).write("/Engine/7.json", b"x")
    assert told(look(publisher, "/Engine", channel="all")) == [("changed", "7.json")]


def test_a_name_that_no_tree_may_hold_is_extra(publisher):
    publisher.write({"a.json": b"1"})
    publisher.push()
    Thief(publisher).write(f"{DATA}/a\u200b.json", b"1")
    assert told(look(publisher)) == [("extra", "'a\\u200b.json'")]


def test_a_push_between_the_two_looks_is_no_difference(publisher, monkeypatch):
    publisher.write({"a.json": b"1"})
    publisher.push()

    def listing_after_a_push(*which):
        monkeypatch.setattr("huracan_sync.operations.verify.listing", listing)
        publisher.write({"a.json": b"2"})
        publisher.push()
        return listing(*which)

    monkeypatch.setattr("huracan_sync.operations.verify.several", map)  # the head first
    monkeypatch.setattr("huracan_sync.operations.verify.listing", listing_after_a_push)
    verdict = look(publisher)
    assert (verdict.ok, verdict.sequence) == (True, 2)


def test_a_folder_that_is_published_all_the_time(publisher, monkeypatch):
    publisher.write({"a.json": b"0"})
    publisher.push()

    def listing_after_a_push(*which):
        (publisher.src / "a.json").write_text((publisher.src / "a.json").read_text() + "1")
        publisher.push()
        return listing(*which)

    monkeypatch.setattr("huracan_sync.operations.verify.several", map)
    monkeypatch.setattr("huracan_sync.operations.verify.listing", listing_after_a_push)
    with pytest.raises(Busy):
        look(publisher)


def test_the_channels_that_have_something_are_named(publisher):
    publisher.write({"a.json": b"1"})
    publisher.push(channel="models/pod-a")
    publisher.push(channel="logs")
    with pytest.raises(NotFound) as caught:
        look(publisher, "/Engine")
    assert caught.value.hint.endswith(": logs, models/pod-a")


names = st.text("abAB", min_size=1, max_size=3)
trees = st.dictionaries(st.one_of(names, st.builds("{}/{}".format, names, names)), st.integers(0, 2), max_size=5)


@pytest.mark.slow
@given(trees, trees, st.booleans())
def test_compare(first, second, alone):
    signed, lying = (tree(Entry(path, n, bytes([n]) * 32) for path, n in each.items()) for each in (first, second))
    found = {fold(each.path): each.what for each in compare(signed, lying, alone=alone)}
    folders = {key.rpartition("/")[0] for key in signed}

    def shared(key):
        parent, slash, _ = key.partition("/")
        return key.rpartition("/")[0] not in folders and not (slash and parent in folders)

    for key in signed.keys() | lying.keys():
        if key not in lying:
            assert found.pop(key) == "missing"
        elif key not in signed:
            assert found.pop(key, None) == (None if shared(key) and not alone else "extra")
        elif signed[key].content_hash != lying[key].content_hash:
            assert found.pop(key) == "changed"
    assert not found


def test_as_commands(dropbox, tmp_path):
    publisher = Commands(dropbox, tmp_path / "engine", key="sign.key")
    source = tmp_path / "src"
    source.mkdir()
    (source / "a.json").write_text("1")
    publisher.run("keys", "init")
    publisher.run("push", source, "/Runpodhuracan/data")
    report = publisher.run("verify", "/Runpodhuracan/data")
    assert (report["ok"], report["files"], report["differences"]) == (True, 1, [])
    assert "1 file is as it was signed" in publisher.say("verify", "/Runpodhuracan/data")[0]
    (source / "a.json").write_text("2")
    other = Commands(dropbox, tmp_path / "other")
    other.run("push", source, "/Runpodhuracan/data", "--overwrite")
    report = publisher.run("verify", "/Runpodhuracan/data", code=65)
    assert [each["what"] for each in report["differences"]] == ["changed"]
    assert "NOT what was signed" in publisher.say("verify", "/Runpodhuracan/data", code=65)[0]
    assert publisher.run("verify", source, code=65)["differences"][0]["what"] == "changed"
    (source / "a.json").write_text("1")
    assert publisher.run("verify", source)["ok"], "an absolute path of a folder that is here, outside the root"
    assert "begins with /" in publisher.run("verify", "Runpodhuracan/data", code=2)["hint"]
    publisher.run("verify", source, "--remote", code=78)


def test_a_misspelled_folder_is_said_and_not_made(dropbox, tmp_path):
    """Also where this machine's key could begin a root folder there."""
    engine = Commands(dropbox, tmp_path / "engine", key="sign.key")
    engine.run("keys", "init")
    engine.run("get", "/Mistyped", code=1)
    engine.run("cat", "/Mistyped", code=1)
    engine.run("restore", "/Mistyped", tmp_path / "new", code=1)
    engine.run("verify", "/Mistyped", code=78)
    assert [entry["path"] for entry in engine.run("ls", "/")["entries"]] == ["Runpodhuracan"]


def changed_names(verdict):
    return {(each.what, each.path) for each in verdict.differences}


def test_a_local_folder_is_proved_offline(publisher, dropbox):
    publisher.write({"a.json": 100, "deep/b.json": 7, "big.onnx": (5 << 20) + 3})
    with pytest.raises(NotFound, match="no signed manifest"):
        verify_local(publisher.src, home=publisher.home)
    publisher.push()
    dropbox.control("log/reset", {})
    assert verify_local(publisher.src, home=publisher.home).ok
    (publisher.src / "a.json").write_bytes(b"x" * 100)
    (publisher.src / "deep" / "b.json").unlink()
    publisher.write({"new.json": 3})
    assert changed_names(verify_local(publisher.src, home=publisher.home)) == {
        ("changed", "a.json"),
        ("missing", "deep/b.json"),
        ("extra", "new.json"),
    }
    assert dropbox.log()["total"] == 0


def test_a_restored_folder_is_proved_offline_whatever_its_age(publisher, hamilton, clock, tmp_path):
    publisher.write({"a.json": 100, "big.onnx": (5 << 20) + 3})
    publisher.push()
    publisher.write({"a.json": 101})
    publisher.push()
    for at, size in ((1, 100), (None, 101)):
        target = tmp_path / f"back-{at}"
        hamilton.restore(DATA, target, at=at, channel="data")
        assert (target / "a.json").stat().st_size == size
        assert verify_local(target, home=hamilton.home).ok
    clock.now += 400 * 24 * 3600
    assert verify_local(target, home=hamilton.home).sequence == 2
    (target / "a.json").write_bytes(b"x" * 101)
    assert changed_names(verify_local(target, home=hamilton.home)) == {("changed", "a.json")}


def test_a_statement_that_was_tampered_with_is_refused(publisher):
    publisher.write({"a.json": 100})
    publisher.push()
    (file,) = (publisher.home / "statements").iterdir()
    data = bytearray(file.read_bytes())
    refused = 0
    for at in range(0, len(data), 7):
        data[at] ^= 1
        file.write_bytes(data)
        try:
            refused += not verify_local(publisher.src, home=publisher.home).ok
        except (Refused, NotFound, NoTrust):
            refused += 1
        data[at] ^= 1
    # What is not signed is where it was for: another folder's name there finds other files, or none.
    assert refused == len(range(0, len(data), 7))


def test_a_statement_of_another_channel_is_refused(publisher):
    publisher.write({"a.json": 100})
    publisher.push()
    local_manifest = find(publisher.home, publisher.src)
    assert local_manifest.channel == "data"
    keep(publisher.home, publisher.src, msgspec.structs.replace(local_manifest, channel="champions"))
    with pytest.raises(Refused):
        verify_local(publisher.src, home=publisher.home)


def test_a_pusher_proves_its_folder_by_two_requests_at_once(publisher):
    publisher.write({f"{n:03}.json": 100 for n in range(300)})
    publisher.push()
    requests, verdict = publisher.counted(lambda: look(publisher))
    assert (requests, verdict.ok) == (2, True)


def test_the_head_that_a_pusher_left_was_replaced_before_it_ever_looked(publisher, hamilton):
    publisher.write({"a.json": 100})
    publisher.push()
    Thief(publisher).delete("/Engine/.huracan/heads/data.hzh")
    with pytest.raises(Refused):
        look(publisher)


def test_what_cannot_be_read_is_not_proved(publisher):
    publisher.write({"a.json": 100, "b.json": 100})
    publisher.push()
    (publisher.src / "a.json").chmod(0)
    publisher.write({"B.json": b"a twin", "new.json": 1})
    (publisher.src / "new.json").chmod(0)
    with without_root_powers():
        verdict = verify_local(publisher.src, home=publisher.home)
    assert [(each.what, each.path.lower()) for each in verdict.differences] == [
        ("unreadable", "a.json"),
        ("unreadable", "b.json"),
        ("unreadable", "new.json"),
    ]


def test_what_others_published_in_the_folder_need_not_be_here(publisher, dropbox, tmp_path, clock):
    other = Publisher(dropbox, tmp_path / "other", clock=clock)
    other.take_key_of(publisher)
    publisher.write({"a.json": b"1"})
    publisher.push()
    other.write({"b.json": b"2"})
    assert other.push().sequence == 2
    assert changed_names(verify_local(publisher.src, home=publisher.home)) == set()
    verdict = verify_local(other.src, home=other.home)
    assert (verdict.ok, verdict.files, verdict.sequence) == (True, 1, 2)
    other.write({"a.json": b"not theirs"})
    assert changed_names(verify_local(other.src, home=other.home)) == {("changed", "a.json")}
    assert look(other).files == 2


def test_a_plain_restore_of_what_this_machine_has_signed_is_proved_too(publisher, tmp_path):
    publisher.write({"a.json": b"1", "deep/b.json": b"2"})
    publisher.push()

    def brought(target, **options):
        publisher.restore(DATA, target, **options)
        return target

    assert verify_local(brought(tmp_path / "back"), home=publisher.home).ok
    Thief(publisher).write(f"{DATA}/a.json", b"x")
    assert verify_local(brought(tmp_path / "back"), home=publisher.home).ok
    brought(tmp_path / "back", unsigned=True)
    assert changed_names(verify_local(tmp_path / "back", home=publisher.home)) == {("changed", "a.json")}
    with pytest.raises(NotFound, match="no signed manifest"):
        verify_local(brought(tmp_path / "new", unsigned=True), home=publisher.home)


def test_a_statement_is_there_before_the_push_is_noted_as_signed(publisher, monkeypatch):
    publisher.write({"a.json": b"1"})

    def cut(*_):
        raise DiskFull("no room")

    with monkeypatch.context() as patch:
        patch.setattr("huracan_sync.signing.local_manifest.keep", cut)
        with pytest.raises(DiskFull):
            publisher.push()
    assert publisher.push().sequence == 1
    assert verify_local(publisher.src, home=publisher.home).ok


def test_a_folder_whose_files_are_called_otherwise_in_dropbox(publisher):
    candle = "BTC/BTC-USDT_1d_20250101_20250601.parquet"
    publisher.write({candle: b"PAR1 candles PAR1"})
    publisher.push_folder(candle_view(publisher.src), f"{DATA}/candles", transfer=TransferOptions())
    assert verify_local(publisher.src, home=publisher.home, channel="candles").ok
    (publisher.src / candle).write_bytes(b"PAR1 others! PAR1")
    assert [what for what, _ in told(verify_local(publisher.src, home=publisher.home))] == ["changed"]
    with pytest.raises(NotFound, match="of the channel candles, not of logs"):
        verify_local(publisher.src, home=publisher.home, channel="logs")


def test_a_folder_arranged_as_only_its_caller_knows_leaves_no_statement(publisher):
    publisher.write({"a.json": b"1"})
    disk = FolderView(publisher.src, "file", lambda path: RelPath(f"x-{path}"), lambda path: RelPath(path[2:]))
    assert publisher.push_folder(disk, DATA).sequence == 1
    with pytest.raises(NotFound, match="no signed manifest"):
        verify_local(publisher.src, home=publisher.home)
