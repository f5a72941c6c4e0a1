"""Moving and copying.

Nothing is overwritten: an item at the target is a conflict, or with autorename the new one gets another name. Missing
parents are created. A moved file keeps id and client_modified and gets a new rev; a copy gets a new id too.
"""

import random
from typing import Any

from huracan_sync.emulator.calls.call import Call, route
from huracan_sync.emulator.calls.path_faults import strike
from huracan_sync.emulator.routes import commits, jobs
from huracan_sync.emulator.spec import arguments
from huracan_sync.emulator.spec.failures import Failure
from huracan_sync.emulator.spec.schema import Struct
from huracan_sync.emulator.state import metadata, names
from huracan_sync.emulator.state.tree import Node
from huracan_sync.emulator.state.view import Target, aimed

Json = dict[str, Any]
WRITE = "files.content.write"
_MOST = 10_000  # items one call may touch


@route("files/move_v2", arguments.RELOCATE, WRITE)
async def move(call: Call) -> Json:
    """Move a file or folder."""
    return {"metadata": await _alone(call, keep=False)}


@route("files/copy_v2", arguments.RELOCATE, WRITE)
async def copy(call: Call) -> Json:
    """Copy a file or folder."""
    return {"metadata": await _alone(call, keep=True)}


@route("files/move", arguments.RELOCATE, WRITE)
async def move_old(call: Call) -> Json:
    """Move or copy, by the deprecated form: the answer is the tagged metadata alone."""
    return await _alone(call, keep=False)


@route("files/copy", arguments.RELOCATE, WRITE)
async def copy_old(call: Call) -> Json:
    """Move or copy, by the deprecated form: the answer is the tagged metadata alone."""
    return await _alone(call, keep=True)


async def _alone(call: Call, *, keep: bool) -> Json:
    _plan(call, call.arg, autorename=call.arg["autorename"], keep=keep)
    await call.take_write_lock()
    return metadata.of(call.view, _relocate(call, call.arg, autorename=call.arg["autorename"], keep=keep))


def _relocate(call: Call, arg: Json, *, autorename: bool, keep: bool) -> Node:
    node, target = _plan(call, arg, autorename=autorename, keep=keep)
    if target is None:
        return node
    parent = call.view.make(target)
    if keep:
        return call.account.copy(node, parent, target.name, call.moment)
    order = call.world.settings.rename_order
    first = order == "deleted_first" or (order == "random" and random.random() < 0.5)  # noqa: S311
    call.account.move(node, parent, target.name, call.moment, deleted_first=first)
    return node


def _plan(call: Call, arg: Json, *, autorename: bool, keep: bool) -> tuple[Node, Target | None]:
    """Return what goes where; no target if nothing is to change.

    Raises:
        Failure: a RelocationError.
    """
    try:
        node = call.view.find(arg["from_path"])
    except Failure as failure:
        raise failure.under("from_lookup") from None
    if node is call.view.root or node.parent is None:
        raise Failure("from_lookup", "malformed_path")
    try:
        target = aimed(call.view, arg["to_path"], arguments.WRITE_PATH_OR_ID)
    except Failure as failure:
        raise failure.under("to") from None
    _into_itself(node, target, keep=keep)
    if target.there is node and not keep:
        return _case_only(call, node, target)
    if target.there is not None:
        if not autorename:
            raise Failure("to", "conflict", "folder" if target.there.is_folder else "file")
        target = commits.free_name(call.view, target)
    _affordable(call, node, keep=keep)
    return node, target


def _into_itself(node: Node, target: Target, *, keep: bool) -> None:
    if node.is_folder and target.parent.below(node):
        raise Failure("duplicated_or_nested_paths" if keep else "cant_move_folder_into_itself")


def _case_only(call: Call, node: Node, target: Target) -> tuple[Node, Target | None]:
    """Decide on a move that changes only the casing of the name, or nothing: the service's answer is not certain."""
    how = call.world.settings.case_rename
    if how == "conflict" or names.compose(target.name) == node.name:
        raise Failure("to", "conflict", "folder" if node.is_folder else "file")
    return (node, None) if how == "ignored" else (node, target)


def _affordable(call: Call, node: Node, *, keep: bool) -> None:
    count, size = 0, 0
    for each in node.walk():
        count += 1
        size += each.revision.size if each.revision else 0
    if count > _MOST:
        raise Failure("too_many_files")
    if keep and call.account.used + size > commits.quota(call):
        raise Failure("insufficient_quota")


def _batch(kind: str, argument: Struct, *, keep: bool) -> None:
    """Register the routes of a batch: `kind`_v2 (entries fail alone) and `kind` (the first failure fails the job)."""

    def entry(call: Call, arg: Json) -> Json:
        return metadata.of(call.view, _relocate(call, arg, autorename=call.arg["autorename"], keep=keep))

    @route(f"files/{kind}_v2", argument, WRITE)
    async def new(call: Call) -> Json:
        async def work() -> Json:
            entries: list[Json] = []
            for arg in call.arg["entries"]:
                try:
                    strike(call, arg)
                    entries.append({".tag": "success", "success": entry(call, arg)})
                except Failure as failure:
                    entries.append({".tag": "failure", "failure": failure.under("relocation_error").error()})
            return {".tag": "complete", "entries": entries}

        return jobs.launch(call, f"{kind}_v2", work)

    @route(f"files/{kind}", arguments.RELOCATE_BATCH_OLD, WRITE)
    async def old(call: Call) -> Json:
        async def work() -> Json:
            try:
                entries = [{"metadata": entry(call, arg)} for arg in call.arg["entries"]]
            except Failure as failure:
                return {".tag": "failed", "failed": failure.error()}
            return {".tag": "complete", "entries": entries}

        return jobs.launch(call, kind, work)


_batch("copy_batch", arguments.COPY_BATCH, keep=True)
_batch("move_batch", arguments.MOVE_BATCH, keep=False)
