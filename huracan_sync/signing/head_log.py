"""Earlier heads of a channel: which of them took effect. In steps, as `act`.

The log holds a copy of every head that was ever to be committed, those included that came second. Which of them took
effect is told by the chain alone: each head names the one before it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from huracan_sync.errors import NotFound, Refused
from huracan_sync.manifest import head, head_history, locations
from huracan_sync.manifest.entries import Item
from huracan_sync.manifest.head import Head, Opened
from huracan_sync.manifest.trust import Trust
from huracan_sync.signing.transaction_steps import Lost, Names, Read, Steps
from huracan_sync.tree.paths import RelPath

_NAME = re.compile(r"([1-9][0-9]{0,18})-([1-9][0-9]{0,18})-[0-9a-f]{8}\.hzh")


def committed(top: Opened, seq: int, known: Trust) -> Steps[Opened]:
    """The head of that sequence, of the epoch of the newest head.

    Args:
        top: the newest head, verified.
        seq: which one.
        known: the trust file.

    Raises:
        NotFound: there is none, or no way leads to it any more.
        Refused: nobody who counts has signed it.
    """
    payload = top.head
    if seq == payload.seq:
        return top
    if not 1 <= seq < payload.seq:
        raise NotFound(
            f"{payload.channel} has no sequence {seq}",
            hint=f"the newest is {payload.seq}; `huracan-sync verify --history` lists them",
            channel=payload.channel,
        )
    above = yield from _above(top, seq, known)
    data = b""
    while above.seq > seq:
        place = locations.log(payload.channel, payload.epoch, above.seq - 1, above.prev)
        (stored,) = yield (Read(place, head.MAX_SIZE),)
        if stored is None:
            raise NotFound(
                f"the log of {payload.channel} has no sequence {above.seq - 1}",
                hint="somebody has removed it, or it was cleared away; choose another sequence",
                channel=payload.channel,
                sequence=above.seq - 1,
            )
        data, above = stored.data, head.linked(stored.data, above.prev)
    return head_history.past(data, trust=known, channel=payload.channel)


def _above(top: Opened, seq: int, known: Trust) -> Steps[Head]:
    """A head above that one that took effect for certain, as near to it as can be."""
    payload = top.head
    folder = f"{locations.LOG}/{payload.channel}"
    (names,) = yield (Names(folder),)
    by_seq: dict[int, list[str]] = defaultdict(list)
    for name in names:
        match = _NAME.fullmatch(name)
        if match and int(match[1]) == payload.epoch:
            by_seq[int(match[2])].append(name)
    # Where only one head of a sequence was ever signed, it is the one that took effect.
    at = next((each for each in range(seq + 1, payload.seq) if len(by_seq[each]) == 1), payload.seq)
    if at < payload.seq:
        (stored,) = yield (Read(RelPath(f"{folder}/{by_seq[at][0]}"), head.MAX_SIZE),)
        try:
            opened = head_history.past(stored.data if stored else b"", trust=known, channel=payload.channel)
            if (opened.head.epoch, opened.head.seq) == (payload.epoch, at):
                return opened.head
        except Refused:
            pass  # somebody has put something else there: the whole chain tells
    return payload


class CopyName(NamedTuple):
    """What the name of a copy in the log says."""

    epoch: int
    sequence: int
    name: str


def parse_name(name: str) -> CopyName | None:
    """What a name in the log says; None for what no head can be called."""
    match = _NAME.fullmatch(name)
    return CopyName(int(match[1]), int(match[2]), name) if match else None


def lost(items: Sequence[Item]) -> Steps[list[str]]:
    """Which of these files can no longer be had."""
    (found,) = yield (Lost(tuple(items)),)
    return list(found)
