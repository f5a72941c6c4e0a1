"""Commit: put in place, with few calls, what many workers have staged, and sign it with one head.

    receipts -> on this disk -> one receipt a path -> commits of a thousand files -> journal -> one signed head, or none

Receipts are on this disk before anything is committed: a driver that is killed goes on where it stopped, with the same
receipts or with none. What was committed before is recognised. Nothing is signed before every file is in its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from huracan_sync.disk.private_folder import Folder
from huracan_sync.errors import Conflict, HuracanError, UsageError
from huracan_sync.manifest import file_kinds
from huracan_sync.operations import receipts as form
from huracan_sync.operations.kept_receipts import KeptReceipts
from huracan_sync.operations.push import PushReport
from huracan_sync.operations.receipts import Receipt, Receipts
from huracan_sync.remote import files
from huracan_sync.remote.client import Remote
from huracan_sync.remote.files import Commit as CommitInfo
from huracan_sync.remote.listing import FileMetadata, entry_of, timestamp
from huracan_sync.remote.upload_session import FILES_IN_A_COMMIT
from huracan_sync.signing.context import Context
from huracan_sync.signing.push_signer import PushSigner
from huracan_sync.signing.signing_key import KeyPlace
from huracan_sync.transfer import staging
from huracan_sync.transfer.journal import Origin, Synced
from huracan_sync.transfer.journal.signed_state import Proof, note_proofs
from huracan_sync.transfer.pair import Pair
from huracan_sync.transfer.progress import Failure, Monitor
from huracan_sync.transfer.staging import Placing, Staged
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import RelPath, join

KEPT = "receipts"
"""The folder, below the state folder, where receipts lie until they are committed."""


def commit(  # noqa: PLR0913 - what all operations take, and what this one asks
    remote: Remote,
    receipts: Iterable[bytes],
    remote_folder: str,
    *,
    channel: str | None = None,
    overwrite: bool = False,
    unsealed: bool = False,
    home: Path | None = None,
    keys: KeyPlace | None = None,
    monitor: Monitor | None = None,
) -> PushReport:
    """Put what workers have staged in place, a thousand files a call, and sign one head, where this machine has a key.

    Args:
        remote: the login.
        receipts: what `stage` returned on the workers, in any order, some of them twice.
        remote_folder: the folder below which the paths of the receipts lie.
        channel: the channel of the manifest; by default named like the last component of `remote_folder`.
        overwrite: replace what lies there; else a file that others have put there is a conflict and stays.
        unsealed: also take receipts that were staged with the grant of another machine, which this driver replaces.
            Nothing then tells whether they were changed on their way, and large files are signed without leaves.
        home: the state folder.
        keys: where the signing key is.
        monitor: told what moves.

    Returns:
        The report of a push; `failed` names each file that is not in its place. While there is one, nothing is signed.

    Raises:
        UsageError: something is no receipt, was changed on its way, or is for another account. Nothing was committed.
        Busy: another process works on the same folder.
        NoTrust, NoSigningKey, Refused: everything is in place, and nothing could be signed.
        NotAuthorized, Unavailable, TryLater: it ended early; run it again, with the same receipts or with none.

    Examples:
        >>> from huracan_sync import commit, connect, stage
        >>> remote = connect("engine")
        >>> receipts = stage(remote.lend(), {b"{}": "BTC/metrics.json"})
        >>> commit(remote, [receipts], "/Runpodhuracan/results").uploaded
        1
    """
    arrived = checked(remote, receipts, unsealed=unsealed)
    context = Context.of(remote, home=home, keys=keys, monitor=monitor)
    with context.pair(context.home / KEPT / "from-workers", remote_folder) as pair:
        return _Commit(context, pair, channel, overwrite=overwrite).run(arrived)


def checked(remote: Remote, every: Iterable[bytes], *, unsealed: bool) -> list[bytes]:
    """Receipts that this machine's grants made, for this login; unsealed ones without tables. Raises as `commit`."""
    arrived = list(every)
    key = None if unsealed or not arrived else remote.seal()
    for data in arrived:
        _check_account(remote, form.decode(data, key))
    return [form.without_tables(data) for data in arrived] if unsealed else arrived


