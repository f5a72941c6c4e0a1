"""Writing a file: what counts as a conflict, and how a conflict is resolved.

    target                     add              overwrite        update(rev)
    nothing                    written          written          written; strict: conflict/file
    a folder                   conflict/folder  conflict/folder  conflict/folder
    a file, same content,      as it is         as it is         as it is
      not strict
    a file                     conflict/file    written          written if rev is current, else conflict/file

With autorename a conflict becomes a new name beside. "As it is" means that nothing is written: the old rev, times and
casing come back. What is written over a file takes the casing of the new path's last name. Strict (`strict_conflict`)
takes the row of the same content away, so that the last row decides.
"""

from typing import Any

from huracan_sync.emulator.calls.call import Call
from huracan_sync.emulator.spec import arguments
from huracan_sync.emulator.spec.failures import Failure
from huracan_sync.emulator.spec.schema import Invalid, Text
from huracan_sync.emulator.state import metadata, names
from huracan_sync.emulator.state.records import Blob
from huracan_sync.emulator.state.tree import Node
from huracan_sync.emulator.state.view import Target, View

Json = dict[str, Any]


async def commit(call: Call, info: Json, blob: Blob, *fields: str) -> Node:
    """Write a file as a CommitInfo says: `ready`, then `place`."""
    await ready(call, info, blob, *fields)
    return place(call, info, blob, *fields)


async def ready(call: Call, info: Json, blob: Blob, *fields: str) -> None:
    """Take the account's write lock, if a CommitInfo has something to write.

    Args:
        call: who writes.
        info: the CommitInfo.
        blob: the content.
        fields: the names that lead to `info` in the argument.

    Raises:
        Failure: a WriteError. Invalid: an id that leads nowhere. RateLimited: not our turn.
    """
    fail_if_id_is_unsettled(call, info["path"], arguments.WRITE_PATH_OR_ID, *fields, "path")
    aim(call.view, info, *fields)
    if not has_content(call, info, blob):
        await call.take_write_lock()


def fail_if_id_is_unsettled(call: Call, path: str, kind: Text, *fields: str) -> None:
    """Fail, if scripted so, because an id that was just made is not known everywhere yet.

    Raises:
        Invalid: so it is.
    """
    if path.startswith("id:") and call.quirk("unsettled_id"):
        invalid = kind.mismatch(path)
        invalid.parents = list(reversed(fields))
        raise invalid


def aim(view: View, info: Json, *fields: str) -> Target:
    """Return the target of a CommitInfo."""
    return view.aim(info["path"], arguments.WRITE_PATH_OR_ID, *fields, "path")


def has_content(call: Call, info: Json, blob: Blob) -> bool:
    """Return whether the target already has this content, so that nothing is written."""
    try:
        there = aim(call.view, info).there
    except (Failure, Invalid):
        return False
    return _same(there, info, blob)


def _same(there: Node | None, info: Json, blob: Blob) -> bool:
    revision = there.revision if there else None
    return revision is not None and not info["strict_conflict"] and revision.content_hash == blob.content_hash


def place(call: Call, info: Json, blob: Blob, *fields: str) -> Node:
    """Write a file as a CommitInfo says, without waiting.

    Raises:
        Failure: a WriteError. Invalid: an id that leads nowhere.
    """
    view, there = call.view, None
    target = aim(view, info, *fields)
    there = target.there
    if there is not None and _same(there, info, blob):
        return there
    conflict = _conflict(there, info)
    if conflict:
        if not info["autorename"]:
            raise Failure("conflict", conflict)
        target = _renamed(call, target, info)
        there = None
    _room(call, blob.size - (there.revision.size if there and there.revision else 0))
    modified = info["client_modified"] or call.moment.stamp
    if there is not None:
        call.account.write(there, blob, modified, call.moment, name=target.name)
        return there
    return call.account.add_file(view.make(target), target.name, blob, modified, call.moment)


def _conflict(there: Node | None, info: Json) -> str | None:
    """Return the tag of the conflict, or None."""
    mode, rev = info["mode"]
    if there is None:
        return "file" if mode == "update" and info["strict_conflict"] else None
    if there.revision is None:
        return "folder"
    free = mode == "overwrite" or (mode == "update" and rev == there.revision.rev)
    return None if free else "file"


def _renamed(call: Call, target: Target, info: Json) -> Target:
    person = call.account.person
    who = f"{person.given_name} {person.surname}".strip()
    if info["mode"][0] != "update":
        return free_name(call.view, target)
    number = 0
    while True:
        name = names.conflicted(target.name, who, number)
        if call.account.child(target.parent, name) is None:
            return Target(target.parent, target.missing, name, None)
        number += 1


def free_name(view: View, target: Target) -> Target:
    """Return the target in the same folder with the first numbered name that is free."""
    if target.missing:
        return target
    number = 1
    while view.account.child(target.parent, names.numbered(target.name, number)):
        number += 1
    return Target(target.parent, target.missing, names.numbered(target.name, number), None)


def _room(call: Call, more: int) -> None:
    if more > 0 and call.account.used + more > quota(call):
        raise Failure("insufficient_space")


def quota(call: Call) -> int:
    """Return how many bytes the account may hold."""
    override = call.world.settings.quota_bytes
    return call.account.person.quota_bytes if override is None else override


def bare(call: Call, node: Node) -> Json:
    """Return a file's metadata without a tag, as the routes that write a file answer it."""
    return metadata.of(call.view, node, tagged=False)
