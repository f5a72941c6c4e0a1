"""One restore of candles to where the loader looks for them, with the engine's answer to every conflict.

The other direction, and the rules both follow, are in `folder_sync`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from huracan_sync.disk.scan import scan
from huracan_sync.engine.folder_sync import Folder, everything_there, holds_more_there
from huracan_sync.errors import HuracanError
from huracan_sync.operations.places import newest
from huracan_sync.operations.restore import Restore, RestoreOptions
from huracan_sync.remote.parallel import several
from huracan_sync.signing.context import Context
from huracan_sync.transfer.compare import ChangeSet, hash_of
from huracan_sync.transfer.pair import Pair, never
from huracan_sync.transfer.progress import Failure
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.layout import candle_there, candle_view
from huracan_sync.tree.paths import RelPath, fold
from huracan_sync.tree.plan import ConflictKind, Copy

UNTOUCHED_S = 2.0
"""A damaged candle that nothing has touched for so long gives way at start-up."""


class Restored(msgspec.Struct):
    """What a restore pass came to."""

    downloaded: int = 0
    failed: list[Failure] = []
    kept_here: list[RelPath] = []
    """Files that differ and stay: work that Dropbox does not have yet."""
    found: bool = True
    """Whether there is such a folder in Dropbox."""


def restore_candles(context: Context, folder: Folder, *, stop: Callable[[], bool] = never) -> Restored:
    """Bring the candles of a remote folder to where the loader looks for them.

    Raises:
        Busy, NotAuthorized, Unavailable, TryLater: it ended early; run it again, it carries on.
    """
    result = Restored(failed=[], kept_here=[])
    proper = lambda path: folder.wants(path) and fold(candle_there(path)) == fold(path)  # noqa: E731 - one expression
    disk = candle_view(folder.local, takes_strays=False)
    with context.pair(disk, folder.remote) as pair:
        options = RestoreOptions(wanted=proper, untouched_s=UNTOUCHED_S, stop=stop)
        winners = _restore(Restore(context, pair, options), result, lambda changes: _winners(pair, folder, changes))
        result.found = pair.journal.cursor(pair.id) is not None
        if winners:
            _restore_from_other_places(context, pair, winners, result, stop)
    return result


def _restore(
    restore: Restore, result: Restored, elsewhere: Callable[[ChangeSet], dict[str, RelPath]] = lambda _: {}
) -> dict[str, RelPath]:
    """One pass, without the names that are to be taken from elsewhere; returns those."""
    pair, report = restore.pair, restore.report
    with pair.run("restore", report, wait_s=restore.options.wait_s):
        plan = restore.compare()
        taken_elsewhere = elsewhere(plan.changes)
        copies, conflicts = list(plan.steps.copies), []
        for conflict in plan.steps.conflicts:
            there, here, base = conflict.source, conflict.target, plan.changes.base.get(fold(conflict.path))
            if fold(conflict.path) in taken_elsewhere:
                continue
            if there is None or here is None or conflict.kind is ConflictKind.BLOCKED:
                conflicts.append(conflict)
            elif _lies_in_dropbox(pair, here) or (base is not None and holds_more_there(pair, here, there)):
                copies.append(Copy(there, here))
            else:
                result.kept_here.append(conflict.path)
        copies = [step for step in copies if fold(step.path) not in taken_elsewhere]
        restore.download(plan.with_steps(copies=tuple(copies), conflicts=tuple(conflicts)))
        report.skipped = plan.changes.unchanged + len(plan.steps.agreements)
    result.downloaded += report.downloaded
    result.failed += report.failed
    return taken_elsewhere


def _lies_in_dropbox(pair: Pair, here: Entry) -> bool:
    """Whether a local candle's very content lies in Dropbox, in another of its places: it is no work of our own."""
    name = fold(candle_there(here.path))
    alike = [e for e in everything_there(pair) if e.size == here.size and fold(candle_there(e.path)) == name]
    if not alike:
        return False
    try:
        digest = here.content_hash or hash_of(pair.disk, here.path)
    except HuracanError:
        return False
    return any(entry.content_hash == digest for entry in alike)


def _winners(pair: Pair, folder: Folder, changes: ChangeSet) -> dict[str, RelPath]:
    """Of candles that lie in several places, or only in those of earlier writers: which to take, by the proper name.

    What is signed wins over what anybody may have put there. Else the copy that was written last, wherever it lies; the
    proper place on a tie, or where all are alike.
    """
    groups: dict[str, list[Entry]] = {}
    for entry in everything_there(pair):
        if folder.wants(entry.path) and fold(candle_there(entry.path)) not in changes.signed:
            groups.setdefault(fold(candle_there(entry.path)), []).append(entry)
    for name, entries in groups.items():
        groups[name] = [entry for entry in entries if changes.is_signed(fold(entry.path), entry)] or entries
    asked = {name: entries for name, entries in groups.items() if not _is_settled(name, entries)}
    found = several(lambda item: newest(pair, *item), asked.items())
    return {name: entry.path for name, entry in zip(asked, found, strict=True) if fold(entry.path) != name}


def _is_settled(name: str, entries: list[Entry]) -> bool:
    """Whether the copy in the proper place is the one to take, without asking when any was written."""
    is_there = any(fold(entry.path) == name for entry in entries)
    return is_there and len({entry.content_hash for entry in entries}) == 1


def _restore_from_other_places(
    context: Context, pair: Pair, winners: dict[str, RelPath], result: Restored, stop: Callable[[], bool]
) -> None:
    """The same folder once more, its candles known by the places they are taken from."""
    disk = candle_view(pair.local, takes_strays=False)
    proper_name = disk.there
    disk = msgspec.structs.replace(
        disk, there=lambda path: winners.get(fold(proper_name(path)), proper_name(path)), strays={}
    )
    wanted = {fold(path) for path in winners.values()}
    again = Pair(disk, pair.root, remote=pair.remote, journal=pair.journal, monitor=pair.monitor)
    options = RestoreOptions(wanted=lambda path: fold(path) in wanted, untouched_s=UNTOUCHED_S, stop=stop)
    _restore(Restore(context, again, options), result)


def let_writers_finish(
    local: Path, *, clock: Callable[[], float] = time.time, sleep: Callable[[float], None] = time.sleep
) -> None:
    """A candle without its footer gives way to Dropbox's, unless somebody is still writing it: let a moment pass.

    At start-up nobody writes yet, so this waits only when a half-written file is there and was touched just now.
    """
    if not local.is_dir():
        return
    for path, stamp in scan(local, wanted=lambda path: path.endswith(".parquet")).files.items():
        age = clock() - stamp.ctime_ns / 1e9
        if age < UNTOUCHED_S and not _ends_well(local / path, stamp.size):
            sleep(max(0.0, min(UNTOUCHED_S, UNTOUCHED_S - age)) + 0.05)
            return


def _ends_well(path: Path, size: int) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(max(0, size - 4))
            return file.read(4) == b"PAR1"
    except OSError:
        return True
