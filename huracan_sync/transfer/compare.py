"""Compare both sides of a pair, and return only where they differ from what was synced.

The disk is compared by stamps (size, mtime, ctime, inode), and only what moved is read; Dropbox is asked what changed
since the cursor. So an unchanged tree of any size costs one request and no file byte, and a push of it little memory.
A file whose size differs from the other side's is not read either: it cannot be equal. A push holds only what differs,
and of very many new files a stretch at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import NamedTuple

import msgspec

from huracan_sync.disk.files import Root, Stamp, stamp_of
from huracan_sync.disk.scan import Problem, Scan, require_utf8, scan
from huracan_sync.disk.stable_read import StableRead
from huracan_sync.errors import FileChanged, HuracanError, LocalFailure
from huracan_sync.manifest.file_kinds import SNIFF, Kind, hidden
from huracan_sync.remote.client import Remote
from huracan_sync.transfer.in_step import KnownFiles
from huracan_sync.transfer.journal import Journal, Origin, Synced
from huracan_sync.transfer.journal.synced_files import SyncedFiles
from huracan_sync.transfer.remote_side import is_synced, refresh_remote
from huracan_sync.tree.content_hash import BLOCK_SIZE
from huracan_sync.tree.content_hasher import ContentHasher
from huracan_sync.tree.entry import Entry, Tree, tree
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.paths import RelPath, ancestors, fold, refusal

READINGS = 3
"""How often a file is read that changes meanwhile, before it is left for the next run."""
NEW_AT_ONCE = 50_000
"""So many new files are brought in step, where that may be, before more are looked for."""
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
    refused: list[HuracanError]
    """Why remote files are not taken: names no tree may hold, for one."""
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
    def may_be_signed_elsewhere(self) -> bool:
        """Whether another channel may know better: something new is signed by nobody, or something is not as signed."""
        return bool(self.contradicted) or not self.there.keys() <= self.signed.keys()

    def everything_there(self) -> Iterator[Entry]:
        """What lies in Dropbox, or is to be taken for it."""
        yield from self.there.values()
        yield from (item.entry for key, item in self.synced.items() if key not in self.there)

    @property
    def unchanged(self) -> int:
        """How many files are as they were synced, on both sides."""
        return sum(1 for key in self.synced if key not in self.here and key not in self.there)


Ahead = Callable[[ChangeSet], Collection[str]]
"""Brings new files in step while others are still looked for; returns the folded paths of those that are."""


class ManifestEntries(NamedTuple):
    """What counts as the content of a remote folder, where Dropbox holds other content too."""

    entries: Iterable[Entry]
    alone: bool
    """Whether nothing else counts: Dropbox is not asked what lies there."""
    is_signed: bool = True
    """Whether a verified manifest lists it."""


def find_changes(  # noqa: PLR0913 - both sides, and how they are looked at
    remote: Remote,
    journal: Journal,
    *,
    pair: int,
    local_root: Root,
    remote_root: str,
    wanted: Callable[[str], bool] | None = None,
    local_may_miss: bool = False,
    manifest: ManifestEntries | None = None,
    ahead: Ahead | None = None,
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
        ahead: for a push, what may be done with new files where there are very many.
    """
    sides = _Sides(remote, journal, pair, local_root, remote_root, wanted)
    if isinstance(local_root, Path) and manifest is None and not local_may_miss:
        return _compare_singly(sides, ahead)
    if isinstance(local_root, Path) and manifest is not None and manifest.alone:
        return _compare_manifest(sides, manifest)
    scanned = _scan(local_root, wanted, may_miss=local_may_miss)
    synced = journal.synced(pair)
    if scanned.others:
        scanned.problems += _hidden_by_links(scanned.others, local_root, synced)
    if isinstance(local_root, FolderView) and scanned.problems:
        scanned.problems += _hidden(scanned.problems, local_root, synced)
    verified, contradicted, refused = tree(manifest.entries) if manifest else {}, list[str](), list[HuracanError]()
    if manifest is None or not manifest.alone:
        refresh_remote(remote, journal, pair, remote_root, synced)
        remote_changes, refused = journal.remote_changes(pair), sides.refused()
        contradicted = _put_right(remote_changes, synced, verified)
    else:
        remote_changes = _changes_to(verified, synced)
    if wanted is not None:
        synced = {key: item for key, item in synced.items() if wanted(item.entry.path)}
        remote_changes = _only_wanted(remote_changes, synced, wanted)
    result = _change_set(scanned, synced, remote_changes, refused)
    result.signed, result.contradicted = verified if manifest and manifest.is_signed else {}, contradicted
    if local_may_miss:
        result.folders = sorted({path.rpartition("/")[0] for path in scanned.files})
    found = _compare_local(scanned.files, remote_changes, local_root, result)
    # Gone from the disk (or unclear, which the plan leaves alone).
    result.base |= {key: item.entry for key, item in synced.items() if key not in found}
    _compare_remote(remote_changes, journal.intents(pair), result)
    return result


