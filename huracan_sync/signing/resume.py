"""Where a publisher that remembers nothing of a channel goes on: the highest head that place and log show. In steps.

Machines with an empty state folder are born every day, and anybody with a token can put an old head back where the
newest was. The log holds a copy of every head, so an older one at its place is noticed and passed over. What was hidden
from the log too is noticed by readers: the next head then does not link to what they remember.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from huracan_sync.errors import Refused, StateMissing
from huracan_sync.manifest import head, head_history, locations, trust
from huracan_sync.manifest.checks import Mark
from huracan_sync.manifest.head import Opened
from huracan_sync.manifest.trust import Trust
from huracan_sync.signing.head_log import parse_name
from huracan_sync.signing.next_head import SeenHead, StoredFile
from huracan_sync.signing.transaction import hole
from huracan_sync.signing.transaction_steps import ChannelView, Names, Pause, Read, Steps
from huracan_sync.tree.paths import RelPath

LOOKS = 3
"""How often a channel is looked at whose log is ahead of its head."""
AT_ONCE = 16
"""Copies in the log that are read at once."""
MOST = 256
"""Copies in the log that are read at most: anybody can put rubbish there under high numbers."""


class _Copy(NamedTuple):
    sequence: int
    name: str


def resume(
    channel: str, known: Trust, *, trust_is_new: bool, may_sign: bool, beaten: AbstractSet[bytes] = frozenset()
) -> Steps[ChannelView]:
    """The channel as it is now, with the head to go on from.

    A copy lies in the log before its head is put in place, and stays where somebody else was faster. So a copy above
    the head in place is looked at again a little later: a machine that is about to put it there has done so by then.

    Args:
        channel: its name.
        known: the newest trust file this machine knows.
        trust_is_new: whether it was looked up just now.
        may_sign: whether the keys of this machine count in it, and it has half of its life before it. Then the first
            head of a channel is made without looking for a newer one: what follows does look.
        beaten: digests of heads that this machine has made and that never came into their place.

    Raises:
        StateMissing: what was found does not link; a person must say where to go on.
    """
    for attempt in range(1, LOOKS):
        with contextlib.suppress(StateMissing):
            view = yield from _view(channel, known, beaten, is_first=trust_is_new or may_sign)
            if view.held is None:
                return view
        yield (Pause(attempt, f"a newer head of {channel} may be on its way"),)
    return (yield from _view(channel, known, beaten, is_first=trust_is_new or may_sign))


def _view(channel: str, known: Trust, beaten: AbstractSet[bytes], *, is_first: bool) -> Steps[ChannelView]:
    """As `resume`, of this moment."""
    version, folder, added = known.version, f"{locations.LOG}/{channel}", list[bytes]()
    (names,) = yield (Names(folder),)
    if not names and is_first:
        return ChannelView(version, None, known)  # nothing was ever published there: no head is looked for
    stored, following = yield (
        Read(locations.head(channel), head.MAX_SIZE),
        Read(locations.trust(version + 1), trust.FORM.max_size),
    )
    while following is not None:
        known = trust.follow(known, following.data)
        added.append(following.data)
        (following,) = yield (Read(locations.trust(known.version + 1), trust.FORM.max_size),)
    at_place = _opened(stored, known, channel)
    if not names and at_place is None:
        return ChannelView(version, stored, known, tuple(added))
    top = yield from _highest(channel, names, known, at_place, beaten)
    if top is None or (at_place is not None and top.digest == at_place.digest):
        return ChannelView(version, stored, known, tuple(added))
    head_seen = SeenHead(Mark(top.head.epoch, top.head.seq, top.digest), top.data)
    return ChannelView(version, stored, known, tuple(added), head_seen)


def _highest(
    channel: str, names: Iterable[str], known: Trust, at_place: Opened | None, beaten: AbstractSet[bytes]
) -> Steps[Opened | None]:
    """The highest head that verifies, of the log and the place; it must link to the one at the place.

    Whether that one's own copy is still there makes no difference then: the way down ends at its digest.
    """
    epoch = known.policy(channel).epoch
    floor = at_place.head.seq if at_place else 0
    copies = sorted((_Copy(p.sequence, p.name) for p in map(parse_name, names) if p and p.epoch == epoch), reverse=True)
    above = [copy for copy in copies if copy.sequence > floor]
    if len(above) > MOST:
        raise hole(channel, f"the log holds {len(above)} copies above {epoch}-{floor}")
    for at in range(0, len(above), AT_ONCE):
        group = above[at : at + AT_ONCE]
        answers = yield tuple(Read(RelPath(f"{locations.LOG}/{channel}/{copy.name}"), head.MAX_SIZE) for copy in group)
        for copy, stored in zip(group, answers, strict=True):
            opened = _opened(stored, known, channel)
            if opened is not None and opened.head.seq == copy.sequence and opened.digest not in beaten:
                if at_place is not None:
                    yield from _check_linked(opened, at_place)
                return opened
    # Every head is copied into the log before it is put in its place: one without a copy shows that copies were taken.
    names = {copy.name for copy in copies}
    if at_place is not None and f"{epoch}-{floor}-{at_place.digest.hex()[:8]}.hzh" not in names:
        # The log was listed before the head was read: both may have been put there between the two.
        (copy,) = yield (Read(locations.log(channel, epoch, floor, at_place.digest), head.MAX_SIZE),)
        if copy is None:
            raise hole(channel, f"the log has no copy of {epoch}-{floor}, which lies at the head's place")
    return at_place


def _check_linked(top: Opened, below: Opened) -> Steps[None]:
    payload = below.head
    if top.head.seq == payload.seq + 1 and top.head.prev != below.digest:
        raise hole(payload.channel, f"the copy of {payload.epoch}-{top.head.seq} does not follow what is in place")
    way = head.check_linked(top.head, Mark(payload.epoch, payload.seq, below.digest))
    try:
        place, _ = next(way)
        while True:
            (stored,) = yield (Read(place, head.MAX_SIZE),)
            place, _ = way.send(stored.data if stored else None)
    except StopIteration:
        return
    except Refused as error:
        raise hole(payload.channel, str(error)) from error


def _opened(stored: StoredFile | None, known: Trust, channel: str) -> Opened | None:
    if stored is None:
        return None
    try:
        return head_history.past(stored.data, trust=known, channel=channel)
    except Refused:
        return None
