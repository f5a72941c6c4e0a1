"""What an error of the local disk means, in our types."""

from __future__ import annotations

import errno

from huracan_sync.errors import DiskFull, LocalFailure, hint_of


def local_failure(error: OSError, path: str, verb: str) -> LocalFailure | DiskFull:
    """The typed error for an `OSError`."""
    shown = ascii(path)[1:-1]
    reason = error.strerror or str(error)
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull(f"{shown} cannot be written: {reason}", path=shown)
    return LocalFailure(
        f"{shown} cannot be {'read' if verb == 'read' else 'written' if verb == 'write' else 'removed'}: {reason}",
        hint=hint_of(error),
        path=shown,
        errno=error.errno,
    )
