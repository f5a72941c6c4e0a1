"""Publish: a set of files that counts all at once or not at all.

    plan (guards) -> kinds, keys -> transfer -> body, log, head

A push uploads what it can and signs that. A publish is refused as a whole while anything in the set is wrong: a
conflict, a file that cannot be read, a program in disguise. Until the head is replaced, readers see the one before it.
What was published stays readable: an earlier manifest can become current again without its files being sent again.
"""

from __future__ import annotations

import json
from pathlib import Path

from huracan_sync.disk.stable_read import StableRead
from huracan_sync.errors import Conflict, FileChanged, NoSigningKey, NotFound, Refused
from huracan_sync.manifest import file_kinds
from huracan_sync.manifest.entries import kind_name
from huracan_sync.manifest.file_proofs import examine
from huracan_sync.manifest.refusals import refused
from huracan_sync.operations import parquet_metadata
from huracan_sync.operations.push import Push, PushOptions, PushReport
from huracan_sync.remote.client import Remote
from huracan_sync.signing.channel_publisher import ChannelPublisher
from huracan_sync.signing.context import Context
from huracan_sync.signing.signing_key import KeyPlace
from huracan_sync.signing.transaction_steps import Published, Renew
from huracan_sync.transfer.compare import ChangeSet
from huracan_sync.transfer.journal import Journal
from huracan_sync.transfer.journal.signed_state import expire_signatures
from huracan_sync.transfer.pair import Pair, PairPlan
from huracan_sync.transfer.progress import Monitor
from huracan_sync.tree.paths import RelPath
from huracan_sync.tree.symbols import CHAMPIONS

MOST_JSON = 64 * 1024 * 1024
"""Bytes: a larger JSON file is not looked into."""


class PublishReport(PushReport):
    """The result of a publish."""

    channel: str = ""
    files: int = 0
    """How many files the manifest lists."""
    made: bool = False
    """Whether a new head was made; False where the newest one lists exactly this already."""


class Publish:
    """One publish of one folder. `plan()` says what `run()` would do."""

    def __init__(self, context: Context, pair: Pair, options: PushOptions | None = None, *, channel: str) -> None:
        self.report = PublishReport(channel=channel)
        self._push = Push(context, pair, options, channel=channel)
        self._push.report, self._push.is_set = self.report, True
        self._pair = pair
        self._channel_publisher = ChannelPublisher(context, root=self._push.signer.scope.root, channel=channel)

    def plan(self) -> PairPlan:
        """What a run would do now. Writes nothing but the journal.

        Raises:
            Conflict, LocalFailure, HostilePath: the folder is not as it must be.
            Refused: `KIND`, a file of it is of a kind that the channel does not allow.
            NoSigningKey, NoTrust: this machine may not sign it.
        """
        plan = self._push.guarded()
        for problem in plan.changes.problems:
            raise problem.error
        for conflict in plan.steps.conflicts:
            raise Conflict(
                f"{conflict.path}: {conflict.why}; nothing was published",
                hint="look at both; with --overwrite the local file wins (Dropbox keeps the other revision)",
                path=conflict.path,
            )
        if not plan.changes.local_count:
            raise NotFound(
                f"{self._pair.local} holds no files; an empty set is not published", path=str(self._pair.local)
            )
        self._check_kinds(plan)
        return plan

    def run(self) -> PublishReport:
        """Upload the files, then let all of them take effect at once. Raises as `publish`."""
        report, push = self.report, self._push
        with self._pair.run("publish", report, wait_s=push.options.wait_s):
            plan = self.plan()
            if plan.steps.copies:
                push.signer.prefetch()
            was_here = parquet_metadata.is_here(plan)
            push.upload(plan)
            push.vouch()
            push.add_metadata(plan)
            for failure in report.failed:
                raise failure.error
            signed = push.signer.sign(without=_gone(plan.changes), strict=True, overwrite=push.options.overwrite)
            if signed is None:
                raise NoSigningKey("nothing on this machine can sign")
            report.sequence, report.made, report.files = signed.state.seq, signed.made, plan.changes.local_count
            report.files += int(
                not was_here and self._pair.journal.known(self._pair.id, parquet_metadata.NAME) is not None
            )
            self._pair.report_failures(list(signed.superseded), report)
            push.count_skipped(plan)
        return report

    def _check_kinds(self, plan: PairPlan) -> None:
        """Look into every file: what lies in Dropbox already may never have been looked into."""
        policy = self._channel_publisher.check()
        gone = set(_gone(plan.changes))
        synced = {item.entry.path for item in plan.changes.synced.values()} - gone
        for path in sorted(synced | {step.path for step in plan.steps.copies}):
            with StableRead(self._pair.disk, path) as reading:
                _check_json(reading, file_kinds.by_name(path))
                kind = examine(path, reading.stamp.size, reading.read)
            if kind not in policy.kinds:
                raise _refused(path, kind, policy.name)


