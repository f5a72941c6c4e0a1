"""When to do something again: each task on its own interval, and soon after the disk changed. When, never what.

Laws: one thread for each task, so that one that fails or takes long stops no other. A change is acted on when the file
has lain still for a moment, and at the latest after three seconds. A failure is tried again after 5, 10, 20, 40, then
every 60 seconds, or at the task's interval if that is sooner. Where only some files failed, or are still being
written, the task is done again after 5 or 2 seconds, then after twice as long, up to its interval; a change brings it
forward. `stop` lets what is under way come to its end.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from huracan_sync.engine.daemon.status import State
from huracan_sync.engine.daemon.watcher import Watcher
from huracan_sync.engine.event_log import EventLog
from huracan_sync.errors import HuracanError, Stopped
from huracan_sync.secret import redact

log = EventLog("huracan_sync.engine.daemon.scheduler")

LATEST_S = 3.0
"""A file that never lies still is acted on after this."""
QUICK_S = 300.0
"""Seconds between passes, at most, of tasks whose folders cannot be watched."""
GAP_S = 1.0
"""Seconds between two passes of one task that the disk asked for."""
FIRST_RETRY_S = 5.0
LONGEST_RETRY_S = 60.0
WAITING_S = 2.0
"""Seconds after which files that were still being written are looked at again; doubles up to the interval."""


class Outcome(msgspec.Struct, frozen=True):
    """What a task's pass came to."""

    files: int = 0
    """Files known to be in step."""
    sent: int = 0
    bytes_sent: int = 0
    waiting: int = 0
    """Files that were still being written."""
    failed: int = 0
    refused: int = 0
    """Files that only a person can mend: a bad name, a secret, a lasting conflict. Trying again soon is no use."""
    error: str = ""
    hint: str = ""
    """Why the first of those failed, or else was refused."""
    refusals: tuple[str, ...] = ()
    """What is refused and why, the first few."""
    left_out: int = 0
    """Files that this kind of data does not take, links and special files."""
    left_out_names: tuple[str, ...] = ()
    """The first few of them, and why."""


class TaskPass(Protocol):
    """What a task does."""

    def __call__(self, *, because_of_the_disk: bool) -> Outcome:
        """Do it once; raise when it could not be done."""


class Task(msgspec.Struct, frozen=True):
    """Something to do again and again."""

    name: str
    interval_s: float
    run: TaskPass
    folders: tuple[Path, ...] = ()
    """Folders to watch, with all below them."""
    wants: Callable[[str], bool] = lambda _: True
    """Which changed files matter, by their path below the folder."""
    failed: Callable[[HuracanError], None] = lambda _: None
    """Told when a pass raised."""


