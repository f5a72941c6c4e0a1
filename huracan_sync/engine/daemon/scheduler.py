"""When to do something again: each task on its own interval, and soon after the disk changed. When, never what.

Laws: one thread for each task, so that one that fails or takes long stops no other. A change is acted on when the file
has lain still for a moment, and at the latest after three seconds. A failure is tried again after 5, 10, 20, 40, then
every 60 seconds, or at the task's interval if that is sooner. Where only some files failed, or are still being
written, the task is done again after 5 or 2 seconds, then after twice as long, up to its interval; a change brings it
forward. `stop` lets what is under way come to its end.
"""

from __future__ import annotations

import contextlib
import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from huracan_sync.engine.daemon.status import State
from huracan_sync.errors import HuracanError, Stopped
from huracan_sync.secret import redact

log = structlog.get_logger("huracan_sync.engine.daemon.scheduler")

LATEST_S = 3.0
"""A file that never lies still is acted on after this."""
GAP_S = 1.0
"""Seconds between two passes of one task that the disk asked for."""
FIRST_RETRY_S = 5.0
LONGEST_RETRY_S = 60.0
WAITING_S = 2.0
"""Seconds after which files that were still being written are looked at again; doubles up to the interval."""
LOOK_S = 1.0
"""Seconds between looks whether a watched folder appeared or was replaced."""
YOUNG_S = 3.0
"""For how long a new folder is looked at by ourselves."""
STEP_MS = 100
DEBOUNCE_MS = 400


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
    """Files that are not to be sent at all. A person has to act; trying again soon is no use."""
    error: str = ""
    """Why the first of those failed or was refused."""


class Act(Protocol):
    """What a task does."""

    def __call__(self, *, because_of_the_disk: bool) -> Outcome:
        """Do it once; raise when it could not be done."""


class Task(msgspec.Struct, frozen=True):
    """Something to do again and again."""

    name: str
    interval_s: float
    act: Act
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
    """Waits for news, at most so many seconds of `monotonic`."""


