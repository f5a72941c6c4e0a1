"""Watches folders, also those that do not exist yet, and says which files in them changed.

Where the disk cannot be watched (too many watchers on this machine, a network volume), the caller is told to look
at it by itself, more often than usual, until watching works.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from huracan_sync.disk.scan import scan
from huracan_sync.engine.event_log import EventLog
from huracan_sync.errors import HuracanError

log = EventLog("huracan_sync.engine.daemon.watcher")

LOOK_S = 1.0
"""Seconds between looks whether a watched folder appeared or was replaced."""
YOUNG_S = 3.0
"""For how long a new folder is looked at by ourselves."""
STEP_MS = 100
DEBOUNCE_MS = 400
OURS = ".huracan-"
"""Begins the names of our own half-written files."""


class Watcher:
    """A thread that watches folders."""

    def __init__(
        self,
        folders: Sequence[tuple[Path, Callable[[str], bool], Callable[[str], None]]],
        *,
        look_every: Callable[[float], None],
        name: str,
        quick_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch folders with all below them; nothing starts.

        Args:
            folders: each with what says which of its files matter, by the path below it, and what is told of a change.
            look_every: told how often to look at the disk from now on, in seconds; infinite while it is watched.
            name: the thread's.
            quick_s: how often to look while it cannot be watched.
            monotonic: the clock.
        """
        self._folders = [(folder.absolute(), wants, changed) for folder, wants, changed in folders]
        self._look_every = look_every
        self._quick_s = quick_s
        self._monotonic = monotonic
        self._stop = threading.Event()
        self._young: dict[Path, tuple[float, set[tuple[Path, int, int]]]] = {}
        self._known = {folder: _identity(folder) for folder, _, _ in self._folders}
        self._was_blind = False
        self.not_watching = ""
        """Why the disk cannot be watched; empty while it can."""
        self.thread = threading.Thread(target=self._run, daemon=True, name=name)

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            there = {folder: _identity(folder) for folder in self._known}
            for folder, identity in there.items():
                if identity is not None and identity != self._known[folder]:
                    self._young[folder] = (self._monotonic(), set())  # it came with its files, before anybody looked
                    self._was_blind = True
            self._known = there
            folders = [folder for folder, identity in there.items() if identity is not None]
            try:
                self._watch(folders, there) if folders else self._stop.wait(LOOK_S)
            except BaseException as error:  # noqa: BLE001 - a panic of the watching library is no Exception
                # All watches or instances of this machine are taken, a folder went away, ...: passes go on without it.
                if not self.not_watching:
                    log.warning("disk_cannot_be_watched", error=str(error), error_type=type(error).__name__)
                    self._look_every(self._quick_s)
                self.not_watching, self._was_blind = str(error) or type(error).__name__, True
                self._stop.wait(LOOK_S * 10)

    def _watch(self, folders: list[Path], there: dict[Path, tuple[int, int] | None]) -> None:
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
            if self.not_watching:
                self.not_watching = ""
                log.info("disk_is_watched_again")
                self._look_every(math.inf)
            if self._was_blind:
                self._was_blind = False
                self._tell_of_folders(folders)
            for change, name in changes:
                path = Path(name)
                if change == Change.added and path.is_dir():
                    self._young.setdefault(path, (self._monotonic(), set()))
                elif change != Change.deleted:
                    self._tell(path)
                elif path in there:
                    there[path] = None  # the one that comes in its place may be given the same number
            self._tell_of_young()
            if {folder: _identity(folder) for folder in there} != there:
                self._was_blind = True  # until it watches again, nobody sees what changes in the others
                return

    def _tell_of_folders(self, watched: list[Path]) -> None:
        """Let every folder be looked at once: what changed in it before it was watched is told by nobody."""
        for folder, _, changed in self._folders:
            if folder in watched:
                changed(str(folder))

    def _tell_of_young(self) -> None:
        """Files may lie in a new folder before the system watches it: look ourselves, for as long as that may take."""
        now = self._monotonic()
        for folder, (since, told) in list(self._young.items()):
            if now - since > YOUNG_S:
                del self._young[folder]
            self._tell_all_below(folder, told)

    def _tell(self, path: Path) -> None:
        if path.name.startswith(OURS):
            return
        for folder, wants, changed in self._folders:
            if path.is_relative_to(folder) and wants(path.relative_to(folder).as_posix()):
                changed(str(path))

    def _tell_all_below(self, folder: Path, told: set[tuple[Path, int, int]]) -> None:
        """Tell of every file below a folder, of each of its states once."""
        with contextlib.suppress(HuracanError):  # it went again
            for path, stamp in scan(folder).files.items():
                state = (folder / path, stamp.size, stamp.mtime_ns)
                if state not in told:
                    told.add(state)
                    self._tell(folder / path)


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino)
