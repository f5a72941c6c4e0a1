"""Restore: bring a local folder to what a remote folder, or a verified snapshot of it, holds.

One-way: Dropbox leads, but no work is lost: a local file that was changed only here stays, one that was changed on
both sides is a conflict and stays, what only the disk has is left alone. One exception: a parquet without a readable
footer that nothing has touched for a minute is of no use, and is replaced. Restoring twice moves nothing, and
pushing afterwards sends nothing back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from huracan_sync.disk.files import located
from huracan_sync.disk.folding import is_folding, one_to_this_disk
from huracan_sync.disk.parquet import is_damaged
from huracan_sync.disk.remove import remove, sweep
from huracan_sync.disk.scan import Problem
from huracan_sync.disk.stable_read import StableRead
from huracan_sync.errors import Conflict as ConflictError
from huracan_sync.errors import ContentMismatch, HuracanError, LocalFailure, NotFound, UsageError
from huracan_sync.manifest.locations import check_channel
from huracan_sync.manifest.refusals import refused
from huracan_sync.manifest.scope import channel_of
from huracan_sync.operations import restore_told
from huracan_sync.operations.places import one_of_each
from huracan_sync.operations.restore_options import RestoreOptions, RestoreReport, Snapshot
from huracan_sync.remote.client import Remote
from huracan_sync.remote.contents import everything
from huracan_sync.remote.stat import metadata
from huracan_sync.signing.context import Context
from huracan_sync.signing.signing_key import KeyPlace
from huracan_sync.transfer.compare import ChangeSet, ManifestEntries
from huracan_sync.transfer.journal import Synced
from huracan_sync.transfer.pair import Pair, PairPlan
from huracan_sync.transfer.progress import Failure, Monitor
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.paths import RelPath, fold, join
from huracan_sync.tree.plan import Copy, Places, Plan, plan
from huracan_sync.tree.spelling import Spelling
from huracan_sync.tree.units import counted

if TYPE_CHECKING:
    from huracan_sync.disk.files import Stamp
    from huracan_sync.operations.restore_shares import RestoreShares
    from huracan_sync.signing.local_manifest import LocalManifest
    from huracan_sync.transfer.download import Downloaded
    from huracan_sync.transfer.download_file import DownloadContext

__all__ = ["Restore", "RestoreOptions", "RestoreReport", "Snapshot", "restore"]

LOOK_ALONE = 20
"""Up to so many files are looked up one by one; more by one listing."""
NAMED = 20
"""How many unsigned or kept files a report names."""


class Restore:
    """One restore of one pair. `plan()` says what `run()` would do."""

    def __init__(
        self, context: Context, pair: Pair, options: RestoreOptions | None = None, *, channel: str | None = None
    ) -> None:
        self.pair = pair
        self.options = options or RestoreOptions()
        self.report = RestoreReport(sequence=self.options.snapshot.sequence if self.options.snapshot else 0)
        self._context = context
        self._channel = channel
        self._local_manifest: LocalManifest | None = None
        self._has_strays = False
        self._asked_all = False
        self._blocks: Mapping[str, bytes] = {}

    def plan(self) -> PairPlan:
        """What a run would do now. Writes nothing but the journal.

        Raises:
            Refused, NoTrust, StateMissing: with a channel, the first reason not to believe its manifest.
            UsageError: a sequence was asked for, and no channel.
            NotFound: there is no such remote folder, and the options say that there must be.
            Conflict: a guard objects.
        """
        self._fetch_manifest()
        plan = self.compare()
        self._guard(plan)
        return plan

    def run(self) -> RestoreReport:
        """Carry out the plan, alone with the pair. Raises as `restore`."""
        pair, report = self.pair, self.report
        with pair.run("restore", report, wait_s=self.options.wait_s):
            self._fetch_manifest()
            ahead = self._download_ahead()
            plan = self.compare()
            self._guard(plan)
            self.download(plan)
            self._delete(plan)
            sweep(pair.local, plan.changes.parts)  # of an older plan: what this one needed is in its place
            report.skipped = plan.changes.unchanged - ahead + len(plan.steps.agreements)
            self._write_local_manifest()
            if self.options.snapshot is not None or plan.changes.contradicted or self._has_strays:
                pair.journal.distrust(pair.id)  # what lies in Dropbox now may be something else
        return report

    def _fetch_manifest(self) -> None:
        """With a channel: what its manifest lists is what will be restored."""
        options, pair, channel = self.options, self.pair, self._channel
        if channel is None:
            if options.at is not None:
                raise UsageError("a sequence is one of a channel", hint="say which with --channel")
            return
        if options.unsigned:
            raise UsageError("--unsigned and a channel exclude each other", hint="leave one of them out")
        from huracan_sync.signing.fetch_manifest import fetch_manifest  # noqa: PLC0415 - cryptography, only where asked

        check_channel(channel)
        manifest = fetch_manifest(self._context, pair.root, channel, at=options.at, journal=pair.journal)
        blocks = {fold(item.path): item.blocks for item in manifest.items if item.blocks}
        snapshot = Snapshot(manifest.items.entries(), blocks, manifest.sequence, is_signed=True)
        self.options = msgspec.structs.replace(options, snapshot=snapshot)
        self.report.verified_by, self.report.sequence = [channel], manifest.sequence
        self._local_manifest = manifest.local

    def _manifest(self, *, everywhere: bool = False) -> ManifestEntries | None:
        """What is signed of the folder. Also keeps the block digests, by which ranges are verified as they arrive."""
        snapshot, pair = self.options.snapshot, self.pair
        if snapshot is not None:
            return ManifestEntries(snapshot.entries, alone=True, is_signed=snapshot.is_signed)
        if self.options.unsigned:
            pair.monitor.note(
                "nothing is verified: this is what lies in Dropbox, no matter who put it there (--unsigned)"
            )
            return None
        keys = self._context.keys
        if not (keys.exists() or keys.has_root_pin or (self._context.home / "trust").is_dir()):
            return None  # this machine trusts nobody
        from huracan_sync.operations.restore_signed import signed_of  # noqa: PLC0415 - cryptography, only where needed

        signed = signed_of(self._context, pair, everywhere=everywhere)
        if signed is None:
            return None
        self._blocks = {fold(item.path): item.blocks for item in signed.items if item.blocks}
        self.report.verified_by, self.report.sequence = signed.channels, signed.sequence
        self._asked_all = signed.from_all
        return ManifestEntries([item.entry() for item in signed.items], alone=False)

    def _write_local_manifest(self) -> None:
        """Keep on this disk what is signed of the folder, if all of it was restored.

        Without a channel: the newest manifest that this machine has seen, if it lists exactly what was restored.
        """
        report, home, local = self.report, self._context.home, self.pair.local
        changed = (report.downloaded or report.deleted) and (home / "trust").is_dir()
        if report.failed or report.left_out or not (self._local_manifest or changed):
            return
        from huracan_sync.signing import local_manifest  # noqa: PLC0415 - as above

        arranged = local_manifest.arrangement(self.pair.disk)
        manifest = self._local_manifest or self._seen_manifest()
        if manifest is not None and arranged is not None:
            local_manifest.keep(home, local, msgspec.structs.replace(manifest, arranged=arranged))

    def _seen_manifest(self) -> LocalManifest | None:
        from huracan_sync.reader.trust_store import TrustStore  # noqa: PLC0415
        from huracan_sync.remote.source import RemoteSource  # noqa: PLC0415 - as above
        from huracan_sync.signing.local_manifest import recall  # noqa: PLC0415 - as above
        from huracan_sync.signing.open_reader import pinned_scopes  # noqa: PLC0415 - as above

        pair = self.pair
        held = {key: item.entry for key, item in pair.journal.synced(pair.id).items()}
        for scope in reversed(pinned_scopes(self._context, pair.root)):
            place = RemoteSource(pair.remote, scope.root).place
            store = TrustStore(self._context.home, place)
            if found := recall(store, channel_of(pair.root), place, scope.prefix, held):
                return found
        return None

    def compare(self) -> PairPlan:
        """As `plan`, without the manifest and the guards."""
        pair, snapshot, manifest = self.pair, self.options.snapshot, self._manifest()
        changes = pair.find_changes(self.options, local_may_miss=True, manifest=manifest)
        if manifest is not None and not manifest.alone:
            if not self._asked_all and changes.may_be_signed_elsewhere:
                channels, manifest = self.report.verified_by, self._manifest(everywhere=True)
                if self.report.verified_by != channels:
                    changes = pair.find_changes(self.options, local_may_miss=True, manifest=manifest)
            self._count_unsigned(changes)
        if not self.options.missing_ok and snapshot is None and pair.journal.cursor(pair.id) is None:
            raise NotFound(f"there is no folder {pair.root or '/'} in Dropbox", hint="check the spelling")
        self._has_strays = one_of_each(pair, changes)
        steps = self._steps(changes)
        if steps.copies and (alike := self._look_alikes(changes)):
            changes.problems += alike  # what is unclear is left as it is
            steps = self._steps(changes)
        damaged = {key: entry for key, entry in changes.here.items() if self._is_damaged(key, changes)}
        if damaged:
            changes.base.update(damaged)  # as if the damage had been synced: then only Dropbox changed
            steps = self._steps(changes)
        if snapshot is None and steps.copies:
            from huracan_sync.operations.restore_unsigned import without_strangers  # noqa: PLC0415 - start-up time

            steps = without_strangers(steps, changes, active_names=self.options.active_names)
        return pair.told(PairPlan(changes, steps), self.options.wanted, is_push=False)

    def _look_alikes(self, changes: ChangeSet) -> list[Problem]:
        """Files that Dropbox tells apart and this disk does not: none of them is touched."""
        if all(each.path.isascii() for each in chain(changes.here.values(), changes.everything_there())):
            return []
        from huracan_sync.tree.look_alikes import look_alikes  # noqa: PLC0415 - start-up time

        alike = look_alikes({entry.path for entry in chain(changes.here.values(), changes.everything_there())})
        folders = {other: Path(*located(self.pair.disk, RelPath(other))).parent for other in alike.values()}
        folding = {folder for folder in {*folders.values()} if is_folding(folder)}
        return [Problem(p, one_to_this_disk(p, alike[p])) for p in sorted(alike) if folders[alike[p]] in folding]

    def _count_unsigned(self, changes: ChangeSet) -> None:
        """Count and name what nobody has signed, and what contradicts what is signed."""
        report, note = self.report, self.pair.monitor.note
        there: set[str] = {entry.path for entry in changes.everything_there() if fold(entry.path) not in changes.signed}
        report.unsigned, report.unsigned_files = len(there), sorted(there)[:NAMED]
        report.contradicted = sorted(changes.contradicted)
        if there:
            named = restore_told.some(report.unsigned_files, len(there))
            note(f"{counted(len(there), 'file')} in Dropbox, signed by nobody: {named}")
        if report.contradicted:
            named = restore_told.some(report.contradicted, len(report.contradicted))
            note(f"Dropbox holds other content than is signed; the signed content counts: {named}")

    def _steps(self, changes: ChangeSet) -> Plan:
        options = self.options
        steps = plan(
            changes.base,
            changes.there,
            changes.here,
            delete=options.delete,
            overwrite=options.overwrite,
            target_may_lead=True,
            unclear=changes.unclear,
            places=Places("in Dropbox", "on this disk"),
        )
        spelling = Spelling(changes.folders)
        return msgspec.structs.replace(steps, copies=tuple(_as_spelled_here(step, spelling) for step in steps.copies))

    def _is_damaged(self, key: str, changes: ChangeSet) -> bool:
        """Whether a file here that differs from Dropbox's is one that nobody can use."""
        here, there, stamp = changes.here[key], changes.there.get(key), changes.stamps.get(key)
        if not key.endswith(".parquet") or stamp is None or there is None or here.content_hash == there.content_hash:
            return False
        now = int(self._context.clock() * 1e9)
        # A program can set the mtime to a time that is still to come; the ctime it cannot.
        touched_ns = stamp.mtime_ns if stamp.mtime_ns <= now else stamp.ctime_ns
        if now - touched_ns < self.options.untouched_s * 1e9:
            return False
        try:
            with StableRead(self.pair.disk, here.path) as reading:
                return is_damaged(reading)
        except LocalFailure:
            return False  # not to be read, or just written: that proves nothing

    def _guard(self, plan: PairPlan) -> None:
        """Stop before a byte moves when the world looks wrong."""
        if plan.steps.deletes and plan.changes.remote_vanished and not self.options.force:
            held = counted(len(plan.changes.synced), "synced file")
            raise ConflictError(
                f"the remote folder {self.pair.root or '/'} held {held} and holds none "
                "of them now; nothing was deleted on this disk",
                hint="was it moved or deleted? If it is meant, run again with --force",
            )

    def download(self, plan: PairPlan) -> list[Synced]:
        """Download what the plan says and settle what agrees already; returns what is newly synced."""
        pair, report = self.pair, self.report
        changes, copies = plan.changes, plan.steps.copies
        kept = restore_told.kept(plan)
        report.kept, report.kept_files = len(kept), kept[:NAMED]
        pair.settle(plan)
        pair.report_failures([Failure(p.path, p.error) for p in changes.problems], report)
        pair.report_failures([Failure(str(e.facts.get("path", "")), e) for e in changes.refused], report)
        pair.report_failures([restore_told.as_failure(conflict) for conflict in plan.steps.conflicts], report)
        if not copies:
            return []
        outcome = self._fetch(copies, changes.everything_there(), changes.stamps, changes.signed)
        report.failed += [self._as_refused(failure, changes) for failure in outcome.failures]
        report.left_out = sorted(outcome.left_out)
        if outcome.stopped:
            raise outcome.stopped
        return outcome.done

    def _download_ahead(self) -> int:
        """Of very many entries, put in place what this disk never had, a part at a time; how many files.

        What cannot be had is met again with the rest, and told there.
        """
        snapshot, options, before = self.options.snapshot, self.options, self.report.downloaded
        if snapshot is None or not snapshot.is_signed or options.validate is not None:
            return 0
        from huracan_sync.operations.restore_ahead import copies_ahead  # noqa: PLC0415 - start-up time

        for copies, part in copies_ahead(self.pair, snapshot.entries, self.pair.wanted(options.wanted)):
            signed = {fold(entry.path): entry for entry in part.entries}
            outcome = self._fetch(copies, part.entries, {}, signed, part.split)
            if outcome.stopped:
                raise outcome.stopped
        return self.report.downloaded - before

    def _fetch(
        self,
        copies: Sequence[Copy],
        everything: Iterable[Entry],
        stamps: Mapping[str, Stamp],
        signed: Mapping[str, Entry],
        split: Collection[str] = (),
    ) -> Downloaded:
        from huracan_sync.transfer.download import Download  # noqa: PLC0415 - start-up time: most runs fetch nothing
        from huracan_sync.transfer.download_file import DownloadContext  # noqa: PLC0415
        from huracan_sync.transfer.worker_pool import WorkerPool  # noqa: PLC0415

        pair, report, snapshot = self.pair, self.report, self.options.snapshot
        pair.monitor.planned(len(copies), sum(step.entry.size for step in copies))
        before = pair.remote.wire.meter.read()
        scratch = pair.journal.home / "scratch"
        scratch.mkdir(exist_ok=True, mode=0o700)
        with WorkerPool(pair.remote.cut_short) as pool:
            context = DownloadContext(
                pair.remote, pair.journal, pair.id, pair.disk, pair.root, pair.monitor, pool, scratch, stamps,
                self.options.stop, snapshot.blocks if snapshot else self._blocks, self.options.validate, signed,
            )  # fmt: skip
            shares = self._shares(context)
            outcome = Download(context).run(copies, everything, shares, split)
        report.bytes_received += shares.received if shares else 0
        report.bytes_received += (pair.remote.wire.meter.read() - before).bytes_received
        report.downloaded += len(outcome.done)
        return outcome

    def _shares(self, context: DownloadContext) -> RestoreShares | None:
        """The workers that carry the bytes, where there are any."""
        if self.options.executor is None:
            return None
        from huracan_sync.operations.restore_shares import RestoreShares  # noqa: PLC0415 - only where there are workers

        return RestoreShares.of(self.options.executor, context, self._context.clock)

    @staticmethod
    def _as_refused(failure: Failure, changes: ChangeSet) -> Failure:
        """What is signed and cannot be had is refused: what lies in its place is not put here."""
        contradicted = {fold(path) for path in changes.contradicted}
        if fold(failure.path) not in contradicted or not isinstance(failure.error, NotFound | ContentMismatch):
            return failure
        message = f"{failure.path}: Dropbox does not hold what is signed of it any more"
        return Failure(failure.path, refused("CONTRADICTED", message, path=failure.path))

    def _delete(self, plan: PairPlan) -> None:
        """Carry out the deletions, each only if the file is still in the state that was synced."""
        changes, deletes = plan.changes, plan.steps.deletes
        gone, failures = [], []
        present = self._still_there(plan) if deletes and self.options.snapshot is None else frozenset()
        if present:
            self.pair.journal.distrust(self.pair.id)  # a listing that lost a page said they were gone
        for step in deletes:
            key = fold(step.path)
            if key in present:
                continue
            try:
                remove(self.pair.disk, step.path, stamp=changes.stamps.get(key, changes.synced[key].stamp))
                gone.append(step.path)
            except HuracanError as error:
                failures.append(Failure(step.path, error))
        if gone:
            self.pair.journal.forget(self.pair.id, gone)
        self.report.deleted += len(gone)
        self.pair.report_failures(failures, self.report)

    def _still_there(self, plan: PairPlan) -> frozenset[str]:
        """Which of the files to delete do lie in Dropbox: one listing is not believed when it makes us delete."""
        pair, deletes = self.pair, plan.steps.deletes
        if len(deletes) > LOOK_ALONE:
            return frozenset(everything(pair.remote, pair.root, lambda _: None).files)
        paths = (step.path for step in deletes)
        return frozenset(fold(path) for path in paths if metadata(pair.remote, join(pair.root, path)) is not None)


