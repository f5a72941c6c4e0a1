"""Is this file whole? A parquet that is still being written has no footer, and must not replace a good one."""

from __future__ import annotations

import io

from huracan_sync.disk.stable_read import StableRead
from huracan_sync.errors import FileChanged

MAGIC = b"PAR1"
_FOOTER_TAIL = 8
"""The length of the footer (4 bytes) and the magic."""
MOST_FOOTER = 64 * 1024 * 1024


def check_whole(reading: StableRead) -> None:
    """Let every file pass but a parquet without a readable footer.

    Raises:
        FileChanged: `HALF_WRITTEN`, it is still being written, or damaged.
    """
    if reading.path.lower().endswith(".parquet"):
        check_parquet(reading)


def check_parquet(reading: StableRead) -> None:
    """`PAR1` at both ends, and a footer that pyarrow reads. Only the footer is read, not the columns.

    Raises:
        FileChanged: `HALF_WRITTEN`, it is not so.
    """
    size = reading.stamp.size
    tail = reading.read(max(0, size - _FOOTER_TAIL), _FOOTER_TAIL)
    if size < len(MAGIC) + _FOOTER_TAIL or reading.read(0, 4) != MAGIC or tail[4:] != MAGIC:
        raise _half_written(reading, "it does not begin and end as a parquet file does")
    length = int.from_bytes(tail[:4], "little")
    if length > min(MOST_FOOTER, size - len(MAGIC) - _FOOTER_TAIL):
        raise _half_written(reading, "its footer is longer than the file")
    import pyarrow as pa  # noqa: PLC0415 - slow to import, and only parquet needs it
    import pyarrow.parquet as pq  # noqa: PLC0415

    # The footer alone reads as a file without columns: what pyarrow checks is its structure.
    footer = MAGIC + reading.read(size - _FOOTER_TAIL - length, length + _FOOTER_TAIL)
    try:
        pq.read_metadata(io.BytesIO(footer))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _half_written(reading, f"its footer cannot be read ({str(error)[:100]})") from error


def _half_written(reading: StableRead, why: str) -> FileChanged:
    return FileChanged(
        f"{reading.path} is not sent: {why}", code="HALF_WRITTEN", path=reading.path, size=reading.stamp.size
    )
