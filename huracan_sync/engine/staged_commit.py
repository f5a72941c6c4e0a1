"""The driver's side of `DropboxSync.staged`: everything in its place at once, as the direct methods would have put it.

    receipts -> on this disk -> previous champions to the archive -> contents -> what names them -> one signed head

What names other files (a model's metadata, the roster, the pointer) is put in its place after them, and only when they
are there. Receipts are on this disk before anything is committed: a driver that is killed goes on with them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from huracan_sync.disk.lock import hold
from huracan_sync.disk.private_folder import Folder
from huracan_sync.engine.champion_set import POINTERS, note, place_for_hamilton, publish_noted, signed_sequence
from huracan_sync.engine.champion_swap import TRIES, ChampionSwap
from huracan_sync.engine.context import EngineContext
from huracan_sync.engine.deliver import deliver
from huracan_sync.engine.event_log import error_fields, log
from huracan_sync.engine.outbox import QueuedWrite
from huracan_sync.engine.staged_note import StagedNote, decoded
from huracan_sync.errors import Conflict, HostilePath, HuracanError, NotFound
from huracan_sync.manifest.entries import Item
from huracan_sync.manifest.locations import is_ours
from huracan_sync.manifest.sshsig import sha256
from huracan_sync.operations import receipts as form
from huracan_sync.operations.commit import KEPT, checked
from huracan_sync.operations.kept_receipts import KeptReceipts
from huracan_sync.operations.push import PushReport
from huracan_sync.operations.receipts import Receipt
from huracan_sync.remote import files
from huracan_sync.remote.files import Commit
from huracan_sync.remote.listing import FileMetadata, entry_of, timestamp
from huracan_sync.remote.stat import children
from huracan_sync.remote.upload_session import FILES_IN_A_COMMIT
from huracan_sync.transfer import staging
from huracan_sync.transfer.progress import Failure
from huracan_sync.transfer.staging import Placing, Staged
from huracan_sync.tree.content_hash import BLOCK_SIZE
from huracan_sync.tree.paths import RelPath, below, fold

METADATA = "model_metadata.json"
MODEL = "model.bin"
"""The one lies beside the other, and says that it is there."""


def commit_staged(context: EngineContext, receipts: Iterable[bytes], *, unsealed: bool = False) -> PushReport:
    """Put in place what workers have staged. See `DropboxSync.commit`."""
    arrived = checked(context.remote, receipts, unsealed=unsealed)
    for data in arrived:
        for file in form.decode(data).files:
            _check(context, file)
    place = hashlib.sha256(f"{context.remote.place}\0{fold(context.layout.root)}".encode()).hexdigest()[:16]
    kept = KeptReceipts(Folder(context.home / KEPT / f"engine-{place}"), context.clock)
    before = context.remote.wire.meter.read()
    with hold(context.home / "locks" / f"engine-{place}.lock", what="what workers have staged", wait_s=60.0):
        kept.keep(arrived)
        commit = _Commit(context, kept)
        commit.run(kept.wanted())
        kept.end(all_placed=not commit.report.failed)
    deliver(context)
    commit.report.requests = (context.remote.wire.meter.read() - before).requests
    return commit.report


def _check(context: EngineContext, file: Receipt) -> None:
    decoded(file.note)
    inside = below(context.layout.root, f"/{file.path}")
    if inside and is_ours(inside):
        raise HostilePath(f"{file.path!a} is where signatures lie; nothing else may", path=file.path)


class _Commit:
    """One call of `commit_staged`."""

    def __init__(self, context: EngineContext, kept: KeptReceipts) -> None:
        self._context = context
        self._kept = kept
        self._in_place: set[str] = set()
        """Folded paths of what is in its place."""
        self._items: list[Item] = []
        """What is there for Hamilton, and not signed yet."""
        self._strangers: set[bytes] = set()
        self._tables: dict[bytes, bytes] = {}
        """Content hashes of those of them that were marked, where they were staged, as ones that nobody has signed."""
        self.report = PushReport()

    def run(self, wanted: dict[str, Receipt]) -> None:
        """Commit contents first, then what names them; sign when all of it is there."""
        committed = self._kept.committed(wanted.values())
        self._in_place = {key for key, file in wanted.items() if file.session in committed}
        self.report.skipped = len(self._in_place)
        todo = {key: file for key, file in wanted.items() if key not in self._in_place}
        naming = {key: file for key, file in todo.items() if self._names_others(file)}
        self._place([file for key, file in todo.items() if key not in naming])
        self._place([file for file in naming.values() if self._may_follow(file, wanted)])
        for failure in self.report.failed:
            self._context.boundary.note(failure.error)
            log.error("staged_file_not_committed", remote_path=f"/{failure.path}", **error_fields(failure.error))
        self._sign()
        log.info(
            "staged_files_committed",
            files=self.report.uploaded,
            skipped=self.report.skipped,
            failed=len(self.report.failed),
            sequence=self.report.sequence,
        )

    def _names_others(self, file: Receipt) -> bool:
        inside = below(self._context.layout.root, f"/{file.path}")
        return inside in POINTERS or file.path.rpartition("/")[2] == METADATA

    def _may_follow(self, file: Receipt, wanted: dict[str, Receipt]) -> bool:
        """Whether what the file names is in its place; else it is a failure."""
        folder, _, name = file.path.rpartition("/")
        if name == METADATA:
            key = fold(f"{folder}/{MODEL}")
            is_there = key not in wanted or key in self._in_place
        else:
            is_there = not self.report.failed
        if not is_there:
            error = Conflict(f"{file.path} waits: what it names is not in its place", path=file.path)
            error.hint = "see why the others failed, and stage them and this one again"
            self.report.failed.append(Failure(file.path, error))
        return is_there

    def _place(self, every: list[Receipt], tries: int = TRIES) -> None:
        placings = self._placings(every)
        again: list[Receipt] = []
        for at in range(0, len(placings), FILES_IN_A_COMMIT):
            some = placings[at : at + FILES_IN_A_COMMIT]
            answers = staging.commit(self._context.remote, [placing for _, placing in some])
            results = [(file, answer) for (file, _), answer in zip(some, answers, strict=True)]
            # Somebody else was faster with a champion: theirs is the one to archive now.
            lost = {file.path for file, answer in results if isinstance(answer, Conflict) and _replaces(file)}
            again += [file for file, _ in results if tries > 1 and file.path in lost]
            self._learn([(file, answer) for file, answer in results if tries == 1 or file.path not in lost])
        if again:
            self._place(again, tries - 1)

    def _placings(self, every: list[Receipt]) -> list[tuple[Receipt, Placing]]:
        champions = self._champions([file for file in every if decoded(file.note).champion])
        placings: list[tuple[Receipt, Placing]] = []
        for file in every:
            there = champions.get(fold(file.path))
            if isinstance(there, HuracanError):
                self.report.failed.append(Failure(file.path, there))
                continue
            mode: str | dict[str, str] = files.OVERWRITE if decoded(file.note).overwrite else files.ADD
            if isinstance(there, FileMetadata):
                mode = files.replacing(there.rev)
            elif decoded(file.note).champion:
                mode = files.ADD
            staged = Staged(file.session, file.size, file.content_hash, file.blocks)
            placings.append((file, Placing(staged, Commit(f"/{file.path}", mode, timestamp(file.mtime_ms)))))
        return placings

    def _champions(self, staged: list[Receipt]) -> dict[str, FileMetadata | HuracanError]:
        """By folded path: the champion that is to be replaced, and lies in the archive; or why it is not replaced."""
        if not staged:
            return {}
        context = self._context
        folder = f"/{staged[0].path}".rpartition("/")[0]
        try:
            lying = {fold(entry.path_display.strip("/")): entry for entry in children(context.remote, folder)}
        except NotFound:
            return {}
        replaced: dict[str, FileMetadata | HuracanError] = {}
        archived: list[tuple[Receipt, FileMetadata]] = []
        for file in staged:
            there = lying.get(fold(file.path))
            if there is not None and there.content_hash == file.content_hash.hex():
                replaced[fold(file.path)] = there
            elif there is not None and decoded(file.note).overwrite:
                archived.append((file, there))
        for file, there in archived:
            replaced[fold(file.path)] = there
        errors = _archive(context, [(decoded(file.note), there) for file, there in archived])
        for (file, _), error in zip(archived, errors, strict=True):
            if error is not None:
                log.warning("champion_archive_failed", symbol=decoded(file.note).champion, **error_fields(error))
                replaced[fold(file.path)] = error
        return replaced

    def _learn(self, results: list[tuple[Receipt, FileMetadata | HuracanError]]) -> None:
        """Take note of what lies in its place now; the others are failures."""
        placed: list[Receipt] = []
        for file, result in results:
            if isinstance(result, FileMetadata):
                placed.append(file)
                self._note(file, result)
            elif isinstance(result, Conflict) and not decoded(file.note).overwrite:
                placed.append(file)
                message = "other content is there; overwrite=False leaves it"
                log.warning("file_exists_skip", path=f"/{file.path}", differs=True, message=message)
            else:
                self.report.failed.append(Failure(file.path, result))
        self._kept.note_committed(placed)
        self._in_place.update(fold(file.path) for file in placed)
        self.report.uploaded += len(placed)

    def _note(self, file: Receipt, there: FileMetadata) -> None:
        context, target = self._context, f"/{file.path}"
        if not context.outbox.is_empty():
            overtaken = QueuedWrite(remote=target, service=context.service, queued=file.staged_ms / 1000)
            context.outbox.overtake(overtaken)
        if place := place_for_hamilton(context, target):
            entry = entry_of(RelPath(place), there)
            blocks = file.blocks if file.size > BLOCK_SIZE else b""
            mtime_ms = max(0, entry.mtime_ms)
            leaves = sha256(file.table) if file.table else b""
            self._items.append(
                Item(place, entry.size, entry.content_hash, entry.rev, mtime_ms, file.kind, blocks, leaves)
            )
            self._tables[leaves] = file.table
            if file.unsigned:
                self._strangers.add(entry.content_hash)

    def _sign(self) -> None:
        """Have what Hamilton reads signed, all of it or nothing yet; why not is noted, and it goes on waiting."""
        context, items = self._context, self._items
        if not items:
            return

        def work() -> int:
            note(context, items, strangers=self._strangers, tables=self._tables)
            if self.report.failed:
                return 0
            publish_noted(context)
            return signed_sequence(context)

        self.report.sequence = context.boundary.attempt("champions_not_signed", 0, work)
        self.report.unsigned = 0 if self.report.sequence else len(items)


def _replaces(file: Receipt) -> bool:
    note = decoded(file.note)
    return bool(note.champion) and note.overwrite


def _archive(context: EngineContext, champions: list[tuple[StagedNote, FileMetadata]]) -> list[HuracanError | None]:
    """Copy champions to the archive, in one call; why one is not there for sure."""
    swaps = [ChampionSwap(context.remote, context.layout, note.champion, note.day) for note, _ in champions]
    pairs = [(swap.place, swap.archive_place()) for swap in swaps]
    results = files.relocate(context.remote, pairs, keep=True) if pairs else []
    errors: list[HuracanError | None] = []
    for swap, (_, there), result in zip(swaps, champions, results, strict=True):
        if isinstance(result, FileMetadata) and result.content_hash == there.content_hash:
            log.info("champion_archived", symbol=swap.symbol, archive_path=result.path_display)
            errors.append(None)
            continue
        try:
            swap.archive(there)  # the name is taken by another of the day's champions, or the job said nothing
            errors.append(None)
        except HuracanError as error:
            errors.append(error)
    return errors
