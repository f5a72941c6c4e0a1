"""The publish transaction, step by step. It does nothing itself: it yields steps and is sent their results.

read the newer trust files and the head: not the head where this machine alone publishes; the swap then tells. Nothing,
                                    where it looked a short while ago and states nothing but its own
read the files that the head names  only where others publish in the same channel too
store the body and its shards       those that Dropbox does not hold yet, and tables of leaves; a small body is carried
intend                              note on this machine what is about to be committed
store a copy of the head in the log
swap the head                       the commit

swapped         done
another head    somebody else was faster: read again, and build on theirs
no answer       read the head. It is ours: done. It is the one from before: swap again, which can only succeed once. It
                is another: follow its chain down; if ours is in it, it was committed; if not, build on theirs
"""

from __future__ import annotations

import contextlib
from typing import NamedTuple

from huracan_sync.errors import Busy, NotFound, Refused, ServiceFault, StateMissing
from huracan_sync.manifest import body, body_writer, head, head_history, locations, sshsig, trust
from huracan_sync.manifest.body_writer import Part
from huracan_sync.manifest.entries import Item
from huracan_sync.manifest.envelope import unpack
from huracan_sync.manifest.head import Head, Opened
from huracan_sync.manifest.refusals import refused
from huracan_sync.manifest.rotation import revoked_ids
from huracan_sync.manifest.trust import Policy, Trust
from huracan_sync.signing import next_head
from huracan_sync.signing.merge import (
    Change,
    alone,
    check_strict,
    check_to_be_had,
    displaced,
    doubtful,
    elsewhere,
    merge,
)
from huracan_sync.signing.next_head import BodyRef, ChainPosition, SeenHead, StoredFile
from huracan_sync.signing.transaction_steps import (
    Current,
    Intend,
    Lost,
    Pause,
    Published,
    PublishRequest,
    Read,
    Reinstate,
    Renew,
    Steps,
    Store,
    Swap,
    Swapped,
    Wanted,
)

ATTEMPTS = 60
"""How often somebody else may be faster."""
SWAPS = 8
"""How often one head is swapped in that no answer comes to."""
_FIND_OUT = "run the same command again, it finds out what happened"


class _Content(NamedTuple):
    """The body that the next head names."""

    ref: BodyRef
    parts: list[Part]
    names: tuple[bytes, ...]
    shared: bool = True
    superseded: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    bodies: tuple[Part, ...] = ()
    carried: bytes = b""
    """The body, where it is small enough to travel in the head file."""


# --- the transaction --------------------------------------------------------------------------------------------


def publish_transaction(request: PublishRequest, known: Trust) -> Steps[Published | None]:
    """Publish. None: the channel was taken for a new one without a look, and is none.

    Args:
        request: what to publish, and who publishes it.
        known: the newest trust file this machine knows.

    Raises:
        Refused: the head in Dropbox cannot be built on, or no reader would accept the new one.
        NoSigningKey: too few of the channel's keys are here.
        Busy: others were faster, too often.
        ServiceFault: no answer came, and nobody can tell what happened.
    """
    stored, known, added, looked_ms = yield from _begin(request, known)
    is_remembered = request.channel_view is not None and request.channel_view.is_remembered
    tables = request.tables
    for attempt in range(1, ATTEMPTS + 1):
        now_ms = int(request.clock() * 1000)
        trust.check_current(known, now_ms)
        _check_revoked(request, known)
        position = next_head.chain_position(stored, request.held, trust=known, channel=request.channel, now_ms=now_ms)
        base = position.base
        if base and position.whole:
            yield from _check_linked(base.head, request.held)
        content = yield from _content(request, position, known.policy(request.channel))
        if base and position.whole and _is_current(request.wanted, base, content, known, now_ms):
            if not is_remembered:
                current = _published(base, content, known, added, made=False)
                return current._replace(rev=position.rev or "", looked_ms=looked_ms)
            is_remembered = False  # no swap will tell whether it still lies there
            looked_ms, (stored, known) = now_ms, (yield from read_channel(request.channel, known, added))
            continue
        stores = [Store(part.path, part.data) for part in content.parts]
        stores += [Store(locations.leaves(sha256), table) for sha256, table in tables.items()]
        if stores:
            yield tuple(stores)
            tables = {}
        made = (yield from _sign(request, position, content, known, added, now_ms))._replace(looked_ms=looked_ms)
        payload = made.head
        yield (Intend(made),)
        yield (Store(locations.log(request.channel, payload.epoch, payload.seq, made.digest), made.data),)
        there = yield from _committed(made, position.rev, now_ms)
        if isinstance(there, str):
            return made._replace(rev=there)
        if there is None and isinstance(request.wanted, Reinstate):
            raise ServiceFault(
                f"nobody can tell whether sequence {payload.seq} of {request.channel} was ever there",
                hint="look at the channel with `huracan-sync verify`, then run this again if it is still needed",
                channel=request.channel,
            )
        yield (Pause(attempt),)
        if request.channel_view is not None and request.channel_view.is_new:
            return None
        is_remembered = False
        looked_ms, (stored, known) = now_ms, (yield from read_channel(request.channel, known, added))
        if there is False and stored is not None and request.held is None:
            yield from _check_copied(request.channel, stored, known)
    raise Busy(f"others were faster {ATTEMPTS} times to publish in {request.channel}", channel=request.channel)


