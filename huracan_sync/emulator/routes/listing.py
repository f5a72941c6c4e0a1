"""list_folder, continue, get_latest_cursor and longpoll.

A first listing shows what was there when it began: folders, files, then (if asked) deleted items, each in the order
of their last change. What changes meanwhile comes after it, as what changed since. A recursive listing of a folder
begins with the folder itself.
"""

import asyncio
import random
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

from huracan_sync.emulator.calls.call import Answer, Call, route
from huracan_sync.emulator.spec import arguments
from huracan_sync.emulator.spec.failures import BadInput, Failure
from huracan_sync.emulator.state import metadata, names
from huracan_sync.emulator.state.cursors import CHANGES, DELETED, FILES, FOLDERS, Cursor, Scope, seal, unseal
from huracan_sync.emulator.state.records import Tombstone
from huracan_sync.emulator.state.tree import Account, Node
from huracan_sync.emulator.state.view import View
from huracan_sync.emulator.state.world import World

Json = dict[str, Any]
READ = "files.metadata.read"
_REMEMBERED = 8  # first listings whose order is kept between pages
_FOREIGN = "unsupported cursor type"  # the recorded words of longpoll; those of continue are not known

# The order of a first listing: (phase, change number) of each item, and the items.
Order = tuple[list[tuple[int, int]], list[Node | Tombstone]]


@route("files/list_folder", arguments.LIST_FOLDER, READ)
async def list_folder(call: Call) -> Json:
    """Return the first page."""
    return _page(call, _begin(call, phase=FOLDERS), first=True)


@route("files/list_folder/get_latest_cursor", arguments.LIST_FOLDER, READ)
async def get_latest_cursor(call: Call) -> Json:
    """Return a cursor that will see later changes only."""
    return {"cursor": seal(_begin(call, phase=CHANGES), call.world.cursor_key)}


@route("files/list_folder/continue", arguments.CONTINUE, READ)
async def list_continue(call: Call) -> Json:
    """Return the next page, or the changes since the cursor."""
    cursor = unseal(call.arg["cursor"], call.world.cursor_key)
    mine = call.account.person.account_id, call.view.sandbox
    if cursor is None or (cursor.scope.account_id, cursor.scope.sandbox) != mine:
        raise BadInput(f"{call.place}: cursor: {_FOREIGN}")
    if call.quirk("cursor_reset"):
        forget_cursors(call.account)
    if cursor.epoch != call.account.person.cursor_epoch:
        raise Failure("reset")
    return _page(call, cursor, first=False)


@route("files/list_folder/longpoll", arguments.LONGPOLL, None, host="notify", auth="none")
async def longpoll(call: Call) -> Answer:
    """Wait, in real time, for a change anywhere in the account the token sees, not only in the cursor's folder."""
    world, settings = call.world, call.world.settings
    cursor = unseal(call.arg["cursor"], world.cursor_key)
    account = world.accounts.get(cursor.scope.account_id) if cursor else None
    if cursor is None or account is None or cursor.scope.media_info:
        raise BadInput(f"{call.place}: cursor: {_FOREIGN}")
    call.admit(*_seen_by(world, account, cursor))
    if call.quirk("cursor_reset"):
        forget_cursors(account)
    clock = asyncio.get_running_loop().time
    patience = call.arg["timeout"] + random.uniform(0, settings.longpoll_jitter_s)  # noqa: S311  no secret
    end = clock() + (patience if settings.longpoll_cap_s is None else min(patience, settings.longpoll_cap_s))
    noise = call.quirk("longpoll_noise") is not None
    changes = False
    while not changes and clock() < end and not world.ending:
        if cursor.epoch != account.person.cursor_epoch or world.accounts.get(account.person.account_id) is not account:
            raise Failure("reset")
        changes = noise or _any_change(call.view, cursor)
        if not changes:
            await _wait(account.changed, end - clock())
    backoff = {} if settings.longpoll_backoff_s is None else {"backoff": settings.longpoll_backoff_s}
    answer = Answer.of({"changes": changes, **backoff}, compact=True)
    assert isinstance(answer.body, bytes)  # noqa: S101  Answer.of made it
    answer.body += b"\n"
    answer.headers.append(("X-DB-Timeout", "120"))
    return answer


