"""What push and restore decide of single files: what goes on where it was cut, what fails, what is tried again."""

import contextlib
from collections import deque
from types import SimpleNamespace

import pytest
from transfer_world import ROOT, Watching

from huracan_sync.disk.files import Stamp
from huracan_sync.errors import CallRefused, ContentMismatch, HuracanError, LeftOut, Stopped, UsageError
from huracan_sync.operations.push_notes import say_what_keeps_its_case, say_what_stays
from huracan_sync.operations.restore_told import as_failure, kept, some
from huracan_sync.remote import upload_session
from huracan_sync.remote.listing import Changes
from huracan_sync.transfer.compare import ChangeSet
from huracan_sync.transfer.download import Download, Downloaded
from huracan_sync.transfer.download_file import DownloadContext, RangeDownload
from huracan_sync.transfer.journal import Journal, Sent, Synced
from huracan_sync.transfer.pair import Options, Pair, PairPlan, Report, conflict_as_failure
from huracan_sync.transfer.progress import Failure
from huracan_sync.transfer.remote_side import _apply, is_synced
from huracan_sync.transfer.upload import Upload
from huracan_sync.transfer.upload_batches import BatchUploader
from huracan_sync.transfer.upload_item import Options as UploadOptions
from huracan_sync.transfer.upload_item import UploadContext, UploadItem, token_of
from huracan_sync.transfer.worker_pool import WorkerPool
from huracan_sync.tree.content_hash import BLOCK_SIZE, block_hashes, content_hash
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import fold
from huracan_sync.tree.plan import Conflict, ConflictKind, Copy, Delete, Plan

NO_CHANGES = ChangeSet({}, {}, {}, {}, {}, {}, 0, False, [], [])


def entry(path, data=b"x", rev="015f0000000000000000abcd"):
    return Entry(path, len(data), content_hash(data), rev)


def by_key(*entries):
    return {fold(each.path): each for each in entries}


def changes(**sides):
    made = ChangeSet({}, {}, {}, {}, {}, {}, 0, False, [], [])
    for name, value in sides.items():
        setattr(made, name, value)
    return made


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "home") as made:
        yield made


@pytest.fixture
def pool():
    with WorkerPool(workers=2) as made:
        yield made


# -- what the remote side says ---------------------------------------------------------------------------------------


def synced_of(*entries):
    return {key: Synced(each, None) for key, each in by_key(*entries).items()}


def test_what_was_synced_is_told_by_revision_content_and_size():
    known = Synced(entry("a"), None)
    assert is_synced(known, entry("A"))
    for other in (entry("a", rev="2"), entry("a", b"y")):
        assert not is_synced(known, other)
    assert not is_synced(None, entry("a"))


@pytest.mark.parametrize(
    ("page", "differences", "same"),
    [
        ({"files": [entry("a/x", b"new")]}, {"a/x": entry("a/x", b"new")}, []),
        ({"files": [entry("a/x")]}, {}, ["a/x"]),
        ({"gone": ["a"]}, {"a/x": None, "a/y": None}, ["a/z"]),
        ({"folders": ["a/x"]}, {"a/x": None}, []),  # a folder took the place of a file
        ({"files": [entry("A")]}, {"a": entry("A"), "a/x": None, "a/y": None}, ["a/z"]),
    ],
)
def test_a_page_of_changes(page, differences, same):
    """x and y were synced; z lies in Dropbox alone."""
    known = synced_of(entry("a/x"), entry("a/y"), entry("b"))
    made = Changes(**{"files": [], "gone": [], "folders": [], "refused": [], "cursor": "c", "has_more": False} | page)
    found, back = _apply(made, known, {"a/z": entry("a/z")})
    assert (found, sorted(back)) == (differences, same)


# -- pairs -----------------------------------------------------------------------------------------------------------


def test_a_conflict_tells_what_lies_where():
    conflict = Conflict("a", ConflictKind.UNKNOWN, "both differ")
    failure = conflict_as_failure(conflict, "look at both", here=entry("a", b"1234"), there=None)
    facts = failure.error.facts
    assert (facts["local_size"], facts["remote_size"], facts["remote_rev"]) == (4, None, None)
    assert failure.error.hint == "look at both"
    assert Report(failed=[failure]).as_dict()["failed"] == [failure.as_dict()]


def test_when_everything_was_copied_the_deletes_are_left():
    plan = PairPlan(NO_CHANGES, Plan(copies=(Copy(entry("a")),), deletes=(Delete(entry("b")),)))
    assert plan.only_deletes().steps == Plan(deletes=plan.steps.deletes)
    assert plan.with_steps(copies=()).steps.deletes == plan.steps.deletes


@pytest.fixture
def pair_of(tmp_path, journal):
    remote = SimpleNamespace(place="dropbox/dbid:1", root="/Engine")
    return lambda local, folder: Pair(local, folder, remote=remote, journal=journal, monitor=Watching())