class Loop:
    """One task's thread."""

    def __init__(self, task: Task, *, jitter: float, debounce_s: float, clock: Clock, prefix: str) -> None:
        self.task = task
        self.state = State(task.name, task.interval_s, since=clock.wall())
        self._jitter = jitter
        self._debounce_s = debounce_s
        self._clock = clock
        self._news = threading.Condition()  # guards all below
        self._changed: set[str] = set()
        """Since the last pass began."""
        self._open: set[str] = set()
        """Changed before that, and not known to be in step."""
        self._first_change = self._last_change = self._changed_since = 0.0
        self._due = clock.monotonic()
        self._quick_s = math.inf
        self._ended = float("-inf")
        self._retries = 0
        self._error_boundary = False
        self._stopping = False
        self.thread = threading.Thread(target=self._run, daemon=True, name=f"{prefix}{task.name}")

    def changed(self, path: str) -> None:
        """A file that matters changed."""
        with self._news:
            now = self._clock.monotonic()
            if not self._changed:
                self._first_change, self._changed_since = now, self._clock.wall()
                self.state.changed_since = self.state.changed_since or self._changed_since
            self._last_change = now
            self._changed.add(path)
            self.state.queue = len(self._open | self._changed)
            self._news.notify()

    def see(self, *, quick_s: float) -> None:
        """From now on, pass at least this often: infinite while the disk tells what changed."""
        with self._news:
            self._quick_s = quick_s
            self._due = min(self._due, self._clock.monotonic() + quick_s)
            self._news.notify()

    def stop(self) -> None:
        """Begin no further pass."""
        with self._news:
            self._stopping = True
            self._news.notify()

    def _next(self) -> float:
        """When the next pass is due, on the monotonic clock."""
        if not self._changed:
            return self._due
        still = min(self._last_change + self._debounce_s, self._first_change + LATEST_S)
        soon = max(still, self._ended + GAP_S)
        return self._due if self._error_boundary else min(self._due, soon)

    def _run(self) -> None:
        while True:
            with self._news:
                while not self._stopping and (left := self._next() - self._clock.monotonic()) > 0:
                    self.state.next_run = self._clock.wall() + left
                    self._clock.wait(self._news, left)
                if self._stopping:
                    return
                because_of_the_disk = bool(self._changed) and self._clock.monotonic() < self._due
                self._open |= self._changed
                self._changed = set()
                self.state.running = True
            outcome = self._pass(because_of_the_disk=because_of_the_disk)
            with self._news:
                self._settle(outcome)

    def _pass(self, *, because_of_the_disk: bool) -> Outcome | HuracanError:
        self.state.last_try = self._clock.wall()
        try:
            return self.task.act(because_of_the_disk=because_of_the_disk)
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
        self._error_boundary = isinstance(outcome, HuracanError)
        varied = min(self.task.interval_s, self._quick_s) * (1 + self._jitter * (2 * self._clock.chance() - 1))
        if isinstance(outcome, HuracanError):
            if not isinstance(outcome, Stopped):
                state.failures += 1
                state.last_error = redact(str(outcome))
            self._again_in(min(FIRST_RETRY_S * 2**self._retries, LONGEST_RETRY_S), varied)
            return
        state.files, state.sent = outcome.files, state.sent + outcome.sent
        state.bytes_sent += outcome.bytes_sent
        state.failures += outcome.failed
        state.last_error = redact(outcome.error)
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
    """Tasks, and the eyes on the disk. `start` it once."""

    def __init__(
        self,
        tasks: Sequence[Task],
        *,
        jitter: float = 0.1,
        debounce_s: float = 0.5,
        watches: bool = True,
        quick_s: float = math.inf,
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
        self._eyes = Watcher(watched, name=f"{prefix}Watch", quick_s=quick_s) if watches and watched else None
        if self._eyes is None:
            for loop in watched:
                loop.see(quick_s=quick_s)

    def start(self) -> list[threading.Thread]:
        """Start a thread for each task; they are returned."""
        if self._eyes:
            self._eyes.thread.start()
        for loop in self.loops:
            loop.thread.start()
        return [loop.thread for loop in self.loops]

    def stop(self, timeout_s: float = 30.0) -> bool:
        """Begin nothing more and wait for what is under way; whether it came to its end."""
        until = time.monotonic() + timeout_s
        for loop in self.loops:
            loop.stop()
        if self._eyes:
            self._eyes.stop()
        threads = [loop.thread for loop in self.loops] + ([self._eyes.thread] if self._eyes else [])
        for thread in threads:
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def states(self) -> list[State]:
        """How the tasks stand."""
        return [msgspec.structs.replace(loop.state) for loop in self.loops]


class Watcher:
    """Watches folders, also those that do not exist yet, and tells the loops what changed."""

    def __init__(self, loops: Sequence[Loop], *, name: str, quick_s: float) -> None:
        self._watched = loops
        self._quick_s = quick_s
        self._loops = [(Path(folder).absolute(), loop) for loop in loops for folder in loop.task.folders]
        self._stop = threading.Event()
        self._young: dict[Path, tuple[float, set[tuple[Path, int, int]]]] = {}
        self.blind = ""
        """Why the disk cannot be watched; empty while it can."""
        self.thread = threading.Thread(target=self._run, daemon=True, name=name)

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def _run(self) -> None:
        seen: dict[Path, tuple[int, int] | None] = {folder: None for folder, _ in self._loops}
        first = True
        while not self._stop.is_set():
            there = {folder: _identity(folder) for folder in seen}
            for folder, identity in there.items():
                if identity is not None and identity != seen[folder] and not first:
                    self._young[folder] = (time.monotonic(), set())  # it came with its files, before anybody looked
            seen, first = there, False
            folders = [folder for folder, identity in there.items() if identity is not None]
            try:
                self._look(folders, there) if folders else self._stop.wait(LOOK_S)
            except OSError as error:
                # Too many watches on this machine, or a folder went away: the intervals still do their work.
                if not self.blind:
                    log.warning("disk_cannot_be_watched", error=str(error))
                    self._tell_all(quick_s=self._quick_s)
                self.blind = str(error)
                self._stop.wait(LOOK_S * 10)

    def _look(self, folders: list[Path], there: dict[Path, tuple[int, int] | None]) -> None:
        """Tell what changes until a folder appears, goes or is replaced by another."""
        from watchfiles import Change, watch  # noqa: PLC0415 - only who watches pays for it

        for changes in watch(
            *folders,
            watch_filter=None,
            debounce=DEBOUNCE_MS,
            step=STEP_MS,
            stop_event=self._stop,
            rust_timeout=int(LOOK_S * 1000),
            yield_on_timeout=True,
            raise_interrupt=False,
            ignore_permission_denied=True,
        ):
            if self.blind:
                self.blind = ""
                self._tell_all(quick_s=math.inf)
            for change, name in changes:
                path = Path(name)
                if change == Change.added and path.is_dir():
                    self._young.setdefault(path, (time.monotonic(), set()))
                elif change != Change.deleted:
                    self._tell(path)
            self._tell_of_young()
            if {folder: _identity(folder) for folder in there} != there:
                return

    def _tell_all(self, *, quick_s: float) -> None:
        for loop in self._watched:
            loop.see(quick_s=quick_s)

    def _tell_of_young(self) -> None:
        """Files may lie in a new folder before the system watches it: look ourselves, for as long as that may take."""
        now = time.monotonic()
        for folder, (since, told) in list(self._young.items()):
            if now - since > YOUNG_S:
                del self._young[folder]
            self._tell_all_below(folder, told)

    def _tell(self, path: Path) -> None:
        if path.name.startswith(".huracan-"):
            return  # our own half-written files
        for folder, loop in self._loops:
            if path.is_relative_to(folder) and loop.task.wants(path.relative_to(folder).as_posix()):
                loop.changed(str(path))

    def _tell_all_below(self, folder: Path, told: set[tuple[Path, int, int]]) -> None:
        """Tell of every file below a folder, of each of its states once."""
        with contextlib.suppress(OSError):
            for path in folder.rglob("*"):
                if path.is_file():
                    status = path.stat()
                    state = (path, status.st_size, status.st_mtime_ns)
                    if state not in told:
                        told.add(state)
                        self._tell(path)


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino)
