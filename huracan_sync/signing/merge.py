"""One manifest out of the signed one and what has changed on this machine. Pure.

A channel has one writer as a rule, and then the manifest is simply theirs. Where several write, nobody drops what they
do not know: the next manifest is the signed one with what has changed here since this machine's own last one.

Anybody with a token may write to Dropbox, so what merely lies at a path never takes out what this machine made. An
entry that is still as in this machine's own last manifest was changed by no other publisher: ours replaces it, whatever
lies there, and keeps its revision, by which readers fetch it. Only where another publisher has signed something else
since then does Dropbox tell whose is newer: each of them replaced exactly the revision they had seen.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from huracan_sync.errors import Conflict
from huracan_sync.manifest.entries import Item
from huracan_sync.manifest.refusals import refused
from huracan_sync.tree.parquet_dataset import SUMMARY, is_part
from huracan_sync.tree.paths import fold

NAMED = 3
"""How many paths an error names."""
LOOKED_FOR = 20
"""How many files of others, that do not lie where they did, one act looks for."""


class OwnHead(Protocol):
    """A head that this machine signed, as the journal remembers it."""

    @property
    def digest(self) -> bytes:
        """SHA-256 of its payload."""

    @property
    def epoch(self) -> int:
        """The epoch of its channel."""

    @property
    def changes(self) -> int:
        """The pair's count of changes when its files were listed."""

    @property
    def shared(self) -> bool:
        """Whether its manifest lists more than this machine's files."""


def _unknown() -> None:
    return None


class Change(NamedTuple):
    """What this machine wants signed."""

    mine: Collection[Item]
    """Every file that it holds alike with Dropbox and may sign. What is no list is in the order of the paths."""
    changed: frozenset[str] | None
    """Of these the folded paths that are new or other than in its last manifest. None: all."""
    gone: Mapping[str, str]
    """Folded paths that are no part of its manifest any more, and with each the revision that was."""
    last: frozenset[bytes] = frozenset()
    """The digests of heads of this machine that list its own files and nothing else: those need not be read."""
    strict: bool = False
    """Whether all or nothing is signed: a refused kind, a superseded or an unsigned file stops the whole."""
    unsigned: Mapping[str, bytes] = {}
    """Content hashes, by folded path, of files that it holds alike with Dropbox and may not sign."""
    before: Callable[[], Mapping[str, Item] | None] = _unknown
    """What its own last manifest listed at the paths that changed, folded; None where that is not known any more."""
    epoch: int | None = None
    """The epoch of its own last manifest; None where it has made none."""

    def has_changed(self, key: str) -> bool:
        """Whether the file of that folded path is new or other than in the last manifest."""
        return self.changed is None or key in self.changed

    def within(self, epoch: int) -> Change:
        """The same change where the channel may have begun a new epoch: then no manifest lists anything yet.

        That a file is missing from the new list does not say that its publisher, or anybody, has taken it out.
        """
        return self if self.epoch in {None, epoch} else self._replace(changed=None, before=_unknown)

    def knowing(
        self, unsigned: Mapping[str, bytes], before: Callable[[Collection[str] | None], Sequence[Item] | None]
    ) -> Change:
        """The same change with what it must not sign, and what this machine's last manifest listed, asked when needed.

        What an unsigned file has replaced on this disk may be listed still, so the signed manifest is read then.

        Args:
            unsigned: as in `Change`.
            before: gives what the last manifest listed at these folded paths, or with None all of it. It may list a
                million files of which few have changed.
        """

        @functools.cache
        def known() -> Mapping[str, Item] | None:
            items = before(None if self.changed is None else self.changed | self.gone.keys())
            return None if items is None else {fold(item.path): item for item in items}

        return self._replace(unsigned=unsigned, before=known, last=frozenset() if unsigned else self.last)

    def is_as_before(self, key: str, signed: Item | None) -> bool:
        """Whether nobody else has signed anything for that path since this machine's last manifest."""
        before = self.before()
        if before is None:
            return False
        known = before.get(key)
        return known is signed if known is None or signed is None else _same(known, signed)


