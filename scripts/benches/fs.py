"""`dropbox://`: requests, bytes, memory and seconds of what data tools do, at the latency of a real link."""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
from benches.figures import Figure, at_least, at_most

from huracan_sync import connect, restore
from huracan_sync.emulator.running import Emulator
from huracan_sync.fs import DropboxFileSystem
from huracan_sync.remote.http import Count

ABOUT = "dropbox:// (fsspec): requests, bytes, memory and seconds; beside dropboxdrivefs and s3fs (environment fs)"
BESIDE = ("dropboxdrivefs", "s3fs", "moto")
SCRIPTS = Path(__file__).resolve().parents[1]
MIB = 1024 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--latency-ms", type=float, default=80.0, metavar="N", help="of every answer")
    parser.add_argument("--alone", action="store_true", help="without dropboxdrivefs and s3fs")
    parser.add_argument("--mib", type=int, default=256, metavar="N", help="size of the long file")


def run(options: argparse.Namespace) -> list[Figure]:
    """Measure."""
    beside = [] if options.alone else _beside(options.latency_ms)
    with tempfile.TemporaryDirectory(prefix="bench-fs-") as name, Emulator.start("--port", "0") as dropbox:
        folder = Path(name)
        grant = dropbox.token()
        token = folder / "token"
        token.write_text(grant["refresh_token"])
        token.chmod(0o400)
        os.environ |= dropbox.env(folder / "home") | {
            "HURACAN_REFRESH_TOKEN_FILE": str(token),
            "HURACAN_APP_KEY": grant["app_key"],
        }
        dropbox.config(latency_ms=options.latency_ms)
        fs = DropboxFileSystem("engine", skip_instance_cache=True)
        fs.ls("/")
        return [*_tables(fs), *_small(fs), *_long(fs, folder, options.mib), *beside]


def _beside(latency_ms: float) -> list[Figure]:
    """The same work by others. They know Dropbox's own host names only, so they run where these lead to an emulator."""
    missing = [name for name in BESIDE if importlib.util.find_spec(name) is None]
    if missing:
        print(f"not beside others: {', '.join(missing)} is not installed (requirements/fs.txt)", file=sys.stderr)
        return []
    program = [sys.executable, str(SCRIPTS / "benches/programs/filesystems.py"), f"{latency_ms}"]
    command = [sys.executable, str(SCRIPTS / "real_clients.py"), "--latency-ms", f"{latency_ms}", "--", *program]
    env = {**os.environ, "PYTHONPATH": str(SCRIPTS.parent)}
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    print(_markdown(rows), file=sys.stderr)
    return [
        Figure(f"{row['work']}, {row['who']}{' (FAILS)' if row['error'] else ''}: {what}", row[what], unit)
        for row in rows
        for what, unit in (("requests", ""), ("seconds", "s"))
    ]


def _markdown(rows: list[dict[str, Any]]) -> str:
    """Seconds (requests) of each work and filesystem, the fastest in bold."""
    who = list(dict.fromkeys(row["who"] for row in rows))
    lines = [f"| seconds (requests) | {' | '.join(who)} |", f"| --- |{' ---: |' * len(who)}"]
    for work in dict.fromkeys(row["work"] for row in rows):
        raced = {row["who"]: row for row in rows if row["work"] == work}
        best = min((row["seconds"] for row in raced.values() if not row["error"]), default=0.0)
        cells = []
        for name in who:
            row = raced[name]
            text = f"{row['seconds']:.2f} ({row['requests']})"
            cells.append("fails" if row["error"] else f"**{text}**" if row["seconds"] == best else text)
        lines.append(f"| {work} | {' | '.join(cells)} |")
    lines += [f"fails: {row['work']}, {row['who']}: {row['error']}" for row in rows if row["error"]]
    return "\n".join(lines)


@contextmanager
def _spent(fs: DropboxFileSystem) -> Iterator[Callable[[], tuple[Count, float]]]:
    meter, began = fs.account.remote.wire.meter, time.monotonic()
    before = meter.read()
    yield lambda: (meter.read() - before, time.monotonic() - began)


def _forget(fs: DropboxFileSystem) -> None:
    fs.invalidate_cache()
    fs.account.kept.clear()


def _tables(fs: DropboxFileSystem) -> Iterator[Figure]:
    """One column of one file, and of fifty-six."""
    for n in range(56):
        rows = 90_000 if n == 0 else 2000
        columns = {
            name: pa.array(range(n, n + rows), pa.float64()) for name in ("open", "high", "low", "close", "volume")
        }
        with fs.open(f"/tables/{n:02}.parquet", "wb") as file:
            pyarrow.parquet.write_table(pa.table(columns), file, compression="none", use_dictionary=False)
    for name, path, requests in (("one file", "/tables/00.parquet", 3), ("56 files", "/tables", 67)):
        _forget(fs)
        with _spent(fs) as spent:
            pyarrow.dataset.dataset(path, filesystem=fs).to_table(columns=["close"])
        count, seconds = spent()
        yield at_most(f"a column of {name}: requests", count.requests, "", requests)
        yield Figure(f"a column of {name}: bytes", count.bytes_received, "B")
        yield Figure(f"a column of {name}: time", seconds, "s")


def _small(fs: DropboxFileSystem) -> Iterator[Figure]:
    with _spent(fs) as spent, fs.transaction:
        for n in range(200):
            fs.pipe(f"/set/{n}", b"x" * (1000 + n))
        for n in range(2):
            fs.pipe(f"/set/large{n}", bytes(20 * MIB))
    count, seconds = spent()
    yield at_most("a transaction of 202 files: requests", count.requests, "", 14)
    yield Figure("a transaction of 202 files: time", seconds, "s")


def _long(fs: DropboxFileSystem, folder: Path, mib: int) -> Iterator[Figure]:
    """A long file written and read as a stream, beside push and restore of the same."""
    piece = os.urandom(MIB)
    tracemalloc.start()
    with _spent(fs) as spent, fs.open("/long/file.bin", "wb") as file:
        for _ in range(mib):
            file.write(piece)
    peak = tracemalloc.get_traced_memory()[1] / MIB
    tracemalloc.stop()
    count, seconds = spent()
    yield at_most(f"{mib} MiB written: requests", count.requests, "", mib // 8 + 4)
    yield at_most(f"{mib} MiB written: peak memory", peak, "MiB", 100)
    yield Figure(f"{mib} MiB written: time", seconds, "s")
    _forget(fs)
    with _spent(fs) as spent, fs.open("/long/file.bin") as file:
        while file.read(MIB):
            pass
    read_s = spent()[1]
    remote = connect("engine")
    began = time.monotonic()
    restore("/long", folder / "restored", remote=remote, home=folder / "home2")
    restore_s = time.monotonic() - began
    yield Figure(f"{mib} MiB restored: time", restore_s, "s")
    yield at_least(f"{mib} MiB read in order, against restore", restore_s / read_s, "x", 0.8)