class Clock(msgspec.Struct, frozen=True):
    """Time and chance."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random
    wait: Callable[[threading.Condition, float], object] = threading.Condition.wait
    """Waits to be notified, at most so many seconds of `monotonic`."""


class Loop:
    """One task's thread."""

    def __init__(self, task: Task, *, jitter: float, debounce_s: float, clock: Clock, prefix: str) -> None:
        self.task = task
        self.state = State(task.name, task.interval_s, since=clock.wall())
        self._jitter = jitter
        self._debounce_s = debounce_s
        self._clock = clock
        self._wakeup = threading.Condition()  # guards all below
        self._changed: set[str] = set()
        """Since the last pass began."""
        self._open: set[str] = set()
        """Changed before that, and not known to be in step."""
        self._first_change = self._last_change = self._changed_since = 0.0
        self._due = clock.monotonic()
        self._quick_s = math.inf
        self._ended = float("-inf")
        self._retries = 0
        self._raised = False
        self._stopping = False
        self.thread = threading.Thread(target=self._run, daemon=True, name=f"{prefix}{task.name}")

    def changed(self, path: str) -> None:
        """A file that matters changed."""
        with self._wakeup:
            now = self._clock.monotonic()
            if not self._changed:
                self._first_change, self._changed_since = now, self._clock.wall()
                self.state.changed_since = self.state.changed_since or self._changed_since
            self._last_change = now
            self._changed.add(path)
            self.state.queue = len(self._open | self._changed)
            self._wakeup.notify()

    def look_every(self, quick_s: float) -> None:
        """From now on, pass at least this often; infinite while changes are noticed on the disk."""
        with self._wakeup:
            self._quick_s = quick_s
            self._due = min(self._due, self._clock.monotonic() + quick_s)
            self._wakeup.notify()

    def stop(self) -> None:
        """Begin no further pass."""
        with self._wakeup:
            self._stopping = True
            self._wakeup.notify()

    def _next(self) -> float:
        """When the next pass is due, on the monotonic clock."""
        if not self._changed:
            return self._due
        still = min(self._last_change + self._debounce_s, self._first_change + LATEST_S)
        soon = max(still, self._ended + GAP_S)
        return self._due if self._raised else min(self._due, soon)

    def _run(self) -> None:
        while True:
            with self._wakeup:
                while not self._stopping and (left := self._next() - self._clock.monotonic()) > 0:
                    self.state.next_run = self._clock.wall() + left
                    self._clock.wait(self._wakeup, left)
                if self._stopping:
                    return
                because_of_the_disk = bool(self._changed) and self._clock.monotonic() < self._due
                self._open |= self._changed
                self._changed = set()
                self.state.running = True
            outcome = self._pass(because_of_the_disk=because_of_the_disk)
            with self._wakeup:
                self._settle(outcome)

    def _pass(self, *, because_of_the_disk: bool) -> Outcome | HuracanError:
        try:
            return self.task.run(because_of_the_disk=because_of_the_disk)
        except Stopped as asked:
            return asked
        except HuracanError as error:
            failure = error
        except Exception as bug:
            # One task's bug must not end its thread, nor go unseen.
            log.debug("huracan_sync_bug", exc_info=True)
            failure = HuracanError(f"{type(bug).__name__}: {bug}", hint="please report this")
        self.task.failed(failure)
        return failure

    def _settle(self, outcome: Outcome | HuracanError) -> None:
        """Note how it went and when to do it again."""
        state, now = self.state, self._clock.monotonic()
        state.running, state.passes = False, state.passes + 1
        self._ended = now
        self._raised = isinstance(outcome, HuracanError)
        varied = min(self.task.interval_s, self._quick_s) * (1 + self._jitter * (2 * self._clock.chance() - 1))
        if isinstance(outcome, HuracanError):
            if not isinstance(outcome, Stopped):
                state.failures += 1
                state.last_error, state.last_hint = redact(str(outcome)), redact(outcome.hint)
            self._again_in(min(FIRST_RETRY_S * 2**self._retries, LONGEST_RETRY_S), varied)
            return
        state.files, state.sent = outcome.files, state.sent + outcome.sent
        state.bytes_sent += outcome.bytes_sent
        state.failures += outcome.failed
        state.last_error = redact(outcome.error) if outcome.failed else ""
        state.last_hint = redact(outcome.hint) if outcome.failed else ""
        state.refused, state.refusals = outcome.refused, [redact(text) for text in outcome.refusals]
        state.left_out, state.left_out_names = outcome.left_out, list(outcome.left_out_names)
        if not outcome.failed:
            state.last_success = self._clock.wall()
        if outcome.waiting or outcome.failed:
            self._again_in((WAITING_S if outcome.waiting else FIRST_RETRY_S) * 2**self._retries, varied)
            return
        self._open.clear()
        self._retries, self._due = 0, now + varied
        state.queue = len(self._changed)
        state.changed_since = self._changed_since if self._changed else None

    def _again_in(self, pause: float, varied: float) -> None:
        """What is open is tried again after this, or at the interval if that is sooner."""
        self._due = self._clock.monotonic() + min(pause, varied)
        self._retries = min(self._retries + 1, 16)
        self.state.queue = max(len(self._open | self._changed), 1)
        self.state.changed_since = self.state.changed_since or self._clock.wall()


class Loops:
    """Tasks, each in a loop, and the watcher of their folders. `start` it once."""

    def __init__(
        self,
        tasks: Sequence[Task],
        *,
        jitter: float = 0.1,
        debounce_s: float = 0.5,
        watches: bool = True,
        quick_s: float = QUICK_S,
        clock: Clock | None = None,
        prefix: str = "",
    ) -> None:
        """Make loops; nothing starts.

        Args:
            tasks: what to do; one with an interval of 0 or less is left out.
            jitter: the share by which each interval is varied.
            debounce_s: how long a changed file must lie still.
            watches: whether to look at the disk.
            quick_s: seconds between passes of tasks with folders, at most, while nobody looks or can look at the disk.
            clock: time and chance.
            prefix: begins the names of the threads.
        """
        clock = clock or Clock()
        self.loops = [
            Loop(task, jitter=jitter, debounce_s=debounce_s, clock=clock, prefix=prefix)
            for task in tasks
            if task.interval_s > 0
        ]
        watched = [loop for loop in self.loops if loop.task.folders]

        def look_every(seconds: float) -> None:
            for loop in watched:
                loop.look_every(seconds)

        self._watcher: Watcher | None = None
        if watches and watched:
            folders = [(folder, loop.task.wants, loop.changed) for loop in watched for folder in loop.task.folders]
            self._watcher = Watcher(folders, look_every=look_every, name=f"{prefix}Watch", quick_s=quick_s)
        else:
            look_every(quick_s)

    def start(self) -> list[threading.Thread]:
        """Start a thread for each task; they are returned."""
        if self._watcher:
            self._watcher.thread.start()
        for loop in self.loops:
            loop.thread.start()
        return [loop.thread for loop in self.loops]

    def stop(self, timeout_s: float = 30.0, *, monotonic: Callable[[], float] = time.monotonic) -> bool:
        """Begin nothing more and wait for what is under way; whether it came to its end."""
        until = monotonic() + timeout_s
        for loop in self.loops:
            loop.stop()
        if self._watcher:
            self._watcher.stop()
        threads = [loop.thread for loop in self.loops] + ([self._watcher.thread] if self._watcher else [])
        for thread in threads:
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join(max(0.0, until - monotonic()))
        return not any(thread.is_alive() for thread in threads)

    @property
    def not_watching(self) -> str:
        """Why the disk cannot be watched; empty while it can, or need not be."""
        return self._watcher.not_watching if self._watcher else ""

    def states(self) -> list[State]:
        """The state of each task."""
        return [msgspec.structs.replace(loop.state) for loop in self.loops]
