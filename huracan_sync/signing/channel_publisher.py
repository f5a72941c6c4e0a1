"""Publishes in one channel for this machine: with its keys, after what it has seen."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet

import msgspec

from huracan_sync.errors import NoSigningKey, NotFound, Refused
from huracan_sync.manifest import body, checks, head, head_history, signed_files, trust
from huracan_sync.manifest.checks import Mark
from huracan_sync.manifest.entries import Item
from huracan_sync.manifest.envelope import MAX_SIGNATURES, unpack
from huracan_sync.manifest.head import Head, Opened
from huracan_sync.manifest.rotation import revoked_ids
from huracan_sync.manifest.signer import Signer
from huracan_sync.manifest.trust import Policy, Trust
from huracan_sync.reader.cache import BlobCache, blob_cache
from huracan_sync.reader.trust_store import Channel, State, TrustStore
from huracan_sync.remote.source import RemoteSource
from huracan_sync.signing import next_head, trust_chain
from huracan_sync.signing.context import Context
from huracan_sync.signing.executor import Executor
from huracan_sync.signing.head_log import committed, lost
from huracan_sync.signing.next_head import SeenHead, StoredFile
from huracan_sync.signing.resume import resume
from huracan_sync.signing.transaction import publish_transaction, read_channel, read_items
from huracan_sync.signing.transaction_steps import ChannelView, Published, PublishRequest, Reinstate, SeenFolder, Wanted
from huracan_sync.signing.trust_files import TrustFiles
from huracan_sync.transfer.journal import SignedState
from huracan_sync.tree.content_hash import content_hash
from huracan_sync.tree.paths import fold

LOOK_MS = 600_000
"""How long a look for a newer trust file is good for, in a channel that is this machine's alone (`unlooked`)."""
RESUMES = 8
"""How often a machine that remembers nothing may find that it went on from a head that never came into its place."""


