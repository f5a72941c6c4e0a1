"""What is shown on stderr while bytes move: a bar on a terminal, a line a second anywhere else."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from huracan_sync.cli.stderr import tell
from huracan_sync.errors import HuracanError
from huracan_sync.secret import redact
from huracan_sync.transfer.progress import Silent
from huracan_sync.tree.units import counted, size_in_words, span_in_words

if TYPE_CHECKING:
    from rich.progress import Progress

RATE_S = 10.0
"""A rate is that of the last so many seconds."""


class Watching(Silent):
    """A monitor that is also a context manager."""

    def __enter__(self) -> Self:
        """Begin to show."""
        return self

    def __exit__(self, *_: object) -> None:
        """Show no more."""


class Rate:
    """Bytes a second of late. Any thread may ask."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()  # guards _samples
        self._samples = deque([(clock(), 0)])

    def of(self, moved: int) -> float:
        """Given how many bytes have moved so far: how many a second did in the last `RATE_S` seconds."""
        with self._lock:
            now = self._clock()
            self._samples.append((now, moved))
            while self._samples[1][0] <= now - RATE_S:
                self._samples.popleft()
            since, before = self._samples[0]
            return max(0, moved - before) / max(now - since, 1e-3)

    def in_words(self, moved: int, size: int) -> str:
        """The rate, and how long the rest of `size` bytes takes at it, if anything moves."""
        rate = self.of(moved)
        left = f", {span_in_words(max(size - moved, 0) / rate)} left" if rate and moved < size else ""
        return f"{size_in_words(rate)}/s{left}"


class Lines(Watching):
    """One plain line a second, for logs and pipes."""

    def __init__(self, verb: str, *, every_s: float = 1.0) -> None:
        self._verb = verb
        self._every_s = every_s
        self._files = self._done = self._size = self._moved = 0
        self._rate = Rate()
        self._shown = ""
        self._over = threading.Event()
        self._clock = threading.Thread(target=self._tick, name="huracan-progress", daemon=True)

    def __exit__(self, *_: object) -> None:
        """Show how it ended, if anything was shown before."""
        self._over.set()
        if self._clock.is_alive():
            self._clock.join()
        if self._shown and self._line() != self._shown:
            self._write(self._line())

    def planned(self, files: int, size: int) -> None:
        """See `Monitor`."""
        self._files, self._size = self._files + files, self._size + size
        if not self._clock.ident:
            self._rate = Rate()
            self._clock.start()

    def moved(self, size: int) -> None:
        """See `Monitor`."""
        self._moved += size

    def finished(self, path: str, size: int) -> None:
        """See `Monitor`."""
        self._done += 1

    def failed(self, path: str, error: HuracanError) -> None:
        """See `Monitor`."""

    def note(self, sentence: str) -> None:
        """See `Monitor`."""
        self._write(sentence)

    def _tick(self) -> None:
        while not self._over.wait(self._every_s):
            self._shown = self._line()
            self._write(f"{self._shown}, {self._rate.in_words(self._moved, self._size)}")

    def _line(self) -> str:
        return f"{self._done} of {self._files} files, {size_in_words(self._moved)} of {size_in_words(self._size)}"

    def _write(self, line: str) -> None:
        tell(redact(f"{self._verb}: {line}"))


class Bar(Watching):
    """A bar with bytes, files, rate and time left."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._progress: Progress | None = None
        self._files = self._done = self._size = 0

    def __enter__(self) -> Self:
        """Begin to show; the bar itself appears when something is planned."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the bar as it stands."""
        if self._progress:
            self._progress.stop()

    def planned(self, files: int, size: int) -> None:
        """See `Monitor`."""
        self._files, self._size = self._files + files, self._size + size
        if self._progress is None:
            self._progress = _bar(Rate())
            self._task = self._progress.add_task(self._verb, total=self._size, files="", count=0)
            self._progress.start()
        self._progress.update(self._task, total=self._size)
        self._count()

    def moved(self, size: int) -> None:
        """See `Monitor`."""
        if self._progress:
            self._progress.advance(self._task, size)

    def finished(self, path: str, size: int) -> None:
        """See `Monitor`."""
        self._done += 1
        self._count()

    def failed(self, path: str, error: HuracanError) -> None:
        """See `Monitor`."""

    def note(self, sentence: str) -> None:
        """See `Monitor`."""
        if self._progress:
            self._progress.console.print(redact(sentence), markup=False, highlight=False)
        else:
            tell(redact(sentence))

    def _count(self) -> None:
        if self._progress:
            self._progress.update(self._task, files=_files_of(self._done, self._files), count=self._files)


def _bar(rate: Rate) -> Progress:
    """Text of one width, whatever it says, so that the bar, which has the rest of the line, does not jump."""
    from rich.console import Console  # noqa: PLC0415 - 50 ms that only a terminal with work to do pays
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn  # noqa: PLC0415
    from rich.table import Column  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    class Facts(ProgressColumn):
        def get_table_column(self) -> Column:
            return Column(no_wrap=True)

        def render(self, task: Task) -> Text:
            moved, size = int(task.completed), int(task.total or 0)
            files = f"{task.fields['files']:>{len(_files_of(task.fields['count'], task.fields['count']))}}"
            return Text(
                f"{size_in_words(moved):>10} of {size_in_words(size)}, {files}, {rate.in_words(moved, size):<24}"
            )

    return Progress(
        TextColumn("{task.description}"), BarColumn(bar_width=None), Facts(), console=Console(stderr=True), expand=True
    )


def _files_of(done: int, count: int) -> str:
    return f"{done}/{counted(count, 'file')}"
