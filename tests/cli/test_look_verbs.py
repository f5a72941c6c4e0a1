"""`ls`, `get`, `put`, `cat`, `diff`, `outbox`, filters and dry runs as a person or a script runs them."""

import base64
import json
import os

import pytest

from huracan_sync.engine.outbox import Outbox, QueuedWrite


@pytest.fixture
def machine(plain_machine):
    return plain_machine


# --- ls -----------------------------------------------------------------------------------------------------------


def test_ls_reads_like_ls(machine):
    machine.write("a.txt", "sub/b.txt", "sub/er/ü.txt")
    assert machine.run("push", machine.src, "/Engine")[0] == 0
    assert machine.run("ls")[:2] == (0, "a.txt\nsub/\n")
    assert machine.run("ls", "/Engine", "-R")[1].splitlines() == [
        "a.txt", "sub/", "sub/b.txt", "sub/er/", "sub/er/ü.txt",
    ]  # fmt: skip
    long = machine.run("ls", "-l")[1].splitlines()
    assert long[0].startswith("      13 B  20")
    assert long[1].split() == ["-", "-", "sub/"]
    code, document = machine.answer("ls", "/Engine/a.txt")
    (entry,) = document["entries"]
    assert (code, entry["path"], entry["size"], entry["type"]) == (0, "a.txt", 13, "file")
    assert entry["modified"].endswith("Z")
    code, _, err = machine.run("ls", "/Engine/none")
    assert code == 1
    assert "does not exist" in err


# --- put, get, cat ------------------------------------------------------------------------------------------------


def test_put_and_get_one_file(machine, tmp_path):
    machine.write("model.bin")
    assert machine.answer("put", "src/model.bin", "/Engine/models/m.bin")[1]["sent"] is True
    assert machine.answer("put", "src/model.bin", "/Engine/models/")[1]["path"] == "/Engine/models/model.bin"
    assert machine.remote() == {"models/m.bin", "models/model.bin"}
    code, document = machine.answer("get", "/Engine/models/m.bin")
    assert (code, document["downloaded"], document["verified"]) == (0, 1, False)
    assert (tmp_path / "m.bin").read_bytes() == b"data of model.bin"
    assert machine.answer("get", "/Engine/models/m.bin")[1]["downloaded"] == 0
    assert machine.answer("get", "/Engine/models/m.bin", "other.bin")[1]["downloaded"] == 1
    assert (tmp_path / "other.bin").read_bytes() == b"data of model.bin"


def test_put_replaces_nothing_unasked(machine):
    machine.write("a", data=b"1" * 6000)
    assert machine.run("put", "src/a", "/Engine/a")[0] == 0
    machine.write("a", data=b"2" * 6000)
    code, out, err = machine.run("put", "src/a", "/Engine/a")
    assert (code, out) == (1, "")
    assert "--overwrite" in err
    assert machine.run("put", "src/a", "/Engine/a", "--overwrite")[0] == 0
    assert machine.run("put", "src/a", "/Engine/a")[:2] == (0, "/Engine/a: already there\n")
    assert machine.run("put", "src", "/Engine/a")[0] == 2
    assert machine.run("put", "src/none", "/Engine/a")[0] == 2


def test_get_replaces_nothing_unasked(machine, tmp_path):
    machine.write("a")
    machine.run("put", "src/a", "/Engine/a")
    (tmp_path / "a").write_text("mine")
    code, document = machine.answer("get", "/Engine/a")
    assert (code, document["downloaded"], len(document["failed"])) == (1, 0, 1)
    assert (tmp_path / "a").read_text() == "mine"
    assert machine.answer("get", "/Engine/a", "--overwrite")[1]["downloaded"] == 1
    (tmp_path / "a").write_text("mine again")
    code, document = machine.answer("get", "/Engine/a")
    assert (code, len(document["failed"])) == (1, 1)
    assert (tmp_path / "a").read_text() == "mine again"


