"""Compare both sides of a pair, and return only where they differ from what was synced.

The disk is compared by stamps (size, mtime, ctime, inode), and only what moved is read; Dropbox is asked what changed
since the cursor. So an unchanged tree of any size costs one request and no file byte, and a push of it little memory.
A file whose size differs from the other side's is not read either: it cannot be equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec

from huracan_sync.disk.files import Root, Stamp, stamp_of
from huracan_sync.disk.scan import Problem, Scan, require_utf8, scan
from huracan_sync.disk.stable_read import StableRead
from huracan_sync.errors import CallRefused, FileChanged, HostilePath, LocalFailure, NotFound
from huracan_sync.manifest.file_kinds import SNIFF, Kind, hidden
from huracan_sync.remote.client import Remote
from huracan_sync.remote.contents import everything, taken_back
from huracan_sync.remote.errors import CursorReset
from huracan_sync.remote.listing import Changes, changes
from huracan_sync.transfer.in_step import scan_in_step
from huracan_sync.transfer.journal import Journal, Origin, Synced
from huracan_sync.transfer.journal.synced_files import SyncedFiles
from huracan_sync.tree.content_hash import BLOCK_SIZE
from huracan_sync.tree.content_hasher import ContentHasher
from huracan_sync.tree.entry import Entry, Tree, tree
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.paths import RelPath, ancestors, fold, folders_of, refusal

READINGS = 3
"""How often a file is read that changes meanwhile, before it is left for the next run."""
UNREAD = b""
"""The content hash of a local file that need not be read to know that it differs."""


class ChangeSet(msgspec.Struct):
    """Both sides, where they differ from `base`; and what could not be seen."""

    base: dict[str, Entry]
    here: dict[str, Entry]
    there: dict[str, Entry]
    stamps: dict[str, Stamp]
    """The local stamps of the files in `here`."""
    kinds: dict[str, Kind]
    """Of the files in `here` that were read, those whose bytes give away what their name does not."""
    synced: Mapping[str, Synced]
    """Everything that was synced before, differing or not."""
    local_count: int
    remote_vanished: bool
    """The remote folder held synced files and holds none of them: it is gone, empty, or another one."""
    problems: list[Problem]
    refused: list[HostilePath]
    """Remote names no tree may hold."""
    parts: list[str] = []
    """Half-written files of ours on the disk."""
    own: dict[str, Origin] = {}
    """Remote files that a run of ours committed and could not note, with where their content came from."""
    signed: dict[str, Entry] = {}
    """What a verified manifest lists, where one was asked for, by folded path."""
    contradicted: list[str] = []
    """Paths at which Dropbox holds other content than the verified manifest lists, or nothing."""
    folders: list[str] = []
    """The local folders that hold files, as they are spelled; told to a restore only."""
    left_out: dict[str, str] = {}
    """Links, special files and names that Dropbox never takes, on the disk, each with the reason."""
    declined: list[str] = []
    """Files on the disk that were not wanted."""

    @property
    def unclear(self) -> frozenset[str]:
        """Folded local paths about which nothing is known."""
        return frozenset(fold(problem.path) for problem in self.problems)

    def is_signed(self, key: str, entry: Entry) -> bool:
        """Whether a verified manifest lists exactly this content at that folded path."""
        listed = self.signed.get(key)
        return listed is not None and (listed.size, listed.content_hash) == (entry.size, entry.content_hash)

    @property
    def unchanged(self) -> int:
        """How many files are as they were synced, on both sides."""
        return sum(1 for key in self.synced if key not in self.here and key not in self.there)


class ManifestEntries(NamedTuple):
    """What counts as the content of a remote folder, where Dropbox holds other content too."""

    entries: Iterable[Entry]
    alone: bool
    """Whether nothing else counts: Dropbox is not asked what lies there."""
    is_signed: bool = True
    """Whether a verified manifest lists it."""


def find_changes(
    remote: Remote,
    journal: Journal,
    *,
    pair: int,
    local_root: Root,
    remote_root: str,
    wanted: Callable[[str], bool] | None = None,
    local_may_miss: bool = False,
    manifest: ManifestEntries | None = None,
) -> ChangeSet:
    """Look at the disk and at Dropbox.

    Args:
        remote: the login.
        journal: what was synced; it learns where the remote listing stands.
        pair: whose.
        local_root: the local folder.
        remote_root: the remote folder; one that does not exist is empty.
        wanted: which relative paths are looked at, on both sides.
        local_may_miss: a missing local folder is an empty one (a restore makes it).
        manifest: what a verified manifest lists of the remote folder.
    """
    before = SyncedFiles(journal, pair, wanted)
    in_step = None if manifest is not None or local_may_miss else scan_in_step(before, local_root, wanted)
    if in_step is not None:
        refresh_remote(remote, journal, pair, remote_root, SyncedFiles(journal, pair))
        if not journal.remote_changes(pair) and not journal.refused(pair):
            return _no_changes(*in_step, before)
    scanned = _scan(local_root, wanted, may_miss=local_may_miss)
    synced = journal.synced(pair)
    if scanned.others:
        scanned.problems += _hidden_by_links(scanned.others, local_root, synced)
    if isinstance(local_root, FolderView) and scanned.problems:
        scanned.problems += _hidden(scanned.problems, local_root, synced)
    refused: list[HostilePath] = []
    verified = tree(manifest.entries) if manifest else {}
    contradicted: list[str] = []
    if manifest is None or not manifest.alone:
        if in_step is None:
            refresh_remote(remote, journal, pair, remote_root, synced)
        remote_changes = journal.remote_changes(pair)
        refused = [error for path in sorted(journal.refused(pair)) if (error := refusal(path))]
        contradicted = _put_right(remote_changes, synced, verified)
    else:
        remote_changes = _changes_to(verified, synced)
    if wanted is not None:
        synced = {key: item for key, item in synced.items() if wanted(item.entry.path)}
        remote_changes = {key: e for key, e in remote_changes.items() if (wanted(e.path) if e else key in synced)}
    result = ChangeSet({}, {}, {}, {}, {}, synced, len(scanned.files), False, scanned.problems, refused, scanned.parts)
    result.left_out, result.declined = scanned.left_out, scanned.declined
    result.signed, result.contradicted = verified if manifest and manifest.is_signed else {}, contradicted
    if local_may_miss:
        result.folders = sorted({path.rpartition("/")[0] for path in scanned.files})
    result.remote_vanished = bool(synced) and all(
        key in remote_changes and remote_changes[key] is None for key in synced
    )
    _compare_local(scanned, remote_changes, local_root, result)
    _compare_remote(remote_changes, journal.intents(pair), result)
    return result


def _scan(root: Root, wanted: Callable[[str], bool] | None, *, may_miss: bool) -> Scan:
    require_utf8()
    folder = root.path if isinstance(root, FolderView) else root
    return Scan({}, []) if may_miss and not folder.exists() else scan(root, wanted=wanted)


def _no_changes(scanned: Scan, count: int, synced: SyncedFiles) -> ChangeSet:
    same = ChangeSet({}, {}, {}, {}, {}, synced, count, False, [], [], scanned.parts)
    same.left_out, same.declined = scanned.left_out, scanned.declined
    return same


def _compare_remote(
    remote_changes: Mapping[str, Entry | None], own: Mapping[tuple[str, bytes], Origin], result: ChangeSet
) -> None:
    """Fill in what lies in Dropbox, and what both sides held last."""
    for key in remote_changes.keys() | result.here.keys() | result.base.keys():
        base = _entry(result.synced.get(key))
        there = remote_changes.get(key, base)
        if there is not None:
            result.there[key] = there
            if (origin := own.get((key, there.content_hash))) is not None:
                base = there  # committed by a run of ours that was cut before it could note it
                result.own[key] = origin
        if base is not None:
            result.base[key] = base


def _hidden_by_links(others: list[str], root: Root, synced: dict[str, Synced]) -> list[Problem]:
    """Files that were synced and now lie behind a link, or where something else lies: nobody deleted them."""
    by_key, problems = {fold(path): path for path in others}, {}
    for item in synced.values():
        here = fold(root.at(item.entry.path) if isinstance(root, FolderView) else item.entry.path)
        other = next((by_key[key] for key in (here, *ancestors(here)) if key in by_key), None)
        if other is not None:
            error = LocalFailure(
                f"{other} was synced and is a link or another special file now, which is not followed",
                hint="put the files themselves there; what was synced stays in Dropbox",
                path=other,
            )
            path = item.entry.path if isinstance(root, FolderView) else other
            problems[path] = Problem(path, error)
    return list(problems.values())


def _hidden(problems: list[Problem], root: FolderView, synced: dict[str, Synced]) -> list[Problem]:
    """Files that go by another name, below folders here that could not be read: they are unclear too."""
    unread = {problem.path: problem.error for problem in problems}
    return [
        Problem(item.entry.path, unread[ancestor])
        for item in synced.values()
        for ancestor in ancestors(root.at(item.entry.path))
        if ancestor in unread
    ]


def _changes_to(there: Tree, synced: dict[str, Synced]) -> dict[str, Entry | None]:
    """Where a tree differs from what was synced; None for what it does not have."""
    gone: dict[str, Entry | None] = {key: None for key in synced if key not in there}
    return gone | {key: entry for key, entry in there.items() if not _is_synced(synced.get(key), entry)}


def _put_right(remote_changes: dict[str, Entry | None], synced: dict[str, Synced], verified: Tree) -> list[str]:
    """Put what is signed in the place of what contradicts it; the paths where something did."""
    contradicted: list[str] = []
    for key, entry in verified.items():
        there = remote_changes[key] if key in remote_changes else _entry(synced.get(key))
        if there is None or (there.size, there.content_hash) != (entry.size, entry.content_hash):
            remote_changes[key] = entry
            contradicted.append(entry.path)
    return contradicted


def _entry(item: Synced | None) -> Entry | None:
    return item.entry if item else None


def _compare_local(scanned: Scan, remote_changes: dict[str, Entry | None], root: Root, result: ChangeSet) -> None:
    """Fill in what the disk holds otherwise than synced, and what it lost."""
    synced, found = result.synced, set()
    for path, stamp in scanned.files.items():
        key = fold(path)
        found.add(key)
        known = synced.get(key)
        if known is not None and known.stamp == stamp and key not in remote_changes:
            continue
        result.stamps[key] = stamp
        if known is not None and known.stamp == stamp:
            result.here[key] = known.entry
            continue
        there = remote_changes[key] if key in remote_changes else _entry(known)
        sizes = {e.size for e in (there, _entry(known)) if e is not None}
        try:
            result.here[key], result.stamps[key], kind = _read(root, path, stamp, sizes)
        except LocalFailure as error:
            result.problems.append(Problem(path, error))
            continue
        if kind is not None:
            result.kinds[key] = kind
    for key, item in synced.items():
        if key not in found:
            result.base[key] = item.entry  # gone from the disk (or unclear, which the plan leaves alone)


def _read(root: Root, path: RelPath, stamp: Stamp, sizes: set[int]) -> tuple[Entry, Stamp, Kind | None]:
    """A file of this disk, read where its size does not tell that it differs; again, when it changes meanwhile."""
    for attempt in range(1, READINGS + 1):
        try:
            digest, first = _hash_of(root, path, stamp) if stamp.size in sizes else (UNREAD, b"")
            entry = Entry(path, stamp.size, digest, "", stamp.mtime_ns // 1_000_000)
            return entry, stamp, hidden(path, first)
        except FileChanged:
            now = stamp_of(root, path)
            if now is None or attempt == READINGS:
                raise
            stamp = now
    raise AssertionError("unreachable")


def hash_of(root: Root, path: RelPath, stamp: Stamp | None = None) -> bytes:
    """The content hash of a local file.

    Raises:
        FileChanged: it is not, or not during the whole reading, in the state `stamp`.
    """
    return _hash_of(root, path, stamp)[0]


def _hash_of(root: Root, path: RelPath, stamp: Stamp | None) -> tuple[bytes, bytes]:
    """The content hash, and the first bytes."""
    hasher, first = ContentHasher(), b""
    with StableRead(root, path) as reading:
        if stamp is not None and reading.stamp != stamp:
            raise FileChanged(f"{path} changed since it was looked at", path=path)
        for offset in range(0, reading.stamp.size, BLOCK_SIZE):
            block = reading.read(offset, BLOCK_SIZE)
            hasher.update(block)
            first = first or block[:SNIFF]
        reading.check_unchanged()
    return hasher.digest(), first


# --- the remote side --------------------------------------------------------------------------------------------


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
                same.append(key)  # it was only there, and is no more
    for entry in page.files:
        key = fold(entry.path)
        if _is_synced(synced.get(key), entry):
            differences.pop(key, None)
            same.append(key)
        else:
            differences[key] = entry
    return differences, same


def _is_synced(known: Synced | None, entry: Entry) -> bool:
    return (
        known is not None
        and known.entry.rev == entry.rev
        and known.entry.content_hash == entry.content_hash
        and known.entry.size == entry.size
    )


def _list_all(remote: Remote, journal: Journal, pair: int, folder: str, synced: Mapping[str, Synced]) -> None:
    """List everything. Only a listing read to its end says what is missing, so the journal learns it at once."""

    def keep(entry: Entry) -> Entry | None:
        return None if _is_synced(synced.get(fold(entry.path)), entry) else entry  # few differ: the others cost little

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
