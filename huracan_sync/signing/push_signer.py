"""Whether a run has anything to sign. Where it has not, nothing of what signing takes is imported."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from huracan_sync.errors import HuracanError
from huracan_sync.manifest.locations import check_channel
from huracan_sync.manifest.scope import channel_of, scope_of
from huracan_sync.signing.context import Context
from huracan_sync.signing.signed_result import SignedResult, mark_of
from huracan_sync.transfer.journal import SignedState
from huracan_sync.transfer.journal.signed_state import SignedStates
from huracan_sync.transfer.pair import Pair
from huracan_sync.tree.paths import fold

if TYPE_CHECKING:
    from huracan_sync.signing.pair_manifest import PairPublisher
    from huracan_sync.signing.transaction_steps import ChannelView


class PushSigner:
    """Signs the manifest of one pair in one channel, where this machine has a key."""

    def __init__(self, context: Context, pair: Pair, channel: str | None) -> None:
        """No request is made and no key is read.

        Args:
            context: the login, the state folder, the key and the clock.
            pair: whose files.
            channel: the channel; by default called as the last component of the remote folder.

        Raises:
            Refused: `CHANNEL_NAME`, no channel can be called so.
            UsageError: the remote folder is the one of signed things.
        """
        self.scope = scope_of(pair.root, pair.remote.root)
        self.channel = check_channel(channel or channel_of(pair.root))
        self.signed_states = SignedStates(pair.journal, pair.id, self.scope.root, self.channel)
        self._pair = pair
        self._context = context
        self._ahead: threading.Thread | None = None
        self._channel_view: ChannelView | None = None  # the thread's until it has ended

    def prefetch(self) -> None:
        """Load the signing code and look at the channel in the background, while files are moved."""
        if self._context.keys.exists():
            # A daemon: a run that is interrupted does not wait for it.
            asked = self.signed_states.last(), self.signed_states.is_own()
            ahead = threading.Thread(target=self._look_ahead, args=asked, name="huracan-signing", daemon=True)
            with contextlib.suppress(RuntimeError):  # at the end of the interpreter no thread starts; `sign` looks then
                ahead.start()
                self._ahead = ahead

    def _look_ahead(self, last: SignedState | None, is_own: bool) -> None:  # noqa: FBT001 - of a thread
        with contextlib.suppress(HuracanError):  # it will be said when it is time to sign
            self._channel_view = self._pair_publisher().channel_view(last, is_own=is_own)

    def _pair_publisher(self) -> PairPublisher:
        from huracan_sync.signing.pair_manifest import PairPublisher  # noqa: PLC0415 - 50 ms of cryptography

        return PairPublisher(self._context, self._pair, self.scope, self.channel, self.signed_states)

    def sign(
        self, *, without: Iterable[str] = (), strict: bool = False, overwrite: bool = False
    ) -> SignedResult | None:
        """Sign a manifest of what both sides hold alike; None where this machine has no key.

        Args:
            without: paths, below the pair, that are about to be deleted, or no part of it any more.
            strict: a file of a kind that the channel does not allow refuses the whole.
            overwrite: also what others have put in the place of this machine's is replaced.

        Raises:
            NoTrust, NoSigningKey: this machine may not sign here.
            Refused: no reader would accept it, or what lies there cannot be gone on from.
            NotAuthorized, TryLater, Unavailable: Dropbox could not be asked. Nothing half-done counts.
        """
        left_out = frozenset(map(fold, without))
        last = self.signed_states.last()
        if last and not overwrite and self._says_it_all(last, left_out):
            unsigned = self.signed_states.unsigned().items()
            paths = tuple(self.scope.path(path) for key, (path, _) in unsigned if key not in left_out)
            return SignedResult(last, unsigned=paths)
        if not self._context.keys.exists():
            return None
        if self._ahead is not None:
            self._ahead.join()
        channel_view, self._channel_view = self._channel_view, None
        return self._pair_publisher().publish(left_out, strict=strict, overwrite=overwrite, channel_view=channel_view)

    def _says_it_all(self, last: SignedState, left_out: frozenset[str]) -> bool:
        young = self._context.clock() * 1000 < last.due_ms
        return young and last.without == mark_of(left_out) and self.signed_states.is_as_of(last.changes, left_out)

    def caught_up(self) -> None:
        """What was left out as about to be deleted is deleted: there is nothing new to state."""
        last = self.signed_states.last()
        if last is not None:
            self.signed_states.settle(msgspec.structs.replace(last, changes=self.signed_states.changes(), without=b""))
