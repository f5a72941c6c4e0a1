"""Exact, resumable, signed sync between a trading engine and Dropbox.

    from huracan_sync import DropboxSync, Hamilton, connect, push, restore

Each name is imported when it is first used: a reader loads nothing that can write, and start-up counts.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from huracan_sync.auth.connect import connect
    from huracan_sync.engine import DROPBOX_AVAILABLE, DropboxSync
    from huracan_sync.errors import HuracanError
    from huracan_sync.hamilton import Hamilton
    from huracan_sync.operations.commit import commit
    from huracan_sync.operations.push import PushOptions, PushReport, push
    from huracan_sync.operations.restore import RestoreOptions, RestoreReport, restore
    from huracan_sync.operations.stage import stage
    from huracan_sync.reader import Snapshot
    from huracan_sync.remote.grant import Grant

__all__ = [
    "DROPBOX_AVAILABLE",
    "DropboxSync",
    "Grant",
    "Hamilton",
    "HuracanError",
    "PushOptions",
    "PushReport",
    "RestoreOptions",
    "RestoreReport",
    "Snapshot",
    "commit",
    "connect",
    "push",
    "restore",
    "stage",
]

_WINGS = {
    "DROPBOX_AVAILABLE": "engine",
    "DropboxSync": "engine",
    "Grant": "remote.grant",
    "Hamilton": "hamilton",
    "HuracanError": "errors",
    "PushOptions": "operations.push",
    "PushReport": "operations.push",
    "RestoreOptions": "operations.restore",
    "RestoreReport": "operations.restore",
    "Snapshot": "reader",
    "commit": "operations.commit",
    "connect": "auth.connect",
    "push": "operations.push",
    "restore": "operations.restore",
    "stage": "operations.stage",
}


def __getattr__(name: str) -> Any:
    if name not in _WINGS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_WINGS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
