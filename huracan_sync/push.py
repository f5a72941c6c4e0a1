"""Push: bring a remote folder to what a local folder holds.

    scan + listing -> plan (guards) -> transfer -> signed statement -> deletions

One-way: the disk leads. What somebody else changed in Dropbox is a conflict and stays; what only Dropbox has is left
alone. Deletions happen only when asked for, and last.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from huracan_sync.errors import Conflict as ConflictError
from huracan_sync.errors import HuracanError
from huracan_sync.journal import Journal, Run, Synced
from huracan_sync.lock import hold
from huracan_sync.paths import RelPath, fold, join, remote_root
from huracan_sync.plan import Plan, empties_the_tree, plan
from huracan_sync.remote.client import Remote
from huracan_sync.remote.listing import PAGE
from huracan_sync.remote.removing import remove
from huracan_sync.survey import Survey, learn_remote, survey
from huracan_sync.transfer.crew import Crew
from huracan_sync.transfer.progress import Failure, Monitor, Silent
from huracan_sync.transfer.upload import Upload
from huracan_sync.transfer.whole import check_whole
from huracan_sync.transfer.wish import Options, Site


class PushReport(msgspec.Struct):
    """What a push came to."""

    uploaded: int = 0
    skipped: int = 0
    """Files that were there already."""
    deleted: int = 0
    failed: list[Failure] = []
    """Files that are not in step, each with its typed error; conflicts are among them."""
    bytes_sent: int = 0
    """Bytes of file content that went over the wire."""
    requests: int = 0
    """Calls of the API."""
    sequence: int = 0
    """The sequence of the signed manifest that states all this; 0 when nothing was signed."""

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {**msgspec.structs.asdict(self), "failed": [failure.as_dict() for failure in self.failed]}


class PushOptions(msgspec.Struct, frozen=True):
    """How to push. The defaults lose nothing."""

    delete: bool = False
    """Remove in Dropbox what was synced and is gone from the disk."""
    overwrite: bool = False
    """Let the disk win where Dropbox holds other content; Dropbox keeps the old revision."""
    force: bool = False
    """Go on although a guard objects: an emptied tree, a vanished remote folder."""
    wanted: Callable[[str], bool] | None = None
    """Which relative paths take part; None: all."""
    transfer: Options = Options(check=check_whole, append_only=lambda path: path.endswith(".log"))
    wait_s: float = 60.0
    """How long to wait for another process that works on the same pair."""


class Pusher:
    """One push of one pair. `look` first; `run` carries out what it found."""

    def __init__(
        self,
        local: Path,
        remote_folder: str,
        *,
        remote: Remote,
        journal: Journal,
        options: PushOptions,
        monitor: Monitor | None = None,
    ) -> None:
        self.local = local.absolute()
        self.root = remote_root(remote_folder)
        self.remote = remote
        self.journal = journal
        self.options = options
        self.monitor = monitor or Silent()
        self.pair = journal.pair(remote.place, self.local, self.root)
        self.report = PushReport()

    def look(self) -> tuple[Survey, Plan]:
        """What would have to happen. Writes nothing but the journal."""
        seen = survey(
            self.remote,
            self.journal,
            pair=self.pair,
            local_root=self.local,
            remote_root=self.root,
            wanted=self.options.wanted,
        )
        made = plan(
            seen.base,
            seen.here,
            seen.there,
            delete=self.options.delete,
            overwrite=self.options.overwrite,
            unclear=seen.unclear,
        )
        return seen, made

    def guard(self, seen: Survey, made: Plan) -> None:
        """Stop before a byte moves when the world looks wrong.

        Raises:
            Conflict: a guard objects.
        """
        if self.options.force:
            return
        if made.deletes and empties_the_tree(base_count=len(seen.synced), source_count=seen.local_count):
            raise ConflictError(
                f"{self.local} held {len(seen.synced)} synced files and is empty now; nothing was deleted in Dropbox",
                hint="is the disk mounted? If it is meant, run again with --force",
            )
        if seen.remote_vanished and made.copies:
            raise ConflictError(
                f"the remote folder {self.root or '/'} held {len(seen.synced)} synced files and is gone or empty",
                hint="was it moved or deleted? To upload everything again, run with --force",
            )

    def transfer(self, seen: Survey, made: Plan) -> list[Synced]:
        """Upload what the plan says and settle what agrees already; what is synced now and was not."""
        self._settle_agreements(seen, made)
        self.report.failed += [Failure(p.path, p.error) for p in seen.problems]
        self.report.failed += [_as_failure(c.path, c.why, seen) for c in made.conflicts]
        for failure in self.report.failed:
            self.monitor.failed(failure.path, failure.error)
        if not made.copies:
            return []
        self.monitor.planned(len(made.copies), made.bytes_to_copy)
        before = self.remote.wire.meter.read()
        with Crew() as crew:
            site = Site(
                self.remote,
                self.journal,
                self.pair,
                self.local,
                self.root,
                self.options.transfer,
                self.monitor,
                crew,
            )
            outcome = Upload(site).run(made.copies)
        self.report.bytes_sent += (self.remote.wire.meter.read() - before).bytes_sent
        self.report.uploaded += len(outcome.done)
        self.report.failed += outcome.failures
        if outcome.stopped:
            raise outcome.stopped
        if len(outcome.done) > PAGE // 2:
            # The echo of a large push would cost the next one many pages; read it now, while all is known.
            learn_remote(self.remote, self.journal, self.pair, self.root, self.journal.synced(self.pair))
        return outcome.done

    def delete(self, made: Plan) -> None:
        """Carry out the deletions, each guarded by the revision that was synced."""
        if not made.deletes:
            return
        paths = {join(self.root, step.path): step for step in made.deletes}
        results = remove(self.remote, [(path, step.entry.rev) for path, step in paths.items()])
        gone = [step.path for path, step in paths.items() if results[path] is None]
        self.journal.forget(self.pair, gone)
        self.report.deleted += len(gone)
        for path, step in paths.items():
            error = results[path]
            if error is not None:
                self.report.failed.append(Failure(step.path, error))

    def _settle_agreements(self, seen: Survey, made: Plan) -> None:
        learned, forgotten = [], []
        for step in made.agreements:
            if step.entry is None:
                forgotten.append(step.path)
            else:
                learned.append(Synced(step.entry, seen.stamps.get(fold(step.path))))
        # Touched, but the same content: only the stamp is new.
        settled = {fold(step.path) for step in made.agreements} | {fold(step.path) for step in made.copies}
        for key, entry in seen.here.items():
            known = seen.synced.get(key)
            if (
                known
                and key not in settled
                and known.entry.content_hash == entry.content_hash
                and known.stamp != seen.stamps.get(key, known.stamp)
            ):
                learned.append(Synced(known.entry, seen.stamps[key]))
        if learned:
            self.journal.learn(self.pair, learned)
        if forgotten:
            self.journal.forget(self.pair, forgotten)


def _as_failure(path: RelPath, why: str, seen: Survey) -> Failure:
    there = seen.there.get(fold(path))
    return Failure(
        path,
        ConflictError(
            f"{path}: {why}",
            hint="look at both; with --overwrite the local file wins (Dropbox keeps the other revision)",
            path=path,
            remote_rev=there.rev if there else None,
        ),
    )


def push(
    local: str | Path,
    remote_folder: str,
    *,
    remote: Remote,
    home: Path,
    options: PushOptions | None = None,
    monitor: Monitor | None = None,
) -> PushReport:
    """Bring `remote_folder` to what `local` holds.

    Raises:
        UsageError: there is no such local folder, or a name is impossible.
        Conflict: a guard stopped it before a byte moved.
        Busy: another process works on the same pair.
        NotAuthorized, Unavailable, TryLater: it ended early; run it again, it carries on.
    """
    options, monitor = options or PushOptions(), monitor or Silent()
    before = remote.wire.meter.read()
    with Journal(home) as journal:
        one = Pusher(Path(local), remote_folder, remote=remote, journal=journal, options=options, monitor=monitor)
        lock = home / "locks" / f"pair-{one.pair}.lock"
        with hold(lock, what=f"{one.local} and {one.root}", wait_s=options.wait_s, observe=monitor.note):
            try:
                seen, made = one.look()
                one.guard(seen, made)
                one.transfer(seen, made)
                one.delete(made)
                one.report.skipped = seen.local_count - one.report.uploaded
            except HuracanError as error:
                note_run(one, "push", error)
                raise
            one.report.requests = (remote.wire.meter.read() - before).requests
            note_run(one, "push", None)
    return one.report


def note_run(one: Pusher, verb: str, error: HuracanError | None) -> None:
    """Leave for `status` how it went."""
    now = time.time()
    good = error is None and not one.report.failed
    report: dict[str, object] = one.report.as_dict()
    if error is not None:
        report["error"] = error.as_dict()
    one.journal.note_run(one.remote.place, Run(one.root, verb, now, now if good else None, report))
