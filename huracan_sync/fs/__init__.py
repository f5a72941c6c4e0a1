"""Dropbox, and verified snapshots, as an fsspec filesystem for data tools.

`dropbox://path` is `DropboxFileSystem`, to read and write; `huracan://channel@sequence/path` is `SnapshotFileSystem`:
one signed snapshot, read-only, every byte proved.

May import `operations`. It is the only wing that imports fsspec (the extra `[fsspec]`), and no other wing imports it.
Errors leave as `OSError`, with the library's own error as `__cause__`.
"""

from huracan_sync.fs.dropbox_fs import DropboxFileSystem
from huracan_sync.fs.snapshot_fs import SnapshotFileSystem

__all__ = ["DropboxFileSystem", "SnapshotFileSystem"]
