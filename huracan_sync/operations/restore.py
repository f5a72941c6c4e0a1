"""Restore: bring a local folder to what a remote folder, or a verified snapshot of it, holds.

One-way: Dropbox leads, but no work is lost: a local file that was changed only here stays, one that was changed on
both sides is a conflict and stays, what only the disk has is left alone. One exception: a parquet without a readable
footer, untouched for a minute, is no file anybody could use, and gives way. Restoring twice moves nothing, and pushing
afterwards sends nothing back.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from huracan_sync.auth.session import home_of
from huracan_sync.disk import StableRead, remove, sweep
from huracan_sync.disk.parquet import check_whole
from huracan_sync.errors import Conflict as ConflictError
from huracan_sync.errors import HuracanError, NotFound, UsageError
from huracan_sync.manifest.locations import check_channel
from huracan_sync.manifest.scope import channel_of, scope_of
from huracan_sync.remote.client import Remote
from huracan_sync.remote.listing import everything, metadata
from huracan_sync.signing.push_signer import key_place
from huracan_sync.signing.signing_key import KeyPlace
from huracan_sync.transfer.compare import ChangeSet
from huracan_sync.transfer.download import Download
from huracan_sync.transfer.download_file import DownloadContext, Validate
from huracan_sync.transfer.journal import Journal, Synced
from huracan_sync.transfer.pair import Options, Pair, Report
from huracan_sync.transfer.progress import Failure, Monitor, Silent
from huracan_sync.transfer.worker_pool import WorkerPool
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.paths import Spelling, fold, join
from huracan_sync.tree.plan import Conflict, Copy, Plan, plan

if TYPE_CHECKING:
    from huracan_sync.signing.local_manifest import LocalManifest

LOOK_ALONE = 20
"""Up to so many files are looked up one by one; more by one listing."""
UNTOUCHED_S = 60.0


class RestoreReport(Report):
    """What a restore came to."""

    downloaded: int = 0
    bytes_received: int = 0
    """Bytes of file content that came over the wire."""
    left_out: list[str] = msgspec.field(default_factory=list)
    """Paths of what `validate` did not want; they were fetched, and not put in their places."""


class Snapshot(msgspec.Struct, frozen=True):
    """What a verified manifest says about a folder: entries relative to it, and the block digests it knows."""

    entries: list[Entry]
    blocks: Mapping[str, bytes] = {}
    """By `fold(path)`."""
    sequence: int = 0


class RestoreOptions(Options, frozen=True):
    """How to restore."""

    snapshot: Snapshot | None = None
    """Restore exactly this, instead of what lies in Dropbox now."""
    untouched_s: float = UNTOUCHED_S
    """A damaged parquet gives way when nothing has touched it for so long; a younger one may still be written."""
    at: int | None = None
    """Restore what the signed list of that sequence says, instead of the newest; with a channel only."""
    validate: Validate | None = None
    """Asked about each file that came, before it is put in its place; raises `LeftOut`."""
    missing_ok: bool = True
    """Whether a remote folder that is not there is an empty one."""


class Restorer:
    """One restore of one pair."""

    def __init__(self, pair: Pair, options: RestoreOptions) -> None:
        self.pair = pair
        self.options = options
        self._local_manifest: LocalManifest | None = None
        self.report = RestoreReport(sequence=options.snapshot.sequence if options.snapshot else 0)

    def verify(self, channel: str | None, keys: KeyPlace) -> None:
        """With a channel: what its signed list says is what will be restored.

        Raises:
            UsageError: a sequence was asked for, and no channel.
            As `sealing.stated.stated`.
        """
        options, pair = self.options, self.pair
        if channel is None:
            if options.at is not None:
                raise UsageError("a sequence is one of a channel", hint="say which with --channel")
            return
        from huracan_sync.signing.fetch_manifest import stated  # noqa: PLC0415 - cryptography, only for who asks for it

        scope, home = scope_of(pair.root, pair.remote.root), pair.journal.home
        check_channel(channel)
        found = stated(pair.remote, home, scope, channel, at=options.at, keys=keys, clock=options.clock)
        blocks = {fold(item.path): item.blocks for item in found.items if item.blocks}
        snapshot = Snapshot([item.entry() for item in found.items], blocks, found.sequence)
        self.options = msgspec.structs.replace(options, snapshot=snapshot)
        self.report.sequence = found.sequence
        self._local_manifest = found.local_manifest

    def write_local_manifest(self) -> None:
        """Leave on this disk what was signed of the folder, if all of it is there.

        Without a channel: what this machine knows to be signed already, if that is what was restored.
        """
        report, home, local = self.report, self.pair.journal.home, self.pair.local
        changed = (report.downloaded or report.deleted) and (home / "trust").is_dir()
        if report.failed or report.left_out or not (self._local_manifest or changed):
            return
        from huracan_sync.signing import local_manifest  # noqa: PLC0415 - as above

        arranged = local_manifest.arrangement(self.pair.disk)
        found = self._local_manifest or self._known()
        if found is not None and arranged is not None:
            local_manifest.keep(home, local, msgspec.structs.replace(found, arranged=arranged))

    def _known(self) -> LocalManifest | None:
        from huracan_sync.reader.trust_store import TrustStore  # noqa: PLC0415
        from huracan_sync.remote.source import RemoteSource  # noqa: PLC0415 - as above
        from huracan_sync.signing.local_manifest import recall  # noqa: PLC0415

        pair = self.pair
        scope = scope_of(pair.root, pair.remote.root)
        place = RemoteSource(pair.remote, scope.root).place
        held = {key: item.entry for key, item in pair.journal.synced(pair.id).items()}
        return recall(TrustStore(pair.journal.home, place), channel_of(pair.root), place, scope.prefix, held)

    def look(self) -> tuple[ChangeSet, Plan]:
        """What would have to happen. Writes nothing but the journal.

        Raises:
            NotFound: there is no such remote folder, and the options say that there must be.
        """
        pair, snapshot = self.pair, self.options.snapshot
        seen = pair.find_changes(self.options, local_may_miss=True, snapshot=snapshot.entries if snapshot else None)
        if not self.options.missing_ok and snapshot is None and pair.journal.cursor(pair.id) is None:
            raise NotFound(f"there is no folder {pair.root or '/'} in Dropbox", hint="check the spelling")
        made = self._plan(seen)
        damaged = {key: entry for key, entry in seen.here.items() if self._is_damaged(key, seen)}
        if damaged:
            seen.base.update(damaged)  # as if the damage had been synced: then only Dropbox changed
            made = self._plan(seen)
        return seen, made

    def _plan(self, seen: ChangeSet) -> Plan:
        options = self.options
        made = plan(
            seen.base,
            seen.there,
            seen.here,
            delete=options.delete,
            overwrite=options.overwrite,
            target_may_lead=True,
            unclear=seen.unclear,
        )
        spelling = Spelling(seen.folders)
        return msgspec.structs.replace(made, copies=tuple(_as_spelled_here(step, spelling) for step in made.copies))

    def _is_damaged(self, key: str, seen: ChangeSet) -> bool:
        """Whether a file here that differs from Dropbox's is one that nobody can use."""
        here, there, stamp = seen.here[key], seen.there.get(key), seen.stamps.get(key)
        if not key.endswith(".parquet") or stamp is None or there is None or here.content_hash == there.content_hash:
            return False
        now = time.time_ns()
        # A program can set the mtime to a time that is still to come; the ctime it cannot.
        touched_ns = stamp.mtime_ns if stamp.mtime_ns <= now else stamp.ctime_ns
        if now - touched_ns < self.options.untouched_s * 1e9:
            return False
        try:
            with StableRead(self.pair.disk, here.path) as reading:
                check_whole(reading)
        except HuracanError:
            return True
        return False

    def guard(self, seen: ChangeSet, made: Plan) -> None:
        """Stop before a byte moves when the world looks wrong.

        Raises:
            Conflict: a guard objects.
        """
        if made.deletes and seen.remote_vanished and not self.options.force:
            raise ConflictError(
                f"the remote folder {self.pair.root or '/'} held {len(seen.synced)} synced files and holds none "
                "of them now; nothing was deleted on this disk",
                hint="was it moved or deleted? If it is meant, run again with --force",
            )

    def transfer(self, seen: ChangeSet, made: Plan) -> list[Synced]:
        """Download what the plan says; what is synced now and was not."""
        pair, report, snapshot = self.pair, self.report, self.options.snapshot
        pair.settle(seen, made)
        pair.report_failures([Failure(p.path, p.error) for p in seen.problems], report)
        pair.report_failures([Failure(str(e.facts.get("path", "")), e) for e in seen.refused], report)
        pair.report_failures([_as_failure(conflict) for conflict in made.conflicts], report)
        if not made.copies:
            return []
        pair.monitor.planned(len(made.copies), made.bytes_to_copy)
        before = pair.remote.wire.meter.read()
        scratch = pair.journal.home / "scratch"
        scratch.mkdir(exist_ok=True, mode=0o700)
        with WorkerPool(pair.remote.cut_short) as pool:
            context = DownloadContext(
                pair.remote,
                pair.journal,
                pair.id,
                pair.disk,
                pair.root,
                pair.monitor,
                pool,
                scratch,
                seen.stamps,
                self.options.stop,
                snapshot.blocks if snapshot else {},
                self.options.validate,
            )
            outcome = Download(context).run(made.copies, _everything_there(seen))
        report.bytes_received += (pair.remote.wire.meter.read() - before).bytes_received
        report.downloaded += len(outcome.done)
        report.failed += outcome.failures
        report.left_out = sorted(outcome.left_out)
        if outcome.stopped:
            raise outcome.stopped
        return outcome.done

    def delete(self, seen: ChangeSet, made: Plan) -> None:
        """Carry out the deletions, each only if the file is still in the state that was synced."""
        gone, stayed = [], []
        present = self._still_there(made) if made.deletes and self.options.snapshot is None else frozenset()
        if present:
            self.pair.journal.distrust(self.pair.id)  # a listing that lost a page said they were gone
        for step in made.deletes:
            key = fold(step.path)
            if key in present:
                continue
            try:
                remove(self.pair.disk, step.path, stamp=seen.stamps.get(key, seen.synced[key].stamp))
                gone.append(step.path)
            except HuracanError as error:
                stayed.append(Failure(step.path, error))
        if gone:
            self.pair.journal.forget(self.pair.id, gone)
        self.report.deleted += len(gone)
        self.pair.report_failures(stayed, self.report)

    def _still_there(self, made: Plan) -> frozenset[str]:
        """Which of the files to delete do lie in Dropbox: one listing is not believed when it makes us delete."""
        pair = self.pair
        if len(made.deletes) > LOOK_ALONE:
            return frozenset(everything(pair.remote, pair.root, lambda _: None).files)
        paths = (step.path for step in made.deletes)
        return frozenset(fold(path) for path in paths if metadata(pair.remote, join(pair.root, path)) is not None)


