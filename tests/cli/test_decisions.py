"""`-v` says why each file moves or stays; `-vv` also of files in step; nothing is said unasked."""

import logging

import pytest


def said(machine, *words):
    code, _, err = machine.run(*words)
    assert code in {0, 1}, err
    return err.splitlines()


@pytest.fixture
def pushed(plain_machine):
    plain_machine.write("changed", "gone", "same", "moved-there")
    assert plain_machine.run("push", plain_machine.src, "/Engine/data")[0] == 0
    return plain_machine


def test_a_push_says_why(pushed):
    (pushed.src / "gone").unlink()
    pushed.write("changed", data=b"other data of ")
    pushed.write("new", "x.tmp")
    (pushed.src / "link").symlink_to("same")
    assert pushed.run("put", pushed.src / "new", "/Engine/data/only-there")[0] == 0
    assert pushed.run("put", pushed.src / "new", "/Engine/data/moved-there", "--overwrite")[0] == 0
    lines = said(pushed, "push", pushed.src, "/Engine/data", "--exclude", "*.tmp", "-v", "-n")
    assert lines == [
        "send     changed: changed here since the last sync",
        "leave    gone: gone here, and kept in Dropbox (see --delete)",
        "leave    link: symbolic link",
        "conflict moved-there: it was changed in Dropbox by somebody else",
        "send     new: new here",
        "leave    only-there: only in Dropbox",
        "filter   x.tmp: left out by a filter, or because no kind takes it",
    ]
    more = said(pushed, "push", pushed.src, "/Engine/data", "--exclude", "*.tmp", "-vv", "-n")
    assert set(more) - set(lines) == {"same     same: as it was synced, on both sides"}
    assert not any("files/list_folder" in line for line in more)
    assert any("files/list_folder" in line for line in said(pushed, "push", pushed.src, "/Engine/data", "-vvv", "-n"))
    assert said(pushed, "push", pushed.src, "/Engine/data", "-n") == []


def test_a_restore_says_why(pushed, tmp_path):
    back = tmp_path / "back"
    assert pushed.run("restore", "/Engine/data", back)[0] == 0
    (back / "changed").write_text("later here")
    (back / "gone").unlink()
    (back / "local").write_text("of this disk alone")
    assert pushed.run("put", back / "local", "/Engine/data/new")[0] == 0
    assert pushed.run("put", back / "local", "/Engine/data/skip.tmp")[0] == 0
    lines = said(pushed, "restore", "/Engine/data", back, "--exclude", "*.tmp", "-v")
    assert [line for line in lines if not line.startswith("restore:")] == [
        "leave    changed: changed here since the last sync, and not in Dropbox",
        "fetch    gone: gone here, and still in Dropbox",
        "leave    local: only here",
        "fetch    new: new in Dropbox",
        "filter   skip.tmp: left out by a filter, or because no kind takes it",
    ]


def test_renamed_files_are_told_as_such(plain_machine):
    plain_machine.write("a", "b", "c")
    assert plain_machine.run("push", plain_machine.src, "/Engine/data")[0] == 0
    for name in "abc":
        (plain_machine.src / name).rename(plain_machine.src / f"{name}{name}")
    lines = said(plain_machine, "push", plain_machine.src, "/Engine/data", "-v", "--delete")
    assert "rename   aa: its content is copied inside Dropbox, from 'a'" in lines
    assert "delete   a: gone here, and in Dropbox as it was synced" in lines


def test_a_single_file_says_nothing_of_its_neighbours(pushed):
    pushed.write("one")
    assert said(pushed, "push", pushed.src / "one", "/Engine/data", "-v") == ["send     one: new here"]


def test_a_host_hears_nothing_unless_it_listens(pushed, caplog):
    pushed.write("one")
    with caplog.at_level(logging.INFO):
        assert pushed.run("push", pushed.src, "/Engine/data")[0] == 0
    assert [r for r in caplog.records if r.name.startswith("huracan_sync.decisions")] == []