def _check_revoked(request: PublishRequest, known: Trust) -> None:
    """What was chosen to be signed when fewer keys were revoked is chosen again."""
    if request.revoked is not None and (new := revoked_ids(known) - request.revoked):
        keys = ", ".join(sorted(key_id.hex() for key_id in new))
        raise refused("KEY_REVOKED", "keys were revoked while this was made ready to be signed", keys=keys)


def _sign(
    request: PublishRequest,
    position: ChainPosition,
    content: _Content,
    known: Trust,
    added: list[bytes],
    now_ms: int,
) -> Steps[Published]:
    """The next head, signed. Nothing is stored yet."""
    digests = next_head.known_digests(position, request.held)
    payload = next_head.follow(
        position,
        content.ref,
        skip=(yield from _skip(request.channel, position, digests)),
        trust=known,
        channel=request.channel,
        now_ms=now_ms,
        publisher=request.publisher,
    )
    signed = Opened(payload, head.digest(payload), request.sign(payload, known), [], content.carried)
    made = _published(signed, content, known, added, made=True)
    return made._replace(links=next_head.links_of(payload.seq, made.digest, digests))


def _begin(request: PublishRequest, known: Trust) -> Steps[tuple[StoredFile | None, Trust, list[bytes], int]]:
    """What lies in the channel's place, the newest trust file, the files that lead to it, and when it was asked for."""
    view = request.channel_view
    if view is not None and view.version == known.version:
        return view.stored, view.trust, list(view.added), view.looked_ms
    added, now_ms = list[bytes](), int(request.clock() * 1000)
    # A machine that has never seen the channel is most often the first in it: it is cheaper to try than to look.
    hopeful = request.held is None and isinstance(request.wanted, Change)
    stored, known = yield from read_channel(request.channel, known, added, head_too=not hopeful)
    return stored, known, added, now_ms


def _check_copied(channel: str, stored: StoredFile, known: Trust) -> Steps[None]:
    """A head that a machine without memory finds has a copy in the log, or somebody has deleted from it."""
    try:
        opened = head_history.past(stored.data, trust=known, channel=channel)
    except Refused:
        return  # what it is will be judged with the rest
    place = locations.log(channel, opened.head.epoch, opened.head.seq, opened.digest)
    (copy,) = yield (Read(place, head.MAX_SIZE),)
    if copy is None:
        raise hole(channel, f"the log has no copy of {opened.head.epoch}-{opened.head.seq}, which is at its place")


def hole(channel: str, why: str) -> StateMissing:
    """Where a machine that remembers nothing cannot tell how a channel stands."""
    return StateMissing(
        f"this machine remembers nothing of {channel}, and where it stands cannot be told: {why}",
        hint="somebody may have deleted signed files. Find the last sequence that a reader has seen, then run "
        f"`huracan-sync keys trust --channel {channel} --at-least SEQ`",
        channel=channel,
    )


def _check_linked(newest: Head, held: SeenHead | None) -> Steps[None]:
    """Go down from a head to the one this machine has seen, where others lie between them."""
    way = head.check_linked(newest, held.mark if held else None)
    with contextlib.suppress(StopIteration):
        place, _ = next(way)
        while True:
            (stored,) = yield (Read(place, head.MAX_SIZE),)
            place, _ = way.send(stored.data if stored else None)


