"""Of files in Dropbox that are one file here (copies of a candle, left by several writers): which one counts.

What is signed wins over what anybody may have put there. Else it is the copy that was written last, wherever it lies,
by Dropbox's own clock; the one in its proper place on a tie, or where all are alike.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from huracan_sync.disk.scan import Problem
from huracan_sync.errors import LocalFailure, NotFound
from huracan_sync.transfer.compare import UNREAD, ChangeSet, hash_of
from huracan_sync.transfer.pair import Pair
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.paths import RelPath, fold, join


def one_of_each(pair: Pair, changes: ChangeSet) -> bool:
    """For a restore: let the copy that counts stand for all, as if it lay in the proper place; whether any does not."""
    winners = _winners(pair, changes)
    for proper, winner in winners.items():
        if fold(winner.path) != fold(proper):
            _put_in_place(pair, changes, msgspec.structs.replace(winner, path=proper))
    return bool(winners)


def bring_home(pair: Pair, changes: ChangeSet) -> None:
    """For a push: what was restored from another place, and counts still, may replace what lies in the proper one."""
    for proper, winner in _winners(pair, changes).items():
        key = fold(proper)
        known, there = changes.synced.get(key), changes.there.get(key)
        if fold(winner.path) == key or known is None or known.entry.content_hash != winner.content_hash:
            continue
        changes.remote_vanished = False
        if there is None:
            changes.base.pop(key, None)
        else:
            changes.base[key] = there


def _winners(pair: Pair, changes: ChangeSet) -> dict[RelPath, Entry]:
    """Of files that have a copy out of its place: which counts, by the proper name. The other names are forgotten."""
    disk = pair.disk
    if not isinstance(disk, FolderView):
        return {}
    groups: dict[RelPath, list[Entry]] = {}
    for entry in _lying(changes):
        groups.setdefault(disk.there(disk.here(entry.path)), []).append(entry)
    groups = {proper: all_ for proper, all_ in groups.items() if any(fold(e.path) != fold(proper) for e in all_)}
    for proper, entries in groups.items():
        for key in {fold(entry.path) for entry in entries} - {fold(proper)}:
            changes.there.pop(key, None)
            changes.base.pop(key, None)
    if not groups:
        return {}
    from huracan_sync.remote.parallel import several  # noqa: PLC0415 - start-up time, and hardly ever needed

    return dict(zip(groups, several(lambda item: _counts(pair, changes, *item), groups.items()), strict=True))


def newest(pair: Pair, name: str, entries: list[Entry]) -> Entry:
    """The copy that was written last. Of those alike, the one at `name` (folded), else any.

    A copy that somebody removes meanwhile counts as the oldest.
    """
    if len({entry.content_hash for entry in entries}) == 1:
        return max(entries, key=lambda entry: fold(entry.path) == name)
    return max(entries, key=lambda entry: (_written(pair, entry), fold(entry.path) == name))


def _lying(changes: ChangeSet) -> list[Entry]:
    """What lies in Dropbox: where it differs from what was synced, and where it does not."""
    same = (item.entry for key, item in changes.synced.items() if key not in changes.there and key not in changes.base)
    return [*changes.there.values(), *same]


def _counts(pair: Pair, changes: ChangeSet, proper: RelPath, entries: list[Entry]) -> Entry:
    name = fold(proper)
    signed = {fold(entry.path): entry for entry in entries if changes.is_signed(fold(entry.path), entry)}
    return signed.get(name) or newest(pair, name, list(signed.values()) or entries)


def _written(pair: Pair, entry: Entry) -> datetime:
    from huracan_sync.remote import files  # noqa: PLC0415 - as above

    try:
        return files.written(pair.remote, join(pair.root, entry.path)).server_modified
    except NotFound:
        return datetime.min.replace(tzinfo=UTC)


def _put_in_place(pair: Pair, changes: ChangeSet, entry: Entry) -> None:
    """As if the entry lay under its name; it is fetched by its revision, wherever that lies."""
    key = fold(entry.path)
    known = changes.synced.get(key)
    if known is not None and known.stamp is not None:
        is_here = changes.stamps.get(key) == known.stamp or (key not in changes.here and key not in changes.base)
        if is_here and known.entry.content_hash == entry.content_hash:
            for side in (changes.base, changes.here, changes.there):
                side.pop(key, None)
            return
        if is_here:
            changes.here[key], changes.stamps[key] = known.entry, known.stamp
        changes.base[key] = known.entry
    here = changes.here.get(key)
    if here is not None and here.content_hash == UNREAD and here.size == entry.size:
        try:
            digest = hash_of(pair.disk, here.path, changes.stamps.get(key))
        except LocalFailure as error:
            changes.problems.append(Problem(here.path, error))
        else:
            changes.here[key] = msgspec.structs.replace(here, content_hash=digest)
    changes.there[key] = entry
