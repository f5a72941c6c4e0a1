"""Push: bring a remote folder to what a local folder holds.

    scan + listing -> plan (guards) -> transfer -> signed statement -> deletions

One-way: the disk leads. What somebody else changed in Dropbox is a conflict and stays; what only Dropbox has is left
alone. Deletions happen only when asked for, and last.
"""

from __future__ import annotations

from pathlib import Path

from huracan_sync.auth.session import home_of
from huracan_sync.disk.parquet import check_whole
from huracan_sync.errors import Conflict as ConflictError
from huracan_sync.remote.client import Remote
from huracan_sync.remote.delete import remove
from huracan_sync.remote.listing import PAGE
from huracan_sync.signing.push_signer import PushSigner, key_place
from huracan_sync.signing.signing_key import KeyPlace
from huracan_sync.transfer import upload_item
from huracan_sync.transfer.compare import ChangeSet, learn_remote
from huracan_sync.transfer.journal import Journal, Synced
from huracan_sync.transfer.pair import Options, Pair, Report
from huracan_sync.transfer.progress import Failure, Monitor, Silent
from huracan_sync.transfer.upload import Upload
from huracan_sync.transfer.worker_pool import WorkerPool
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.paths import fold, join
from huracan_sync.tree.plan import Conflict, Plan, empties_the_tree, plan


class PushReport(Report):
    """What a push came to."""

    uploaded: int = 0
    bytes_sent: int = 0
    """Bytes of file content that went over the wire, attempts that failed included."""
    unsigned: int = 0
    """Files that lie in Dropbox and are not in the signed list, though one was signed: pickles, for one."""


class PushOptions(Options, frozen=True):
    """How to push."""

    transfer: upload_item.Options = upload_item.Options(
        check=check_whole, append_only=lambda path: path.endswith(".log")
    )


class Pusher:
    """One push of one pair."""

    def __init__(self, pair: Pair, options: PushOptions) -> None:
        self.pair = pair
        self.options = options
        self.report = PushReport()

    def look(self) -> tuple[ChangeSet, Plan]:
        """What would have to happen. Writes nothing but the journal."""
        options = self.options
        seen = self.pair.find_changes(options)
        made = plan(
            seen.base,
            seen.here,
            seen.there,
            delete=options.delete,
            overwrite=options.overwrite,
            unclear=seen.unclear,
        )
        return seen, made

    def guard(self, seen: ChangeSet, made: Plan) -> None:
        """Stop before a byte moves when the world looks wrong.

        Raises:
            Conflict: a guard objects.
        """
        if self.options.force:
            return
        count = len(seen.synced)
        if empties_the_tree(made, base_count=count, source_is_empty=seen.local_count == 0):
            became = "holds none of them" if seen.local_count else "is empty"
            raise ConflictError(
                f"{self.pair.local} held {count} synced files and {became} now; nothing was deleted in Dropbox",
                hint="is the disk mounted? If it is meant, run again with --force",
            )
        if seen.remote_vanished and made.copies:
            raise ConflictError(
                f"the remote folder {self.pair.root or '/'} held {count} synced files and holds none of them now",
                hint="was it moved or deleted? To upload everything again, run with --force",
            )

    def transfer(self, seen: ChangeSet, made: Plan) -> list[Synced]:
        """Upload what the plan says and settle what agrees already; what is synced now and was not."""
        pair, report = self.pair, self.report
        pair.settle(seen, made)
        pair.report_failures([Failure(p.path, p.error) for p in seen.problems], report)
        pair.report_failures([_as_failure(conflict) for conflict in made.conflicts], report)
        if seen.others:
            named = ", ".join(map(ascii, seen.others[:3])) + (", ..." if len(seen.others) > 3 else "")
            pair.monitor.note(f"links and other special files are passed over, {len(seen.others)} here: {named}")
        if not made.copies:
            return []
        pair.monitor.planned(len(made.copies), made.bytes_to_copy)
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
            )
            outcome = Upload(context).run(made.copies)
        report.bytes_sent += (pair.remote.wire.meter.read() - before).bytes_sent
        report.uploaded += len(outcome.done)
        report.failed += outcome.failures
        if any(isinstance(failure.error, ConflictError) for failure in outcome.failures):
            pair.journal.distrust(pair.id)  # something lay there that no listing had told of
        if outcome.stopped:
            raise outcome.stopped
        if len(outcome.done) > PAGE // 2:
            # The echo of a large push would cost the next one many pages; read it now, while all is known.
            learn_remote(pair.remote, pair.journal, pair.id, pair.root, pair.journal.synced(pair.id))
        return outcome.done

    def sign(self, signing: PushSigner, made: Plan) -> None:
        """State in a signed head what both sides hold alike, without what is about to be deleted."""
        stated = signing.state(without=[step.path for step in made.deletes])
        if stated is None:
            return
        self.report.sequence = stated.sealed.seq
        self.report.unsigned = len(stated.unsigned)
        self.pair.report_failures(list(stated.superseded), self.report)
        if stated.unsigned:
            named = ", ".join(stated.unsigned[:3]) + (", ..." if len(stated.unsigned) > 3 else "")
            self.pair.monitor.note(
                f"{len(stated.unsigned)} files lie in Dropbox and are not signed, because the channel "
                f"{signing.channel} does not allow their kind: {named}"
            )

    def delete(self, made: Plan) -> bool:
        """Carry out the deletions, each guarded by the revision that was synced; whether there were any, and all are.

        What was signed must not name them any more: deletions come after the signed statement.
        """
        if not made.deletes:
            return False
        pair = self.pair
        paths = {join(pair.root, step.path): step for step in made.deletes}
        results = remove(pair.remote, [(path, step.entry.rev) for path, step in paths.items()])
        gone = [step.path for path, step in paths.items() if results[path] is None]
        pair.journal.forget(pair.id, gone)
        self.report.deleted += len(gone)
        stayed = [Failure(paths[path].path, error) for path, error in results.items() if error is not None]
        pair.report_failures(stayed, self.report)
        return not stayed

    def count_skipped(self, seen: ChangeSet) -> None:
        """What was looked at and is in step without having moved."""
        failed = {fold(failure.path) for failure in self.report.failed} & (seen.here.keys() | seen.synced.keys())
        self.report.skipped = max(0, seen.local_count - self.report.uploaded - len(failed))


