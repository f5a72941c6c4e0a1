"""What survives a crash: what was synced, which bytes of an open transfer have arrived, where a listing stood.

SQLite, one file for all roots of a machine. It is disposable: lost or damaged, it is made again, and the next pass
finds out what it knew, from the signed manifest, the listing and the disk. Nothing that must not be lost lies here
(the highest head seen: `reader/trust_store.py`; the outbox: `engine/outbox.py`).

Laws: one thread at a time, the one that plans; worker threads report to it. Every method that writes is one
transaction, and durable when it returns.
"""

from __future__ import annotations

import contextlib
import errno
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from huracan_sync.disk.atomic_write import make_private, replace_file
from huracan_sync.errors import DiskFull, HuracanError, LocalFailure, TryLater
from huracan_sync.transfer.journal.records import (
    SYNCED,
    ListedFile,
    Open,
    Origin,
    Run,
    Sent,
    SignedState,
    Synced,
    synced_of,
)
from huracan_sync.transfer.journal.schema import SCHEMA, SCHEMA_VERSION
from huracan_sync.transfer.journal.sqlite import LEAST_ROOM, JournalFile, is_damage, primary_code, room
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import RelPath, fold

__all__ = ["Journal", "ListedFile", "Open", "Origin", "Run", "Sent", "SignedState", "Synced", "count_change"]

# A file that is learned again as it was keeps its count and the better of both origins.
_LEARN = """
INSERT INTO synced (pair, key, path, size, hash, rev, mtime_ms, mtime_ns, ctime_ns, inode, origin, changed)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    changed = CASE WHEN path = excluded.path AND hash = excluded.hash AND rev = excluded.rev
                    AND mtime_ms = excluded.mtime_ms AND origin <= excluded.origin THEN changed
                    ELSE excluded.changed END,
    origin = CASE WHEN hash = excluded.hash THEN min(origin, excluded.origin) ELSE excluded.origin END,
    path = excluded.path, size = excluded.size, hash = excluded.hash, rev = excluded.rev, mtime_ms = excluded.mtime_ms,
    mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns, inode = excluded.inode
"""
_STRANGER = "INSERT OR IGNORE INTO strangers VALUES (?)"
_GONE = """
INSERT OR REPLACE INTO gone (changed, pair, key, path, rev)
SELECT ?, pair, key, path, rev FROM synced
WHERE pair=? AND key=? AND origin < 2 AND pair IN (SELECT pair FROM signed)
"""


def count_change(db: JournalFile, pair: int) -> int:
    """One more change of the pair; how many there were with it."""
    db.execute("UPDATE pairs SET changes = changes + 1 WHERE id=?", (pair,))
    return int(db.execute("SELECT changes FROM pairs WHERE id=?", (pair,))[0][0])


