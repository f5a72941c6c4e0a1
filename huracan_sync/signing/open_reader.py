"""Who reads a root folder on this machine."""

from __future__ import annotations

from huracan_sync.errors import NoTrust
from huracan_sync.manifest.scope import Scope, scope_of
from huracan_sync.reader import Reader
from huracan_sync.reader.trust_store import TrustStore
from huracan_sync.remote.parallel import several
from huracan_sync.remote.source import RemoteSource
from huracan_sync.signing.context import Context
from huracan_sync.signing.trust_files import TrustFiles

__all__ = ["Scope", "reader_at", "scope_of"]


def reader_at(
    context: Context,
    root: str,
    *,
    keep_set: int = 0,
) -> Reader:
    """Who reads a root folder on this machine.

    Whom he trusts: what a person pinned for this root; else the pin that the environment delivers; else what this
    machine's own key has signed.

    Args:
        context: the login, the state folder, the key and the clock.
        root: the root folder.
        keep_set: bytes up to which all files of a snapshot are fetched; by default only what is asked for is.
    """
    remote, home = context.remote, context.home
    source = RemoteSource(remote, root)
    reader = Reader(source, home, place=source.place, keep_set=keep_set, each=several, clock=context.clock)
    if TrustStore(home, source.place).exists():
        return reader
    if context.keys.root_pin is not None:
        reader.pin(str(context.keys.root_pin))
    elif context.keys.exists():
        TrustFiles(context, root).ensure_pinned(send=False)
    else:
        raise NoTrust("no root key is pinned on this machine", place=source.place)
    return reader
