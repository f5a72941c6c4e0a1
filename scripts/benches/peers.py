"""The race: this project and others, side by side, on the emulator over TLS with Dropbox's own host names."""

import argparse
import itertools
import json
import os
import shutil
import ssl
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benches import racers, showing, trees
from benches.figures import Figure, at_least
from benches.laps import Lap, medians
from benches.measured import Ran, served
from benches.ours import ROOT
from benches.racers import REMOTE, Fails, Racer

from huracan_sync.emulator.running import Emulator
from huracan_sync.tree.content_hash import content_hash

ABOUT = "the race against rclone, the official SDK, Maestral, dropboxdrivefs and the engine's old class"
CANDLES = ROOT.parent / "shared/data/candles"
DOCS = ROOT / "huracan_sync/docs"
FILES, BIG = 1000, 256 * trees.MIB
SETS = ("small", "large", "candles")
SLOW_S = 12.0
"""A racer that takes longer than this runs once."""
FAR_TOO_SLOW_S = 100.0
"""A racer that takes longer than this runs at the first latency only."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    names = [racer.__name__ for racer in racers.ALL]
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="runs of which the median is shown")
    parser.add_argument(
        "--latency-ms",
        type=float,
        nargs="+",
        default=[80.0, 0.0],
        metavar="N",
        help="of every answer; 80: only what a network sees",
    )
    parser.add_argument(
        "--candles", type=Path, default=CANDLES, metavar="DIR", help="real candles, where there are any"
    )
    parser.add_argument("--only", nargs="+", choices=SETS, default=SETS, help="these sets of files")
    parser.add_argument("--racers", nargs="+", choices=names, default=names, help="these racers")
    parser.add_argument("--quick", action="store_true", help="at 80 ms, once, without the slowest and the candles")
    parser.add_argument("--write", type=Path, metavar="DIR", help=f"write bench.md and bench.svg there (as in {DOCS})")


def run(options: argparse.Namespace) -> list[Figure]:
    """Race."""
    ready = os.environ.get("DROPBOX_EMULATOR")
    if not ready:  # the racers know no addresses but Dropbox's: go where these lead to an emulator
        again = [sys.executable, str(ROOT / "scripts/real_clients.py"), "--", sys.executable, *sys.argv]
        os.execv(sys.executable, again)  # noqa: S606
    if options.quick:
        options.repeat, options.latency_ms = 1, [80.0]
        options.only = [kind for kind in options.only if kind != "candles"]
    chosen = [racer for racer in racers.present() if racer.__name__ in options.racers]
    if options.quick:
        chosen = [racer for racer in chosen if racer not in {racers.Maestral, racers.Rclone}]
    dropbox = Emulator(json.loads(ready))
    with tempfile.TemporaryDirectory(prefix="bench-peers-") as name:
        laps = medians(list(_Race(dropbox, Path(name), options).laps(chosen)))
    if options.write:
        known = racers.versions().items()
        raced = {name: version for name, version in known if any(racer.name.startswith(name) for racer in chosen)}
        showing.write(options.write, laps, raced, racers.RcloneTuned.options)
    print(showing.markdown(laps), file=sys.stderr)
    return list(_figures(laps))


class _Race:
    """All racers at all works."""

    def __init__(self, dropbox: Emulator, folder: Path, options: argparse.Namespace) -> None:
        self.dropbox, self.folder, self.options = dropbox, folder, options
        self.sources: dict[tuple[str, int], Path] = {}
        self.seeds = itertools.count()
        self.patient: set[type[Racer]] = set()
        self.too_slow: set[type[Racer]] = set()

    def laps(self, chosen: Sequence[type[Racer]]) -> Iterator[Lap]:
        works: dict[str, Callable[[type[Racer], float], Iterator[Lap]]] = {
            "small": self._small,
            "large": self._large,
            "candles": self._candles,
        }
        for racer in chosen:
            self._warm(racer)
        for latency in self.options.latency_ms:
            for kind in self.options.only:
                if kind == "candles" and not self.options.candles.is_dir():
                    print(f"no candles lie in {self.options.candles}: left out (--candles DIR)", file=sys.stderr)
                    continue
                slow: set[type[Racer]] = set()
                for turn in range(self.options.repeat):
                    # Another one begins each time: who comes later finds memory that is warm already.
                    order = [*chosen[turn % len(chosen) :], *chosen[: turn % len(chosen)]]
                    for racer in [each for each in order if each not in slow | self.too_slow]:
                        for lap in works[kind](racer, latency):
                            print(f"{lap.latency_ms:g} ms  {lap.work:22} {lap.racer:18} {_said(lap)}", file=sys.stderr)
                            if lap.seconds > FAR_TOO_SLOW_S * lap.share:
                                self.patient.add(racer)
                            if lap.seconds > SLOW_S * lap.share or lap.fails or lap.share > 1:
                                slow.add(racer)
                            yield lap
            self.too_slow |= self.patient

    def _warm(self, racer: type[Racer]) -> None:
        """Run a racer once, both ways, before anything is measured: its program and libraries are then in memory."""
        src = self.folder / "warm"
        if not src.exists():
            trees.many_small(src, 20)
        one = self._begin(racer, 0.0)
        try:
            one.up(src)
            one.other().down(self.folder / "warm-down")
        except (Fails, RuntimeError, TimeoutError) as error:
            print(f"warming {racer.name}: {error}", file=sys.stderr)
        finally:
            shutil.rmtree(self.folder / "warm-down", ignore_errors=True)

    # -- works ----------------------------------------------------------------------------------------------------

    def _small(self, racer: type[Racer], latency: float) -> Iterator[Lap]:
        """1,000 small files: up, up again, ten changed, down."""
        src = self._source("small", racer.share)
        one = self._begin(racer, latency)
        yield self._lap(one, latency, "first push", lambda: one.up(src), there=src)
        if one.syncs:
            yield self._lap(one, latency, "nothing changed", lambda: one.up(src), there=src)
            places = [place for place in sorted(src.rglob("*")) if place.is_file()]
            trees.change(places[:: FILES // 10], next(self.seeds))
            yield self._lap(one, latency, "10 changed", lambda: one.up(src), there=src)
        yield self._down(one, latency, "restore", src)

    def _large(self, racer: type[Racer], latency: float) -> Iterator[Lap]:
        """One large file up and down."""
        src = self._source("large", 1)
        one = self._begin(racer, latency)
        up = self._lap(one, latency, "256 MiB up", lambda: one.up(src), there=src)
        yield up
        if up.fails:
            one = self._begin(racers.Ours, latency)  # somebody has to bring it there
            one.up(src)
            one = racer(self.dropbox, self.folder)
        yield self._down(one, latency, "256 MiB down", src)

    def _candles(self, racer: type[Racer], latency: float) -> Iterator[Lap]:
        """Real candles up and down."""
        src = self.options.candles
        one = self._begin(racer, latency)
        yield self._lap(one, latency, "candles up", lambda: one.up(src), there=src)
        yield self._down(one, latency, "candles down", src)

    def _source(self, kind: str, share: int) -> Path:
        src = self.sources.get((kind, share))
        if src is None:
            src = self.sources[kind, share] = self.folder / f"src-{kind}-{share}"
            if kind == "small":
                trees.many_small(src, FILES // share)
            else:
                trees.one_large(src, BIG)
        return src

    # -- one lap --------------------------------------------------------------------------------------------------

    def _begin(self, racer: type[Racer], latency: float) -> Racer:
        """A new machine and an empty account."""
        self.dropbox.reset()
        self.dropbox.config(latency_ms=0)
        one = racer(self.dropbox, self.folder)
        self.dropbox.config(latency_ms=latency)
        return one

    def _down(self, one: Racer, latency: float, work: str, src: Path) -> Lap:
        dst = self.folder / "dst"
        self.dropbox.config(latency_ms=0)
        other = one.other()
        self.dropbox.config(latency_ms=latency)
        try:
            lap = self._lap(one, latency, work, lambda: other.down(dst))
            if not lap.fails and trees.sums(dst) != trees.sums(src):
                return Lap(latency, work, one.name, fails="other bytes came than lie there")
            return lap
        finally:
            shutil.rmtree(dst, ignore_errors=True)

    def _lap(self, one: Racer, latency: float, work: str, act: Callable[[], Ran], *, there: Path | None = None) -> Lap:
        try:
            with served(self.dropbox) as seen:
                ran = act()
        except (Fails, RuntimeError, TimeoutError) as error:
            return Lap(latency, work, one.name, fails=str(error))
        if there is not None and self._there() != _hashes(there):
            return Lap(latency, work, one.name, fails="other bytes lie there than were pushed")
        many = one.share if work in {"first push", "nothing changed", "10 changed", "restore"} else 1
        figures = (ran.seconds, seen.requests, seen.uploaded, seen.downloaded, ran.cpu_s)
        return Lap(latency, work, one.name, *(figure * many for figure in figures), ran.peak_mib, share=many)

    def _there(self) -> dict[str, str]:
        """Path -> content hash of what lies in Dropbox."""
        latency = self.dropbox.config()["latency_ms"]
        self.dropbox.config(latency_ms=0)
        token = self.dropbox.token()["access_token"]
        context = ssl.create_default_context(cafile=self.dropbox.ca)
        found: dict[str, str] = {}
        route, arg = "files/list_folder", {"path": REMOTE, "recursive": True, "limit": 2000}
        while True:
            request = urllib.request.Request(  # noqa: S310  the emulator's
                f"{self.dropbox.url}/2/{route}",
                json.dumps(arg).encode(),
                {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, context=context) as answer:  # noqa: S310
                page = json.load(answer)
            files = (entry for entry in page["entries"] if entry[".tag"] == "file")
            found |= {entry["path_display"].removeprefix(f"{REMOTE}/"): entry["content_hash"] for entry in files}
            if not page["has_more"]:
                self.dropbox.config(latency_ms=latency)
                return found
            route, arg = "files/list_folder/continue", {"cursor": page["cursor"]}


def _hashes(folder: Path) -> dict[str, str]:
    files = (place for place in folder.rglob("*") if place.is_file())
    return {place.relative_to(folder).as_posix(): content_hash(place.read_bytes()).hex() for place in files}


def _said(lap: Lap) -> str:
    return lap.fails or f"{lap.seconds:8.2f} s {lap.requests:6.0f} requests {lap.peak_mib:5.0f} MiB"


def _figures(laps: Sequence[Lap]) -> Iterator[Figure]:
    """How many times as long the others take."""
    ours = {(lap.latency_ms, lap.work): lap for lap in laps if lap.racer == racers.Ours.name and not lap.fails}
    aims = {
        (racers.Rclone.name, "first push"): 40.0,
        (racers.RcloneTuned.name, "first push"): 2.0,
        **{(racer.name, "restore"): 1.0 for racer in racers.ALL},
        **{(racer.name, "256 MiB up"): 1.0 for racer in racers.ALL},
        **{(racer.name, "256 MiB down"): 1.0 for racer in racers.ALL},
    }
    for lap in laps:
        mine = ours.get((lap.latency_ms, lap.work))
        if mine is None or lap is mine or lap.fails:
            continue
        name, ratio = f"{lap.latency_ms:g} ms, {lap.work}: {lap.racer}", lap.seconds / mine.seconds
        # Nobody has to be faster than the limit, and signing is this project too.
        other = lap.racer not in {racers.Bare.name, racers.OursSigning.name}
        aim = aims.get((lap.racer, lap.work)) if lap.latency_ms >= 80 and other else None
        yield at_least(name, ratio, "x our time", aim) if aim else Figure(name, ratio, "x our time")
