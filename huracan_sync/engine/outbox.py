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
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from huracan_sync.disk.atomic_write import make_private, write_at
from huracan_sync.disk.lock import hold
from huracan_sync.errors import Conflict, SecretInFile, UsageError, local_failure
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
        try:
            with self._opened(make=True) as folder:
                write_at(folder, self._name(queued_write), [header, b"\n", content or b""])
        except OSError as error:
            raise local_failure(error, f"the queued {queued_write.remote}", "write") from error

    def queued_writes(self) -> list[QueuedWrite]:
        """Everything that waits, oldest first. Files that cannot be read as a queued write are skipped."""
        found = [queued_write for _, queued_write in self._all()]
        return sorted(found, key=lambda queued_write: queued_write.queued)

    def is_empty(self) -> bool:
        """Whether nothing waits; costs one look at a folder."""
        with contextlib.suppress(FileNotFoundError), self._opened() as folder:
            return not _names(folder)
        return True

    def content(self, queued_write: QueuedWrite) -> bytes | None:
        """The content of a queued write; None when it lies elsewhere, or the write is gone."""
        if queued_write.kept is None:
            return None
        data = b""
        with contextlib.suppress(FileNotFoundError), self._opened() as folder:
            data = _content(folder, self._name(queued_write))
        header, _, content = data.partition(b"\n")
        found = _read(header)
        return (
            content if found is not None and found.id == queued_write.id and len(content) == queued_write.kept else None
        )

    def drop(self, queued_write: QueuedWrite) -> None:
        """Remove a write that was delivered, or is void. A newer one for the same path stays."""
        self._drop(self._name(queued_write), lambda found: found.id == queued_write.id)

    def overtake(self, queued_write: QueuedWrite) -> None:
        """Remove whatever waited for the path until now: it was written by other means."""
        self._drop(self._name(queued_write), lambda found: found.queued <= queued_write.queued)

    def _drop(self, name: str, applies: Callable[[QueuedWrite], bool]) -> None:
        with contextlib.suppress(FileNotFoundError), self._opened() as folder:
            os.stat(name, dir_fd=folder, follow_symlinks=False)  # most often there is none: no lock for that
            with self._alone():
                found = _read(_content(folder, name, most=_HEADER))
                if found is None or applies(found):
                    os.unlink(name, dir_fd=folder)
                    os.fsync(folder)

    def failed_again(self, queued_write: QueuedWrite, error: dict[str, Any]) -> None:
        """Record why a write still waits."""
        with self._alone():
            present = dict(self._all()).get(self._name(queued_write))
            if present is None or present.id != queued_write.id:
                return  # delivered or replaced meanwhile
            content = self.content(queued_write)
            if queued_write.kept is None or content is not None:
                self._write(
                    msgspec.structs.replace(queued_write, error=error, attempts=queued_write.attempts + 1), content
                )

    @staticmethod
    def _name(queued_write: QueuedWrite) -> str:
        what = "folder" if queued_write.is_folder else "file"
        name = hashlib.sha256(f"{queued_write.service}\0{what}\0{fold(queued_write.remote)}".encode()).hexdigest()[:32]
        return f"{name}{_SUFFIX}"

    def _all(self) -> Iterator[tuple[str, QueuedWrite]]:
        with contextlib.suppress(FileNotFoundError), self._opened() as folder:
            for name in _names(folder):
                queued_write = _read(_content(folder, name, most=_HEADER))
                if queued_write is not None:
                    yield name, queued_write

    @contextlib.contextmanager
    def _opened(self, *, make: bool = False) -> Iterator[int]:
        """The folder as a descriptor: it may be no link, even if it is exchanged for one meanwhile.

        Raises:
            FileNotFoundError: there is none.
            LocalFailure: it cannot be opened.
        """
        try:
            if make:
                make_private(self.folder)
            descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise local_failure(error, str(self.folder), "read") from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _names(folder: int) -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith(_SUFFIX)]


def _content(folder: int, name: str, *, most: int = KEPT + _HEADER) -> bytes:
    """What a file of the outbox holds; nothing where it is gone, or no file."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # O_NONBLOCK: a planted pipe must not hang us
    try:
        with open(os.open(name, flags, dir_fd=folder), "rb") as file:  # noqa: PTH123 - a descriptor
            return file.read(most) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
    except OSError:
        return b""


def _read(header: bytes) -> QueuedWrite | None:
    header = header.partition(b"\n")[0]
    try:
        return msgspec.json.decode(header, type=QueuedWrite)
    except msgspec.DecodeError:
        return None
