"""`DropboxSync`, settings, outbox; `daemon/`: scheduler, watcher, status, dashboard.

One line of the engine changes: `from huracan_sync import DropboxSync`. Nothing fails silently, nothing is sent twice,
no path is made in two ways, and importing or constructing it needs no network. May import `operations`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from huracan_sync.engine.dropbox_sync import DropboxSync

__all__ = ["DROPBOX_AVAILABLE", "DropboxSync"]

DROPBOX_AVAILABLE = True
"""The engine asks whether the SDK is installed, `if DROPBOX_AVAILABLE:`; it comes with this package."""


def __getattr__(name: str) -> Any:
    # Late, so that settings or a status can be read without everything that syncs.
    if name != "DropboxSync":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = importlib.import_module(f"{__name__}.dropbox_sync").DropboxSync
    globals()[name] = value
    return value
