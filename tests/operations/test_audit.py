"""The history of a channel: every head that took effect, and whatever somebody did to the log."""

import msgspec
import pytest
from machines import Commands
from publishing_machine import Publisher
from sampled import slow

from huracan_sync.errors import NotFound, NoTrust
from huracan_sync.manifest import head, head_history, locations, rotation, signed_files, sshsig, trust
from huracan_sync.manifest.envelope import unpack
from huracan_sync.operations.audit import audit_copy, audit_remote
from huracan_sync.remote import files
from huracan_sync.remote.listing import listing

ROOT = "/Engine"
LOG = f"{ROOT}/.huracan/log/champions"
SET = {"models/champions/latest/BTCUSDT.bin": b"1", "hamilton/roster.json": b"{}"}


def told(machine, channel="champions", **more):
    return audit_remote(machine.context(), ROOT, channel, **more)


def sequences(history):
    return [(row.epoch, row.sequence) for row in history.rows]


def log_of(machine):
    return {entry.path: entry for page in listing(machine.remote, LOG) for entry in page.files}


def copied(machine, folder):
    """The folder of signed things, brought to this disk by any tool."""
    for page in listing(machine.remote, f"{ROOT}/.huracan"):
        for entry in page.files:
            target = folder / ".huracan" / entry.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(files.fetch(machine.remote, f"{ROOT}/.huracan/{entry.path}", limit=1 << 20)[1])
    return folder


@pytest.fixture
def published(publisher, clock):
    """Five heads: a set, a better one with a config, more time, back to the first, and a better one again."""
    publisher.write(SET)
    publisher.publish()
    clock.now += 60
    publisher.write({"models/champions/latest/BTCUSDT.bin": b"2", "hamilton/configs/BTCUSDT.json": b"{}"})
    publisher.publish()
    clock.now += 60
    publisher.renew()
    clock.now += 60
    publisher.roll_back(1)
    clock.now += 60
    publisher.write({"models/champions/latest/BTCUSDT.bin": b"3"})
    publisher.publish(overwrite=True)
    return publisher


def test_every_head_is_told_of_with_what_it_changed(published, clock):
    history = told(published)
    assert (history.ok, history.complete, history.superseded, history.more) == (True, True, [], 0)
    assert sequences(history) == [(1, 5), (1, 4), (1, 3), (1, 2), (1, 1)]
    assert [row.same for row in history.rows] == [False, False, True, False, False]
    changes = [row.changed and (row.changed.added, row.changed.changed, row.changed.removed) for row in history.rows]
    assert changes == [(1, 1, 0), (0, 1, 1), None, (1, 1, 0), (2, 0, 0)]
    assert history.rows[1].changed.paths == [
        "~models/champions/latest/BTCUSDT.bin",
        "-hamilton/configs/BTCUSDT.json",
    ]
    assert [row.created_ms for row in history.rows] == [int((clock.now - 60 * n) * 1000) for n in range(5)]
    assert history.rows[0].signed_by == [trust.open(published.reader()._trust_store.load().trust).keys[0].label]
    assert history.rows[0].entries == 3


def test_what_it_costs(published):
    requests, history = published.counted(lambda: told(published))
    # The trust files 1 and 2, the head, the log and its five heads, which carry the lists that they name.
    assert requests == history.requests == 2 + 1 + 1 + 5


def test_the_newest_alone(published):
    history = told(published, most=2)
    assert sequences(history) == [(1, 5), (1, 4)]
    assert (history.ok, history.complete, history.more) == (True, False, 3)
    assert history.rows[0].changed is not None
    assert history.rows[1].changed is None
    assert sequences(told(published, most=0)) == sequences(told(published))


def test_whoever_reads_audits_too(published, hamilton):
    assert told(hamilton).rows == told(published).rows


