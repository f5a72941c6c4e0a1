"""Words for people, one JSON document for machines. Progress goes to stderr, answers to stdout."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TextIO

import msgspec

from huracan_sync.errors import HuracanError, LocalFailure
from huracan_sync.secret import redact
from huracan_sync.transfer.progress import Failure, Silent
from huracan_sync.tree.units import size_in_words

if TYPE_CHECKING:
    from rich.progress import Progress

MOST_FAILURES_SHOWN = 20
RATE_S = 10.0
"""A rate is that of the last so many seconds."""
SCHEMA = 1
"""The version of the JSON documents (cli/documents.py)."""
CARRIES_ON = "run the same command again, it carries on where it stopped"


_log: TextIO | None = None
"""The file of `--log-file`, while a verb runs."""


@contextmanager
def log_file(path: str | None) -> Iterator[None]:
    """While it is open, every line on stderr is also appended to this file, with its moment in UTC.

    Raises:
        LocalFailure: it cannot be opened.
    """
    global _log  # noqa: PLW0603 - like stderr itself, there is one for the process
    if path is None:
        yield
        return
    try:
        file = Path(path).open("a", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115 - closed below
    except OSError as error:
        raise LocalFailure(f"--log-file {path} cannot be written: {error.strerror}", path=path) from error
    with file:
        _log = file
        try:
            yield
        finally:
            _log = None


def make_streams_safe() -> None:
    """Let stdout and stderr show what their encoding cannot hold, instead of raising in the middle of the work."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with suppress(OSError, ValueError):
                stream.reconfigure(errors="backslashreplace")


def tell(line: str) -> None:
    """A line on stderr and in the log file, best effort: a closed or full one does not end a run."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(line + "\n")  # at once, so that lines of several threads stay apart
        sys.stderr.flush()
    if _log is not None:
        with suppress(OSError, ValueError):
            _log.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}\n")
            _log.flush()


def _answer(*lines: str) -> None:
    """Lines on stdout.

    Raises:
        BrokenPipeError: whoever read it is gone.
        LocalFailure: it takes no more.
    """
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (ValueError, AttributeError):
        return  # stdout was closed before we started: nobody wants the answer
    except OSError as error:
        give_up_stdout()
        hint = "what was asked for was done; send the answer to where there is room"
        raise LocalFailure(f"the answer cannot be written to stdout: {error.strerror}", hint=hint) from error


def give_up_stdout() -> None:
    """What is still buffered goes nowhere, so that it does not fail a second time at the end of the process."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def as_json(document: Mapping[str, Any]) -> str:
    """One line of JSON. Names that are not Unicode (lone surrogates) are escaped as JSON can."""
    document = {"schema_version": SCHEMA, **document}
    try:
        return msgspec.json.encode(document).decode()
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(document))


