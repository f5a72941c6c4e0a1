"""What the race measures: laps."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Lap:
    """What one racer took for one piece of work. With `share` > 1: for one file in so many, and multiplied by it."""

    latency_ms: float
    work: str
    racer: str
    seconds: float = 0.0
    requests: float = 0.0
    sent: float = 0.0
    received: float = 0.0
    cpu_s: float = 0.0
    peak_mib: float = 0.0
    share: int = 1
    runs: int = 1
    fails: str = ""
    """Why there are no figures."""


def median(laps: Sequence[Lap]) -> Lap:
    """One lap for several of the same racer at the same work: the median of each figure."""
    good = [lap for lap in laps if not lap.fails]
    if not good:
        return laps[0]
    names = ("seconds", "requests", "sent", "received", "cpu_s", "peak_mib")
    middle = {name: statistics.median(getattr(lap, name) for lap in good) for name in names}
    return replace(good[0], runs=len(good), **middle)


def medians(laps: Sequence[Lap]) -> list[Lap]:
    """One lap each, in the order in which they came first."""
    groups: dict[tuple[float, str, str], list[Lap]] = {}
    for lap in laps:
        groups.setdefault((lap.latency_ms, lap.work, lap.racer), []).append(lap)
    return [median(group) for group in groups.values()]
