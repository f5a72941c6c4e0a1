"""One list out of what is signed already and what has changed here. Pure.

A channel has one writer as a rule, and then the list is simply his. Where several write, nobody drops what he does not
know: the next list is the signed one, with what has changed here since this machine's own last list. Where both have
changed one file, Dropbox itself says whose is newer: each of them replaced exactly the revision he had seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from huracan_sync.paths import fold
from huracan_sync.signed.entries import Item


class Change(NamedTuple):
    """What this machine states."""

    mine: Sequence[Item]
    """Every file that it holds alike with Dropbox."""
    changed: frozenset[str] | None
    """Of these the folded paths that are new or other than in its last list. None: all."""
    gone: frozenset[str]
    """Folded paths of its last list that neither side has any more."""
    last: frozenset[bytes] = frozenset()
    """The digests of heads of this machine that name its own list and nothing else: no other list need be read."""
    strict: bool = False
    """Whether a file of a kind that the channel does not allow refuses the whole; else it is left out."""

    def has_changed(self, key: str) -> bool:
        """Whether the file of that folded path is new or other than in the last list."""
        return self.changed is None or key in self.changed


class Merged(NamedTuple):
    """The next list."""

    items: list[Item]
    superseded: list[str]
    """Paths that somebody else has changed after this machine; theirs are in the list."""
    shared: bool
    """Whether it is another list than this machine's alone."""


def doubtful(theirs: Sequence[Item], change: Change) -> list[str]:
    """Paths that are signed otherwise than this machine would now: it must be asked which is newer."""
    signed = {fold(item.path): item for item in theirs}
    mine = (item for item in change.mine if change.has_changed(fold(item.path)))
    return [item.path for item in mine if not _same(signed.get(fold(item.path), item), item)]


def merge(theirs: Sequence[Item], change: Change, current: Mapping[str, str | None]) -> Merged:
    """The next list.

    Args:
        theirs: what is signed.
        change: what this machine states.
        current: the revision that lies in Dropbox at each doubtful path; None where nothing does.
    """
    lists = {fold(item.path): item for item in theirs if fold(item.path) not in change.gone}
    mine: set[str] = set()
    superseded = []
    for item in change.mine:
        key = fold(item.path)
        signed = lists.get(key)
        if signed is None:
            if not change.has_changed(key):
                continue  # somebody else took it out
        elif not _same(signed, item) and (not change.has_changed(key) or current.get(item.path) != item.rev):
            if change.has_changed(key):
                superseded.append(item.path)
            continue
        mine.add(key)
        lists[key] = item
    return Merged(list(lists.values()), superseded, shared=len(mine) < max(len(lists), len(change.mine)))


def _same(one: Item, other: Item) -> bool:
    return one.content_hash == other.content_hash and one.rev == other.rev
