"""The JSON that `--json` prints, as types. `docs/json.md` is generated from them, and tests hold every verb to them.

No verb builds these objects (start-up counts): a verb prints a dictionary, and the tests decode it strictly. Fields are
only ever added; a change of meaning raises `SCHEMA`.
"""

from __future__ import annotations

import msgspec

from huracan_sync.cli.document_machine import (
    Completion,
    Doctor,
    Forgotten,
    Help,
    Login,
    Logout,
    Outbox,
    OutboxDrop,
    OutboxRetry,
    RunEnded,
    RunOnce,
    Scan,
    Status,
    Token,
)
from huracan_sync.cli.document_parts import Document, Error, Interrupted
from huracan_sync.cli.document_signing import (
    FollowProblem,
    FreshnessChanged,
    Head,
    History,
    KeyMade,
    KeysExport,
    KeysInit,
    KeysNext,
    KeysRecover,
    KeysShow,
    KeysTrust,
    NewSnapshot,
    Publish,
    Verify,
)
from huracan_sync.cli.document_transfers import Cat, Diff, DryRun, Get, Ls, Migrate, Push, Put, Restore
from huracan_sync.cli.output import SCHEMA

__all__ = ["DOCUMENTS", "SCHEMA", "of_verb"]

ANY: tuple[type[Document], ...] = (Error, Interrupted)
HELP: tuple[type[Document], ...] = (Help,)
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
    "help": HELP,
    "completion": (Completion,),
}
"""What each verb prints with `--json`."""


def of_verb(verb: str, line: str | bytes) -> Document:
    """A document that a verb printed, strictly decoded.

    Raises:
        msgspec.ValidationError: it is none of those that the verb may print.
    """
    why = ""
    for kind in (*DOCUMENTS[verb], *ANY, *HELP):
        try:
            return msgspec.json.decode(line, type=kind)
        except msgspec.ValidationError as error:
            why += f"\n  {kind.__name__}: {error}"
    raise msgspec.ValidationError(f"no document of {verb}:{why}\n{line!r}")
