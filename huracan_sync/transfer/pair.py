"""A local folder and a remote one, kept in step by runs that never overlap. What push and restore share."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import msgspec

from huracan_sync.disk.files import Root
from huracan_sync.disk.lock import hold
from huracan_sync.errors import Conflict, HuracanError, UsageError
from huracan_sync.manifest.locations import is_ours
from huracan_sync.manifest.scope import scope_of
from huracan_sync.remote.client import Remote
from huracan_sync.transfer.compare import Ahead, ChangeSet, ManifestEntries, find_changes
from huracan_sync.transfer.journal import Journal, Origin, Run, Synced
from huracan_sync.transfer.journal.runs import Runs, lock_of
from huracan_sync.transfer.progress import DECISIONS, UNCHANGED, Failure, Monitor
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.paths import fold, remote_root
from huracan_sync.tree.plan import Conflict as PlannedConflict
from huracan_sync.tree.plan import Plan


class Report(msgspec.Struct):
    """What a run came to."""

    skipped: int = 0
    """Files that were in step already."""
    deleted: int = 0
    failed: list[Failure] = []
    """Files that are not in step, each with its typed error; conflicts are among them."""
    requests: int = 0
    """Calls of the API."""
    sequence: int = 0
    """Of the manifest that is current or was restored; 0 without one. Files in `failed` are not as it lists them."""

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {**msgspec.structs.asdict(self), "failed": [failure.as_dict() for failure in self.failed]}


def conflict_as_failure(conflict: PlannedConflict, hint: str, *, here: Entry | None, there: Entry | None) -> Failure:
    """What a plan leaves to a person, with the facts: what lies on this disk and what in Dropbox; None for nothing."""
    facts: dict[str, Any] = {
        "local_size": here.size if here else None,
        "remote_size": there.size if there else None,
        "remote_content_hash": there.content_hash.hex() if there else None,
        "remote_rev": there.rev if there else None,
    }
    return Failure(conflict.path, Conflict(f"{conflict.path}: {conflict.why}", hint=hint, path=conflict.path, **facts))


def never() -> bool:
    """Nobody asks this run to end."""
    return False


class Options(msgspec.Struct, frozen=True):
    """How to bring one side to the other. The defaults lose nothing."""

    delete: bool = False
    """Remove from the following side what was synced and is gone from the leading one."""
    overwrite: bool = False
    """Let the leading side win where both sides differ."""
    force: bool = False
    """Go on although a guard objects: an emptied tree, a vanished folder."""
    wanted: Callable[[str], bool] | None = None
    """Which relative paths take part; None: all."""
    stop: Callable[[], bool] = never
    """Whether to end here, asked before anything new begins. What is under way is finished."""
    wait_s: float = 60.0
    """How long to wait for another process that works on the same pair."""
    executor: Any = None
    """Any object with `submit` or `map`, whose workers see the same disk: they carry the bytes."""


class PairPlan(msgspec.Struct, frozen=True):
    """What a run would do with a pair, and the differences that it was decided by."""

    changes: ChangeSet
    steps: Plan
    renamed: Mapping[str, str] = {}
    """Of the copies those whose content lies in Dropbox already, each with the path that it is copied from there."""

    @property
    def problems(self) -> list[HuracanError]:
        """What could not be read on the disk, and what lies in Dropbox under names that no disk may hold."""
        return [*(problem.error for problem in self.changes.problems), *self.changes.refused]

    def only_deletes(self) -> Self:
        """What is left of the plan when everything was copied."""
        changes = msgspec.structs.replace(self.changes, base={}, here={}, there={}, stamps={}, kinds={}, synced={})
        return type(self)(changes, Plan(deletes=self.steps.deletes))

    def with_steps(self, **changed: object) -> Self:
        """The same plan with other copies, deletes or conflicts."""
        return msgspec.structs.replace(self, steps=msgspec.structs.replace(self.steps, **changed))


def _plain(folder: Path) -> Path:
    """One spelling for what is known of a folder. A link to it stays one: it may lead elsewhere another time."""
    return folder.resolve() if ".." in folder.parts else folder.absolute()


class Pair:
    """One local folder and one remote one, as this machine's journal knows them."""

    def __init__(
        self,
        local: str | Path | FolderView,
        remote_folder: str,
        *,
        remote: Remote,
        journal: Journal,
        monitor: Monitor,
    ) -> None:
        self.local = _plain(local.path if isinstance(local, FolderView) else Path(local))
        self.disk: Root = local if isinstance(local, FolderView) else self.local
        self.root = remote_root(remote_folder)
        self.remote = remote
        self.journal = journal
        self.monitor = monitor
        known_as = Path(f"{self.local}?{local.name}") if isinstance(local, FolderView) else self.local
        self.id = journal.pair(remote.place, known_as, self.root)

    @contextmanager
    def run(self, verb: str, report: Report, *, wait_s: float) -> Iterator[Self]:
        """Hold the pair alone while the block runs, and leave for `status` how it went.

        Raises:
            Busy: another process holds it still after `wait_s`.
        """
        before = self.remote.wire.meter.read()
        lock = lock_of(self.journal.home, self.id)
        with hold(lock, what=f"{self.local} and {self.root}", wait_s=wait_s, observe=self.monitor.note):
            Runs(self.journal).begin(self.remote.place, self.root, verb, local=str(self.local), pair=self.id)
            try:
                yield self
            except HuracanError as error:
                self._note(verb, report, error.as_dict())
                raise
            except BaseException as error:  # a signal: what was begun and not ended is shown by `status`
                with suppress(HuracanError):
                    words = f"interrupted ({type(error).__name__}); run it again, it carries on"
                    self._note(verb, report, {"error": "Interrupted", "message": words})
                raise
            finally:
                report.requests = (self.remote.wire.meter.read() - before).requests
            self._note(verb, report, None)

    def _note(self, verb: str, report: Report, error: dict[str, Any] | None) -> None:
        now = self.journal.clock()
        facts = {**report.as_dict(), "local": str(self.local)}
        if error is not None:
            facts["error"] = error
        good = error is None and not report.failed
        Runs(self.journal).end(self.remote.place, Run(self.root, verb, now, now if good else None, facts))

    def find_changes(
        self,
        options: Options,
        *,
        local_may_miss: bool = False,
        manifest: ManifestEntries | None = None,
        ahead: Ahead | None = None,
    ) -> ChangeSet:
        """Both sides, where they differ from what was synced."""
        return find_changes(
            self.remote,
            self.journal,
            pair=self.id,
            local_root=self.disk,
            remote_root=self.root,
            wanted=self.wanted(options.wanted),
            local_may_miss=local_may_miss,
            manifest=manifest,
            ahead=ahead,
        )

    def wanted(self, asked: Callable[[str], bool] | None) -> Callable[[str], bool] | None:
        """What takes part: never this machine's state; in the root folder itself the signed things do not either."""
        is_root = not scope_of(self.root, self.remote.root).prefix
        home, local = (Path(os.path.realpath(folder)) for folder in (self.journal.home, self.local))
        if home == local:
            message = f"{self.local} holds this machine's own state; it is for no other place"
            raise UsageError(message, hint="name the folder that holds the data", path=str(local))
        state = fold(f"{home.relative_to(local).as_posix()}/") if home.is_relative_to(local) else ""
        if not is_root and not state:
            return asked

        def takes_part(path: str) -> bool:
            if (is_root and is_ours(path)) or (state and fold(path).startswith(state)):
                return False
            return asked is None or asked(path)

        return takes_part

    def told(self, plan: PairPlan, wanted: Callable[[str], bool] | None, *, is_push: bool) -> PairPlan:
        """The plan, of which the log was told why each file moves or stays, where anybody listens."""
        if any(logging.getLogger(name).isEnabledFor(logging.DEBUG) for name in (DECISIONS, UNCHANGED)):
            from huracan_sync.transfer.decisions import Direction, log_decisions  # noqa: PLC0415 - start-up counts

            direction = Direction.PUSH if is_push else Direction.RESTORE
            log_decisions(plan.changes, plan.steps, direction, wanted=wanted)
        return plan

    def settle(self, plan: PairPlan) -> None:
        """Note what both sides hold alike already: found so by the plan, or only touched on disk."""
        changes, steps = plan.changes, plan.steps

        def synced(key: str, entry: Entry) -> Synced:
            # Equal bytes on both sides say nothing about who made them. The journal keeps what it knew to be better.
            origin = Origin.SIGNED if changes.is_signed(key, entry) else changes.own.get(key, Origin.UNSIGNED)
            return Synced(entry, changes.stamps.get(key), changes.kinds.get(key), origin)

        forgotten = [step.path for step in steps.agreements if step.entry is None]
        learned = [
            synced(key, changes.there.get(key, step.entry))
            for step in steps.agreements
            for key in (fold(step.path),)
            if step.entry is not None
        ]
        planned = {fold(path) for path in steps.paths()}
        for key, stamp in changes.stamps.items():
            here, there = changes.here.get(key), changes.there.get(key)
            if here is None or there is None or key in planned or here.content_hash != there.content_hash:
                continue
            # Only touched on this disk; or committed by a run of ours that was cut before it could note it.
            known, new = changes.synced.get(key), synced(key, there)
            if known is None or (known.entry, known.stamp) != (there, stamp) or new.origin < known.origin:
                learned.append(new)
        if learned:
            self.journal.learn(self.id, learned)
        if forgotten:
            self.journal.forget(self.id, forgotten)

    def report_failures(self, failures: list[Failure], report: Report) -> None:
        """Add files that will not be in step, and tell the monitor."""
        report.failed += failures
        for failure in failures:
            self.monitor.failed(failure.path, failure.error)