def test_get_a_folder(machine, tmp_path):
    machine.write("x/a", "x/b")
    machine.run("push", machine.src, "/Engine")
    code, _, err = machine.run("get", "/Engine/x")
    assert (code, "note: /Engine/x is not verified: no root key is pinned on this machine" in err) == (0, True)
    assert (tmp_path / "x" / "b").read_bytes() == b"data of x/b"


@pytest.mark.parametrize("words", [("push", "src", ""), ("ls", ""), ("restore", "", "back"), ("push", "", "/Engine")])
def test_a_variable_of_the_shell_that_was_not_set_does_not_name_the_top_folder(machine, words):
    machine.write("a")
    code, out, err = machine.run(*words)
    assert (code, out, " is empty\n  hint: name it; the " in err) == (2, "", True)
    assert machine.remote("/") == set()


def test_cat_prints_the_bytes(machine):
    machine.write("a.txt")
    machine.run("put", "src/a.txt", "/Engine/a.txt")
    code, out, err = machine.run("cat", "/Engine/a.txt")
    assert (code, out) == (0, "data of a.txt")
    assert "not verified" in err
    assert "not verified" not in machine.run("cat", "/Engine/a.txt", "--unsigned")[2]
    document = machine.answer("cat", "/Engine/a.txt")[1]
    assert (base64.b64decode(document["data"]), document["verified"]) == (b"data of a.txt", False)
    assert machine.run("cat", "/Engine")[0] == 2
    assert machine.run("cat", "/Engine/none")[0] == 1


def test_what_is_signed_is_verified_whatever_lies_there_now(machine, tmp_path, monkeypatch):
    monkeypatch.setenv("HURACAN_SIGNING_KEY_FILE", str(tmp_path / "signing-key"))
    machine.write("a.json", "b.json", data=b"1")
    for name in ("a.json", "b.json"):
        (machine.src / name).write_text('{"n": 1}')
    assert machine.run("keys", "init")[0] == 0
    assert machine.answer("push", machine.src, "/Engine/data")[1]["sequence"] == 1
    forged = tmp_path / "forged"
    forged.write_text('{"n": 2}')
    assert machine.run("put", "forged", "/Engine/data/a.json", "--overwrite")[0] == 0
    document = machine.answer("cat", "/Engine/data/a.json")[1]
    assert (base64.b64decode(document["data"]), document["verified"]) == (b'{"n": 1}', True)
    document = machine.answer("get", "/Engine/data/a.json", "mine.json")[1]
    assert (document["verified"], document["sequence"], document["downloaded"]) == (True, 1, 1)
    assert (tmp_path / "mine.json").read_text() == '{"n": 1}'
    assert machine.run("cat", "/Engine/data/a.json", "--unsigned")[1] == '{"n": 2}'
    folder = machine.answer("get", "/Engine/data", "whole")[1]
    assert (folder["verified"], folder["sequence"], folder["downloaded"]) == (True, 1, 2)
    assert (tmp_path / "whole" / "a.json").read_text() == '{"n": 1}'
    assert machine.answer("get", "/Engine/data", "named", "--channel", "data")[1]["verified"] is True
    assert machine.answer("get", "/Engine/data", "raw", "--unsigned")[1]["verified"] is False
    assert (tmp_path / "raw" / "a.json").read_text() == '{"n": 2}'
    assert machine.run("cat", "/Engine/data/c.json", "--channel", "data")[0] == 1


# --- diff ---------------------------------------------------------------------------------------------------------


