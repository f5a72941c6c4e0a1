"""An account as one app sees it: all of it, or its App folder only. Resolves path strings.

Reading a path ends in a LookupError's tag, writing to it in a WriteError's; both come out as a `Failure` to be put
under the member that the route's own error has for it.
"""

from dataclasses import dataclass

from huracan_sync.emulator.spec.failures import Failure
from huracan_sync.emulator.spec.schema import Invalid, Text
from huracan_sync.emulator.state import names
from huracan_sync.emulator.state.records import App, Revision
from huracan_sync.emulator.state.tree import Account, Node

LONGEST_PATH = 4096  # characters; the real limit is not known
APPS_FOLDER = "Apps"


@dataclass
class Target:
    """The place of a write: in `parent`, below folders still to be created (`missing`), as `name`."""

    parent: Node
    missing: list[str]
    name: str
    there: Node | None


class View:
    """The part of an account that a call can see."""

    def __init__(self, account: Account, root: Node, *, sandbox: str = "", astral: bool = True) -> None:
        self.account = account
        self.root = root
        self.sandbox = sandbox  # the app's key, if this is an App folder
        self.astral = astral
        self._known: dict[str, Node] = {}  # folders by the path they were found at, while nothing is uprooted
        self._known_at = account.uprooted

    @classmethod
    def of(cls, account: Account, app: App, *, astral: bool = True) -> "View":
        """Return an app's view of an account. Its App folder is created on first use."""
        if not app.app_folder:
            return cls(account, account.root, astral=astral)
        apps = account.child(account.root, APPS_FOLDER) or account.add_folder(account.root, APPS_FOLDER)
        name = names.compose(app.name)
        root = account.child(apps, name) or account.add_folder(apps, name, mount=True)
        return cls(account, root, sandbox=app.app_key, astral=astral)

    # -- reading --------------------------------------------------------------------------------------------------

    def find(self, path: str) -> Node:
        """Return the item at a path.

        Raises:
            Failure: `not_found`, `malformed_path`.
        """
        base, parts = self._parts(path)
        node: Node | None = base
        for part in parts:
            if names.flaw(part, astral=self.astral) == "malformed_path":
                raise Failure("malformed_path")
            node = self.account.child(node, part) if node else None
        if node is None:
            raise Failure("not_found")
        return node

    def folder(self, path: str) -> Node:
        """Return the folder at a path, the root included.

        Raises:
            Failure: `not_found`, `malformed_path`, `not_folder`.
        """
        node = self.find(path[1:] if path.startswith("//") else path)
        if not node.is_folder:
            raise Failure("not_folder")
        return node

    def file(self, path: str) -> tuple[Node, Revision]:
        """Return the file at a path, and its current revision.

        Raises:
            Failure: `not_found`, `malformed_path`, `not_file`.
        """
        node = self.find(path)
        if node.revision is None:
            raise Failure("not_file")
        return node, node.revision

    def lower(self, path: str) -> str:
        """Return the lower-cased path, from the account's root, of an item that may be deleted.

        Raises:
            Failure: `not_found` for an id that leads nowhere, `malformed_path`.
        """
        base, parts = self._parts(path)
        return names.lower("/".join([base.path(), *parts]))

    def revision(self, rev: str) -> Revision:
        """Return a revision by its rev.

        Raises:
            Failure: `not_found`.
        """
        revision = self.account.revisions.get(rev)
        if revision is None or not self._holds(revision.path):
            raise Failure("not_found")
        return revision

    def shown(self, path: str) -> str:
        """Return a path from the account's root as this view shows it."""
        return path[len(self.root.path()) :]

    # -- writing --------------------------------------------------------------------------------------------------

    def aim(self, path: str, kind: Text, *fields: str) -> Target:
        """Return the target of a write to a path. The last name is composed, the others are looked up.

        Args:
            path: what the client gave.
            kind: the kind of path it is, for its refusal.
            fields: the names that lead to it in the argument, for the same.

        Raises:
            Failure: `malformed_path`, `disallowed_name`, `conflict/file_ancestor`, `conflict/folder` for the root.
            Invalid: an id that leads nowhere: the service then says that it does not match the pattern.
        """
        known = self._known_parent(path)
        if known is not None:
            name = names.compose(path[path.rindex("/") + 1 :])
            flaw = names.flaw(name, astral=self.astral)
            if flaw:
                raise Failure(flaw)
            return Target(known, [], name, self.account.child(known, name))
        target = self._aim(path, kind, *fields)
        if not target.missing and path.startswith("/"):
            self._known[path[: path.rindex("/")]] = target.parent
        return target

    def _known_parent(self, path: str) -> Node | None:
        if self._known_at != self.account.uprooted:
            self._known, self._known_at = {}, self.account.uprooted
        return self._known.get(path[: path.rfind("/")]) if self._known else None

    def _aim(self, path: str, kind: Text, *fields: str) -> Target:
        try:
            node, parts = self._parts(path)
        except Failure as failure:
            if failure.tags == ("not_found",) and path.startswith("id:"):
                invalid = kind.mismatch(path)
                invalid.parents = list(reversed(fields))
                raise invalid from None
            raise Failure("no_write_permission") if failure.tags == ("not_found",) else failure from None
        for part in parts:
            flaw = names.flaw(part, astral=self.astral)
            if flaw:
                raise Failure(flaw)
        if not parts:
            return self._onto(node)
        return self._descend(node, parts)

    def _onto(self, node: Node) -> Target:
        """Return the target of a write to an id itself."""
        if node.parent is None or node is self.root:
            raise Failure("conflict", "folder")
        return Target(node.parent, [], node.name, node)

    def _descend(self, node: Node, parts: list[str]) -> Target:
        missing = parts[:-1]
        while True:
            if not node.is_folder:
                raise Failure("conflict", "file_ancestor")
            step = self.account.child(node, missing[0]) if missing else None
            if step is None:
                there = None if missing else self.account.child(node, parts[-1])
                return Target(node, missing, parts[-1], there)
            node, missing = step, missing[1:]

    def make(self, target: Target) -> Node:
        """Return the folder of a target; it and its parents are created if they are missing."""
        parent = target.parent
        for name in target.missing:
            parent = self.account.add_folder(parent, name)
        target.parent, target.missing = parent, []
        return parent

    # -- paths ----------------------------------------------------------------------------------------------------

    def _holds(self, path: str) -> bool:
        root = names.lower(self.root.path())
        return names.lower(path).startswith(root + "/")

    def _parts(self, path: str) -> tuple[Node, list[str]]:
        """Return the item where a path begins, and the names from there."""
        if len(path) > LONGEST_PATH:
            raise Failure("malformed_path")
        path = names.compose(path)
        base: Node | None = self.root
        if path.startswith("id:"):
            ident, slash, rest = path.partition("/")
            base = self.account.nodes.get(ident)
            path = slash + rest
            if base is None or not base.below(self.root):
                raise Failure("not_found")
        elif path.startswith("ns:"):
            space, slash, rest = path.partition("/")
            path = slash + rest
            if space[3:] != self.account.person.namespace or self.sandbox:
                raise Failure("not_found")
        assert base is not None  # noqa: S101  both branches have looked
        return base, path[1:].split("/") if path else []


def aimed(view: View, path: str, kind: Text, *fields: str) -> Target:
    """Return the same as `View.aim` for an entry of a batch, which cannot be refused with a 400 of its own."""
    try:
        return view.aim(path, kind, *fields)
    except Invalid:
        raise Failure("malformed_path") from None
