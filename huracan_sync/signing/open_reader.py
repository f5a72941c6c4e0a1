"""Who reads a root folder on this machine."""

from __future__ import annotations

from huracan_sync.errors import NoTrust
from huracan_sync.manifest.scope import Scope, scope_of
from huracan_sync.reader import Reader
from huracan_sync.reader.known_roots import places
from huracan_sync.reader.trust_store import TrustStore
from huracan_sync.remote.parallel import several
from huracan_sync.remote.source import RemoteSource
from huracan_sync.signing.context import Context
from huracan_sync.signing.trust_files import TrustFiles
from huracan_sync.tree.paths import below, fold

__all__ = ["Scope", "pinned_below", "pinned_scope", "pinned_scopes", "reader_at", "scope_of"]


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


def pinned_scope(context: Context, folder: str) -> Scope:
    """Where a remote folder lies: in the profile's root folder or, where that is not pinned, in the nearest that is.

    Raises:
        UsageError: it is the folder of signed things.
    """
    scope = scope_of(folder, context.remote.root)
    if TrustStore(context.home, RemoteSource(context.remote, scope.root).place).exists():
        return scope
    roots = [root for root in _pinned(context) if below(root, folder) is not None]
    return scope_of(folder, max(roots, key=len)) if roots else scope


def pinned_scopes(context: Context, folder: str) -> list[Scope]:
    """Where a remote folder lies in each root folder that is pinned, the nearest last. Raises as `pinned_scope`."""
    first = pinned_scope(context, folder)
    others = [root for root in _pinned(context) if below(root, folder) is not None and root != fold(first.root)]
    return sorted([first, *(scope_of(folder, root) for root in others)], key=lambda scope: scope.root.count("/"))


def pinned_below(context: Context, folder: str) -> list[str]:
    """The root folders inside a remote folder of which this machine knows whom to trust."""
    keys, own = context.keys, context.remote.root
    roots = {fold(root): root for root in _pinned(context)}
    if keys.exists() or keys.root_pin or TrustStore(context.home, RemoteSource(context.remote, own).place).exists():
        roots[fold(own)] = own
    return sorted(root for root in roots.values() if below(folder, root))


def _pinned(context: Context) -> list[str]:
    """The root folders of this account that this machine has pinned, in lower case."""
    account = f"{context.remote.place}:"
    return [place.removeprefix(account) for place in sorted(places(context.home)) if place.startswith(account)]
