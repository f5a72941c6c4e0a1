"""files/upload and files/upload_session/*."""

from typing import Any

from huracan_sync.emulator.calls.call import Call, route
from huracan_sync.emulator.calls.path_faults import strike
from huracan_sync.emulator.calls.request_body import Received, store
from huracan_sync.emulator.routes import commits, jobs, sessions
from huracan_sync.emulator.spec import arguments
from huracan_sync.emulator.spec.failures import Failure, UploadFailed
from huracan_sync.emulator.spec.schema import Invalid
from huracan_sync.emulator.state.content import content_hash
from huracan_sync.emulator.state.records import Session

Json = dict[str, Any]
WRITE = "files.content.write"


async def _receive(call: Call, cuts: list[int] | None = None) -> Received:
    """Store the body on disk, if it is not larger than a request may be.

    Raises:
        Failure: `payload_too_large`.
    """
    wanted = call.arg.get("content_hash")
    limit = call.world.settings.max_request_bytes
    received = await store(call.body, call.world.content, limit=limit, cuts=cuts, whole=wanted is not None)
    call.check_not_reset()
    if received.too_large or received.size > limit:
        raise Failure("payload_too_large")
    return received


def _drop(call: Call, received: Received) -> None:
    """Remove stored bytes that nothing needs."""
    if received.segment is not None:
        call.world.content.discard(received.segment)


def _checked(call: Call, received: Received) -> None:
    wanted = call.arg["content_hash"]
    if wanted is not None and wanted != received.content_hash:
        _drop(call, received)
        raise Failure("content_hash_mismatch")


@route("files/upload", arguments.UPLOAD, WRITE, style="upload")
@route("files/alpha/upload", arguments.UPLOAD, WRITE, style="upload")
async def upload(call: Call) -> Json:
    """Write a new file, or a new revision. After a conflict the bytes are kept in a session."""
    received = await _receive(call)
    _checked(call, received)
    part = received.parts[0]
    # Counted before anything can go wrong: the session of a failed write keeps them, else they go.
    session = sessions.begin(call, concurrent=False)
    sessions.append(call.world, session, 0, part, close=False)
    kept = False
    try:
        blob = call.world.blob(content_hash(part.digests), part.length, part.extents)
        return commits.bare(call, await commits.commit(call, call.arg, blob))
    except Failure as failure:
        kept = True
        raise UploadFailed(failure, session.session_id) from None
    finally:
        if not kept:
            sessions.end(call.world, session)


@route("files/upload_session/start", arguments.SESSION_START, WRITE, style="upload")
async def start(call: Call) -> Json:
    """Start a session, perhaps with its first bytes."""
    received = await _receive(call)
    kind, close = call.arg["session_type"], call.arg["close"]
    concurrent = kind is not None and kind[0] == "concurrent"
    if concurrent and close:
        raise Failure("concurrent_session_close_not_allowed")
    if concurrent and received.size:
        _drop(call, received)
        raise Failure("concurrent_session_data_not_allowed")
    _checked(call, received)
    session = sessions.begin(call, concurrent=concurrent)
    if not concurrent:
        sessions.append(call.world, session, 0, received.parts[0], close=close)
    return {"session_id": session.session_id}


@route("files/upload_session/start_batch", arguments.SESSION_START_BATCH, WRITE)
async def start_batch(call: Call) -> Json:
    """Start many empty sessions."""
    kind = call.arg["session_type"]
    concurrent = kind is not None and kind[0] == "concurrent"
    made = [sessions.begin(call, concurrent=concurrent) for _ in range(call.arg["num_sessions"])]
    return {"session_ids": [session.session_id for session in made]}


@route("files/upload_session/append_v2", arguments.SESSION_APPEND, WRITE, style="upload")
async def append(call: Call) -> None:
    """Append to one session."""
    await _append(call, call.arg["cursor"], close=call.arg["close"])


@route("files/upload_session/append", arguments.CURSOR, WRITE, style="upload")
async def append_old(call: Call) -> None:
    """Append to one session, by the deprecated form without close."""
    cursor = dict(call.arg)
    call.arg["content_hash"] = None
    await _append(call, cursor, close=False)


async def _append(call: Call, cursor: Json, *, close: bool) -> None:
    received = await _receive(call)
    try:
        _lose_if_scripted(call, cursor)
        session = sessions.find(call, cursor["session_id"])
        sessions.check_append(call, session, cursor["offset"], received.size, close=close)
    except Failure:
        _drop(call, received)
        raise
    _checked(call, received)
    sessions.append(call.world, session, cursor["offset"], received.parts[0], close=close)


def _lose_if_scripted(call: Call, cursor: Json) -> None:
    """Lose the session, or the end of it, if scripted so."""
    session = call.world.sessions.get(cursor["session_id"])
    if session and call.quirk("session_lost"):
        sessions.end(call.world, session)
    elif session and (rule := call.quirk("incorrect_offset")) and rule.when == "before" and rule.offset is not None:
        sessions.rewind(call.world, session, rule.offset)


