"""Delivers what waits in the outbox. Every pass that reaches Dropbox does it; one process at a time.

A queued write is dropped when somebody wrote the same path later, here or elsewhere: theirs is the newer state.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huracan_sync.disk.lock import hold
from huracan_sync.engine.champion_set import note_put
from huracan_sync.engine.champion_swap import ChampionSwap
from huracan_sync.engine.context import EngineContext
from huracan_sync.engine.error_boundary import typed
from huracan_sync.engine.event_log import error_fields, log
from huracan_sync.engine.folder_sync import folder_at, push_folder
from huracan_sync.engine.outbox import HOPELESS, QueuedWrite
from huracan_sync.engine.progress_log import UploadLog
from huracan_sync.engine.put import Put
from huracan_sync.engine.secret_guard import refuse_secrets
from huracan_sync.errors import (
    Busy,
    LocalFailure,
    NotAuthorized,
    NotFound,
    TryLater,
    Unavailable,
)
from huracan_sync.remote import files
from huracan_sync.tree.content_hash import content_hash

DATE_S = 2.0
"""How exactly an answer tells the server's time."""


def deliver(context: EngineContext, *, at_most: int | None = None) -> int:
    """Deliver what waits, oldest first, until something says that now is not the time. How many were delivered.

    Never raises: the caller has succeeded already, and what waits goes on waiting.
    """
    if context.outbox.is_empty():
        return 0
    try:
        with hold(context.home / "locks" / "delivery.lock", what="the outbox"):
            return _deliver_all(context, _ours(context)[:at_most])
    except Busy:
        return 0  # another process is at it
    except Exception as error:  # noqa: BLE001 - see above
        log.error("outbox_delivery_failed", **error_fields(error))
        return 0


def _deliver_all(context: EngineContext, queued_writes: list[QueuedWrite]) -> int:
    done = 0
    for queued_write in queued_writes:
        try:
            done += _deliver(context, queued_write)
        except Exception as failure:  # noqa: BLE001 - one that cannot be delivered stops no other
            error = typed(failure)
            context.outbox.failed_again(queued_write, error.as_dict())
            if isinstance(error, NotAuthorized | Unavailable | TryLater):
                break
    return done


def _ours(context: EngineContext) -> list[QueuedWrite]:
    account = context.remote.place.partition("/")[2]
    return [
        queued_write
        for queued_write in context.pending()
        if queued_write.account in {"", account} or queued_write.account.startswith("token-")
    ]


def _deliver(context: EngineContext, queued_write: QueuedWrite) -> bool:
    """Deliver one; whether that is done."""
    if queued_write.is_folder:
        return _deliver_folder(context, queued_write)
    outbox, sender = context.outbox, context.sender
    content = outbox.content(queued_write)
    if content is None and queued_write.kept is not None:
        return False  # a newer one took its place meanwhile
    if content is None and not Path(queued_write.local).is_file():
        _say_gone(context, queued_write)
        return False
    if _is_overtaken(context, queued_write, content):
        log.warning("outbox_overtaken", remote_path=queued_write.remote)
        outbox.drop(queued_write)
        return False

    def put(**how: Any) -> Put:
        if content is not None:
            return sender.put_content(content, queued_write.remote, **how)
        return sender.put_file(Path(queued_write.local), queued_write.remote, **how)

    if queued_write.champion:
        digest = content_hash(content) if content is not None else b""
        swap = ChampionSwap(context.remote, context.layout, queued_write.champion, context.today)
        put_there = swap.replace(digest, put, archive=True, overwrite=queued_write.overwrite)
    else:
        put_there = put(overwrite=queued_write.overwrite)
    note_put(context, put_there, queued_write.remote, Path(queued_write.local) if content is None else content)
    outbox.drop(queued_write)
    log.info(
        "outbox_delivered", remote_path=queued_write.remote, waited_s=round(context.clock() - queued_write.queued, 1)
    )
    return True


def _say_gone(context: EngineContext, queued_write: QueuedWrite) -> None:
    """What was to be delivered is not on this disk any more: nobody can deliver it."""
    log.error("outbox_file_gone", remote_path=queued_write.remote, local_path=queued_write.local)
    message = f"{queued_write.local} was to be delivered to {queued_write.remote} and is gone"
    context.boundary.note(LocalFailure(message, hint="put it there and upload it again", path=queued_write.local))
    context.outbox.drop(queued_write)


def _is_overtaken(context: EngineContext, queued_write: QueuedWrite, content: bytes | None) -> bool:
    """Whether somebody wrote the path after this was queued."""
    try:
        there = files.written(context.remote, queued_write.remote)
    except NotFound:
        return False
    if content is not None and there.content_hash == content_hash(content).hex():
        return False
    # By Dropbox's clock: ours may be wrong by hours, and what is thrown away here is nowhere else.
    return there.server_modified.timestamp() > queued_write.queued + context.remote.ahead_s + DATE_S


def _deliver_folder(context: EngineContext, queued_write: QueuedWrite) -> bool:
    local = Path(queued_write.local)
    if not local.is_dir():
        _say_gone(context, queued_write)
        return False
    folder = folder_at(
        context.layout,
        local,
        queued_write.remote,
        patterns=queued_write.patterns,
        recursive=queued_write.recursive,
        rules=context.rules,
    )
    progress = UploadLog(local, folder.remote, folder.view)
    refuse = refuse_secrets if queued_write.refuses_secrets else None
    passed = push_folder(context.operations.watched_by(progress), folder, refuse=refuse)
    failed = [failure.error for failure in passed.report.failed if not isinstance(failure.error, HOPELESS)]
    if failed:
        raise failed[0]
    context.outbox.drop(queued_write)
    return True
