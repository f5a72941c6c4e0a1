"""Push: bring a remote folder to what a local folder holds.

    scan + listing -> plan (guards) -> uploads -> signed manifest -> deletions

One-way: the disk leads. What somebody else changed in Dropbox is a conflict and stays; what only Dropbox has is left
alone. Deletions happen only when asked for, and last.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from huracan_sync.disk.parquet import check_whole
from huracan_sync.errors import Conflict as ConflictError
from huracan_sync.errors import DiskFull, FileChanged, LocalFailure, NotFound
from huracan_sync.operations.places import bring_home
from huracan_sync.operations.renames import copy_renamed, find_renamed, to_copy
from huracan_sync.remote.client import Remote
from huracan_sync.remote.delete import remove
from huracan_sync.remote.listing import PAGE
from huracan_sync.signing.context import Context
from huracan_sync.signing.push_signer import PushSigner
from huracan_sync.signing.signing_key import KeyPlace
from huracan_sync.transfer import upload_item
from huracan_sync.transfer.compare import Ahead, ChangeSet
from huracan_sync.transfer.journal import Origin, Synced
from huracan_sync.transfer.journal.synced_files import SyncedFiles
from huracan_sync.transfer.pair import Options, Pair, PairPlan, Report, conflict_as_failure
from huracan_sync.transfer.progress import Failure, Monitor
from huracan_sync.transfer.remote_side import refresh_remote
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.paths import RelPath, fold, join
from huracan_sync.tree.plan import Conflict, Copy, Places, Plan, empties_the_tree, plan
from huracan_sync.tree.units import counted

if TYPE_CHECKING:
    from huracan_sync.operations.push_shares import PushShares

log = logging.getLogger(__name__)


class PushReport(Report):
    """The result of a push.

    Examples:
        >>> from huracan_sync import connect, push
        >>> report = push("data/candles", "/Runpodhuracan/data/candles", remote=connect("engine"))
        >>> report.skipped, report.bytes_sent, report.requests
        (2, 0, 1)
        >>> for failure in report.failed:
        ...     print(failure.path, failure.error, failure.error.hint)
    """

    uploaded: int = 0
    bytes_sent: int = 0
    """Bytes of file content that went over the wire, attempts that failed included."""
    left_out: dict[str, str] = msgspec.field(default_factory=dict)
    """What stays on the disk without being a failure (links, special files, names Dropbox never takes): path to why."""
    renamed: int = 0
    """Files copied inside Dropbox from where their content was, as renamed ones are; none of their bytes are sent."""
    unsigned: int = 0
    """How many files are the same on both sides but not listed in the signed manifest."""
    unsigned_files: list[str] = msgspec.field(default_factory=list)
    """The first of them."""
    resumed_from: int = 0
    """The sequence that this machine continued from, if it remembered none and somebody had put an older head back."""
    vouched: list[str] = msgspec.field(default_factory=list)
    """Files that are signed because a person vouches for them."""
    not_in_metadata: dict[str, str] = msgspec.field(default_factory=dict)
    """Parquet files that a `_metadata` does not describe, or describes wrongly: path to why."""

    def as_dict(self) -> dict[str, Any]:
        """See `Report`; `left_out` and `not_in_metadata` as lists of `path` and `why`."""
        lists = {"left_out": self.left_out, "not_in_metadata": self.not_in_metadata}
        shown = {
            name: [{"path": path, "why": why} for path, why in sorted(paths.items())] for name, paths in lists.items()
        }
        return {**super().as_dict(), **shown}


class PushOptions(Options, frozen=True):
    """How to push.

    Examples:
        >>> from huracan_sync import PushOptions, connect, push
        >>> remote, chosen = connect("engine"), PushOptions(delete=True, wanted=lambda path: path.endswith(".parquet"))
        >>> push("data/candles", "/Runpodhuracan/data/candles", remote=remote, options=chosen).deleted
        0
    """

    vouch: tuple[str, ...] = ()
    """Files or folders, relative to the local folder, whose unsigned content a person vouches for."""
    parquet_metadata: bool = False
    """Whether to keep the `_metadata` file of the parquet dataset that the folder is."""
    transfer: upload_item.Options = upload_item.Options(
        check=check_whole, append_only=lambda path: path.endswith(".log")
    )


NAMED = 20
"""How many unsigned files a report names."""


class Push:
    """One push of one pair. `plan()` says what `run()` would do."""

    def __init__(
        self, context: Context, pair: Pair, options: PushOptions | None = None, *, channel: str | None = None
    ) -> None:
        self.pair = pair
        self.options = options or PushOptions()
        if self.options.parquet_metadata:
            from huracan_sync.operations import parquet_metadata  # noqa: PLC0415 - start-up time

            self.options = parquet_metadata.wanting(self.options, pair)
        self.report = PushReport()
        self.is_set = False  # whether what is not on the disk is no part of it, though it lies in Dropbox
        self._context = context
        self._channel = channel
        self._metadata: list[RelPath] = []
        self._changing: frozenset[str] = frozenset()

    @cached_property
    def signer(self) -> PushSigner:
        """Signs what the pair holds. Raises `UsageError` where no channel can have that name."""
        return PushSigner(self._context, self.pair, self._channel)

    def plan(self) -> PairPlan:
        """What a run would do now. Writes nothing but the journal.

        Raises:
            Conflict: a guard objects.
        """
        plan = self.guarded()
        sources = {match.step.path: match.source.entry.path for match in to_copy(self.pair, plan)}
        return msgspec.structs.replace(plan, renamed=sources)

    def guarded(self, ahead: Ahead | None = None) -> PairPlan:
        """As `plan`, without asking which files are renamed; raises as it does."""
        plan = self.compare(ahead)
        self._guard(plan)
        return plan

    def run(self) -> PushReport:
        """Carry out the plan, alone with the pair. Raises as `push`."""
        signer = self.signer
        with self.pair.run("push", self.report, wait_s=self.options.wait_s):
            plan = self.guarded(None if self.options.parquet_metadata else self._send_ahead)
            if plan.steps.copies:
                signer.prefetch()
            if plan.changes.base or plan.changes.here:
                from huracan_sync.operations import push_notes  # noqa: PLC0415 - start-up time

                push_notes.say_what_stays(self.pair, plan, delete=self.options.delete)
                push_notes.say_what_keeps_its_case(self.pair, plan)
            plan, self.report.renamed = copy_renamed(self.pair, plan)
            self.upload(plan)
            self.vouch()
            self.add_metadata(plan)
            self.count_skipped(plan)
            plan = plan.only_deletes()  # a first push is large, and signing needs the memory
            self.sign(plan)
            if self._delete(plan):
                signer.caught_up()
        return self.report

    def compare(self, ahead: Ahead | None = None) -> PairPlan:
        """As `plan`, without the guards. With `ahead`, very many new files are uploaded before it is made."""
        options, changes = self.options, self.pair.find_changes(self.options, ahead=ahead)
        bring_home(self.pair, changes)
        steps = self._steps(changes, delete=options.delete)
        made = PairPlan(changes, steps)
        if options.parquet_metadata or self._changing or changes.here or changes.there or changes.base:
            from huracan_sync.operations import parquet_metadata  # noqa: PLC0415 - start-up time: most runs need none

            self._metadata = parquet_metadata.kept(self.pair, changes, asked=options.parquet_metadata)
            self._changing |= parquet_metadata.changing(steps)
            made = parquet_metadata.without(made, self._metadata)
        return self.pair.told(made, options.wanted, is_push=True)

    def _steps(self, changes: ChangeSet, *, delete: bool) -> Plan:
        return plan(
            changes.base,
            changes.here,
            changes.there,
            delete=delete,
            overwrite=self.options.overwrite,
            unclear=changes.unclear,
            places=Places("on this disk", "in Dropbox"),
        )

    def _send_ahead(self, changes: ChangeSet) -> Collection[str]:
        """Of very many new files, bring in step what can be; what cannot is met again with the rest, and told there."""
        if changes.remote_vanished and not self.options.force:
            return ()
        from huracan_sync.operations import parquet_metadata  # noqa: PLC0415 - start-up time

        steps = self._steps(changes, delete=False)
        copies = tuple(step for step in steps.copies if step.path.rpartition("/")[2] != parquet_metadata.NAME)
        agreed = tuple(step for step in steps.agreements if step.entry is not None)
        part = self.pair.told(PairPlan(changes, Plan(copies, agreements=agreed)), None, is_push=True)
        self._changing |= parquet_metadata.changing(part.steps)
        self.pair.settle(part)
        done = self._upload_copies(part)
        self.report.failed.clear()
        return {fold(path) for path in (*(step.path for step in agreed), *(item.entry.path for item in done))}

    def _guard(self, plan: PairPlan) -> None:
        """Stop before a byte moves when the world looks wrong."""
        if self.options.force or not (plan.steps.copies or plan.steps.deletes):
            return
        changes, count = plan.changes, len(plan.changes.synced)
        held = counted(count, "synced file")
        emptied = empties_the_tree(plan.steps, base_count=count, source_is_empty=changes.local_count == 0)
        if emptied and not self._are_renamed(plan):
            became = "holds none of them" if changes.local_count else "is empty"
            raise ConflictError(
                f"{self.pair.local} held {held} and {became} now; nothing was deleted in Dropbox",
                hint="is the disk mounted? If it is meant, run again with --force",
            )
        if changes.remote_vanished and plan.steps.copies:
            raise ConflictError(
                f"the remote folder {self.pair.root or '/'} held {held} and holds none of them now",
                hint="was it moved or deleted? To upload everything again, run with --force",
            )

    def _are_renamed(self, plan: PairPlan) -> bool:
        """Whether most of what is to be deleted lies on the disk under other names."""
        renamed = {m.source.entry.path for m in find_renamed(self.pair, plan.changes, plan.steps.copies)}
        return 2 * len(renamed) > len(plan.steps.deletes)

    def upload(self, plan: PairPlan) -> list[Synced]:
        """Upload what the plan says and settle what agrees already; returns what is newly synced."""
        pair, report = self.pair, self.report
        pair.settle(plan)
        changes = plan.changes
        pair.report_failures([Failure(p.path, p.error) for p in changes.problems], report)
        pair.report_failures([_as_failure(conflict) for conflict in plan.steps.conflicts], report)
        report.left_out = changes.left_out
        if count := len(changes.left_out):
            first = [f"{path!a} ({why})" for path, why in sorted(changes.left_out.items())[:3]]
            pair.monitor.note(f"{count} left out: {', '.join(first)}{', ...' if count > 3 else ''}")
        return self._upload_copies(plan)

    def _upload_copies(self, plan: PairPlan) -> list[Synced]:
        if not (copies := plan.steps.copies):
            return []
        self.pair.monitor.planned(len(copies), plan.steps.bytes_to_copy)
        done = self._send(copies, shares := self._shares(plan))
        self.report.bytes_sent += shares.sent if shares else 0
        return done

    def add_metadata(self, plan: PairPlan) -> None:
        """Update every `_metadata` that this push keeps to what both sides hold now; report what others lack."""
        if not (self._metadata or self._changing):
            return
        from huracan_sync.operations import parquet_metadata  # noqa: PLC0415 - start-up time

        pair, report = self.pair, self.report
        for name in self._metadata:
            try:
                report.not_in_metadata |= parquet_metadata.bring(pair, plan, name, self._send, is_set=self.is_set)
            except (LocalFailure, DiskFull, FileChanged) as error:
                pair.report_failures([Failure(name, error)], report)
                parquet_metadata.forget(pair, name)
        changed = self._changing.difference(failure.path for failure in report.failed)
        report.not_in_metadata |= parquet_metadata.outdated(pair, changed, self._metadata)
        if report.not_in_metadata:
            pair.monitor.note(parquet_metadata.in_words(report.not_in_metadata))

    def _send(self, copies: Sequence[Copy], shares: PushShares | None = None) -> list[Synced]:
        from huracan_sync.transfer.upload import Upload  # noqa: PLC0415 - start-up time: most runs send nothing
        from huracan_sync.transfer.worker_pool import WorkerPool  # noqa: PLC0415

        pair, report = self.pair, self.report
        before = pair.remote.wire.meter.read()
        with WorkerPool(pair.remote.cut_short) as pool:
            context = upload_item.UploadContext(
                pair.remote,
                pair.journal,
                pair.id,
                pair.disk,
                pair.root,
                self.options.transfer,
                pair.monitor,
                pool,
                self.options.stop,
                pair.journal.unsigned_contents(),
            )
            outcome = Upload(context).run(copies, shares)
        report.bytes_sent += (pair.remote.wire.meter.read() - before).bytes_sent
        report.uploaded += len(outcome.done)
        report.failed += outcome.failures
        if any(isinstance(failure.error, ConflictError) for failure in outcome.failures):
            pair.journal.distrust(pair.id)  # something lay there that no listing had told of
        if outcome.stopped:
            raise outcome.stopped
        if len(outcome.done) > PAGE // 2:
            # The echo of a large push would cost the next one many pages; read it now, while all is known.
            refresh_remote(pair.remote, pair.journal, pair.id, pair.root, SyncedFiles(pair.journal, pair.id))
        return outcome.done

    def _shares(self, plan: PairPlan) -> PushShares | None:
        """The workers that carry the bytes, where there are any."""
        if self.options.executor is None:
            return None
        from huracan_sync.operations.push_shares import PushShares  # noqa: PLC0415 - only where there are workers

        return PushShares.of(self.options.executor, self.pair, plan.changes.stamps, self._context.clock)

    def sign(self, plan: PairPlan) -> None:
        """Sign a manifest of what both sides hold alike, without what is about to be deleted."""
        signed = self.signer.sign(without=[step.path for step in plan.steps.deletes])
        if signed is None:
            return
        self.report.sequence = signed.state.seq
        self.report.resumed_from = signed.resumed_from
        if signed.resumed_from:
            self.pair.monitor.note(
                f"somebody had put an older head of {self.signer.channel} back; it goes on from {signed.resumed_from}"
            )
        self.report.unsigned = len(signed.unsigned) + len(signed.state.unlisted)
        self.report.unsigned_files = [*signed.unsigned, *signed.state.unlisted][:NAMED]
        self.pair.report_failures(list(signed.superseded), self.report)
        for paths, why in (
            (signed.unsigned, "from Dropbox that nobody has signed (--vouch PATH signs)"),
            (signed.state.unlisted, f"of a kind that the channel {self.signer.channel} does not allow"),
        ):
            if paths:
                named = ", ".join(map(ascii, paths[:3])) + (", ..." if len(paths) > 3 else "")
                self.pair.monitor.note(f"not signed: {counted(len(paths), 'file')} {why}: {named}")

    def vouch(self) -> None:
        """Take the unsigned files that a person vouches for as made here. Each is told to the monitor and the log.

        Raises:
            NotFound: no unsigned file lies at, or below, one of the paths.
        """
        pair, unsigned = self.pair, self.signer.signed_states.unsigned()
        for path in self.options.vouch:
            at = fold(path.strip("/"))
            keys = [key for key in unsigned if not at or key == at or key.startswith(f"{at}/")]
            if not keys:
                raise NotFound(f"no unsigned file lies at {path!a}; nothing was signed", hint="check the spelling")
            pair.journal.note_origin(pair.id, keys, Origin.OURS)
            for key in keys:
                name, digest = unsigned[key]
                self.report.vouched.append(name)
                log.warning("vouched for %s with content hash %s", ascii(name), digest.hex())
                pair.monitor.note(f"vouched for {name!a}")

    def _delete(self, plan: PairPlan) -> bool:
        """Carry out the deletions, each guarded by the revision that was synced; whether there were any, and all are.

        The signed manifest must not list them any more: deletions come after it.
        """
        deletes = plan.steps.deletes
        if not deletes:
            return False
        pair = self.pair
        paths = {join(pair.root, step.path): step for step in deletes}
        results = remove(pair.remote, [(path, step.entry.rev) for path, step in paths.items()])
        gone = [step.path for path, step in paths.items() if results[path] is None]
        pair.journal.forget(pair.id, gone)
        self.report.deleted += len(gone)
        failures = [Failure(paths[path].path, error) for path, error in results.items() if error is not None]
        pair.report_failures(failures, self.report)
        return not failures

    def count_skipped(self, plan: PairPlan) -> None:
        """Count what was compared and is in step without having moved."""
        changes = plan.changes
        failed = {fold(failure.path) for failure in self.report.failed}
        compared = sum(key in changes.here or key in changes.synced for key in failed)
        self.report.skipped = max(0, changes.local_count - self.report.uploaded - self.report.renamed - compared)


def _as_failure(conflict: Conflict) -> Failure:
    if conflict.source is None:
        hint = "what somebody else wrote is never deleted: if it is to go, delete it in Dropbox yourself"
    elif conflict.target is None:
        hint = (
            "move what lies there away in Dropbox, or give the local file another name; what was synced before and is "
            "gone here goes with --delete, and a second run brings this file"
        )
    else:
        hint = "look at both; with --overwrite the local file wins (Dropbox keeps the other revision)"
    return conflict_as_failure(conflict, hint, here=conflict.source, there=conflict.target)


def push(  # noqa: PLR0913 - what all operations take, and what this one asks
    local: str | Path | FolderView,
    remote_folder: str,
    *,
    remote: Remote,
    home: Path | None = None,
    options: PushOptions | None = None,
    monitor: Monitor | None = None,
    channel: str | None = None,
    keys: KeyPlace | None = None,
    executor: Any = None,
) -> PushReport:
    """Bring `remote_folder` to what `local` holds, and sign a manifest of it, where this machine has a key.

    Args:
        local: the folder.
        remote_folder: where to.
        remote: the login.
        home: the state folder.
        options: how.
        monitor: told what moves.
        channel: the channel of the manifest; by default named like the last component of `remote_folder`.
        keys: where the key is; by default where the environment says.
        executor: any object with `submit` or `map` (threads, processes, loky, Dask, Ray, MPI) whose workers see the
            same disk: they carry the bytes.

    Raises:
        UsageError: there is no such local folder, or a name is not allowed.
        Conflict: a guard stopped it before a byte moved.
        Busy: another process works on the same pair.
        NoSigningKey, NoTrust, StateMissing, Refused: everything was sent, and nothing could be signed.
        NotAuthorized, Unavailable, TryLater: it ended early; run it again, it carries on.

    Examples:
        >>> from huracan_sync import connect, push
        >>> report = push("data/candles", "/Runpodhuracan/data/candles", remote=connect("engine"))
        >>> report.uploaded, report.failed
        (2, [])
    """
    if executor is not None:
        options = msgspec.structs.replace(options or PushOptions(), executor=executor)
    context = Context.of(remote, home=home, keys=keys, monitor=monitor)
    with context.pair(local, remote_folder) as pair:
        return Push(context, pair, options, channel=channel).run()
