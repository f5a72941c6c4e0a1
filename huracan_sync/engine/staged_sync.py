"""The engine's methods on a worker: they stage instead of writing to Dropbox; the driver commits the receipts.

Nothing a worker does is visible before that. It needs a grant, no login and no state folder of its own; a file that it
cannot stage is no matter for an outbox, because the machine may be gone in a minute: the task fails and is run again.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NoReturn, Self

from huracan_sync.auth.connect import connect_lent, home_of
from huracan_sync.disk.scan import scan
from huracan_sync.engine.artifacts import Artifacts
from huracan_sync.engine.context import EngineContext, StopSignal, utc_now
from huracan_sync.engine.error_boundary import ErrorBoundary, typed
from huracan_sync.engine.event_log import LoggedOnce
from huracan_sync.engine.folder_sync import Passed, folder_at
from huracan_sync.engine.folder_uploads import FolderUpload, FolderUploads, What
from huracan_sync.engine.login import Chosen
from huracan_sync.engine.methods import EngineMethods
from huracan_sync.engine.outbox import HOPELESS, Outbox, QueuedWrite
from huracan_sync.engine.progress_log import UploadLog
from huracan_sync.engine.put import PAUSE_S, TRIES, Put, Sender
from huracan_sync.engine.read_revisions import ReadRevisions
from huracan_sync.engine.restores import Restores
from huracan_sync.engine.settings import Settings, filters_in
from huracan_sync.engine.staged_note import StagedNote
from huracan_sync.engine.uploads import Uploads
from huracan_sync.errors import FileChanged, HuracanError, UsageError
from huracan_sync.operations.push import PushReport
from huracan_sync.operations.stage import Stager
from huracan_sync.remote.forked import renewed_in_child
from huracan_sync.remote.grant import Grant
from huracan_sync.signing.context import Context
from huracan_sync.transfer.progress import Failure
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.paths import RelPath, check, join


class StagedSync(EngineMethods):
    """What a worker calls like a `DropboxSync`. Thread-safe.

        with DropboxSync.staged(grant) as sync:     # the grant that the driver lent
            sync.export_coin_results(...)           # the same methods and remote paths
            return sync.receipts()                  # for the driver's `sync.commit`

    A call answers True when the file was read and is on its way: whether all of them are staged is told by `receipts`.
    What reads from Dropbox (`get_active_model`, ...) works with a grant that may read.
    """

    def __init__(
        self,
        grant: Grant,
        *,
        create_dated_folder: bool = True,
        now: Callable[[], datetime] = utc_now,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Nothing is sent before there is something to send.

        Args:
            grant: what the driver has lent.
            create_dated_folder: keep each day's files in a folder of that day, as the driver does.
            now: the clock of dates.
            clock: seconds since 1970.
        """
        self._enabled = True
        remote = connect_lent(grant)
        self._stager = Stager(remote, clock=clock)
        strict = os.environ.get("HURACAN_SYNC_STRICT", "") not in {"", "0"}
        settings = Settings(app_folder=grant.root.strip("/"), strict=strict, **filters_in(os.environ))
        operations = Context.of(remote, home=home_of(os.environ))
        self._sender = sender = StagingSender(self._stager)
        self._context = context = EngineContext(
            login=Chosen("grant", None),
            layout=settings.layout,
            operations=operations,
            outbox=_NoOutbox(operations.home),
            sender=sender,
            boundary=ErrorBoundary(strict=settings.strict),
            logged=LoggedOnce(),
            read_revisions=ReadRevisions(),
            stop=StopSignal(),
            now=now,
            dated=create_dated_folder,
            allow_secrets=settings.allow_secrets,
            may_sign=False,
            rules=settings.rules,
            parquet_metadata=False,
            is_given=True,
        )
        self._uploads = Uploads(context)
        self._folder_uploads = _StagedFolders(context)
        self._restores = Restores(context)
        self._artifacts = _StagedArtifacts(context, self._uploads, sender)

    def receipts(self) -> bytes:
        """Receipts for everything that was staged, for the driver's `sync.commit`.

        Raises:
            HuracanError: what a call could not stage, or what cannot be sent now. Let the task fail and run it again.
        """
        return self._sender.receipts()

    def publish_champions(self) -> bool:
        """False: the driver's commit signs."""
        return False

    def close(self) -> None:
        """End the threads. What has no receipt is given up."""
        self._stager.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise UsageError("what a worker stages with is not pickled", hint="pass the grant, and make it there")


