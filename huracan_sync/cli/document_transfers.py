"""What the verbs print that move, list and compare files (see `documents.py`)."""

from __future__ import annotations

from typing import Literal

from huracan_sync.cli.document_parts import (
    Difference,
    Document,
    Failure,
    LeftOut,
    Listed,
    MigrationStep,
    MigrationTotals,
    PlannedConflict,
    PlannedCopy,
    PlannedDelete,
    Totals,
)


class Push(Document):
    """`push`."""

    uploaded: int
    renamed: int
    """Copied inside Dropbox from where the content lay; nothing of them was sent."""
    skipped: int
    deleted: int
    failed: list[Failure]
    bytes_sent: int
    requests: int
    sequence: int
    """Of the manifest that is current; 0 when nothing was signed. The local content of failed files is not in it."""
    unsigned: int
    unsigned_files: list[str]
    vouched: list[str]
    left_out: list[LeftOut]
    not_in_metadata: list[LeftOut]
    """Parquet files that the dataset's `_metadata` does not describe, or describes wrongly."""
    resumed_from: int
    """Not 0: somebody had put an older head back, and it went on from this sequence."""
    filtered: int


class Fetched(Document):
    """What every verb prints that brings files here."""

    downloaded: int
    skipped: int
    deleted: int
    failed: list[Failure]
    bytes_received: int
    requests: int
    sequence: int
    unsigned: int
    unsigned_files: list[str]
    contradicted: list[str]
    verified_by: list[str]
    left_out: list[str]
    kept: int
    """Files that were changed here since they were synced: they stay, and are not as the manifest says."""
    kept_files: list[str]


class Restore(Fetched):
    """`restore`."""

    filtered: int


class Get(Fetched):
    """`get`."""

    local: str
    verified: bool


class DryRun(Document):
    """`push`, `restore` or `publish` with `--dry-run`."""

    dry_run: Literal[True]
    copies: list[PlannedCopy]
    deletes: list[PlannedDelete]
    conflicts: list[PlannedConflict]
    problems: list[str]
    totals: Totals


class Ls(Document):
    """`ls`."""

    folder: str
    entries: list[Listed]


class Put(Document):
    """`put`."""

    path: str
    sent: bool
    size: int
    rev: str
    requests: int


class Cat(Document):
    """`cat`: the bytes in base64."""

    path: str
    size: int
    verified: bool
    data: str


class Diff(Document):
    """`diff`."""

    differences: list[Difference]
    same: int
    filtered: int
    problems: list[str]


class Migrate(Document):
    """`migrate`. Its exit code is 1 where something failed, or is left to a person."""

    plan: list[MigrationStep]
    totals: MigrationTotals
    dry_run: bool
    moved: int
    copied: int
    deleted: int
    kept: int
    failed: list[Failure]
    requests: int
