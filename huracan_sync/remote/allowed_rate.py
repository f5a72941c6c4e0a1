"""The rate of calls that a server allows, learned from its refusals. Pure: the time is an argument.

Until something is refused there is none. Then it is a little less than what was answered in the second before, and
calls are spread evenly at it: a client that sends bursts is refused again and again, and waits each time. The rate
grows slowly up to where it was refused last, and beyond that only after a minute without a refusal. A refusal within
the first second says less, because other clients or an earlier run may have used up that second: then it tries again
after a few.
"""

from __future__ import annotations

from collections import deque

LEAST = 1.0
"""Calls a second that are tried in any case."""
BELOW = 0.96
"""How much of what was answered is asked for."""
GROWTH = 0.1
"""Of itself, in a second."""
CALM_S = 60.0
SOON_S = 5.0
"""The same where the first refusal came before a second was over."""
SETTLING_S = 0.9
"""After a refusal no call is made for a second; what is answered meanwhile was made before, and was allowed too."""


class AllowedRate:
    """Not safe for several threads."""

    def __init__(self) -> None:
        self._rate = self._ceiling = self._before = 0.0
        self._answered: deque[float] = deque()
        self._next = self._refused_at = self._grown_at = 0.0
        self._first: float | None = None
        self._calm_s = CALM_S

    def turn(self, now: float) -> float:
        """When the next call may be made; it is taken."""
        at = max(now, self._next)
        self._next = at + (1 / self._rate if self._rate else 0.0)
        return at

    def answered(self, now: float) -> None:
        """A call was answered."""
        self._first = now if self._first is None else self._first
        self._answered.append(now)
        while self._answered[0] <= now - 1.0:
            self._answered.popleft()
        if self._rate and now < self._refused_at + SETTLING_S:
            self._learn(now, at_least=self._ceiling)
        elif self._rate:
            grown = self._rate * (1 + GROWTH * (now - self._grown_at))
            is_calm = now - self._refused_at > self._calm_s
            self._rate = grown if is_calm else max(self._rate, min(grown, self._ceiling * BELOW))
            self._grown_at = now

    def refused(self, now: float) -> None:
        """A call was refused because there were too many. A burst of refusals is to be told once."""
        is_early = not self._rate and (self._first is None or now < self._first + 1.0)
        self._calm_s = SOON_S if is_early else CALM_S
        self._before = self._rate
        self._learn(now, at_least=LEAST)
        self._refused_at = self._grown_at = now

    def _learn(self, now: float, *, at_least: float) -> None:
        count = sum(at > now - 1.0 for at in self._answered)
        self._ceiling = max(at_least, min(count, self._before or count))
        self._rate = self._ceiling * BELOW
