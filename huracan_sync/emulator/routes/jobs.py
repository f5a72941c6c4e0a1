"""Asynchronous jobs: work that goes on after its call was answered, and the routes that ask for the outcome."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from huracan_sync.emulator.calls.call import Call, route
from huracan_sync.emulator.spec import arguments, idents
from huracan_sync.emulator.spec.failures import ApiError, Failure
from huracan_sync.emulator.state.records import Job

Json = dict[str, Any]
Work = Callable[[], Awaitable[Json]]
WRITE = "files.content.write"


def launch(call: Call, kind: str, work: Work, *, short: bool = False) -> Json:
    """Start a job and return the answer that names it. `work` returns what the check answers once it has ended."""
    world = call.world
    job_id = idents.short_id() if short else idents.job_id()
    account_id = call.account.person.account_id
    failed = call.quirk("job_failed") is not None

    async def run() -> None:
        await asyncio.sleep(world.settings.job_ms / 1000)
        try:
            outcome = {"error": "internal_error"} if failed else await _in_turn(call, work)
        except ApiError:
            outcome = {"error": "internal_error"}
        job = Job(job_id, account_id, kind, json.dumps(outcome).encode())
        world.jobs[job_id] = job
        world.ledger.keep(job)
        world.settle()

    world.polls[job_id] = world.settings.job_polls
    world.jobs[job_id] = Job(job_id, account_id, kind, b"")
    task = asyncio.get_running_loop().create_task(run())
    world.running.add(task)
    task.add_done_callback(world.running.discard)
    return {".tag": "async_job_id", "async_job_id": job_id}


async def _in_turn(call: Call, work: Work) -> Json:
    await call.take_write_lock(patient=True)
    call.moment = call.world.moment()
    return await work()


async def check(call: Call, kind: str) -> Json:
    """Return the state of a job.

    Raises:
        Failure: `invalid_async_job_id`, `internal_error`.
    """
    job = call.world.jobs.get(call.arg["async_job_id"])
    if job is None or job.kind != kind or job.account_id != call.account.person.account_id:
        raise Failure("invalid_async_job_id")
    left = call.world.polls.get(job.job_id, 0)
    call.world.polls[job.job_id] = max(0, left - 1)
    if left or not job.outcome:
        return {".tag": "in_progress"}
    outcome: Json = json.loads(job.outcome)
    if outcome.get("error"):
        raise Failure("internal_error")
    return outcome


def _checks(name: str, kind: str) -> None:
    @route(name, arguments.JOB, WRITE)
    async def ask(call: Call) -> Json:
        return await check(call, kind)


_checks("files/upload_session/finish_batch/check", "finish_batch")
_checks("files/create_folder_batch/check", "create_folder_batch")
_checks("files/delete_batch/check", "delete_batch")
_checks("files/copy_batch/check", "copy_batch")
_checks("files/copy_batch/check_v2", "copy_batch_v2")
_checks("files/move_batch/check", "move_batch")
_checks("files/move_batch/check_v2", "move_batch_v2")
_checks("files/save_url/check_job_status", "save_url")
