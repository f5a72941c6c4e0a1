"""What was seen is never forgotten: not by a crash, a cut, a flipped bit, nor by two processes at once."""

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import warm
from expecting import raises
from root_powers import without_root_powers
from sampled import slow

from huracan_sync.disk.sqlite import Database
from huracan_sync.errors import Busy, ConfigError, DiskFull, HuracanError, LocalFailure, NoTrust, StateMissing
from huracan_sync.manifest.checks import Mark
from huracan_sync.manifest.trust import Pin
from huracan_sync.reader.known_roots import known, pinned, places
from huracan_sync.reader.trust_store import Channel, TrustStore, _in_our_words, seal_of

PIN = Pin(bytes(16), ("SHA256:" + "A" * 43,))
PLACE = "dropbox/dbid:1/Runpodhuracan"
MARK = Mark(1, 5, bytes(32))
SIX = Mark(1, 6, b"6" * 32)


@pytest.fixture
def seen(tmp_path):
    made = TrustStore(tmp_path, PLACE)
    made.pin(b"trust 1", PIN, {})
    assert made.advance("champions", Channel(MARK, b"head", (b"part",), cursor="c"), after=None, clock_ms=7)
    return made


def files(seen):
    return {file.name for file in seen.folder.iterdir()} - {"lock"}


def test_nothing_is_pinned_at_first(tmp_path):
    fresh = TrustStore(tmp_path, PLACE)
    assert not fresh.exists()
    with raises(NoTrust):
        fresh.load()


def test_what_was_noted_is_known(seen, tmp_path):
    state = TrustStore(tmp_path, PLACE).load()
    assert (state.trust, state.pin, state.clock_ms) == (b"trust 1", str(PIN), 7)
    assert state.channels == {"champions": Channel(MARK, b"head", (b"part",), cursor="c")}
    assert seen.exists()
    assert files(seen) == {"seen.db", "pinned"}
    assert (seen.folder.stat().st_mode | (seen.folder / "seen.db").stat().st_mode) & 0o077 == 0


def test_all_that_is_known_on_a_machine(seen, tmp_path):
    other = TrustStore(tmp_path, "a place with a ? and a #")
    other.pin(b"trust 2", PIN, {})
    assert {state.place: state.trust for state in known(tmp_path)} == {
        PLACE: b"trust 1",
        "a place with a ? and a #": b"trust 2",
    }
    assert list(known(tmp_path / "nowhere")) == []


@pytest.mark.parametrize("marker", [b"", b"a line\n", b"a\nb\nc\nd\n", b"\xff\n\xff\n\xff\n", "of another place"])
def test_a_place_is_known_by_its_marker_also_where_what_was_seen_is_lost(seen, tmp_path, marker):
    (seen.folder / "seen.db").unlink()
    assert places(tmp_path) == {PLACE}
    own = (seen.folder / "pinned").read_bytes()
    other = own.replace(PLACE.encode(), b"another") if isinstance(marker, str) else marker
    (seen.folder / "pinned").write_bytes(other)
    assert places(tmp_path) == set(), "what a marker says must fit the folder that it lies in"
    TrustStore(tmp_path, "other").pin(b"trust 2", PIN, {})
    assert places(tmp_path) == {"other"}


def test_a_marker_that_cannot_be_read_names_no_place(seen, tmp_path):
    (seen.folder / "seen.db").unlink()
    (seen.folder / "pinned").unlink()
    (seen.folder / "pinned").mkdir()
    assert places(tmp_path) == set()


NO_DOCUMENT = {"no message": b"\xc1", "no text": b"\x91\xa1\xff", "another shape": b"\x81\x01\x02", "nothing": b""}


@pytest.mark.parametrize("name", NO_DOCUMENT)
def test_a_store_whose_document_is_none_is_passed_over(seen, tmp_path, name):
    other = TrustStore(tmp_path, "other")
    other.pin(b"trust 2", PIN, {})
    with contextlib.closing(sqlite3.connect(other.folder / "seen.db")) as db:
        document = NO_DOCUMENT[name]
        db.execute("UPDATE seen SET document = ?, seal = ?", (document, seal_of(document)))
        db.commit()
    assert [state.place for state in known(tmp_path)] == [PLACE]


def test_journals_of_a_store_that_is_no_more_are_not_applied_to_the_next(seen):
    for suffix in ("-journal", "-wal", "-shm"):
        (seen.folder / f"seen.db{suffix}").write_bytes(b"of another file")
    seen.pin(b"trust 2", PIN, {})
    assert files(seen) == {"seen.db", "pinned"}
    assert seen.load().trust == b"trust 2"


