"""Is this parquet whole? One that is still being written has no footer, and must not replace a good one.

Only what is proved counts as damaged: a file that cannot be judged (encrypted, a footer too large to look at) passes.
"""

from __future__ import annotations

import io
from typing import Any

from huracan_sync.disk.stable_read import StableRead
from huracan_sync.errors import FileChanged

MAGIC = b"PAR1"
ENCRYPTED = b"PARE"
"""Both ends of a file whose footer is encrypted."""
_FOOTER_TAIL = 8
"""The length of the footer (4 bytes) and the magic."""
MOST_FOOTER = 64 * 1024 * 1024
"""A longer footer is not read."""
MOST_ELEMENTS = 1_000_000
"""pyarrow reads no list of more, unless it is told to; a footer of as many bytes may hold one."""


def check_whole(reading: StableRead) -> None:
    """Let every file pass but a parquet that is proved to be damaged.

    Raises:
        FileChanged: `HALF_WRITTEN`, it is still being written, or damaged.
        LocalFailure: it cannot be read.
    """
    if reading.path.lower().endswith(".parquet"):
        check_parquet(reading)


def read_footer(reading: StableRead) -> Any:
    """The footer of a parquet, as pyarrow's `FileMetaData`; no column is read.

    Raises:
        FileChanged: `HALF_WRITTEN`, it has none that can be read.
        LocalFailure: it cannot be read.
    """
    import pyarrow as pa  # noqa: PLC0415 - slow to import, and only parquet needs it
    import pyarrow.parquet as pq  # noqa: PLC0415

    size = reading.stamp.size
    tail = reading.read(max(0, size - _FOOTER_TAIL), _FOOTER_TAIL)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != MAGIC or length > min(MOST_FOOTER, size - len(MAGIC) - _FOOTER_TAIL):
        raise _half_written(reading, "it has no footer that can be read")
    try:
        return pq.read_metadata(io.BytesIO(MAGIC + reading.read(size - _FOOTER_TAIL - length, length + _FOOTER_TAIL)))
    except (pa.ArrowException, OSError) as error:
        raise _half_written(reading, f"its footer cannot be read ({str(error)[:100]})") from error


def check_parquet(reading: StableRead) -> None:
    """The same magic at both ends, and a footer that pyarrow reads. Only the footer is read, not the columns.

    Raises:
        FileChanged: `HALF_WRITTEN`, it is not so.
        LocalFailure: it cannot be read.
    """
    size = reading.stamp.size
    tail = reading.read(max(0, size - _FOOTER_TAIL), _FOOTER_TAIL)
    magic = reading.read(0, len(MAGIC))
    if size < len(MAGIC) + _FOOTER_TAIL or magic not in {MAGIC, ENCRYPTED} or tail[4:] != magic:
        raise _half_written(reading, "it does not begin and end as a parquet file does")
    length = int.from_bytes(tail[:4], "little")
    if length > size - len(MAGIC) - _FOOTER_TAIL:
        raise _half_written(reading, "its footer is longer than the file")
    if magic == ENCRYPTED or length > MOST_FOOTER:
        return
    import pyarrow as pa  # noqa: PLC0415 - slow to import, and only parquet needs it

    # The footer alone reads as a file without columns: what pyarrow checks is its structure.
    footer = MAGIC + reading.read(size - _FOOTER_TAIL - length, length + _FOOTER_TAIL)
    try:
        _parse(footer)
    except (pa.ArrowInvalid, OSError) as error:
        raise _half_written(reading, f"its footer cannot be read ({str(error)[:100]})") from error
    except (pa.ArrowException, MemoryError):
        return  # a format that this pyarrow does not know, or too little memory: nothing is proved


def _parse(footer: bytes) -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    try:
        pq.read_metadata(io.BytesIO(footer))
    except OSError:
        if len(footer) <= MOST_ELEMENTS:
            raise
        most = len(footer)
        pq.ParquetFile(io.BytesIO(footer), thrift_string_size_limit=most, thrift_container_size_limit=most)


def is_damaged(reading: StableRead) -> bool:
    """Whether a parquet is proved to be damaged.

    Raises:
        FileChanged: it changed while it was read.
        LocalFailure: it cannot be read.
    """
    try:
        check_whole(reading)
    except FileChanged as error:
        if error.code != "HALF_WRITTEN":
            raise
        return True
    return False


def _half_written(reading: StableRead, why: str) -> FileChanged:
    return FileChanged(
        f"{reading.path} is not sent: {why}", code="HALF_WRITTEN", path=reading.path, size=reading.stamp.size
    )
