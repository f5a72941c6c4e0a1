"""What all parts of a `DropboxSync` share: the login, the layout, the clock, the outbox, the boundary to the engine."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from huracan_sync.auth.connect import home_of
from huracan_sync.auth.credentials import Credentials
from huracan_sync.engine.error_boundary import ErrorBoundary
from huracan_sync.engine.event_log import LoggedOnce, log
from huracan_sync.engine.login import Chosen, log_in
from huracan_sync.engine.outbox import Outbox, QueuedWrite
from huracan_sync.engine.put import Sender
from huracan_sync.engine.read_revisions import ReadRevisions
from huracan_sync.engine.settings import Settings
from huracan_sync.errors import HuracanError, Stopped
from huracan_sync.remote.client import Remote
from huracan_sync.remote.forked import renewed_in_child
from huracan_sync.remote.steady_rate import SteadyPacing
from huracan_sync.signing.context import Context
from huracan_sync.signing.signing_key import KeyPlace
from huracan_sync.transfer.journal import Journal
from huracan_sync.tree.filters import Rule
from huracan_sync.tree.layout import Layout

FORMAT_DAY = "%Y-%m-%d"


utc_now = functools.partial(datetime.now, UTC)
"""The clock, in UTC."""


class StopSignal(threading.Event):
    """Set when work is to end: what is under way comes to its end, nothing more is begun."""

    def __init__(self) -> None:
        super().__init__()
        renewed_in_child(self)

    def renew_in_child(self) -> None:
        """See `forked`: the parent's end is not the child's."""
        super().__init__()

    def sleep(self, seconds: float) -> None:
        """Wait; a wait that a server asked for ends when we are asked to end.

        Raises:
            Stopped: asked to end.
        """
        if self.wait(seconds):
            raise Stopped("asked to end; the rest is for the next run")


class EngineContext(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Made once for each `DropboxSync`. Any thread may use it."""

    login: Chosen
    layout: Layout
    operations: Context
    """What the operations work with: the login, the state folder, the signing key."""
    outbox: Outbox
    sender: Sender
    boundary: ErrorBoundary
    logged: LoggedOnce
    read_revisions: ReadRevisions
    stop: StopSignal
    now: Callable[[], datetime]
    """Every date is asked of it when it is needed."""
    dated: bool
    """Whether each day's files go to a folder of that day."""
    allow_secrets: bool
    may_sign: bool
    rules: tuple[Rule, ...]
    """Which files of every folder take part, beside its patterns."""
    parquet_metadata: bool
    """Whether the candles have a `_metadata` file."""
    is_given: bool
    """Whether the remote was made elsewhere, so that nobody can make the same again."""

    @classmethod
    def open(
        cls,
        login: Chosen,
        settings: Settings,
        *,
        dated: bool = True,
        now: Callable[[], datetime] = utc_now,
        remote: Remote | None = None,
        credentials: Credentials | None = None,
        keys: KeyPlace | None = None,
    ) -> EngineContext:
        """A context over a login.

        Nothing is written, and no socket is opened, unless a pasted token has to be checked.

        Args:
            login: which login.
            settings: the app folder, and what is allowed.
            dated: keep each day's files in a folder of that day.
            now: the clock.
            remote: a login that was made elsewhere, instead of `login`.
            credentials: the stored login, where not the profile's name alone says it.
            keys: where this machine's signing key is; by default where the environment says.

        Raises:
            HostilePath: the app folder has a name that no folder can have.
            NotAuthorized: a pasted token has ended (a `dropbox.exceptions.AuthError` too).
        """
        layout, home, stop = settings.layout, home_of(os.environ), StopSignal()
        root = layout.root
        is_given = remote is not None
        remote = remote or log_in(login, SteadyPacing(sleep=stop.sleep), credentials, root=root)
        context = cls(
            login=login,
            layout=layout,
            operations=Context.of(remote, home=home, keys=keys),
            outbox=Outbox(home),
            sender=Sender(remote, home),
            boundary=ErrorBoundary(strict=settings.strict),
            logged=LoggedOnce(),
            read_revisions=ReadRevisions(),
            stop=stop,
            now=now,
            dated=dated,
            allow_secrets=settings.allow_secrets,
            may_sign=settings.sign,
            rules=settings.rules,
            parquet_metadata=settings.parquet_metadata,
            is_given=is_given,
        )
        log.info("dropbox_sync_initialized", app_folder=layout.app_folder, profile=login.profile)
        return context

    @property
    def remote(self) -> Remote:
        """The login."""
        return self.operations.remote

    @property
    def home(self) -> Path:
        """The state folder."""
        return self.operations.home

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds since 1970."""
        return self.operations.clock

    @property
    def service(self) -> str:
        """Which service it is: `dropbox`, or which emulator."""
        return self.remote.wire.endpoint.namespace

    @property
    def signs(self) -> bool:
        """Whether this machine has a key to sign with, and is to."""
        return self.may_sign and self.operations.keys.exists()

    @property
    def today(self) -> str:
        """The day in UTC, `YYYY-MM-DD`."""
        return self.now().astimezone(UTC).strftime(FORMAT_DAY)

    @property
    def dated_folder(self) -> str:
        """Today's folder, `/APP/YYYY-MM-DD`; empty when files are not kept by day."""
        return self.layout.place("/", self.today) if self.dated else ""

    def note_unsigned(self, *contents: bytes) -> None:
        """These contents (their hashes) were read from Dropbox as they lie there: sending them back signs nothing.

        Best effort: where the journal cannot be written, nothing is pushed either.
        """
        with contextlib.suppress(HuracanError), Journal(self.home) as journal:
            journal.note_unsigned(contents)

    def place(self, path: str, *, dated: bool = True) -> str:
        """Where a path belongs in Dropbox, absolute. Doing it twice is doing it once.

        Raises:
            HostilePath: no tree may hold it.
        """
        return self.layout.place(path, self.today if dated and self.dated else None)

    def pending(self) -> list[QueuedWrite]:
        """What waits in this machine's outbox for this service, oldest first."""
        return [queued_write for queued_write in self.outbox.queued_writes() if queued_write.service == self.service]

    def queued_write(self, remote: str, error: HuracanError, **more: Any) -> QueuedWrite:
        """A write to this service that could not be done now, for the outbox."""
        try:
            account = self.remote.place.partition("/")[2]
        except HuracanError:
            account = ""  # nobody is logged in: the next login on this machine delivers it
        return QueuedWrite(
            remote=remote,
            service=self.service,
            account=account,
            queued=self.clock(),
            error=error.as_dict(),
            **more,
        )
