"""A restore takes what is signed, by whichever door, and nothing that nobody has signed stands in its way."""

import base64
import json

import pytest
from expecting import raises
from machines import READ, Commands, Machine, publishing, write
from publishing_machine import DATA, Publisher

from huracan_sync.errors import NotFound, Refused, StateMissing
from huracan_sync.operations.audit import audit_remote
from huracan_sync.operations.browse import find_signed
from huracan_sync.operations.restore_signed import signed_of
from huracan_sync.operations.verify import verify
from huracan_sync.remote import files
from huracan_sync.remote.delete import remove_whatever
from huracan_sync.signing import local_manifest

EVIL = b"by a thief"


def put(machine, path, data=EVIL):
    files.put(machine.remote, path, data)


def move(machine, path, to):
    machine.remote.rpc("files/move_v2", {"from_path": path, "to_path": to}, dict, commit=True)


def restored(machine, folder=DATA, **options):
    report = machine.restore(folder, machine.src, **options)
    lying = [p for p in machine.src.rglob("*") if p.is_file()]
    return report, {p.relative_to(machine.src).as_posix(): p.read_bytes() for p in lying}


# --- which folder -------------------------------------------------------------------------------------------------


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("/engine/DATA", "Sub/a"),
        ("/ENGINE/data", "Sub/a"),
        (f"{DATA}/Sub", "a"),
        (f"{DATA}/SUB", "a"),
        ("/Engine", "data/Sub/a"),
    ],
)
def test_a_folder_is_verified_however_it_is_spelled_and_so_are_those_in_it_and_above_it(publisher, pod, folder, name):
    publisher.write({"Sub/a": b"1"})
    publisher.push()
    put(publisher, f"{DATA}/Sub/a")
    report, found = restored(pod, folder)
    assert found == {name: b"1"}
    assert (report.contradicted, report.unsigned) == ([name], 0)


def test_one_list_may_spell_a_folder_in_two_ways(publisher, pod, tmp_path):
    publisher.write({"a": b"1", "c": b"3"})
    publisher.push()
    publisher.push_folder(write(tmp_path / "other", {"b": b"2"}), "/Engine/DATA", channel="data")
    assert restored(pod, "/Engine/Data", channel="data")[1] == {"a": b"1", "b": b"2", "c": b"3"}


def test_files_that_other_channels_list_are_verified_by_them(publisher, pod, tmp_path):
    publisher.write({"a": b"1"})
    publisher.push(f"{DATA}/candles")
    publisher.push_folder(write(tmp_path / "other", {"x": b"x"}), DATA)
    put(publisher, f"{DATA}/candles/a")
    report, found = restored(pod)
    assert found == {"x": b"x", "candles/a": b"1"}
    assert (report.contradicted, report.unsigned, report.verified_by) == (["candles/a"], 0, ["data", "candles"])
    remove_whatever(publisher.remote, f"{DATA}/candles/a")
    (pod.src / "candles" / "a").unlink()
    assert (
        "CONTRADICTED" in {failure.error.code for failure in restored(pod, overwrite=True)[0].failed}
        or (pod.src / "candles" / "a").read_bytes() == b"1"
    )


def test_a_folder_of_the_same_name_has_signed_nothing_here(publisher, pod, tmp_path):
    publisher.write({"a": b"1"})
    publisher.push("/Engine/b/data", channel="mine")
    publisher.push_folder(write(tmp_path / "other", {"x": b"x"}), DATA)
    put(publisher, "/Engine/b/data/a")
    assert restored(pod, "/Engine/b/data")[1] == {"a": b"1"}


def test_of_two_channels_the_one_called_as_the_nearest_folder_counts(publisher, pod, tmp_path):
    publisher.write({"candles/a": b"1"})
    publisher.push()
    publisher.push_folder(write(tmp_path / "other", {"a": b"2"}), f"{DATA}/candles", overwrite=True)
    report, found = restored(pod)
    assert found == {"candles/a": b"2"}
    assert (report.contradicted, report.failed) == ([], [])


