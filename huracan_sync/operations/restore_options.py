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
    """Files that no verified manifest lists, of a folder that has one: restored, but nobody has signed them."""
    unsigned_files: list[str] = msgspec.field(default_factory=list)
    """The first of them."""
    contradicted: list[str] = msgspec.field(default_factory=list)
    """Paths at which Dropbox holds other content than is signed, or none; the signed content counts."""
    verified_by: list[str] = msgspec.field(default_factory=list)
    """The channels whose manifests were believed; none where nothing is signed or nobody is trusted here."""
    bytes_received: int = 0
    """Bytes of file content that came over the wire."""
    kept: int = 0
    """Files that were changed here since they were synced, and stay as they are: not what was restored."""
    kept_files: list[str] = msgspec.field(default_factory=list)
    """The first of them."""
    left_out: list[str] = msgspec.field(default_factory=list)
    """Paths that `validate` refused; they were fetched and not put in place."""


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
    """Restore exactly this, instead of what lies in Dropbox now."""
    untouched_s: float = UNTOUCHED_S
    """A damaged parquet gives way when nothing has touched it for so long; a younger one may still be written."""
    at: int | None = None
    """Restore what the manifest of that sequence lists, instead of the newest; with a channel only."""
    validate: Validate | None = None
    """Asked about each downloaded file before it is put in place; raises `LeftOut` to refuse it."""
    unsigned: bool = False
    """Take what lies in Dropbox as it lies there, also where this machine could verify it."""
    active_names: bool = False
    """Restore unsigned files too that programs act on by themselves (`.git/config`, `.bashrc`)."""
    missing_ok: bool = True
    """Whether a missing remote folder counts as an empty one."""
