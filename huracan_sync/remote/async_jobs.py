"""Batches that Dropbox may carry out later: begin one, look until it is done."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from huracan_sync.errors import ServiceFault
from huracan_sync.remote.client import Remote

MOST = 1000
"""Entries in a job."""
FIRST_LOOK_S = 0.1
LONGEST_LOOK_S = 5.0
PATIENCE_S = 900.0


class _Job(msgspec.Struct):
    tag: str = msgspec.field(name=".tag")
    async_job_id: str = ""
    entries: list[dict[str, Any]] = []
    failed: dict[str, Any] = {}


def carry_out(
    remote: Remote,
    route: str,
    check: str,
    entries: list[dict[str, Any]],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> list[dict[str, Any]]:
    """What became of each entry.

    Args:
        remote: the login.
        route: the route that begins the job.
        check: the route that tells how it goes.
        entries: at most `MOST`.
        sleep: waits that many seconds between looks.

    Raises:
        ServiceFault: Dropbox gave it up, or has not finished after a quarter of an hour.
    """
    job = remote.rpc(route, {"entries": entries}, _Job, commit=True)
    job_id, pause, waited = job.async_job_id, FIRST_LOOK_S, 0.0
    while job.tag in {"async_job_id", "in_progress"}:
        if waited > PATIENCE_S:
            raise ServiceFault(f"Dropbox has not finished {route} of {len(entries)} files in {waited:.0f} s")
        sleep(pause)
        waited, pause = waited + pause, min(pause * 2, LONGEST_LOOK_S)
        job = remote.rpc(check, {"async_job_id": job_id}, _Job)
    if job.tag != "complete" or len(job.entries) != len(entries):
        raise ServiceFault(f"Dropbox gave up {route} of {len(entries)} files: {job.failed or job.tag}", route=route)
    return job.entries
