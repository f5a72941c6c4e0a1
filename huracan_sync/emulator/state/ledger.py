"""Persistence: an append-only file of record batches, one batch for each request.

A batch is written by one `write` before its request is answered, so that a killed emulator comes back with everything
it had answered for. An incomplete last batch is dropped. Superseded records are removed at the next start.
"""

import fcntl
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from huracan_sync.emulator.state.records import AnyRecord, Gone

_HEAD = 8  # length and CRC-32 of a batch, four bytes each
Records = dict[tuple[Any, ...], AnyRecord]


class Ledger:
    """The file of records. Without a folder nothing is stored: the emulator then lives in memory alone."""

    def __init__(self, folder: Path | None) -> None:
        """Open the file, and lock its folder for this emulator.

        Raises:
            OSError: another emulator has it.
        """
        self._lock = locked(folder) if folder else -1
        self._path = folder / "ledger" if folder else None
        self._pending: list[AnyRecord] = []
        self._encoder = msgspec.msgpack.Encoder()
        self._file = -1

    def keep(self, record: AnyRecord) -> None:
        """Add a record to the next batch."""
        if self._path:
            self._pending.append(record)

    def forget(self, record: AnyRecord) -> None:
        """Add the removal of a record to the next batch."""
        if self._path:
            self._pending.append(Gone(record.key()))

    def flush(self) -> None:
        """Write the batch."""
        if self._pending:
            os.write(self._file, self._batch(self._pending))
            self._pending = []

    def load(self) -> Records:
        """Return the last record of each key, and rewrite the file with only these."""
        if not self._path:
            return {}
        records: Records = {}
        stored = self._path.read_bytes() if self._path.exists() else b""
        for record in _read(stored):
            if isinstance(record, Gone):
                records.pop(record.key(), None)
            else:
                records[record.key()] = record
        self._rewrite(records.values())
        return records

    def clear(self) -> None:
        """Remove all records."""
        self._pending = []
        if self._path:
            self._rewrite(())

    def close(self) -> None:
        """Write the batch and close the file."""
        self.flush()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _rewrite(self, records: Iterable[AnyRecord]) -> None:
        assert self._path  # noqa: S101  callers have looked
        fresh = self._path.with_suffix(".new")
        kept = list(records)
        fresh.write_bytes(self._batch(kept) if kept else b"")
        fresh.chmod(0o600)
        fresh.replace(self._path)
        if self._file >= 0:
            os.close(self._file)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND)

    def _batch(self, records: list[AnyRecord]) -> bytes:
        body = self._encoder.encode(records)
        return len(body).to_bytes(4, "little") + zlib.crc32(body).to_bytes(4, "little") + body


def locked(folder: Path) -> int:
    """Lock a folder and return the open lock file; the system releases it when the process ends.

    Raises:
        OSError: another emulator has it.
    """
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise OSError(f"another emulator keeps its data in {folder}") from None
    return lock


def _read(stored: bytes) -> Iterable[AnyRecord]:
    decoder = msgspec.msgpack.Decoder(list[AnyRecord])
    at = 0
    while at + _HEAD <= len(stored):
        length, check = (int.from_bytes(stored[at + i : at + i + 4], "little") for i in (0, 4))
        body = stored[at + _HEAD : at + _HEAD + length]
        if len(body) < length or zlib.crc32(body) != check:
            return
        yield from decoder.decode(body)
        at += _HEAD + length
