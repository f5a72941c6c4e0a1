"""The virtual clock: the machine's time, moved by tests. Latency and long polls ignore it."""

import time

FURTHEST_S = 10**10  # how far from the real time one may go: some 300 years, which every date format still bears


class Clock:
    """Seconds since 1970, movable. Tokens, sessions, links, and all times in bodies of answers use it.

    The `Date` header tells the real time: moving this clock lets time pass, and does not make the client's wrong.
    """

    def __init__(self, offset_s: float = 0.0) -> None:
        self.offset_s = offset_s

    def now(self) -> float:
        """Return the virtual time, in seconds since 1970."""
        return time.time() + self.offset_s

    def advance(self, seconds: float) -> None:
        """Move forward, or back with a negative number.

        Raises:
            ValueError: the sum would lie further than 300 years from the real time.
        """
        offset = self.offset_s + seconds
        if not abs(offset) <= FURTHEST_S:
            raise ValueError(f"the clock cannot be {offset:g} seconds off")
        self.offset_s = offset

    def stamp(self) -> str:
        """Return the virtual time as Dropbox writes times: whole seconds, UTC."""
        return stamp(self.now())


def stamp(seconds: float) -> str:
    """Format a time as Dropbox does: `2015-05-12T15:50:38Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(max(0, int(seconds))))
