"""The entries of a body, and everything that must be true of them.

A million entries are looked at in about a second, so the rules are asked of many entries at once wherever one answer
serves for all: are all characters harmless, is any name twice there. Only where the short answer is no is each entry
looked at alone, to say which one and why.
"""

from __future__ import annotations

import hashlib
import itertools
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from huracan_sync.errors import HostilePath
from huracan_sync.manifest import file_kinds
from huracan_sync.manifest.canonical import Digest, Millis, ascending
from huracan_sync.manifest.locations import HOME, is_ours
from huracan_sync.manifest.refusals import refused
from huracan_sync.manifest.trust import Policy
from huracan_sync.tree.content_hash import BLOCK_SIZE, DIGEST_SIZE, LEAF_SIZE, block_count
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import RelPath, check_all, fold, fold_all, parents

MAX_FILE = 2**41 - 2**22
"""Bytes: the largest file Dropbox holds."""

_REV = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-"


class Item(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One file of the list, its fields in the order in which they are written."""

    path: Annotated[str, Meta(max_length=1024)]
    """Relative to the root."""
    size: Annotated[int, Meta(ge=0, le=MAX_FILE)]
    content_hash: Digest
    rev: Annotated[str, Meta(max_length=64)] = ""
    """The revision that holds the content in Dropbox; empty when it is not known."""
    mtime_ms: Millis = 0
    kind: Annotated[int, Meta(ge=0, le=255)] = file_kinds.Kind.OPAQUE
    blocks: bytes = b""
    """The SHA-256 of each 4 MiB block, 32 bytes each; only for files of more than one block."""
    leaves: Annotated[bytes, Meta(max_length=DIGEST_SIZE)] = b""
    """SHA-256 of the table of leaves (`content_hash.leaf_hashes`), or empty: there is none."""

    def entry(self) -> Entry:
        """The same file as the rest of the house describes it."""
        return Entry(RelPath(self.path), self.size, self.content_hash, self.rev, self.mtime_ms)


class Audit:
    """Looks at a list, stretch by stretch in order, and raises the first thing that is not as it must be."""

    def __init__(self, policy: Policy | None = None) -> None:
        self._policy = policy
        self._last = self._last_folded = ""
        self._hashes = bytearray()
        self._folders = {HOME}  # which is a folder, so that no file may take its place
        # Names nearly always have the same order folded as they have written. While they do, no two are one.
        self._folds_in_order = True
        self.count = 0

    def add(self, items: Sequence[Item]) -> None:
        """The next stretch of the list."""
        if not items:
            return
        paths = [item.path for item in items]
        if not (self.count == 0 or self._last < paths[0]) or not ascending(paths):
            raise refused("ORDER", "the entries of a body are not in the order of their paths, each path once")
        self._last = paths[-1]
        self._check_paths(paths)
        self._check_policy(items, paths)
        self._check_fields(items)
        self.count += len(items)
        if self._policy is not None and self.count > self._policy.max_entries:
            raise refused("LIMIT", f"there are more than {self._policy.max_entries} entries", channel=self._policy.name)
        folded = fold_all(paths)
        self._folds_in_order = self._folds_in_order and self._last_folded < folded[0] and ascending(folded)
        self._last_folded = folded[-1]
        self._hashes += struct.pack(f"{len(folded)}q", *map(hash, folded))

    def finish(self, again: Callable[[], Iterable[str]]) -> None:
        """After the last stretch: nothing in the list is in the way of anything else. `again` gives all paths again.

        Eight bytes are remembered of each name. Where two have the same, the names themselves are compared.
        """
        folders, hashes = parents(self._folders), memoryview(self._hashes).cast("q")
        suspects = set(map(hash, folders)).intersection(hashes)
        if not self._folds_in_order:
            suspects.update(left for left, right in itertools.pairwise(sorted(hashes)) if left == right)
        written: dict[str, str] = {}
        for path in again() if suspects else ():
            folded = fold(path)
            if folded in folders:
                raise refused("COLLISION", f"{folded!a} is both a file and a folder", path=folded)
            if hash(folded) in suspects and (twin := written.setdefault(folded, path)) != path:
                raise refused("COLLISION", f"{twin!a} and {path!a} are one name to Dropbox", path=folded)

    def _check_paths(self, paths: Sequence[str]) -> None:
        try:
            folders = check_all(paths)
        except HostilePath as error:
            raise refused("PATH", str(error), path=error.facts["path"], reason=error.facts["reason"]) from None
        for folder in folders:
            if is_ours(folder):
                raise refused("PATH_PREFIX", f"{folder!a} is where signatures lie; nothing else may", path=folder)
        self._folders.update(map(fold, folders))

    def _check_policy(self, items: Sequence[Item], paths: Sequence[str]) -> None:
        policy = self._policy
        if policy is None:
            return
        inside = f"{policy.path_prefix}/"
        # In the order of bytes everything between two paths of a folder lies in it.
        if policy.path_prefix and not (paths[0].startswith(inside) and paths[-1].startswith(inside)):
            raise refused("PATH_PREFIX", f"an entry lies outside {policy.path_prefix!a}", expected=policy.path_prefix)
        forbidden = {item.kind for item in items}.difference(policy.kinds)
        if forbidden:
            found = next(item for item in items if item.kind in forbidden)
            message = f"{found.path!a} is of kind {kind_name(found.kind)}, which {policy.name} does not allow"
            raise refused("KIND", message, path=found.path, kind=found.kind)

    def _check_fields(self, items: Sequence[Item]) -> None:
        revs = "".join([item.rev for item in items])
        if not revs.isascii() or revs.encode().translate(None, _REV):
            raise refused("NOT_CANONICAL", "an entry has a rev that Dropbox cannot have given")
        for found in [item for item in items if item.leaves]:
            if len(found.leaves) != DIGEST_SIZE or found.size <= LEAF_SIZE:
                raise refused("BODY_FORMAT", f"{found.path!a} has no table of leaves", path=found.path)
        for found in [item for item in items if item.size > BLOCK_SIZE or item.blocks]:
            expected = block_count(found.size) * DIGEST_SIZE if found.size > BLOCK_SIZE else 0
            if len(found.blocks) != expected or hashlib.sha256(found.blocks).digest() != found.content_hash:
                raise refused(
                    "BLOCKS", f"the block hashes of {found.path!a} do not make its content hash", path=found.path
                )


def kind_name(kind: int) -> str:
    """The kind in words, or its number when it has none."""
    try:
        return file_kinds.Kind(kind).name.lower()
    except ValueError:
        return str(kind)
