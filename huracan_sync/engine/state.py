"""What all parts of a `DropboxSync` share: the login, the layout, the clock, and the boundary to the engine.

Inside, everything raises. At the boundary a failure becomes what the engine's code expects (False, 0, None, []), but
it is never silent: one event with the name the engine's documents use, `last_error`, and, where something was to be
written, a letter in the outbox that a later pass delivers. `HURACAN_SYNC_STRICT=1` raises instead.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from huracan_sync.auth.connect import home_of
from huracan_sync.auth.credentials import Credentials
from huracan_sync.engine.error_boundary import for_sdk_callers, log, said
from huracan_sync.engine.login import Chosen, choose, chosen_by, log_in
from huracan_sync.engine.outbox import Outbox, QueuedWrite
from huracan_sync.engine.put import Sender
from huracan_sync.engine.settings import Settings
from huracan_sync.errors import HuracanError, Stopped
from huracan_sync.remote.client import Remote
from huracan_sync.remote.rate_limit import Pacing
from huracan_sync.secret import Secret
from huracan_sync.signing.context import Context
from huracan_sync.signing.signing_key import KeyPlace
from huracan_sync.tree.layout import Layout

if TYPE_CHECKING:
    from huracan_sync.engine.sdk_client import RawClient, Reads

T = TypeVar("T")

FORMAT_DAY = "%Y-%m-%d"


def utc_now() -> datetime:
    """The clock, in UTC."""
    return datetime.now(UTC)


class Instance:
    """One `DropboxSync`, without its verbs. Thread-safe."""

    _enabled: bool
    _last_error: HuracanError | None

    def __init__(  # noqa: PLR0913 - the engine's signature, and what the command line and tests bring
        self,
        access_token: str | None = None,
        app_folder: str = "Runpodhuracan",
        enabled: bool = True,  # noqa: FBT001, FBT002 - the engine's signature
        create_dated_folder: bool = True,  # noqa: FBT001, FBT002 - the engine's signature
        *,
        now: Callable[[], datetime] = utc_now,
        remote: Remote | None = None,
        settings: Settings | None = None,
        credentials: Credentials | None = None,
        keys: KeyPlace | None = None,
    ) -> None:
        """Sync the engine's files with Dropbox.

        Nothing is written, and no socket is opened, unless a pasted token has to be checked.

        Args:
            access_token: `sl.keyring:PROFILE`, empty or None for the stored login; else a short-lived token.
            app_folder: the folder in Dropbox that holds everything of the engine.
            enabled: False makes every call do nothing.
            create_dated_folder: keep each day's files in a folder of that day.
            now: the clock; every date is asked of it when it is needed.
            remote: a login that was made elsewhere, instead of `access_token`.
            settings: what a file and the environment say; instead of the first two.
            credentials: the stored login, where not the profile's name alone says it.
            keys: where this machine's signing key is; by default where the environment says.

        Raises:
            ValueError: the token is none.
            NotAuthorized: a pasted token has ended (a `dropbox.exceptions.AuthError` too).
        """
        if not enabled:
            log.info("dropbox_sync_disabled")
            self._enabled = False
            return
        pasted, access_token = Secret(access_token or ""), None  # a traceback that shows locals has nothing to show
        chosen = choose(pasted) if settings is None else chosen_by(settings)
        layout = Layout(app_folder) if settings is None else settings.layout
        _ = layout.root  # refuses a name that can be no folder
        self._enabled = True
        self._chosen: Chosen = chosen
        self._layout = layout
        self._dated = create_dated_folder
        self._now = now
        self._home: Path = home_of(os.environ)
        self._strict = settings.strict if settings else os.environ.get("HURACAN_SYNC_STRICT", "") not in {"", "0"}
        self._allow_secrets = settings.allow_secrets if settings else False
        self._may_sign = settings.sign if settings else True
        self._stopping = threading.Event()
        self._outbox = Outbox(self._home)
        self._last_error = None
        self._lock = threading.Lock()  # guards _raw
        self._raw: RawClient | None = None
        self._reads: Reads | None = None
        self._given = remote is not None
        # A wait that a server asked for ends when we are asked to end.
        self._remote: Remote = remote or log_in(chosen, Pacing(sleep=self._wait), credentials, root=layout.root)
        self._context = Context.of(self._remote, home=self._home, keys=keys)
        self._keys: KeyPlace = self._context.keys
        self._sender = Sender(self._remote, self._home)
        log.info("dropbox_sync_initialized", app_folder=layout.app_folder, profile=chosen.profile)

    def _wait(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise Stopped("asked to end; the rest is for the next run")

    def _is_off(self) -> bool:
        if not self._enabled:
            log.warning("dropbox_not_enabled")
        return not self._enabled

    # --- what callers look at -----------------------------------------------------------------------------------

    @property
    def last_error(self) -> HuracanError | None:
        """What went wrong last in a call of this object, None when nothing did."""
        return getattr(self, "_last_error", None)

    @property
    def pending(self) -> list[QueuedWrite]:
        """What waits in this machine's outbox for this service, oldest first."""
        if not self._enabled:
            return []
        return [queued_write for queued_write in self._outbox.queued_writes() if queued_write.service == self._service]

    @property
    def _signs(self) -> bool:
        """Whether this machine has a key to sign with, and is to."""
        return self._may_sign and self._keys.exists()

    @property
    def _service(self) -> str:
        return self._remote.wire.endpoint.namespace

    @property
    def _access_token(self) -> str:
        self._insist("_access_token")
        return self._chosen.setting

    @property
    def _app_folder(self) -> str:
        self._insist("_app_folder")
        return self._layout.app_folder

    @property
    def _dated_folder(self) -> str:
        """Today's folder, `/APP/YYYY-MM-DD`, asked of the clock each time; empty when files are not kept by day."""
        self._insist("_dated_folder")
        return self._layout.place("/", self._today()) if self._dated else ""

    @property
    def _dbx(self) -> RawClient:
        """The official SDK's client over the same login."""
        self._insist("_dbx")
        with self._lock:
            if self._raw is None:
                from huracan_sync.engine.sdk_client import RawClient, Reads  # noqa: PLC0415 - the SDK is slow to import

                self._reads = Reads()
                self._raw = RawClient(self._remote, self._layout, self._reads)
            return self._raw

    def _insist(self, name: str) -> None:
        if not self._enabled:  # a disabled object has nothing else, and callers ask with hasattr
            raise AttributeError(f"{type(self).__name__} is disabled and has no {name}")

    def __reduce__(self) -> tuple[Any, ...]:
        """For Ray: a worker makes its own, with its own connections, from the same stored login."""
        if not self._enabled:
            return type(self), (None, "Runpodhuracan", False)
        if self._chosen.token is not None or self._given:
            raise TypeError("a pasted token is not pickled; log in once and pass the profile's name")
        return type(self), (self._chosen.setting, self._layout.app_folder, True, self._dated)

    # --- places ---------------------------------------------------------------------------------------------------

    def _today(self) -> str:
        return self._now().astimezone(UTC).strftime(FORMAT_DAY)

    def _normalize_path(self, path: str, use_dated_folder: bool = True) -> str:  # noqa: FBT001, FBT002
        """Where a path belongs in Dropbox, absolute. Normalizing twice is normalizing once.

        Raises:
            HostilePath: no tree may hold it.
        """
        return self._layout.place(path, self._today() if use_dated_folder and self._dated else None)

    # --- the boundary ---------------------------------------------------------------------------------------------

    def _attempt(self, event: str, failed: T, work: Callable[[], T], **where: Any) -> T:
        """What `work` returns; when it raises, `failed`, and one error event."""
        try:
            return work()
        except HuracanError as error:
            self._failed(event, error, **where)
        except Exception as bug:  # noqa: BLE001 - training does not end because of a backup
            log.debug("huracan_sync_bug", exc_info=True)
            self._failed(event, _as_bug(bug), **where)
        return failed

    def _failed(self, event: str, error: HuracanError, **where: Any) -> None:
        """Note a failure; raise it when the caller wants to know."""
        self._last_error = error
        log.error(event, **where, **said(error))
        if self._strict:
            raise for_sdk_callers(error) from error

    def _missing(self, event: str, error: HuracanError, **where: Any) -> None:
        """Note that the caller named something that is not there: a warning in the engine's words."""
        self._last_error = error
        log.warning(event, **where, hint=error.hint)
        if self._strict:
            raise error

    def _queued_write(self, remote: str, error: HuracanError, **more: Any) -> QueuedWrite:
        try:
            account = self._remote.place.partition("/")[2]
        except HuracanError:
            account = ""  # nobody is logged in: whoever logs in on this machine delivers it
        return QueuedWrite(
            remote=remote,
            service=self._service,
            account=account,
            queued=time.time(),
            error=error.as_dict(),
            **more,
        )


def _as_bug(cause: BaseException) -> HuracanError:
    # Something this library did not foresee. The engine goes on; the cause is in the log.
    error = HuracanError(f"{type(cause).__name__}: {cause}", code="BUG")
    error.__cause__ = cause
    return error
