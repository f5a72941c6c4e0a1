"""One push of a folder, with the engine's answer to every conflict.

The disk leads a push, Dropbox a restore, and neither loses work (three ways: here, there, what was last synced):

    nothing is known of an earlier sync     a whole local file is taken as the newer one
    changed only there, since the last sync it is left there (a push does not put old content over new)
    changed on both sides, candles          the file with more rows wins, where both can be read: the other had fewer
    changed on both sides, anything else    the other revision is copied beside it (`.conflict-<hash>`), then replaced

Content that lies in Dropbox already (yesterday's folder, an older place of a candle) is copied there, not sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import msgspec

from huracan_sync.disk.files import Stamp
from huracan_sync.engine.candles import facts_here, facts_there
from huracan_sync.errors import CallRefused, HuracanError, ServiceFault, Stopped, UsageError
from huracan_sync.errors import Conflict as ConflictError
from huracan_sync.operations.push import Push, PushOptions, PushReport
from huracan_sync.remote import files
from huracan_sync.remote.listing import entry_of
from huracan_sync.signing.context import Context
from huracan_sync.transfer.compare import ChangeSet, hash_of
from huracan_sync.transfer.journal import Origin, Synced
from huracan_sync.transfer.pair import Pair, PairPlan, never
from huracan_sync.transfer.progress import Failure, Monitor
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.filters import IGNORE_FILE, Filters, Rule
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.layout import Layout, candle, candle_there, candle_view
from huracan_sync.tree.paths import RelPath, below, check, fold, join
from huracan_sync.tree.plan import ConflictKind, Copy

FILTERED = "a filter leaves it out"
TARGETS_KEPT = 2
"""How many earlier remote folders of one local folder the journal remembers: yesterday's, and one more."""


class Folder(msgspec.Struct, frozen=True):
    """Which files of a local folder go where."""

    local: Path
    remote: str
    """Absolute. The folder of candles, or one below it, when `view`."""
    patterns: tuple[str, ...] = ("*",)
    recursive: bool = True
    view: FolderView | None = None
    """How its files are called in Dropbox, when otherwise."""
    filters: Filters | None = None
    """What the settings, and the ignore file at its top, leave out."""

    def wants(self, path: str) -> bool:
        """Whether a relative path is one of its files: any pattern matches its end, as `rglob` does."""
        return self._matches(path) and (self.filters is None or self.filters(path))

    def _matches(self, path: str) -> bool:
        pure = PurePosixPath(path)
        if not self.recursive:
            return any(len(pure.parts) == len(PurePosixPath(p).parts) and pure.match(p) for p in self.patterns)
        return any(pure.match(pattern.removeprefix("**/")) for pattern in self.patterns)


def folder_at(
    layout: Layout,
    local: Path,
    remote: str,
    *,
    patterns: tuple[str, ...] = ("*",),
    recursive: bool = True,
    rules: tuple[Rule, ...] = (),
) -> Folder:
    """A folder to be synced to a remote path; candles go to their one place, whatever folder they are sent to.

    Raises:
        UsageError: a rule, or the ignore file at its top, cannot be read.
    """
    local = local.absolute()
    folder = _folder_at(layout, local, remote, patterns, recursive=recursive)
    return msgspec.structs.replace(folder, filters=filters_at(local, rules))


def filters_at(local: Path, rules: tuple[Rule, ...]) -> Filters | None:
    """What the settings, and the ignore file at its top, leave out of a folder, whichever way it is synced.

    Raises:
        UsageError: a rule, or the ignore file, cannot be read.
    """
    ignore = _ignore_file(local)
    return Filters(rules, ignore=ignore) if rules or ignore else None


def _ignore_file(local: Path) -> str:
    file = local / IGNORE_FILE
    try:
        return file.read_text(encoding="utf-8") if file.is_file() else ""
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}", path=str(file)) from error
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not UTF-8 text", path=str(file)) from None


def _folder_at(layout: Layout, local: Path, remote: str, patterns: tuple[str, ...], *, recursive: bool) -> Folder:
    inner = below(layout.candles, remote)
    if inner is None:
        return Folder(local, remote, patterns, recursive)
    if not inner:
        return Folder(local, layout.candles, patterns, recursive, candle_view(local))

    def there(path: str) -> RelPath:
        return candle_there(path) if candle(path) else check(f"{inner}/{path}")

    def here(path: str) -> RelPath:
        return RelPath(path.rpartition("/")[2]) if candle(path) else RelPath(path.removeprefix(f"{inner}/"))

    return Folder(local, layout.candles, patterns, recursive, FolderView(local, f"candles/{inner}", there, here))


class Passed(msgspec.Struct):
    """What a push pass came to."""

    report: PushReport
    newer_there: list[RelPath] = []
    """Files somebody else changed in Dropbox, and nobody here: left as they are."""
    copied: int = 0
    """Files that were copied inside Dropbox instead of sent; they count as uploaded."""
    left_out: dict[str, str] = {}
    """What lies on the disk and is not synced, and is no failure: path to why."""
    declined: list[str] = []
    """Files on the disk that the patterns do not take."""
    unsigned: HuracanError | None = None
    """Why what is in step could not be signed; everything lies in Dropbox all the same."""

    @property
    def in_step(self) -> int:
        """How many files are known to be identical on both sides."""
        return self.report.uploaded + max(0, self.report.skipped - len(self.newer_there))


