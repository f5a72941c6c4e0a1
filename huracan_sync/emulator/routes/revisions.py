"""get_metadata, list_revisions and restore."""

from typing import Any

from huracan_sync.emulator.calls.call import Call, route
from huracan_sync.emulator.routes import commits
from huracan_sync.emulator.spec import arguments
from huracan_sync.emulator.spec.failures import Failure
from huracan_sync.emulator.state import metadata, names
from huracan_sync.emulator.state.records import Blob, Revision
from huracan_sync.emulator.state.tree import Node

Json = dict[str, Any]
READ = "files.metadata.read"


@route("files/get_metadata", arguments.GET_METADATA, READ)
@route("files/alpha/get_metadata", arguments.ALPHA_GET_METADATA, READ)
async def get_metadata(call: Call) -> Json:
    """Return the metadata of an item; with include_deleted also of a deleted one."""
    path = call.arg["path"]
    try:
        if path.startswith("rev:"):
            return {".tag": "file", **metadata.of_revision(call.view, call.view.revision(path[4:]))}
        entry = metadata.of(call.view, call.view.find(path))
    except Failure as failure:
        if call.arg["include_deleted"] and failure.tags == ("not_found",):
            return _deleted(call, path)
        raise failure.under("path") from None
    if call.arg["include_has_explicit_shared_members"] and entry[".tag"] == "file":
        entry["has_explicit_shared_members"] = False
    return entry


def _deleted(call: Call, path: str) -> Json:
    try:
        tombstone = call.account.tombstones.get(call.view.lower(path))
    except Failure as failure:
        raise failure.under("path") from None
    if tombstone is None:
        raise Failure("path", "not_found")
    return metadata.of_tombstone(call.view, tombstone)


@route("files/list_revisions", arguments.LIST_REVISIONS, READ)
async def list_revisions(call: Call) -> Json:
    """Return revisions, newest first: those at the path, or in mode id those of the file wherever it lay."""
    by_id = call.arg["mode"][0] == "id"
    found, gone = _history(call, by_id=by_id)
    before = call.arg["before_rev"]
    if before is not None:
        if by_id:
            raise Failure("before_rev_not_supported")
        if not any(revision.rev == before for revision in found):
            raise Failure("invalid_before_rev")
        found = [revision for revision in found if revision.rev < before]
    shown = found[: call.arg["limit"]]
    entries = [metadata.of_revision(call.view, revision) for revision in shown]
    if call.arg["include_restorable_info"]:
        entries = [{**entry, "is_restorable": True} for entry in entries]
    deleted = {"server_deleted": gone} if gone else {}
    return {"is_deleted": bool(gone), **deleted, "entries": entries, "has_more": len(found) > len(shown)}


def _history(call: Call, *, by_id: bool) -> tuple[list[Revision], str]:
    """Return all revisions of the file that a path or id means, newest first, and when it was deleted (or "")."""
    path, account = call.arg["path"], call.account
    node: Node | None = None
    lower = ""
    try:
        node = call.view.find(path)
    except Failure as failure:
        if failure.tags != ("not_found",):
            raise failure.under("path") from None
        last = account.by_file.get(path, [None])[-1] if path.startswith("id:") else None
        lower = names.lower(last.path) if last else _lower(call, path)
    if node is not None:
        if node.revision is None:
            raise Failure("path", "not_file")
        lower = names.lower(node.path())
    found = account.by_path.get(lower, [])
    if not found:
        raise Failure("path", "not_found")
    if by_id:
        found = account.by_file[found[-1].file_id]
    tombstone = account.tombstones.get(lower)
    return found[::-1], tombstone.when if tombstone and node is None else ""


def _lower(call: Call, path: str) -> str:
    try:
        return call.view.lower(path)
    except Failure as failure:
        raise failure.under("path") from None


@route("files/restore", arguments.RESTORE, "files.content.write")
async def restore(call: Call) -> Json:
    """Write an old revision as the new one. Restoring the current one changes nothing."""
    view, arg = call.view, call.arg
    revision = call.account.revisions.get(arg["rev"])
    try:
        target = view.aim(arg["path"], arguments.WRITE_PATH, "path")
    except Failure as failure:
        raise failure.under("path_write") from None
    if revision is None:
        raise Failure("invalid_revision")
    there = target.there
    if there is not None and there.revision is revision:
        return commits.bare(call, there)
    if there is not None and there.is_folder:
        raise Failure("path_write", "conflict", "folder")
    await call.take_write_lock()
    target = view.aim(arg["path"], arguments.WRITE_PATH, "path")
    blob = Blob(revision.content_hash, revision.size, [])
    if target.there is not None:
        call.account.write(target.there, blob, revision.client_modified, call.moment)
        return commits.bare(call, target.there)
    parent = view.make(target)
    if revision.file_id in call.account.nodes:  # it lives on elsewhere, so this is another file
        node = call.account.add_file(parent, target.name, blob, revision.client_modified, call.moment)
    else:
        node = call.account.revive(parent, target.name, revision, call.moment)
    return commits.bare(call, node)