def test_diff_tells_by_hash_and_downloads_nothing(machine):
    machine.write("same", "changed", "mine", "theirs")
    machine.run("push", machine.src, "/Engine/d")
    assert machine.run("diff", "src", "/Engine/d")[:2] == (0, "4 files are the same, 0 differ\n")
    (machine.src / "theirs").unlink()
    (machine.src / "changed").write_bytes(b"DATA of changed")
    machine.write("new")
    (machine.src / "same").touch()
    code, out, _ = machine.run("diff", "src", "/Engine/d")
    assert code == 1
    assert out.splitlines() == [
        "Files differ: changed", "Only in src: new", "Only in /Engine/d: theirs", "2 files are the same, 3 differ",
    ]  # fmt: skip
    code, document = machine.answer("diff", "src", "/Engine/d", "--exclude", "new")
    assert [each["what"] for each in document["differences"]] == ["differs", "only_remote"]
    assert (document["same"], document["filtered"]) == (2, 1)
    (machine.src / "changed").write_bytes(b"data of changed")
    (machine.src / "new").unlink()
    assert machine.run("diff", "src", "/Engine/d")[1].splitlines()[-1].endswith(" the same, 1 differs")
    assert machine.dropbox.log()["downloaded_bytes"] == 0


# --- filters ------------------------------------------------------------------------------------------------------


def test_filtered_files_are_neither_sent_nor_deleted_nor_fetched(machine, tmp_path):
    machine.write("a.parquet.txt", "b.tmp", "cache/c", ".huracanignore")
    (machine.src / ".huracanignore").write_text("cache/\n")
    code, report = machine.answer("push", machine.src, "/Engine/d", "--exclude", "*.tmp")
    assert (code, report["uploaded"], report["filtered"]) == (0, 2, 2)
    assert machine.remote("/Engine/d") == {"a.parquet.txt", ".huracanignore"}
    machine.run("push", machine.src, "/Engine/d")
    assert "b.tmp" in machine.remote("/Engine/d")
    (machine.src / "b.tmp").unlink()
    (machine.src / "a.parquet.txt").unlink()
    report = machine.answer("push", machine.src, "/Engine/d", "--delete", "--exclude", "*.tmp")[1]
    assert report["deleted"] == 1
    assert machine.remote("/Engine/d") == {"b.tmp", ".huracanignore"}
    report = machine.answer("restore", "/Engine/d", tmp_path / "back", "--include", "*.tmp")[1]
    assert (report["downloaded"], report["filtered"]) == (1, 1)
    rules = tmp_path / "rules"
    rules.write_text("- *.tmp\n")
    totals = machine.answer("restore", "/Engine/d", tmp_path / "other", "-n", "--filter-from", rules)[1]["totals"]
    assert (totals["files"], totals["filtered"]) == (1, 1)


# --- a single file, dry runs --------------------------------------------------------------------------------------


def test_push_takes_a_single_file(machine):
    machine.write("one.txt", "two.txt")
    report = machine.answer("push", machine.src / "one.txt", "/Engine/d")[1]
    assert (report["uploaded"], report["failed"]) == (1, [])
    assert machine.remote("/Engine/d") == {"one.txt"}
    assert machine.answer("push", machine.src / "one.txt", "/Engine/d")[1]["uploaded"] == 0
    assert machine.run("push", machine.src / "one.txt", "/Engine/d", "--exclude", "*.txt")[0] == 2


def test_a_dry_run_has_totals_and_structure(machine):
    machine.write("a", "b", "c")
    machine.run("push", machine.src, "/Engine/d")
    machine.write("a", "new", data=b"other ")
    (machine.src / "c").unlink()
    code, document = machine.answer("push", machine.src, "/Engine/d", "-n", "--delete")
    assert code == 0
    assert [(each["path"], each["size"]) for each in document["copies"]] == [("a", 7), ("new", 9)]
    assert document["copies"][0]["replaces"]
    assert document["copies"][1]["replaces"] is None
    assert [each["path"] for each in document["deletes"]] == ["c"]
    totals = {
        "files": 2,
        "bytes": 16,
        "renamed": 0,
        "deletes": 1,
        "conflicts": 0,
        "problems": 0,
        "filtered": 0,
        "requests": 2,
    }
    assert document["totals"] == totals
    out = machine.run("push", machine.src, "/Engine/d", "-n", "--delete")[1]
    assert out.splitlines()[-1] == "2 to copy (16 B), 1 to delete; about 2 requests"


