"""Renamed and copied files: content that lies in Dropbox under another path is copied there, not sent.

A renamed file is a copy and a deletion, not a move: a move takes whatever lies at the path by then and cannot be held
to a revision, a deletion can. It happens with the others, after the manifest, and only if it was asked for. What
Dropbox answers must be the very content, else the file is sent as any other.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from huracan_sync.errors import CallRefused, HuracanError, ServiceFault
from huracan_sync.remote import files
from huracan_sync.remote.listing import entry_of
from huracan_sync.transfer.compare import ChangeSet, hash_of
from huracan_sync.transfer.journal import Synced
from huracan_sync.transfer.pair import Pair, PairPlan
from huracan_sync.transfer.progress import DECISIONS
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import fold, join
from huracan_sync.tree.plan import Copy

log = logging.getLogger(DECISIONS)
FEWEST = 3
"""Fewer files than this are sent: a job takes two requests or more."""
LARGE = 1024 * 1024
"""Bytes; but as many as this are worth a job, and worth a look at a file of that size."""


class Renamed(NamedTuple):
    """A new file, and a synced one with its content."""

    step: Copy
    source: Synced


def copy_renamed(pair: Pair, plan: PairPlan) -> tuple[PairPlan, int]:
    """The plan without what could be copied inside Dropbox; how many files that were."""
    matches = to_copy(pair, plan)
    if not matches:
        return plan, 0
    intended = [(msgspec.structs.replace(m.source.entry, path=m.step.path), m.source.origin) for m in matches]
    pair.journal.intend(pair.id, intended)
    paths = [(join(pair.root, m.source.entry.path), join(pair.root, m.step.path)) for m in matches]
    try:
        answers = files.relocate(pair.remote, paths, keep=True)
    except (CallRefused, ServiceFault):
        return plan, 0  # it only saves sending
    done: list[Synced] = []
    for (step, source), answer in zip(matches, answers, strict=True):
        if isinstance(answer, HuracanError) or answer.content_hash != source.entry.content_hash.hex():
            continue  # then it is sent
        stamp = plan.changes.stamps.get(fold(step.path))
        done.append(Synced(entry_of(step.path, answer), stamp, source.kind, source.origin))
        was = ascii(source.entry.path)
        log.debug("rename   %s: its content is copied inside Dropbox, from %s", ascii(step.path)[1:-1], was)
    pair.journal.learn(pair.id, done)
    pair.monitor.planned(len(done), 0)  # nothing of them travels
    for item in done:
        pair.monitor.finished(item.entry.path, item.entry.size)
    copied = {fold(item.entry.path) for item in done}
    return plan.with_steps(copies=tuple(s for s in plan.steps.copies if fold(s.path) not in copied)), len(done)


def to_copy(pair: Pair, plan: PairPlan) -> list[Renamed]:
    """What is to be copied inside Dropbox; nothing where too few are renamed for a job."""
    matches = find_renamed(pair, plan.changes, plan.steps.copies)
    few = len(matches) < FEWEST and sum(match.step.entry.size for match in matches) < LARGE
    return [] if few else matches


def find_renamed(pair: Pair, changes: ChangeSet, copies: tuple[Copy, ...]) -> list[Renamed]:
    """New files whose content was synced under another path, from which it is gone here, or of which it is a copy.

    A file is read for it only where that may pay: it is large, something of its size is gone, or of its size and age.
    """
    if not copies:
        return []
    gone, same_age, large = _sources(changes, [step.entry for step in copies if step.replaces is None])
    matches = []
    for step in copies:
        entry = step.entry
        same = same_age.get((entry.size, entry.mtime_ms), ())
        sources = [*gone.get(entry.size, ()), *same, *large.get(entry.size, ())]
        if step.replaces is not None or not sources:
            continue
        try:
            digest = hash_of(pair.disk, step.path, changes.stamps.get(fold(step.path)))
        except HuracanError:
            continue  # the upload will say why
        source = next((item for item in sources if item.entry.content_hash == digest), None)
        if source is not None:
            matches.append(Renamed(step, source))
    return matches


class _Sources(NamedTuple):
    """Synced files by what a new one may have in common with them: sizes, and sizes and ages."""

    gone: dict[int, list[Synced]]
    same_age: dict[tuple[int, int], list[Synced]]
    large: dict[int, list[Synced]]


def _sources(changes: ChangeSet, new: Sequence[Entry]) -> _Sources:
    """Where the content of new files may lie: nothing else of very many synced files is held."""
    result = _Sources({}, {}, {})
    sizes, ages = {entry.size for entry in new} - {0}, {(entry.size, entry.mtime_ms) for entry in new}
    for key, item in changes.synced.items() if sizes else ():
        size, age = item.entry.size, (item.entry.size, item.entry.mtime_ms)
        if size not in sizes:
            continue
        there = changes.there.get(key)
        if there.rev != item.entry.rev if there is not None else key in changes.base:
            continue
        if key in changes.base and key not in changes.here:
            result.gone.setdefault(size, []).append(item)
        if age in ages:
            result.same_age.setdefault(age, []).append(item)
        if size >= LARGE:
            result.large.setdefault(size, []).append(item)
    return result