class StagingSender(Sender):
    """Stages what would be put in its place."""

    def __init__(self, stager: Stager, sleep: Callable[[float], None] = time.sleep) -> None:
        self._stager = stager
        self._sleep = sleep
        self._one_at_a_time = threading.Lock()  # guards the stager
        self._error: HuracanError | None = None
        renewed_in_child(self)

    def renew_in_child(self) -> None:
        """See `forked`."""
        self._one_at_a_time = threading.Lock()

    def put_content(self, content: bytes, path: str, *, overwrite: bool = True, rev: str | None = None) -> Put:
        """As `Sender.put_content`, but staged."""
        del rev  # a worker that stages reads nothing that it could then replace
        return self.stage(content, path, StagedNote(overwrite))

    def put_file(self, local: Path, path: str, *, overwrite: bool = True, rev: str | None = None) -> Put:
        """As `Sender.put_file`, but staged."""
        del rev
        return self.stage(local, path, StagedNote(overwrite))

    def stage(self, source: Path | bytes, path: str, note: StagedNote) -> Put:
        """Stage a file or a content. Raises as `Stager.add`."""
        try:
            for last in range(TRIES, 0, -1):
                try:
                    with self._one_at_a_time:
                        added = self._stager.add(source, check(path.strip("/")), note=note.encoded())
                    break
                except FileChanged:
                    if last == 1:
                        raise
                    self._sleep(PAUSE_S)
        except HOPELESS:
            raise  # another try would come to the same
        except Exception as error:
            self._error = self._error or typed(error)
            raise
        return Put(Entry(RelPath(path), added.size, added.content_hash, "", added.mtime_ms), sent=True)

    def receipts(self) -> bytes:
        """Receipts for everything. Raises what could not be staged."""
        if self._error is not None:
            raise self._error
        with self._one_at_a_time:
            return self._stager.receipts()


class _NoOutbox(Outbox):
    """Keeps nothing: the sender remembers what it could not stage, and the task fails."""

    def put(self, queued_write: QueuedWrite, content: bytes | None = None) -> None:
        """Nothing is kept."""

    def overtake(self, queued_write: QueuedWrite) -> None:
        """Nothing waits."""

    def is_empty(self) -> bool:
        """It always is."""
        return True


class _StagedArtifacts(Artifacts):
    """Champions are exchanged by the driver, who can see which one is to be archived."""

    def __init__(self, context: EngineContext, uploads: Uploads, sender: StagingSender) -> None:
        super().__init__(context, uploads)
        self._sender = sender

    def _swap(self, symbol: str, path: Path, target: str, *, archive: bool, overwrite: bool) -> Put:
        today = self._context.today
        return self._sender.stage(path, target, StagedNote(overwrite, symbol if archive else "", today))


class _StagedFolders(FolderUploads):
    """Folders, all their files: without a look at Dropbox nobody knows which of them are there."""

    def _upload(self, local: Path, target: str, what: What) -> FolderUpload:
        return _StagedFolder(self._context, local, target, what)


class _StagedFolder(FolderUpload):
    def run(self) -> Passed:
        """Stage every file; one that cannot be read, or must not be sent, keeps no other back."""
        context = self._context
        folder = folder_at(
            context.layout,
            self._local,
            self._target,
            patterns=self._what.patterns,
            recursive=self._what.recursive,
            rules=context.rules,
        )
        root = folder.view or folder.local
        progress = UploadLog(self._local, folder.remote, folder.view)
        passed = Passed(PushReport())
        for path in sorted(scan(root, wanted=folder.wants).files):
            local = root.path / root.at(path) if isinstance(root, FolderView) else root / path
            try:
                if self._refuse is not None:
                    self._refuse(local)
                context.sender.put_file(local, join(folder.remote, path))
                passed.report.uploaded += 1
            except HuracanError as error:
                context.boundary.note(error)
                progress.failed(path, error)
                passed.report.failed.append(Failure(path, error))
        self._log(passed)
        if passed.report.failed and context.boundary.strict:
            raise passed.report.failed[0].error
        return passed
