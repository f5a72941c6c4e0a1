"""What the engine wanted in Dropbox and could not put there: kept on disk until a later pass delivers it.

One queued write for each remote path: a newer one replaces an older one. Each is one file, written whole or not at all,
so a kill leaves the old one or the new one. Small contents lie in the file itself, because callers delete their files
once a call answered False; large ones are named by their path. The outbox is no cache: only delivery (or a newer
version of the same path in Dropbox) empties it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from huracan_sync.disk.atomic_write import write_file
from huracan_sync.disk.lock import hold
from huracan_sync.errors import Conflict, SecretInFile, UsageError
from huracan_sync.tree.paths import fold

HOPELESS = (UsageError, Conflict, SecretInFile)
"""What no later pass can deliver: a person has to act, or the caller to look again."""
KEPT = 16 * 1024 * 1024
"""Bytes of the largest content that is kept in the outbox itself."""
_SUFFIX = ".letter"  # the first version called them so, and its outboxes are delivered too
_HEADER = 64 * 1024


class QueuedWrite(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to deliver."""

    remote: str
    """The absolute remote path; of a folder when `patterns` are given."""
    service: str
    """Which service it is for: what was meant for an emulator never goes to Dropbox."""
    account: str = ""
    """Whose Dropbox it is for; empty when nobody was logged in."""
    id: str = ""
    """A newer write for the same path has another. The outbox sets it."""
    queued: float = 0.0
    """Seconds since 1970, when it was put there first."""
    local: str = ""
    """The file or folder it was to be read from; empty for text."""
    overwrite: bool = True
    champion: str = ""
    """Of a champion: its symbol, so that the one before it is archived first."""
    patterns: tuple[str, ...] = ()
    """Of a folder: which of its files."""
    recursive: bool = True
    refuses_secrets: bool = False
    """Of a folder: whether files with a token or a password in them stay here."""
    kept: int | None = None
    """Bytes of content that lie in the outbox; None when it lies in `local` only."""
    error: dict[str, Any] = {}
    """Why it was not delivered, last time: as `HuracanError.as_dict` tells."""
    attempts: int = 0

    @property
    def is_folder(self) -> bool:
        """Whether a folder is to be synced, not a file."""
        return bool(self.patterns)


class Outbox:
    """The queued writes of a machine. Any thread, any process."""

    def __init__(self, home: Path) -> None:
        """The outbox in the state folder `home`; nothing is opened or made."""
        self.folder = home / "outbox"

    def put(self, queued_write: QueuedWrite, content: bytes | None = None) -> None:
        """Keep a write durably, in the place of an earlier one for the same path.

        Raises:
            DiskFull: there is no room for it.
            LocalFailure: the state folder cannot be written.
        """
        with self._alone():
            self._write(msgspec.structs.replace(queued_write, id=os.urandom(8).hex()), content)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """No other thread or process changes the outbox: a newer write must not be lost to an older one's update."""
        with hold(self.folder / "outbox.lock", what="the outbox", wait_s=60.0):
            yield

    def _write(self, queued_write: QueuedWrite, content: bytes | None) -> None:
        queued_write = msgspec.structs.replace(
            queued_write,
            kept=None if content is None else len(content),
            local=queued_write.local.encode("utf-8", "backslashreplace").decode(),  # a name may be no UTF-8
        )
        header = msgspec.json.encode(queued_write)
        if len(header) >= _HEADER:
            header = msgspec.json.encode(
                msgspec.structs.replace(queued_write, error={"error": queued_write.error.get("error")})
            )
        write_file(self._file(queued_write), [header, b"\n", content or b""], name=f"the queued {queued_write.remote}")

    def queued_writes(self) -> list[QueuedWrite]:
        """Everything that waits, oldest first. Files that cannot be read as a queued write are skipped."""
        found = [queued_write for _, queued_write in self._all()]
        return sorted(found, key=lambda queued_write: queued_write.queued)

    def is_empty(self) -> bool:
        """Whether nothing waits; costs one look at a folder."""
        return next(iter(self._files()), None) is None

    def content(self, queued_write: QueuedWrite) -> bytes | None:
        """The content of a queued write; None when it lies elsewhere, or the write is gone."""
        if queued_write.kept is None:
            return None
        try:
            data = self._file(queued_write).read_bytes()
        except FileNotFoundError:
            return None
        header, _, content = data.partition(b"\n")
        found = _read(header)
        return (
            content if found is not None and found.id == queued_write.id and len(content) == queued_write.kept else None
        )

    def drop(self, queued_write: QueuedWrite) -> None:
        """Remove a write that was delivered, or is void. A newer one for the same path stays."""
        self._drop(self._file(queued_write), lambda found: found.id == queued_write.id)

    def overtake(self, queued_write: QueuedWrite) -> None:
        """Remove whatever waited for the path until now: it was written by other means."""
        self._drop(self._file(queued_write), lambda found: found.queued <= queued_write.queued)

    def _drop(self, file: Path, applies: Callable[[QueuedWrite], bool]) -> None:
        if not file.exists():
            return
        with self._alone(), contextlib.suppress(FileNotFoundError):
            found = _read(_first_line(file))
            if found is None or applies(found):
                file.unlink()
                self._sync()

    def failed_again(self, queued_write: QueuedWrite, error: dict[str, Any]) -> None:
        """Record why a write still waits."""
        with self._alone():
            present = dict(self._all()).get(self._file(queued_write))
            if present is None or present.id != queued_write.id:
                return  # delivered or replaced meanwhile
            content = self.content(queued_write)
            if queued_write.kept is None or content is not None:
                self._write(
                    msgspec.structs.replace(queued_write, error=error, attempts=queued_write.attempts + 1), content
                )

    def _file(self, queued_write: QueuedWrite) -> Path:
        what = "folder" if queued_write.is_folder else "file"
        name = hashlib.sha256(f"{queued_write.service}\0{what}\0{fold(queued_write.remote)}".encode()).hexdigest()[:32]
        return self.folder / f"{name}{_SUFFIX}"

    def _files(self) -> Iterator[Path]:
        try:
            yield from (path for path in self.folder.iterdir() if path.suffix == _SUFFIX)
        except FileNotFoundError:
            return

    def _all(self) -> Iterator[tuple[Path, QueuedWrite]]:
        for path in self._files():
            with contextlib.suppress(FileNotFoundError):
                queued_write = _read(_first_line(path))
                if queued_write is not None:
                    yield path, queued_write

    def _sync(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _first_line(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.readline(_HEADER)


def _read(header: bytes) -> QueuedWrite | None:
    try:
        return msgspec.json.decode(header, type=QueuedWrite)
    except msgspec.DecodeError:
        return None
