"""Which root folder a remote folder belongs to. Pure.

The signed things of a tree lie in one place, `.huracan` below its root folder. A profile has a root; what lies outside
of that has the first component of its path for one.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from huracan_sync.errors import UsageError
from huracan_sync.manifest.locations import is_ours
from huracan_sync.tree.paths import below, remote_root

_NOT_IN_A_CHANNEL = re.compile(r"[^a-z0-9._-]+")


class Scope(NamedTuple):
    """A remote folder as manifests name it."""

    root: str
    """The root folder, as the API wants it."""
    prefix: str
    """The folder relative to it, without slashes at its ends; empty for the root itself."""

    def path(self, relative: str) -> str:
        """What manifests call a file of the folder."""
        return f"{self.prefix}/{relative}" if self.prefix else relative


def scope_of(remote_folder: str, profile_root: str) -> Scope:
    """Where a remote folder lies.

    Raises:
        UsageError: it is the folder of signed things, which is nobody's to sync.
    """
    folder = remote_root(remote_folder)
    root = profile_root if below(profile_root, folder) is not None else "/".join(folder.split("/")[:2])
    prefix = below(root, folder) or ""
    if prefix and is_ours(prefix):
        raise UsageError(f"{folder} is where signatures lie; nothing else may", hint="name another", path=folder)
    return Scope(root, prefix)


def channel_of(remote_folder: str) -> str:
    """The channel of a remote folder where nobody named one: its last component, as far as that can be one."""
    last = remote_folder.rstrip("/").rpartition("/")[2].lower()
    return _NOT_IN_A_CHANNEL.sub("-", last)[:63].strip(".-") or "all"