def test_renamed_files_are_told_before_and_after(machine):
    for name in "abc":
        machine.write(name, data=name.encode() * 5000)
    machine.run("push", machine.src, "/Engine/d")
    (machine.src / "in").mkdir()
    for name in "abc":
        (machine.src / name).rename(machine.src / "in" / name)
    words = ("push", machine.src, "/Engine/d", "--delete")
    code, document = machine.answer(*words, "-n")
    totals = document["totals"]
    assert (code, totals["files"], totals["bytes"], totals["renamed"]) == (0, 0, 0, 3)
    assert [(each["path"], each["renamed_from"]) for each in document["copies"]] == [(f"in/{n}", n) for n in "abc"]
    out = machine.run(*words, "-n")[1]
    assert out.splitlines()[-1] == "3 renamed (0 B to send), 3 to delete; about 2 requests"
    assert "rename    in/a, from a" in out.splitlines()
    kept = machine.run("push", machine.src, "/Engine/d", "-n")[1].splitlines()
    assert (kept[0], kept[-1]) == ("copy      in/a, from a", "3 copied inside Dropbox (0 B to send); about 2 requests")
    machine.write("new")
    assert "1 to copy (11 B), 3 renamed, 3 to delete; about 3 requests" in machine.run(*words, "-n")[1]
    (machine.src / "new").unlink()
    assert "0 uploaded, 3 renamed, 0 already there, 3 deleted, 0 failed; 0 B sent" in machine.run(*words)[1]


def test_a_renamed_file_whose_old_name_stays_in_dropbox_is_said_to_be_copied(machine):
    for name in "abc":
        machine.write(name, data=name.encode() * 5000)
    machine.run("push", machine.src, "/Engine/d")
    for name in "abc":
        (machine.src / name).rename(machine.src / f"{name}2")
    said = machine.run("push", machine.src, "/Engine/d")[1]
    assert "0 uploaded, 3 copied inside Dropbox, 0 already there, 0 deleted" in said
    assert machine.run("ls", "/Engine/d")[1].split() == ["a", "a2", "b", "b2", "c", "c2"]


def test_a_dry_run_ends_with_1_where_a_conflict_waits(machine):
    machine.write("a")
    machine.run("put", "src/a", "/Engine/d/a")
    machine.write("a", data=b"mine ")
    code, document = machine.answer("push", machine.src, "/Engine/d", "-n")
    assert code == 1
    assert [(each["path"], each["kind"]) for each in document["conflicts"]] == [("a", "unknown")]
    assert document["totals"]["requests"] == 0


# --- outbox -------------------------------------------------------------------------------------------------------


def test_the_outbox_is_listed_delivered_and_dropped(machine):
    assert machine.run("outbox")[:2] == (0, "nothing waits in the outbox\n")
    outbox = Outbox(machine.home)
    service = json.loads(machine.run("doctor", "--json")[1])  # any call: the service's name is the emulator's
    assert service
    from huracan_sync.remote.http import Endpoint

    namespace = Endpoint.from_environment(os.environ).namespace
    for name in ("one", "two", "three"):
        outbox.put(QueuedWrite(remote=f"/Engine/{name}", service=namespace, queued=1e9), name.encode())
    code, document = machine.answer("outbox", "list")
    assert (code, [each["since"] for each in document["waiting"]]) == (0, ["2001-09-09T01:46:40Z"] * 3)
    first = document["waiting"][0]
    assert machine.run("outbox", "drop")[0] == 2
    assert machine.run("outbox", "drop", "nope")[0] == 2
    assert machine.answer("outbox", "drop", first["id"])[1]["dropped"][0]["remote"] == first["remote"]
    code, document = machine.answer("outbox", "retry")
    assert (code, document["delivered"], document["waiting"]) == (0, 2, [])
    assert len(machine.remote()) == 2
