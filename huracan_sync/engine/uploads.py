"""One file or one text to Dropbox; what cannot be put there now is kept in the outbox."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from huracan_sync.engine.champion_set import note_put
from huracan_sync.engine.context import EngineContext
from huracan_sync.engine.deliver import deliver
from huracan_sync.engine.error_boundary import no_file, typed
from huracan_sync.engine.event_log import log
from huracan_sync.engine.outbox import HOPELESS, QueuedWrite
from huracan_sync.engine.put import Put, snapshot
from huracan_sync.errors import Conflict, HuracanError, LocalFailure, UsageError

DELIVERED_ALONG = 8
"""How many queued writes one uploaded file takes along; a pass over a folder takes all."""


class Uploads:
    """Uploads of single files and texts."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context

    def upload_file(self, local: Path, remote_path: str, *, overwrite: bool, dated: bool) -> bool:
        """See `DropboxSync.upload_file`."""
        boundary, where = self._context.boundary, {"local_path": str(local), "remote_path": remote_path}
        if not local.exists():
            boundary.missing("file_not_found", no_file(local), path=str(local))
            return False
        if not local.is_file():
            error = LocalFailure(f"{local} is no file", hint="use sync_directory")
            boundary.failed("file_upload_failed", error, **where)
            return False

        def place() -> str:
            return self._context.place(remote_path) if dated else self._context.layout.literal(remote_path)

        target = boundary.attempt("file_upload_failed", "", place, **where)
        if not target:
            return False
        event = "upload_file_normalized_path" if dated else "upload_file_using_pre_normalized_path"
        log.debug(event, original_path=remote_path, remote_path=target)
        return self.upload(local, target, overwrite=overwrite)

    def upload_to(
        self, local: Path, target: Callable[[], str], *, missing: str, overwrite: bool = True, **where: Any
    ) -> bool:
        """Upload a file to a place that has to be worked out; `missing` is the event when there is no such file."""
        boundary = self._context.boundary
        if not local.exists():
            boundary.missing(missing, no_file(local), path=str(local), **where)
            return False
        place = boundary.attempt("file_upload_failed", "", target, local_path=str(local), **where)
        return bool(place) and self.upload(local, place, overwrite=overwrite, **where)

    def upload(self, local: Path, target: str, *, overwrite: bool = True, **more: Any) -> bool:
        """Upload a file to an absolute place, or keep it for later; whether it is in Dropbox."""
        where = {"local_path": str(local), "remote_path": target, **more}
        rev = self._context.read_revisions.take(target)

        def work() -> Put:
            return self._context.sender.put_file(local, target, overwrite=overwrite, rev=rev)

        def keep(error: HuracanError) -> None:
            self.keep(local, target, error, overwrite=overwrite)

        put = self.put_or_keep("file_upload_failed", work, keep, target, **where)
        if put is not None:
            self.log_put(put, target, local_path=str(local))
            note_put(self._context, put, target, local)
        return put is not None

    def keep(self, local: Path, target: str, error: HuracanError, *, overwrite: bool, champion: str = "") -> None:
        """Keep a file in the outbox, with its content when it is small.

        Raises:
            DiskFull, LocalFailure: the outbox cannot be written.
        """
        queued_write = self._context.queued_write(
            target, error, local=str(local.absolute()), overwrite=overwrite, champion=champion
        )
        self._context.outbox.put(queued_write, snapshot(local))

    def put_or_keep(
        self, event: str, work: Callable[[], Put], keep: Callable[[HuracanError], None], target: str, **where: Any
    ) -> Put | None:
        """Put something; when that cannot be done now, keep it durably, then say that it failed."""
        context = self._context

        def attempt() -> Put:
            started = context.clock()
            try:
                put = work()
            except HOPELESS:
                raise
            except Exception as error:
                keep(typed(error))  # whatever it was: the caller may delete the file now
                raise
            context.outbox.overtake(QueuedWrite(remote=target, service=context.service, queued=started))
            return put

        put = context.boundary.attempt(event, None, attempt, **where)
        if put is not None:
            deliver(context, at_most=DELIVERED_ALONG)
        return put

    def log_put(self, put: Put, target: str, *, local_path: str = "") -> None:
        """Log what was put, or that something else was there and was left."""
        if not put.differs:
            size = put.there.size
            log.info("file_uploaded", local_path=local_path, remote_path=target, size_bytes=size, sent=put.sent)
            return
        log.warning(
            "file_exists_skip", path=target, differs=True, message="other content is there; overwrite=False leaves it"
        )
        if self._context.boundary.strict:
            raise Conflict(f"{target} holds other content, and was not to be overwritten", code="EXISTS", path=target)

    def write_text(self, remote_path: str, text: str, *, dated: bool, overwrite: bool) -> bool:
        """See `DropboxSync.write_text`."""
        return self.write_to(
            lambda: self._context.place(remote_path, dated=dated), text, overwrite=overwrite, remote_path=remote_path
        )

    def write_to(self, target: Callable[[], str], text: str, *, overwrite: bool, **where: Any) -> bool:
        """Put a text at a place that has to be worked out, or keep it for later; whether it is in Dropbox."""

        def prepared() -> tuple[str, bytes]:
            try:
                return target(), text.encode()
            except UnicodeEncodeError as error:
                raise UsageError(f"the text holds half of a character at {error.start}, which UTF-8 cannot") from error

        place, content = self._context.boundary.attempt("text_write_failed", ("", b""), prepared, **where)
        return bool(place) and self.write(place, content, overwrite=overwrite)

    def write(self, target: str, content: bytes, *, overwrite: bool = True) -> bool:
        """Put content at an absolute place, or keep it for later; whether it is in Dropbox."""
        context = self._context
        rev = context.read_revisions.take(target)
        put = self.put_or_keep(
            "text_write_failed",
            lambda: context.sender.put_content(content, target, overwrite=overwrite, rev=rev),
            lambda error: context.outbox.put(context.queued_write(target, error, overwrite=overwrite), content),
            target,
            remote_path=target,
        )
        if put is None:
            return False
        if put.differs:
            self.log_put(put, target)
        else:
            log.info("text_written_to_dropbox", remote_path=target, size_bytes=len(content))
            note_put(context, put, target, content)
        return True
