"""File names that no sync with Dropbox takes. Pure."""

from __future__ import annotations

NEVER_SYNCED = frozenset(
    {"desktop.ini", "thumbs.db", ".ds_store", "icon\r", ".dropbox", ".dropbox.attr", ".dropbox.cache"}
)
"""Names Dropbox refuses in any case (`disallowed_name`); a scan passes over them."""


def lies_in_never_synced(path: str) -> bool:
    """Whether a component of a path is such a name."""
    return any(map(never_synced, path.split("/")))


def never_synced(name: str) -> bool:
    """Whether Dropbox would refuse this file name everywhere, so that a scan passes over it."""
    name = name.lower()
    # Locks of office programs, and their half-written files.
    return name in NEVER_SYNCED or name.startswith(("~$", ".~")) or (name.startswith("~") and name.endswith(".tmp"))
