"""What the journal knows of the remote side, brought up to date: where it differs from what was synced."""

from __future__ import annotations

from collections.abc import Mapping

from huracan_sync.errors import CallRefused, NotFound
from huracan_sync.remote.client import Remote
from huracan_sync.remote.contents import everything, taken_back
from huracan_sync.remote.errors import CursorReset
from huracan_sync.remote.listing import Changes, changes
from huracan_sync.transfer.journal import Journal, Synced
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import ancestors, fold, folders_of


def refresh_remote(remote: Remote, journal: Journal, pair: int, folder: str, synced: Mapping[str, Synced]) -> None:
    """Bring what the journal knows of the remote side up to date."""
    cursor = journal.cursor(pair)
    if cursor is not None:
        try:
            _learn_changes(remote, journal, pair, folder, synced, cursor)
        except (CursorReset, CallRefused):
            pass  # a cursor of another app, or one damaged on this disk, is told by a 400
        except NotFound:
            pass  # the folder went; whether it is back, a listing tells
        else:
            return
    _list_all(remote, journal, pair, folder, synced)


def _learn_changes(
    remote: Remote, journal: Journal, pair: int, folder: str, synced: Mapping[str, Synced], cursor: str
) -> None:
    for page in changes(remote, folder, cursor):
        if not (page.files or page.gone or page.folders or page.refused):
            continue  # the cursor that is held says the same
        differences, same = _apply(page, synced, journal.remote_changes(pair))
        refused = _without(journal.refused(pair), page.gone) | set(page.refused)
        journal.note_remote_changes(pair, differences, same, page.cursor, refused=refused, is_whole=False)


def _without(refused: set[str], gone: list[str]) -> set[str]:
    tops = {fold(path) for path in gone}
    return {path for path in refused if fold(path) not in tops and tops.isdisjoint(ancestors(fold(path)))}


def _apply(
    page: Changes, synced: Mapping[str, Synced], remote_changes: dict[str, Entry | None]
) -> tuple[dict[str, Entry | None], list[str]]:
    """One page of changes on top of what is known: where the remote side differs now, and where it no longer does."""
    differences: dict[str, Entry | None] = {}
    same: list[str] = []
    new = any(fold(entry.path) not in synced for entry in page.files)
    if page.gone or page.folders or new:
        held = {key for key, entry in remote_changes.items() if entry is not None}
        if page.gone or new:
            known = synced.keys() | held
        else:  # folders alone take the place of files that are called as they are
            known = {key for key in map(fold, page.folders) if key in held or key in synced}
        for key in taken_back(page, known, folders_of(known) if new else frozenset()):
            if key in synced:
                differences[key] = None
            else:
                same.append(key)  # it was only there, and is gone
    for entry in page.files:
        key = fold(entry.path)
        if is_synced(synced.get(key), entry):
            differences.pop(key, None)
            same.append(key)
        else:
            differences[key] = entry
    return differences, same


def is_synced(known: Synced | None, entry: Entry) -> bool:
    """Whether an entry is the very one that was synced."""
    return (
        known is not None
        and known.entry.rev == entry.rev
        and known.entry.content_hash == entry.content_hash
        and known.entry.size == entry.size
    )


def _list_all(remote: Remote, journal: Journal, pair: int, folder: str, synced: Mapping[str, Synced]) -> None:
    """List everything. Only a listing read to its end says what is missing, so the journal learns it at once."""

    def keep(entry: Entry) -> Entry | None:
        return None if is_synced(synced.get(fold(entry.path)), entry) else entry  # few differ: the others cost little

    try:
        contents = everything(remote, folder, keep)
    except NotFound:
        differences: dict[str, Entry | None] = dict.fromkeys(synced)
        journal.note_remote_changes(pair, differences, (), None, refused=set(), is_whole=True)
        return
    differences = {key: entry for key, entry in contents.files.items() if entry is not None}
    differences |= {key: None for key in synced if key not in contents.files}
    refused = set(contents.refused.values())
    journal.note_remote_changes(pair, differences, (), contents.cursor, refused=refused, is_whole=True)
