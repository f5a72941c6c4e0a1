"""Remove files from Dropbox, each only if it is still the revision that was seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from huracan_sync.errors import HuracanError, NotFound, ServiceFault
from huracan_sync.remote.client import Remote
from huracan_sync.remote.errors import judge_failure

ALONE = 2
"""Up to so many files are removed one by one; more in a job, which takes two calls or three."""
JOB = 1000
FIRST_LOOK_S = 0.1
LONGEST_LOOK_S = 5.0
PATIENCE_S = 900.0


class _Job(msgspec.Struct):
    tag: str = msgspec.field(name=".tag")
    async_job_id: str = ""
    entries: list[dict[str, Any]] = []
    failed: dict[str, Any] = {}


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
    for at in range(0, len(files), JOB):
        results.update(_remove_many(remote, files[at : at + JOB], sleep))
    return results


def _remove_one(remote: Remote, path: str, rev: str) -> HuracanError | None:
    try:
        remote.rpc("files/delete_v2", {"path": path, "parent_rev": rev}, msgspec.Raw, commit=True)
    except NotFound:
        return None
    except HuracanError as error:
        if error.retryable:
            raise  # the service, not this file
        return error
    return None


def _remove_many(
    remote: Remote, files: Sequence[tuple[str, str]], sleep: Callable[[float], None]
) -> dict[str, HuracanError | None]:
    route = "files/delete_batch"
    arg = {"entries": [{"path": path, "parent_rev": rev} for path, rev in files]}
    job = remote.rpc(route, arg, _Job, commit=True)
    job_id, pause, waited = job.async_job_id, FIRST_LOOK_S, 0.0
    while job.tag in {"async_job_id", "in_progress"}:
        if waited > PATIENCE_S:
            raise ServiceFault(f"Dropbox has not finished deleting {len(files)} files in {waited:.0f} s", route=route)
        sleep(pause)
        waited, pause = waited + pause, min(pause * 2, LONGEST_LOOK_S)
        job = remote.rpc(f"{route}/check", {"async_job_id": job_id}, _Job)
    if job.tag != "complete" or len(job.entries) != len(files):
        raise ServiceFault(f"Dropbox gave up deleting {len(files)} files: {job.failed or job.tag}", route=route)
    return {path: _meaning(route, entry) for (path, _), entry in zip(files, job.entries, strict=True)}


def _meaning(route: str, entry: dict[str, Any]) -> HuracanError | None:
    if entry.get(".tag") == "success":
        return None
    error = judge_failure(route, entry.get("failure", {})).error
    return None if isinstance(error, NotFound) else error
