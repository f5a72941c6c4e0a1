"""The reader of a root folder on this machine, and which root folder that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from huracan_sync.errors import NotFound, NoTrust
from huracan_sync.manifest.scope import Scope, scope_of
from huracan_sync.reader import Reader
from huracan_sync.reader.known_roots import places
from huracan_sync.reader.trust_store import TrustStore
from huracan_sync.remote.parallel import several
from huracan_sync.remote.source import RemoteSource
from huracan_sync.signing.context import Context
from huracan_sync.signing.trust_files import TrustFiles
from huracan_sync.tree.paths import below, fold

__all__ = ["Scope", "in_nearest", "pinned_below", "pinned_scopes", "reader_at", "readers", "scope_of"]

T = TypeVar("T")


def reader_at(
    context: Context,
    root: str,
    *,
    keep_set: int = 0,
) -> Reader:
    """The reader of a root folder on this machine.

    Whom it trusts: what a person pinned for this root; else the pin that the environment delivers; else what this
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


def pinned_scopes(context: Context, folder: str) -> list[Scope]:
    """Where a remote folder lies in each root folder that this machine can verify, the nearest last.

    The profile's is among them where it is pinned, where this machine has a pin or a key for it, or as the only one.

    Raises:
        UsageError: it is the folder of signed things.
    """
    own = scope_of(folder, context.remote.root)
    pinned = {root: root for root in _pinned(context) if below(root, folder) is not None}
    is_ours = below(context.remote.root, folder) is not None and (context.keys.exists() or context.keys.has_root_pin)
    if is_ours or not pinned or fold(own.root) in pinned:
        pinned[fold(own.root)] = own.root
    return sorted((scope_of(folder, root) for root in pinned.values()), key=lambda scope: scope.root.count("/"))


def in_nearest(context: Context, folder: str, ask: Callable[[Scope, Reader], T]) -> T:
    """What the nearest pinned root folder says of a remote folder; the next one where the channel was never there.

    Args:
        context: the login and this machine's state.
        folder: the remote folder.
        ask: asks one of them, and raises `NotFound` where nothing was ever published there.

    Raises:
        UsageError: it is the folder of signed things.
        NotFound: no pinned root folder knows of it, what the nearest said; or a trust file is missing, which anybody
            with a token can delete: that is no reason to look farther.
        NoTrust: nobody says whom to trust.
    """
    unknown: NotFound | None = None
    for scope, reader in readers(context, folder):
        try:
            return ask(scope, reader)
        except NotFound as error:
            unknown = unknown or error
    raise unknown or NotFound(f"nothing is signed of {folder}", path=folder)


def readers(context: Context, folder: str) -> Iterator[tuple[Scope, Reader]]:
    """The readers of the root folders that a remote folder lies in, the nearest first. Raises as `in_nearest`."""
    untrusted: NoTrust | None = None
    count = 0
    for scope in reversed(pinned_scopes(context, folder)):
        try:
            reader = reader_at(context, scope.root)
        except NoTrust as error:
            untrusted = error
            continue
        count += 1
        yield scope, reader
    if untrusted is not None and not count:
        raise untrusted


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
