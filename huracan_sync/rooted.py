"""Which root folder a remote folder belongs to, and who reads there.

The signed things of a tree lie in one place, `.huracan` below its root folder. A profile has a root; what lies outside
of that has the first component of its path for one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from huracan_sync.errors import NoTrust, UsageError
from huracan_sync.keys.here import KeyPlace
from huracan_sync.keys.roots import Roots
from huracan_sync.paths import below, remote_root
from huracan_sync.reader import Reader
from huracan_sync.remote.client import Remote
from huracan_sync.remote.source import RemoteSource, several
from huracan_sync.seen import Seen
from huracan_sync.signed.places import is_ours


class Spot(NamedTuple):
    """A remote folder as manifests name it."""

    root: str
    """The root folder, as the API wants it."""
    prefix: str
    """The folder relative to it, without slashes at its ends; empty for the root itself."""

    def path(self, relative: str) -> str:
        """What manifests call a file of the folder."""
        return f"{self.prefix}/{relative}" if self.prefix else relative


def spot_of(remote_folder: str, profile_root: str) -> Spot:
    """Where a remote folder lies.

    Raises:
        UsageError: it is the folder of signed things, which is nobody's to sync.
    """
    folder = remote_root(remote_folder)
    root = profile_root if below(profile_root, folder) is not None else "/".join(folder.split("/")[:2])
    prefix = below(root, folder) or ""
    if prefix and is_ours(prefix):
        raise UsageError(f"{folder} is where signatures lie; nothing else may", path=folder)
    return Spot(root, prefix)


def reader_at(
    remote: Remote,
    home: Path,
    root: str,
    *,
    keys: KeyPlace | None = None,
    keep_set: int = 0,
    clock: Callable[[], float] = time.time,
) -> Reader:
    """Who reads a root folder on this machine.

    Whom he trusts: what a person pinned for this root; else the keys that were pinned for the profile's own root; else
    what this machine's own key has signed.

    Args:
        remote: the login.
        home: the state folder.
        root: the root folder.
        keys: where this machine's key is, if it may have one.
        keep_set: bytes up to which a set is brought here whole; by default nothing is but what is asked for.
        clock: seconds since 1970.
    """
    source = RemoteSource(remote, root)
    reader = Reader(source, home, place=source.place, keep_set=keep_set, each=several, clock=clock)
    if Seen(home, source.place).exists():
        return reader
    own = Seen(home, RemoteSource(remote).place)
    if own.exists() and own.load().pins:
        reader.pin(own.load().pins)
    elif keys is not None and keys.exists():
        Roots(remote, keys, home, root=root, clock=clock).settle()
    else:
        raise NoTrust("no root key is pinned on this machine", place=source.place)
    return reader
