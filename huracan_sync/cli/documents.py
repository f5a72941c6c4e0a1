"""The JSON that `--json` prints, as types. `docs/json.md` is generated from them, and tests hold every verb to them.

No verb builds these objects (start-up counts): a verb prints a dictionary, and the tests decode it strictly. Fields are
only ever added; a change of meaning raises `SCHEMA`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from huracan_sync.cli.document_parts import (
    ChannelPolicy,
    Check,
    Continuous,
    Difference,
    Failure,
    Finding,
    HistoryRow,
    Key,
    Kind,
    KindOutcome,
    LeftOut,
    Listed,
    Part,
    PlannedConflict,
    PlannedCopy,
    PlannedDelete,
    SignedDifference,
    Totals,
    Waiting,
)
from huracan_sync.cli.output import SCHEMA

__all__ = ["DOCUMENTS", "SCHEMA", "of_verb"]


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


class Login(Document):
    """`authorize`: the login that is stored now."""

    profile: str
    account_id: str
    app_key: str
    scopes: list[str]
    read_only: bool
    kept_in: str = ""
    refresh_token: str = ""
    """With `--hand-over` only."""


class Logout(Document):
    """`logout`."""

    profile: str
    revoked: bool
    forgotten: bool
    why: str = ""


class Token(Document):
    """`token`."""

    access_token: str


class Status(Document):
    """`status`."""

    ill: bool
    runs: list[dict[str, Any]]
    """Each with `account`, `verb`, `channel`, `local`, `finished`, `last_success`, `lag_s`, and its report's fields."""
    continuous: Continuous | None
    pending: int
    """Writes in the outbox."""
    warnings: list[str]


class Forgotten(Document):
    """`status --forget`."""

    forgotten: int


class Doctor(Document):
    """`doctor`."""

    profile: str
    version: str
    healthy: bool
    checks: list[Check]


class Scan(Document):
    """`doctor --scan DIR`."""

    findings: list[Finding]


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
    """Of the manifest that is current; 0 when nothing was signed. What failed is not in it as it is here."""
    unsigned: int
    unsigned_files: list[str]
    vouched: list[str]
    left_out: list[LeftOut]
    resumed_from: int
    """Not 0: somebody had put an older head back, and it went on from this sequence."""
    filtered: int


class Restore(Document):
    """`restore`."""

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
    filtered: int


class Get(Document):
    """`get`."""

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


class RunOnce(Document):
    """`run --once`."""

    restored: int
    kinds: dict[str, KindOutcome]
    failed: dict[str, dict[str, Any]]
    pending: int
    requests: int
    missing_folders: dict[str, str]
    """Folders in the settings that do not exist, by kind."""
    ended_early: bool
    uploaded: int
    bytes_sent: int


class RunEnded(Document):
    """`run`, when it ends; beside `ended` the fields of `status`' `continuous`."""

    ended: bool
    pid: int = 0
    started: datetime | None = None
    written: datetime | None = None
    service: str = ""
    app_folder: str = ""
    kinds: list[Kind] = msgspec.field(default_factory=list)
    pending: int = 0
    requests: int = 0
    token_requests: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    page: str = ""
    not_watching: str = ""
    is_gone: bool = False
    running: bool = False
    healthy: bool = False


class Migrate(Document):
    """`migrate`."""

    plan: list[str]
    dry_run: bool
    moved: int
    copied: int
    deleted: int
    kept: int
    failed: list[Failure]
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
    """What counts no more from now on, in words."""


class KeysExport(Document):
    """`keys export-sshsig`."""

    files: list[str]
    out: str
    verify: str


class Outbox(Document):
    """`outbox list`."""

    waiting: list[Waiting]


class OutboxRetry(Document):
    """`outbox retry`."""

    delivered: int
    waiting: list[Waiting]


class OutboxDrop(Document):
    """`outbox drop`."""

    dropped: list[Waiting]


class Help(Document):
    """`help`."""

    help: str = ""
    man: str = ""


class Completion(Document):
    """`completion`."""

    shell: str
    script: str


ANY: tuple[type[Document], ...] = (Error, Interrupted)
DOCUMENTS: dict[str, tuple[type[Document], ...]] = {
    "authorize": (Login,),
    "logout": (Logout,),
    "status": (Status, Forgotten),
    "doctor": (Doctor, Scan),
    "token": (Token,),
    "push": (Push, DryRun),
    "restore": (Restore, DryRun),
    "ls": (Ls,),
    "get": (Get,),
    "put": (Put,),
    "cat": (Cat,),
    "diff": (Diff,),
    "publish": (Publish, Head, DryRun),
    "run": (RunOnce, RunEnded),
    "migrate": (Migrate,),
    "verify": (Verify, History),
    "follow": (NewSnapshot, FreshnessChanged, FollowProblem),
    "keys": (KeysInit, KeyMade, KeysShow, KeysTrust, KeysNext, KeysRecover, KeysExport),
    "outbox": (Outbox, OutboxRetry, OutboxDrop),
    "help": (Help,),
    "completion": (Completion,),
}
"""What each verb prints with `--json`."""


def of_verb(verb: str, line: str | bytes) -> Document:
    """A document that a verb printed, strictly decoded.

    Raises:
        msgspec.ValidationError: it is none of those that the verb may print.
    """
    why = ""
    for kind in (*DOCUMENTS[verb], *ANY):
        try:
            return msgspec.json.decode(line, type=kind)
        except msgspec.ValidationError as error:
            why += f"\n  {kind.__name__}: {error}"
    raise msgspec.ValidationError(f"no document of {verb}:{why}\n{line!r}")
