"""Restore: bring a local folder to what a remote folder, or a verified snapshot of it, holds.

One-way: Dropbox leads. A local file that was changed here is a conflict and stays; what only the disk has is left
alone. One exception: a parquet without a readable footer, untouched for a minute, is no file anybody could use, and
gives way. Restoring twice moves nothing, and pushing afterwards sends nothing back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from huracan_sync.errors import Conflict as ConflictError
from huracan_sync.errors import HuracanError
from huracan_sync.journal import Journal, Run, Synced
from huracan_sync.local import Reading, remove
from huracan_sync.lock import hold
from huracan_sync.paths import fold, remote_root
from huracan_sync.plan import Conflict, Plan, plan
from huracan_sync.remote.client import Remote
from huracan_sync.survey import Survey, survey
from huracan_sync.transfer.crew import Crew
from huracan_sync.transfer.download import Download, DownSite
from huracan_sync.transfer.progress import Failure, Monitor, Silent
from huracan_sync.transfer.whole import check_whole
from huracan_sync.tree import Entry

UNTOUCHED_S = 60.0
"""A damaged file younger than this may still be written."""


class RestoreReport(msgspec.Struct):
    """What a restore came to."""

    downloaded: int = 0
    skipped: int = 0
    """Files that were there already."""
    deleted: int = 0
    failed: list[Failure] = []
    """Files that are not in step, each with its typed error; conflicts are among them."""
    bytes_received: int = 0
    """Bytes of file content that came over the wire."""
    requests: int = 0
    """Calls of the API."""
    sequence: int = 0
    """The sequence of the verified manifest that was restored; 0 when it was a plain listing."""

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {**msgspec.structs.asdict(self), "failed": [failure.as_dict() for failure in self.failed]}


class Snapshot(msgspec.Struct, frozen=True):
    """What a verified manifest says about a folder: entries relative to it, and the block digests it knows."""

    entries: list[Entry]
    blocks: Mapping[str, bytes] = {}
    """By `fold(path)`."""
    sequence: int = 0


class RestoreOptions(msgspec.Struct, frozen=True):
    """How to restore. The defaults lose nothing."""

    delete: bool = False
    """Remove from the disk what was synced and is gone from Dropbox."""
    overwrite: bool = False
    """Let Dropbox win where the disk holds other content."""
    force: bool = False
    """Go on although a guard objects."""
    wanted: Callable[[str], bool] | None = None
    """Which relative paths take part; None: all."""
    snapshot: Snapshot | None = None
    """Restore exactly this, instead of what lies in Dropbox now."""
    wait_s: float = 60.0
    """How long to wait for another process that works on the same pair."""


class Restorer:
    """One restore of one pair. `look` first; `transfer` carries out what it found."""

    def __init__(
        self,
        remote_folder: str,
        local: Path,
        *,
        remote: Remote,
        journal: Journal,
        options: RestoreOptions,
        monitor: Monitor | None = None,
    ) -> None:
        self.local = local.absolute()
        self.root = remote_root(remote_folder)
        self.remote = remote
        self.journal = journal
        self.options = options
        self.monitor = monitor or Silent()
        self.pair = journal.pair(remote.place, self.local, self.root)
        self.report = RestoreReport(sequence=options.snapshot.sequence if options.snapshot else 0)

    def look(self) -> tuple[Survey, Plan]:
        """What would have to happen. Writes nothing but the journal."""
        snapshot = self.options.snapshot
        seen = survey(
            self.remote,
            self.journal,
            pair=self.pair,
            local_root=self.local,
            remote_root=self.root,
            wanted=self.options.wanted,
            local_may_miss=True,
            snapshot=snapshot.entries if snapshot else None,
        )
        made = plan(
            seen.base,
            seen.there,
            seen.here,
            delete=self.options.delete,
            overwrite=self.options.overwrite,
            unclear=seen.unclear,
        )
        damaged = {fold(c.path): c for c in made.conflicts if c.target and self._is_damaged(c, seen)}
        if damaged:
            for key, conflict in damaged.items():
                if conflict.target:
                    seen.base[key] = conflict.target
            made = plan(
                seen.base,
                seen.there,
                seen.here,
                delete=self.options.delete,
                overwrite=self.options.overwrite,
                unclear=seen.unclear,
            )
        return seen, made

    def _is_damaged(self, conflict: Conflict, seen: Survey) -> bool:
        stamp = seen.stamps.get(fold(conflict.path))
        if stamp is None or time.time() - stamp.mtime_ns / 1e9 < UNTOUCHED_S:
            return False
        try:
            with Reading(self.local, conflict.path) as reading:
                check_whole(reading)
        except HuracanError:
            return conflict.path.lower().endswith(".parquet")
        return False

    def guard(self, seen: Survey, made: Plan) -> None:
        """Stop before a byte moves when the world looks wrong.

        Raises:
            Conflict: a guard objects.
        """
        if made.deletes and seen.remote_vanished and not self.options.force:
            raise ConflictError(
                f"the remote folder {self.root or '/'} held {len(seen.synced)} synced files and is gone or empty; "
                "nothing was deleted on this disk",
                hint="was it moved or deleted? If it is meant, run again with --force",
            )

    def transfer(self, seen: Survey, made: Plan) -> list[Synced]:
        """Download what the plan says; what is synced now and was not."""
        self._settle_agreements(seen, made)
        self.report.failed += [Failure(p.path, p.error) for p in seen.problems]
        self.report.failed += [Failure(str(e.facts.get("path", "")), e) for e in seen.refused]
        self.report.failed += [_as_failure(c) for c in made.conflicts]
        for failure in self.report.failed:
            self.monitor.failed(failure.path, failure.error)
        if not made.copies:
            return []
        self.monitor.planned(len(made.copies), made.bytes_to_copy)
        before = self.remote.wire.meter.read()
        scratch = self.journal.home / "scratch"
        scratch.mkdir(exist_ok=True, mode=0o700)
        with Crew() as crew:
            site = DownSite(
                self.remote,
                self.journal,
                self.pair,
                self.local,
                self.root,
                self.monitor,
                crew,
                scratch,
                seen.stamps,
                self.options.snapshot.blocks if self.options.snapshot else {},
            )
            outcome = Download(site).run(made.copies, self._everything_there(seen))
        self.report.bytes_received += (self.remote.wire.meter.read() - before).bytes_received
        self.report.downloaded += len(outcome.done)
        self.report.failed += outcome.failures
        if outcome.stopped:
            raise outcome.stopped
        return outcome.done

    def _everything_there(self, seen: Survey) -> Iterable[Entry]:
        unchanged = (item.entry for key, item in seen.synced.items() if key not in seen.there)
        return [*seen.there.values(), *unchanged]

    def delete(self, seen: Survey, made: Plan) -> None:
        """Carry out the deletions, each only if the file is still in the state that was synced."""
        gone = []
        for step in made.deletes:
            item = seen.synced[fold(step.path)]
            try:
                remove(self.local, step.path, stamp=seen.stamps.get(fold(step.path), item.stamp))
                gone.append(step.path)
            except HuracanError as error:
                self.report.failed.append(Failure(step.path, error))
        if gone:
            self.journal.forget(self.pair, gone)
            self.report.deleted += len(gone)

    def _settle_agreements(self, seen: Survey, made: Plan) -> None:
        learned = [
            Synced(seen.there.get(fold(step.path), step.entry), seen.stamps.get(fold(step.path)))
            for step in made.agreements
            if step.entry is not None
        ]
        forgotten = [step.path for step in made.agreements if step.entry is None]
        if learned:
            self.journal.learn(self.pair, learned)
        if forgotten:
            self.journal.forget(self.pair, forgotten)


def _as_failure(conflict: Conflict) -> Failure:
    return Failure(
        conflict.path,
        ConflictError(
            f"{conflict.path}: {conflict.why}",
            hint="the local file stays; push it, or run again with --overwrite to let Dropbox win",
            path=conflict.path,
        ),
    )


def restore(
    remote_folder: str,
    local: str | Path,
    *,
    remote: Remote,
    home: Path,
    options: RestoreOptions | None = None,
    monitor: Monitor | None = None,
) -> RestoreReport:
    """Bring `local` to what `remote_folder` holds.

    Raises:
        UsageError: a name is impossible, or a file stands where the folder must be.
        Conflict: a guard stopped it before a byte moved.
        Busy: another process works on the same pair.
        NotAuthorized, Unavailable, TryLater: it ended early; run it again, it carries on.
    """
    options, monitor = options or RestoreOptions(), monitor or Silent()
    before = remote.wire.meter.read()
    with Journal(home) as journal:
        one = Restorer(remote_folder, Path(local), remote=remote, journal=journal, options=options, monitor=monitor)
        lock = home / "locks" / f"pair-{one.pair}.lock"
        with hold(lock, what=f"{one.local} and {one.root}", wait_s=options.wait_s, observe=monitor.note):
            try:
                seen, made = one.look()
                one.guard(seen, made)
                one.transfer(seen, made)
                one.delete(seen, made)
                one.report.skipped = seen.unchanged + len(made.agreements)
            except HuracanError as error:
                _note_run(one, error)
                raise
            one.report.requests = (remote.wire.meter.read() - before).requests
            _note_run(one, None)
    return one.report


def _note_run(one: Restorer, error: HuracanError | None) -> None:
    now = time.time()
    good = error is None and not one.report.failed
    report: dict[str, object] = one.report.as_dict()
    if error is not None:
        report["error"] = error.as_dict()
    one.journal.note_run(one.remote.place, Run(one.root, "restore", now, now if good else None, report))
