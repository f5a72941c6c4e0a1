"""What nobody has signed of a folder that is restored, and which of it is not put in place."""

from __future__ import annotations

import msgspec

from huracan_sync.errors import HostilePath, HuracanError
from huracan_sync.manifest.refusals import refused
from huracan_sync.transfer.compare import ChangeSet
from huracan_sync.tree.active_names import active
from huracan_sync.tree.filters import IGNORE_FILE
from huracan_sync.tree.paths import ancestors, fold, folders_of
from huracan_sync.tree.plan import Plan


def without_strangers(steps: Plan, changes: ChangeSet, *, active_names: bool) -> Plan:
    """The steps without what nobody has signed and must not be put in place; `changes.refused` tells of it.

    These are: files that a program acts on by itself, if they are not asked for (anybody who may write there could run
    commands); in a signed folder also the files that our own push obeys; and files that are in the way of signed ones.
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
        obeyed = {path for path in unsigned if changes.signed and fold(path).rpartition("/")[2] == IGNORE_FILE}
        for acted_on in obeyed | active(unsigned, [entry.path for entry in changes.everything_there()]):
            refusals[acted_on] = HostilePath(
                f"{acted_on} is not restored: programs act on a file of this name, and nobody has signed it",
                hint="look at it in Dropbox; --active-names restores it",
                path=acted_on,
            )
    changes.refused += [refusals[path] for path in sorted(refusals)]
    return msgspec.structs.replace(steps, copies=tuple(step for step in steps.copies if step.path not in refusals))
