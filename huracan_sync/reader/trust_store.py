"""What a reader has seen and must never forget: whom it trusts, and the highest head of every channel.

Without it an old head could be put back and be believed, so it is not disposable: if it is missing or damaged after it
once was there, nothing is read until an operator says where to go on (`StateMissing`, `keys trust --at-least`).

One SQLite file for each root folder, holding one document and its SHA-256: a cut, a flipped bit, a page of another
time in it is noticed. Beside it a small marker says that the file must exist. Every change is one transaction, on
disk when the method returns (`synchronous = EXTRA`, no write-ahead log that could be lost by itself). Several processes
may use it; each method reads the file again and keeps nothing in memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from huracan_sync.disk.atomic_write import locked_folder, replace_file, write_file
from huracan_sync.disk.sqlite import Database
from huracan_sync.errors import (
    Busy,
    ConfigError,
    DiskFull,
    HuracanError,
    LocalFailure,
    NoTrust,
    StateMissing,
    UsageError,
)
from huracan_sync.manifest.checks import Mark
from huracan_sync.manifest.trust import Pin, parse_pin

_SEAL = b"huracan-sync/seen/v2\0"
_MARKER = "a root key is pinned here; seen.db must lie beside this file\n"


class Channel(msgspec.Struct, frozen=True):
    """What was seen of one channel. The heads are kept whole, to be judged again at every start."""

    mark: Mark
    head: bytes = b""
    """The head file at the mark, without the body that it carries; empty where only a floor was set."""
    parts: tuple[bytes, ...] = ()
    """SHA-256 of the body and its shards."""
    previous: bytes = b""
    """The head file that was current before."""
    previous_parts: tuple[bytes, ...] = ()
    cursor: str = ""
    """Where the listing of signed things stood before the head was read; empty: look at everything."""
    links: tuple[bytes, ...] = ()
    """Digests of the heads on the way of `skip` from the mark on (`head_history.skip_path`), as far as known."""
    lies: bytes = b""
    """Content hash of the head file as it lay in Dropbox, with the body that it carries."""


class State(msgspec.Struct, frozen=True):
    """Everything that is known of one root folder."""

    v: Literal[2]
    place: str
    """The service, account and root folder it is about."""
    pin: str
    """The root folder and the root keys that a person has pinned, as `keys show` prints them."""
    trust: bytes
    """The newest trust file that was verified."""
    clock_ms: int
    """The latest time at which something fresh was accepted."""
    channels: dict[str, Channel]


decoder = msgspec.msgpack.Decoder(State)


class TrustStore:
    """The state of one root folder on this machine."""

    def __init__(self, home: Path, place: str) -> None:
        """Nothing is opened yet.

        Args:
            home: HURACAN_SYNC_HOME.
            place: tells one root folder from another: service, account, path.
        """
        self._place = place
        self.folder = home / "trust" / hashlib.sha256(place.encode()).hexdigest()[:16]
        self._file = self.folder / "seen.db"
        self._marker = self.folder / "pinned"

    def load(self) -> State:
        """What is known.

        Raises:
            NoTrust: nobody has pinned a root key on this machine.
            StateMissing: somebody has, and what was seen since is missing or damaged.
        """
        self._check_there()
        with self._connected() as db:
            return self._read(db)

    def exists(self) -> bool:
        """Whether a root key was ever pinned here, in whatever state that is now."""
        return os.path.lexists(self._file) or os.path.lexists(self._marker)

    def pinned(self) -> Pin | None:
        """What was pinned, also where what was seen since is lost; None where it cannot be told."""
        return pinned_by(self._marker)

    def pin(self, trust: bytes, pin: Pin, floors: Mapping[str, Mark] | None, *, forget: bool = True) -> bool:
        """Begin again, forgetting what was seen: a person's decision. False where what is pinned by now stays.

        Args:
            trust: the verified trust file to start from.
            pin: what a person believes it by.
            floors: by channel, the place below which nothing may be accepted. None: what is pinned by now stays.
            forget: also what is pinned by now and can be read; another process may have seen much since it pinned it.
        """
        channels = {name: Channel(mark) for name, mark in (floors or {}).items()}
        document = msgspec.msgpack.encode(State(2, self._place, str(pin), trust, 0, channels))
        new = self.folder / "seen.db.new"
        try:
            with locked_folder(self.folder):
                if floors is None and self.exists():
                    return False
                with contextlib.suppress(NoTrust, StateMissing):
                    if not forget:
                        self.load()
                        return False
                new.unlink(missing_ok=True)
                new.touch(mode=0o600)
                with contextlib.closing(Database(new, "rw", wait_s=0)) as db:
                    db.execute("PRAGMA synchronous = EXTRA")
                    db.execute("CREATE TABLE seen (one INTEGER PRIMARY KEY CHECK (one = 1), document BLOB, seal BLOB)")
                    db.execute("INSERT INTO seen VALUES (1, ?, ?)", (document, seal_of(document)))
                for suffix in ("-journal", "-wal", "-shm"):  # of a file that is gone: they must not be applied to this
                    (self.folder / f"seen.db{suffix}").unlink(missing_ok=True)
                replace_file(new, self._file)
                write_file(self._marker, f"{_MARKER}{self._place}\n{pin}\n".encode())
                return True
        except (OSError, sqlite3.Error) as error:
            raise _in_our_words(error, self._file) from error

    def remember_trust(self, trust: bytes, *, after: bytes) -> None:
        """Go on from the trust file `after` to its verified successor; nothing, when another process already has."""
        with self._changing() as (db, state):
            if state.trust == after:
                self._write(db, msgspec.structs.replace(state, trust=trust))

    def advance(self, name: str, channel: Channel, *, after: Mark | None, clock_ms: int) -> bool:
        """Note that a head was verified, before anything of it is handed out.

        Args:
            name: the channel.
            channel: what is now known of it.
            after: the mark it was judged against.
            clock_ms: now, when what was accepted is fresh; else 0.

        Returns:
            False when another process has moved the mark meanwhile; then nothing was written, and the head must be
            judged again.
        """
        with self._changing() as (db, state):
            held = state.channels.get(name)
            if (held.mark if held else None) != after:
                return False
            channels = state.channels | {name: channel}
            clock_ms = max(state.clock_ms, clock_ms)
            self._write(db, msgspec.structs.replace(state, channels=channels, clock_ms=clock_ms))
            return True

    def note_cursor(self, name: str, mark: Mark, *, before: str, cursor: str) -> None:
        """Note how far the listing was read, when nothing in it concerned the channel; `before` is where it stood."""
        if cursor == before:
            return
        with self._changing() as (db, state):
            held = state.channels.get(name)
            if held is not None and held.mark == mark:
                channels = state.channels | {name: msgspec.structs.replace(held, cursor=cursor)}
                self._write(db, msgspec.structs.replace(state, channels=channels))

    def raise_floor(self, name: str, floor: Mark) -> None:
        """Accept nothing below `floor` any more. A floor is never lowered: `pin` begins again."""
        with self._changing() as (db, state):
            held = state.channels.get(name)
            if held and (held.mark.epoch, held.mark.sequence) > (floor.epoch, floor.sequence):
                mark, hint = held.mark, "nothing needs to be done: nothing older will be accepted"
                message = f"{name} was already seen at {mark.epoch}-{mark.sequence}, above the floor that is asked"
                raise ConfigError(message, hint=hint, channel=name)
            if held is None or (held.mark.epoch, held.mark.sequence) != (floor.epoch, floor.sequence):
                self._write(db, msgspec.structs.replace(state, channels=state.channels | {name: Channel(floor)}))

    def _check_there(self) -> None:
        try:
            status = self._file.lstat()
        except FileNotFoundError:
            if os.path.lexists(self._marker):
                raise self._missing("it is gone") from None
            raise NoTrust("no root key is pinned on this machine", place=self._place) from None
        except OSError as error:
            raise _in_our_words(error, self._file) from error
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_size == 0:
            raise self._missing("it is empty, no file, or another user's")

    def _missing(self, why: str) -> StateMissing:
        return StateMissing(f"what was seen before cannot be read from {self._file}: {why}", path=str(self._file))

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Database]:
        try:
            with contextlib.closing(Database(self._file, "rw", wait_s=30.0)) as db:
                db.execute("PRAGMA synchronous = EXTRA")
                yield db
        except sqlite3.Error as error:
            raise _in_our_words(error, self._file) from error
        except (UnicodeDecodeError, MemoryError) as error:
            # Damage inside can also show as names that are no text, or lengths that no memory holds.
            raise self._missing("it is damaged") from error

    @contextlib.contextmanager
    def _changing(self) -> Iterator[tuple[Database, State]]:
        """What is known, with nobody else writing until the block ends."""
        self._check_there()
        with self._connected() as db, db.transaction():
            yield db, self._read(db)

    def _read(self, db: Database) -> State:
        rows = db.execute("SELECT document, seal FROM seen")
        if len(rows) != 1 or not isinstance(rows[0][0], bytes) or rows[0][1] != seal_of(rows[0][0]):
            raise self._missing("its checksum is wrong")
        try:
            state = decoder.decode(rows[0][0])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._missing(f"it is of another version ({error})") from None
        if state.place != self._place:
            raise self._missing(f"it is about {state.place}")
        return state

    def _write(self, db: Database, state: State) -> None:
        document = msgspec.msgpack.encode(state)
        db.execute("UPDATE seen SET document = ?, seal = ? WHERE one = 1", (document, seal_of(document)))


def pinned_by(marker: Path) -> Pin | None:
    """What a marker says; None where it cannot be told."""
    try:
        return parse_pin(marker.read_text(encoding="utf-8").splitlines()[-1])
    except (OSError, UnicodeDecodeError, IndexError, UsageError):
        return None


def seal_of(document: bytes) -> bytes:
    """What tells whether the document is whole."""
    return hashlib.sha256(_SEAL + document).digest()


_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_OF_THE_DISK = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR}


def _in_our_words(error: OSError | sqlite3.Error, file: Path) -> HuracanError:
    """A full or unwritable disk is its owner's to mend; anything else SQLite stumbles over is damage."""
    if isinstance(error, OSError):
        return LocalFailure(f"{file} cannot be used: {error.strerror or error}", path=str(file))
    code = getattr(error, "sqlite_errorcode", 0)
    if code & 0xFF in _BUSY:
        return Busy(f"another process keeps {file} locked", path=str(file))
    if code & 0xFF == sqlite3.SQLITE_FULL:
        return DiskFull(f"{file} cannot be written: the disk is full", path=str(file))
    if code & 0xFF in _OF_THE_DISK and code != sqlite3.SQLITE_IOERR_SHORT_READ:
        return LocalFailure(f"{file} cannot be used: {error}", hint="check its owner and rights", path=str(file))
    return StateMissing(f"what was seen before cannot be read from {file}: {error}", path=str(file))
