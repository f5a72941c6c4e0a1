"""What the verbs print that sign, verify and trust (see `documents.py`)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from huracan_sync.cli.document_parts import (
    ChannelPolicy,
    Document,
    Failure,
    HistoryRow,
    Key,
    LeftOut,
    SignedDifference,
)


class Publish(Document):
    """`publish LOCAL`."""

    channel: str
    sequence: int
    files: int
    made: bool
    uploaded: int
    renamed: int
    skipped: int
    deleted: int
    failed: list[Failure]
    bytes_sent: int
    requests: int
    unsigned: int
    unsigned_files: list[str]
    vouched: list[str]
    left_out: list[LeftOut]
    not_in_metadata: list[LeftOut]
    """Parquet files that the dataset's `_metadata` does not describe, or describes wrongly."""
    resumed_from: int
    """Not 0: somebody had put an older head back, and it went on from this sequence."""


class Head(Document):
    """`publish --heartbeat` and `--rollback`."""

    channel: str
    sequence: int
    files: int
    made: bool
    expires: datetime
    requests: int


class Verify(Document):
    """`verify`."""

    ok: bool
    folder: str
    channel: str
    sequence: int
    status: str
    signed: datetime
    publisher: str
    files: int
    differences: list[SignedDifference]
    requests: int


class History(Document):
    """`verify --history`."""

    ok: bool
    channel: str
    rows: list[HistoryRow]
    superseded: list[str]
    faults: list[str]
    complete: bool
    more: int
    requests: int


class NewSnapshot(Document):
    """`follow`: a line for each new snapshot."""

    event: Literal["snapshot"]
    channel: str
    epoch: int
    sequence: int
    status: str
    files: int
    bytes: int
    publisher: str
    created: datetime
    expires: datetime
    digest: str


class FreshnessChanged(Document):
    """`follow`: a line when it became fresh, stale or dead."""

    event: Literal["status"]
    channel: str
    status: str
    sequence: int = 0


class FollowProblem(Document):
    """`follow`: a line when the newest cannot be read."""

    event: Literal["problem"]
    error: str
    message: str
    hint: str
    retryable: bool
    facts: dict[str, Any]
    code: str = ""


class KeyMade(Document):
    """`keys init --key-only`."""

    fingerprint: str
    made: bool
    key_in: str
    public: str


class KeysInit(Document):
    """`keys init`."""

    pin: str
    """What readers of this root folder pin."""
    fingerprint: str
    made: bool
    key_in: str
    root: str
    trust_version: int
    expires: datetime
    in_dropbox: bool
    why_not: str
    allowed_signers: str


class KeysShow(Document):
    """`keys show`."""

    pin: str
    fingerprint: str
    key_in: str
    root: str
    trust_version: int
    expires: datetime | None
    pinned: list[str]
    keys: list[Key]
    channels: list[ChannelPolicy]
    allowed_signers: str
    warnings: list[str]


class KeysTrust(Document):
    """`keys trust`."""

    root: str
    trusted: list[str]
    trust_version: int
    expires: datetime
    at_least: dict[str, int]


class KeysNext(Document):
    """`keys rotate` and `keys revoke`."""

    root: str
    trust_version: int
    expires: datetime
    roots: list[str]
    fingerprint: str
    channels: list[ChannelPolicy]


class KeysRecover(Document):
    """`keys recover`."""

    root: str
    trust_version: int
    expires: datetime
    channel: str
    epoch: int
    forgotten: str
    """What no longer counts from now on, in words."""


class KeysExport(Document):
    """`keys export-sshsig`."""

    files: list[str]
    out: str
    verify: str