class ChannelPublisher:
    """Publishes in one channel of one root folder."""

    def __init__(
        self,
        context: Context,
        *,
        root: str,
        channel: str,
    ) -> None:
        """No request is made and no key is read.

        Args:
            context: the login, the state folder, the key and the clock.
            root: the root folder.
            channel: its channel.
        """
        self.root = root
        self.channel = channel
        self._remote = context.remote
        self._home = context.home
        self._keys = context.keys
        self._clock = context.clock
        self._check_clock = context.check_clock
        self._trust_files = TrustFiles(context, root)
        self._trust_is_new = False
        self.place = RemoteSource(context.remote, root).place
        """Tells this root folder from others on this machine."""

    def publish(
        self,
        wanted: Wanted,
        *,
        known: frozenset[bytes] = frozenset(),
        intend: Callable[[Published], None] = lambda _: None,
        channel_view: ChannelView | None = None,
        last: SignedState | None = None,
        tables: Mapping[bytes, bytes] = {},
        folder: SeenFolder | None = None,
        revoked: frozenset[bytes] | None = None,
    ) -> Published:
        """Sign a new head, unless the one in place says the same already.

        Args:
            wanted: what to sign.
            known: SHA-256 of bodies and shards that lie in Dropbox for certain, in files of their own.
            intend: notes durably what is about to be committed.
            channel_view: how the channel stood a moment ago, if that is known.
            last: as `channel_view`.
            tables: tables of leaves, by SHA-256, that its entries name and that may not lie in Dropbox yet.
            folder: what is known to lie where others' files are.
            revoked: as in `PublishRequest`. Where there are more, it is refused (`KEY_REVOKED`).

        Raises:
            NoTrust: nothing is known for which this machine's key could sign.
            NoSigningKey: too few of the channel's keys are here.
            Refused: no reader would accept it, or what lies there cannot be gone on from.
            NotAuthorized, TryLater, Unavailable: Dropbox could not be asked. Nothing half-done counts.
        """
        self._trust_files.renew_if_due()
        attempts = set[bytes]()

        def note(published: Published) -> None:
            attempts.add(published.digest)
            intend(published)

        perform = Executor(self._remote, self.root, intend=note, clock=self._clock).perform
        for attempt in range(1, RESUMES + 1):
            state = self._state()
            held = _held(state.channels.get(self.channel))
            if held is None and channel_view is None:
                channel_view = self._resume(state, attempts)
            elif channel_view is None and _remembered(last, state.channels.get(self.channel)):
                channel_view = self.channel_view(last)
            resumed = channel_view.held if held is None and channel_view else None
            request = PublishRequest(
                self.channel, wanted, held or resumed, known, self._sign, self._clock, _publisher(), channel_view,
                tables, folder, revoked,
            )  # fmt: skip
            try:
                if published := perform(publish_transaction(request, trust.open(state.trust))):
                    self._keep(published, after=state.trust)
                    return published._replace(resumed_from=resumed.mark.sequence if resumed else 0)
            except Refused as error:
                if resumed is None or error.code not in {"FORK", "GAP"} or attempt == RESUMES:
                    raise
            channel_view = None  # its base, a copy in the log, never came into place; or it was no new channel: look
        raise AssertionError  # only the first attempt can take the channel for a new one

    def _keep(self, published: Published, *, after: bytes) -> None:
        """Keep on this machine what was published, and the trust files that came `after` the one it knew."""
        store = self._trust_files.store
        for data in published.trust_files:
            store.remember_trust(data, after=after)
            after = data
        here = blob_cache(store.folder, self.channel)
        with here.in_use():
            here.put_bodies((part.sha256, part.data) for part in published.bodies)
            self._remember(store, published)
        self._tidy(store, here)

    def channel_view(self, last: SignedState | None = None) -> ChannelView:
        """How the channel stands. Raises as `publish`.

        Args:
            last: what this machine has signed last. Where that is the newest head it has seen, and nobody else
                publishes in the channel, the head is not read: the swap names its revision, so it fails if another lies
                there.
        """
        state, added, now_ms = self._state(), list[bytes](), int(self._clock() * 1000)
        if self.channel not in state.channels:
            return self._resume(state)
        known, own = trust.open(state.trust), _remembered(last, state.channels[self.channel])
        transaction = read_channel(self.channel, known, added, head_too=own is None)
        stored, newest = Executor(self._remote, self.root).perform(transaction)
        return ChannelView(
            known.version, own or stored, newest, tuple(added), is_remembered=own is not None, looked_ms=now_ms
        )

    def unlooked(self, last: SignedState | None) -> ChannelView | None:
        """The channel as this machine remembers it, without a request; None where it has to look.

        It need not if it states nothing but its own, and either looked at most ten minutes ago and is alone in the
        channel, or began the root folder since then and never published in it. If its key was revoked meanwhile,
        readers who know refuse what it signs; if another head lies there, the swap fails, and everything is read.
        """
        state = self._state()
        known, held = trust.open(state.trust), state.channels.get(self.channel)
        own, looked_ms = _remembered(last, held), last.looked_ms if last else 0
        if held is None and last is None and trust_chain.is_begun_here(self._home, known):
            looked_ms = known.created_ms
        elif own is None or held is None or head.linked(own.data, held.mark.digest).trust_version != known.version:
            return None
        now_ms = int(self._clock() * 1000)
        if not 0 <= now_ms - looked_ms <= LOOK_MS or now_ms >= (known.created_ms + known.expires_ms) / 2:
            return None
        return ChannelView(
            known.version, own, known, is_remembered=own is not None, looked_ms=looked_ms, is_unlooked=True
        )

    def revoked(self, *, search: bool = False) -> frozenset[bytes]:
        """The keys that are revoked, as far as this machine knows; with `search` by the newest trust file there is."""
        known = trust.open(self._state().trust)
        return revoked_ids(self._trust_files.newest() if search else known)

    def check(self) -> Policy:
        """What the channel allows, if this machine may publish in it. Makes no request once that was ever settled.

        Raises:
            NoSigningKey, NoTrust: it may not.
        """
        self._keys.signer()
        self._trust_files.ensure_pinned()
        policy = trust.open(self._trust_files.store.load().trust).policy(self.channel)
        self._signers(policy)
        return policy

    def held(self) -> tuple[Head, bool] | None:
        """The newest head that was seen here, and whether it wants to be renewed. Makes no request."""
        if not self._trust_files.store.exists():
            return None
        state = self._trust_files.store.load()
        held = state.channels.get(self.channel)
        if held is None or not held.head:
            return None
        payload = head.linked(held.head, held.mark.digest)
        return payload, self._clock() * 1000 >= next_head.due_ms(payload, trust.open(state.trust))

    def seen_digest(self) -> bytes:
        """The digest of the newest head that was seen here; empty where none was. Makes no request."""
        store = self._trust_files.store
        held = store.load().channels.get(self.channel) if store.exists() else None
        return held.mark.digest if held else b""

    def items_of(self, digest: bytes, paths: Collection[str] | None = None) -> list[Item] | None:
        """What a head that this machine has made or seen listed; None where it is not on this disk. No request.

        Args:
            digest: of the head.
            paths: only at these folded paths; None: all of it.
        """
        store = self._trust_files.store
        if not store.exists():
            return None
        state = store.load()
        held = state.channels.get(self.channel)
        if held is None:
            return None
        heads = [(held.head, held.parts), (held.previous, held.previous_parts)]
        data, parts = next((each for each in heads if each[0] and head_history.digest_of(each[0]) == digest), (b"", ()))
        here = blob_cache(store.folder, self.channel)
        known = {sha256: part for sha256 in parts if (part := here.part(sha256)) is not None}
        with contextlib.suppress(Refused, KeyError):
            payload = head.linked(data, digest)
            pieces = body.pieces(payload, trust.open(state.trust).policy(self.channel), lambda sha256, _: known[sha256])
            return [item for piece in pieces for item in piece if paths is None or fold(item.path) in paths]
        return None

    def newest(self) -> tuple[Opened, Trust]:
        """The newest head, verified, and the trust file; of whatever age. Nothing is remembered.

        Raises:
            NotFound: nothing that counts was published.
            Refused: what lies there is not it.
        """
        state = self._state()
        held = state.channels.get(self.channel)
        executor = Executor(self._remote, self.root)
        stored, known = executor.perform(read_channel(self.channel, trust.open(state.trust), []))
        now_ms = int(self._clock() * 1000)
        position = next_head.chain_position(stored, _held(held), trust=known, channel=self.channel, now_ms=now_ms)
        if position.base is None:
            raise NotFound(f"nothing that counts was published in {self.channel}", channel=self.channel)
        return position.base, known

    def newest_items(self) -> list[Item]:
        """What the newest head lists, verified; nothing where nothing counts. Raises as `newest`, but `NotFound`."""
        try:
            top, known = self.newest()
        except NotFound:
            return []
        policy = known.policy(self.channel)
        return Executor(self._remote, self.root).perform(read_items(top, policy, {}))

    def earlier(self, sequence: int) -> tuple[Reinstate, list[str]]:
        """How to make an earlier manifest current that took effect; and which of its files can no longer be had.

        Raises:
            NotFound: there is none, or no way leads to it any more.
        """
        top, known = self.newest()
        executor = Executor(self._remote, self.root)
        opened, parts = executor.perform(committed(top, sequence, known)), dict[bytes, bytes]()
        items = executor.perform(read_items(opened, known.policy(self.channel), parts))
        wanted = Reinstate(next_head.body_ref(opened.head), parts[opened.head.body_sha256])
        return wanted, executor.perform(lost(items))

    def _resume(self, state: State, beaten: AbstractSet[bytes] = frozenset()) -> ChannelView:
        """How the channel stands, and where a machine that remembers nothing of it goes on."""
        known = trust.open(state.trust)
        may_sign = self._may_sign(known) and self._clock() * 1000 < (known.created_ms + known.expires_ms) / 2
        steps = resume(self.channel, known, trust_is_new=self._trust_is_new, may_sign=may_sign, beaten=beaten)
        return Executor(self._remote, self.root).perform(steps)

    def _may_sign(self, known: Trust) -> bool:
        try:
            return bool(self._signers(known.policy(self.channel)))
        except (NoSigningKey, Refused):
            return False

    def _state(self) -> State:
        self._trust_is_new = self._trust_is_new or not self._trust_files.store.exists()
        self._trust_files.ensure_pinned()
        state = self._trust_files.store.load()
        checks.check_clock(int(self._clock() * 1000), state.clock_ms)
        return state

    def _sign(self, payload: Head, known: Trust) -> bytes:
        self._check_clock()
        return signed_files.sign_head(payload, self._signers(known.policy(payload.channel)))

    def _signers(self, policy: Policy) -> list[Signer]:
        """The keys on this machine that may sign for the channel, enough of them."""
        signers = [signer for signer in self._keys.all() if signer.key_id in policy.key_ids][:MAX_SIGNATURES]
        if len(signers) < policy.threshold:
            raise NoSigningKey(
                f"{len(signers)} keys of {self.channel} are on this machine where {policy.threshold} must sign",
                hint="let the owner of the root key add this machine's key (`huracan-sync keys show` prints it) with "
                f"`huracan-sync keys rotate --channel {self.channel} --signer KEY`",
                channel=self.channel,
            )
        return signers

    def _remember(self, store: TrustStore, published: Published) -> None:
        """What was published here is seen here: nobody can put an older head back without being noticed."""
        payload = published.head
        mark = Mark(payload.epoch, payload.seq, published.digest)
        while True:
            held = store.load().channels.get(self.channel)
            if held is not None and (held.mark.epoch, held.mark.sequence) >= (payload.epoch, payload.seq) and held.head:
                return
            new = Channel(
                mark,
                unpack(head.FORM, published.data).signed,
                published.parts,
                cursor=held.cursor if held else "",
                links=published.links,
                lies=content_hash(published.data),
            )
            if held is not None and held.head:
                if held.parts[:1] == published.parts[:1]:  # the same body: the one before it stays
                    new = msgspec.structs.replace(
                        new, parts=held.parts, previous=held.previous, previous_parts=held.previous_parts
                    )
                else:
                    new = msgspec.structs.replace(new, previous=held.head, previous_parts=held.parts)
            now_ms = int(self._clock() * 1000)
            if store.advance(self.channel, new, after=held.mark if held else None, clock_ms=now_ms):
                return

    def _tidy(self, store: TrustStore, here: BlobCache) -> None:
        """Throw away bodies that neither the newest list of this machine nor the one before names."""
        with here.unused() as alone:
            held = store.load().channels[self.channel]
            if alone:
                here.keep_only((*held.parts, *held.previous_parts))


def _held(held: Channel | None) -> SeenHead | None:
    return SeenHead(held.mark, held.head, held.links) if held else None


def _remembered(last: SignedState | None, held: Channel | None) -> StoredFile | None:
    """The head as this machine has put it there, if it has seen no other since and is alone with the channel."""
    if last is None or held is None or not last.rev or last.shared or last.digest != held.mark.digest:
        return None
    return StoredFile(held.head, last.rev) if held.head else None


def _publisher() -> str:
    """This machine's name, for people who read the log."""
    name = platform.node().encode("ascii", "replace").decode()
    return "".join(char for char in name if char.isprintable())[:64]
