"""Stating what a pair holds: the signed list of a push or of a set."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import msgspec

from huracan_sync.disk.stable_read import StableRead
from huracan_sync.errors import Conflict, HuracanError, Refused
from huracan_sync.manifest import file_kinds
from huracan_sync.manifest.entries import Item
from huracan_sync.manifest.envelope import unpack
from huracan_sync.manifest.file_proofs import examine
from huracan_sync.manifest.head import FORM
from huracan_sync.manifest.leaves import pay
from huracan_sync.manifest.scope import Scope
from huracan_sync.remote.parallel import several
from huracan_sync.signing import local_manifest, next_head
from huracan_sync.signing.channel_publisher import ChannelPublisher
from huracan_sync.signing.context import Context
from huracan_sync.signing.local_manifest import LocalManifest
from huracan_sync.signing.merge import change_of
from huracan_sync.signing.signed_result import SignedResult, mark_of
from huracan_sync.signing.transaction_steps import ChannelView, Published, SeenFolder
from huracan_sync.transfer.journal import ListedFile, Origin, SignedState
from huracan_sync.transfer.journal.signed_state import Proof, SignedStates, doubt, note_proofs
from huracan_sync.transfer.journal.synced_files import SyncedFiles
from huracan_sync.transfer.pair import Pair
from huracan_sync.transfer.progress import Failure
from huracan_sync.tree.content_hash import BLOCK_SIZE, block_hashes, combine, leaf_hashes
from huracan_sync.tree.content_hasher import ContentHasher
from huracan_sync.tree.paths import RelPath, fold


class PairPublisher:
    """Signs what a pair holds, in one channel."""

    def __init__(self, context: Context, pair: Pair, scope: Scope, channel: str, signed_states: SignedStates) -> None:
        """No request is made and no key is read."""
        self._signed_states = signed_states
        self._scope = scope
        self._pair = pair
        self._channel_publisher = ChannelPublisher(context, root=scope.root, channel=channel)

    def channel_view(self, last: SignedState | None, *, is_own: bool) -> ChannelView:
        """The channel as it is now; leaves the journal alone, so any thread may ask. Raises as `publish`.

        Args:
            last: what this machine has signed last.
            is_own: whether there is nothing to be signed but what it made. Then a look a short while ago serves too.
        """
        view = self._channel_publisher.unlooked(last) if is_own else None
        return view or self._channel_publisher.channel_view(last)

    def publish(
        self, left_out: frozenset[str], *, strict: bool, overwrite: bool, channel_view: ChannelView | None = None
    ) -> SignedResult:
        """Publish a list of everything both sides hold alike, unless the one that is signed says so.

        What was taken over as signed while keys counted that are revoked by now is not signed for that.

        Args:
            left_out: folded paths, below the pair, that are no part of it any more.
            strict: as `PushSigner.sign`. The body is sent then although it lies there for all we know: it is small.
            overwrite: as `PushSigner.sign`.
            channel_view: how the channel stood a moment ago.
        """
        revoked = self._channel_publisher.revoked()
        doubt(self._pair.journal, self._channel_publisher.place, revoked)
        try:
            return self._publish(
                left_out, strict=strict, overwrite=overwrite, channel_view=channel_view, revoked=revoked
            )
        except Refused as error:
            if error.code != "KEY_REVOKED" or self._channel_publisher.revoked(search=True) == revoked:
                raise
        return self.publish(left_out, strict=strict, overwrite=overwrite)

    def _publish(
        self,
        left_out: frozenset[str],
        *,
        strict: bool,
        overwrite: bool,
        channel_view: ChannelView | None,
        revoked: frozenset[bytes],
    ) -> SignedResult:
        """As `publish`, for what was chosen when these keys were known to be revoked."""
        signed_states, at = self._signed_states, self._scope.path
        last, following = signed_states.last(), signed_states.next()
        if channel_view is None or channel_view.is_unlooked:  # what was known when the run began may not do any more
            channel_view = self._channel_publisher.unlooked(last) if signed_states.is_own() else None
        changes, since = signed_states.changes(), last.changes if last else -1
        signed_states.leave_out(left_out)
        unsigned = {key: each for key, each in signed_states.unsigned().items() if key not in left_out}
        gone = {fold(at(path)): rev for path, rev in signed_states.gone(since).items()}
        items = _Items(signed_states, at, left_out)
        if left_out:
            taken_out = (each for each in signed_states.listed() if fold(each.path) in left_out)
            gone |= {fold(at(each.path)): each.rev for each in taken_out}
        unproved, is_new = self._prove(items, since)
        if is_new and file_kinds.Kind.OPAQUE not in self._channel_publisher.check().kinds:
            self._examine(items, since)
        # Of a first list everything is new, and nobody asks what.
        changed = {fold(at(each.path)): each.changed for each in items.files() if each.changed > since} if last else {}
        tables = _named(signed_states.tables(), items)
        change = change_of(
            items, changed, gone, last=last, following=following, strict=strict, overwrite=overwrite
        ).knowing(
            {fold(at(path)): digest for path, digest in unsigned.values()},
            lambda paths: self._channel_publisher.items_of(last.digest, paths) if last else None,
        )
        published = self._channel_publisher.publish(
            change,
            known=frozenset(last.parts if last and not strict else ()),
            intend=lambda made: signed_states.intend(_state_of(made, changes, left_out, unproved)),
            channel_view=channel_view,
            last=last,
            tables=tables,
            folder=self._seen_folder(),
            revoked=revoked,
        )
        signed_states.tables_are_there(tables)
        manifest = self._local_manifest(published)
        if unsigned and (proved := _proved(manifest, published, unsigned, at)):
            self._pair.journal.note_origin(self._pair.id, proved, Origin.SIGNED)
            unsigned = {key: each for key, each in unsigned.items() if key not in proved}
            changes += 1
        state = _state_of(published, changes, left_out, unproved)
        self._keep(manifest, published, items)
        signed_states.settle(state)
        paths = tuple(at(path) for path, _ in unsigned.values())
        superseded = tuple(map(_superseded, published.superseded))
        return SignedResult(state, published.made, paths, published.resumed_from, superseded)

    def _seen_folder(self) -> SeenFolder | None:
        """What lies in the folder of the pair, as it was listed last; None where it was not."""
        journal, pair, at = self._pair.journal, self._pair.id, self._scope.path
        if journal.cursor(pair) is None:
            return None

        def lying(paths: Collection[str]) -> dict[str, str]:
            synced = SyncedFiles(journal, pair).rows()
            revs = {path: each.entry.rev for key, each in synced if (path := fold(at(key))) in paths}
            others = {fold(at(key)): each.rev if each else "" for key, each in journal.remote_changes(pair).items()}
            return revs | others

        return SeenFolder(self._scope.prefix, lying)

    def _local_manifest(self, published: Published) -> LocalManifest:
        parts = {part.sha256: part.data for part in published.bodies}
        place, channel = self._channel_publisher.place, published.head.channel
        signed = unpack(FORM, published.data).signed  # the body is among the parts
        return LocalManifest(place, self._scope.prefix, channel, signed, parts)

    def _keep(self, manifest: LocalManifest, published: Published, mine: Collection[Item]) -> None:
        """Leave on this disk what was signed of the folder."""
        pair, prefix = self._pair, self._scope.prefix
        arranged = local_manifest.arrangement(pair.disk)
        if arranged is None:
            return
        absent: tuple[str, ...] = ()
        if published.shared:
            _, listed = manifest.open(published.trust)
            own = {fold(item.path) for item in mine}
            theirs = (item.entry() for item in listed if fold(item.path) not in own)
            absent = tuple(fold(entry.path) for entry in local_manifest.below_prefix(prefix, theirs))
        manifest = msgspec.structs.replace(manifest, arranged=arranged, absent=absent)
        local_manifest.keep(pair.journal.home, pair.local, manifest)

    def _prove(self, items: _Items, since: int) -> tuple[list[str], bool]:
        """Count what is listed, and find out the blocks and leaves that the journal lacks.

        Args:
            items: what is to be listed.
            since: the count of changes of the last list: what is older and has no leaves goes on without.

        Returns:
            The paths of large files whose blocks nobody can tell, which are not listed; and whether anything is new.
        """
        asked, is_new = [], False
        for each in items.files():
            items.count += 1
            is_new = is_new or each.changed > since
            if _lacks_blocks(each) or (each.changed > since and _lacks_leaves(each)):
                asked.append(each)
        found = zip(asked, several(self._proof_of, asked), strict=True)
        items.proofs = {each.path: proof for each, proof in found if proof}
        note_proofs(self._pair.journal, self._pair.id, items.proofs.values())
        items.unproved = frozenset(each.path for each in asked if _lacks_blocks(each)) - items.proofs.keys()
        items.count -= len(items.unproved)
        return sorted(map(self._scope.path, items.unproved)), is_new

    def _examine(self, items: _Items, since: int) -> None:
        """Have kinds proved by all of the bytes, where the channel takes nothing that is opaque.

        What is not on this disk was examined where it was staged.
        """
        for each in items.files():
            if each.changed <= since:
                continue
            with contextlib.suppress(HuracanError), StableRead(self._pair.disk, RelPath(each.path)) as reading:
                kind = examine(each.path, reading.stamp.size, reading.read)
                if _hash_of(reading) == each.content_hash:
                    items.kinds[each.path] = int(kind)

    def _proof_of(self, each: ListedFile) -> Proof | None:
        """The blocks and leaves of a large file, from this disk, if it still lies here as it was synced."""
        blocks, table = bytearray(), bytearray()
        with contextlib.suppress(HuracanError), StableRead(self._pair.disk, RelPath(each.path)) as reading:
            kind = file_kinds.of(each.path, reading.read(0, file_kinds.SNIFF))
            for offset in range(0, reading.stamp.size, BLOCK_SIZE):
                piece = reading.read(offset, BLOCK_SIZE)
                blocks += block_hashes(piece)
                table += leaf_hashes(piece) if pay(kind, each.size) else b""
            reading.check_unchanged()
            if combine(bytes(blocks)) == each.content_hash:
                named = bytes(blocks) if each.size > BLOCK_SIZE else b""
                return Proof(each.path, each.content_hash, int(kind), named, bytes(table))
        return None


def _named(tables: Mapping[bytes, bytes], items: Collection[Item]) -> dict[bytes, bytes]:
    """Of tables of leaves that do not lie in Dropbox those that a list names."""
    named = {item.leaves for item in items} if tables else set()
    return {sha256: table for sha256, table in tables.items() if sha256 in named}


class _Items(Collection[Item]):
    """What both sides hold alike, as a signed list names it: read from the journal each time, and never held."""

    def __init__(self, signed_states: SignedStates, at: Callable[[str], str], left_out: frozenset[str]) -> None:
        self.proofs: Mapping[str, Proof] = {}
        self.unproved: frozenset[str] = frozenset()
        """Paths that cannot be listed."""
        self.count = 0
        self.kinds: dict[str, int] = {}
        self._signed_states = signed_states
        self._at = at
        self._left_out = left_out

    def files(self, *, in_order: bool = False) -> Iterator[ListedFile]:
        """The files, as the journal has them."""
        left_out, unproved = self._left_out, self.unproved
        for each in self._signed_states.listed(in_order=in_order):
            if each.path not in unproved and not (left_out and fold(each.path) in left_out):
                yield each

    def __iter__(self) -> Iterator[Item]:
        for each in self.files(in_order=True):
            proof = self.proofs.get(each.path)
            kind = file_kinds.by_name(each.path) if each.kind is None else each.kind
            blocks, leaves = each.blocks, each.leaves
            if proof is not None:
                blocks, kind, leaves = proof.blocks, proof.kind, proof.leaves
            kind, mtime_ms = self.kinds.get(each.path, kind), max(0, each.mtime_ms)
            yield Item(self._at(each.path), each.size, each.content_hash, each.rev, mtime_ms, int(kind), blocks, leaves)

    def __len__(self) -> int:
        return self.count

    def __contains__(self, item: object) -> bool:
        return any(each == item for each in self)


def _hash_of(reading: StableRead) -> bytes:
    hasher = ContentHasher()
    for offset in range(0, reading.stamp.size, BLOCK_SIZE):
        hasher.update(reading.read(offset, BLOCK_SIZE))
    reading.check_unchanged()
    return hasher.digest()


def _lacks_blocks(each: ListedFile) -> bool:
    return each.size > BLOCK_SIZE and not each.blocks


def _lacks_leaves(each: ListedFile) -> bool:
    kind = file_kinds.by_name(each.path) if each.kind is None else each.kind
    return not each.leaves and pay(kind, each.size)


def _proved(
    manifest: LocalManifest, published: Published, unsigned: Mapping[str, tuple[str, bytes]], at: Callable[[str], str]
) -> list[str]:
    """Which of the unsigned files the manifest lists with this very content: another publisher has signed them."""
    _, listed = manifest.open(published.trust)
    signed = {fold(item.path): item.content_hash for item in listed}
    return [key for key, (path, digest) in unsigned.items() if signed.get(fold(at(path))) == digest]


def _state_of(published: Published, changes: int, left_out: frozenset[str], unproved: Sequence[str]) -> SignedState:
    head = published.head
    return SignedState(
        head.epoch,
        head.seq,
        published.digest,
        next_head.due_ms(head, published.trust),
        published.stored,
        changes,
        published.shared,
        mark_of(left_out),
        (*published.left_out, *unproved),
        published.rev,
        published.looked_ms,
    )


def _superseded(path: str) -> Failure:
    message = f"{path} was published by somebody else since; theirs stays in the signed list"
    return Failure(path, Conflict(message, hint="look at both; with --overwrite the local file wins", path=path))