class Merged(NamedTuple):
    """The next manifest."""

    items: Collection[Item]
    superseded: list[str]
    """Paths that another publisher has changed after this machine; theirs are listed."""
    shared: bool
    """Whether it lists other files than this machine's alone."""
    proved: frozenset[str] = frozenset()
    """Folded paths of unsigned files whose very content it lists: another publisher has signed them."""


def change_of(
    items: Collection[Item],
    counts: Mapping[str, int],
    gone: Mapping[str, str],
    *,
    last: OwnHead | None,
    following: OwnHead | None,
    strict: bool = False,
    overwrite: bool = False,
) -> Change:
    """What this machine wants signed.

    Args:
        items: every file that it holds alike with Dropbox and may sign.
        counts: by their folded paths, the count of changes at which each became what it is; what became so before
            the last head may be left out.
        gone: as in `Change`.
        last: the head that it signed last.
        following: one that was about to take its place when the last run ended. Nobody knows whether it did.
        strict: as in `Change`.
        overwrite: also what others have put in the place of this machine's is replaced.
    """
    changed = (
        frozenset(key for key, count in counts.items() if count > last.changes) if last and not overwrite else None
    )
    own = frozenset(each.digest for each in (last, following) if each and not each.shared)
    return Change(items, changed, gone, own, strict, epoch=last.epoch if last else None)


def alone(change: Change) -> Merged:
    """The next manifest where nobody else has signed anything."""
    return Merged(change.mine, [], shared=False)


def doubtful(theirs: Sequence[Item], change: Change) -> list[str]:
    """Paths that another publisher may have changed since: which revision lies there tells who was later."""
    signed = {fold(item.path): item for item in theirs}
    asked = []
    for item in change.mine:
        key = fold(item.path)
        there = signed.get(key)
        is_other = there is None or not _same(there, item)
        if is_other and change.has_changed(key) and not change.is_as_before(key, there):
            asked.append(item.path)
    for key, rev in change.gone.items():
        if key in signed and signed[key].rev != rev and not change.is_as_before(key, signed[key]):
            asked.append(signed[key].path)
    return asked


def merge(theirs: Sequence[Item], change: Change, current: Mapping[str, str | None]) -> Merged:
    """The next manifest.

    Args:
        theirs: what is signed.
        change: what this machine wants signed.
        current: the revision that lies in Dropbox at each doubtful path; None where nothing does.
    """
    listed = {fold(item.path): item for item in theirs}
    items = {key: item for key, item in listed.items() if not _is_gone(key, item, change, current)}
    mine = 0
    superseded = []
    for item in change.mine:
        key = fold(item.path)
        signed = listed.get(key)
        if signed is None or not _same(signed, item):
            if not change.has_changed(key):
                continue  # another publisher has changed it since, or taken it out
            if not change.is_as_before(key, signed) and current.get(item.path) != item.rev:
                superseded.append(item.path)
                continue
        before = items.get(key)
        mine += before is None or before is signed
        items[key] = item
    for key in _outdated(listed, items):
        mine -= items.pop(key) is not listed[key]
    shared = mine < max(len(items), len(change.mine))
    proved = frozenset(
        key for key, digest in change.unsigned.items() if key in items and items[key].content_hash == digest
    )
    return Merged(list(items.values()), superseded, shared, proved)


def elsewhere(theirs: Sequence[Item], merged: Merged, current: Mapping[str, str | None]) -> tuple[Item, ...]:
    """What the next manifest lists of theirs at doubtful paths though it does not lie there: by revision alone.

    Args:
        theirs: what is signed.
        merged: the next manifest.
        current: as in `merge`.
    """
    if not current:
        return ()
    asked = {fold(path): rev for path, rev in current.items()}
    kept = {key: item for item in merged.items if (key := fold(item.path)) in asked}
    return tuple(
        item for item in theirs if kept.get(key := fold(item.path)) is item and key in asked and asked[key] != item.rev
    )


