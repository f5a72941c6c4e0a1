"""The library's errors as the `OSError` that a file system's user expects, with ours as `__cause__`."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from huracan_sync.errors import (
    ConfigError,
    Conflict,
    DiskFull,
    HostilePath,
    HuracanError,
    LocalFailure,
    NotAuthorized,
    NotFound,
    OutOfSpace,
    PathRefused,
    TryLater,
    UsageError,
)

_WHAT_LIES_THERE = {"folder": errno.EISDIR, "file_ancestor": errno.ENOTDIR}
_NOT_WHAT_WAS_ASKED = {"not_folder": errno.ENOTDIR, "not_file": errno.EISDIR}
_BY_CODE = {"CHANNEL_NAME": errno.EINVAL}
_BY_KIND: tuple[tuple[type[HuracanError], int], ...] = (
    (HostilePath, errno.EINVAL),
    (UsageError, errno.EINVAL),
    (NotFound, errno.ENOENT),
    (Conflict, errno.EEXIST),
    (NotAuthorized, errno.EACCES),
    (PathRefused, errno.EACCES),
    (ConfigError, errno.EACCES),
    (OutOfSpace, errno.ENOSPC),
    (DiskFull, errno.ENOSPC),
    (TryLater, errno.EBUSY),
    (LocalFailure, errno.EIO),
)
"""The first that fits decides; what fits none (the network, the service, damaged bytes) is EIO."""


def code_of(error: HuracanError) -> int:
    """The `errno` of an error."""
    lies_there = _WHAT_LIES_THERE.get(str(error.facts.get("with_")))
    if isinstance(error, Conflict) and lies_there:
        return lies_there
    last_tag = str(error.facts.get("tags", "")).rpartition("/")[2]
    if isinstance(error, UsageError) and last_tag in _NOT_WHAT_WAS_ASKED:
        return _NOT_WHAT_WAS_ASKED[last_tag]
    if error.code in _BY_CODE:
        return _BY_CODE[error.code]
    return next((code for kind, code in _BY_KIND if isinstance(error, kind)), errno.EIO)


def os_error(error: HuracanError, path: str) -> OSError:
    """The same error as an `OSError` (`FileNotFoundError`, `PermissionError`, ...), its cause set."""
    message = f"{error} ({error.hint})" if error.hint else str(error)
    translated = OSError(code_of(error), message, path)
    translated.__cause__ = error
    return translated


@contextlib.contextmanager
def as_os_error(path: str) -> Iterator[None]:
    """Within the block the library's errors leave as `OSError` about `path`."""
    try:
        yield
    except HuracanError as error:
        raise os_error(error, path) from error
