"""create_folder*, delete* and permanently_delete."""

from typing import Any

from huracan_sync.emulator.calls.call import Call, route
from huracan_sync.emulator.calls.path_faults import strike
from huracan_sync.emulator.routes import jobs
from huracan_sync.emulator.routes.commits import fail_if_id_is_unsettled, free_name
from huracan_sync.emulator.spec import arguments
from huracan_sync.emulator.spec.failures import BadInput, Failure
from huracan_sync.emulator.state import metadata
from huracan_sync.emulator.state.tree import Node
from huracan_sync.emulator.state.view import Target, View, aimed

Json = dict[str, Any]
WRITE = "files.content.write"
_MANY = 100  # so many paths are made by a job


@route("files/create_folder_v2", arguments.CREATE_FOLDER, WRITE)
async def create_folder(call: Call) -> Json:
    """Create a folder. One that exists is a conflict, not a success."""
    return {"metadata": metadata.of(call.view, await _create(call), tagged=False)}


@route("files/create_folder", arguments.CREATE_FOLDER, WRITE)
async def create_folder_old(call: Call) -> Json:
    """Create a folder, by the deprecated form: the answer is the metadata alone."""
    return metadata.of(call.view, await _create(call), tagged=False)


async def _create(call: Call) -> Node:
    fail_if_id_is_unsettled(call, call.arg["path"], arguments.WRITE_PATH, "path")
    try:
        call.view.aim(call.arg["path"], arguments.WRITE_PATH, "path")
        await call.take_write_lock()
        return _make(call.view, call.view.aim(call.arg["path"], arguments.WRITE_PATH, "path"), call.arg["autorename"])
    except Failure as failure:
        raise failure.under("path") from None


def _make(view: View, target: Target, autorename: bool) -> Node:  # noqa: FBT001  it is the argument's field
    if target.there is not None:
        if not autorename:
            raise Failure("conflict", "folder" if target.there.is_folder else "file")
        target = free_name(view, target)
    return view.account.add_folder(view.make(target), target.name)


@route("files/create_folder_batch", arguments.CREATE_FOLDER_BATCH, WRITE)
async def create_folder_batch(call: Call) -> Json:
    """Create many folders: at once if they are few, else by a job. A path named twice counts once."""
    if call.arg["force_async"] or len(call.arg["paths"]) >= _MANY:

        async def work() -> Json:
            return _create_all(call)

        return jobs.launch(call, "create_folder_batch", work)
    await call.take_write_lock()
    return _create_all(call)


def _create_all(call: Call) -> Json:
    made: dict[str, Json] = {}
    for path in call.arg["paths"]:
        if path not in made:
            try:
                strike(call, {"path": path})
            except Failure as failure:
                made[path] = {".tag": "failure", "failure": failure.error()}
                continue
            try:
                node = _make(call.view, aimed(call.view, path, arguments.WRITE_PATH), call.arg["autorename"])
                made[path] = {".tag": "success", "metadata": metadata.of(call.view, node, tagged=False)}
            except Failure as failure:
                made[path] = {".tag": "failure", "failure": failure.under("path").error()}
    return {".tag": "complete", "entries": [made[path] for path in call.arg["paths"]]}


@route("files/delete_v2", arguments.DELETE, WRITE)
async def delete(call: Call) -> Json:
    """Delete a file, or a folder with its content. The answer is the metadata it had."""
    _target_of_delete(call, call.arg)
    await call.take_write_lock()
    return {"metadata": _delete(call, call.arg)}


@route("files/delete", arguments.DELETE, WRITE)
async def delete_old(call: Call) -> Json:
    """Delete, by the deprecated form: the answer is the tagged metadata alone."""
    _target_of_delete(call, call.arg)
    await call.take_write_lock()
    return _delete(call, call.arg)


def _target_of_delete(call: Call, arg: Json) -> Node:
    """Return what is to be deleted.

    Raises:
        Failure: a DeleteError.
    """
    try:
        node = call.view.find(arg["path"])
    except Failure as failure:
        raise failure.under("path_lookup") from None
    if node is call.view.root or node.parent is None:
        raise Failure("path_lookup", "malformed_path")
    if arg["parent_rev"] and (node.revision is None or node.revision.rev != arg["parent_rev"]):
        raise Failure("path_write", "conflict", "file" if node.revision else "folder")
    return node


def _delete(call: Call, arg: Json) -> Json:
    node = _target_of_delete(call, arg)
    was = metadata.of(call.view, node)
    call.account.remove(node, call.moment)
    return was


@route("files/delete_batch", arguments.DELETE_BATCH, WRITE)
async def delete_batch(call: Call) -> Json:
    """Delete many items: always a job, even for one. Entries fail alone."""

    async def work() -> Json:
        entries: list[Json] = []
        for arg in call.arg["entries"]:
            try:
                strike(call, arg)
                entries.append({".tag": "success", "metadata": _delete(call, arg)})
            except Failure as failure:
                entries.append({".tag": "failure", "failure": failure.error()})
        return {".tag": "complete", "entries": entries}

    return jobs.launch(call, "delete_batch", work)


@route("files/permanently_delete", arguments.DELETE, None)
async def permanently_delete(call: Call) -> Json:  # noqa: ARG001  nobody here is a Business app
    """Refuse: this is for Business apps, and the emulator has none."""
    raise BadInput("Your API app is not allowed to call this function.")
