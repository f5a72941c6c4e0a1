"""`DropboxSync`: every method, path, name and answer that the engine's code and documents know.

Each method says here what it promises; the parts over one `EngineContext` do the work. A disabled object has no
parts, does nothing, and answers as if there were nothing.
"""

# ruff: noqa: FBT001, FBT002 - the engine's signatures
from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from huracan_sync.auth.credentials import Credentials
from huracan_sync.engine.artifacts import Artifacts
from huracan_sync.engine.context import EngineContext, utc_now
from huracan_sync.engine.continuous import ContinuousSync
from huracan_sync.engine.event_log import log
from huracan_sync.engine.folder_uploads import FolderUploads
from huracan_sync.engine.login import choose, chosen_by
from huracan_sync.engine.methods import EngineMethods
from huracan_sync.engine.outbox import QueuedWrite
from huracan_sync.engine.restores import Restores
from huracan_sync.engine.settings import KINDS, Settings, filters_in, load, unknown
from huracan_sync.engine.uploads import Uploads
from huracan_sync.remote.client import Remote
from huracan_sync.remote.forked import renewed_in_child
from huracan_sync.remote.grant import STAGING, Grant
from huracan_sync.secret import Secret
from huracan_sync.signing.signing_key import KeyPlace
from huracan_sync.tree.layout import LOCAL_FOLDERS

if TYPE_CHECKING:
    from huracan_sync.engine.sdk_client import RawClient
    from huracan_sync.engine.staged_sync import StagedSync
    from huracan_sync.operations.push import PushReport


