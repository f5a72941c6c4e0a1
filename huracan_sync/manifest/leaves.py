"""Which files get a table of leaves: those whose readers take pieces of them (a column, a tensor). Pure.

The table costs a publisher a second hash of the bytes and 32 bytes for each 64 KiB, and saves a reader up to 4 MiB a
piece. FORMAT.md leaves the choice to the publisher.
"""

from __future__ import annotations

from huracan_sync.manifest.file_kinds import Kind

OVER = 1024 * 1024
"""Bytes from which on a table pays; a smaller file is read whole with one request."""
_READ_IN_PIECES = frozenset({Kind.PARQUET, Kind.SAFETENSORS})


def pay(kind: int, size: int) -> bool:
    """Whether proofs of 64 KiB save the readers of such a file bytes."""
    return size > OVER and kind in _READ_IN_PIECES