def displaced(
    theirs: Sequence[Item],
    merged: Merged,
    lying: Callable[[Collection[str]], Mapping[str, str]],
    folder: str,
    turn: int,
) -> tuple[Item, ...]:
    """What the next manifest restates of theirs though, as this machine last saw the folder, it does not lie there.

    They are to be had by their revisions as long as Dropbox keeps those. Not more than `LOOKED_FOR` of them: which
    ones goes on with each turn, so that all have theirs.

    Args:
        theirs: what is signed.
        merged: the next manifest.
        lying: gives the revisions that lie at folded paths; not asked where nothing of theirs is restated.
        folder: the folder, relative to the root; empty for the root itself.
        turn: counts the acts.
    """
    kept, inside = {id(item) for item in merged.items}, f"{fold(folder)}/" if folder else ""
    restated = [item for item in theirs if id(item) in kept and fold(item.path).startswith(inside)]
    revs = lying({fold(item.path) for item in restated}) if restated else {}
    away = [item for item in restated if revs.get(fold(item.path)) != item.rev]
    first = turn * LOOKED_FOR % len(away) if len(away) > LOOKED_FOR else 0
    return tuple((away[first:] + away[:first])[:LOOKED_FOR])


def check_to_be_had(lost: Sequence[str]) -> None:
    """Nothing is signed that no reader could fetch.

    Raises:
        Refused: `CONTRADICTED`, somebody else's file can be had neither at its path nor by its revision.
    """
    if lost:
        raise refused(
            "CONTRADICTED",
            f"{_named(lost)} published by somebody else and cannot be had any more; nothing was signed",
            hint="push it again where it still is; or put another in its place and push with --overwrite",
            paths=tuple(lost),
        )


def check_strict(change: Change, merged: Merged, *, signed_by: str) -> None:
    """A strict change takes effect whole or not at all.

    Raises:
        Conflict: `SUPERSEDED`, another publisher has changed one of its files since.
        Refused: `UNSIGNED_CONTENT`, nobody has signed the content of one of its files, and nobody vouches for it.
    """
    if merged.superseded:
        raise Conflict(
            f"{_named(merged.superseded)} published by {signed_by or 'another publisher'} since; nothing was signed",
            code="SUPERSEDED",
            hint="look at both; with --overwrite the local file wins",
            paths=tuple(merged.superseded),
        )
    if unsigned := sorted(change.unsigned.keys() - merged.proved):
        raise refused(
            "UNSIGNED_CONTENT",
            f"{_named(unsigned)} not made on this machine, and nobody has signed the content; nothing was signed",
            paths=tuple(unsigned),
        )


def _named(paths: Iterable[str]) -> str:
    listed = list(map(ascii, paths))
    more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return f"{', '.join(listed[:NAMED])}{more} {'was' if len(listed) == 1 else 'were'}"


def _is_gone(key: str, item: Item, change: Change, current: Mapping[str, str | None]) -> bool:
    """Whether what is signed is what this machine has taken out, or something older."""
    rev = change.gone.get(key)
    if rev is None:
        return False
    return item.rev == rev or change.is_as_before(key, item) or current.get(item.path, item.rev) in {None, rev}


def _outdated(listed: Mapping[str, Item], items: Mapping[str, Item]) -> list[str]:
    """What said how the parquet files of its folder are, and is as it was, though they are not."""
    kept = [key for key in listed.keys() & items.keys() if key.rpartition("/")[2] == SUMMARY]
    kept = [key for key in kept if listed[key].content_hash == items[key].content_hash]
    if not kept:
        return []

    def content(of: Mapping[str, Item], key: str) -> bytes | None:
        return of[key].content_hash if key in of else None

    changed = [key for key in listed.keys() | items.keys() if content(listed, key) != content(items, key)]
    return [key for key in kept if any(is_part(other, key.removesuffix(SUMMARY)) for other in changed)]


def _same(one: Item, other: Item) -> bool:
    return one.content_hash == other.content_hash and one.rev == other.rev
