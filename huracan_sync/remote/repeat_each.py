"""A call about many things at once, of which some may be done later: it is made again about those."""

from __future__ import annotations

from collections.abc import Callable

from huracan_sync.errors import HuracanError
from huracan_sync.remote.errors import Verdict
from huracan_sync.remote.rate_limit import Pacing, repeat


def repeat_each(call: Callable[[list[int]], dict[int, Verdict | None]], count: int, pacing: Pacing, route: str) -> None:
    """Make a call about many things, then about those of them that may be done later, until there are none.

    Args:
        call: makes the call about the things of these numbers; returns the verdict on each, None where it was done.
        count: how many there are.
        pacing: how long to wait, and who watches the waits.
        route: what is called, for the observer.
    """
    waiting = list(range(count))
    last: list[HuracanError] = []

    def once() -> Verdict | None:
        verdicts = call(waiting)
        later = {number: verdict for number, verdict in verdicts.items() if verdict is not None and verdict.retry}
        waiting[:] = later
        last[:] = [verdict.error for verdict in later.values()][:1]
        return Verdict(last[0], retry=True) if last else None

    try:
        if waiting:
            repeat(once, pacing, route)
    except HuracanError as error:
        if error not in last:
            raise  # of the call itself; what still waits has failed by now, each with its own verdict
