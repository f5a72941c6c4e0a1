"""What the JSON documents are made of (see `documents.py`)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec


class Part(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Something inside a document."""


class Document(Part):
    """What every document has."""

    schema_version: Literal[1]


class Error(Document):
    """Whatever the verb: it ended with an error. The exit code says who must act."""

    error: str
    """The class of the error, such as `NotFound`; stable."""
    message: str
    hint: str
    retryable: bool
    facts: dict[str, Any]
    code: str = ""
    """Which case of the class, where there are several; stable."""


class Interrupted(Document):
    """Whatever the verb: a signal ended it."""

    error: Literal["Interrupted"]
    message: str
    hint: str


class Failure(Part):
    """A file that is not in step, and why."""

    path: str
    error: str
    message: str
    hint: str
    retryable: bool
    facts: dict[str, Any]
    code: str = ""


class Kind(Part):
    """Continuous sync of one kind of data."""

    name: str
    interval_s: float
    since: datetime | None
    last_success: datetime | None
    next_run: datetime | None
    changed_since: datetime | None
    files: int
    sent: int
    bytes_sent: int
    queue: int
    passes: int
    failures: int
    last_error: str
    last_hint: str
    running: bool
    refused: int
    refusals: list[str]
    left_out: int
    left_out_names: list[str]
    lag_s: float
    healthy: bool


class LastRun(Part):
    """How the last run of a verb between two folders went: what it came to, or the error that ended it."""

    account: str
    verb: Literal["push", "restore", "publish", "commit"]
    remote: str
    """The folder in Dropbox; empty for its top."""
    finished: datetime
    """When it ended; of one that is under way or was cut off, when it began."""
    last_success: datetime | None
    lag_s: float | None
    """Seconds since the last success."""
    local: str = ""
    """The folder here."""
    error: dict[str, Any] | None = None
    """What ended it; its fields are those of every error. `CutOff`: it was killed, or the machine went down."""
    under_way_since: datetime | None = None
    """Of a run that has not ended; the counts are those of the one before."""
    process: str = ""
    """The process that carries it out; empty: none does."""
    skipped: int = 0
    deleted: int = 0
    failed: list[Failure] = []
    requests: int = 0
    sequence: int = 0
    uploaded: int = 0
    renamed: int = 0
    bytes_sent: int = 0
    downloaded: int = 0
    bytes_received: int = 0
    unsigned: int = 0
    unsigned_files: list[str] = []
    vouched: list[str] = []
    left_out: list[LeftOut | str] = []
    not_in_metadata: list[LeftOut] = []
    resumed_from: int = 0
    contradicted: list[str] = []
    verified_by: list[str] = []
    kept: int = 0
    kept_files: list[str] = []
    channel: str = ""
    """Of a publish."""
    files: int = 0
    """In the manifest that was published."""
    made: bool = False
    """Whether it was published by this run, and not before."""


class Continuous(Part):
    """The process of `run`."""

    pid: int
    started: datetime
    written: datetime
    service: str
    app_folder: str
    kinds: list[Kind]
    pending: int
    requests: int
    token_requests: int
    bytes_sent: int
    bytes_received: int
    page: str
    not_watching: str
    endings: list[str]
    trust_ends: datetime | None
    is_gone: bool
    running: bool
    healthy: bool


class LeftOut(Part):
    """A file that does not take part, and why: a symbolic link, a name that never syncs."""

    path: str
    why: str


class Check(Part):
    """One thing that was looked at."""

    name: str
    verdict: Literal["ok", "warn", "bad", "unknown"]
    says: str
    facts: dict[str, Any]
    hint: str


class Finding(Part):
    """A place with a secret in it."""

    path: str
    line: int
    kind: str


class PlannedCopy(Part):
    """A file to send or fetch."""

    path: str
    size: int
    replaces: str | None
    """The revision, or None."""
    renamed_from: str | None = None
    """Where its content lies in Dropbox already, from which it is copied there: nothing of it is sent."""


class PlannedDelete(Part):
    """A file to delete."""

    path: str
    rev: str


class PlannedConflict(Part):
    """A file that waits for a person."""

    path: str
    kind: Literal["unknown", "changed_there", "changed_both", "deleted_here", "blocked"]
    why: str


class Totals(Part):
    """Sums of a plan."""

    files: int
    """To send or fetch; those that are renamed are not among them."""
    bytes: int
    renamed: int
    """Files copied inside Dropbox from where their content lies: nothing of them is sent."""
    deletes: int
    conflicts: int
    problems: int
    filtered: int
    requests: int
    """About how many."""


class MigrationStep(Part):
    """What becomes of a file that does not lie in its place."""

    action: Literal["move", "copy", "delete", "keep"]
    path: str
    size: int = 0
    """Bytes; not of a file that is kept."""
    place: str = ""
    """Where its content will lie, or lies already."""
    why: str = ""
    """Why a person has to decide about it."""


class MigrationTotals(Part):
    """Sums of the plan of a migration."""

    moves: int
    copies: int
    deletes: int
    kept: int
    """Files that stay where they are, because only a person can say what they are worth."""
    bytes: int
    """Of what is moved and copied, inside Dropbox: nothing of it is sent."""
    requests: int
    """About how many."""


class Listed(Part):
    """A file or folder in Dropbox."""

    path: str
    type: Literal["file", "folder"]
    size: int
    modified: datetime | None
    rev: str
    content_hash: str


class Difference(Part):
    """A file that is not the same on both sides."""

    path: str
    what: Literal["differs", "only_local", "only_remote"]
    local_size: int | None
    remote_size: int | None


class KindOutcome(Part):
    """What one pass over a kind came to."""

    files: int
    sent: int
    bytes_sent: int
    waiting: int
    failed: int
    refused: int
    error: str
    hint: str
    refusals: list[str]
    left_out: int
    left_out_names: list[str]


class SignedDifference(Part):
    """A file that is not as it was signed."""

    path: str
    what: Literal["changed", "missing", "extra", "unreadable"]
    expected: str
    actual: str


class Changed(Part):
    """How a manifest differs from the one before it."""

    added: int
    changed: int
    removed: int
    paths: list[str]


class HistoryRow(Part):
    """A head that took effect."""

    epoch: int
    sequence: int
    created: datetime
    expires: datetime
    publisher: str
    signed_by: list[str]
    entries: int
    same: bool
    digest: str
    trust_version: int
    changed: Changed | None


class Key(Part):
    """A public key of a trust file."""

    fingerprint: str
    public: str
    label: str
    root: bool
    channels: list[str]
    revoked: bool
    here: bool
    not_after: datetime | None
    does: str


class ChannelPolicy(Part):
    """The rules of a channel."""

    channel: str
    epoch: int
    threshold: int
    max_age_s: int
    stale_limit_s: int
    kinds: list[int]
    path_prefix: str


class Waiting(Part):
    """A write in the outbox."""

    id: str
    since: datetime
    remote: str
    local: str
    account: str
    attempts: int
    error: dict[str, Any]