def test_another_channel_that_is_too_old_keeps_nobody_from_restoring(publisher, pod, clock, tmp_path):
    publisher.write({"m": b"1"})
    publisher.publish(DATA, channel="champions")
    clock.hours(30)  # champions are dead after 26
    publisher.push_folder(write(tmp_path / "other", {"x": b"x"}), DATA)
    put(publisher, f"{DATA}/planted")
    report, found = restored(pod)
    assert (found["x"], report.verified_by, report.failed) == (b"x", ["data"], [])


def test_a_pin_that_was_delivered_is_as_good_as_one_that_was_carried(dropbox, tmp_path, clock, publisher):
    publisher.write({"a": b"1"})
    publisher.push()
    put(publisher, f"{DATA}/a")
    env = {"HURACAN_ROOT_PIN": publisher.pin()}
    fresh = Machine(dropbox, tmp_path / "fresh", scopes=READ, clock=clock, env=env)
    report = fresh.restore(DATA, tmp_path / "to")
    assert (tmp_path / "to" / "a").read_bytes() == b"1"
    assert report.verified_by == ["data"]


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("root", "folder", "name"),
    [
        ("", "/Team/Engine/data", "a"),
        ("", "", "Team/Engine/data/a"),
        ("/Other", "/Team/Engine/data", "a"),
        ("/Other", "/TEAM/engine/data", "a"),
        ("/Other", "/Team/Engine", "data/a"),
        ("/Other", "/team", "Engine/data/a"),
        ("/Team/Engine", "", "Team/Engine/data/a"),
        ("/Team/Engine", "/Team", "Engine/data/a"),
    ],
)
def test_any_root_folder_that_was_pinned_counts_and_folders_in_it_and_above_it(
    dropbox, tmp_path, clock, root, folder, name
):
    team = Publisher(dropbox, tmp_path / "team", clock=clock, root="/Team/Engine")
    team.roots().begin()
    team.write({"a": b"1"})
    team.push("/Team/Engine/data")
    put(team, "/Team/Engine/data/a")
    put(team, "/Team/Engine/data/planted")
    fresh = Machine(dropbox, tmp_path / "fresh", scopes=READ, clock=clock, root=root)
    fresh.reader("/Team/Engine").pin(team.pin())
    report = fresh.restore(folder, tmp_path / "to")
    assert (tmp_path / "to" / name).read_bytes() == b"1"
    assert (report.contradicted, report.verified_by) == ([name], ["data"])
    assert f"{name[:-1]}planted" in report.unsigned_files
    if folder.startswith("/Team/Engine"):
        assert fresh.restore(folder, tmp_path / "by channel", channel="data").verified_by == ["data"]


@pytest.mark.every_case
@pytest.mark.parametrize("root", ["/Team", "/Team/Engine", "/Other"])
def test_of_two_root_folders_in_each_other_both_count_and_the_nearer_first(dropbox, tmp_path, clock, root):
    """The profile's own may be either of them, or neither."""
    data = "/Team/Engine/data"
    outer = Publisher(dropbox, tmp_path / "outer", clock=clock, root="/Team")
    inner = Publisher(dropbox, tmp_path / "inner", clock=clock, root="/Team/Engine")
    for publisher in (outer, inner):
        publisher.roots().begin()
    outer.push_folder(write(tmp_path / "of outer", {"a": b"old", "o": b"o"}), data)
    inner.push_folder(write(tmp_path / "of inner", {"i": b"i"}), data)
    inner.push_folder(write(tmp_path / "of inner", {"a": b"1"}), data, overwrite=True)
    for name in ("a", "i", "o", "planted"):
        put(inner, f"{data}/{name}")
    fresh = Machine(dropbox, tmp_path / "fresh", scopes=READ, clock=clock, root=root)
    fresh.reader("/Team").pin(outer.pin())
    fresh.reader("/Team/Engine").pin(inner.pin())
    report = fresh.restore(data, tmp_path / "to")
    assert {each.name: each.read_bytes() for each in (tmp_path / "to").iterdir()} == {
        "a": b"1",
        "i": b"i",
        "o": b"o",
        "planted": EVIL,
    }
    assert (report.contradicted, report.unsigned_files) == (["a", "i", "o"], ["planted"])


