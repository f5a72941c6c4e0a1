"""How heads are linked: each names the one before it (`prev`) and one farther back (`skip`). Pure.

`skip` jumps as skew-binary numbers do (Myers, 1983): where it leads follows from the sequence alone, and over a gap of
n heads the way down takes about 2 log2(n) steps: at most 51 over a gap of a million. (Clearing the lowest bit of the
sequence, which is simpler, takes up to half the square of that logarithm: 195.)
"""

from __future__ import annotations

from collections.abc import Generator, Mapping

from huracan_sync.errors import Refused
from huracan_sync.manifest import locations
from huracan_sync.manifest.checks import Mark
from huracan_sync.manifest.head import Head, linked
from huracan_sync.manifest.refusals import refused
from huracan_sync.tree.paths import RelPath

NONE = bytes(32)
"""No head: below the first of an epoch, and where a publisher does not know the digest."""


def skip_target(sequence: int) -> int:
    """The sequence that `skip` of a head leads to; 0 for none."""
    rest, weight = sequence, (1 << (sequence + 1).bit_length() - 1) - 1
    while True:
        while weight > rest:
            weight >>= 1
        rest -= weight
        if not rest:
            return sequence - weight


def skip_digest(sequence: int, digests: Mapping[int, bytes]) -> bytes:
    """What the head of this sequence names as `skip`, as far as the digests of earlier ones are known."""
    return digests.get(skip_target(sequence), NONE)


def path(sequence: int) -> list[int]:
    """The sequences on the way of `skip` down to the first: the only ones that later heads may skip to."""
    found = []
    while sequence > 0:
        found.append(sequence)
        sequence = skip_target(sequence)
    return found


def check_linked(top: Head, mark: Mark | None) -> Generator[tuple[RelPath, bytes], bytes | None, None]:
    """The way from a head down to the one that was seen before, if there are others between them.

    Yields the place of a copy in the log and the digest it must have; is sent its bytes, or None where none lies.

    Raises:
        Refused: `GAP`, a link is missing, or the way leads elsewhere: the history branched off below.
    """
    if mark is None or not mark.digest or mark.epoch != top.epoch or top.seq <= mark.sequence + 1:
        return
    above = top
    while True:
        at, digest = skip_target(above.seq), above.skip
        if at < mark.sequence or digest == NONE:
            at, digest = above.seq - 1, above.prev
        if at == mark.sequence:
            if digest == mark.digest:
                return
            raise _gap(top, mark, f"it branches off below {mark.epoch}-{mark.sequence}")
        data = yield locations.log(top.channel, top.epoch, at, digest), digest
        if data is None:
            raise _gap(top, mark, f"the log has no copy of {top.epoch}-{at}")
        try:
            above = linked(data, digest)
        except Refused as error:
            raise _gap(top, mark, str(error)) from None
        if (above.channel, above.epoch, above.seq) != (top.channel, top.epoch, at):
            raise _gap(top, mark, f"the copy of {top.epoch}-{at} in the log is another head")


def _gap(top: Head, mark: Mark, why: str) -> Refused:
    return refused(
        "GAP",
        f"the head at {top.epoch}-{top.seq} does not lead back to the one seen at {mark.epoch}-{mark.sequence}: {why}",
        channel=top.channel,
        actual=f"{top.epoch}-{top.seq}",
        expected=f"{mark.epoch}-{mark.sequence}",
    )
