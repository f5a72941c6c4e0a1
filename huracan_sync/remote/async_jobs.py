"""Batches that Dropbox may carry out later: begin one, look until it is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from huracan_sync.errors import ServiceFault
from huracan_sync.remote.client import Remote
from huracan_sync.remote.errors import Verdict, judge_failure
from huracan_sync.remote.rate_limit import repeat
from huracan_sync.remote.repeat_each import repeat_each
from huracan_sync.tree.units import counted

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


def verdict_of_entry(route: str, entry: Mapping[str, Any]) -> Verdict | None:
    """What one entry of a finished job means; None for a success."""
    if entry.get(".tag") == "success":
        return None
    failure = entry.get("failure", {})
    # A failed relocation lies one deeper than other batches' failures do.
    inner = failure.get("relocation_error", failure) if isinstance(failure, dict) else {}
    return judge_failure(route, inner)


def run_batch(
    remote: Remote,
    route: str,
    check: str,
    entries: Sequence[dict[str, Any]],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> list[dict[str, Any]]:
    """What became of each entry in the end. Entries that met contention, or a fault, are sent again.

    Args:
        remote: the login.
        route: the route that begins a job.
        check: the route that tells how it goes.
        entries: any number of them; a job takes `MOST`.
        sleep: waits that many seconds between looks.

    Raises:
        As `carry_out`.
    """
    results: dict[int, dict[str, Any]] = {}

    def work(waiting: list[int]) -> dict[int, Verdict | None]:
        for at in range(0, len(waiting), MOST):
            numbers = waiting[at : at + MOST]
            done = carry_out(remote, route, check, [entries[number] for number in numbers], sleep=sleep)
            results.update(zip(numbers, done, strict=True))
        return {number: verdict_of_entry(route, results[number]) for number in waiting}

    repeat_each(work, len(entries), remote.pacing, route)
    return [results[number] for number in range(len(entries))]


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

    def once() -> list[dict[str, Any]] | Verdict:
        job = _finish(remote, route, check, entries, sleep)
        if job.tag == "complete" and len(job.entries) == len(entries):
            return job.entries
        verdict = judge_failure(route, job.failed)
        error = ServiceFault(
            f"Dropbox gave up {route} of {counted(len(entries), 'file')}: {job.failed or job.tag}", route=route
        )
        return Verdict(error, retry=job.tag == "failed" and verdict.retry)

    return repeat(once, remote.pacing, route)


def _finish(
    remote: Remote, route: str, check: str, entries: list[dict[str, Any]], sleep: Callable[[float], None]
) -> _Job:
    """Begin a job and look until it is done."""
    job = remote.rpc(route, {"entries": entries}, _Job, commit=True)
    job_id, pause, waited = job.async_job_id, FIRST_LOOK_S, 0.0
    while job.tag in {"async_job_id", "in_progress"}:
        if waited > PATIENCE_S:
            raise ServiceFault(f"Dropbox has not finished {route} of {counted(len(entries), 'file')} in {waited:.0f} s")
        sleep(pause)
        waited, pause = waited + pause, min(pause * 2, LONGEST_LOOK_S)
        job = remote.rpc(check, {"async_job_id": job_id}, _Job)
    return job