@pytest.mark.parametrize("gone", ["1-3", "1-1"])
def test_a_head_that_was_taken_out_of_the_log_is_a_gap(published, gone):
    (name,) = (name for name in log_of(published) if name.startswith(f"{gone}-"))
    published.remote.rpc("files/delete_v2", {"path": f"{LOG}/{name}"}, msgspec.Raw)
    history = told(published)
    assert not history.ok
    assert [fault.partition(":")[0] for fault in history.faults] == ["a gap"]
    assert (1, int(gone[2])) not in sequences(history)
    assert len(history.rows) == 4


def test_what_somebody_put_into_the_log_is_told(published):
    names = sorted(log_of(published))
    files.put(published.remote, f"{LOG}/{names[2]}", b"HZHEAD1\n rubbish")
    files.put(published.remote, f"{LOG}/note.txt", b"by a thief")
    first = files.fetch(published.remote, f"{LOG}/{names[0]}", limit=head.MAX_SIZE)[1]
    files.put(published.remote, f"{LOG}/1-9-{names[0][4:]}", first)
    history = told(published)
    assert sequences(history) == [(1, 5), (1, 4), (1, 2), (1, 1)]
    faults = " ".join(history.faults)
    assert len(history.faults) == 4
    assert "'note.txt'" in faults
    assert f"{names[2]} in the log is refused" in faults
    assert "in the log is sequence 1-1" in faults
    assert "a gap: what 1-4 follows" in faults


def test_the_head_put_back_or_gone(published, hamilton):
    hamilton.reader().latest("champions")
    names = sorted(log_of(published))
    old = files.fetch(published.remote, f"{LOG}/{names[0]}", limit=head.MAX_SIZE)[1]
    files.put(published.remote, f"{ROOT}/{locations.head('champions')}", old)
    history = told(hamilton)
    assert "was already seen" in history.faults[0]
    assert sequences(history)[0] == (1, 5)
    published.remote.rpc("files/delete_v2", {"path": f"{ROOT}/{locations.head('champions')}"}, msgspec.Raw)
    history = told(hamilton)
    assert (history.faults, len(history.rows)) == (["the head is gone"], 5)


def test_a_head_without_its_copy(published):
    (name,) = (name for name in log_of(published) if name.startswith("1-5-"))
    published.remote.rpc("files/delete_v2", {"path": f"{LOG}/{name}"}, msgspec.Raw)
    history = told(published)
    assert history.faults == ["the log has no copy of the head, 1-5"]
    assert len(history.rows) == 5


def test_a_head_that_came_second_took_no_effect(published):
    top = files.fetch(published.remote, f"{ROOT}/{locations.head('champions')}", limit=head.MAX_SIZE)[1]
    said = msgspec.structs.replace(head.linked(top, head_history.digest_of(top)), publisher="the slower one")
    data = signed_files.sign_head(said, [published.keys.signer()])
    files.put(published.remote, f"{ROOT}/{locations.log('champions', 1, 5, head.digest(said))}", data)
    history = told(published)
    assert (history.ok, history.superseded, len(history.rows)) == (True, ["1-5"], 5)


def test_lists_that_are_gone_are_no_fault(published):
    first = {opened.body_sha256 for opened in _heads(published).values() if opened.seq == 1}
    for name, said in _heads(published).items():
        if said.body_sha256 in first:
            data = files.fetch(published.remote, f"{LOG}/{name}", limit=head.MAX_SIZE)[1]
            files.put(published.remote, f"{LOG}/{name}", unpack(head.FORM, data).signed)
    history = told(published)
    assert history.ok
    assert [row.changed is None for row in history.rows] == [True, True, True, True, True]


def _heads(machine):
    """What the log holds, by name."""
    data = {n: files.fetch(machine.remote, f"{LOG}/{n}", limit=head.MAX_SIZE)[1] for n in log_of(machine)}
    return {name: head.linked(each, head_history.digest_of(each)) for name, each in data.items()}


