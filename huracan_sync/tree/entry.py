"""Files described the same way wherever they lie: on this disk, in Dropbox, in a manifest, at the last sync."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from huracan_sync.tree.paths import RelPath, fold


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One file. Two entries are the same content when their `content_hash` is."""

    path: RelPath
    size: int
    """Bytes."""
    content_hash: bytes
    """Dropbox's content hash, 32 bytes."""
    rev: str = ""
    """The revision that holds this content in Dropbox; empty for a file known only on disk."""
    mtime_ms: int = 0
    """Milliseconds since 1970: when the content was made (Dropbox's `client_modified`, the disk's mtime)."""


Tree = Mapping[str, Entry]
"""Entries by `fold(path)`."""


def tree(entries: Iterable[Entry]) -> dict[str, Entry]:
    """Entries by their identity. Of twins the last stays: the caller reports twins first."""
    return {fold(entry.path): entry for entry in entries}