class _Counting(Monitor):
    """Counts the bytes of one pass; the login's own meter counts those of all that run beside it."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self.bytes = 0

    def planned(self, files: int, size: int) -> None:
        self._monitor.planned(files, size)

    def moved(self, size: int) -> None:
        self.bytes += size
        self._monitor.moved(size)

    def finished(self, path: str, size: int) -> None:
        self._monitor.finished(path, size)

    def failed(self, path: str, error: HuracanError) -> None:
        self._monitor.failed(path, error)

    def note(self, sentence: str) -> None:
        self._monitor.note(sentence)


def push_folder(
    context: Context,
    folder: Folder,
    *,
    refuse: Callable[[Path], None] | None = None,
    stop: Callable[[], bool] = never,
    sign: bool = False,
    parquet_metadata: bool = False,
) -> Passed:
    """Bring what the folder holds to Dropbox. Nothing is deleted there.

    Args:
        context: the login, the state folder, the key and the monitor.
        folder: what goes where.
        refuse: asked with every file that would be sent; raises when it must not be.
        stop: asked before anything is begun: whether to end here.
        sign: sign a manifest of what is in step then, in the channel called as the remote folder.
        parquet_metadata: keep the `_metadata` file of the parquet dataset that the folder is.

    Raises:
        UsageError: there is no such folder.
        Busy, NotAuthorized, Unavailable, TryLater: it ended early; run it again, it carries on.
    """
    options = PushOptions(wanted=folder.wants, stop=stop, parquet_metadata=parquet_metadata)
    counting = _Counting(context.monitor)
    with context.watched_by(counting).pair(folder.view or folder.local, folder.remote) as pair:
        push = Push(context, pair, options)
        passed = Passed(push.report)
        with pair.run("push", push.report, wait_s=options.wait_s):
            plan = push.compare()
            passed.left_out, passed.declined = plan.changes.left_out, plan.changes.declined
            passed.left_out |= dict.fromkeys(folder.filters.left_out if folder.filters else (), FILTERED)
            plan = _settled(pair, plan, passed)
            plan = _without_refused(pair, plan, refuse, push.report)
            plan = _Adopting(pair, plan.changes, folder, passed).adopt(plan)
            push.upload(plan)
            push.add_metadata(plan)
            push.report.bytes_sent = max(0, counting.bytes)
            if sign:
                passed.unsigned = _signed(push, plan)
            push.count_skipped(plan)
    return passed


def _signed(push: Push, plan: PairPlan) -> HuracanError | None:
    """Sign a manifest of what both sides hold alike; why not, when it could not be."""
    try:
        push.sign(plan)
    except Stopped:
        raise
    except HuracanError as error:
        return error
    return None


def _without_refused(pair: Pair, plan: PairPlan, refuse: Callable[[Path], None] | None, report: PushReport) -> PairPlan:
    if refuse is None:
        return plan
    allowed = []
    for step in plan.steps.copies:
        try:
            refuse(pair.local / step.path)
            allowed.append(step)
        except HuracanError as error:
            pair.report_failures([Failure(step.path, error)], report)
    return plan.with_steps(copies=tuple(allowed))


# --- conflicts --------------------------------------------------------------------------------------------------


def _settled(pair: Pair, plan: PairPlan, passed: Passed) -> PairPlan:
    """The plan with the engine's answers to its conflicts."""
    copies, conflicts = list(plan.steps.copies), []
    for conflict in plan.steps.conflicts:
        here, there, base = conflict.source, conflict.target, plan.changes.base.get(fold(conflict.path))
        if here is None or there is None or conflict.kind is ConflictKind.BLOCKED:
            conflicts.append(conflict)
        elif base is None:
            copies.append(Copy(here, there))
        elif base.content_hash == here.content_hash or holds_more_there(pair, here, there):
            passed.newer_there.append(conflict.path)
        elif _holds_as_much_here(pair, here, there) or _kept_beside(pair, there):
            copies.append(Copy(here, there))
        else:
            conflicts.append(conflict)
    copies.sort(key=lambda step: step.path)
    return plan.with_steps(copies=tuple(copies), conflicts=tuple(conflicts))


def _holds_as_much_here(pair: Pair, here: Entry, there: Entry) -> bool:
    """Whether the candle here is known to have as many rows as the one in Dropbox, and as late ones."""
    if not here.path.endswith(".parquet"):
        return False
    mine, theirs = facts_here(pair.disk, here.path), facts_there(pair.remote, there)
    return mine is not None and theirs is not None and mine >= theirs


