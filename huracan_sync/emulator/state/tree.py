"""The files of one account: the tree, deleted paths, revisions, and the order of changes.

Rules: every change of a path takes the next number (`seq`); of a path only its latest change is remembered. So a cursor
is a number, and what changed since is every path whose latest change lies above it. A parent's number is always below
its children's. Deleting a folder deletes its content: each path below gets a tombstone of its own.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Iterator

from huracan_sync.emulator.spec.idents import FileIds, rev
from huracan_sync.emulator.state import names
from huracan_sync.emulator.state.ledger import Ledger
from huracan_sync.emulator.state.records import Blob, Person, Place, Revision, Tombstone


class Node:
    """A file or folder in the tree. A folder has `children`, by lower-cased name; a file has a `revision`."""

    __slots__ = ("children", "mount", "name", "node_id", "parent", "revision", "seq")

    def __init__(self, node_id: str, name: str, parent: "Node | None", *, revision: Revision | None = None) -> None:
        self.node_id = node_id
        self.name = name
        self.parent = parent
        self.revision = revision
        self.children: dict[str, Node] | None = None if revision else {}
        self.seq = 0
        self.mount = False

    @property
    def is_folder(self) -> bool:
        """Return whether it is a folder."""
        return self.revision is None

    def path(self, root: "Node | None" = None) -> str:
        """Return the path for display, relative to `root` (the account's root if None). `""` for the root itself."""
        parts: list[str] = []
        node: Node | None = self
        while node is not None and node is not root and node.parent is not None:
            parts.append(node.name)
            node = node.parent
        return "/" + "/".join(reversed(parts)) if parts else ""

    def below(self, root: "Node") -> bool:
        """Return whether it lies below `root`, or is it."""
        node: Node | None = self
        while node is not None and node is not root:
            node = node.parent
        return node is root

    def walk(self) -> "Iterator[Node]":
        """Yield itself and everything below, parents first."""
        pending = [self]
        while pending:
            node = pending.pop()
            yield node
            if node.children:
                pending.extend(reversed(node.children.values()))


class Account:
    """The files of one person."""

    def __init__(self, person: Person, ledger: Ledger) -> None:
        self.person = person
        self.ledger = ledger
        self.root = Node(person.root_id, "", None)
        self.nodes: dict[str, Node] = {person.root_id: self.root}
        self.revisions: dict[str, Revision] = {}
        self.by_path: dict[str, list[Revision]] = {}
        self.by_file: dict[str, list[Revision]] = {}
        self.tombstones: dict[str, Tombstone] = {}
        self.latest: dict[str, int] = {}
        self.feed: list[str] = []  # the path of change number feed_seqs[i]
        self.feed_seqs: list[int] = []
        self.seq = 0
        self.used = 0
        self.mounts: list[Node] = []
        self.changed = asyncio.Event()
        self.dirty = False
        self.locked_until = 0.0
        self.uprooted = 0  # how often something went from its place: what was looked up before may be stale
        self._ids = FileIds(person.prefix)
        self._micros = 0

    # -- looking --------------------------------------------------------------------------------------------------

    @staticmethod
    def child(parent: Node, name: str) -> Node | None:
        """Return the item with this name in a folder, if there is one."""
        return parent.children.get(names.lower(name)) if parent.children else None

    def changes(self, after: int) -> Iterator[tuple[int, str]]:
        """Yield number and lower-cased path of every latest change above `after`, in order."""
        for index in range(bisect_right(self.feed_seqs, after), len(self.feed)):
            seq, path = self.feed_seqs[index], self.feed[index]
            if self.latest[path] == seq:
                yield seq, path

    # -- changing -------------------------------------------------------------------------------------------------

    def add_folder(self, parent: Node, name: str, *, mount: bool = False) -> Node:
        """Create an empty folder."""
        node = Node(self._ids.new(), name, parent)
        node.mount = mount
        self._enter(node)
        return node

    def add_file(self, parent: Node, name: str, blob: Blob, client_modified: str, now: "Moment") -> Node:
        """Create a file with a new id."""
        return self._add(self._ids.new(), parent, name, blob, client_modified, now)

    def _add(self, node_id: str, parent: Node, name: str, blob: Blob, client_modified: str, now: "Moment") -> Node:
        path = f"{parent.path()}/{name}"
        node = Node(node_id, name, parent, revision=self._revise(node_id, path, blob, client_modified, now))
        self._enter(node, path)
        return node

    def write(self, node: Node, blob: Blob, client_modified: str, now: "Moment", *, name: str | None = None) -> None:
        """Write a new revision of a file. `name` is its name in another casing, which the file takes."""
        assert node.revision  # noqa: S101  callers have looked
        self.used -= node.revision.size
        node.name = name or node.name
        path = node.path()
        node.revision = self._revise(node.node_id, path, blob, client_modified, now)
        self._enter(node, path)

    def revive(self, parent: Node, name: str, old: Revision, now: "Moment") -> Node:
        """Put a deleted file back at a path, with its old id."""
        blob = Blob(old.content_hash, old.size, [])
        return self._add(old.file_id, parent, name, blob, old.client_modified, now)

    def remove(self, node: Node, now: "Moment") -> None:
        """Delete a file, or a folder with its content."""
        self.uprooted += 1
        self._remember_deletion(node, now)
        for each in node.walk():
            self.nodes.pop(each.node_id, None)
            self.ledger.forget(self._place(each))
            if each.mount:
                self.mounts.remove(each)
            if each.revision:
                self.used -= each.revision.size
        assert node.parent is not None and node.parent.children is not None  # noqa: S101, PT018  the root stays
        del node.parent.children[names.lower(node.name)]

    def move(self, node: Node, parent: Node, name: str, now: "Moment", *, deleted_first: bool = True) -> None:
        """Move a file or folder, which keeps its ids. Every file below gets a new revision."""
        self.uprooted += 1
        old = [(each.path(), each.is_folder) for each in node.walk()]
        if deleted_first:
            self._add_tombstones(old, now)
        assert node.parent is not None and node.parent.children is not None  # noqa: S101, PT018
        del node.parent.children[names.lower(node.name)]
        node.parent, node.name = parent, name
        for each in node.walk():
            if each.revision:
                self.used -= each.revision.size
                was = each.revision
                blob = Blob(was.content_hash, was.size, [])
                each.revision = self._revise(each.node_id, each.path(), blob, was.client_modified, now)
            self._enter(each)
        if not deleted_first:
            alive = {names.lower(each.path()) for each in node.walk()}
            self._add_tombstones([(path, folder) for path, folder in old if names.lower(path) not in alive], now)

    def copy(self, node: Node, parent: Node, name: str, now: "Moment") -> Node:
        """Copy a file or folder, with new ids and revs; client_modified is kept."""
        twins: dict[Node, Node] = {}
        for each in list(node.walk()):
            into, called = (parent, name) if each is node else (twins[each.parent or node], each.name)
            if each.revision:
                was = each.revision
                blob = Blob(was.content_hash, was.size, [])
                twins[each] = self.add_file(into, called, blob, was.client_modified, now)
            else:
                twins[each] = self.add_folder(into, called)
        return twins[node]

    def settle(self) -> None:
        """Wake waiting long polls, if there was a change."""
        if self.dirty:
            self.dirty = False
            self.changed.set()
            self.changed = asyncio.Event()

    # -- remembering ----------------------------------------------------------------------------------------------

    def restore(self, places: list[Place], tombstones: list[Tombstone], revisions: list[Revision]) -> None:
        """Restore the account from stored records."""
        for known in sorted(revisions, key=lambda each: each.rev):
            self._index(known)
            self._micros = max(self._micros, int(known.rev[:-8], 16))
        waiting: dict[str, list[Place]] = {}
        for place in sorted(places, key=lambda each: each.seq):
            waiting.setdefault(place.parent_id, []).append(place)
        pending = [self.root]
        while pending:
            parent = pending.pop()
            for place in waiting.pop(parent.node_id, ()):
                revision = self.revisions[place.rev] if place.rev else None
                node = Node(place.node_id, place.name, parent, revision=revision)
                node.seq, node.mount = place.seq, place.mount
                self._hang(node)
                pending.append(node)
        self.tombstones = {tombstone.path_lower: tombstone for tombstone in tombstones}
        self.latest = {names.lower(node.path()): node.seq for node in self.root.walk() if node is not self.root}
        self.latest |= {tombstone.path_lower: tombstone.seq for tombstone in tombstones}
        order = sorted((seq, path) for path, seq in self.latest.items())
        self.feed_seqs, self.feed = [seq for seq, _ in order], [path for _, path in order]
        self.seq = self.feed_seqs[-1] if order else 0

    def _place(self, node: Node) -> Place:
        parent_id = node.parent.node_id if node.parent else ""
        rev_now = node.revision.rev if node.revision else None
        return Place(self.person.account_id, node.node_id, parent_id, node.name, node.seq, rev_now, node.mount)

    def _enter(self, node: Node, path: str | None = None) -> None:
        path_lower = names.lower(path or node.path())
        node.seq = self._change(path_lower)
        tombstone = self.tombstones.pop(path_lower, None)
        if tombstone:
            self.ledger.forget(tombstone)
        self._hang(node)
        self.ledger.keep(self._place(node))

    def _hang(self, node: Node) -> None:
        assert node.parent is not None and node.parent.children is not None  # noqa: S101, PT018
        node.parent.children[names.lower(node.name)] = node
        self.nodes[node.node_id] = node
        if node.mount and node not in self.mounts:
            self.mounts.append(node)
        if node.revision:
            self.used += node.revision.size

    def _change(self, path_lower: str) -> int:
        self.seq += 1
        self.latest[path_lower] = self.seq
        self.feed.append(path_lower)
        self.feed_seqs.append(self.seq)
        self.dirty = True
        return self.seq

    def _remember_deletion(self, node: Node, now: "Moment") -> None:
        self._add_tombstones([(each.path(), each.is_folder) for each in node.walk()], now)

    def _add_tombstones(self, paths: list[tuple[str, bool]], now: "Moment") -> None:
        for path, was_folder in paths:
            path_lower = names.lower(path)
            seq = self._change(path_lower)
            tombstone = Tombstone(self.person.account_id, path_lower, path, seq, was_folder, now.stamp)
            self.tombstones[path_lower] = tombstone
            self.ledger.keep(tombstone)

    def _revise(self, file_id: str, path: str, blob: Blob, client_modified: str, now: "Moment") -> Revision:
        self._micros = max(self._micros + 1, now.micros)
        name = rev(self._micros, self.person.namespace)
        revision = Revision(
            self.person.account_id, name, file_id, path, blob.content_hash, blob.size, client_modified, now.stamp
        )
        self._index(revision)
        self.ledger.keep(revision)
        return revision

    def _index(self, revision: Revision) -> None:
        self.revisions[revision.rev] = revision
        self.by_path.setdefault(names.lower(revision.path), []).append(revision)
        self.by_file.setdefault(revision.file_id, []).append(revision)


class Moment:
    """One instant, so that all times of one call are the same."""

    __slots__ = ("micros", "stamp")

    def __init__(self, seconds: float, stamp: str) -> None:
        self.micros = max(1, int(seconds * 1_000_000))
        self.stamp = stamp