def _everything_there(seen: ChangeSet) -> list[Entry]:
    return [*seen.there.values(), *(item.entry for key, item in seen.synced.items() if key not in seen.there)]


def _as_spelled_here(step: Copy, spelling: Spelling) -> Copy:
    """Where it goes: a file that lies here in another case is this one, and so is a folder."""
    path = step.replaces.path if step.replaces else spelling.of(step.path)
    return step if path == step.path else Copy(msgspec.structs.replace(step.entry, path=path), step.replaces)


def _as_failure(conflict: Conflict) -> Failure:
    if conflict.source is None:
        hint = "the local file stays; push it, or remove it yourself"
    elif conflict.target is None:
        hint = "move what lies there on this disk away"
    else:
        hint = "the local file stays; push it, or run again with --overwrite to let Dropbox win"
    error = ConflictError(
        f"{conflict.path}: {conflict.why}",
        hint=hint,
        path=conflict.path,
    )
    return Failure(conflict.path, error)


def restore(
    remote_folder: str,
    local: str | Path | FolderView,
    *,
    remote: Remote,
    home: Path | None = None,
    options: RestoreOptions | None = None,
    monitor: Monitor | None = None,
    channel: str | None = None,
    keys: KeyPlace | None = None,
) -> RestoreReport:
    """Bring `local` to what `remote_folder` holds; with a channel, to what its signed list says, and nothing else.

    Args:
        remote_folder: from where.
        local: the folder.
        remote: the login.
        home: the state folder.
        options: how.
        monitor: told what moves.
        channel: whose signed list is to be believed; None: what lies in Dropbox, as it lies there.
        keys: where this machine's key is, if it may have one; by default where the environment says.

    Raises:
        Refused: with a channel, the first reason not to believe its list. Nothing was restored.
        NoTrust, StateMissing: with a channel, nothing here says whom to believe.
        UsageError: a name is impossible, or a file stands where the folder must be.
        Conflict: a guard stopped it before a byte moved.
        Busy: another process works on the same pair.
        NotAuthorized, Unavailable, TryLater: it ended early; run it again, it carries on.
    """
    options, home = options or RestoreOptions(), home or home_of()
    with Journal(home) as journal:
        pair = Pair(local, remote_folder, remote=remote, journal=journal, monitor=monitor or Silent())
        restorer = Restorer(pair, options)
        with pair.run("restore", restorer.report, wait_s=options.wait_s):
            restorer.verify(channel, keys or key_place(home, remote))
            seen, made = restorer.look()
            restorer.guard(seen, made)
            restorer.transfer(seen, made)
            restorer.delete(seen, made)
            sweep(pair.local, seen.parts)  # of an older plan: what this one needed is in its place
            restorer.report.skipped = seen.unchanged + len(made.agreements)
            restorer.write_local_manifest()
            if restorer.options.snapshot is not None:
                journal.distrust(pair.id)  # what lies in Dropbox now may be something else
    return restorer.report
