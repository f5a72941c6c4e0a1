"""Signs what the engine puts where Hamilton reads, in the manifest of the `champions` channel.

Laws. Only what this machine put there itself is ever signed, with the hash of the bytes it had and the revision they
became; nothing else that lies there is. It is noted durably when it is put, and signed together with all else that was
noted: after a roster or a pointer, because those name what they need; by continuous sync, when nothing more has been
put for a while; and when asked to. Without a signing key on this machine nothing happens.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from huracan_sync.disk.atomic_write import write_file
from huracan_sync.disk.lock import hold
from huracan_sync.disk.stable_read import StableRead
from huracan_sync.engine.context import EngineContext
from huracan_sync.engine.daemon.scheduler import Outcome
from huracan_sync.engine.event_log import log
from huracan_sync.engine.put import Put
from huracan_sync.errors import Conflict, FileChanged
from huracan_sync.manifest.entries import Item
from huracan_sync.manifest.file_kinds import Kind
from huracan_sync.manifest.file_proofs import examine
from huracan_sync.manifest.leaves import pay
from huracan_sync.manifest.refusals import refused
from huracan_sync.manifest.sshsig import sha256
from huracan_sync.remote.listing import FileMetadata
from huracan_sync.remote.stat import metadata
from huracan_sync.transfer.journal import Journal
from huracan_sync.tree.content_hash import BLOCK_SIZE, block_hashes, combine, leaf_hashes
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import RelPath, below, fold, join
from huracan_sync.tree.symbols import CHAMPIONS

if TYPE_CHECKING:
    from huracan_sync.signing.channel_publisher import ChannelPublisher
    from huracan_sync.signing.transaction_steps import Published, Wanted

PLACES = ("models/champions/latest/", "hamilton/")
"""What begins so, below the app folder, is for Hamilton."""
POINTERS = ("hamilton/roster.json", "hamilton/champion.json")
"""They name what must be there, so they are put last, and the manifest is published after them."""
QUIET_S = 60.0
"""Continuous sync signs when nothing was put for so long: more may be about to come."""
LONGEST_S = 900.0
"""It is signed after this even if more keeps coming."""


class Noted(msgspec.Struct):
    """What was put and is not signed yet."""

    items: dict[str, Item] = {}
    """By folded path."""
    since: bytes = b""
    """The digest of the newest head that was known here before the first of them was noted."""
    tables: dict[bytes, bytes] = {}
    """Their tables of leaves, by SHA-256."""
    first: float = 0.0
    latest: float = 0.0
    """When the first and the last of them were put, seconds since 1970."""

    def is_ready(self, now: float, quiet_s: float) -> bool:
        """Whether nothing was put for so long, or the first of them has waited long enough."""
        return now - self.latest >= quiet_s or now - self.first >= LONGEST_S


def note_put(context: EngineContext, put: Put, target: str, source: bytes | Path) -> None:
    """After a file was put: if it is for Hamilton, and this machine can sign, note it; after a pointer, sign.

    Raises in strict mode only: the file lies where it was to be put.
    """
    path = place_for_hamilton(context, target)
    if put.differs or not path:
        return

    def work() -> None:
        item, is_strangers, table = _item(path, put.there, source)
        strangers = {item.content_hash} if is_strangers else set[bytes]()
        note(context, [item], strangers=strangers, tables={item.leaves: table} if table else {})
        if path in POINTERS:
            publish_noted(context)

    context.boundary.attempt("champions_not_signed", None, work, path=target)


def place_for_hamilton(context: EngineContext, target: str) -> str:
    """Where below the app folder it is put for Hamilton; empty when it is not, or nothing is signed on this machine."""
    path = below(context.layout.root, target)
    return path if path and path.startswith(PLACES) and context.signs else ""


def note(
    context: EngineContext,
    items: Iterable[Item],
    *,
    strangers: Collection[bytes] = (),
    tables: Mapping[bytes, bytes] = {},
) -> None:
    """Note files that this machine has put in their places, to be signed together with what was noted before.

    Args:
        context: the engine's login, state folder and layout.
        items: the files.
        strangers: content hashes of those that are marked on this disk as ones that came from Dropbox unsigned.
        tables: the tables of leaves that they name, by SHA-256.

    Raises:
        Refused: `UNSIGNED_CONTENT`, one of them came from Dropbox, where nobody has signed it.
    """
    items = list(items)
    _check_origin(context, items, strangers)
    with _noted(context) as noted:
        for item in items:
            if not noted.items:
                noted.since = _channel_publisher(context).seen_digest()
            before = noted.items.get(fold(item.path))
            target = join(context.layout.root, RelPath(item.path))
            if before is not None and before.rev != item.rev and _is_current(context, target, before.rev):
                continue  # another process was later there, and faster here
            noted.latest = context.clock()
            noted.first = noted.first if noted.items else noted.latest
            noted.items[fold(item.path)] = item
            if item.leaves in tables:
                noted.tables[item.leaves] = tables[item.leaves]


def publish_noted(context: EngineContext, *, quiet_s: float = 0.0) -> Outcome:
    """Sign what was noted, if nothing was for `quiet_s` seconds; else renew the manifest, when that is due.

    Returns:
        How many files the manifest lists, how many of them are new, and how many still wait.

    Raises:
        NoSigningKey, NoTrust, Refused: it cannot be signed; it goes on waiting.
        Conflict: `SUPERSEDED`, another publisher has put others in place of some of them. They belong together, so
            none of them is signed, and none waits any more.
        NotAuthorized, TryLater, Unavailable: it could not be asked.
    """
    with _noted(context) as noted:
        channel_publisher = _channel_publisher(context)
        held = channel_publisher.held()
        items = list(noted.items.values()) if noted.is_ready(context.clock(), quiet_s) else []
        change = _change(items, channel_publisher.items_of(noted.since), is_due=held is not None and held[1])
        if change is None:
            return Outcome(held[0].entry_count if held else 0, waiting=len(noted.items))
        published = _publish(channel_publisher, change, noted.tables if items else {})
        if items:
            noted.items.clear()
            noted.tables.clear()
        waiting = len(noted.items)
    if isinstance(published, Conflict):
        raise published
    head = published.head
    log.info("champions_signed", sequence=head.seq, files=head.entry_count, changed=len(items))
    return Outcome(head.entry_count, len(items), waiting=waiting)


def signed_sequence(context: EngineContext) -> int:
    """The sequence of the newest manifest that this machine has seen; 0 for none."""
    held = _channel_publisher(context).held()
    return held[0].seq if held else 0


def _publish(
    channel_publisher: ChannelPublisher, change: Wanted, tables: Mapping[bytes, bytes]
) -> Published | Conflict:
    """Sign it; or the conflict, where another publisher has put others in place of some of the files."""
    try:
        return channel_publisher.publish(change, tables=tables)
    except Conflict as error:
        if error.code != "SUPERSEDED":
            raise
        log.warning(
            "champion_superseded", paths=error.facts["paths"], message="another publisher's count; written again"
        )
        return error


def _change(items: list[Item], before: list[Item] | None, *, is_due: bool) -> Wanted | None:
    from huracan_sync.signing.merge import Change  # noqa: PLC0415
    from huracan_sync.signing.transaction_steps import Renew  # noqa: PLC0415 - 50 ms of cryptography

    if items:
        return Change(items, None, {}, strict=True).knowing({}, lambda _: before)
    return Renew() if is_due else None


def _check_origin(context: EngineContext, items: list[Item], strangers: Collection[bytes]) -> None:
    """What came from Dropbox and nobody has signed does not become signed by being put there again.

    The journal knows it; where the state folder was lost, the mark on the file does.
    """
    with Journal(context.home) as journal:
        unsigned = journal.unsigned_contents().union(strangers)
    suspects = [item for item in items if item.content_hash in unsigned]
    signed = {(each.path, each.content_hash) for each in _channel_publisher(context).newest_items()} if suspects else ()
    for item in suspects:
        if (item.path, item.content_hash) not in signed:
            message = f"{item.path} came from Dropbox, where nobody has signed it"
            raise refused("UNSIGNED_CONTENT", message, path=item.path)


def _channel_publisher(context: EngineContext) -> ChannelPublisher:
    from huracan_sync.signing.channel_publisher import ChannelPublisher  # noqa: PLC0415 - 50 ms of cryptography

    return ChannelPublisher(context.operations, root=context.layout.root, channel=CHAMPIONS)


def _is_current(context: EngineContext, path: str, rev: str) -> bool:
    there = metadata(context.remote, path)
    return isinstance(there, FileMetadata) and there.rev == rev


def _item(path: str, there: Entry, source: bytes | Path) -> tuple[Item, bool, bytes]:
    """The entry of what was put; whether the file it came from is marked as a stranger's; and its table of leaves."""
    if isinstance(source, Path):
        kind, blocks, marked, table = _read(path, source)
    else:
        kind, blocks, marked = _examine(path, source), block_hashes(source), b""
        table = leaf_hashes(source) if pay(kind, len(source)) else b""
    if combine(blocks) != there.content_hash:
        raise FileChanged(f"{path} is not what was put there any more; put it again", path=path)
    large = there.size > BLOCK_SIZE
    mtime_ms = max(0, there.mtime_ms)
    named, leaves = blocks if large else b"", sha256(table) if table else b""
    item = Item(path, there.size, there.content_hash, there.rev, mtime_ms, int(kind), named, leaves)
    return item, bool(there.size) and marked == there.content_hash, table


