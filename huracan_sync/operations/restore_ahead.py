"""Of a manifest with very many entries: which of them may be put in place before the whole is compared.

Those that this disk has never had: no file lies there, and none was ever synced. Everything else waits for the
comparison, which decides by what lies where.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from huracan_sync.disk.folding import is_folding
from huracan_sync.disk.scan import scan
from huracan_sync.transfer.compare import NEW_AT_ONCE
from huracan_sync.transfer.in_step import KnownFiles
from huracan_sync.transfer.journal.synced_files import SyncedFiles
from huracan_sync.transfer.pair import Pair
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import ancestors, fold
from huracan_sync.tree.plan import Copy
from huracan_sync.tree.spelling import Spelling


class Part(NamedTuple):
    """Some of the entries of a manifest, one after the other."""

    entries: list[Entry]
    split: frozenset[str]
    """Folders, folded, of which others are in another part."""


def parts(entries: Iterable[Entry], most: int) -> Iterator[Part]:
    """The entries, in the order of their paths, cut between folders: each part is a little longer than `most`."""
    part: list[Entry] = []
    split: frozenset[str] = frozenset()
    for entry in entries:
        if len(part) >= most and _folder(part[-1]) != _folder(entry):
            cut = _above(part[-1]) & _above(entry)
            yield Part(part, split | cut)
            part, split = [], cut
        part.append(entry)
    if part:
        yield Part(part, split)


def copies_ahead(
    pair: Pair, entries: Iterable[Entry], wanted: Callable[[str], bool] | None
) -> Iterator[tuple[list[Copy], Part]]:
    """What may be put in place at once, part by part. Nothing where there are few entries.

    Args:
        pair: whose.
        entries: what is to be there, in the order of the paths.
        wanted: which take part; None: all.
    """
    found = parts(entries, NEW_AT_ONCE)
    first = next(found, None)
    if first is None or not first.split or not isinstance(pair.disk, Path):
        return
    if is_folding(pair.disk) and not all(entry.path.isascii() for entry in entries):
        return  # some of them may be one file here
    synced = SyncedFiles(pair.journal, pair.id)
    here, folders = _here(pair.disk, synced)
    spelling = Spelling(sorted(folders))
    part: Part | None = first
    while part is not None:
        new = [each for each in part.entries if wanted is None or wanted(each.path)]
        new = [each for each in new if fold(each.path) not in here and fold(each.path) not in synced]
        if copies := [Copy(entry, None) for entry in new if spelling.of(entry.path) == entry.path]:
            yield copies, part
        part = next(found, None)


def _here(root: Path, synced: SyncedFiles) -> tuple[Collection[str], Collection[str]]:
    """The folded paths of what lies here and is not as it was synced; and the folders of everything."""
    if not root.exists():
        return (), ()
    known = KnownFiles(synced)
    scanned = scan(root, is_known=known.is_known)
    paths = [*scanned.files, *scanned.left_out, *(problem.path for problem in scanned.problems)]
    return {fold(path) for path in paths}, known.folders | {path.rpartition("/")[0] for path in scanned.files}


def _folder(entry: Entry) -> str:
    return entry.path.rpartition("/")[0]


def _above(entry: Entry) -> frozenset[str]:
    return frozenset(("", *ancestors(fold(entry.path))))