class _Commit:
    """One call of `commit`."""

    def __init__(self, context: Context, pair: Pair, channel: str | None, *, overwrite: bool) -> None:
        self._context = context
        self._pair = pair
        self._overwrite = overwrite
        self._signer = PushSigner(context, pair, channel)
        self._kept = KeptReceipts(Folder(context.home / KEPT / str(pair.id)), context.clock)
        self._report = PushReport()
        self._strangers = pair.journal.unsigned_contents()

    def run(self, arrived: list[bytes]) -> PushReport:
        """Raises as `commit`."""
        with self._pair.run("commit", self._report, wait_s=60.0):
            self._kept.keep(arrived)
            failures = self._place(self._kept.wanted())
            self._pair.report_failures(failures, self._report)
            if not failures:
                self._sign()
            self._kept.end(all_placed=not failures)
        return self._report

    def _place(self, wanted: dict[str, Receipt]) -> list[Failure]:
        pair = self._pair
        synced = pair.journal.synced(pair.id)
        committed = self._kept.committed(wanted.values())
        todo = {key: file for key, file in wanted.items() if file.session not in committed}
        self._report.skipped = len(wanted) - len(todo)
        pair.monitor.planned(len(todo), sum(file.size for file in todo.values()))
        placings = [self._placing(file, synced.get(key)) for key, file in todo.items()]
        failures: list[Failure] = []
        step = FILES_IN_A_COMMIT
        every = list(todo.values())
        for at in range(0, len(placings), step):
            results = staging.commit(pair.remote, placings[at : at + step])
            failures += self._learn(every[at : at + step], results)
        return failures

    def _placing(self, file: Receipt, known: Synced | None) -> Placing:
        mode: str | dict[str, str] = files.OVERWRITE
        if not self._overwrite:
            mode = files.replacing(known.entry.rev) if known else files.ADD
        staged = Staged(file.session, file.size, file.content_hash, file.blocks)
        path = join(self._pair.root, file.path)
        return Placing(staged, CommitInfo(path, mode, timestamp(file.mtime_ms), strict_conflict=not self._overwrite))

    def _learn(self, sent: list[Receipt], results: list[FileMetadata | HuracanError]) -> list[Failure]:
        """Journal what lies in its place now; the others, each with its error."""
        pair = self._pair
        placed: list[tuple[Receipt, Entry]] = []
        failures: list[Failure] = []
        for file, result in zip(sent, results, strict=True):
            if isinstance(result, FileMetadata):
                placed.append((file, entry_of(RelPath(file.path), result)))
            else:
                failures.append(Failure(file.path, _explained(result)))
        proved = [file for file, _ in placed if _wants_proof(file)]
        note_proofs(pair.journal, pair.id, map(_proof, proved))
        pair.journal.learn(pair.id, [Synced(entry, None, origin=self._origin(file, entry)) for file, entry in placed])
        self._kept.note_committed(file for file, _ in placed)
        self._report.uploaded += len(placed)
        for file, _ in placed:
            pair.monitor.finished(file.path, file.size)
        return failures

    def _origin(self, file: Receipt, entry: Entry) -> Origin:
        """What a worker took from Dropbox is not made here by being sent back."""
        return Origin.UNSIGNED if file.unsigned or entry.content_hash in self._strangers else Origin.OURS

    def _sign(self) -> None:
        signed = self._signer.sign()
        if signed is not None:
            self._report.sequence = signed.state.seq
            self._report.unsigned = len(signed.unsigned) + len(signed.state.unlisted)
            self._pair.report_failures(list(signed.superseded), self._report)


def _check_account(remote: Remote, receipts: Receipts) -> None:
    """Receipts of another account name sessions that this login does not have.

    A delivered token does not say whose it is; then Dropbox tells, by not knowing the sessions.
    """
    service = remote.wire.endpoint.namespace
    account = remote.place.removeprefix(f"{service}/")
    is_known = account.startswith("dbid:") and receipts.account.startswith("dbid:")
    if receipts.service != service or (is_known and receipts.account != account):
        raise UsageError(
            f"these receipts are of {receipts.account} ({receipts.service}), and this login is {account} ({service})",
            hint="commit with the login that lent the grant",
        )


def _wants_proof(file: Receipt) -> bool:
    return bool(file.blocks or file.table) or file.kind != file_kinds.by_name(file.path)


def _proof(file: Receipt) -> Proof:
    return Proof(file.path, file.content_hash, file.kind, file.blocks, file.table)


def _explained(error: HuracanError) -> HuracanError:
    if isinstance(error, Conflict):
        error.hint = (
            "look at what lies there; with overwrite=True what was staged wins (Dropbox keeps the other revision)"
        )
    return error