class DropboxSync(EngineMethods):
    """Sync of the engine's files with Dropbox. Thread-safe; many processes may have one each.

        sync = DropboxSync(app_folder="Runpodhuracan")      # the stored login; `huracan-sync authorize` once
        sync.restore_data_cache()
        sync.start_continuous_sync()

    A call that fails answers as it always did (False, 0, None, []), after one error event; `last_error` holds the
    typed error, `pending` what waits in the outbox. `HURACAN_SYNC_STRICT=1` raises instead.
    """

    def __init__(  # noqa: PLR0913 - the engine's signature, and what the command line and tests bring
        self,
        access_token: str | None = None,
        app_folder: str = "Runpodhuracan",
        enabled: bool = True,
        create_dated_folder: bool = True,
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
            now: the clock, asked whenever a date is needed.
            remote: a login that was made elsewhere, instead of `access_token`.
            settings: settings from a file and the environment, instead of the first two arguments.
            credentials: the stored login, where the profile's name alone does not say which.
            keys: where this machine's signing key is; by default where the environment says.

        Raises:
            ValueError: the token cannot be one.
            NotAuthorized: a pasted token has expired (a `dropbox.exceptions.AuthError` too).
        """
        self._enabled = enabled
        if not enabled:
            log.info("dropbox_sync_disabled")
            return
        pasted, access_token = Secret(access_token or ""), None  # a traceback that shows locals has nothing to show
        login = choose(pasted) if settings is None else chosen_by(settings)
        if settings is None:
            strict = os.environ.get("HURACAN_SYNC_STRICT", "") not in {"", "0"}
            settings = Settings(app_folder=app_folder, strict=strict, **filters_in(os.environ))
        self._context = context = EngineContext.open(
            login, settings, dated=create_dated_folder, now=now, remote=remote, credentials=credentials, keys=keys
        )
        self._uploads = Uploads(context)
        self._folder_uploads = FolderUploads(context)
        self._restores = Restores(context)
        self._artifacts = Artifacts(context, self._uploads)
        self._continuous = ContinuousSync(context, self._folder_uploads, self._restores)
        self._lock = threading.Lock()  # guards _raw_client
        self._raw_client: RawClient | None = None
        renewed_in_child(self)

    def renew_in_child(self) -> None:
        """For workers that are forked: they go on with this object, over connections of their own."""
        self._lock, self._raw_client = threading.Lock(), None

    # --- what callers look at -------------------------------------------------------------------------------------

    @property
    def pending(self) -> list[QueuedWrite]:
        """What waits in this machine's outbox for this service, oldest first."""
        return self._context.pending() if self._enabled else []

    @property
    def _access_token(self) -> str:
        return self._part("_access_token").login.setting

    @property
    def _dbx(self) -> RawClient:
        """The official SDK's client over the same login."""
        context = self._part("_dbx")
        with self._lock:
            if self._raw_client is None:
                from huracan_sync.engine.sdk_client import RawClient  # noqa: PLC0415 - the SDK is slow to import

                self._raw_client = RawClient(context)
            return self._raw_client

    def __reduce__(self) -> tuple[Any, ...]:
        """For Ray: a worker makes its own, with its own connections, from the same stored login."""
        if not self._enabled:
            return type(self), (None, "Runpodhuracan", False)
        context = self._context
        if context.login.token is not None or context.is_given:
            raise TypeError("a pasted token is not pickled; log in once and pass the profile's name")
        return type(self), (context.login.setting, context.layout.app_folder, True, context.dated)

    # --- many machines --------------------------------------------------------------------------------------------

    def lend(self, share: float = 1.0, *, scopes: Iterable[str] = STAGING) -> Grant:
        """What a worker needs to stage for this object: short-lived, and never the refresh token.

        Args:
            share: how much of the login's rate each worker may use: `1 / workers`.
            scopes: what the worker may do; by default nothing but put content into upload sessions.

        Raises:
            NotAuthorized: this login cannot lend (it is a pasted token), or lacks the scopes.
        """
        context = self._part("lend")
        grant = context.remote.lend(scopes, share=share, clock=context.clock)
        return msgspec.structs.replace(grant, root=context.layout.root)

    @staticmethod
    def staged(grant: Grant, create_dated_folder: bool = True) -> StagedSync:
        """On a worker: an object with the same methods that stages, for the driver to commit.

        Args:
            grant: what the driver has lent (`lend`).
            create_dated_folder: as the driver's.
        """
        from huracan_sync.engine.staged_sync import StagedSync  # noqa: PLC0415 - workers only

        return StagedSync(grant, create_dated_folder=create_dated_folder)

    def commit(self, receipts: Iterable[bytes], *, unsealed: bool = False) -> PushReport:
        """Put everything that workers have staged in its place, a thousand files a call, and sign what Hamilton reads.

        The places are those of the direct methods, and so is what happens there: champions before it are archived,
        `overwrite=False` leaves what lies there, a model's metadata follows the model.

        Args:
            receipts: what `receipts()` returned on the workers, in any order, some of them twice; with none, the call
                goes on with what an earlier one left.
            unsealed: also receipts that were staged with the grant of another machine, which this driver replaces.

        Returns:
            The report of a push; `failed` names each file that is not in its place.

        Raises:
            UsageError: something is no receipt, was changed on its way, or is for another account. Nothing was
                committed.
            Busy: another process commits.
            NotAuthorized, Unavailable, TryLater: it ended early; call it again, with the same receipts or with none.
        """
        from huracan_sync.engine.staged_commit import commit_staged  # noqa: PLC0415 - drivers only

        return commit_staged(self._part("commit"), receipts, unsealed=unsealed)

    # --- continuous sync ------------------------------------------------------------------------------------------

    def start_continuous_sync(
        self,
        logs_dir: str | Path = LOCAL_FOLDERS["logs"],
        models_dir: str | Path = LOCAL_FOLDERS["models"],
        learning_dir: str | Path = LOCAL_FOLDERS["learning"],
        monitoring_dir: str | Path = LOCAL_FOLDERS["monitoring"],
        data_cache_dir: str | Path = LOCAL_FOLDERS["candles"],
        sync_intervals: dict[str, int] | None = None,
    ) -> list[threading.Thread]:
        """Keep everything in Dropbox from now on; candles are restored before the first of them is pushed.

        A new or changed candle, learning note or model is in Dropbox within seconds; everything else at its interval.

        Args:
            logs_dir: the folders of each kind.
            models_dir: see above.
            learning_dir: see above.
            monitoring_dir: see above.
            data_cache_dir: see above.
            sync_intervals: seconds by `learning`, `logs`, `models`, `data_cache`; 0 or less disables one. Whatever
                is not given here is as the environment says (`DROPBOX__SYNC_INTERVAL_LOGS_SECONDS`, ...), else 300,
                300, 1800, 7200.

        Returns:
            The threads, one for each of the four; none when disabled. `stop()` ends them.
        """
        if not self._enabled:
            log.warning("continuous_sync_disabled")
            return []
        boundary = self._context.boundary
        folders = {
            "logs_dir": str(logs_dir),
            "models_dir": str(models_dir),
            "learning_dir": str(learning_dir),
            "monitoring_dir": str(monitoring_dir),
            "data_cache_dir": str(data_cache_dir),
        }

        def work() -> list[threading.Thread]:
            intervals = {}
            for name, seconds in (sync_intervals or {}).items():
                if name in KINDS:
                    intervals[f"sync_interval_{name}_seconds"] = seconds
                else:
                    boundary.failed("continuous_sync_unknown_interval", unknown(name, "sync_intervals"), name=name)
            return self._continuous.start(load(arguments={**folders, **intervals}, environment=os.environ))

        return boundary.attempt("continuous_sync_failed", [], work)

    def stop(self, timeout_s: float = 30.0) -> bool:
        """End continuous sync: what is under way comes to its end, the next start carries on.

        Returns:
            Whether everything had ended within `timeout_s` seconds.
        """
        return not self._enabled or self._continuous.stop(timeout_s)

    def publish_champions(self) -> bool:
        """Sign what was put for Hamilton since the last time: champions, configs, roster, pointers.

        A reader sees all of it or none. It happens by itself after `export_hamilton_roster` and
        `export_hamilton_champion`, and in continuous sync. It needs a signing key on this machine (`huracan-sync keys
        init`).

        Returns:
            Whether the manifest lists all of it now.
        """
        return not self._is_off() and self._artifacts.publish_champions()
