"""What is signed of a folder that is restored."""

from __future__ import annotations

import msgspec

from huracan_sync.errors import Refused
from huracan_sync.manifest.scope import Scope, channel_of
from huracan_sync.remote.stat import metadata
from huracan_sync.signing.context import Context
from huracan_sync.signing.fetch_manifest import SignedFiles, signed_files
from huracan_sync.signing.open_reader import pinned_below, pinned_scopes
from huracan_sync.transfer.pair import Pair
from huracan_sync.tree.paths import below, fold


def signed_of(context: Context, pair: Pair, *, everywhere: bool) -> SignedFiles | None:
    """What verified manifests list of the folder; None where no root is pinned here, or none lists it.

    Of several root folders that it lies in, or that lie in it, the nearest to a file counts.

    Raises:
        Refused: the first reason not to believe what is signed.
        StateMissing: what was seen of one of them is lost.
    """
    signed: SignedFiles | None = None
    try:
        scopes = pinned_scopes(context, pair.root)
        for scope in scopes:
            nearer = signed_files(context, scope, channel_of(pair.root), pair.journal, everywhere=everywhere)
            signed = _with(signed, nearer, "") if signed else nearer
        for root in pinned_below(context, pair.root):
            if fold(root) not in {fold(scope.root) for scope in scopes}:
                inside = signed_files(context, Scope(root, ""), channel_of(root), pair.journal, everywhere=True)
                signed = _with(signed, inside, _spelled(context, pair.root, root))
    except Refused as error:
        error.hint = f"{error.hint}; or take what lies in Dropbox, unverified, with --unsigned"
        raise
    return signed


def _with(signed: SignedFiles | None, inside: SignedFiles | None, folder: str) -> SignedFiles | None:
    """What is signed of a folder, and of what lies in another root folder, which counts there.

    Args:
        signed: what is signed of the folder.
        inside: what the other root folder's channels list.
        folder: where that lies in the folder; empty where it is the folder itself, in a nearer root folder.
    """
    if inside is None:
        return signed
    items = {fold(item.path): item for item in signed.items} if signed else {}
    for item in inside.items:
        path = f"{folder}/{item.path}" if folder else item.path
        items[fold(path)] = msgspec.structs.replace(item, path=path)
    channels = [*(signed.channels if signed else []), *inside.channels]
    in_order = sorted(items.values(), key=lambda item: item.path)
    sequence = inside.sequence if not folder else signed.sequence if signed else 0
    from_all = (signed is None or signed.from_all) and (bool(folder) or inside.from_all)
    return SignedFiles(in_order, list(dict.fromkeys(channels)), sequence, from_all)


def _spelled(context: Context, folder: str, root: str) -> str:
    """A root folder relative to one it lies in, as Dropbox shows it."""
    found = metadata(context.remote, root)
    return below(folder, found.path_display if found else root) or below(folder, root) or ""