def forget_cursors(account: Account) -> None:
    """Invalidate every cursor issued so far."""
    account.person.cursor_epoch += 1
    account.ledger.keep(account.person)
    account.dirty = True


async def _wait(changed: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(changed.wait(), max(0.0, seconds))
    except TimeoutError:
        return


def _seen_by(world: World, account: Account, cursor: Cursor) -> tuple[Any, View]:
    app = world.apps.get(cursor.scope.sandbox)
    return app, View.of(account, app) if app else View(account, account.root)


def _begin(call: Call, *, phase: int) -> Cursor:
    arg, account = call.arg, call.account
    if arg["shared_link"]:
        raise Failure("path", "not_found")  # there are no shared links here
    try:
        call.view.folder(arg["path"])
    except Failure as failure:
        raise failure.under("path") from None
    scope = Scope(
        account_id=account.person.account_id,
        sandbox=call.view.sandbox,
        folder=arg["path"],
        recursive=arg["recursive"],
        include_deleted=arg["include_deleted"],
        include_mounted=arg["include_mounted_folders"],
        members=arg["include_has_explicit_shared_members"],
        restorable=arg["include_restorable_info"],
        media_info=arg["include_media_info"],
    )
    limit = arg["limit"] or call.world.settings.default_page_size
    at = account.seq if phase == CHANGES else 0
    return Cursor(scope, account.person.cursor_epoch, account.seq, phase, at, limit)


def _page(call: Call, cursor: Cursor, *, first: bool) -> Json:
    """Return the page after a cursor, with the scripted faults of pages."""
    view, settings = call.view, call.world.settings
    try:
        folder = view.folder(cursor.scope.folder)
    except Failure as failure:
        raise failure.under("path") from None
    struck = call.quirk("page_size")
    most = min(cursor.limit, settings.page_size or cursor.limit, struck.size if struck else cursor.limit)
    twist = call.quirk("pages")
    if twist and twist.form == "empty":
        return {"entries": [], "cursor": seal(cursor, call.world.cursor_key), "has_more": True}
    entries: list[Json] = []
    before = (cursor.phase, cursor.at)
    if cursor.phase != CHANGES:
        _first_listing(call, folder, cursor, most, entries)
    elif not first:
        entries += _changes(view, folder, cursor, most, all_children=settings.deleted_children)
    more = cursor.phase != CHANGES or _has_more(view, cursor)
    if twist:
        entries, more = _twisted(twist.form, entries, cursor, before, more=more)
    return {"entries": entries, "cursor": seal(cursor, call.world.cursor_key), "has_more": more}


def _twisted(
    form: str | None, entries: list[Json], cursor: Cursor, before: tuple[int, int], *, more: bool
) -> tuple[list[Json], bool]:
    if form == "missing":
        return [], more
    if form == "duplicate":
        cursor.phase, cursor.at = before
        return entries, True
    return entries[::-1], more


def _entry(view: View, scope: Scope, item: Node | Tombstone) -> Json:
    if isinstance(item, Tombstone):
        return metadata.of_tombstone(view, item, restorable=scope.restorable)
    entry = metadata.of(view, item)
    if scope.members and item.revision:
        entry["has_explicit_shared_members"] = False
    return entry


# -- the first listing --------------------------------------------------------------------------------------------


def _first_listing(call: Call, folder: Node, cursor: Cursor, most: int, entries: list[Json]) -> None:
    keys, items = _order(call, folder, cursor)
    index = bisect_right(keys, (cursor.phase, cursor.at))
    while index < len(keys) and len(entries) < most:
        cursor.phase, cursor.at = keys[index]
        item = items[index]
        if _is_unchanged(call.account, item, cursor.at):
            entries.append(_entry(call.view, cursor.scope, item))
        index += 1
    if index >= len(keys):
        cursor.phase, cursor.at = CHANGES, cursor.start


def _is_unchanged(account: Account, item: Node | Tombstone, seq: int) -> bool:
    """Return whether an item is as it was when the listing began; if not, it comes with the changes."""
    if isinstance(item, Tombstone):
        return account.tombstones.get(item.path_lower) is item
    return item.seq == seq and account.nodes.get(item.node_id) is item


def _order(call: Call, folder: Node, cursor: Cursor) -> Order:
    """Return the items of a first listing in order; cached, and computed again when the cache lost it."""
    remembered = call.world.listings
    key = (cursor.scope, cursor.start)
    if key not in remembered:
        while len(remembered) >= _REMEMBERED:
            remembered.pop(next(iter(remembered)))
        found = [
            ((phase, item.seq), item)
            for phase, item in _items(call.view, folder, cursor.scope)
            if item.seq <= cursor.start
        ]
        found.sort(key=lambda each: each[0])
        remembered[key] = [each[0] for each in found], [each[1] for each in found]
    order: Order = remembered[key]
    return order


def _items(view: View, folder: Node, scope: Scope) -> Iterator[tuple[int, Node | Tombstone]]:
    nodes = folder.walk() if scope.recursive else iter((folder.children or {}).values())
    hidden = _hidden(view, scope)
    for node in nodes:
        if node is not view.root and not (hidden and _within(names.lower(node.path()), hidden)):
            yield FOLDERS if node.is_folder else FILES, node
    if scope.include_deleted:
        top = names.lower(folder.path())
        for path, tombstone in view.account.tombstones.items():
            if _in_scope(path, top, recursive=scope.recursive) and not _within(path, hidden):
                yield DELETED, tombstone


def _hidden(view: View, scope: Scope) -> list[str]:
    """Return the lower-cased paths of mounts that the listing leaves out."""
    if scope.include_mounted:
        return []
    return [names.lower(mount.path()) for mount in view.account.mounts if mount is not view.root]


def _within(path: str, tops: list[str]) -> bool:
    return any(path == top or path.startswith(top + "/") for top in tops)


def _in_scope(path: str, top: str, *, recursive: bool) -> bool:
    if recursive:
        return path.startswith(top + "/") or (path == top and path != "")
    return path.rpartition("/")[0] == top


# -- changes ------------------------------------------------------------------------------------------------------


def _changed(view: View, folder: Node, cursor: Cursor) -> Iterator[tuple[int, str]]:
    top, hidden = names.lower(folder.path()), _hidden(view, cursor.scope)
    root = names.lower(view.root.path())
    for seq, path in view.account.changes(cursor.at):
        if _in_scope(path, top, recursive=cursor.scope.recursive) and path != root and not _within(path, hidden):
            yield seq, path


def _any_change(view: View, cursor: Cursor) -> bool:
    """Return whether anything changed since the cursor, in whatever folder of the view: a long poll then answers."""
    root = names.lower(view.root.path())
    changes = (path for _, path in view.account.changes(cursor.at) if path.startswith(root + "/"))
    return cursor.phase != CHANGES or next(changes, None) is not None


def _has_more(view: View, cursor: Cursor) -> bool:
    """Return whether `continue` would have an entry."""
    if cursor.phase != CHANGES:
        return True
    try:
        folder = view.folder(cursor.scope.folder)
    except Failure:
        return True
    return next(_changed(view, folder, cursor), None) is not None


def _changes(view: View, folder: Node, cursor: Cursor, most: int, *, all_children: bool) -> list[Json]:
    account, at = view.account, cursor.at
    entries: list[Json] = []
    for seq, path in _changed(view, folder, cursor):
        if len(entries) >= most:
            break
        at = seq
        tombstone = account.tombstones.get(path)
        if tombstone is None:
            node = view.account.root
            for part in path[1:].split("/"):
                node = account.child(node, part) or node
            entries.append(_entry(view, cursor.scope, node))
        elif all_children or not _is_implied(account, tombstone, names.lower(folder.path())):
            entries.append(_entry(view, cursor.scope, tombstone))
    else:
        at = account.seq
    cursor.at = at
    return entries


def _is_implied(account: Account, tombstone: Tombstone, top: str) -> bool:
    """Return whether the entry of a folder above, told before it, says that it is gone.

    One that is still to be told does not: something new may lie there by then.
    """
    path = tombstone.path_lower.rpartition("/")[0]
    while len(path) > len(top):
        above = account.tombstones.get(path)
        if above is not None and above.seq < tombstone.seq:
            return True
        path = path.rpartition("/")[0]
    return False
