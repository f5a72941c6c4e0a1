"""Push, restore and verify, each as a process of the command line, start-up included. Ours alone: `peers` races."""

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benches import heavy, trees
from benches.figures import Figure, at_most
from benches.measured import Ran, Served, served
from benches.ours import Ours

from huracan_sync.cli import VERBS
from huracan_sync.emulator.running import Emulator

ABOUT = "push, restore, verify: seconds, requests, memory, bytes sent twice, refreshes"
SECTIONS = ("small", "large", "kill", "tokens")
FILES = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="runs of which the median is shown")
    parser.add_argument("--latency-ms", type=float, nargs="+", default=[0.0, 80.0], metavar="N", help="of every answer")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="these figures only")
    parser.add_argument("--mbit", type=float, default=800.0, metavar="N", help="the link of `large` and `kill`")


def run(options: argparse.Namespace) -> list[Figure]:
    """Measure."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="bench-push-") as name:
        folder = Path(name)
        if "small" in options.only:
            for latency in options.latency_ms:
                figures += list(_small(folder / f"small-{latency:g}", latency, options.repeat))
        if "large" in options.only:
            figures += list(heavy.large(folder / "large", options.mbit))
        if "kill" in options.only:
            figures += list(heavy.kill(folder / "kill", options.mbit))
        if "tokens" in options.only:
            figures += list(heavy.tokens(folder / "tokens"))
    return figures


class _Sample:
    """Several runs of the same thing."""

    def __init__(self, dropbox: Emulator) -> None:
        self.dropbox = dropbox
        self.ran: list[Ran] = []
        self.seen: list[Served] = []

    def add(self, work: Callable[[], Ran]) -> None:
        with served(self.dropbox) as seen:
            self.ran.append(work())
        self.seen.append(seen)

    def figures(self, name: str, *, requests: int | None = None, seconds: float | None = None) -> Iterator[Figure]:
        """Median seconds, most requests; with aims where there are any."""
        asked = max(each.requests for each in self.seen)
        took = statistics.median(each.seconds for each in self.ran)
        yield at_most(name, took, "s", seconds) if seconds else Figure(name, took, "s")
        yield at_most("", asked, "requests", requests) if requests else Figure("", asked, "requests")


AIMS: dict[str, tuple[int, float]] = {
    "first, signed": (28, 1.5),
    "larger headers": (9, 1.5),
    "commit lock of 50 ms": (28, 1.5),
    "again": (2, 0.6),
    "10 changed": (10, 1.0),
    "restore": (9, 1.8),
    "restored again": (2, 0.6),
    "verify": (2, 0.6),
}
"""Requests and seconds; the seconds are for a link of 80 ms."""


def _small(folder: Path, latency: float, repeat: int) -> Iterator[Figure]:
    """A thousand small files, in every way; what is pushed is signed, as where `keys init` was run once."""
    with Emulator.start("--latency-ms", str(latency)) as dropbox:
        places = trees.many_small(folder / "src", FILES)
        samples = {name: _Sample(dropbox) for name in AIMS}
        for turn in range(repeat):
            dropbox.reset()
            dropbox.config(latency_ms=latency)
            _turn(folder, turn, dropbox, samples, places)
    for name, sample in samples.items():
        if sample.ran:
            most, seconds = AIMS[name]
            title = f"{latency:g} ms: {FILES:,} x 2 KiB, {name}"
            yield from sample.figures(title, requests=most, seconds=seconds if latency >= 80 else None)


def _turn(folder: Path, turn: int, dropbox: Emulator, samples: dict[str, _Sample], places: list[Path]) -> None:
    """Everything once, in an account that is empty and on machines that are new."""
    engine, other = Ours(dropbox, folder / f"engine-{turn}"), Ours(dropbox, folder / f"other-{turn}")
    src, dst, data = folder / "src", folder / "dst", "/Runpodhuracan/data"
    engine.make_keys()
    samples["first, signed"].add(lambda: engine("push", src, f"{data}/notes"))
    samples["larger headers"].add(lambda: engine("push", src, f"{data}/wide", "--header-budget", 60000))
    dropbox.config(write_lock_ms=50)
    samples["commit lock of 50 ms"].add(lambda: engine("push", src, f"{data}/locked"))
    dropbox.config(write_lock_ms=0)
    samples["again"].add(lambda: engine("push", src, f"{data}/notes"))
    trees.change(places[:: FILES // 10], turn)
    samples["10 changed"].add(lambda: engine("push", src, f"{data}/notes"))
    samples["restore"].add(lambda: other("restore", f"{data}/notes", dst))
    if trees.sums(dst) != trees.sums(src):
        raise RuntimeError("what was restored is not what was pushed")
    samples["restored again"].add(lambda: other("restore", f"{data}/notes", dst))
    if "verify" in VERBS:
        samples["verify"].add(lambda: engine("verify", f"{data}/notes"))
    shutil.rmtree(dst)
