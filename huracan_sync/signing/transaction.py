"""The act of publishing, step by step. It does nothing itself: it yields what to do and is sent what came of it.

read the newer trust files and the head
read what the head names            only where others publish in the same channel too
store the body, its shards          those that do not lie there already
store a copy of the head in the log
intend                              note on this machine what is about to be committed
swap the head                       the commit

swapped         done
another head    somebody else was faster: look again, go on from his
no answer       read the head: it is ours: done. It is what it was: swap again, which can only happen once. It is
                another: go down its chain; if ours is in it, it was committed; if not, go on from his
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from enum import Enum
from typing import Any, NamedTuple, TypeVar

from huracan_sync.errors import Busy, NotFound, Refused, ServiceFault
from huracan_sync.manifest import body, head, locations, trust
from huracan_sync.manifest.body import Part
from huracan_sync.manifest.entries import Item
from huracan_sync.manifest.head import Head, Opened
from huracan_sync.manifest.refusals import refused
from huracan_sync.manifest.trust import Policy, Trust
from huracan_sync.signing import next_head
from huracan_sync.signing.merge import Change, Merged, doubtful, merge
from huracan_sync.signing.next_head import Held, Lying, Named, Standing
from huracan_sync.tree.paths import RelPath

ATTEMPTS = 60
"""How often somebody else may be faster."""
SWAPS = 8
"""How often one head is swapped in that no answer comes to."""
_FIND_OUT = "run the same command again, it finds out what happened"


# --- what is to be done -----------------------------------------------------------------------------------------


class Read(NamedTuple):
    """Read a file below the root: a `Lying`, or None where nothing lies."""

    place: RelPath
    limit: int


class Names(NamedTuple):
    """The names of the files directly in a folder below the root: a list."""

    folder: str


class Lost(NamedTuple):
    """Which of these files cannot be had any more, neither by their revision nor at their path: a list of paths."""

    items: tuple[Item, ...]


class Store(NamedTuple):
    """Have these bytes at a place that is only ever given to these bytes: None."""

    place: RelPath
    data: bytes


class Current(NamedTuple):
    """Which revision lies at each of these paths: a dict, None where nothing lies."""

    paths: tuple[str, ...]


class Intend(NamedTuple):
    """Note durably on this machine what is about to be committed: None."""

    published: Published


class Swap(NamedTuple):
    """Put this head where the revision `rev` lies, and only there (None: where nothing lies): a `Swapped`."""

    place: RelPath
    data: bytes
    rev: str | None


class Pause(NamedTuple):
    """Wait a little, longer with each attempt: None."""

    attempt: int


class Swapped(Enum):
    """What came of a swap."""

    DONE = "done"
    OTHER = "other"
    """Something else lies there."""
    UNKNOWN = "unknown"
    """No answer came."""


Step = Read | Names | Lost | Store | Current | Intend | Swap | Pause
T = TypeVar("T")
Act = Generator[tuple[Step, ...], Sequence[Any], T]
"""Steps of one tuple may be done in any order, or at once; what is sent back are their results in theirs."""


# --- what is wanted ---------------------------------------------------------------------------------------------


class Keep(NamedTuple):
    """The list stays as it is, and gets more time."""


class Again(NamedTuple):
    """The list that an earlier head names becomes current again."""

    named: Named


UploadItem = Change | Keep | Again


class Glimpse(NamedTuple):
    """A look at the channel a moment ago. If it is out of date, the swap will tell."""

    version: int
    """Of the trust file that was known before."""
    lying: Lying | None
    trust: Trust
    added: tuple[bytes, ...]
    """The bytes of newer trust files."""


class Asked(NamedTuple):
    """What is asked, and by whom."""

    channel: str
    wish: UploadItem
    held: Held | None
    """What this machine has seen of the channel."""
    known: frozenset[bytes]
    """SHA-256 of bodies and shards that lie in Dropbox for certain."""
    sign: Callable[[Head, Trust], bytes]
    clock: Callable[[], float]
    publisher: str
    glimpse: Glimpse | None = None


class Published(NamedTuple):
    """What states the wish now."""

    head: Head
    digest: bytes
    data: bytes
    parts: tuple[bytes, ...]
    """SHA-256 of the body and its shards."""
    trust: Trust
    trust_files: tuple[bytes, ...]
    """Trust files that were not known before, oldest first."""
    shared: bool
    superseded: tuple[str, ...]
    """Paths that others have changed after this machine; theirs are stated."""
    left_out: tuple[str, ...]
    """Paths of a kind that the channel does not allow."""
    made: bool
    """Whether a new head was made for it."""
    bodies: tuple[Part, ...] = ()
    """The body and its shards, where this machine has made them."""


class _Content(NamedTuple):
    """The body that the next head names."""

    named: Named
    parts: list[Part]
    names: tuple[bytes, ...]
    shared: bool = True
    superseded: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    bodies: tuple[Part, ...] = ()


# --- the act ----------------------------------------------------------------------------------------------------


def publishing(asked: Asked, known: Trust) -> Act[Published]:
    """Publish what is asked.

    Args:
        asked: what, and by whom.
        known: the newest trust file this machine knows.

    Raises:
        Refused: what lies there cannot be gone on from, or what is asked no reader would accept.
        NoSigningKey: too few of the channel's keys are here.
        Busy: others were faster, too often.
        ServiceFault: no answer came, and nobody can tell what happened.
    """
    if asked.glimpse is not None and asked.glimpse.version == known.version:
        _, lying, known, before = asked.glimpse
        added = list(before)
    else:
        added = []
        # Who has never seen the channel is most often the first: it is cheaper to try than to look.
        hopeful = asked.held is None and isinstance(asked.wish, Change)
        lying, known = yield from look(asked.channel, known, added, head_too=not hopeful)
    for attempt in range(1, ATTEMPTS + 1):
        now_ms = int(asked.clock() * 1000)
        trust.check_current(known, now_ms)
        standing = next_head.stand(lying, asked.held, trust=known, channel=asked.channel, now_ms=now_ms)
        content = yield from _content(asked, standing, known.policy(asked.channel))
        base = standing.base
        if base and standing.whole and _says_it_all(asked.wish, base, content, known, now_ms):
            return _published(base, content, known, added, made=False)
        if content.parts:
            yield tuple(Store(part.path, part.data) for part in content.parts)
        said = next_head.follow(
            standing, content.named, trust=known, channel=asked.channel, now_ms=now_ms, publisher=asked.publisher
        )
        data = asked.sign(said, known)
        made = _published(Opened(said, head.digest(said), data, []), content, known, added, made=True)
        yield (Store(locations.log(asked.channel, said.epoch, said.seq, made.digest), data),)
        yield (Intend(made),)
        there = yield from _committed(made, standing.rev, now_ms)
        if there:
            return made
        if there is None and isinstance(asked.wish, Again):
            raise ServiceFault(
                f"nobody can tell whether sequence {said.seq} of {asked.channel} was ever there",
                hint="look at the channel with `huracan-sync verify`, then run this again if it is still needed",
                channel=asked.channel,
            )
        yield (Pause(attempt),)
        lying, known = yield from look(asked.channel, known, added)
    raise Busy(f"others were faster {ATTEMPTS} times to publish in {asked.channel}", channel=asked.channel)


def _says_it_all(wish: UploadItem, base: Opened, content: _Content, known: Trust, now_ms: int) -> bool:
    """Whether no new head is needed."""
    same = next_head.named_in(base.head) == content.named
    return same and not isinstance(wish, Keep) and now_ms < next_head.due_ms(base.head, known)


def _published(opened: Opened, content: _Content, known: Trust, added: list[bytes], *, made: bool) -> Published:
    return Published(
        opened.head,
        opened.digest,
        opened.data,
        content.names,
        known,
        tuple(added),
        content.shared,
        content.superseded,
        content.left_out,
        made,
        content.bodies,
    )


def look(channel: str, known: Trust, added: list[bytes], *, head_too: bool = True) -> Act[tuple[Lying | None, Trust]]:
    """The head as it lies, and the newest trust file; `added` are the bytes of those that are new."""
    reads = [Read(locations.trust(known.version + 1), trust.FORM.max_size)]
    reads += [Read(locations.head(channel), head.MAX_SIZE)] if head_too else []
    following, *heads = yield tuple(reads)
    while following is not None:
        known = trust.follow(known, following.data)
        added.append(following.data)
        (following,) = yield (Read(locations.trust(known.version + 1), trust.FORM.max_size),)
    return (heads[0] if heads else None), known


def _committed(made: Published, rev: str | None, now_ms: int) -> Act[bool | None]:
    """Swap the head in; whether it is in the chain. None: nobody can tell."""
    said = made.head
    place = locations.head(said.channel)
    uncertain = False
    for _ in range(SWAPS):
        (outcome,) = yield (Swap(place, made.data, rev),)
        if outcome is Swapped.DONE:
            return True
        if outcome is Swapped.OTHER and not uncertain:
            return False
        uncertain = True
        (lying,) = yield (Read(place, head.MAX_SIZE),)
        if lying is not None and lying.data == made.data:
            return True
        if (lying.rev if lying else None) != rev:
            return (yield from _is_below(lying, made, now_ms))
    raise ServiceFault(
        f"no answer came to sequence {said.seq} of {said.channel}, and it does not lie there",
        hint=_FIND_OUT,
        channel=said.channel,
    )


def _is_below(lying: Lying | None, made: Published, now_ms: int) -> Act[bool | None]:
    """Whether our head is in the chain below the one that lies there now. None: the chain cannot be read."""
    said = made.head
    if lying is None:
        return None
    try:
        above = head.open(lying.data, trust=made.trust, channel=said.channel, now_ms=now_ms).head
        while (above.epoch, above.seq) > (said.epoch, said.seq):
            if above.prev == made.digest:
                return True
            (below,) = yield (Read(locations.log(said.channel, above.epoch, above.seq - 1, above.prev), head.MAX_SIZE),)
            if below is None:
                return None
            above = head.linked(below.data, above.prev)
    except Refused:
        return None
    return False


# --- what it says -----------------------------------------------------------------------------------------------


def _content(asked: Asked, standing: Standing, policy: Policy) -> Act[_Content]:
    """The body that the next head is to name."""
    wish, base = asked.wish, standing.base
    if isinstance(wish, Again):
        return _Content(wish.named, [], (wish.named.sha256,))
    if isinstance(wish, Keep):
        if base is None:
            raise NotFound(f"nothing that counts was published in {asked.channel}", channel=asked.channel)
        return _Content(next_head.named_in(base.head), [], (base.head.body_sha256,))
    left_out = [] if wish.strict else [item.path for item in wish.mine if item.kind not in policy.kinds]
    if left_out:
        wish = wish._replace(mine=[item for item in wish.mine if item.kind in policy.kinds])
    lying: dict[bytes, bytes] = {}
    if base is None or base.digest in wish.last:
        merged = Merged(list(wish.mine), [], shared=False)
    else:
        theirs = yield from listed(base.head, policy, lying)
        asks = doubtful(theirs, wish)
        (current,) = (yield (Current(tuple(asks)),)) if asks else ({},)
        merged = merge(theirs, wish, current)
    made = body.encode(asked.channel, merged.items, policy)
    bodies = tuple(made.parts())
    parts = [part for part in bodies if part.sha256 not in asked.known and part.sha256 not in lying]
    names = (made.sha256, *(part.sha256 for part in made.shards))
    superseded = tuple(merged.superseded)
    return _Content(next_head.named_by(made), parts, names, merged.shared, superseded, tuple(left_out), bodies)


def listed(said: Head, policy: Policy, found: dict[bytes, bytes]) -> Act[list[Item]]:
    """The files that a head names. `found` holds afterwards what was read, by SHA-256."""

    def held(sha256: bytes, _: int) -> bytes:
        return found[sha256]

    wanted = [(said.body_sha256, said.body_len)]
    while wanted:
        answers = yield tuple(Read(locations.body(sha256), length) for sha256, length in wanted)
        for (sha256, length), lying in zip(wanted, answers, strict=True):
            if lying is None:
                raise refused(
                    "BODY_MISSING",
                    f"the body of sequence {said.seq} of {said.channel} is not there",
                    sha256=sha256.hex(),
                )
            body.check_part(lying.data, sha256, length)
            found[sha256] = lying.data
        wanted = [
            (shard.sha256, shard.body_len)
            for shard in body.shards(said, found[said.body_sha256])
            if shard.sha256 not in found
        ]
    return body.read(said, policy, held)
