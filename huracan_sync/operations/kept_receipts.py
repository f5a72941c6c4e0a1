"""Receipts on the driver's disk: kept before anything is committed, and which of them were.

A driver that is killed finds here what it was at. What was committed is told by its upload session, not by path and
content: the same content may be staged again after somebody else has replaced it, and then it is to be put there again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import msgspec

from huracan_sync.disk.private_folder import Folder
from huracan_sync.operations import receipts as form
from huracan_sync.operations.receipts import Receipt, Receipts
from huracan_sync.tree.paths import fold

MOST = 512 * 1024 * 1024
"""Bytes of one file here."""
TOGETHER = 64 * 1024 * 1024
"""Bytes of receipts in one file; those of one task are never divided."""
REMEMBERED_S = 8 * 86400
"""A session lives for seven days; after that nobody can commit it twice."""
_decoder = msgspec.msgpack.Decoder(list[bytes])
_MARK = 16
"""Bytes by which a session is known here."""


class KeptReceipts:
    """The receipts in one folder. Call it under the lock of the folder."""

    def __init__(self, folder: Folder, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._clock = clock
        self._names: list[str] = []
        self._superseded: list[Receipt] = []

    def keep(self, every: Iterable[bytes]) -> None:
        """Have the receipts on this disk: many in one file, because each is made durable."""
        together: list[bytes] = []
        size = 0
        for data in dict.fromkeys(every):
            if together and size + len(data) > TOGETHER:
                self._write(together)
                together, size = [], 0
            together.append(data)
            size += len(data)
        if together:
            self._write(together)

    def _write(self, together: list[bytes]) -> None:
        data = msgspec.msgpack.encode(together)
        name = f"{hashlib.sha256(data).hexdigest()}.receipts"
        if self._folder.read(name, most=MOST) is None:
            self._folder.write(name, data)

    def wanted(self) -> dict[str, Receipt]:
        """One receipt a path, by folded path, of everything that lies here, also what an earlier run left."""
        every = self._all()
        wanted = form.merged(every)
        self._superseded = [file for each in every for file in each.files if wanted[fold(file.path)] is not file]
        return wanted

    def _all(self) -> list[Receipts]:
        self._names = self._listed("receipts")
        found = (self._folder.read(name, most=MOST) for name in self._names)
        return [form.decode(data) for together in found if together is not None for data in _decoder.decode(together)]

    def end(self, *, all_placed: bool) -> None:
        """The run came to its end; what failed in it is for the caller to decide.

        Receipts that a later task has replaced are done with too: if one arrives again, nothing of it is committed.
        """
        if all_placed:
            self.note_committed(self._superseded)
        for name in self._names:
            self._folder.remove(name)
        for name in self._listed("committed"):
            if int(name.partition("-")[0]) < self._clock() - REMEMBERED_S:
                self._folder.remove(name)

    def note_committed(self, files: Iterable[Receipt]) -> None:
        """These are in their places."""
        marks = b"".join(_mark(file) for file in files)
        if marks:
            self._folder.write(f"{self._clock():.0f}-{hashlib.sha256(marks).hexdigest()[:16]}.committed", marks)

    def committed(self, files: Iterable[Receipt]) -> set[str]:
        """The sessions of those that were in their places before."""
        asked = {_mark(file): file.session for file in files}
        found: set[str] = set()
        for name in self._listed("committed"):
            marks = self._folder.read(name, most=MOST) or b""
            pieces = (marks[at : at + _MARK] for at in range(0, len(marks), _MARK))
            found.update(asked[mark] for mark in pieces if mark in asked)
        return found

    def _listed(self, kind: str) -> list[str]:
        return sorted(path.name for path in self._folder.path.glob(f"*.{kind}"))


def _mark(file: Receipt) -> bytes:
    return hashlib.sha256(file.session.encode()).digest()[:_MARK]
