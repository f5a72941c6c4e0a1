"""The act of publishing for this machine: its keys, and what it has seen."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from huracan_sync.errors import NoSigningKey
from huracan_sync.keys.here import KeyPlace
from huracan_sync.keys.roots import Roots
from huracan_sync.remote.client import Remote
from huracan_sync.sealing.act import Asked, Published, Wish, publishing
from huracan_sync.sealing.board import Board
from huracan_sync.sealing.chain import Held
from huracan_sync.seen import Channel, Seen
from huracan_sync.signed import head, rules, trust
from huracan_sync.signed.envelope import MAX_SIGNATURES
from huracan_sync.signed.head import Head
from huracan_sync.signed.rules import Mark
from huracan_sync.signed.trust import Trust


class Sealer:
    """Who publishes in one channel of one root folder."""

    def __init__(
        self,
        remote: Remote,
        home: Path,
        keys: KeyPlace,
        *,
        root: str,
        channel: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """No request is made and no key is read.

        Args:
            remote: the login.
            home: the state folder.
            keys: where this machine's key is.
            root: the root folder.
            channel: its channel.
            clock: seconds since 1970.
        """
        self.root = root
        self.channel = channel
        self._remote = remote
        self._keys = keys
        self._clock = clock
        self._roots = Roots(remote, keys, home, root=root, clock=clock)

    def publish(
        self,
        wish: Wish,
        *,
        known: frozenset[bytes] = frozenset(),
        intend: Callable[[Published], None] = lambda _: None,
    ) -> Published:
        """State it in a head, unless the one that lies there does.

        Args:
            wish: what to state.
            known: SHA-256 of bodies and shards that lie in Dropbox for certain.
            intend: notes durably what is about to be committed.

        Raises:
            NoTrust: nothing is known for which this machine's key could sign.
            NoSigningKey: too few of the channel's keys are here.
            Refused: no reader would accept it, or what lies there cannot be gone on from.
            NotAuthorized, TryLater, Unavailable: Dropbox could not be asked. Nothing half-done counts.
        """
        self._roots.settle()
        seen = self._roots.seen
        state = seen.load()
        rules.check_clock(int(self._clock() * 1000), state.clock_ms)
        held = state.channels.get(self.channel)
        asked = Asked(
            self.channel,
            wish,
            Held(held.mark, held.head) if held else None,
            known,
            self._sign,
            self._clock,
            _publisher(),
        )
        board = Board(self._remote, self.root, intend=intend)
        published = board.perform(publishing(asked, trust.open(state.trust)))
        before = state.trust
        for data in published.trust_files:
            seen.remember_trust(data, after=before)
            before = data
        self._remember(seen, published)
        return published

    def _sign(self, said: Head, known: Trust) -> bytes:
        policy = known.policy(said.channel)
        signers = [signer for signer in self._keys.all() if signer.key_id in policy.key_ids][:MAX_SIGNATURES]
        if len(signers) < policy.threshold:
            raise NoSigningKey(
                f"{len(signers)} keys of {said.channel} are on this machine where {policy.threshold} must sign",
                hint="let the owner of the root key add this machine's key (`huracan-sync keys show` prints it) with "
                f"`huracan-sync keys rotate --channel {said.channel} --signer KEY`",
                channel=said.channel,
            )
        return head.sign(said, signers)

    def _remember(self, seen: Seen, published: Published) -> None:
        """What was published here is seen here: nobody can put an older head back without being noticed."""
        said = published.head
        mark = Mark(said.epoch, said.seq, published.digest)
        while True:
            held = seen.load().channels.get(self.channel)
            if held is not None and (held.mark.epoch, held.mark.sequence) >= (said.epoch, said.seq) and held.head:
                return
            new = Channel(mark, published.data, published.parts, cursor=held.cursor if held else "")
            if held is not None and held.head:
                if held.parts[:1] == published.parts[:1]:  # the same list: the generation before it stays
                    new = msgspec.structs.replace(
                        new, parts=held.parts, previous=held.previous, previous_parts=held.previous_parts
                    )
                else:
                    new = msgspec.structs.replace(new, previous=held.head, previous_parts=held.parts)
            now_ms = int(self._clock() * 1000)
            if seen.advance(self.channel, new, after=held.mark if held else None, clock_ms=now_ms):
                return


def _publisher() -> str:
    """This machine's name, for people who read the log."""
    name = platform.node().encode("ascii", "replace").decode()
    return "".join(letter for letter in name if letter.isprintable())[:64]