def _skip(channel: str, position: ChainPosition, digests: dict[int, bytes]) -> Steps[bytes]:
    """What the next head names as `skip`; what is learned of earlier heads is added to `digests`.

    Where this machine knows too little, one read of the log tells: a skip goes where the skip of the one before leads,
    or one further. A copy that is gone makes no difference to anybody but readers who then take a longer way.
    """
    target, base = head.skip_target(position.seq), position.base
    between = head.skip_target(position.seq - 1)
    if target and target not in digests and base and between in digests:
        place = locations.log(channel, position.epoch, between, digests[between])
        (stored,) = yield (Read(place, head.MAX_SIZE),)
        with contextlib.suppress(Refused):
            below = head.linked(stored.data if stored else b"", digests[between]).skip
            if below != head.NONE:
                digests[target] = below
    return digests.get(target, head.NONE)


def _is_current(wanted: Wanted, base: Opened, content: _Content, known: Trust, now_ms: int) -> bool:
    """Whether no new head is needed."""
    same = next_head.body_ref(base.head) == content.ref
    return same and not isinstance(wanted, Renew) and now_ms < next_head.due_ms(base.head, known)


def _published(opened: Opened, content: _Content, known: Trust, added: list[bytes], *, made: bool) -> Published:
    return Published(
        opened.head,
        opened.digest,
        head.carrying(opened.data, opened.body),
        content.names,
        known,
        tuple(added),
        content.shared,
        content.superseded,
        content.left_out,
        made,
        content.bodies,
    )


def read_channel(
    channel: str, known: Trust, added: list[bytes], *, head_too: bool = True
) -> Steps[tuple[StoredFile | None, Trust]]:
    """The head as it lies, and the newest trust file; `added` are the bytes of those that are new."""
    reads = [Read(locations.trust(known.version + 1), trust.FORM.max_size)]
    reads += [Read(locations.head(channel), head.MAX_SIZE)] if head_too else []
    following, *heads = yield tuple(reads)
    while following is not None:
        known = trust.follow(known, following.data)
        added.append(following.data)
        (following,) = yield (Read(locations.trust(known.version + 1), trust.FORM.max_size),)
    return (heads[0] if heads else None), known


def _committed(made: Published, rev: str | None, now_ms: int) -> Steps[str | bool | None]:
    """Swap the head in: its revision, empty where others follow it by now; False if it is not there.

    None: nobody can tell.
    """
    payload = made.head
    place = locations.head(payload.channel)
    uncertain = False
    for _ in range(SWAPS):
        (outcome,) = yield (Swap(place, made.data, rev),)
        if not isinstance(outcome, Swapped):
            put: str = outcome
            return put
        if outcome is Swapped.OTHER and not uncertain:
            return False
        uncertain = True
        (stored,) = yield (Read(place, head.MAX_SIZE),)
        if stored is not None and stored.data == made.data:
            there: str = stored.rev
            return there
        if (stored.rev if stored else None) != rev:
            is_below = yield from _is_below(stored, made, now_ms)
            return "" if is_below else is_below
    raise ServiceFault(
        f"no answer came to sequence {payload.seq} of {payload.channel}, and it does not lie there",
        hint=_FIND_OUT,
        channel=payload.channel,
    )


def _is_below(stored: StoredFile | None, made: Published, now_ms: int) -> Steps[bool | None]:
    """Whether our head is in the chain below the one that lies there now. None: the chain cannot be read."""
    payload = made.head
    if stored is None:
        return None
    try:
        above = head.open(stored.data, trust=made.trust, channel=payload.channel, now_ms=now_ms).head
        while (above.epoch, above.seq) > (payload.epoch, payload.seq):
            if above.prev == made.digest:
                return True
            (below,) = yield (
                Read(locations.log(payload.channel, above.epoch, above.seq - 1, above.prev), head.MAX_SIZE),
            )
            if below is None:
                return None
            above = head.linked(below.data, above.prev)
    except Refused:
        return None
    # Compared without the body: anybody who may write there can pack our head anew, with another body behind it.
    return head.digest(above) == made.digest


# --- the content ------------------------------------------------------------------------------------------------


