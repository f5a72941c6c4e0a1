"""Why each file moves or stays: one line a file, for whoever listens, and no work for nobody."""

import logging
from types import SimpleNamespace

import pytest

from huracan_sync.errors import HostilePath, LocalFailure
from huracan_sync.transfer.compare import ChangeSet
from huracan_sync.transfer.decisions import Decision, Direction, log_decisions
from huracan_sync.transfer.journal.records import Synced
from huracan_sync.transfer.progress import DECISIONS, UNCHANGED
from huracan_sync.tree.entry import Entry, tree
from huracan_sync.tree.plan import Agree, Conflict, ConflictKind, Copy, Delete, Plan


def entry(path, content=1):
    return Entry(path, content, bytes([content]) * 32)


def changes(here=(), there=(), base=(), **more):
    nothing = {"stamps": {}, "kinds": {}, "synced": {}, "local_count": 0, "remote_vanished": False}
    return ChangeSet(tree(base), tree(here), tree(there), **{**nothing, "problems": [], "refused": [], **more})


def told(caplog, changes_, steps=None, direction=Direction.PUSH, name=DECISIONS, **more):
    with caplog.at_level(logging.DEBUG, name):
        log_decisions(changes_, steps or Plan(), direction, **more)
    return [record.getMessage() for record in caplog.records if record.name == name]


# what differs, what is planned -> the line, for a push and for a restore
COPIES = {
    "new": ((None, None), ("new here", "new in Dropbox")),
    "gone there": ((None, entry("a")), ("gone in Dropbox, and still here", "gone here, and still in Dropbox")),
    "changed": (
        (entry("a"), entry("a")),
        ("changed here since the last sync", "changed in Dropbox since the last sync"),
    ),
    "unknown": (
        (entry("a", 2), entry("a")),
        ("differs in Dropbox, and is to be replaced", "differs here, and is to be replaced"),
    ),
    "unknown, and never synced": (
        (entry("a", 2), None),
        ("differs in Dropbox, and is to be replaced", "differs here, and is to be replaced"),
    ),
}


@pytest.mark.parametrize("name", COPIES)
def test_why_a_file_is_copied(caplog, name):
    (replaces, base), (push, restore) = COPIES[name]
    steps = Plan(copies=(Copy(entry("a", 3), replaces),))
    known = changes(base=[base] if base else [])
    assert told(caplog, known, steps) == [f"send     a: {push}"]
    caplog.clear()
    assert told(caplog, known, steps, Direction.RESTORE) == [f"fetch    a: {restore}"]


def test_why_anything_else_is_told(caplog):
    failed = SimpleNamespace(path="p", error=LocalFailure("p: cannot be read"))
    steps = Plan(
        deletes=(Delete(entry("d")),), conflicts=(Conflict("c", ConflictKind.UNKNOWN, "nobody knows which came first"),)
    )
    lines = told(
        caplog,
        changes(
            problems=[failed],
            refused=[HostilePath("a bad name", path="bad")],
            left_out={"link": "a symbolic link"},
            declined=["f"],
        ),
        steps,
        wanted=SimpleNamespace(left_out=["g"]),
    )
    assert lines == [
        "problem  bad: a bad name",
        "conflict c: nobody knows which came first",
        "delete   d: gone here, and in Dropbox as it was synced",
        "filter   f: left out by a filter, or because no kind takes it",
        "filter   g: left out by a filter, or because no kind takes it",
        "leave    link: a symbolic link",
        "problem  p: cannot be read",
    ]


def test_what_the_following_side_keeps(caplog):
    here = [entry("both", 1)]
    there = [entry("both", 2), entry("was here"), entry("theirs"), entry("planned"), entry("unclear")]
    known = changes(
        here,
        there,
        [entry("was here"), entry("planned")],
        problems=[SimpleNamespace(path="unclear", error=LocalFailure("no"))],
    )
    lines = told(caplog, known, Plan(deletes=(Delete(entry("planned")),)))
    assert [line for line in lines if line.startswith("leave")] == [
        "leave    both: changed in Dropbox since the last sync, and not here",
        "leave    theirs: only in Dropbox",
        "leave    was here: gone here, and kept in Dropbox (see --delete)",
    ]
    caplog.clear()
    assert told(caplog, known, direction=Direction.RESTORE)[0] == (
        "leave    both: changed here since the last sync, and not in Dropbox"
    )


def test_files_to_which_nothing_happens_have_a_log_of_their_own(caplog):
    synced = {key: Synced(entry(key), None) for key in ("same", "here", "there")}
    known = changes([entry("here", 2)], [entry("there", 2)], synced=synced)
    steps = Plan(agreements=(Agree("agreed", entry("agreed")), Agree("gone", None)))
    assert told(caplog, known, steps, name=UNCHANGED) == [
        "same     agreed: the same content on both sides",
        "same     gone: gone on both sides",
        "same     same: as it was synced, on both sides",
    ]


def test_a_path_stays_on_its_line():
    assert str(Decision("a\nb", "send", "new here")) == "send     a\\nb: new here"


def test_nothing_is_worked_out_for_nobody():
    logging.getLogger(DECISIONS).setLevel(logging.INFO)
    try:
        log_decisions(None, None, Direction.PUSH)
    finally:
        logging.getLogger(DECISIONS).setLevel(logging.NOTSET)