@pytest.mark.every_case
@pytest.mark.parametrize("root", ["/Team", "/Team/Engine", "/Other"])
def test_of_two_root_folders_in_each_other_the_nearer_is_asked_for_a_channel_first(dropbox, tmp_path, clock, root):
    """Every door that names a channel, or one file: the same answer as a restore of the folder."""
    data = "/Team/Engine/data"
    outer = Publisher(dropbox, tmp_path / "outer", clock=clock, root="/Team")
    inner = Publisher(dropbox, tmp_path / "inner", clock=clock, root="/Team/Engine")
    for publisher in (outer, inner):
        publisher.roots().begin()
    outer.push_folder(write(tmp_path / "of outer", {"a": b"old"}), data)
    outer.push_folder(write(tmp_path / "of outer alone", {"n": b"n"}), "/Team/Engine/notes")
    inner.push_folder(write(tmp_path / "of inner", {"a": b"1"}), data, overwrite=True)
    fresh = Machine(dropbox, tmp_path / "fresh", scopes=READ, clock=clock, root=root)
    fresh.reader("/Team").pin(outer.pin())
    fresh.reader("/Team/Engine").pin(inner.pin())
    context = fresh.context()

    report = fresh.restore(data, tmp_path / "to", channel="data")
    assert ((tmp_path / "to" / "a").read_bytes(), report.failed) == (b"1", [])
    seen = local_manifest.find(fresh.home, tmp_path / "to")
    assert seen.place.endswith("/team/engine")

    snapshot, name = find_signed(context, f"{data}/a")
    assert (snapshot.read(name), name) == (b"1", "data/a")
    assert find_signed(context, f"{data}/a", channel="data")[1] == "data/a"
    assert verify(data, remote=fresh.remote, home=fresh.home, clock=clock).differences == []
    publishers = {row.publisher for row in audit_remote(context, data, "data").rows}
    assert publishers == {row.publisher for row in audit_remote(inner.context(), data, "data").rows}

    # What the nearer one has never heard of, the farther one is asked for.
    assert find_signed(context, "/Team/Engine/notes/n")[1] == "Engine/notes/n"
    assert verify("/Team/Engine/notes", remote=fresh.remote, home=fresh.home, clock=clock).ok
    assert len(audit_remote(context, "/Team/Engine/notes", "notes").rows) == 1
    fresh.restore("/Team/Engine/notes", tmp_path / "notes", channel="notes")
    assert (tmp_path / "notes" / "n").read_bytes() == b"n"

    # Once it has, what a thief takes away from there is not taken from the farther one.
    remove_whatever(inner.remote, "/Team/Engine/.huracan/heads")
    with raises(Refused, "HEAD_MISSING"):
        fresh.restore(data, tmp_path / "again", channel="data")
    with raises(Refused, "HEAD_MISSING"):
        verify(data, remote=fresh.remote, home=fresh.home, clock=clock)
    snapshot, name = find_signed(context, f"{data}/a", channel="data")
    assert (snapshot.read(name), snapshot.problem.code) == (b"1", "HEAD_MISSING")


def test_the_champions_of_a_farther_root_folder_are_not_told_as_those_of_a_nearer_one(dropbox, tmp_path, clock):
    outer = Publisher(dropbox, tmp_path / "outer", clock=clock, root="/Team")
    inner = Publisher(dropbox, tmp_path / "inner", clock=clock, root="/Team/Engine")
    for publisher in (outer, inner):
        publisher.roots().begin()
    outer.push_folder(write(tmp_path / "set", {"hamilton/configs/XUSDT.json": b"{}"}), "/Team", channel="champions")
    fresh = Machine(dropbox, tmp_path / "fresh", scopes=READ, clock=clock, root="/Team/Engine")
    fresh.reader("/Team").pin(outer.pin())
    fresh.reader("/Team/Engine").pin(inner.pin())
    assert len(audit_remote(fresh.context(), "/Team", "champions").rows) == 1
    with raises(NotFound):
        audit_remote(fresh.context(), "/Team/Engine", "champions")