def test_neither_our_state_nor_what_is_signed_takes_part(tmp_path, journal, pair_of):
    takes_part = pair_of(tmp_path, "/Engine").wanted(None)
    assert [takes_part(path) for path in ("x", "HOME/journal.db", "homes", ".huracan/heads/c.hzh")] == [
        True,
        False,
        True,
        False,
    ]
    below = pair_of(tmp_path / "src", "/Engine/data").wanted
    assert below(None) is None
    assert below(len) is len
    with pytest.raises(UsageError, match="own state"):
        pair_of(journal.home, "/Engine").wanted(None)
    assert Options().wanted is None


# -- what is told ----------------------------------------------------------------------------------------------------


def told(say, made, **options):
    pair = SimpleNamespace(monitor=Watching())
    say(pair, PairPlan(made, Plan()), **options)
    return pair.monitor.notes


def test_what_is_gone_here_and_stays_there_is_told_once():
    gone = changes(base=by_key(entry("a"), entry("b")), there=by_key(entry("a"), entry("b")))
    assert told(say_what_stays, gone, delete=False) == [
        "2 files that were synced are gone here and still in Dropbox (see --delete)"
    ]
    assert told(say_what_stays, gone, delete=True) == []
    assert told(say_what_stays, NO_CHANGES, delete=False) == []


def test_names_that_differ_by_case_alone_are_told():
    made = changes(here=by_key(entry("d/A"), entry("d/b"), entry("D/c")), synced=synced_of(*map(entry, ("d/a", "d/B"))))
    assert told(say_what_keeps_its_case, made) == ["'d/A' stays 'd/a' in Dropbox, which knows no case, and 1 other"]
    same = changes(here=by_key(entry("D/c")), synced=synced_of(entry("d/c")))
    assert told(say_what_keeps_its_case, same) == []


def test_a_restore_tells_of_work_that_was_not_pushed():
    here, there = by_key(entry("a", b"mine"), entry("b"), entry("c", b"mine")), by_key(*map(entry, "abc"))
    plan = PairPlan(changes(here=here, there=there), Plan(copies=(Copy(entry("c")),)))
    assert kept(plan) == ["a"]
    assert (some(["a"], 1), some(["a", "b", "c", "ö"], 4)) == ("'a'", "'a', 'b', 'c', ...")


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        (None, entry("a"), "remove it yourself"),
        (entry("a"), None, "away"),
        (entry("a"), entry("a", b"y"), "--overwrite"),
    ],
)
def test_what_a_person_may_do_about_a_conflict(source, target, words):
    conflict = Conflict("a", ConflictKind.UNKNOWN, "why", source, target)
    assert words in as_failure(conflict).error.hint


# -- downloads -------------------------------------------------------------------------------------------------------


def downloads(tmp_path, journal, pool, **more):
    return DownloadContext(
        remote=None,
        journal=journal,
        pair=journal.pair("dropbox/dbid:1", tmp_path / "dst", ROOT),
        local_root=tmp_path / "dst",
        remote_root=ROOT,
        monitor=Watching(),
        pool=pool,
        scratch=tmp_path,
        stamps={},
        **more,
    )


def test_who_is_asked_to_end_begins_nothing(tmp_path, journal, pool):
    context = downloads(tmp_path, journal, pool, stop=lambda: True)
    outcome = Download(context).run([Copy(entry("a")), Copy(entry("b"))], [])
    assert (outcome.count, type(outcome.stopped)) == (0, Stopped)
    assert Download(context).run([], []).stopped is None
    assert Downloaded([], [Failure("a", HuracanError("x"))], ["b"]).count == 2


BIG = b"x" * BLOCK_SIZE + b"the second block"


def test_a_large_file_goes_on_with_what_lies_on_the_disk(tmp_path, journal, pool):
    context, big = downloads(tmp_path, journal, pool), Copy(entry("big", BIG))
    first = RangeDownload(context, big)
    assert first.next_range() == range(2)
    first._placing.write(BLOCK_SIZE, BIG[BLOCK_SIZE:])
    first.arrived(0, block_hashes(BIG[:BLOCK_SIZE]), 1.0)  # noted, and then lost: its bytes were never written
    first.arrived(1, block_hashes(BIG[BLOCK_SIZE:]), 1.0)
    first.close()
    again = RangeDownload(context, big)
    assert (again.size_arrived, again.is_complete) == (16, False)
    assert "16 bytes arrived in an earlier run" in context.monitor.notes[-1]
    assert again.next_range() == range(1)
    assert again.next_range() is None, "nothing else is missing"
    again.close()
    other = RangeDownload(context, Copy(entry("big", BIG, rev="of another revision")))
    assert other.size_arrived == 0
    other.close()


def test_a_large_file_that_failed_ends_when_its_last_range_does(tmp_path, journal, pool):
    file = RangeDownload(downloads(tmp_path, journal, pool), Copy(entry("big", BIG)))
    blocks = file.next_range()
    assert file.end(blocks, ContentMismatch("damaged"))
    assert file.next_range() is None
    with pytest.raises(ContentMismatch):
        file.commit()
    assert list((tmp_path / "dst").iterdir()) == [], "nothing arrived that a later run could go on from"


