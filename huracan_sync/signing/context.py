"""The one context that every operation works in: the login, this machine's state and keys, the clock, who watches.

Made in one place (`Context.of`) and handed down whole, so that no function takes its parts one by one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import msgspec

from huracan_sync.auth.session import home_of
from huracan_sync.manifest.refusals import refused
from huracan_sync.remote.client import Remote
from huracan_sync.signing.signing_key import KeyPlace
from huracan_sync.transfer.journal import Journal
from huracan_sync.transfer.pair import Pair
from huracan_sync.transfer.progress import Monitor, Silent
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.layout import candle_view, is_candle_folder

MOST_SKEW_S = 300.0
"""Seconds by which this machine's clock may differ from Dropbox's when something is signed."""


class Context(msgspec.Struct, frozen=True):
    """What an operation works with. Making one opens nothing and makes no request."""

    remote: Remote
    home: Path
    """The state folder of this machine."""
    keys: KeyPlace
    """Where this machine's signing key is, if it has one."""
    clock: Callable[[], float] = time.time
    """Seconds since 1970. Decides how old a signature is."""
    monitor: Monitor = Silent()
    """Told what moves."""

    @classmethod
    def of(
        cls,
        remote: Remote,
        *,
        home: Path | None = None,
        keys: KeyPlace | None = None,
        monitor: Monitor | None = None,
        clock: Callable[[], float] | None = None,
    ) -> Self:
        """The context of a login. What is not given is taken from the environment."""
        home = home or home_of()
        keys = keys or KeyPlace(os.environ, home, remote.wire.endpoint.namespace)
        return cls(remote, home, keys, clock or time.time, monitor or Silent())

    def check_clock(self) -> None:
        """Nothing is signed while this machine's clock and Dropbox's, by its last answer, differ by too much.

        Raises:
            Refused: `CLOCK`, they do: what is signed now would be refused as of the future, or be stale at once.
        """
        ahead_s = self.remote.ahead_s
        if abs(ahead_s) > MOST_SKEW_S:
            side = "behind" if ahead_s > 0 else "ahead of"
            message = f"this machine's clock is {abs(ahead_s):.0f} s {side} Dropbox's; nothing is signed with it"
            raise refused("CLOCK", message, ahead_s=round(ahead_s))

    def watched_by(self, monitor: Monitor) -> Self:
        """The same context with another monitor."""
        return msgspec.structs.replace(self, monitor=monitor)

    @contextmanager
    def pair(self, local: str | Path | FolderView, remote_folder: str) -> Iterator[Pair]:
        """A local and a remote folder, with the journal open while the block runs.

        The engine's folder of candles has each candle in its one place, by whatever verb it is synced.

        Raises:
            UsageError: the remote path cannot be a folder.
            LocalFailure, DiskFull: the journal cannot be used.
        """
        if not isinstance(local, FolderView) and is_candle_folder(remote_folder, self.remote.root):
            local = candle_view(Path(local).absolute())
        with Journal(self.home, clock=self.clock) as journal:
            yield Pair(local, remote_folder, remote=self.remote, journal=journal, monitor=self.monitor)
