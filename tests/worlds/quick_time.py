"""A clock on which waiting takes no time."""

import time


class Time:
    """A clock that sleeping moves on, at once. (One that merely did not sleep would be asked until the time is up.)"""

    def __init__(self):
        self.ahead, self.slept = 0.0, []

    def clock(self):
        return time.monotonic() + self.ahead

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.ahead += seconds

    def rules(self, pacing):
        """From now on, the waits of a login."""
        pacing._clock, pacing._sleep = self.clock, self.sleep