def _content(request: PublishRequest, position: ChainPosition, policy: Policy) -> Steps[_Content]:
    """The body that the next head is to name."""
    wanted, base = request.wanted, position.base
    if isinstance(wanted, Reinstate):
        return _unchanged(wanted.ref, wanted.body)
    if isinstance(wanted, Renew):
        if base is None:
            raise NotFound(f"nothing that counts was published in {request.channel}", channel=request.channel)
        carried = (yield from read_body(base)) if base.head.body_len <= head.MAX_CARRIED else b""
        return _unchanged(next_head.body_ref(base.head), carried)
    left_out = [] if wanted.strict else [item.path for item in wanted.mine if item.kind not in policy.kinds]
    if left_out:
        wanted = wanted._replace(mine=[item for item in wanted.mine if item.kind in policy.kinds])
    wanted = wanted.within(position.epoch)
    stored: dict[bytes, bytes] = {}
    if base is None or base.digest in wanted.last:
        merged = alone(wanted)
    else:
        theirs = yield from read_items(base, policy, stored)
        asks = doubtful(theirs, wanted)
        (current,) = (yield (Current(tuple(asks)),)) if asks else ({},)
        merged = merge(theirs, wanted, current)
        away = list(elsewhere(theirs, merged, current))
        if folder := request.folder:
            away += [
                item for item in displaced(theirs, merged, folder.lying, folder.path, position.seq) if item not in away
            ]
        if away:
            (gone,) = yield (Lost(tuple(away)),)
            check_to_be_had(gone)
    if wanted.strict:
        check_strict(wanted, merged, signed_by=base.head.publisher if base else "")
    made = body_writer.encode(request.channel, merged.items, policy)
    bodies = tuple(made.parts())
    carried = made.data if len(made.data) <= head.MAX_CARRIED else b""
    lying = request.known | {sha256 for sha256 in stored if base is None or not _travels(base.head, sha256)}
    parts = [part for part in bodies if part.sha256 not in lying and not (carried and part.sha256 == made.sha256)]
    names = (made.sha256, *(part.sha256 for part in made.shards))
    return _Content(
        next_head.body_ref_of(made),
        parts,
        names,
        merged.shared,
        tuple(merged.superseded),
        tuple(left_out),
        bodies,
        carried,
    )


def _unchanged(ref: BodyRef, known: bytes) -> _Content:
    """A body that lies there; `known` are its bytes, where it travels in the head."""
    bodies = (Part(ref.sha256, known, ref.raw_len),) if known else ()
    return _Content(ref, [], (ref.sha256,), bodies=bodies, carried=known)


def _travels(payload: Head, sha256: bytes) -> bool:
    """Whether that file of a body may lie in no file of its own."""
    return sha256 == payload.body_sha256 and payload.body_len <= head.MAX_CARRIED


def read_items(top: Opened, policy: Policy, found: dict[bytes, bytes]) -> Steps[list[Item]]:
    """The files that a head names. `found` holds afterwards what was read, by SHA-256."""
    payload = top.head
    found[payload.body_sha256] = yield from read_body(top)
    shards = [shard for shard in body.shards(payload, found[payload.body_sha256]) if shard.sha256 not in found]
    if shards:
        answers = yield tuple(Read(locations.body(shard.sha256), shard.body_len) for shard in shards)
        for shard, stored in zip(shards, answers, strict=True):
            found[shard.sha256] = _proved(payload, stored, shard.sha256, shard.body_len)
    return body.read(payload, policy, lambda sha256, _: found[sha256])


def read_body(top: Opened) -> Steps[bytes]:
    """The body that a head names: carried by its file, or by the copy in the log, or in a file of its own."""
    payload = top.head
    sha256, length = payload.body_sha256, payload.body_len
    carried = top.body
    if not _is(carried, sha256) and length <= head.MAX_CARRIED:
        place = locations.log(payload.channel, payload.epoch, payload.seq, top.digest)
        (copy,) = yield (Read(place, head.MAX_SIZE),)
        with contextlib.suppress(Refused):
            carried = unpack(head.FORM, copy.data if copy else b"").carried
    if _is(carried, sha256):
        return carried
    (stored,) = yield (Read(locations.body(sha256), length),)
    return _proved(payload, stored, sha256, length)


def _is(data: bytes, sha256: bytes) -> bool:
    return bool(data) and sshsig.sha256(data) == sha256


def _proved(payload: Head, stored: StoredFile | None, sha256: bytes, length: int) -> bytes:
    if stored is None:
        why = f"the body of sequence {payload.seq} of {payload.channel} is not there"
        raise refused("BODY_MISSING", why, sha256=sha256.hex())
    body.check_part(stored.data, sha256, length)
    return stored.data