@pytest.mark.parametrize("also_outer", [False, True])
def test_a_trust_file_that_a_thief_deleted_does_not_make_a_file_one_that_nobody_signed(
    dropbox, tmp_path, clock, also_outer
):
    """The machine has the pin from its environment and has seen nothing yet; another root may be pinned farther off."""
    inner = Publisher(dropbox, tmp_path / "inner", clock=clock, root="/Team/Engine")
    outer = Publisher(dropbox, tmp_path / "outer", clock=clock, root="/Team")
    for publisher in (outer, inner):
        publisher.roots().begin()
    outer.push_folder(write(tmp_path / "of outer", {"a": b"old"}), "/Team/Engine/data")
    inner.push_folder(write(tmp_path / "of inner", {"a": b"1"}), "/Team/Engine/data", overwrite=True)
    remove_whatever(inner.remote, "/Team/Engine/.huracan/trust")
    env = {"HURACAN_ROOT_PIN": inner.pin()}
    fresh = Machine(dropbox, tmp_path / "fresh", scopes=READ, clock=clock, root="/Team/Engine", env=env)
    if also_outer:
        Machine.reader(fresh, "/Team").pin(outer.pin())
    file = "/Team/Engine/data/a"
    for ask in (
        lambda: find_signed(fresh.context(), file),
        lambda: find_signed(fresh.context(), file, channel="data"),
        lambda: verify(
            "/Team/Engine/data", remote=fresh.remote, home=fresh.home, keys=fresh.context().keys, clock=clock
        ),
        lambda: fresh.restore("/Team/Engine/data", tmp_path / "to", channel="data"),
        lambda: fresh.restore("/Team/Engine/data", tmp_path / "to"),
    ):
        with raises(NotFound, match="there is no trust file"):
            ask()
    assert not (tmp_path / "to" / "a").exists()


@pytest.mark.every_case
@pytest.mark.parametrize("folder", ["/Team/Engine/data", "/Team/Engine", "/Team"])
@pytest.mark.parametrize("loss", ["gone", "damaged"])
def test_a_pinned_root_whose_state_is_lost_is_not_taken_for_none(dropbox, tmp_path, clock, folder, loss):
    team = Publisher(dropbox, tmp_path / "team", clock=clock, root="/Team/Engine")
    team.roots().begin()
    team.write({"a": b"1"})
    team.push("/Team/Engine/data")
    fresh = Machine(dropbox, tmp_path / "fresh", scopes=READ, clock=clock, root="/Other")
    fresh.reader("/Team/Engine").pin(team.pin())
    (seen,) = fresh.home.glob("trust/*/seen.db")
    if loss == "gone":
        seen.unlink()
    else:
        seen.write_bytes(b"x" * 5_000)
    with raises(StateMissing):
        fresh.restore(folder, tmp_path / "to")
    assert not list((tmp_path / "to").rglob("a"))
    fresh.restore(folder, tmp_path / "to", unsigned=True)
    assert len(list((tmp_path / "to").rglob("a"))) == 1


def test_a_machine_that_trusts_nobody_asks_nothing(dropbox, tmp_path, clock, publisher):
    publisher.write({"a": b"1"})
    publisher.push()
    fresh = Machine(dropbox, tmp_path / "fresh", scopes=READ, clock=clock)
    with fresh.context().pair(tmp_path / "to", DATA) as pair:
        assert publisher.counted(lambda: signed_of(fresh.context(), pair, everywhere=True)) == (0, None)


# --- what the thief did -------------------------------------------------------------------------------------------


def swapped(machine):
    move(machine, f"{DATA}/a", f"{DATA}/c")
    move(machine, f"{DATA}/s/b", f"{DATA}/a")
    move(machine, f"{DATA}/c", f"{DATA}/s/b")


def in_the_way(machine):
    for path, planted in {"a": "a/below", "s": "s"}.items():
        remove_whatever(machine.remote, f"{DATA}/{path}")
        put(machine, f"{DATA}/{planted}")


def in_capitals(machine):
    remove_whatever(machine.remote, f"{DATA}/a")
    put(machine, f"{DATA}/A")


@pytest.mark.every_case
@pytest.mark.parametrize(
    "theft",
    [swapped, in_the_way, in_capitals, lambda machine: move(machine, DATA, "/Engine/gone")],
    ids=["content under each other's name", "files where folders were", "another case", "the folder is gone"],
)
@pytest.mark.parametrize("seen", [False, True], ids=["a first restore", "a second one"])
def test_what_is_signed_comes_back(publisher, pod, theft, seen):
    publisher.write({"a": b"1", "s/b": b"2"})
    publisher.push()
    if seen:
        restored(pod)
        for path in ("a", "s/b"):
            (pod.src / path).unlink()
    theft(publisher)
    report, found = restored(pod, overwrite=True)
    assert found == {"a": b"1", "s/b": b"2"}
    assert report.contradicted == ["a"] if theft is in_capitals else ["a", "s/b"]


