"""One list out of what is signed already and what has changed here. Pure.

A channel has one writer as a rule, and then the list is simply his. Where several write, nobody drops what he does not
know: the next list is the signed one, with what has changed here since this machine's own last list. Where both have
changed one file, Dropbox itself says whose is newer: each of them replaced exactly the revision he had seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from huracan_sync.manifest.entries import Item
from huracan_sync.tree.paths import fold


class OwnHead(Protocol):
    """A head that this machine signed, as the journal remembers it."""

    @property
    def digest(self) -> bytes:
        """SHA-256 of its payload."""

    @property
    def changes(self) -> int:
        """The pair's count of changes when its files were listed."""

    @property
    def shared(self) -> bool:
        """Whether its manifest lists more than this machine's files."""


class Change(NamedTuple):
    """What this machine states."""

    mine: Sequence[Item]
    """Every file that it holds alike with Dropbox."""
    changed: frozenset[str] | None
    """Of these the folded paths that are new or other than in its last list. None: all."""
    gone: Mapping[str, str]
    """Folded paths that are no part of its list any more, and with each the revision that was. What somebody has put
    there since stays in the list."""
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


def change_of(
    items: Sequence[Item],
    counts: Mapping[str, int],
    gone: Mapping[str, str],
    *,
    last: OwnHead | None,
    following: OwnHead | None,
    strict: bool = False,
    anew: bool = False,
) -> Change:
    """What this machine states.

    Args:
        items: every file that it holds alike with Dropbox.
        counts: by their folded paths, the count of changes at which each became what it is.
        gone: as in `Change`.
        last: the head that it signed last.
        following: one that was about to take its place when the last run ended. Nobody knows whether it did.
        strict: as in `Change`.
        anew: also what others have put in the place of this machine's is replaced.
    """
    changed = frozenset(key for key, count in counts.items() if count > last.changes) if last and not anew else None
    own = frozenset(each.digest for each in (last, following) if each and not each.shared)
    return Change(items, changed, gone, own, strict=strict)


def doubtful(theirs: Sequence[Item], change: Change) -> list[str]:
    """Paths that are signed otherwise than this machine would now, or not at all: it must be asked which is newer."""
    signed = {fold(item.path): item for item in theirs}
    asked = []
    for item in change.mine:
        key = fold(item.path)
        if change.has_changed(key) and (key not in signed or not _same(signed[key], item)):
            asked.append(item.path)
    asked += [signed[key].path for key, rev in change.gone.items() if key in signed and signed[key].rev != rev]
    return asked


def merge(theirs: Sequence[Item], change: Change, current: Mapping[str, str | None]) -> Merged:
    """The next list.

    Args:
        theirs: what is signed.
        change: what this machine states.
        current: the revision that lies in Dropbox at each doubtful path; None where nothing does.
    """
    lists = {fold(item.path): item for item in theirs if not _is_gone(item, change, current)}
    mine: set[str] = set()
    superseded = []
    for item in change.mine:
        key = fold(item.path)
        if key not in lists or not _same(lists[key], item):
            if not change.has_changed(key):
                continue  # somebody else has changed it since, or taken it out
            if current.get(item.path) != item.rev:
                superseded.append(item.path)
                continue
        mine.add(key)
        lists[key] = item
    return Merged(list(lists.values()), superseded, shared=len(mine) < max(len(lists), len(change.mine)))


def _is_gone(item: Item, change: Change, current: Mapping[str, str | None]) -> bool:
    """Whether what is signed is what this machine has taken out, or something older."""
    rev = change.gone.get(fold(item.path))
    return rev is not None and (item.rev == rev or current.get(item.path, item.rev) in {None, rev})


def _same(one: Item, other: Item) -> bool:
    return one.content_hash == other.content_hash and one.rev == other.rev
