"""Who reads a root folder on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from huracan_sync.errors import NoTrust
from huracan_sync.manifest.scope import Scope, scope_of
from huracan_sync.reader import Reader
from huracan_sync.reader.trust_store import TrustStore
from huracan_sync.remote.client import Remote
from huracan_sync.remote.parallel import several
from huracan_sync.remote.source import RemoteSource
from huracan_sync.signing.signing_key import KeyPlace
from huracan_sync.signing.trust_files import Roots

__all__ = ["Scope", "reader_at", "scope_of"]


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
    if TrustStore(home, source.place).exists():
        return reader
    own = TrustStore(home, RemoteSource(remote).place)
    if own.exists() and own.load().pins:
        reader.pin(own.load().pins)
    elif keys is not None and keys.exists():
        Roots(remote, keys, home, root=root, clock=clock).settle()
    else:
        raise NoTrust("no root key is pinned on this machine", place=source.place)
    return reader