class Journal:
    """The journal of this machine. Open it, use it from one thread, close it."""

    def __init__(self, home: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Open `home/journal.db`, making what is missing; a damaged one is put aside.

        Raises:
            LocalFailure: the folder cannot be written.
        """
        self.home = home
        self.clock = clock
        self._file = home / "journal.db"
        try:
            make_private(home)
            self._db = self._opened()
        except (OSError, sqlite3.OperationalError) as error:
            raise self._trouble(error, "cannot be opened") from error

    def _trouble(self, error: Exception, what: str) -> LocalFailure | DiskFull:
        """SQLite tells a full disk in several ways (`disk I/O error` among them); the disk itself is clearer."""
        path = str(self._file)
        full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
        if full or primary_code(error) == sqlite3.SQLITE_FULL or room(self.home) < LEAST_ROOM:
            return DiskFull(f"the journal {path} has no room to grow: {error}", path=path)
        hint = "check the rights of the folder, or set HURACAN_SYNC_HOME to one you may write"
        why = getattr(error, "strerror", None) or error
        return LocalFailure(f"the journal {path} {what}: {why}", hint=hint, path=path)

    def _opened(self) -> JournalFile:
        self._file.touch(mode=0o600, exist_ok=True)
        for attempt in (1, 2):
            db = JournalFile(self._file)
            try:
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = FULL")
                db.execute("PRAGMA foreign_keys = OFF")
                self._make_tables(db)
            except sqlite3.DatabaseError as error:
                db.close()
                if attempt == 2 or isinstance(error, sqlite3.OperationalError):
                    raise
                self._put_aside()
            else:
                return db
        raise AssertionError("unreachable")

    def _make_tables(self, db: JournalFile) -> None:
        [(version,)] = db.execute("PRAGMA user_version")
        if version == SCHEMA_VERSION:
            db.execute("SELECT count(*) FROM pairs")  # a damaged file speaks up here
            return
        with db.transaction():
            [(version,)] = db.execute("PRAGMA user_version")
            if version == 0:
                for sql in SCHEMA.split(";\n"):
                    db.execute(sql)
                db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise sqlite3.DatabaseError(f"schema version {version}")

    def _put_aside(self) -> Path:
        """Damaged or of another version: keep it for people who want to look, and start over."""
        aside = self._file.with_name(f"journal.db.aside-{int(self.clock())}")
        replace_file(self._file, aside)
        for suffix in ("-wal", "-shm"):
            self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
        return aside

    def close(self) -> None:
        """Close it."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Close it.

        Raises:
            TryLater: `JOURNAL_DAMAGED`, it proved damaged while it was used; it was put aside.
            LocalFailure, DiskFull: the disk failed us.
        """
        self.close()
        if isinstance(error, sqlite3.Error) and (meant := self._meaning(error)):
            raise meant from error

    def _meaning(self, error: sqlite3.Error) -> HuracanError | None:
        """What an error of SQLite says about the file; None when it says something about us."""
        if is_damage(error):
            aside = self._put_aside()
            return TryLater(
                f"the journal {self._file} is damaged; it was put aside as {aside.name}", code="JOURNAL_DAMAGED"
            )
        return self._trouble(error, "cannot be read") if isinstance(error, sqlite3.OperationalError) else None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[JournalFile]:
        """All of the block's writes, durable when it ends, or none. For the modules of the journal."""
        try:
            with self._db.transaction():
                yield self._db
        except sqlite3.OperationalError as error:
            if is_damage(error):
                raise  # told when the journal is closed
            raise self._trouble(error, "cannot be written") from error

    @contextlib.contextmanager
    def lazily(self) -> Iterator[None]:
        """What is committed in the block outlives a killed process, and a power failure once a later commit did."""
        self._db.execute("PRAGMA synchronous = NORMAL")
        try:
            yield
        finally:
            self._db.execute("PRAGMA synchronous = FULL")

    def first(self, query: str, arguments: tuple[object, ...]) -> Any:
        """The first row that a query finds, None where it finds none. For the modules of the journal."""
        return self._db.execute(query, arguments, sqlite3.Cursor.fetchone)

    def rows(self, query: str, arguments: tuple[object, ...]) -> Iterator[Any]:
        """What a query finds. For the modules of the journal."""
        return self._db.rows(query, arguments)

    # --- pairs: a local folder and a remote one ---------------------------------------------------------------

    def pair(self, place: str, local: Path, remote: str) -> int:
        """The id of a local folder and a remote one, on an account of a service."""
        key = (place, str(local), fold(remote))
        found = self._db.execute("SELECT id FROM pairs WHERE place=? AND local=? AND remote=?", key)
        if found:
            return int(found[0][0])
        with self.transaction() as db:
            db.execute("INSERT OR IGNORE INTO pairs (place, local, remote) VALUES (?, ?, ?)", key)
        return self.pair(place, local, remote)

    def earlier_targets(self, pair: int) -> list[tuple[int, str]]:
        """Other remote folders the same local one was synced to, the latest first: their pairs, and where they are."""
        rows: list[tuple[int, str]] = self._db.execute(
            "SELECT other.id, other.remote FROM pairs AS me JOIN pairs AS other"
            " ON other.place = me.place AND other.local = me.local AND other.id < me.id WHERE me.id=? ORDER BY 1 DESC",
            (pair,),
        )
        return rows

    def drop_pairs(self, pairs: Iterable[int]) -> None:
        """Forget pairs altogether; what they knew is found out again when they are asked for."""
        keys = [(pair,) for pair in pairs]
        with self.transaction() as db:
            for table in ("synced", "elsewhere", "refused", "intents", "proofs", "signed", "gone"):
                db.executemany(f"DELETE FROM {table} WHERE pair=?", keys)  # noqa: S608 - fixed names
            db.executemany("DELETE FROM runs WHERE lower(channel)=(SELECT remote FROM pairs WHERE id=?)", keys)
            db.executemany("DELETE FROM pairs WHERE id=?", keys)

    def cursor(self, pair: int) -> str | None:
        """Where the last listing of the remote side ended; None when none was read to its end."""
        found = self._db.execute("SELECT cursor FROM pairs WHERE id=?", (pair,))
        return found[0][0] if found else None

    # --- what was synced --------------------------------------------------------------------------------------

    def synced(self, pair: int) -> dict[str, Synced]:
        """Everything both sides held alike, by `fold(path)`."""
        return dict(map(synced_of, self._db.rows(f"{SYNCED} WHERE pair=?", (pair,))))

    def known(self, pair: int, path: str) -> bytes | None:
        """The content hash under which one file was synced, None when it was not."""
        query = "SELECT hash FROM synced WHERE pair=? AND key=?"
        found = self._db.execute(query, (pair, fold(path)))
        return found[0][0] if found else None

    def forget_all(self, pair: int, *, beyond: int) -> None:
        """Forget every file of a pair that has more than `beyond`: what is known of them only saves work."""
        [(count,)] = self._db.execute("SELECT count(*) FROM synced WHERE pair=?", (pair,))
        if count > beyond:
            with self.transaction() as db:
                db.execute("DELETE FROM synced WHERE pair=?", (pair,))

    def learn(self, pair: int, known: Iterable[Synced]) -> None:
        """Both sides hold these alike now; what was noted as different or about to be committed is settled."""
        items = list(known)
        rows = [
            (
                pair,
                fold(item.entry.path),
                *msgspec.structs.astuple(item.entry),
                *((item.stamp.mtime_ns, item.stamp.ctime_ns, item.stamp.inode) if item.stamp else (None, None, None)),
                int(item.origin),
            )
            for item in items
        ]
        keys = [(pair, row[1]) for row in rows]
        hidden = [(*row[:2], row[4], item.kind) for row, item in zip(rows, items, strict=True) if item.kind is not None]
        with self.transaction() as db:
            now = count_change(db, pair)
            db.executemany("INSERT OR REPLACE INTO proofs VALUES (?, ?, ?, ?, x'', x'', x'')", hidden)
            db.executemany(_LEARN, [(*row, now) for row in rows])
            strange = [item.entry for item in items if item.origin is Origin.UNSIGNED and item.entry.size]
            db.executemany(_STRANGER, [(entry.content_hash,) for entry in strange])
            for table in ("elsewhere", "intents", "sent", "gone"):
                db.executemany(f"DELETE FROM {table} WHERE pair=? AND key=?", keys)  # noqa: S608 - fixed names

    def forget(self, pair: int, paths: Iterable[str]) -> None:
        """Neither side has these any more."""
        keys = [(pair, fold(path)) for path in paths]
        with self.transaction() as db:
            now = count_change(db, pair)
            db.executemany(_GONE, [(now, *key) for key in keys])
            for table in ("synced", "elsewhere", "intents", "proofs"):
                db.executemany(f"DELETE FROM {table} WHERE pair=? AND key=?", keys)  # noqa: S608 - fixed names

    def intend(self, pair: int, entries: Iterable[tuple[Entry, Origin]]) -> None:
        """These contents are about to be committed: a later run that finds them there knows where they come from."""
        with self.transaction() as db:
            db.executemany(
                "INSERT OR REPLACE INTO intents (pair, key, hash, origin) VALUES (?, ?, ?, ?)",
                [(pair, fold(entry.path), entry.content_hash, int(origin)) for entry, origin in entries],
            )

    def intents(self, pair: int) -> dict[tuple[str, bytes], Origin]:
        """What was about to be committed when the last run ended, by key and content hash."""
        rows = self._db.rows("SELECT key, hash, origin FROM intents WHERE pair=?", (pair,))
        return {(key, digest): Origin(origin) for key, digest, origin in rows}

    # --- where content comes from -----------------------------------------------------------------------------

    def unsigned_contents(self) -> frozenset[bytes]:
        """Content hashes that this machine, in all its folders, knows only from unsigned files in Dropbox."""
        unsigned = {digest for (digest,) in self._db.rows("SELECT hash FROM strangers", ())}
        if unsigned:  # else the other query, which reads the whole table, is for nothing
            unsigned.difference_update(h for (h,) in self._db.rows("SELECT hash FROM synced WHERE origin < 2", ()))
        return frozenset(unsigned)

    def note_unsigned(self, contents: Iterable[bytes]) -> None:
        """The contents of these hashes came from Dropbox to this disk, and nobody has signed them."""
        with self.transaction() as db:
            db.executemany(_STRANGER, [(digest,) for digest in contents])

    def note_origin(self, pair: int, keys: Iterable[str], origin: Origin) -> None:
        """The content of these unsigned files proved to be signed, or a person vouches for it."""
        with self.transaction() as db:
            now = count_change(db, pair)
            rows = [(int(origin), now, pair, key) for key in keys]
            db.executemany("UPDATE synced SET origin=?, changed=? WHERE pair=? AND key=? AND origin=2", rows)

    # --- the remote side, where it differs --------------------------------------------------------------------

    def remote_changes(self, pair: int) -> dict[str, Entry | None]:
        """Where the remote side differs from what was synced: its entry, or None for gone."""
        rows = self._db.rows("SELECT key, path, size, hash, rev, mtime_ms FROM elsewhere WHERE pair=?", (pair,))
        return {
            key: None if digest is None else Entry(RelPath(path), size, digest, rev, mtime_ms)
            for key, path, size, digest, rev, mtime_ms in rows
        }

    def note_remote_changes(
        self,
        pair: int,
        differences: dict[str, Entry | None],
        same: Iterable[str],
        cursor: str | None,
        *,
        refused: Iterable[str] = (),
        is_whole: bool,
    ) -> None:
        """The remote side was read up to `cursor`.

        Args:
            pair: whose.
            differences: by key, where it differs from what was synced (None: gone).
            same: keys that hold what was synced (again).
            cursor: where the listing stands; None when there was nothing to list.
            refused: all paths known there under names that no tree may hold.
            is_whole: it was listed whole, so what was noted before is void.
        """
        rows = [
            (pair, key, entry.path, entry.size, entry.content_hash, entry.rev, entry.mtime_ms)
            if entry
            else (pair, key, key, None, None, None, None)
            for key, entry in differences.items()
        ]
        with self.transaction() as db:
            if is_whole:
                db.execute("DELETE FROM elsewhere WHERE pair=?", (pair,))
            db.executemany("DELETE FROM elsewhere WHERE pair=? AND key=?", [(pair, key) for key in same])
            db.executemany("INSERT OR REPLACE INTO elsewhere VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            db.execute("DELETE FROM refused WHERE pair=?", (pair,))
            db.executemany("INSERT INTO refused VALUES (?, ?)", [(pair, path) for path in refused])
            db.execute("UPDATE pairs SET cursor=? WHERE id=?", (cursor, pair))

    def refused(self, pair: int) -> set[str]:
        """Paths at the remote side under names that no tree may hold."""
        return {path for (path,) in self._db.execute("SELECT path FROM refused WHERE pair=?", (pair,))}

    def distrust(self, pair: int) -> None:
        """What was heard of the remote side proved wrong: the next comparison lists everything again."""
        with self.transaction() as db:
            db.execute("UPDATE pairs SET cursor=NULL WHERE id=?", (pair,))

    # --- open transfers ---------------------------------------------------------------------------------------

    def transfer(self, pair: int, path: str, direction: str) -> Open | None:
        """The open transfer of a file, with the parts that have arrived."""
        found = self._db.execute(
            "SELECT id, token, session, part_size, started FROM transfers WHERE pair=? AND key=? AND direction=?",
            (pair, fold(path), direction),
        )
        if not found:
            return None
        [(number, token, session, part_size, started)] = found
        parts = dict(self._db.execute("SELECT number, blocks FROM parts WHERE transfer=?", (number,)))
        return Open(number, token, session, part_size, started, parts)

    def begin_transfer(
        self, pair: int, path: str, direction: str, *, token: str, session: str, part_size: int, now: float
    ) -> Open:
        """Note a new transfer; an older one of the same file is void."""
        self.end_transfer(pair, path, direction)
        with self.transaction() as db:
            db.execute(
                "INSERT INTO transfers (pair, key, direction, token, session, part_size, started)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (pair, fold(path), direction, token, session, part_size, now),
            )
            [(made,)] = db.execute("SELECT last_insert_rowid()")
        return Open(made, token, session, part_size, now, {})

    def note_part(self, transfer: int, number: int, blocks: bytes, *, durable: bool = True) -> None:
        """A part has arrived; `blocks` are its block digests.

        Args:
            transfer: of which transfer.
            number: which part.
            blocks: SHA-256 of each of its blocks, one after the other.
            durable: outlives a power failure. Of no use where the part itself may not.
        """
        with contextlib.nullcontext() if durable else self.lazily(), self.transaction() as db:
            db.execute("INSERT OR REPLACE INTO parts VALUES (?, ?, ?)", (transfer, number, blocks))

    def end_transfer(self, pair: int, path: str, direction: str) -> None:
        """The transfer is done or void."""
        with self.transaction() as db:
            key = (pair, fold(path), direction)
            db.execute(
                "DELETE FROM parts WHERE transfer IN (SELECT id FROM transfers WHERE pair=? AND key=? AND direction=?)",
                key,
            )
            db.execute("DELETE FROM transfers WHERE pair=? AND key=? AND direction=?", key)

    def note_sent(self, pair: int, files: Iterable[tuple[str, Sent]]) -> None:
        """These small files were sent whole; only their commit is missing."""
        rows = [(pair, fold(path), *msgspec.structs.astuple(item)) for path, item in files]
        with self.transaction() as db:
            db.executemany("INSERT OR REPLACE INTO sent VALUES (?, ?, ?, ?, ?, ?)", rows)

    def sent(self, pair: int) -> dict[str, Sent]:
        """What an earlier run sent and did not come to commit, by `fold(path)`."""
        rows = self._db.rows("SELECT key, token, session, hash, at FROM sent WHERE pair=?", (pair,))
        return {key: Sent(token, session, digest, at) for key, token, session, digest, at in rows}