def _as_failure(conflict: Conflict) -> Failure:
    if conflict.source is None:
        hint = "what somebody else wrote is never deleted: if it is to go, delete it in Dropbox yourself"
    elif conflict.target is None:
        hint = "move what lies there away in Dropbox, or give the local file another name"
    else:
        hint = "look at both; with --overwrite the local file wins (Dropbox keeps the other revision)"
    error = ConflictError(
        f"{conflict.path}: {conflict.why}",
        hint=hint,
        path=conflict.path,
        remote_rev=conflict.target.rev if conflict.target else None,
    )
    return Failure(conflict.path, error)


def push(
    local: str | Path | FolderView,
    remote_folder: str,
    *,
    remote: Remote,
    home: Path | None = None,
    options: PushOptions | None = None,
    monitor: Monitor | None = None,
    channel: str | None = None,
    keys: KeyPlace | None = None,
) -> PushReport:
    """Bring `remote_folder` to what `local` holds, and state it in a signed head, where this machine has a key.

    Args:
        local: the folder.
        remote_folder: where to.
        remote: the login.
        home: the state folder.
        options: how.
        monitor: told what moves.
        channel: the channel of the head; by default it is called as the last component of `remote_folder`.
        keys: where the key is; by default where the environment says.

    Raises:
        UsageError: there is no such local folder, or a name is impossible.
        Conflict: a guard stopped it before a byte moved.
        Busy: another process works on the same pair.
        NoSigningKey, NoTrust, StateMissing, Refused: everything was sent, and nothing could be signed.
        NotAuthorized, Unavailable, TryLater: it ended early; run it again, it carries on.
    """
    options = options or PushOptions()
    home = home or home_of()
    with Journal(home) as journal:
        pair = Pair(local, remote_folder, remote=remote, journal=journal, monitor=monitor or Silent())
        pusher = Pusher(pair, options)
        signing = PushSigner(pair, channel, keys or key_place(home, remote), clock=options.clock)
        with pair.run("push", pusher.report, wait_s=options.wait_s):
            seen, made = pusher.look()
            pusher.guard(seen, made)
            if made.copies:
                signing.foresee()
            pusher.transfer(seen, made)
            pusher.sign(signing, made)
            if pusher.delete(made):
                signing.caught_up()
            pusher.count_skipped(seen)
    return pusher.report
