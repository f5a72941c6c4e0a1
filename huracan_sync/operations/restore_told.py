"""What a restore says of files that stay as they are."""

from __future__ import annotations

from collections.abc import Sequence

from huracan_sync.transfer.pair import PairPlan, conflict_as_failure
from huracan_sync.transfer.progress import Failure
from huracan_sync.tree.paths import fold
from huracan_sync.tree.plan import Conflict


def kept(plan: PairPlan) -> list[str]:
    """Files that differ here from what is to be restored, and that no step touches: work not pushed yet."""
    changes, touched = plan.changes, set(map(fold, plan.steps.paths()))
    return sorted(
        here.path
        for key, here in changes.here.items()
        if key not in touched
        and (there := changes.there.get(key)) is not None
        and (here.size, here.content_hash) != (there.size, there.content_hash)
    )


def some(paths: Sequence[str], count: int) -> str:
    """The first of so many paths."""
    return ", ".join(map(ascii, paths[:3])) + (", ..." if count > 3 else "")


def as_failure(conflict: Conflict) -> Failure:
    """What a person may do about a conflict."""
    if conflict.source is None:
        hint = "the local file stays; push it, or remove it yourself"
    elif conflict.target is None:
        hint = "move what lies there on this disk away"
    else:
        hint = "the local file stays; push it, or run again with --overwrite to let Dropbox win"
    return conflict_as_failure(conflict, hint, here=conflict.target, there=conflict.source)
