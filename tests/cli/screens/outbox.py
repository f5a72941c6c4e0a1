"""Puts one write into the outbox, as the engine does when Dropbox cannot be reached."""

import os
from pathlib import Path

from huracan_sync.engine.outbox import Outbox, QueuedWrite

ERROR = {"error": "Unreachable", "message": "https://api.dropboxapi.com cannot be reached: connection refused"}
Outbox(Path(os.environ["HURACAN_SYNC_HOME"])).put(
    QueuedWrite(
        remote="/Runpodhuracan/models/a-folder-with-a-name-of-some-length/model.bin",
        local="models/model.bin",
        service="emulator",
        error=ERROR,
        queued=1_700_000_000.0,
    )
)
