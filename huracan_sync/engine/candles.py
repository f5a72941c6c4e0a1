"""What the footer of a candle file says, here or in Dropbox, without reading its columns."""

from __future__ import annotations

import io
from collections.abc import Callable

import msgspec

from huracan_sync.disk.files import Root
from huracan_sync.disk.parquet import MAGIC, MOST_FOOTER, is_damaged
from huracan_sync.disk.stable_read import StableRead
from huracan_sync.errors import FileChanged, HuracanError, LeftOut
from huracan_sync.remote import files
from huracan_sync.remote.client import Ranged, Remote
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import RelPath

TAIL = 64 * 1024
"""Bytes from the end that hold the footer of nearly every file."""
EARLIEST_MS = 1_230_768_000_000
"""2009: no candle of any exchange is older. What says so was written with its timestamps divided twice."""


class Facts(msgspec.Struct, frozen=True, order=True):
    """How much a candle file holds; of two, the greater holds more."""

    rows: int
    last_ms: int
    """Milliseconds since 1970 of its last candle; 0 when the footer does not say."""

    @property
    def is_suspect(self) -> bool:
        """Whether its candles claim to be older than any exchange."""
        return self.rows > 0 and 0 < self.last_ms < EARLIEST_MS


DAMAGED = Facts(-1, 0)
"""Of a file that nobody can read any more: every other has more."""


def refuse_suspect(path: str, read: Callable[[int, int], bytes], size: int) -> None:
    """Look at a file on its way to the disk (`RestoreOptions.validate`).

    Raises:
        LeftOut: it is a parquet whose candles claim to be older than any exchange.
    """
    if not path.endswith(".parquet") or size < len(MAGIC) * 3:
        return
    start = max(0, size - TAIL)
    facts = _facts(read(start, size - start), read, size)
    if facts is not None and facts.is_suspect:
        raise LeftOut(f"{path} is left out: its candles claim to be older than any exchange", path=path)


def facts_here(root: Root, path: RelPath) -> Facts | None:
    """The facts of a local file: `DAMAGED` when that is proved, None when nothing can be told of it."""
    try:
        with StableRead(root, path) as reading:
            if is_damaged(reading):
                return DAMAGED
            size = reading.stamp.size
            return _facts(reading.read(max(0, size - TAIL), TAIL), reading.read, size)
    except HuracanError:
        return None


def facts_there(remote: Remote, entry: Entry) -> Facts | None:
    """The facts of a remote file, None when it is no whole parquet. Reads its end only."""
    path = f"rev:{entry.rev}"

    def read(at: int, count: int) -> bytes:
        part = Ranged(at, at + count)
        return files.fetch(remote, path, limit=count, part=part)[1]

    if entry.size < len(MAGIC) * 3:
        return None
    start = max(0, entry.size - TAIL)
    return _facts(read(start, entry.size - start), read, entry.size)


def _facts(tail: bytes, read: Callable[[int, int], bytes], size: int) -> Facts | None:
    if tail[-4:] != MAGIC:
        return None
    length = int.from_bytes(tail[-8:-4], "little")
    if length > min(MOST_FOOTER, size - 12):
        return None
    if length + 8 > len(tail):
        tail = read(size - length - 8, length + 8)
    return _of_footer(MAGIC + tail[-(length + 8) :])


def _of_footer(footer: bytes) -> Facts | None:
    import pyarrow as pa  # noqa: PLC0415 - slow to import, and only candles that differ need it
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        found = pq.read_metadata(io.BytesIO(footer))
    except (pa.ArrowException, OSError, ValueError, FileChanged):
        return None
    names = found.schema.to_arrow_schema().names
    column = next((names.index(name) for name in ("ts", "timestamp") if name in names), None)
    last = 0
    for group in range(found.num_row_groups if column is not None else 0):
        statistics = found.row_group(group).column(column).statistics
        if statistics is not None and statistics.has_min_max:
            last = max(last, _milliseconds(statistics.max))
    return Facts(found.num_rows, last)


def _milliseconds(value: object) -> int:
    if isinstance(value, int):
        return value
    moment = getattr(value, "timestamp", None)
    return int(moment() * 1000) if callable(moment) else 0
