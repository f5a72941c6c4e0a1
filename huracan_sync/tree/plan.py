"""What has to happen so that a target tree follows a source tree. Pure: trees in, a printable plan out.

The laws, for every file of `base` (what both sides held at the last sync), `source` and `target`:

    source and target equal                 nothing moves; base learns it
    only the source changed                 copy
    target changed, source did not          conflict: somebody else wrote there (or leave it: `target_may_lead`)
    both changed, differently               conflict
    both exist, differ, no base             conflict: nobody knows which came first
    gone from the source, target unchanged  delete if asked to, else leave it
    gone from the source, target changed    conflict if asked to delete, else leave it
    only the target ever had it             leave it; it is not ours
    the target lost it                      copy again: nothing is lost by that

Nothing is ever deleted that was not synced before, and then only while the target still holds what was synced.
Conflicts and guards are results, not exceptions: the caller decides. A push has the disk as its source and Dropbox as
its target; a restore the other way round. Only files that differ somewhere need to be given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from enum import Enum
from typing import NamedTuple

import msgspec

from huracan_sync.tree.entry import Entry, Tree
from huracan_sync.tree.paths import RelPath, ancestors, folders_of
from huracan_sync.tree.units import size_in_words


class Copy(msgspec.Struct, frozen=True, tag="copy"):
    """Bring `entry` to the target, where `replaces` lies now (None: nothing)."""

    entry: Entry
    replaces: Entry | None = None

    @property
    def path(self) -> RelPath:
        """Where."""
        return self.entry.path


class Delete(msgspec.Struct, frozen=True, tag="delete"):
    """Remove `entry` from the target, which still holds exactly this."""

    entry: Entry

    @property
    def path(self) -> RelPath:
        """Where."""
        return self.entry.path


class Agree(msgspec.Struct, frozen=True, tag="agree"):
    """Source and target hold the same content; the next base is `entry`, or nothing when both lost it."""

    path: RelPath
    entry: Entry | None
    """The target's description."""


class ConflictKind(Enum):
    """Why a step is a conflict."""

    UNKNOWN = "unknown"
    """Both sides differ, and no earlier sync says which is newer."""
    CHANGED_THERE = "changed_there"
    """Only the target changed."""
    CHANGED_BOTH = "changed_both"
    DELETED_HERE = "deleted_here"
    """Deleted at the source, changed at the target."""
    BLOCKED = "blocked"
    """A folder lies where the file must go, or a file where its folder must be."""


class Conflict(msgspec.Struct, frozen=True, tag="conflict"):
    """Not done, because something would be lost. `why` is a sentence; the entries are what lies where."""

    path: RelPath
    kind: ConflictKind
    why: str
    source: Entry | None = None
    target: Entry | None = None


class Places(NamedTuple):
    """Where the two sides are, in words that follow a verb: "in Dropbox", "on this disk"."""

    source: str
    target: str


class Plan(msgspec.Struct, frozen=True):
    """Sorted by path. `copies` and `deletes` move bytes; `agreements` only teach the journal."""

    copies: tuple[Copy, ...] = ()
    deletes: tuple[Delete, ...] = ()
    agreements: tuple[Agree, ...] = ()
    conflicts: tuple[Conflict, ...] = ()

    @property
    def bytes_to_copy(self) -> int:
        """How many bytes the copies hold."""
        return sum(step.entry.size for step in self.copies)

    @property
    def is_empty(self) -> bool:
        """Whether source and target agree already."""
        return not (self.copies or self.deletes or self.conflicts)

    def paths(self) -> Iterator[RelPath]:
        """Every path the plan says something about."""
        for steps in (self.copies, self.deletes, self.agreements, self.conflicts):
            yield from (step.path for step in steps)

    def lines(self, renamed: Mapping[str, str] | None = None) -> Iterator[str]:
        """The plan for a person, one line a step, in the order of paths; `renamed` says of some copies from where.

        A file whose old name stays at the target is copied there, not renamed.
        """
        renamed, gone = renamed or {}, {step.path for step in self.deletes}
        sent = [step for step in self.copies if step.path not in renamed]
        marked = [
            *((step.path, f"copy      {step.path}  {size_in_words(step.entry.size)}") for step in sent),
            *(
                (path, f"{'rename' if old in gone else 'copy  '}    {path}, from {old}")
                for path, old in renamed.items()
            ),
            *((step.path, f"delete    {step.path}") for step in self.deletes),
            *((step.path, f"conflict  {step.path}: {step.why}") for step in self.conflicts),
        ]
        return (line for _, line in sorted(marked))