@route("files/upload_session/append_batch", arguments.SESSION_APPEND_BATCH, WRITE, style="upload")
async def append_batch(call: Call) -> Json:
    """Append to many sessions, whose bytes follow each other in one body. Entries fail alone."""
    entries = call.arg["entries"]
    lengths = [entry["length"] for entry in entries]
    received = await _receive(call, lengths)
    if received.size != sum(lengths):
        _drop(call, received)
        raise Failure("length_mismatch")
    _checked(call, received)
    results: list[Json] = []
    for entry, part in zip(entries, received.parts, strict=True):
        cursor = entry["cursor"]
        try:
            _lose_if_scripted(call, cursor)
            session = sessions.find(call, cursor["session_id"])
            sessions.check_append(call, session, cursor["offset"], part.length, close=entry["close"])
        except Failure as failure:
            results.append({".tag": "failure", "failure": failure.error()})
        else:
            sessions.append(call.world, session, cursor["offset"], part, close=entry["close"])
            results.append({".tag": "success"})
    if not any(result[".tag"] == "success" for result in results):
        _drop(call, received)
    return {"entries": results}


@route("files/upload_session/finish", arguments.SESSION_FINISH, WRITE, style="upload")
async def finish(call: Call) -> Json:
    """Append the last bytes and write the file. If the commit fails, the bytes have been appended all the same."""
    received = await _receive(call)
    cursor = call.arg["cursor"]
    world = call.world
    try:
        session = _of_finish(call, cursor)
        if received.size:
            _check_last(call, session, cursor["offset"], received.size)
    except Failure:
        _drop(call, received)
        raise
    _checked(call, received)
    offset = cursor["offset"]
    if received.size:
        sessions.append(world, session, offset, received.parts[0], close=session.closed)
        offset += received.size
    sessions.check_finish(session, world.pieces.get(session.session_id, {}), offset)
    blob = await sessions.seal(world, session)
    try:
        await commits.ready(call, call.arg["commit"], blob, "commit")
        _not_finished(call, session)
        node = commits.place(call, call.arg["commit"], blob, "commit")
    except Failure as failure:
        raise failure if failure.tags[0] == "lookup_failed" else failure.under("path") from None
    sessions.end(world, session)
    return commits.bare(call, node)


def _not_finished(call: Call, session: Session) -> None:
    """Check, after a wait, that no other call finished the same session meanwhile."""
    call.check_not_reset()
    if call.world.sessions.get(session.session_id) is not session:
        raise Failure("lookup_failed", "not_found")


def _of_finish(call: Call, cursor: Json) -> Session:
    _lose_if_scripted(call, cursor)
    try:
        return sessions.find(call, cursor["session_id"])
    except Failure as failure:
        raise failure.under("lookup_failed") from None


def _check_last(call: Call, session: Session, offset: int, length: int) -> None:
    if session.concurrent:
        raise Failure("concurrent_session_data_not_allowed")
    try:
        sessions.check_append(call, session, offset, length, close=False)
    except Failure as failure:
        raise failure.under("lookup_failed") from None


@route("files/upload_session/finish_batch_v2", arguments.SESSION_FINISH_BATCH, WRITE)
async def finish_batch(call: Call) -> Json:
    """Write the files of many sessions under one lock. Entries fail alone, and are answered in the order sent."""
    if call.world.settings.write_lock_ms and any(_would_write(call, entry) for entry in call.arg["entries"]):
        await call.take_write_lock()
    return {"entries": await _finish_all(call)}


@route("files/upload_session/finish_batch", arguments.SESSION_FINISH_BATCH, WRITE)
async def finish_batch_old(call: Call) -> Json:
    """Write the files of many sessions, by the deprecated form: always a job."""

    async def work() -> Json:
        return {".tag": "complete", "entries": await _finish_all(call)}

    return jobs.launch(call, "finish_batch", work)


def _would_write(call: Call, entry: Json) -> bool:
    """Return whether an entry needs the write lock; one that cannot succeed, or changes nothing, does not."""
    session = call.world.sessions.get(entry["cursor"]["session_id"])
    blob = sessions.quick_seal(call.world, session) if session and session.closed and _whole(call, session) else None
    return session is not None and (blob is None or not commits.has_content(call, entry["commit"], blob))


def _whole(call: Call, session: Session) -> bool:
    try:
        sessions.check_finish(session, call.world.pieces.get(session.session_id, {}), session.size)
    except Failure:
        return False
    return True


async def _finish_all(call: Call) -> list[Json]:
    struck = call.quirk("too_many_write_operations")
    results: list[Json] = []
    for index, entry in enumerate(call.arg["entries"]):
        try:
            busy = struck is not None and index in (struck.entries or ())
            results.append({".tag": "success", **await _finish_one(call, entry, busy=busy)})
        except Failure as failure:
            results.append({".tag": "failure", "failure": failure.error()})
    return results


async def _finish_one(call: Call, entry: Json, *, busy: bool) -> Json:
    if busy:
        raise Failure("too_many_write_operations")
    strike(call, entry)
    world, cursor = call.world, entry["cursor"]
    session = _of_finish(call, cursor)
    if not session.closed:
        raise Failure("concurrent_session_not_closed") if session.concurrent else Failure("lookup_failed", "not_closed")
    sessions.check_finish(session, world.pieces.get(session.session_id, {}), cursor["offset"])
    blob = sessions.quick_seal(world, session) or await sessions.seal(world, session)
    _not_finished(call, session)
    try:
        node = commits.place(call, entry["commit"], blob, "commit")
    except Failure as failure:
        raise failure.under("path") from None
    except Invalid:
        raise Failure("path", "malformed_path") from None
    sessions.end(world, session)
    return commits.bare(call, node)
