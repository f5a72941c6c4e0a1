"""What was signed of each pair, and what has changed since: the part of the journal that publishing asks."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator

import msgspec

from huracan_sync.transfer.journal import Journal, count_change
from huracan_sync.transfer.journal.records import ListedFile, SignedState
from huracan_sync.tree.paths import fold

_LISTED = """
SELECT s.path, s.size, s.hash, s.rev, s.mtime_ms, s.changed, p.kind, coalesce(p.blocks, x''),
       coalesce(p.leaves, x'')
FROM synced AS s LEFT JOIN proofs AS p ON p.pair = s.pair AND p.key = s.key AND p.hash = s.hash
WHERE s.pair=? AND s.origin < 2
"""
_STRANGERS = "INSERT OR IGNORE INTO strangers SELECT hash FROM synced WHERE pair=? AND origin=1 AND size>0"
_KEY_ID = 16
_decoder = msgspec.msgpack.Decoder(SignedState)


class Proof(msgspec.Struct, frozen=True):
    """What a signed list says of one content beside its name, size and hash."""

    path: str
    content_hash: bytes
    kind: int
    blocks: bytes
    table: bytes = b""
    """Its table of leaves, where it has one."""

    @property
    def leaves(self) -> bytes:
        """SHA-256 of the table; empty where there is none."""
        return hashlib.sha256(self.table).digest() if self.table else b""


def note_proofs(journal: Journal, pair: int, proofs: Iterable[Proof]) -> None:
    """Keep what was found out while the files were read, so that they need not be read again."""
    rows = [
        (pair, fold(each.path), each.content_hash, each.kind, each.blocks, each.leaves, each.table) for each in proofs
    ]
    if rows:
        with journal.transaction() as db:
            db.executemany("INSERT OR REPLACE INTO proofs VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def expire_signatures(journal: Journal) -> None:
    """Whom to trust has changed: the next run signs everything again, whatever its age."""
    with journal.transaction() as db:
        for *key, last in db.execute("SELECT pair, root, channel, last FROM signed WHERE last NOTNULL"):
            due = msgspec.structs.replace(_decoder.decode(last), due_ms=0)
            db.execute("UPDATE signed SET last=? WHERE pair=? AND root=? AND channel=?", (_encoded(due), *key))


def doubt(journal: Journal, place: str, revoked: frozenset[bytes]) -> None:
    """Doubt what was taken over as signed in a root folder, where keys are revoked that were not the last time.

    What a revoked key has signed others have listed after it, so no list of before tells what it brought. From now on
    such files are as unsigned ones, until somebody who counts lists them again. What this machine made stays its own.

    Args:
        journal: the journal.
        place: the root folder: service, account and path.
        revoked: the ids of all keys that are revoked.
    """
    found = (journal.first("SELECT keys FROM doubted WHERE root=?", (place,)) or (b"",))[0]
    known = {found[at : at + _KEY_ID] for at in range(0, len(found), _KEY_ID)}
    if revoked <= known:
        return
    with journal.transaction() as db:
        db.execute("INSERT OR REPLACE INTO doubted VALUES (?, ?)", (place, b"".join(sorted(revoked | known))))
        for pair, where, remote in db.execute("SELECT id, place, remote FROM pairs"):
            if f"{where}:{remote}/".startswith(f"{place}/"):
                now = count_change(db, pair)
                db.execute(_STRANGERS, (pair,))
                db.execute("UPDATE synced SET origin=2, changed=? WHERE pair=? AND origin=1", (now, pair))
                db.execute("UPDATE intents SET origin=2 WHERE pair=? AND origin=1", (pair,))


class SignedStates:
    """The signed lists of one pair in one channel."""

    def __init__(self, journal: Journal, pair: int, root: str, channel: str) -> None:
        """Nothing is asked yet.

        Args:
            journal: the journal.
            pair: whose files.
            root: the root folder whose channel it is.
            channel: its name.
        """
        self._journal = journal
        self._pair = pair
        self._key = (pair, fold(root), channel)

    def last(self) -> SignedState | None:
        """The head that was signed last, as far as this machine knows."""
        return self._get("last")

    def next(self) -> SignedState | None:
        """The head that was about to take its place when the last run ended."""
        return self._get("next")

    def intend(self, sealed: SignedState) -> None:
        """This head is about to be committed: a later run that finds it there knows that it is ours."""
        with self._journal.transaction() as db:
            db.execute(
                "INSERT INTO signed VALUES (?, ?, ?, NULL, ?) ON CONFLICT DO UPDATE SET next=excluded.next",
                (*self._key, _encoded(sealed)),
            )

    def settle(self, sealed: SignedState) -> None:
        """This head lies there, and states what the pair held at `sealed.changes`."""
        with self._journal.transaction() as db:
            db.execute("INSERT OR REPLACE INTO signed VALUES (?, ?, ?, ?, NULL)", (*self._key, _encoded(sealed)))
            lists = db.execute("SELECT last FROM signed WHERE pair=?", (self._pair,))
            # What no list can still name need not be remembered.
            least = min((_decoder.decode(last).changes for (last,) in lists if last is not None), default=0)
            if all(last is not None for (last,) in lists):
                db.execute("DELETE FROM gone WHERE pair=? AND changed<=?", (self._pair, least))

    def changes(self) -> int:
        """How often anything of the pair was learned or forgotten."""
        return int(self._journal.first("SELECT changes FROM pairs WHERE id=?", (self._pair,))[0])

    def is_as_of(self, changes: int, left_out: Collection[str] = ()) -> bool:
        """Whether the pair holds what it held then; of the folded paths that are left out nothing is asked."""
        if self.changes() == changes:
            return True
        key = (self._pair, changes)
        return not any(
            path not in left_out
            for table in ("synced", "gone")
            for (path,) in self._journal.rows(f"SELECT key FROM {table} WHERE pair=? AND changed>?", key)  # noqa: S608 - fixed names
        )

    def leave_out(self, keys: Collection[str]) -> None:
        """These folded paths are not in the list about to be signed, so they are new to the next that has them."""
        if keys:
            with self._journal.transaction() as db:
                now = count_change(db, self._pair)
                db.executemany(
                    "UPDATE synced SET changed=? WHERE pair=? AND key=?", [(now, self._pair, key) for key in keys]
                )

    def listed(self, *, in_order: bool = False) -> Iterator[ListedFile]:
        """Everything both sides hold alike that may be signed, one after the other; in the order of paths, if asked."""
        query = f"{_LISTED} ORDER BY s.path" if in_order else _LISTED
        return map(ListedFile._make, self._journal.rows(query, (self._pair,)))

    def tables(self) -> dict[bytes, bytes]:
        """Tables of leaves that do not lie in Dropbox yet, by their SHA-256."""
        return dict(
            self._journal.rows("SELECT leaves, tabled FROM proofs WHERE pair=? AND tabled <> x''", (self._pair,))
        )

    def tables_are_there(self, tables: Iterable[bytes]) -> None:
        """The tables of these SHA-256 lie in Dropbox now."""
        keys = [(self._pair, sha256) for sha256 in tables]
        if keys:
            with self._journal.transaction() as db:
                db.executemany("UPDATE proofs SET tabled=x'' WHERE pair=? AND leaves=?", keys)

    def unsigned(self) -> dict[str, tuple[str, bytes]]:
        """What both sides hold alike and nobody has signed: path and content hash, by folded path."""
        rows = self._journal.rows("SELECT key, path, hash FROM synced WHERE pair=? AND origin = 2", (self._pair,))
        return {key: (path, digest) for key, path, digest in rows}

    def is_own(self) -> bool:
        """Whether all that may be listed was made here, and no run ended before it knew what came of its head."""
        others = self._journal.rows("SELECT 1 FROM synced WHERE pair=? AND origin = 1 LIMIT 1", (self._pair,))
        return next(others, None) is None and self.next() is None

    def gone(self, since: int) -> dict[str, str]:
        """Paths that neither side has any more, and did then; with each the last revision that both had."""
        return dict(self._journal.rows("SELECT path, rev FROM gone WHERE pair=? AND changed>?", (self._pair, since)))

    def _get(self, column: str) -> SignedState | None:
        query = f"SELECT {column} FROM signed WHERE pair=? AND root=? AND channel=?"  # noqa: S608 - one of two names
        found = self._journal.first(query, self._key)
        return _decoder.decode(found[0]) if found and found[0] is not None else None


def _encoded(sealed: SignedState) -> bytes:
    return msgspec.msgpack.encode(sealed)