def plan(
    base: Tree,
    source: Tree,
    target: Tree,
    *,
    delete: bool = False,
    overwrite: bool = False,
    target_may_lead: bool = False,
    unclear: Collection[str] = (),
    places: Places = Places("at the source", "at the target"),  # noqa: B008 - never changed
) -> Plan:
    """Decide what brings `target` to `source`.

    Args:
        base: what both held at the last sync.
        source: the side that leads.
        target: the side that follows.
        delete: remove from the target what the source lost.
        overwrite: let the source win where the target holds other content (Dropbox keeps the old revision).
        target_may_lead: what changed only at the target is left as it is, without a word: a restore does not
            complain of work that was not pushed yet.
        unclear: folded paths of files and folders whose state at the source could not be read. What is unclear is
            left as it is: an unreadable folder is not an empty one.
        places: where both sides are, in words.
    """
    decided: list[Copy | Delete | Agree | Conflict] = []
    fuzzy = frozenset(unclear)
    keys = base.keys() | source.keys() | target.keys()
    blocked = _Ways({key for key in target if key not in source}, places)
    for key in keys:
        if fuzzy and (key in fuzzy or not fuzzy.isdisjoint(ancestors(key))):
            continue
        trees = base.get(key), source.get(key), target.get(key)
        if target_may_lead and not overwrite and trees[2] is not None and _same(trees[0], trees[1]):
            continue
        step = _decide(*trees, places, delete=delete, overwrite=overwrite)
        if isinstance(step, Copy) and (in_the_way := blocked.by(key)):
            step = Conflict(step.path, ConflictKind.BLOCKED, in_the_way, step.entry, step.replaces)
        if step is not None:
            decided.append(step)
    decided.sort(key=lambda step: step.path)
    return Plan(
        tuple(step for step in decided if isinstance(step, Copy)),
        tuple(step for step in decided if isinstance(step, Delete)),
        tuple(step for step in decided if isinstance(step, Agree)),
        tuple(step for step in decided if isinstance(step, Conflict)),
    )


_NO_BASE = "both sides have it, with different content, and no earlier sync says which is newer"


def _decide(
    base: Entry | None, source: Entry | None, target: Entry | None, places: Places, *, delete: bool, overwrite: bool
) -> Copy | Delete | Agree | Conflict | None:
    if source is None:
        return _decide_without_source(base, target, places, delete=delete)
    if _same(source, target):
        return None if base is not None and _same(base, target) and base == target else Agree(source.path, target)
    if target is None or overwrite or _same(base, target):
        return Copy(source, target)
    if base is None:
        kind, why = ConflictKind.UNKNOWN, _NO_BASE
    elif _same(base, source):
        kind, why = ConflictKind.CHANGED_THERE, f"it was changed {places.target} by somebody else"
    else:
        kind, why = ConflictKind.CHANGED_BOTH, "it was changed on both sides since the last sync"
    return Conflict(source.path, kind, why, source, target)


def _decide_without_source(
    base: Entry | None, target: Entry | None, places: Places, *, delete: bool
) -> Delete | Agree | Conflict | None:
    if base is None:
        return None  # only the target ever had it
    if target is None:
        return Agree(base.path, None)
    if not delete:
        return None
    if _same(base, target):
        return Delete(target)
    why = f"it was deleted {places.source} and changed {places.target}"
    return Conflict(target.path, ConflictKind.DELETED_HERE, why, None, target)


def _same(one: Entry | None, other: Entry | None) -> bool:
    return one is not None and other is not None and one.content_hash == other.content_hash and one.size == other.size


class _Ways:
    """What at the target stands in the way of a file: a file where it needs a folder, or a folder where it goes."""

    def __init__(self, remaining: set[str], places: Places) -> None:
        self._where = places.target
        self._files = remaining
        self._folders = folders_of(remaining)

    def by(self, key: str) -> str:
        if key in self._folders:
            return f"{self._where} lies a folder of this name"
        for ancestor in ancestors(key):
            if ancestor in self._files:
                return f"{self._where} lies a file where the folder {ancestor!r} must be"
        return ""


MANY = 10
"""Fewer synced files may all be replaced by others: a folder that holds today's reports is renewed whole every day."""


def empties_the_tree(planned: Plan, *, base_count: int, source_is_empty: bool) -> bool:
    """Guard: of what was synced the source has nothing left. More likely a lost or another disk."""
    return bool(planned.deletes) and (source_is_empty or len(planned.deletes) >= max(base_count, MANY))
