"""Upload sessions: what they hold, what may be appended, and how they become content.

                    sequential                              concurrent
    start           bytes, perhaps closed                   no bytes, not closed
    append          at the end, any length                  at a multiple of 4 MiB; so many bytes, but the closing one
    finish          bytes at the end, perhaps none          no bytes; closed, no gaps
    finish_batch    closed                                  closed, no gaps

The order of the checks: not_found, closed, then the offset, then the bytes. A session ends with a successful finish, or
after seven days; an error does not consume it. A block of a concurrent session that comes twice counts as it came last.
"""

import asyncio
from itertools import accumulate

from huracan_sync.emulator.calls.call import Call
from huracan_sync.emulator.calls.request_body import Part
from huracan_sync.emulator.spec import idents
from huracan_sync.emulator.spec.failures import Failure
from huracan_sync.emulator.state.content import BLOCK, Blocks, Content, content_hash
from huracan_sync.emulator.state.records import Blob, Extent, Piece, Session
from huracan_sync.emulator.state.world import World

DIGEST = 32


def begin(call: Call, *, concurrent: bool) -> Session:
    """Create an empty session of the caller."""
    session = Session(
        session_id=idents.session_id(),
        account_id=call.account.person.account_id,
        app_key=call.app.app_key,
        created=call.world.clock.now(),
        concurrent=concurrent,
    )
    call.world.sessions[session.session_id] = session
    call.world.ledger.keep(session)
    return session


def find(call: Call, session_id: str) -> Session:
    """Return a session of the caller that has not expired.

    Raises:
        Failure: `not_found`.
    """
    session = call.world.sessions.get(session_id)
    if session is None or session.account_id != call.account.person.account_id or session.app_key != call.app.app_key:
        raise Failure("not_found")
    if session.created + call.world.settings.session_lifetime_s <= call.world.clock.now():
        end(call.world, session)
        raise Failure("not_found")
    return session


def check_append(call: Call, session: Session, offset: int, length: int, *, close: bool) -> None:
    """Check that so many bytes may be appended at an offset.

    Raises:
        Failure: a member of UploadSessionLookupError that append errors share.
    """
    if session.closed:
        raise Failure("closed")
    if session.concurrent:
        if offset % BLOCK:
            raise Failure("concurrent_session_invalid_offset")
        if length % BLOCK and not close:
            raise Failure("concurrent_session_invalid_data_size")
    elif offset != session.size:
        raise Failure("incorrect_offset", correct_offset=session.size)
    if offset + length > call.world.settings.max_file_bytes:
        raise Failure("too_large")


def append(world: World, session: Session, offset: int, part: Part, *, close: bool) -> None:
    """Append bytes that were checked."""
    pieces = world.pieces.setdefault(session.session_id, {})
    if part.length:
        number = max(pieces, default=-1) + 1
        piece = Piece(session.session_id, number, offset, part.length, part.extents, part.digests)
        pieces[number] = piece
        world.content.use(part.extents)
        world.ledger.keep(piece)
    if not session.concurrent or close:
        session.size = offset + part.length
    session.closed = session.closed or close
    world.ledger.keep(session)


def rewind(world: World, session: Session, offset: int) -> None:
    """Drop the bytes beyond an offset, as a server that lost them."""
    for piece in list(world.pieces.get(session.session_id, {}).values()):
        if piece.offset + piece.length > offset:
            _drop(world, piece)
    kept = world.pieces.get(session.session_id, {}).values()
    session.size = max((piece.offset + piece.length for piece in kept), default=0)
    session.closed = False
    world.ledger.keep(session)


def end(world: World, session: Session) -> None:
    """End a session that is committed, expired or lost."""
    for piece in list(world.pieces.get(session.session_id, {}).values()):
        _drop(world, piece)
    world.pieces.pop(session.session_id, None)
    world.sessions.pop(session.session_id, None)
    world.ledger.forget(session)


def _drop(world: World, piece: Piece) -> None:
    del world.pieces[piece.session_id][piece.number]
    world.content.release(piece.extents)
    world.ledger.forget(piece)


def check_finish(session: Session, pieces: dict[int, Piece], offset: int) -> None:
    """Check that a session may be finished at an offset, without further bytes.

    Raises:
        Failure: a member of UploadSessionFinishError.
    """
    if session.concurrent:
        if not session.closed:
            raise Failure("concurrent_session_not_closed")
        if sum(length for _, length, _ in _layout(session, pieces)) < session.size:
            raise Failure("concurrent_session_missing_data")
    if offset != session.size:
        raise Failure("lookup_failed", "incorrect_offset", correct_offset=session.size)


async def seal(world: World, session: Session) -> Blob:
    """Return the content of a checked session; bytes are hashed again only where pieces do not match blocks."""
    layout = _layout(session, world.pieces.get(session.session_id, {}))
    extents = [extent for _, _, extent in layout]
    digests = _digests(session, world.pieces.get(session.session_id, {}), layout)
    if digests is None:
        digests = await asyncio.get_running_loop().run_in_executor(None, _hash, world.content, extents)
    return world.blob(content_hash(digests), session.size, extents)


def quick_seal(world: World, session: Session) -> Blob | None:
    """Return the same as `seal` without waiting, for the many sessions of a batch; None if bytes must be read."""
    pieces = world.pieces.get(session.session_id, {})
    layout = _layout(session, pieces)
    digests = _digests(session, pieces, layout)
    if digests is None:
        return None
    return world.blob(content_hash(digests), session.size, [extent for _, _, extent in layout])


def _layout(session: Session, pieces: dict[int, Piece]) -> list[tuple[int, int, Extent]]:
    """Return the pieces of a session in order and without overlap: offset, length, extent. Later pieces win."""
    if not session.concurrent:
        ordered = [pieces[number] for number in sorted(pieces)]
        return [(piece.offset, piece.length, extent) for piece in ordered for extent in piece.extents]
    blocks: dict[int, tuple[int, int, Extent]] = {}
    for number in sorted(pieces):
        piece = pieces[number]
        ((segment, start, length),) = piece.extents
        for at in range(0, length, BLOCK):
            size = min(BLOCK, length - at)
            blocks[piece.offset + at] = (piece.offset + at, size, (segment, start + at, size))
    return [blocks[offset] for offset in sorted(blocks) if offset < session.size or not session.closed]


def _digests(session: Session, pieces: dict[int, Piece], layout: list[tuple[int, int, Extent]]) -> bytes | None:
    """Return the block digests of a session, if its pieces match blocks; None if bytes must be read."""
    ends = [0, *accumulate(length for _, length, _ in layout)]
    if any(offset % BLOCK or offset != end for (offset, _, _), end in zip(layout, ends, strict=False)):
        return None
    known: dict[int, bytes] = {}
    for number in sorted(pieces):
        piece = pieces[number]
        for index in range(len(piece.digests) // DIGEST):
            known[piece.offset + index * BLOCK] = piece.digests[index * DIGEST : (index + 1) * DIGEST]
    return b"".join(known[offset] for offset in range(0, session.size, BLOCK))


def _hash(content: Content, extents: list[Extent]) -> bytes:
    blocks = Blocks()
    for chunk in content.read(extents):
        blocks.update(chunk)
    return blocks.digests()
