"""What the reports say of files that are not in step: what Dropbox holds, what of this disk is not there, and which
sequence is current. Of a folder that differs nothing says that it is what a manifest lists.
"""

import command_line
import pytest
from machines import Commands, publishing, write

from huracan_sync.cli.output import Output
from huracan_sync.errors import Conflict
from huracan_sync.transfer.progress import Failure
from huracan_sync.tree.content_hash import content_hash

DATA = "/Runpodhuracan/data"


@pytest.fixture
def engine(dropbox, tmp_path):
    """Has pushed `a` and `b` as sequence 1."""
    commands = publishing(dropbox, tmp_path / "engine")
    commands.run("push", write(tmp_path / "src", {"a": b"1", "b": b"2"}), DATA)
    return commands


@pytest.fixture
def changed(engine, dropbox, tmp_path):
    """Since then somebody else has written `a` in Dropbox, and this machine has changed it and made `c`."""
    other = Commands(dropbox, tmp_path / "pod")
    other.run("push", write(tmp_path / "other", {"a": b"theirs"}), DATA, "--overwrite")
    return write(tmp_path / "src", {"a": b"mine", "c": b"3"})


def test_a_push_in_conflict_says_what_is_where_and_which_sequence_is_current(engine, changed):
    for _ in range(2):
        report = engine.run("push", changed, DATA, code=1)
        (failed,) = report["failed"]
        assert (failed["path"], failed["error"], report["sequence"], report["unsigned"]) == ("a", "Conflict", 2, 0)
        facts = failed["facts"]
        assert (facts["remote_size"], facts["remote_content_hash"]) == (6, content_hash(b"theirs").hex())
        assert facts["local_size"] == 4
        assert facts["remote_rev"]
    out, _ = engine.say("push", changed, DATA, code=1)
    head, *rest = out.splitlines()
    assert head.startswith("0 uploaded, 2 already there, 0 deleted, 1 failed; 0 B sent in 1 request, ")
    assert rest == [
        "signed: sequence 2 of the manifest is current; the local content of failed files is not in it",
        "1 file in conflict: Dropbox keeps what it holds there, and what is here was not sent",
        "  a: it was changed on both sides since the last sync",
        "    hint: look at both; with --overwrite the local file wins (Dropbox keeps the other revision)",
    ]


@pytest.mark.slow
def test_a_restore_in_conflict_says_so_too(engine, changed):
    out, _ = engine.say("restore", DATA, changed, "--unsigned", code=1)
    assert "1 file in conflict: what is here stays, and what Dropbox holds there was not taken\n" in out
    assert "  a: it was changed on both sides since the last sync\n" in out
    (failed,) = engine.run("restore", DATA, changed, "--unsigned", code=1)["failed"]
    assert (failed["facts"]["local_size"], failed["facts"]["remote_size"]) == (4, 6)


@pytest.mark.parametrize(("channel", "code"), [((), 0), (("--channel", "data"), 1)])
def test_a_restore_over_work_not_pushed_yet_names_what_is_not_as_the_sequence_says(engine, tmp_path, channel, code):
    src = write(tmp_path / "src", {"a": b"mine"})
    report = engine.run("restore", DATA, src, *channel, code=code)
    assert (report["sequence"], report["failed"], report["skipped"]) == (1, [], 1)
    assert (report["kept"], report["kept_files"]) == (1, ["a"])
    out, _ = engine.say("restore", DATA, src, *channel, code=code)
    assert "1 file changed here since the last sync and not as sequence 1 says: 'a'\n" in out
    assert "  hint: push what is to stay" in out
    assert (src / "a").read_bytes() == b"mine"
    assert engine.run("restore", DATA, src, *channel, "--overwrite")["kept"] == 0
    assert (src / "a").read_bytes() == b"1"
    assert "changed here" not in engine.say("restore", DATA, src, *channel)[0]


def test_a_folder_that_was_changed_here_is_not_already_there(engine, tmp_path):
    write(tmp_path / "src", {"a": b"mine"})
    out, _ = engine.say("get", DATA, tmp_path / "src")
    assert out.endswith("; 1 file changed here since: kept, and not what Dropbox holds\n")


def test_unsigned_files_have_one_name_in_every_report(engine, dropbox, tmp_path):
    Commands(dropbox, tmp_path / "pod").run("push", write(tmp_path / "other", {"planted": b"x"}), DATA)
    engine.run("restore", DATA, tmp_path / "src")
    write(tmp_path / "src", {"c": b"3"})
    reports = [engine.run("push", tmp_path / "src", DATA) for _ in range(3)]
    assert [each["unsigned_files"] for each in reports] == [["data/planted"]] * 3


def test_every_kind_of_file_comes_back_verified_byte_for_byte(engine, tmp_path):
    names = (
        "m.pkl",
        "m.pickle",
        "m.joblib",
        "m.pt",
        "m.bin",
        "m.onnx",
        "m.parquet_",
        "m.json",
        "m.log",
        "none",
        "m.exe",
    )
    files = {f"kinds/{name}": b"\x80\x04K\x01." + name.encode() for name in names} | {"kinds/empty.pkl": b""}
    pushed = engine.run("push", write(tmp_path / "src", files), DATA)
    again = engine.run("push", tmp_path / "src", DATA)
    assert [(each["sequence"], each["unsigned"]) for each in (pushed, again)] == [(2, 0), (2, 0)]
    report = engine.run("restore", DATA, tmp_path / "to", "--channel", "data")
    assert (report["downloaded"], report["failed"], report["sequence"]) == (len(files) + 2, [], 2)
    assert {path: (tmp_path / "to" / path).read_bytes() for path in files} == files


def test_one_badly_named_folder_is_one_failure_and_named_once(engine, tmp_path):
    src = write(tmp_path / "src", {f"bad\\name/{number}": b"x" for number in range(30)})
    report = engine.run("push", src, DATA, code=1)
    assert [failed["path"] for failed in report["failed"]] == ["bad\\name"]
    code, out, _ = command_line.run(["push", src, DATA, "--profile", engine.profile], env=engine.env)
    assert (code, out.count("bad\\\\name")) == (1, 1)
    assert report["failed"][0]["hint"] == "rename the folder"


def test_a_failure_whose_error_names_its_path_is_that_error():
    error = Conflict("the path 'a\\\\b' is refused", path="'a\\\\b'")
    assert str(Failure("a\\b", error)) == str(error)


@pytest.mark.parametrize(
    ("path", "message", "line"),
    [
        ("d/a.csv", "d/a.csv: it is locked", "  d/a.csv: it is locked"),
        ("d/a.csv", "d/a.csv is locked", "  d/a.csv is locked"),
        ("d/a.csv", "d/a.csv.old is locked", "  d/a.csv: d/a.csv.old is locked"),
        ("a", "a folder lies there", "  a: a folder lies there"),
    ],
)
def test_a_failure_is_named_once(path, message, line):
    assert Output(as_json=False).failures([Failure(path, Conflict(message))])[0] == line


def test_no_line_of_a_report_says_a_path_twice(engine, tmp_path):
    src = write(tmp_path / "new", {"cut.parquet": b"PAR1, and no end"})
    out, _ = engine.say("push", src, "/Runpodhuracan/new", code=1)
    assert "\n  cut.parquet is not sent: it does not begin and end as a parquet file does\n" in out
