"""Which files a parquet dataset is made of, by their names. Pure."""

from __future__ import annotations

from huracan_sync.tree.paths import fold

SUMMARY = "_metadata"
"""The name of the file that says of all parquet files below its folder what they hold."""


def is_part(key: str, folder: str) -> bool:
    """Whether a file, by its folded path, belongs to the dataset in that folder (`a/b/`; empty for the root)."""
    return key.endswith(".parquet") and key.startswith(fold(folder))
