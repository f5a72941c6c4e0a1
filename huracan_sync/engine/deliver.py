# ruff: noqa: SLF001 - it is a part of DropboxSync that stands on a page of its own
"""Delivering what waits in the outbox. Every pass that reaches Dropbox does it; one process at a time.

A letter that was overtaken is void: whoever wrote the same path later, here or elsewhere, wrote the newer state.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huracan_sync.disk.lock import hold
from huracan_sync.engine import folder_sync
from huracan_sync.engine.champion_set import note
from huracan_sync.engine.champion_swap import Succession
from huracan_sync.engine.error_boundary import Telling, log, said
from huracan_sync.engine.outbox import QueuedWrite
from huracan_sync.engine.put import Put
from huracan_sync.engine.secret_guard import refuse_secrets
from huracan_sync.errors import (
    Busy,
    HuracanError,
    LocalFailure,
    NotAuthorized,
    NotFound,
    TryLater,
    Unavailable,
)
from huracan_sync.remote import files
from huracan_sync.tree.content_hash import content_hash

if TYPE_CHECKING:
    from huracan_sync.engine.state import Instance

DATE_S = 2.0
"""How exactly an answer tells the server's time."""


def deliver(sync: Instance, *, at_most: int | None = None) -> int:
    """Deliver what waits, oldest first, until something says that now is not the time. How many were delivered.

    Never raises: whoever calls has succeeded already, and what waits goes on waiting.
    """
    if sync._outbox.is_empty():
        return 0
    try:
        with hold(sync._home / "locks" / "delivery.lock", what="the outbox"):
            return _deliver_all(sync, _ours(sync)[:at_most])
    except Busy:
        return 0  # another process is at it
    except Exception as error:  # noqa: BLE001 - see above
        log.error("outbox_delivery_failed", **said(error))
        return 0


def _deliver_all(sync: Instance, queued_writes: list[QueuedWrite]) -> int:
    done = 0
    for queued_write in queued_writes:
        try:
            done += _deliver(sync, queued_write)
        except HuracanError as error:
            sync._outbox.failed_again(queued_write, error.as_dict())
            if isinstance(error, NotAuthorized | Unavailable | TryLater):
                break
    return done


def _ours(sync: Instance) -> list[QueuedWrite]:
    account = sync._remote.place.partition("/")[2]
    return [
        queued_write
        for queued_write in sync.pending
        if queued_write.account in {"", account} or queued_write.account.startswith("token-")
    ]


def _deliver(sync: Instance, queued_write: QueuedWrite) -> bool:
    """Deliver one; whether that is done."""
    if queued_write.is_folder:
        return _deliver_folder(sync, queued_write)
    outbox, sender = sync._outbox, sync._sender
    content = outbox.content(queued_write)
    if content is None and queued_write.kept is not None:
        return False  # a newer letter took its place meanwhile
    if content is None and not Path(queued_write.local).is_file():
        log.error("outbox_file_gone", remote_path=queued_write.remote, local_path=queued_write.local)
        sync._last_error = LocalFailure(
            f"{queued_write.local} was to be delivered to {queued_write.remote} and is gone", path=queued_write.local
        )
        outbox.drop(queued_write)
        return False
    if _is_overtaken(sync, queued_write, content):
        log.warning("outbox_overtaken", remote_path=queued_write.remote)
        outbox.drop(queued_write)
        return False

    def put(**how: Any) -> Put:
        if content is not None:
            return sender.put_content(content, queued_write.remote, **how)
        return sender.put_file(Path(queued_write.local), queued_write.remote, **how)

    if queued_write.champion:
        digest = content_hash(content) if content is not None else b""
        succession = Succession(sync._remote, sync._layout, queued_write.champion, sync._today())
        there = succession.succeed(digest, put, archive=True, overwrite=queued_write.overwrite)
    else:
        there = put(overwrite=queued_write.overwrite)
    note(sync, there, queued_write.remote, Path(queued_write.local) if content is None else content)
    outbox.drop(queued_write)
    log.info("outbox_delivered", remote_path=queued_write.remote, waited_s=round(time.time() - queued_write.queued, 1))
    return True


def _is_overtaken(sync: Instance, queued_write: QueuedWrite, content: bytes | None) -> bool:
    """Whether somebody wrote the path after the letter was."""
    try:
        there = files.written(sync._remote, queued_write.remote)
    except NotFound:
        return False
    if content is not None and there.content_hash == content_hash(content).hex():
        return False
    # By Dropbox's clock: ours may be wrong by hours, and what is thrown away here is nowhere else.
    return there.server_modified.timestamp() > queued_write.queued + sync._remote.ahead_s + DATE_S


def _deliver_folder(sync: Instance, queued_write: QueuedWrite) -> bool:
    local = Path(queued_write.local)
    if not local.is_dir():
        sync._outbox.drop(queued_write)
        return False
    folder = folder_sync.folder_at(
        sync._layout,
        local,
        queued_write.remote,
        patterns=queued_write.patterns,
        recursive=queued_write.recursive,
    )
    telling = Telling(local, folder.remote, folder.arranged)
    refuse = refuse_secrets if queued_write.refuses_secrets else None
    passed = folder_sync.push_folder(sync._context.watched_by(telling), folder, refuse=refuse)
    failed = [failure.error for failure in passed.report.failed]
    if failed:
        raise failed[0]
    sync._outbox.drop(queued_write)
    return True
