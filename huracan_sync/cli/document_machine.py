"""What the verbs print that are about this machine: its login, its state, what runs on it (see `documents.py`)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from huracan_sync.cli.document_parts import (
    Check,
    Continuous,
    Document,
    Finding,
    Kind,
    KindOutcome,
    LastRun,
    Waiting,
)


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
    runs: list[LastRun]
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


class RunOnce(Document):
    """`run --once`. Where one error kept it from everything, the exit code is that error's; it is in `failed`."""

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
    endings: list[str] = msgspec.field(default_factory=list)
    trust_ends: datetime | None = None
    is_gone: bool = False
    running: bool = False
    healthy: bool = False


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
    """`help`; with `--help` every verb."""

    help: str = ""
    man: str = ""


class Completion(Document):
    """`completion`."""

    shell: str
    script: str