def moment(at_ms: float) -> str:
    """A moment, given in milliseconds since 1970, in the one format of all documents: RFC 3339, UTC, whole seconds."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def is_watched() -> bool:
    """Whether stderr is a terminal."""
    with suppress(ValueError):  # closed
        return sys.stderr is not None and sys.stderr.isatty()
    return False


class Output:
    """Where a verb speaks."""

    def __init__(self, *, as_json: bool, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self._held: list[str] = []
        """Words for people that are shown only if the verb fails (`--quiet`)."""

    def document(self, document: Mapping[str, Any], words: Iterable[str]) -> None:
        """The verb's answer: the document for machines, the words (lines) for people."""
        if self.as_json:
            _answer(as_json(document))
        elif self.quiet:
            self._held += map(redact, words)
        else:
            _answer(*map(redact, words))

    def settle(self, *, shown: bool) -> None:
        """At the end of a quiet run: show what was held back, or drop it."""
        held, self._held = self._held, []
        if shown and held:
            with suppress(BrokenPipeError, LocalFailure):
                _answer(*held)

    def line(self, document: Mapping[str, Any], words: str) -> None:
        """One of several answers as they come: a line of JSON for machines, a line of words for people."""
        _answer(as_json(document) if self.as_json else redact(words))

    def secret(self, document: Mapping[str, Any], words: str) -> None:
        """A secret that was asked for by name: the only text on stdout that is not redacted.

        It is flushed at once: whoever made the secret withdraws it when nobody takes it.
        """
        print(as_json(document) if self.as_json else words, flush=True)

    def say(self, sentence: str) -> None:
        """Something on the way, for people only, on stderr. Nothing with `--quiet`."""
        if not self.quiet:
            tell(redact(sentence))

    def warn(self, sentence: str) -> None:
        """Something a person should act on, on stderr, also with `--quiet`."""
        tell(redact(sentence))

    def error(self, error: HuracanError) -> None:
        """An error: a sentence and what to do next."""
        if self.as_json:
            with suppress(LocalFailure):  # people are told all the same
                _answer(redact(as_json(error.as_dict())))
        self.warn(f"error: {error}")
        if error.hint:
            self.warn(f"  hint: {error.hint}")

    def bug(self, error: Exception) -> None:
        """What nobody foresaw ended it; for machines only, people have been told."""
        if self.as_json:
            document = {"error": "Bug", "message": f"{type(error).__name__}: {error}", "hint": "see stderr"}
            with suppress(LocalFailure):
                _answer(redact(as_json({**document, "retryable": False, "facts": {}})))

    def show(self, text: str) -> None:
        """As `say`, but letter by letter: the address of a consent page has a value in it that only counts whole."""
        tell(text)

    def interrupted(self, hint: str) -> None:
        """A signal ended it; `hint` says what that means."""
        if self.as_json:
            document = {"error": "Interrupted", "message": "interrupted", "hint": hint}
            with suppress(LocalFailure):
                _answer(as_json(document))
        self.warn(f"\ninterrupted; {hint}" if is_watched() else f"interrupted; {hint}")

    def failures(self, failures: Sequence[Failure]) -> list[str]:
        """Lines that list what failed."""
        lines = []
        for failure in failures[:MOST_FAILURES_SHOWN]:
            # Most messages begin with the path, so that they can stand alone: it is not said twice. A file called
            # `a` or `the` is named all the same: there the word may be the sentence's own.
            said = str(failure.error).removeprefix(f"{failure.path}: ")
            before = "" if said.startswith(f"{failure.path} ") and not failure.path.isalpha() else f"{failure.path}: "
            lines.append(f"  {ascii_path(before)}{said}")
            if failure.error.hint:
                lines.append(f"    hint: {failure.error.hint}")
        if len(failures) > MOST_FAILURES_SHOWN:
            lines.append(f"  ... and {len(failures) - MOST_FAILURES_SHOWN} more (--json lists all)")
        return lines

    def progress(self, verb: str) -> Watching:
        """A monitor that shows progress on stderr: a bar on a terminal that can draw one, else a line a second."""
        if self.quiet:
            return Watching()
        return Bar(verb) if is_watched() and os.environ.get("TERM") != "dumb" else Lines(verb)


def ascii_path(path: str) -> str:
    """A path that a terminal may be given: control characters and broken text escaped, letters kept."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in path)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as aligned lines; the first row is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


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
        left = f", {max(size - moved, 0) / rate:.0f} s left" if rate else ""
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
            self._task = self._progress.add_task(self._verb, total=self._size, files="")
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
            self._progress.update(self._task, files=f"{self._done}/{self._files} files")


def _bar(rate: Rate) -> Progress:
    from rich.console import Console  # noqa: PLC0415 - 50 ms that only a terminal with work to do pays
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
    )
    from rich.text import Text  # noqa: PLC0415

    class RateColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(rate.in_words(int(task.completed), int(task.total or 0)))

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TextColumn("{task.fields[files]}"),
        RateColumn(),
        console=Console(stderr=True),
    )
