"""Why each file of a pair moves or stays, one line a file, told to the standard `logging` at level DEBUG.

The logger is called `huracan_sync.decisions`; files that are as they were synced go to its child `unchanged`, so that
who wants to know what happened need not read about a hundred thousand files to which nothing did. Nothing is worked out
unless somebody listens.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from huracan_sync.transfer.compare import ChangeSet
from huracan_sync.transfer.progress import DECISIONS, UNCHANGED
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import fold
from huracan_sync.tree.plan import Plan

log = logging.getLogger(DECISIONS)
log_unchanged = logging.getLogger(UNCHANGED)


class Direction(Enum):
    """Which way a pair is copied: the verb, the leading side, the following one."""

    PUSH = ("send", "here", "in Dropbox")
    RESTORE = ("fetch", "in Dropbox", "here")


class Decision(NamedTuple):
    """What becomes of one file, and why."""

    path: str
    what: str
    why: str

    def __str__(self) -> str:
        """One line, whatever the path holds."""
        return f"{self.what:<8} {ascii(self.path)[1:-1]}: {self.why}"


def log_decisions(changes: ChangeSet, steps: Plan, direction: Direction, *, wanted: object = None) -> None:
    """Tell the log about every file.

    Args:
        changes: both sides, where they differ.
        steps: what would be done.
        direction: which way.
        wanted: what decided which files take part; its `left_out` names those of both sides that do not.
    """
    if log.isEnabledFor(logging.DEBUG):
        declined = {*changes.declined, *getattr(wanted, "left_out", ())}
        out = [Decision(path, "filter", "left out by a filter, or because no kind takes it") for path in declined]
        for decision in sorted([*_decided(changes, steps, direction), *out]):
            log.debug("%s", decision)
    if log_unchanged.isEnabledFor(logging.DEBUG):
        for decision in sorted(_unchanged(changes, steps)):
            log_unchanged.debug("%s", decision)


def _decided(changes: ChangeSet, steps: Plan, direction: Direction) -> Iterator[Decision]:
    """Everything that moves, or that a person may have expected to move."""
    verb, leads, follows = direction.value
    for copy in steps.copies:
        yield Decision(copy.path, verb, _why_copied(copy.replaces, changes.base.get(fold(copy.path)), leads, follows))
    for delete in steps.deletes:
        yield Decision(delete.path, "delete", f"gone {leads}, and {follows} as it was synced")
    for conflict in steps.conflicts:
        yield Decision(conflict.path, "conflict", conflict.why)
    for problem in changes.problems:
        yield Decision(problem.path, "problem", str(problem.error).removeprefix(f"{problem.path}: "))
    for refused in changes.refused:
        yield Decision(str(refused.facts.get("path", "")), "problem", str(refused))
    for path, why in changes.left_out.items():
        yield Decision(path, "leave", why)
    yield from _left(changes, steps, direction)


def _left(changes: ChangeSet, steps: Plan, direction: Direction) -> Iterator[Decision]:
    """What only the following side has, or has otherwise, and keeps."""
    _, leads, follows = direction.value
    source, target = (changes.here, changes.there) if direction is Direction.PUSH else (changes.there, changes.here)
    planned = {fold(path) for path in steps.paths()} | changes.unclear
    for key, entry in target.items():
        if key in planned:
            continue
        if key in source:
            yield Decision(entry.path, "leave", f"changed {follows} since the last sync, and not {leads}")
        elif key in changes.base:
            yield Decision(entry.path, "leave", f"gone {leads}, and kept {follows} (see --delete)")
        else:
            yield Decision(entry.path, "leave", f"only {follows}")


def _why_copied(replaces: Entry | None, base: Entry | None, leads: str, follows: str) -> str:
    if replaces is not None:
        is_known = base is not None and base.content_hash == replaces.content_hash
        return f"changed {leads} since the last sync" if is_known else f"differs {follows}, and is to be replaced"
    return f"new {leads}" if base is None else f"gone {follows}, and still {leads}"


def _unchanged(changes: ChangeSet, steps: Plan) -> Iterator[Decision]:
    for step in steps.agreements:
        yield Decision(step.path, "same", "the same content on both sides" if step.entry else "gone on both sides")
    for key, item in changes.synced.items():
        if key not in changes.here and key not in changes.there and key not in changes.base:
            yield Decision(item.entry.path, "same", "as it was synced, on both sides")