def _as_spelled_here(step: Copy, spelling: Spelling) -> Copy:
    """Where it goes: a file that lies here in another case is this one, and so is a folder."""
    path = step.replaces.path if step.replaces else spelling.of(step.path)
    return step if path == step.path else Copy(msgspec.structs.replace(step.entry, path=path), step.replaces)


def restore(  # noqa: PLR0913 - what all operations take, and what this one asks
    remote_folder: str,
    local: str | Path | FolderView,
    *,
    remote: Remote,
    home: Path | None = None,
    options: RestoreOptions | None = None,
    monitor: Monitor | None = None,
    channel: str | None = None,
    keys: KeyPlace | None = None,
    executor: Any = None,
) -> RestoreReport:
    """Bring `local` to what `remote_folder` holds; with a channel, to what its manifest lists, and nothing else.

    Args:
        remote_folder: from where.
        local: the folder.
        remote: the login.
        home: the state folder.
        options: how.
        monitor: told what moves.
        channel: the channel whose manifest says what to restore; None: whatever lies in Dropbox.
        keys: where this machine's key is, if it may have one; by default where the environment says.
        executor: any object with `submit` or `map` (threads, processes, loky, Dask, Ray, MPI) whose workers see the
            same disk: they carry the bytes.

    Raises:
        Refused: with a channel, the first reason not to believe its manifest. Nothing was restored.
        NoTrust, StateMissing: with a channel, nothing here says whom to believe.
        UsageError: a name is impossible, or a file stands where the folder must be.
        Conflict: a guard stopped it before a byte moved.
        Busy: another process works on the same pair.
        NotAuthorized, Unavailable, TryLater: it ended early; run it again, it carries on.

    Examples:
        >>> from huracan_sync import connect, restore
        >>> restore("/Runpodhuracan/data/candles", "elsewhere", remote=connect("engine")).downloaded
        2
    """
    if executor is not None:
        options = msgspec.structs.replace(options or RestoreOptions(), executor=executor)
    context = Context.of(remote, home=home, keys=keys, monitor=monitor)
    with context.pair(local, remote_folder) as pair:
        return Restore(context, pair, options, channel=channel).run()
