"""`DropboxSync`: the class the engine imports, with every method, path, name and answer its code and documents know.

One line of the engine changes: `from huracan_sync import DropboxSync`. Laws: nothing fails silently, nothing is sent
twice, no path is made in two ways, and importing or constructing it needs no network.
"""

from __future__ import annotations

from huracan_sync.engine.continuous import Continuous

DROPBOX_AVAILABLE = True
"""The engine asks whether the SDK is installed; it comes with this package."""


class DropboxSync(Continuous):
    """Sync of the engine's files with Dropbox. Thread-safe; many processes may have one each.

        sync = DropboxSync(app_folder="Runpodhuracan")      # the stored login; `huracan-sync authorize` once
        sync.restore_data_cache()
        sync.start_continuous_sync()

    A call that fails answers as it always did (False, 0, None, []), after one error event; `last_error` holds the
    typed error, `pending` what waits in the outbox. `HURACAN_SYNC_STRICT=1` raises instead.
    """
