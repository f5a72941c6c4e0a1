"""The status file: a running process writes its status to `run.json` in the state folder, others read it there."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from huracan_sync.disk.atomic_write import write_file
from huracan_sync.engine.daemon.status import Status
from huracan_sync.errors import HuracanError

FILE = "run.json"


def write(home: Path, status: Status) -> None:
    """Write the status file for other processes to read. Best effort: write failures are ignored."""
    with contextlib.suppress(HuracanError):
        write_file(home / FILE, msgspec.json.encode(status), durable=False)  # a second later it is old


def read(home: Path) -> Status | None:
    """What the last process that ran wrote; None when none did. Looks whether that process is still there."""
    try:
        status = msgspec.json.decode((home / FILE).read_bytes(), type=Status)
    except (OSError, msgspec.DecodeError):
        return None
    status.is_gone = not _is_there(status.pid)
    return status


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # it runs, as somebody else
    return True