class _Sides(NamedTuple):
    """What is compared."""

    remote: Remote
    journal: Journal
    pair: int
    local_root: Root
    remote_root: str
    wanted: Callable[[str], bool] | None

    def refused(self) -> list[HuracanError]:
        return [error for path in sorted(self.journal.refused(self.pair)) if (error := refusal(path))]

    def remote_changes(self, synced: SyncedFiles) -> dict[str, Entry | None]:
        """What changed in Dropbox, asked there first."""
        remote, journal, pair = self.remote, self.journal, self.pair
        refresh_remote(remote, journal, pair, self.remote_root, SyncedFiles(journal, pair))
        return _only_wanted(journal.remote_changes(pair), synced, self.wanted)


def _compare_singly(sides: _Sides, ahead: Ahead | None) -> ChangeSet:
    """As `find_changes`, for a push: what is in step on both sides is looked up file by file, and never held."""
    journal, root = sides.journal, sides.local_root
    synced = SyncedFiles(journal, sides.pair, sides.wanted)
    known, next_at = KnownFiles(synced), NEW_AT_ONCE

    def relieve(files: dict[RelPath, Stamp]) -> None:
        """Have new files brought in step. Not while one of them may be what a file that was synced is called now."""
        nonlocal next_at
        if ahead is None or len(files) < next_at:
            return
        paths = {fold(path): path for path in files}
        if known.are_all(paths):
            remote_changes = sides.remote_changes(synced)
            part = _change_set(Scan(files, []), synced, remote_changes, [])
            _compare_local(files, remote_changes, root, part)
            _compare_remote(remote_changes, journal.intents(sides.pair), part)
            settled = ahead(part)
            known.settle(settled)
            for key in settled:
                del files[paths[key]]
        next_at = len(files) + NEW_AT_ONCE

    scanned = _scan(root, sides.wanted, may_miss=False, known=known, relieve=relieve)
    remote_changes = sides.remote_changes(synced)
    if scanned.others:
        scanned.problems += _hidden_by_links(scanned.others, root, synced)
    result = _change_set(scanned, synced, remote_changes, sides.refused())
    found = _compare_local(scanned.files, remote_changes, root, result)
    _add_known(known, known.lost(found), found, remote_changes, result)
    _compare_remote(remote_changes, journal.intents(sides.pair), result)
    return result


def _compare_manifest(sides: _Sides, manifest: ManifestEntries) -> ChangeSet:
    """As `find_changes`, with what a manifest lists, and nothing else: gone through entry by entry, and never held."""
    journal, root, wanted = sides.journal, sides.local_root, sides.wanted
    synced = SyncedFiles(journal, sides.pair, wanted)
    known, alike = KnownFiles(synced), KnownFiles(synced)
    scanned = _scan(root, wanted, may_miss=True, known=known)
    if scanned.others:
        scanned.problems += _hidden_by_links(scanned.others, root, synced)
    unknown = {fold(path) for path in scanned.files}
    lost = known.lost(unknown)
    signed: dict[str, Entry] = {}
    remote_changes: dict[str, Entry | None] = {}
    for entry in manifest.entries:
        if wanted is not None and not wanted(entry.path):
            continue
        key = fold(entry.path)
        before = synced.get(key)
        if before is not None:
            alike.settle((key,))
        if is_changed := not is_synced(before, entry):
            remote_changes[key] = entry
        if is_changed or key in unknown or key in lost:
            signed[key] = entry
    remote_changes |= dict.fromkeys(alike.lost(()))
    result = _change_set(scanned, synced, remote_changes, [])
    result.signed = signed if manifest.is_signed else {}
    result.folders = sorted(known.folders | {path.rpartition("/")[0] for path in scanned.files})
    _compare_local(scanned.files, remote_changes, root, result)
    _add_known(known, lost, unknown, remote_changes, result)
    _compare_remote(remote_changes, journal.intents(sides.pair), result)
    return result


