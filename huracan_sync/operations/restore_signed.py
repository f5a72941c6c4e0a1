"""What is signed of a folder that is restored, and what of the rest is not put in place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from huracan_sync.errors import HostilePath, HuracanError, Refused
from huracan_sync.manifest.refusals import refused
from huracan_sync.manifest.scope import channel_of, scope_of
from huracan_sync.signing.context import Context
from huracan_sync.transfer.compare import ChangeSet
from huracan_sync.transfer.pair import Pair
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import ancestors, fold, folders_of
from huracan_sync.tree.plan import Plan

if TYPE_CHECKING:
    from huracan_sync.signing.fetch_manifest import SignedFiles


def signed_of(context: Context, pair: Pair, *, everywhere: bool) -> SignedFiles | None:
    """What verified manifests list of the folder; None where this machine trusts nobody, or none lists it.

    Raises:
        Refused: the first reason not to believe what is signed.
    """
    keys = context.keys
    if not (keys.exists() or keys.has_root_pin or (context.home / "trust").is_dir()):
        return None
    from huracan_sync.signing.fetch_manifest import signed_files  # noqa: PLC0415 - cryptography, only where needed

    scope = scope_of(pair.root, pair.remote.root)
    try:
        return signed_files(context, scope, channel_of(pair.root), pair.journal, everywhere=everywhere)
    except Refused as error:
        error.hint = f"{error.hint}; or take what lies in Dropbox, unverified, with --unsigned"
        raise


def is_another_asked(changes: ChangeSet) -> bool:
    """Whether another channel may know better: something is new here that nobody has signed, or is not as signed."""
    return bool(changes.contradicted) or not changes.there.keys() <= changes.signed.keys()


def without_strangers(steps: Plan, changes: ChangeSet, *, active_names: bool) -> Plan:
    """The steps without what nobody has signed and must not be put in place; `changes.refused` tells of it.

    Such are files that a program would act on (whoever may write there could run commands), if they are not asked for,
    and files that are in the way of signed ones.
    """
    unsigned = [step.path for step in steps.copies if not changes.is_signed(fold(step.entry.path), step.entry)]
    if not unsigned:
        return steps
    folders, refusals = folders_of(changes.signed), dict[str, HuracanError]()
    for path in unsigned:
        key = fold(path)
        if key in folders or not changes.signed.keys().isdisjoint(ancestors(key)):
            why = "is not restored: nobody has signed it, and it is in the way of what is signed"
            refusals[path] = refused("CONTRADICTED", f"{path} {why}", path=path)
    if not active_names:
        from huracan_sync.tree.active_names import active  # noqa: PLC0415 - start-up time

        for acted_on in active(unsigned, [entry.path for entry in everything_there(changes)]):
            refusals[acted_on] = HostilePath(
                f"{acted_on} is not restored: programs act on a file of this name, and nobody has signed it",
                hint="look at it in Dropbox; --active-names restores it",
                path=acted_on,
            )
    changes.refused += [refusals[path] for path in sorted(refusals)]
    return msgspec.structs.replace(steps, copies=tuple(step for step in steps.copies if step.path not in refusals))


def everything_there(changes: ChangeSet) -> Iterator[Entry]:
    """What lies in Dropbox, or is to be taken for it."""
    yield from changes.there.values()
    yield from (item.entry for key, item in changes.synced.items() if key not in changes.there)
