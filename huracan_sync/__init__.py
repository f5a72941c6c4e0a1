"""Exact, resumable, signed sync between a trading engine and Dropbox.

    from huracan_sync import DropboxSync, Hamilton, connect, push, restore

Each name is imported when it is first used: a reader loads nothing that can write, and start-up counts.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from huracan_sync.connect import connect
    from huracan_sync.engine import DROPBOX_AVAILABLE, DropboxSync
    from huracan_sync.errors import HuracanError
    from huracan_sync.hamilton import Hamilton
    from huracan_sync.push import PushOptions, PushReport, push
    from huracan_sync.reader import Snapshot
    from huracan_sync.restore import RestoreOptions, RestoreReport, restore

__all__ = [
    "DROPBOX_AVAILABLE",
    "DropboxSync",
    "Hamilton",
    "HuracanError",
    "PushOptions",
    "PushReport",
    "RestoreOptions",
    "RestoreReport",
    "Snapshot",
    "connect",
    "push",
    "restore",
]

_ROOMS = {
    "DROPBOX_AVAILABLE": "engine",
    "DropboxSync": "engine",
    "Hamilton": "hamilton",
    "HuracanError": "errors",
    "PushOptions": "push",
    "PushReport": "push",
    "RestoreOptions": "restore",
    "RestoreReport": "restore",
    "Snapshot": "reader",
    "connect": "connect",
    "push": "push",
    "restore": "restore",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_ROOMS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Door(ModuleType):
    """`huracan_sync.push` is the function, whoever imported the room of the same name before."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _ROOMS and isinstance(value, ModuleType)):  # as the import system does with a new submodule
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Door