def test_what_is_in_the_way_of_what_is_signed_is_refused_and_named(publisher, pod):
    publisher.write({"a": b"1", "s/b": b"2"})
    publisher.push()
    in_the_way(publisher)
    report, _ = restored(pod)
    assert {failure.path: failure.error.code for failure in report.failed} == dict.fromkeys(
        ("a/below", "s"), "CONTRADICTED"
    )
    assert all(isinstance(failure.error, Refused) for failure in report.failed)


def test_an_ignore_file_that_nobody_has_signed_hides_nothing_from_the_next_push(publisher, pod, dropbox, tmp_path):
    publisher.write({"a": b"1"})
    publisher.push()
    put(publisher, f"{DATA}/.huracanignore", b"*")
    report, found = restored(pod)
    assert found == {"a": b"1"}
    assert [failure.path for failure in report.failed] == [".huracanignore"]
    assert restored(pod, active_names=True)[1] == {"a": b"1", ".huracanignore": b"*"}
    stranger = Machine(dropbox, tmp_path / "stranger", scopes=READ)  # to whom nothing is signed
    stranger.restore(DATA, tmp_path / "to")
    assert (tmp_path / "to" / ".huracanignore").read_bytes() == b"*"


# --- one file -----------------------------------------------------------------------------------------------------


@pytest.mark.every_case
@pytest.mark.parametrize("spelled", ["/Runpodhuracan/data/Sub/a", "/runpodhuracan/DATA/sub/A"])
@pytest.mark.parametrize("channel", ["data", "team/one"])
def test_one_file_is_verified_however_it_is_spelled(dropbox, tmp_path, spelled, channel):
    engine = publishing(dropbox, tmp_path / "engine")
    engine.run("push", write(tmp_path / "src", {"Sub/a": b"1"}), "/Runpodhuracan/data", "--channel", channel)
    pod = Commands(dropbox, tmp_path / "pod")
    pod.run("keys", "trust", engine.run("keys", "show")["pin"])
    Commands(dropbox, tmp_path / "thief").run(
        "put", write(tmp_path / "evil", {"a": EVIL}) / "a", spelled, "--overwrite"
    )
    assert pod.run("get", spelled, tmp_path / "one")["verified"]
    assert (tmp_path / "one").read_bytes() == b"1"
    assert base64.b64decode(pod.run("cat", spelled)["data"]) == b"1"


def test_rubbish_where_no_channel_ever_was_keeps_nobody_from_a_file(dropbox, tmp_path):
    engine = publishing(dropbox, tmp_path / "engine")
    engine.run("push", write(tmp_path / "src", {"a": b"1"}), DATA)
    rubbish = write(tmp_path / "evil", {"a": EVIL}) / "a"
    thief = Commands(dropbox, tmp_path / "thief")
    thief.run("put", rubbish, "/Runpodhuracan/other/x")
    thief.run("put", rubbish, "/Runpodhuracan/.huracan/heads/aaa.hzh")
    out, err = engine.say("cat", "/Runpodhuracan/other/x", "--json")
    assert json.loads(out)["verified"] is False
    assert "no channel lists it" in err


def test_what_was_last_known_good_is_called_so(dropbox, tmp_path):
    engine = publishing(dropbox, tmp_path / "engine")
    engine.run("push", write(tmp_path / "src", {"a": b"1"}), "/Runpodhuracan/data")
    rubbish = write(tmp_path / "evil", {"a": EVIL}) / "a"
    Commands(dropbox, tmp_path / "thief").run("put", rubbish, "/Runpodhuracan/.huracan/heads/data.hzh", "--overwrite")
    out, err = engine.say("cat", "/Runpodhuracan/data/a")
    assert out == "1"
    assert "note: /Runpodhuracan/data/a is taken from sequence 1 of data, which was last known good: a head " in err
