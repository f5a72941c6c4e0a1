"""Remove files from Dropbox, each only if it is still the revision that was seen."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from huracan_sync.errors import HuracanError, NotAuthorized, NotFound
from huracan_sync.remote.async_jobs import run_batch, verdict_of_entry
from huracan_sync.remote.client import Remote

ALONE = 2
"""Up to so many files are removed one by one; more in a job, which takes two calls or three."""


def remove(
    remote: Remote, files: Sequence[tuple[str, str]], *, sleep: Callable[[float], None] = time.sleep
) -> dict[str, HuracanError | None]:
    """Remove `files`, given as remote path and revision.

    Returns:
        For each path None when it is gone (also when it was gone before), or why it stays: `Conflict` when it is
        another revision by now.
    """
    results: dict[str, HuracanError | None] = {}
    if len(files) <= ALONE:
        for path, rev in files:
            results[path] = _remove_one(remote, path, rev)
        return results
    return _remove_many(remote, files, sleep)


def _remove_one(remote: Remote, path: str, rev: str) -> HuracanError | None:
    try:
        remote.rpc("files/delete_v2", {"path": path, "parent_rev": rev}, msgspec.Raw, commit=True)
    except NotFound:
        return None
    except HuracanError as error:
        if error.retryable or isinstance(error, NotAuthorized):
            raise  # the service or the login, not this file
        return error
    return None


def remove_whatever(remote: Remote, path: str) -> None:
    """Remove a file, or a folder with all that is in it, whatever revision it is.

    Raises:
        NotFound: nothing lies there.
    """
    remote.rpc("files/delete_v2", {"path": path}, msgspec.Raw, commit=True)


def remove_folder(remote: Remote, path: str) -> None:
    """Remove a folder with all that is below it, seen or not: only for folders that nobody else knows of."""
    with contextlib.suppress(NotFound):
        remote.rpc("files/delete_v2", {"path": path}, msgspec.Raw, commit=True)


def _remove_many(
    remote: Remote, files: Sequence[tuple[str, str]], sleep: Callable[[float], None]
) -> dict[str, HuracanError | None]:
    route = "files/delete_batch"
    entries = [{"path": path, "parent_rev": rev} for path, rev in files]
    done = run_batch(remote, route, f"{route}/check", entries, sleep=sleep)
    return {path: _meaning(route, entry) for (path, _), entry in zip(files, done, strict=True)}


def _meaning(route: str, entry: dict[str, Any]) -> HuracanError | None:
    verdict = verdict_of_entry(route, entry)
    return None if verdict is None or isinstance(verdict.error, NotFound) else verdict.error