def test_what_is_not_wanted_there_leaves_nothing(tmp_path, journal, pool):
    def refuse(path, read, size):
        raise LeftOut(f"{path} is left out")

    context = downloads(tmp_path, journal, pool, validate=refuse)
    file = RangeDownload(context, Copy(entry("big", BIG)))
    file.next_range()
    for number, data in enumerate((BIG[:BLOCK_SIZE], BIG[BLOCK_SIZE:])):
        file._placing.write(number * BLOCK_SIZE, data)
        file.arrived(number, block_hashes(data), 1.0)
    with pytest.raises(LeftOut):
        file.commit()
    assert list((tmp_path / "dst").iterdir()) == []
    assert journal.transfer(context.pair, "big", "down") is None


def test_the_part_of_a_file_is_found_by_path_and_content(tmp_path, journal, pool):
    context = downloads(tmp_path, journal, pool)
    names = []
    for each in (entry("a"), entry("A", rev="2"), entry("a", b"y"), entry("b")):
        with context.placing(each) as placing:
            names.append(placing.part_name)
            placing.discard()
    assert names[0] == names[1]
    assert len(set(names)) == 3


# -- uploads ---------------------------------------------------------------------------------------------------------


def uploads(tmp_path, journal, pool, **more):
    return UploadContext(
        remote=None,
        journal=journal,
        pair=journal.pair("dropbox/dbid:1", tmp_path, ROOT),
        local_root=tmp_path,
        remote_root=ROOT,
        monitor=Watching(),
        pool=pool,
        **{"options": UploadOptions()} | more,
    )


def test_an_upload_that_is_asked_to_end_begins_nothing(tmp_path, journal, pool):
    context = uploads(tmp_path, journal, pool, stop=lambda: True)
    outcome = Upload(context).run([Copy(entry("a"))])
    assert (outcome.done, outcome.failures, type(outcome.stopped)) == ([], [], Stopped)
    assert Upload(context).run([]).stopped is None


@pytest.mark.parametrize(
    ("tries", "failed"), [(0, []), (1, ["a"])], ids=["read again once", "a second time is no accident"]
)
def test_bytes_that_dropbox_holds_otherwise(tmp_path, journal, pool, tries, failed):
    upload = Upload(uploads(tmp_path, journal, pool))
    item = UploadItem(Copy(entry("a")), attempts=tries, digest=content_hash(b"x"), session="s")
    there = SimpleNamespace(content_hash=content_hash(b"y").hex(), size=1)
    upload._settle([(item, there)])
    assert [failure.path for failure in upload._outcome.failures] == failed
    assert [each.path for each in upload._batches.queue] == ([] if failed else ["a"])
    assert (item.digest, item.session) == ((b"", "") if not failed else (content_hash(b"x"), "s"))


@contextlib.contextmanager
def batches(context):
    closed, failed = [], []
    yield (
        BatchUploader(
            context,
            closed=closed.extend,
            sent=print,
            failed=lambda item, _: failed.append(item.path),
            now=lambda: 1000.0,
        ),
        closed,
        failed,
    )


def test_what_an_earlier_run_sent_whole_only_waits_for_its_commit(tmp_path, journal, pool):
    context = uploads(tmp_path, journal, pool)
    for name in ("same", "touched", "old"):
        (tmp_path / name).write_bytes(b"x")

    def sent(name, at):
        state = (tmp_path / name).stat()
        stamp = Stamp(state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
        return name, Sent(token_of(stamp), f"session of {name}", content_hash(b"x"), at)

    journal.note_sent(context.pair, [sent("same", 900.0), sent("touched", 900.0), sent("old", 1000.0 - 6.5 * 86_400)])
    (tmp_path / "touched").write_bytes(b"y")
    with batches(context) as (small, closed, _):
        for name in ("same", "touched", "old"):
            small.add(UploadItem(Copy(entry(name))))
        assert [(item.path, item.session) for item in closed] == [("same", "session of same")]
        assert [item.path for item in small.queue] == ["touched", "old"]


def test_a_server_without_batches_gets_each_file_alone(tmp_path, journal, pool):
    context = uploads(tmp_path, journal, pool)
    items = [UploadItem(Copy(entry(name))) for name in "abc"]
    with batches(context) as (small, _, failed):
        small._refused(items[:2], CallRefused("no such route"))
        assert ([item.path for item in small.queue], failed) == (["a", "b"], [])
        assert context.monitor.notes == ["the server does not take batches; small files are sent one by one"]
        small._refused(items[2:], ContentMismatch("damaged"))
        assert failed == ["c"]


def test_an_append_holds_at_least_one_file(tmp_path, journal, pool):
    context = uploads(tmp_path, journal, pool, options=UploadOptions(header_limit=upload_session.ARG_OVERHEAD + 1))
    waiting = deque(UploadItem(Copy(entry(name)), session="s" * 60) for name in "ab")
    with batches(context) as (small, _, _):
        assert [item.path for item in small._cut(waiting)] == ["a"]
        assert len(waiting) == 1