def holds_more_there(pair: Pair, here: Entry, there: Entry) -> bool:
    """Whether the candle in Dropbox has more rows, or later ones, than the local file."""
    if not here.path.endswith(".parquet"):
        return False
    mine, theirs = facts_here(pair.disk, here.path), facts_there(pair.remote, there)
    return mine is not None and theirs is not None and theirs > mine


def _kept_beside(pair: Pair, there: Entry) -> bool:
    """Copy the revision that will be replaced beside its place; whether it lies there now."""
    path = join(pair.root, there.path)
    beside = f"{path}.conflict-{there.content_hash.hex()[:12]}"
    try:
        kept = files.copy(pair.remote, path, beside)
    except ConflictError:
        return True  # the same content was kept before: the name says which it is
    return kept.content_hash == there.content_hash.hex()


# --- content that is there already ------------------------------------------------------------------------------


class _Source(NamedTuple):
    """Content in Dropbox that can be copied."""

    path: str
    """Absolute."""
    entry: Entry
    """What will lie at the target."""
    origin: Origin
    """A copy comes from where its source comes from."""


class _Adopting:
    """Copies inside Dropbox what lies there under another path."""

    def __init__(self, pair: Pair, changes: ChangeSet, folder: Folder, passed: Passed) -> None:
        self._pair = pair
        self._changes = changes
        self._folder = folder
        self._passed = passed

    def adopt(self, plan: PairPlan) -> PairPlan:
        """The plan without what could be copied."""
        new = [step for step in plan.steps.copies if step.replaces is None]
        found = {} if not new else self._older_places(new) if self._folder.view else self._yesterday(new)
        if not found:
            return plan
        pair, steps = self._pair, list(found)
        copied = [(each.entry, each.origin) for each in found.values()]
        pair.journal.intend(pair.id, copied)
        sources = [(each.path, join(pair.root, step.path)) for step, each in found.items()]
        try:
            answers = files.relocate(pair.remote, sources, keep=True)
        except (CallRefused, ServiceFault):
            return plan  # it only saves sending
        done: list[Synced] = []
        for step, (entry, origin), answer in zip(steps, copied, answers, strict=True):
            if isinstance(answer, HuracanError) or answer.content_hash != entry.content_hash.hex():
                continue  # then it is sent
            done.append(Synced(entry_of(step.path, answer), self._changes.stamps.get(fold(step.path)), origin=origin))
            pair.monitor.finished(step.path, step.entry.size)
        pair.journal.learn(pair.id, done)
        self._passed.copied += len(done)
        self._passed.report.uploaded += len(done)
        settled = {fold(item.entry.path) for item in done}
        return plan.with_steps(copies=tuple(s for s in plan.steps.copies if fold(s.path) not in settled))

    def _yesterday(self, new: Iterable[Copy]) -> dict[Copy, _Source]:
        """Files whose very state was synced to the same folder of an earlier day."""
        journal, pair = self._pair.journal, self._pair
        name = pair.root.rpartition("/")[2]
        earlier = [(id_, root) for id_, root in journal.earlier_targets(pair.id) if root.endswith(f"/{fold(name)}")]
        journal.drop_pairs([id_ for id_, _ in earlier[TARGETS_KEPT:]])
        if not earlier:
            return {}
        found: dict[Copy, _Source] = {}
        id_, root = earlier[0]
        synced = journal.synced(id_)
        for step in new:
            known = synced.get(fold(step.path))
            if known and known.stamp is not None and known.stamp == self._changes.stamps.get(fold(step.path)):
                found[step] = _Source(join(root, known.entry.path), known.entry, known.origin)
        return found

    def _older_places(self, new: Iterable[Copy]) -> dict[Copy, _Source]:
        """Candles whose content lies in a place where earlier writers put them."""
        pair = self._pair
        by_name: dict[str, list[Entry]] = {}
        for entry in everything_there(pair):
            by_name.setdefault(fold(candle_there(entry.path)), []).append(entry)
        synced = self._changes.synced
        found: dict[Copy, _Source] = {}
        for step in new:
            same_size = [e for e in by_name.get(fold(step.path), ()) if e.size == step.entry.size]
            digest = self._digest(step) if same_size else None
            for entry in same_size:
                if entry.content_hash == digest:
                    known = synced.get(fold(entry.path))
                    same = known is not None and known.entry.content_hash == entry.content_hash
                    origin = known.origin if known is not None and same else Origin.UNSIGNED
                    copied = msgspec.structs.replace(entry, path=step.path)
                    found[step] = _Source(join(pair.root, entry.path), copied, origin)
        return found

    def _digest(self, step: Copy) -> bytes | None:
        stamp: Stamp | None = self._changes.stamps.get(fold(step.path))
        try:
            return hash_of(self._pair.disk, step.path, stamp)
        except HuracanError:
            return None


def everything_there(pair: Pair) -> list[Entry]:
    """All files of the remote folder, as the journal knows them after a comparison."""
    there: dict[str, Entry | None] = {key: item.entry for key, item in pair.journal.synced(pair.id).items()}
    there |= pair.journal.remote_changes(pair.id)
    return [entry for entry in there.values() if entry is not None]