def _examine(path: str, content: bytes) -> Kind:
    return examine(path, len(content), lambda at, count: content[at : at + count])


def _read(path: str, local: Path) -> tuple[Kind, bytes, bytes, bytes]:
    local, blocks, table = local.resolve(), bytearray(), bytearray()
    with StableRead(local.parent, RelPath(local.name)) as reading:
        kind = examine(path, reading.stamp.size, reading.read)
        for offset in range(0, reading.stamp.size, BLOCK_SIZE):
            piece = reading.read(offset, BLOCK_SIZE)
            blocks += block_hashes(piece)
            table += leaf_hashes(piece) if pay(kind, reading.stamp.size) else b""
        return kind, bytes(blocks), reading.marked, bytes(table)


@contextlib.contextmanager
def _noted(context: EngineContext) -> Iterator[Noted]:
    """What was noted, for one process at a time; what is changed in it is durable afterwards."""
    name = hashlib.sha256(f"{context.remote.place}\0{fold(context.layout.root)}".encode()).hexdigest()[:16]
    file = context.home / "unsigned" / f"{name}.champions"
    with hold(file.with_suffix(".lock"), what="what Hamilton reads", wait_s=60.0):
        try:
            before = file.read_bytes()
        except FileNotFoundError:
            before = b""
        noted = msgspec.msgpack.decode(before, type=Noted) if before else Noted(items={})
        yield noted
        after = msgspec.msgpack.encode(noted)
        if after != before:
            write_file(file, after)