def test_a_store_that_is_empty_or_none_is_passed_over(seen, tmp_path):
    for place, damage in (("a", b""), ("b", b"no database" * 100)):
        other = TrustStore(tmp_path, place)
        other.pin(b"trust 2", PIN, {})
        (other.folder / "seen.db").write_bytes(damage)
    emptied = TrustStore(tmp_path, "c")
    emptied.pin(b"trust 2", PIN, {})
    with contextlib.closing(sqlite3.connect(emptied.folder / "seen.db")) as db:
        db.execute("DELETE FROM seen")
        db.commit()
    assert [state.place for state in known(tmp_path)] == [PLACE]


# what is in the place of one of them -> the others are still told
DAMAGED = {
    "nothing": b"",
    "no database": b"not a database, but long enough to be asked" * 100,
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_what_cannot_be_read_hides_nothing_else(seen, tmp_path, data):
    for name in ("aa", "zz"):  # before and after it
        (tmp_path / "trust" / name).mkdir()
        (tmp_path / "trust" / name / "seen.db").write_bytes(data)
    assert [state.place for state in known(tmp_path)] == [PLACE]


# what somebody writes into the row of one -> it is not told
ROWS = {
    "another document": "UPDATE seen SET document = x'00'",
    "another seal": "UPDATE seen SET seal = x'00'",
    "no row": "DELETE FROM seen",
    "no table": "DROP TABLE seen",
}


@pytest.mark.parametrize("statement", ROWS.values(), ids=ROWS)
def test_what_does_not_prove_is_not_told(seen, tmp_path, statement):
    TrustStore(tmp_path, "elsewhere").pin(b"trust 2", PIN, {})
    with contextlib.closing(sqlite3.connect(seen.folder / "seen.db")) as db, db:
        db.execute(statement)
    assert [state.place for state in known(tmp_path)] == ["elsewhere"]
    with raises(StateMissing, match="cannot be read"):
        seen.load()


def test_the_pins_outlive_what_was_seen(seen, tmp_path):
    TrustStore(tmp_path, "elsewhere").pin(b"trust 1", PIN, {})
    assert (seen.pinned(), pinned(tmp_path)) == (PIN, [PIN, PIN])
    (seen.folder / "seen.db").unlink()
    assert seen.pinned() == PIN
    (seen.folder / "pinned").write_bytes(b"\xff")
    assert (seen.pinned(), pinned(tmp_path)) == (None, [PIN])
    (seen.folder / "pinned").unlink()
    assert (seen.pinned(), pinned(tmp_path / "nowhere")) == (None, [])


def test_the_mark_moves_only_from_where_it_was_judged(seen):
    assert not seen.advance("champions", Channel(SIX), after=None, clock_ms=0)
    assert not seen.advance("champions", Channel(SIX), after=SIX, clock_ms=0)
    assert seen.load().channels["champions"].mark == MARK
    assert seen.advance("champions", Channel(SIX), after=MARK, clock_ms=3)
    assert (seen.load().channels["champions"].mark, seen.load().clock_ms) == (SIX, 7)


def test_a_cursor_is_noted_for_the_head_it_belongs_to(seen):
    seen.note_cursor("champions", MARK, before="c", cursor="d")
    seen.note_cursor("champions", MARK, before="d", cursor="d")
    seen.note_cursor("champions", SIX, before="d", cursor="e")
    seen.note_cursor("logs", SIX, before="d", cursor="e")
    assert seen.load().channels["champions"].cursor == "d"
    assert list(seen.load().channels) == ["champions"]


def test_the_trust_file_goes_on_from_where_it_was(seen):
    seen.remember_trust(b"trust 2", after=b"trust 1")
    seen.remember_trust(b"another trust 2", after=b"trust 1")
    assert seen.load().trust == b"trust 2"


def test_a_floor_only_rises(seen):
    seen.raise_floor("champions", Mark(1, 5, b""))
    assert seen.load().channels["champions"].head == b"head", "at the mark there is nothing to raise"
    seen.raise_floor("champions", Mark(1, 9, b""))
    seen.raise_floor("logs", Mark(1, 2, b""))
    assert seen.load().channels == {"champions": Channel(Mark(1, 9, b"")), "logs": Channel(Mark(1, 2, b""))}
    with raises(ConfigError):
        seen.raise_floor("champions", MARK)


def test_pinning_anew_forgets(seen):
    (seen.folder / "seen.db-journal").write_bytes(b"of the file before")
    seen.pin(b"trust 9", PIN, {"champions": Mark(1, 3, b"")})
    assert seen.load().channels == {"champions": Channel(Mark(1, 3, b""))}
    assert files(seen) == {"seen.db", "pinned"}


def test_gone(seen):
    (seen.folder / "seen.db").unlink()
    assert seen.exists()
    with raises(StateMissing):
        seen.load()


@pytest.mark.parametrize("deed", ["empty", "link", "folder", "other schema", "two rows", "text", "another place"])
def test_not_what_it_was(seen, tmp_path, deed):
    file = seen.folder / "seen.db"
    if deed == "empty":
        file.write_bytes(b"")
    elif deed == "link":
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")
    elif deed == "folder":
        file.unlink()
        file.mkdir()
    elif deed == "another place":
        other = TrustStore(tmp_path, "another")
        other.pin(b"trust", PIN, {})
        (other.folder / "seen.db").rename(file)
    else:
        db = sqlite3.connect(file)
        if deed == "other schema":
            db.execute("DROP TABLE seen")
        elif deed == "text":
            db.execute("UPDATE seen SET document = 'x'")
        else:
            db.execute("CREATE TABLE more AS SELECT * FROM seen")
            db.execute("INSERT INTO more SELECT 2, document, seal FROM seen")
            db.execute("DROP TABLE seen")
            db.execute("ALTER TABLE more RENAME TO seen")
        db.commit()
        db.close()
    with raises(StateMissing):
        seen.load()


def test_a_document_of_another_version(seen):
    import hashlib

    from huracan_sync.reader.trust_store import _SEAL

    db = sqlite3.connect(seen.folder / "seen.db")
    document = b"\x80"
    seal = hashlib.sha256(_SEAL + document).digest()
    db.execute("UPDATE seen SET document = ?, seal = ?", (document, seal))
    db.commit()
    db.close()
    with raises(StateMissing):
        seen.load()


def judged(seen):
    """The mark that is known, or None where reading stops."""
    try:
        return seen.load().channels["champions"].mark
    except HuracanError:
        return None


@pytest.mark.wide
@pytest.mark.parametrize("every", [5, slow(1)])
def test_no_cut_and_no_flipped_bit_moves_the_mark(seen, every):
    file = seen.folder / "seen.db"
    whole = file.read_bytes()
    stopped = 0
    for length in range(0, len(whole), 23 * every):
        file.write_bytes(whole[:length])
        assert judged(seen) in {None, MARK}
        stopped += judged(seen) is None
    assert stopped > 100 // every
    used = [at for at, byte in enumerate(whole) if byte] + list(range(0, len(whole), 41))
    for at in used[::every]:
        for bit in (0, 7):
            data = bytearray(whole)
            data[at] ^= 1 << bit
            file.write_bytes(data)
            assert judged(seen) in {None, MARK}
    file.write_bytes(whole)
    assert judged(seen) == MARK


def test_a_page_of_another_time(seen):
    """Of the pages that hold the document; a whole old file in place of the new one cannot be told by itself."""
    file = seen.folder / "seen.db"
    seen.advance("champions", Channel(SIX, b"a head" * 2_000), after=MARK, clock_ms=0)
    before = file.read_bytes()
    seen.advance("champions", Channel(Mark(1, 7, b""), b"other!" * 2_000), after=SIX, clock_ms=0)
    after = file.read_bytes()
    pages = range(4_096, len(after), 4_096)
    changed = [at for at in pages if before[at : at + 4_096] != after[at : at + 4_096]]
    told = []
    for old in changed:
        file.write_bytes(after[:old] + before[old : old + 4_096] + after[old + 4_096 :])
        told.append(judged(seen))
    assert set(told) <= {None, Mark(1, 7, b"")}, "the new mark only where the page is not in use any more"
    assert told.count(None) >= 3


def climb(home, count):
    seen = TrustStore(Path(home), PLACE)
    for _ in range(count):
        while True:
            held = seen.load().channels["champions"].mark
            if seen.advance("champions", Channel(Mark(1, held.sequence + 1, b"")), after=held, clock_ms=0):
                break


@pytest.mark.slow
def test_four_processes_climb_without_losing_a_step(seen, tmp_path):
    context = warm.context()
    workers = [context.Process(target=climb, args=(str(tmp_path), 10)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert seen.load().channels["champions"].mark.sequence == 45


CLIMBER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from huracan_sync.manifest.trust import Pin
from huracan_sync.reader.known_roots import known, pinned
from huracan_sync.reader.trust_store import Channel, TrustStore
from huracan_sync.manifest.checks import Mark
seen = TrustStore(Path(sys.argv[1]), sys.argv[3])
while True:
    held = seen.load().channels["champions"].mark
    seen.advance("champions", Channel(Mark(1, held.sequence + 1, b"")), after=held, clock_ms=0)
    print(held.sequence + 1, flush=True)
"""


def killed(seen, home, times):
    """Kill a process in the middle of its writing; what it said it had written is there."""
    house = str(Path(__file__).parent.parent.parent)
    for number in range(times):
        with warm.Popen(
            [sys.executable, "-c", CLIMBER, str(home), house, PLACE], stdout=subprocess.PIPE, text=True
        ) as worker:
            said = 0
            for _ in range(3 + number % 5):
                said = int(worker.stdout.readline())
            worker.kill()
            rest = [int(line) for line in worker.stdout.read().split()]
        assert seen.load().channels["champions"].mark.sequence >= max([said, *rest])


def test_killed_while_writing(seen, tmp_path):
    killed(seen, tmp_path, 5)


@pytest.mark.long
def test_killed_while_writing_two_hundred_times(seen, tmp_path):
    killed(seen, tmp_path, 200)


def test_damage_that_shows_as_text_or_size(seen, monkeypatch):
    for error in (UnicodeDecodeError("utf-8", b"x", 0, 1, "no text"), MemoryError()):
        with monkeypatch.context() as patched:
            patched.setattr(TrustStore, "_read", lambda self, db, error=error: (_ for _ in ()).throw(error))
            with raises(StateMissing):
                seen.load()


def test_a_disk_that_cannot_be_written(tmp_path):
    (tmp_path / "trust").write_bytes(b"a file where the folder must be")
    with raises(LocalFailure):
        TrustStore(tmp_path, PLACE).pin(b"trust", PIN, {})
    with raises(LocalFailure):
        TrustStore(tmp_path, PLACE).load()


def test_a_change_that_fails_leaves_what_was(seen):
    class Stop(Exception):
        pass

    def stop():
        with seen._changing() as (db, state):
            seen._write(db, state.__class__(1, PLACE, (), b"half", 0, {}))
            raise Stop

    with pytest.raises(Stop):
        stop()
    assert seen.load().trust == b"trust 1"


def failure(code):
    error = sqlite3.OperationalError("x")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (failure(sqlite3.SQLITE_BUSY), Busy),
        (failure(sqlite3.SQLITE_FULL), DiskFull),
        (failure(sqlite3.SQLITE_READONLY), LocalFailure),
        (failure(sqlite3.SQLITE_IOERR_FSYNC), LocalFailure),
        (failure(sqlite3.SQLITE_IOERR_SHORT_READ), StateMissing),
        (failure(sqlite3.SQLITE_CORRUPT), StateMissing),
        (failure(sqlite3.SQLITE_NOTADB), StateMissing),
        (sqlite3.DatabaseError("no code"), StateMissing),
        (OSError(5, "Input/output error"), LocalFailure),
        (OSError("nameless"), LocalFailure),
    ],
)
def test_who_must_act(error, expected):
    told = _in_our_words(error, Path("seen.db"))
    assert type(told) is expected
    assert "seen.db" in str(told)
    assert told.facts == {"path": "seen.db"}
    assert bool(told.hint) or expected is LocalFailure


def test_words_of_the_disk():
    def told(error):
        return _in_our_words(error, Path("seen.db"))

    assert str(told(PermissionError(13, "Permission denied"))) == "seen.db cannot be used: Permission denied"
    assert str(told(OSError("odd"))) == "seen.db cannot be used: odd"
    read_only = sqlite3.OperationalError("attempt to write a readonly database")
    read_only.sqlite_errorcode = sqlite3.SQLITE_READONLY
    assert told(read_only).hint == "check its owner and rights"


def test_a_cursor_is_noted_where_it_moved_and_the_head_is_still_the_same(seen):
    def noted(mark, before, cursor):
        seen.note_cursor("champions", mark, before=before, cursor=cursor)
        return seen.load().channels["champions"].cursor

    assert noted(MARK, "c", "d") == "d"
    assert noted(MARK, "x", "x") == "d", "nothing moved, nothing is written"
    assert noted(SIX, "d", "e") == "d", "another head came meanwhile: whoever took it knows better"


def test_locked_by_another_process(seen, monkeypatch):
    waits = "huracan_sync.reader.trust_store.Database"
    monkeypatch.setattr(waits, lambda file, mode, wait_s: Database(file, mode, wait_s=wait_s / 600))
    holder = sqlite3.connect(seen.folder / "seen.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with raises(Busy):
        seen.remember_trust(b"2", after=b"trust 1")
    holder.close()


def test_a_folder_one_may_not_enter(seen):
    seen.folder.chmod(0)
    with without_root_powers(), raises(LocalFailure):
        seen.load()
    seen.folder.chmod(0o700)
