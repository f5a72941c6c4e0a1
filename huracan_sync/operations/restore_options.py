"""How to restore, and what a restore came to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from huracan_sync.transfer.pair import Options, Report
from huracan_sync.tree.entry import Entry

if TYPE_CHECKING:
    from huracan_sync.transfer.download_file import Validate

UNTOUCHED_S = 60.0


class RestoreReport(Report):
    """The result of a restore.

    Examples:
        >>> from huracan_sync import connect, restore
        >>> report = restore("/Runpodhuracan/data/candles", "elsewhere", remote=connect("engine"))
        >>> report.skipped, report.bytes_received, report.kept
        (2, 0, 0)
    """

    downloaded: int = 0
    unsigned: int = 0
    """How many files were restored although no verified manifest lists them, in a folder that has one."""
    unsigned_files: list[str] = msgspec.field(default_factory=list)
    """The first of them."""
    contradicted: list[str] = msgspec.field(default_factory=list)
    """Paths where Dropbox holds other content than what is signed, or nothing; the signed content is restored."""
    verified_by: list[str] = msgspec.field(default_factory=list)
    """The channels whose manifests were used; none if nothing is signed, or if nobody is trusted here."""
    bytes_received: int = 0
    """Bytes of file content that came over the wire."""
    kept: int = 0
    """How many files stay as they are, because they were changed here since they were synced."""
    kept_files: list[str] = msgspec.field(default_factory=list)
    """The first of them."""
    left_out: list[str] = msgspec.field(default_factory=list)
    """Paths that `validate` refused; they were fetched but not put in place."""


class Snapshot(msgspec.Struct, frozen=True):
    """Exactly what to restore of a folder: entries relative to it, and the block digests that are known."""

    entries: Iterable[Entry]
    """Gone through more than once."""
    blocks: Mapping[str, bytes] = {}
    """By `fold(path)`."""
    sequence: int = 0
    is_signed: bool = False
    """Whether a verified manifest lists all of it; else it is what Dropbox held a moment ago."""


class RestoreOptions(Options, frozen=True):
    """How to restore.

    Examples:
        >>> from huracan_sync import RestoreOptions, connect, restore
        >>> remote, chosen = connect("engine"), RestoreOptions(overwrite=True)  # what was changed here gives way
        >>> restore("/Runpodhuracan/data/candles", "elsewhere", remote=remote, options=chosen).failed
        []
    """

    snapshot: Snapshot | None = None
    """Restore exactly this instead of what Dropbox holds now."""
    untouched_s: float = UNTOUCHED_S
    """Replace a damaged parquet if nothing has touched it for so many seconds; a younger one may still be written."""
    at: int | None = None
    """Restore what the manifest of this sequence lists instead of the newest; only with a channel."""
    validate: Validate | None = None
    """Asked about each downloaded file before it is put in place; raises `LeftOut` to refuse it."""
    unsigned: bool = False
    """Take what Dropbox holds as it is, even if this machine could verify it."""
    active_names: bool = False
    """Also restore unsigned files that programs act on by themselves (`.git/config`, `.bashrc`)."""
    missing_ok: bool = True
    """Whether a missing remote folder counts as an empty one."""
