"""Metadata as Dropbox prints it: fields in the recorded order, absent where it has nothing to say. Pure."""

from typing import Any

from huracan_sync.emulator.state import names
from huracan_sync.emulator.state.records import Revision, Tombstone
from huracan_sync.emulator.state.tree import Node
from huracan_sync.emulator.state.view import View

Json = dict[str, Any]


def of(view: View, node: Node, *, tagged: bool = True) -> Json:
    """Return the metadata of a file or folder; `tagged` where the specification says Metadata."""
    path = node.path(view.root)
    if node.revision:
        return _file(node.name, path, node.revision, tagged=tagged)
    tag = {".tag": "folder"} if tagged else {}
    return {**tag, "name": node.name, "path_lower": names.lower(path), "path_display": path, "id": node.node_id}


def of_revision(view: View, revision: Revision) -> Json:
    """Return the metadata of a revision, with the path it was written at. Never tagged."""
    path = view.shown(revision.path)
    return _file(path.rpartition("/")[2], path, revision, tagged=False)


def of_tombstone(view: View, tombstone: Tombstone, *, restorable: bool = False) -> Json:
    """Return the metadata of a deleted item."""
    path = view.shown(tombstone.path)
    entry: Json = {
        ".tag": "deleted",
        "name": path.rpartition("/")[2],
        "path_lower": names.lower(path),
        "path_display": path,
    }
    if restorable:
        entry["is_restorable"] = True
    return entry


def _file(name: str, path: str, revision: Revision, *, tagged: bool) -> Json:
    entry: Json = {".tag": "file"} if tagged else {}
    entry["name"] = name
    entry["path_lower"] = names.lower(path)
    entry["path_display"] = path
    entry["id"] = revision.file_id
    entry["client_modified"] = revision.client_modified
    entry["server_modified"] = revision.server_modified
    entry["rev"] = revision.rev
    entry["size"] = revision.size
    entry["is_downloadable"] = True
    entry["content_hash"] = revision.content_hash
    return entry