def _gone(changes: ChangeSet) -> list[RelPath]:
    """What was listed before and is not on the disk any more."""
    lost = changes.base.keys() - changes.here.keys()
    return [item.entry.path for key, item in changes.synced.items() if key in lost]


def _check_json(reading: StableRead, kind: file_kinds.Kind) -> None:
    """A JSON file that ends in the middle would be a set nobody can use. What it says is between reader and writer."""
    if kind is not file_kinds.Kind.JSON or reading.stamp.size > MOST_JSON:
        return
    try:
        json.loads(reading.read(0, reading.stamp.size))
    except (ValueError, RecursionError) as error:
        raise FileChanged(
            f"{reading.path} is no JSON ({error}); nothing was published",
            code="HALF_WRITTEN",
            path=reading.path,
            size=reading.stamp.size,
        ) from error


def _refused(path: str, kind: int, channel: str) -> Refused:
    return refused(
        "KIND",
        f"{path} is of kind {kind_name(kind)}, which {channel} does not allow; nothing was published",
        path=path,
        kind=int(kind),
    )


def publish(
    local: str | Path,
    remote_folder: str | None = None,
    *,
    remote: Remote,
    home: Path | None = None,
    options: PushOptions | None = None,
    monitor: Monitor | None = None,
    channel: str = CHAMPIONS,
    keys: KeyPlace | None = None,
) -> PublishReport:
    """Publish what `local` holds as a channel: all of it or, when anything is wrong, nothing.

    Files that were listed before and are gone from `local` are no longer listed; in Dropbox they stay.

    Args:
        local: the folder, laid out as readers look for it (`models/champions/latest/BTCUSDT.bin`).
        remote_folder: where it goes; the login's root folder by default.
        remote: the login.
        home: the state folder.
        options: how; `overwrite` also puts back what another publisher has put in place of this machine's.
        monitor: told what moves.
        channel: the channel.
        keys: where this machine's key is; by default where the environment says.

    Raises:
        Conflict, LocalFailure, NotFound, UsageError: something is not as it must be; nothing was published.
        Refused: `KIND`, a file of it may hold a program.
        NoSigningKey, NoTrust: this machine may not sign it.
        Busy: another process works on the same pair.
        NotAuthorized, Unavailable, TryLater: it ended early; run it again, it carries on.
    """
    context = Context.of(remote, home=home, keys=keys, monitor=monitor)
    with context.pair(local, remote.root if remote_folder is None else remote_folder) as pair:
        return Publish(context, pair, options, channel=channel).run()


def renew(context: Context, root: str, channel: str) -> Published:
    """Give the manifest of a channel more time: the same body under a new head.

    Raises:
        NotFound: nothing that counts was published.
        As `ChannelPublisher.publish`.
    """
    return ChannelPublisher(context, root=root, channel=channel).publish(Renew())


def roll_back(context: Context, root: str, channel: str, sequence: int) -> Published:
    """Make an earlier manifest current again, under a new sequence. Nothing but the new head is sent.

    Args:
        context: the login, the state folder, the key and the clock.
        root: the root folder.
        channel: the channel.
        sequence: of the manifest, in the present epoch.

    Raises:
        NotFound: there is no such manifest any more, or a file of it can no longer be had.
        As `ChannelPublisher.publish`.
    """
    channel_publisher = ChannelPublisher(context, root=root, channel=channel)
    wanted, lost = channel_publisher.earlier(sequence)
    if lost:
        raise NotFound(
            f"{lost[0]!a} of sequence {sequence} can no longer be had from Dropbox",
            hint="choose another sequence, or publish from a folder that still holds these files",
            channel=channel,
            files=len(lost),
        )
    published = channel_publisher.publish(wanted)
    with Journal(context.home) as journal:
        expire_signatures(journal)  # what a push of this machine signed last is not what is signed now
    return published