def _add_known(
    known: KnownFiles,
    lost: AbstractSet[str],
    found: AbstractSet[str],
    remote_changes: Mapping[str, Entry | None],
    result: ChangeSet,
) -> None:
    """Fill in what the scan left out: files as they were synced that changed in Dropbox, and those that are gone."""
    result.local_count += known.count
    for key in lost:
        result.base[key] = result.synced[key].entry
    for key in remote_changes:
        item = result.synced.get(key)
        if key not in found and key not in lost and item is not None and item.stamp is not None:
            result.here[key], result.stamps[key] = item.entry, item.stamp


def _scan(
    root: Root,
    wanted: Callable[[str], bool] | None,
    *,
    may_miss: bool,
    known: KnownFiles | None = None,
    relieve: Callable[[dict[RelPath, Stamp]], None] | None = None,
) -> Scan:
    require_utf8()
    folder = root.path if isinstance(root, FolderView) else root
    if may_miss and not folder.exists():
        return Scan({}, [])
    return scan(root, wanted=wanted, is_known=known.is_known if known else None, relieve=relieve)


def _only_wanted(
    remote_changes: dict[str, Entry | None], synced: Mapping[str, Synced], wanted: Callable[[str], bool] | None
) -> dict[str, Entry | None]:
    if wanted is None:
        return remote_changes
    return {key: e for key, e in remote_changes.items() if (wanted(e.path) if e else key in synced)}


def _change_set(
    scanned: Scan,
    synced: Mapping[str, Synced],
    remote_changes: Mapping[str, Entry | None],
    refused: list[HuracanError],
) -> ChangeSet:
    """One that says nothing of single files yet."""
    count, problems = len(scanned.files), scanned.problems
    result = ChangeSet({}, {}, {}, {}, {}, synced, count, False, problems, refused, scanned.parts)
    result.left_out, result.declined = scanned.left_out, scanned.declined
    if remote_changes:
        result.remote_vanished = bool(synced) and all(
            key in remote_changes and remote_changes[key] is None for key in synced
        )
    return result


def _compare_remote(
    remote_changes: Mapping[str, Entry | None], own: Mapping[tuple[str, bytes], Origin], result: ChangeSet
) -> None:
    """Fill in what lies in Dropbox, and what both sides held last."""
    synced = result.synced or {}  # where nothing was, nothing is asked of the journal, file by file
    for key in remote_changes.keys() | result.here.keys() | result.base.keys():
        base = _entry(synced.get(key))
        there = remote_changes.get(key, base)
        if there is not None:
            result.there[key] = there
            if (origin := own.get((key, there.content_hash))) is not None:
                base = there  # committed by a run of ours that was cut before it could note it
                result.own[key] = origin
        if base is not None:
            result.base[key] = base


def _hidden_by_links(others: list[str], root: Root, synced: Mapping[str, Synced]) -> list[Problem]:
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
    return gone | {key: entry for key, entry in there.items() if not is_synced(synced.get(key), entry)}


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


def _compare_local(
    files: Mapping[RelPath, Stamp], remote_changes: Mapping[str, Entry | None], root: Root, result: ChangeSet
) -> AbstractSet[str]:
    """Fill in what the disk holds otherwise than synced; the folded paths of everything it holds."""
    synced, found = result.synced or {}, set()
    for path, stamp in files.items():
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
    return found


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
