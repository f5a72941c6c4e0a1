"""Bring what earlier writers left in many places to its one place, inside Dropbox: no content is sent or fetched.

    /APP/data/candles/{flat, BTC/, BTC-USDT/, BTCUSDT:USDT/, ...}/f     candles
    /APP/2025-11-01/data/candles/...                                    candles that were kept by day once
    /APP/[DAY/]huracan/...                                              contracts that readers ask for at /huracan/...

Laws. A file is deleted only when the same content (by content hash) lies in its one place, seen there after everything
was moved; and only the revision that was looked at. What differs stays where it is and is reported: a name is no proof.
Contracts are copied, not moved. Every step can be repeated, so a migration that was cut is finished by another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from huracan_sync.errors import Conflict, HuracanError, NotFound
from huracan_sync.remote import files
from huracan_sync.remote.client import Remote
from huracan_sync.remote.contents import everything, taken_back
from huracan_sync.remote.delete import remove
from huracan_sync.remote.listing import FileMetadata, changes
from huracan_sync.remote.stat import metadata
from huracan_sync.transfer.progress import Failure, Monitor, Silent
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.layout import Layout, candle
from huracan_sync.tree.paths import below, fold, folders_of, join


class Move(msgspec.Struct, frozen=True):
    """Bring a file to its place; `keeps` leaves the original too."""

    entry: Entry
    """Its path is absolute."""
    target: str
    keeps: bool = False


class Duplicate(msgspec.Struct, frozen=True):
    """Remove a file whose content lies at `original`."""

    entry: Entry
    original: str


class Kept(msgspec.Struct, frozen=True):
    """A file that stays where it is, because only a person can decide what to do with it."""

    path: str
    why: str


class Migration(msgspec.Struct, frozen=True):
    """What has to happen, sorted by path. Data only."""

    moves: tuple[Move, ...] = ()
    duplicates: tuple[Duplicate, ...] = ()
    kept: tuple[Kept, ...] = ()
    cursor: str = ""
    """Where the listing ended that all this was decided by."""

    @property
    def is_empty(self) -> bool:
        """Whether everything lies in its place."""
        return not (self.moves or self.duplicates)

    def lines(self) -> Iterator[str]:
        """The migration for a person, one line a step."""
        for step in self.moves:
            yield f"{'copy  ' if step.keeps else 'move  '}  {step.entry.path}  ->  {step.target}"
        for duplicate in self.duplicates:
            yield f"delete  {duplicate.entry.path}  (the same content lies at {duplicate.original})"
        for kept in self.kept:
            yield f"keep    {kept.path}: {kept.why}"


class MigrationReport(msgspec.Struct):
    """The result of a migration."""

    moved: int = 0
    copied: int = 0
    deleted: int = 0
    kept: int = 0
    failed: list[Failure] = []
    requests: int = 0

    def as_dict(self) -> dict[str, object]:
        """For `--json`."""
        return {**msgspec.structs.asdict(self), "failed": [failure.as_dict() for failure in self.failed]}


def plan(remote: Remote, layout: Layout) -> Migration:
    """Look at everything below the app folder, and at the contracts, and decide. Writes nothing.

    Raises:
        NotFound: there is no app folder.
        NotAuthorized, Unavailable, TryLater: it could not be asked.
    """
    try:
        entries, cursor = _everything(remote, layout.root)
    except NotFound as error:
        raise NotFound(
            f"there is no folder {layout.root} in Dropbox",
            hint="is this the right account and app folder? The first upload makes it; then there is nothing to move",
            path=layout.root,
        ) from error
    contracts = [entry for root in layout.contract_roots for entry in _if_there(remote, f"/{root}")]
    made = decide(
        layout,
        [*entries, *contracts],
        lambda path: files.written(remote, path).server_modified.timestamp(),
    )
    return msgspec.structs.replace(made, cursor=cursor)


def _everything(remote: Remote, folder: str) -> tuple[list[Entry], str]:
    contents = everything(remote, folder, lambda e: msgspec.structs.replace(e, path=join(folder, e.path)))
    return list(contents.files.values()), contents.cursor


def _if_there(remote: Remote, folder: str) -> list[Entry]:
    try:
        return _everything(remote, folder)[0]
    except NotFound:
        return []


def decide(layout: Layout, entries: Iterable[Entry], written: Callable[[str], float]) -> Migration:
    """What has to happen. Pure but for `written`.

    Args:
        layout: where things belong.
        entries: everything there is, with absolute paths.
        written: when what lies at a path was written; asked only of files that share a name and differ.
    """
    there = {fold(entry.path): entry for entry in entries}
    groups: dict[str, list[Entry]] = {}
    targets: dict[str, str] = {}
    for entry in there.values():
        target = _target(layout, entry.path)
        if target is not None:
            targets.setdefault(fold(target), target)
            if fold(target) != fold(entry.path):
                groups.setdefault(fold(target), []).append(entry)
    moves: list[Move] = []
    duplicates: list[Duplicate] = []
    kept: list[Kept] = []
    for key, group in groups.items():
        group.sort(key=lambda entry: entry.path)
        target, keeps = targets[key], layout.is_contract(targets[key])
        original = there.get(key)
        if original is None:
            original = _newest(group, written)
            moves.append(Move(original, target, keeps=keeps))
            group.remove(original)
        for entry in group:
            if entry.content_hash != original.content_hash or entry.size != original.size:
                kept.append(Kept(entry.path, f"{target} holds (or will hold) other content"))
            elif not keeps:
                duplicates.append(Duplicate(entry, target))
    return Migration(
        tuple(sorted(moves, key=lambda step: step.entry.path)),
        tuple(sorted(duplicates, key=lambda step: step.entry.path)),
        tuple(sorted(kept, key=lambda step: step.path)),
    )


def _newest(group: list[Entry], written: Callable[[str], float]) -> Entry:
    if len({entry.content_hash for entry in group}) == 1:
        return group[0]
    return max(group, key=lambda entry: written(entry.path))


def _target(layout: Layout, path: str) -> str | None:
    """Where a file belongs, if this migration moves files of its kind."""
    inner = below(layout.root, path)
    if not inner or layout.is_contract(path):
        return path if layout.is_contract(path) else None
    placed = layout.place(inner)
    if candle(path) and below(layout.candles, placed):
        return placed
    parts = inner.split("/")
    rest = "/".join(parts[1:]) if len(parts[0]) == 10 and parts[0].count("-") == 2 else inner
    return f"/{rest}" if layout.is_contract(rest) and "/" in rest else None


def carry_out(
    remote: Remote, migration: Migration, layout: Layout, *, monitor: Monitor | None = None
) -> MigrationReport:
    """Do what was decided: moves and copies first, deletions last and only of what is seen to be copies.

    Raises:
        NotAuthorized, Unavailable, TryLater: it ended early; plan and carry out again.
    """
    monitor = monitor or Silent()
    before = remote.wire.meter.read()
    report = MigrationReport(kept=len(migration.kept), failed=[])
    for keeps in (False, True):
        steps = [step for step in migration.moves if step.keeps is keeps]
        done = _relocate(remote, steps, keeps=keeps, report=report, monitor=monitor)
        if keeps:
            report.copied += done
        else:
            report.moved += done
    if migration.duplicates:
        proven = list(_proven(remote, migration, layout))
        results = remove(remote, [(step.entry.path, step.entry.rev) for step in proven])
        report.deleted = sum(error is None for error in results.values())
        failures = [Failure(path, error) for path, error in results.items() if error is not None]
        report.failed += failures
        for failure in failures:
            monitor.failed(failure.path, failure.error)
    report.requests = (remote.wire.meter.read() - before).requests
    return report


def _relocate(remote: Remote, steps: list[Move], *, keeps: bool, report: MigrationReport, monitor: Monitor) -> int:
    done = 0
    answers = files.relocate(remote, [(step.entry.path, step.target) for step in steps], keep=keeps) if steps else []
    for step, answer in zip(steps, answers, strict=True):
        if isinstance(answer, HuracanError) and not _is_done(remote, step, answer):
            report.failed.append(Failure(step.entry.path, answer))
            monitor.failed(step.entry.path, answer)
        else:
            done += 1
            monitor.finished(step.target, step.entry.size)
    return done


def _is_done(remote: Remote, step: Move, error: HuracanError) -> bool:
    """Whether the refused step was taken before: the answer to an earlier attempt may have been lost."""
    if not isinstance(error, Conflict if step.keeps else NotFound):
        return False
    found = metadata(remote, step.target)
    return isinstance(found, FileMetadata) and bytes.fromhex(found.content_hash) == step.entry.content_hash


def _proven(remote: Remote, migration: Migration, layout: Layout) -> Iterator[Duplicate]:
    """The duplicates whose original is seen in its place now, with this very content."""
    originals = _originals(remote, migration, layout.root)
    for step in migration.duplicates:
        original = originals.get(fold(step.original))
        if original is not None and original.content_hash == step.entry.content_hash:
            yield step


def _originals(remote: Remote, migration: Migration, root: str) -> Mapping[str, Entry]:
    """What lies in the places of the originals now: what the plan saw there, and what has changed since."""
    moved, top = {fold(step.target) for step in migration.moves}, f"{fold(root)}/"
    # What already lay in its place is no change: the plan compared it with the duplicate, so its content is known.
    there = {fold(d.original): d.entry for d in migration.duplicates if fold(d.original) not in moved}
    for page in changes(remote, root, migration.cursor):
        inside = {key.removeprefix(top) for key in there if key.startswith(top)}
        for key in taken_back(page, inside, folders_of(inside)):
            del there[top + key]
        there |= {fold(join(root, entry.path)): entry for entry in page.files}
    return there