def test_the_history_goes_on_through_another_key_and_another_epoch(published, clock):
    present = published.keys.signer()

    def fresh(newest, now_ms):
        made = rotation.renewed(newest, now_ms=now_ms)
        return rotation.with_channel(made, "champions", epoch=2)

    clock.now += 60
    published.roots().publish_next(fresh)
    published.write({"hamilton/roster.json": b"[]"})
    published.publish()
    history = told(published)
    assert sequences(history) == [(2, 1), (1, 5), (1, 4), (1, 3), (1, 2), (1, 1)]
    assert (history.ok, history.complete) == (True, True)
    assert [row.trust_version for row in history.rows][:2] == [2, 1]
    assert sshsig.fingerprint(present.public)


def test_a_copy_is_audited_offline(published, dropbox, tmp_path):
    copy = copied(published, tmp_path / "copy")
    online = told(published)
    dropbox.control("log/reset", {})
    history = audit_copy(copy, published.home, "champions")
    assert history.rows == online.rows
    pin = published.pin()
    assert audit_copy(copy, tmp_path / "nowhere", "champions", pin=pin).rows == online.rows
    assert dropbox.log()["total"] == 0
    with pytest.raises(NoTrust):
        audit_copy(copy, tmp_path / "nowhere", "champions")
    with pytest.raises(NoTrust):
        audit_copy(copy, published.home, "champions", pin=f"{pin[:-43]}{'A' * 43}")
    with pytest.raises(NotFound, match="nothing was ever published in logs"):
        audit_copy(copy, published.home, "logs")
    with pytest.raises(NotFound, match="holds no folder"):
        audit_copy(tmp_path, published.home, "champions")


@pytest.mark.slow
@pytest.mark.parametrize("every", [7, slow(1)])
def test_every_bit_of_a_copy_of_the_log(published, tmp_path, every):
    copy = copied(published, tmp_path / "copy")
    (file,) = (copy / ".huracan/log/champions").glob("1-3-*")
    data = bytearray(file.read_bytes())
    for at in range(0, len(data), every):
        data[at] ^= 1 << at % 8
        file.write_bytes(data)
        history = audit_copy(copy, published.home, "champions")
        assert not history.ok
        assert (1, 3) not in sequences(history)
        data[at] ^= 1 << at % 8


@pytest.mark.slow
def test_as_commands(dropbox, tmp_path):
    publisher = Commands(dropbox, tmp_path / "engine", key="sign.key")
    source = tmp_path / "src"
    source.mkdir()
    (source / "a.json").write_text("1")
    publisher.run("keys", "init")
    publisher.run("verify", "--history", code=1)
    publisher.run("publish", source)
    (source / "a.json").write_text("2")
    publisher.run("publish", source)
    publisher.run("push", source, "/Runpodhuracan/data/candles")
    report = publisher.run("verify", "--history")
    assert (report["ok"], [row["sequence"] for row in report["rows"]]) == (True, [2, 1])
    assert len(publisher.run("verify", "--history", "/Runpodhuracan/data/candles")["rows"]) == 1
    assert len(publisher.run("verify", "--history", "--channel", "candles", "--limit", 1)["rows"]) == 1
    out, _ = publisher.say("verify", "--history")
    assert "+0 ~1 -0" in out
    assert "down to the first" in out
    machine = Publisher(dropbox, tmp_path / "other")
    (name,) = (
        e.path
        for p in listing(machine.remote, "/Runpodhuracan/.huracan/log/champions")
        for e in p.files
        if e.path.startswith("1-1-")
    )
    files.put(machine.remote, f"/Runpodhuracan/.huracan/log/champions/{name}", b"rubbish")
    assert "WRONG" in publisher.say("verify", "--history", code=65)[0]
    publisher.run("verify", code=2)
    publisher.run("verify", "--history", "--limit", -1, code=2)
    publisher.run("verify", "--history", tmp_path, "--local", code=1)
