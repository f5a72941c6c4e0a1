"""What the engine's sync costs and how soon it acts: requests, bytes, seconds, and a process with nothing to do."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from benches.figures import Figure, at_most

from huracan_sync.emulator.running import Emulator

ABOUT = "the engine's sync: candles there and back, loops over what does not change, a change made safe, idling"
ROOT = Path(__file__).resolve().parents[2]
LATENCY_MS = 80
FILES_IDLE = 10_000
COINS = 120
"""In the stand-in for candles: so many coins with a day a row, every fifth with a minute a row too."""
APP = "/Runpodhuracan"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--data", type=Path, metavar="DIR", help="candles as the engine holds them (default: made up)")
    parser.add_argument("--idle", type=float, default=30.0, metavar="S", help="seconds to look at a process that idles")


class Machine:
    """An engine's machine: a working folder, a state folder, a delivered login."""

    def __init__(self, dropbox: Emulator, folder: Path) -> None:
        self.dropbox = dropbox
        self.work, self.home = folder / "work", folder / "home"
        self.work.mkdir(parents=True)
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text(dropbox.token()["refresh_token"], encoding="ascii")
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("HURACAN", "DROPBOX"))}
        self.env = plain | dropbox.env(self.home) | {"PYTHONPATH": str(ROOT)}
        self.env |= {"HURACAN_REFRESH_TOKEN_FILE": str(token), "HURACAN_APP_KEY": dropbox.app_key}

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """A command under way."""
        command = [sys.executable, "-m", "huracan_sync", *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(command, env=self.env, cwd=self.work, text=True, **pipes)

    def once(self) -> dict[str, object]:
        """One pass over everything; what it said. Requests are what the server saw of the API."""
        self.dropbox.control("log/reset", {})
        process = self.start("run", "--once", "--json")
        out, _ = process.communicate(timeout=600)
        if process.returncode:
            raise RuntimeError(f"run --once ended with {process.returncode}: {out[-2000:]}")
        seen = self.requests()
        return json.loads(out) | {
            "seen": sum(seen.values()),
            "uploads": sum(n for r, n in seen.items() if "upload" in r),
        }

    def requests(self) -> dict[str, int]:
        """Calls of the API by route since the log was reset; asking for tokens is none."""
        found: dict[str, int] = self.dropbox.log()["requests"]
        return {route: count for route, count in found.items() if not route.startswith("oauth2")}

    def kinds(self) -> dict[str, dict[str, object]]:
        """How what runs stands, by kind."""
        try:
            told = json.loads((self.home / "run.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return {kind["name"]: kind for kind in told["kinds"]}


def _uploads(requests: dict[str, int]) -> int:
    return sum(count for route, count in requests.items() if "upload" in route)


def _candle(path: Path, rows: int, step_ms: int, seed: int) -> None:
    stamps = [1_700_000_000_000 + step_ms * n for n in range(rows)]
    prices = pa.array([float((n * 7919 + seed) % 100_003) for n in range(rows)])
    columns = {"timestamp": pa.array(stamps, pa.int64())} | dict.fromkeys(("open", "high", "low", "close"), prices)
    columns |= {"volume": prices, "ts": pa.array(stamps, pa.timestamp("ms", "UTC"))}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, compression="zstd")


def _make_candles(folder: Path) -> None:
    for coin in range(COINS):
        base = f"C{coin}"
        _candle(folder / base / f"{base}-USDT_1d_20221112_20251111.parquet", 1095, 86_400_000, coin)
        if coin % 5 == 0:
            _candle(folder / base / f"{base}-USDT_1m_20250611_20251108.parquet", 216_000, 60_000, coin)


def _until(true: Callable[[], object], within: float = 120.0) -> float:
    """Seconds until something is true."""
    began = time.perf_counter()
    while not true():
        if time.perf_counter() - began > within:
            raise TimeoutError("it never was")
        time.sleep(0.02)
    return time.perf_counter() - began


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mib(pid: int, which: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    return int(status.split(f"{which}:")[1].split()[0]) / 1024


def _end(process: "subprocess.Popen[str]") -> float:
    """SIGTERM; the seconds until it has ended well."""
    began = time.perf_counter()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    if process.returncode:
        raise RuntimeError(f"it ended with {process.returncode}")
    return time.perf_counter() - began


def _candles(dropbox: Emulator, folder: Path, data: Path | None) -> list[Figure]:
    """There, unchanged, back, and what the next pass makes of what came back."""
    first = Machine(dropbox, folder / "first")
    candles = first.work / "data/candles"
    if data:
        shutil.copytree(data, candles)
    else:
        _make_candles(candles)
    sizes = [path.stat().st_size for path in candles.rglob("*.parquet")]
    there, again = first.once(), first.once()
    second = Machine(dropbox, folder / "second")
    back, echo = second.once(), second.once()
    return [
        Figure("candles", len(sizes), "files"),
        Figure("candles", sum(sizes) / 2**20, "MiB"),
        Figure("first run --once", float(there["seen"]), "requests"),
        Figure("first run --once, of them uploads", float(there["uploads"]), "requests"),
        at_most("unchanged: restore and push", float(again["seen"]), "requests", 2),
        at_most("unchanged", float(again["bytes_sent"]), "bytes", 0),
        Figure("empty disk: restore, then the first pass", float(back["seen"]), "requests"),
        at_most("empty disk: sent back", float(back["bytes_sent"]), "bytes", 0),
        at_most("after that", float(echo["seen"]), "requests", 2),
    ]


def _loops(dropbox: Emulator, folder: Path, seconds: float = 6.0) -> list[Figure]:
    """Loops of one second over what does not change."""
    machine = Machine(dropbox, folder / "loops")
    _fill(machine.work, 300)
    machine.once()
    dropbox.control("log/reset", {})
    every = [
        w for kind in ("learning", "logs", "models", "data_cache") for w in _set(f"sync_interval_{kind}_seconds", 1)
    ]
    process = machine.start("run", *every)
    _until(machine.requests)
    time.sleep(seconds)
    _end(process)
    seen = machine.requests()
    return [
        Figure(f"loops of 1 s for {seconds:g} s over 300 files", float(sum(seen.values())), "requests"),
        at_most(f"loops of 1 s for {seconds:g} s: uploads", float(_uploads(seen)), "requests", 0),
    ]


def _fill(work: Path, count: int) -> None:
    """Files of every kind of the engine, `count` in all."""
    folders = (("logs", "log"), ("logs/learning", "json"), ("models", "bin"), ("exports", "csv"))
    for number in range(count):
        folder, ending = folders[number % len(folders)]
        path = work / folder / f"{number % 40:02d}" / f"{number}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d " % number * 200)


def _set(knob: str, value: object) -> list[str]:
    return ["--set", f"{knob}={value}"]


BEATS = """
import sys
from huracan_sync import DropboxSync
sync = DropboxSync(create_dated_folder=False)
for beat in range(int(sys.argv[1])):
    assert sync.write_text("/huracan/heartbeats/engine.json", '{"beat": %d}' % beat)
"""


def _heartbeat(dropbox: Emulator, folder: Path, beats: int = 40) -> Figure:
    machine = Machine(dropbox, folder / "heart")
    dropbox.control("log/reset", {})
    subprocess.run(
        [sys.executable, "-c", BEATS, str(beats)],
        env=machine.env,
        cwd=machine.work,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return at_most("a heartbeat", sum(machine.requests().values()) / beats, "requests", 1)


def _change(dropbox: Emulator, folder: Path) -> list[Figure]:
    """From a file that is written to its bytes in Dropbox, among many others."""
    machine = Machine(dropbox, folder / "change")
    _fill(machine.work, 1000)
    _candle(machine.work / "data/candles/ETH/ETH-USDT_1d_20221112_20251111.parquet", 100, 60_000, 1)
    process = machine.start("run")
    _until(lambda: (kinds := machine.kinds()) and all(kind["last_success"] for kind in kinds.values()))
    figures = []
    for name, path in (
        ("candle", "data/candles/BTC/BTC-USDT_1d_20221112_20251111.parquet"),
        ("learning note", "logs/learning/00/new.json"),
        ("model", "models/new/model.bin"),
    ):
        ready = machine.work / "ready"
        _candle(ready, 1095, 86_400_000, 2)
        (machine.work / path).parent.mkdir(parents=True, exist_ok=True)
        dropbox.control("log/reset", {})
        ready.rename(machine.work / path)
        took = _until(lambda: machine.requests().get("files/upload"))
        figures.append(at_most(f"a new {name} is in Dropbox after", took, "s", 5))
        time.sleep(1.5)  # its pass has ended
    figures.append(at_most("ended by SIGTERM after", _end(process), "s", 30))
    return figures


def _idle(dropbox: Emulator, folder: Path, seconds: float) -> list[Figure]:
    """A process that watches many files of which none changes."""
    machine = Machine(dropbox, folder / "idle")
    _fill(machine.work, FILES_IDLE)
    process = machine.start("run", "--http", "0")
    _until(lambda: (kinds := machine.kinds()) and all(kind["last_success"] for kind in kinds.values()), 600)
    time.sleep(3)
    dropbox.control("log/reset", {})
    before, began = _cpu_s(process.pid), time.perf_counter()
    time.sleep(seconds)
    share = 100 * (_cpu_s(process.pid) - before) / (time.perf_counter() - began)
    seen = sum(machine.requests().values())
    memory, peak = _memory_mib(process.pid, "VmRSS"), _memory_mib(process.pid, "VmHWM")
    _end(process)
    passes = _pass_cpu(machine)
    return [
        at_most(f"idle, {FILES_IDLE:,} files watched: of a core", share, "%", 1),
        Figure("idle: requests in that time", float(seen), "requests"),
        Figure("a pass over all of them, nothing changed", passes, "CPU s"),
        at_most("idle with such passes at the production intervals: of a core", share + 100 * passes / 300, "%", 1),
        at_most("idle: memory", memory, "MiB", 150),
        at_most("memory at most, its first upload of all of them included", peak, "MiB", 150),
    ]


def _pass_cpu(machine: Machine, passes: int = 5) -> float:
    """CPU seconds of one pass of every kind."""
    every = [w for kind in ("learning", "logs", "models") for w in _set(f"sync_interval_{kind}_seconds", 2)]
    process = machine.start("run", *every)
    (machine.home / "run.json").unlink(missing_ok=True)

    def made() -> int:
        return min(
            (int(str(kind["passes"])) for kind in machine.kinds().values() if kind["interval_s"] == 2), default=0
        )

    _until(lambda: made() >= 1)
    first, before = made(), _cpu_s(process.pid)
    _until(lambda: made() >= first + passes)
    spent, last = _cpu_s(process.pid) - before, made()
    _end(process)
    return spent / (last - first)


def run(options: argparse.Namespace) -> list[Figure]:
    """Measure."""
    figures = []
    with tempfile.TemporaryDirectory() as place, Emulator.start("--latency-ms", str(LATENCY_MS)) as dropbox:
        folder = Path(place)
        figures += _candles(dropbox, folder, options.data)
        for measure in (_loops, _change):
            dropbox.reset()
            figures += measure(dropbox, folder)
        dropbox.reset()
        figures.append(_heartbeat(dropbox, folder))
        dropbox.reset()
        figures += _idle(dropbox, folder, options.idle)
    return figures
