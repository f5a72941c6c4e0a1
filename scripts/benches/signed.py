"""What trust costs: verifying a signed list, looking for news, reading verified bytes, waiting for a new set."""

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from benches.figures import Figure, at_least, at_most
from benches.measured import served
from benches.ours import Ours

from huracan_sync.auth.connect import connect
from huracan_sync.emulator.running import Emulator
from huracan_sync.hamilton import Hamilton
from huracan_sync.manifest import body, body_writer, head, signed_files, trust
from huracan_sync.manifest.default_policy import first_trust
from huracan_sync.manifest.entries import Item
from huracan_sync.manifest.signer import Signer
from huracan_sync.operations.publish import publish
from huracan_sync.operations.push import push
from huracan_sync.reader import Snapshot
from huracan_sync.remote.source import RemoteSource

ABOUT = "trust: verifying lists, looking for news, reading verified bytes, waiting for a new set"
NOW = 1_763_600_000_000
AIMS = {10_000: (0.025, None), 100_000: (0.150, None), 1_000_000: (1.5, 700)}
"""By the number of entries: seconds, MiB at most."""
LARGE = 256 << 20
ROUNDS = 7
LATENCY_MS = 80
ROOT = Path(__file__).resolve().parents[2]


class Manifest(msgspec.Struct):
    """Everything there is to verify."""

    trust: bytes
    head: bytes
    parts: dict[bytes, bytes]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help="readings of each way; medians count")


def run(options: argparse.Namespace) -> list[Figure]:
    """Measure."""
    figures = [*_lists()]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        figures += _reading(place / "near", options.rounds)
        figures += _reading(place / "far", options.rounds, mbit=1000)
        figures += _news(place / "news")
    return figures


# --- lists ------------------------------------------------------------------------------------------------------


def _lists() -> Iterator[Figure]:
    """From the bytes of head and body to entries one may read. Each size in a process of its own, for its memory."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "scripts")))}
    with tempfile.TemporaryDirectory() as folder:
        for count, (most_s, most_mib) in AIMS.items():
            place = str(Path(folder) / str(count))

            _child(env, "--write", place, str(count))
            done = json.loads(_child(env, "--read", place))
            yield at_most(f"verify a list of {count:,} entries", done["seconds"] * 1000, "ms, median", most_s * 1000)
            yield Figure("", done["cpu_s"] * 1000, "ms of CPU, median")
            if most_mib:
                yield at_most("", done["peak_mib"], "MiB at most", most_mib)
            yield Figure("", done["packed_mb"], "MB, packed")


def _child(env: dict[str, str], *words: str) -> bytes:
    return subprocess.run([sys.executable, __file__, *words], env=env, check=True, stdout=subprocess.PIPE).stdout


def _write(place: Path, count: int) -> None:
    """A signed list of `count` candle files."""
    chance = random.Random(count)  # noqa: S311 - the same in every run
    items = (
        Item(
            f"data/candles/S{n // 100:05d}/BTC-USDT_{n % 100:03d}_20250101_20250601.parquet",
            chance.randrange(4 << 20),
            chance.randbytes(32),
            f"01{chance.randrange(1 << 52):013x}{chance.randrange(1 << 32):08x}",
            NOW + n,
            1,
        )
        for n in range(count)
    )
    signer = Signer(bytes(32))
    made = body_writer.encode("candles", items)
    said = head.Head(
        channel="candles",
        epoch=1,
        seq=1,
        created_ms=NOW,
        expires_ms=NOW + 3_600_000,
        trust_version=1,
        prev=head.FIRST,
        body_sha256=made.sha256,
        body_len=len(made.data),
        raw_len=made.raw_len,
        entry_count=count,
        publisher="bench",
    )
    signed = signed_files.sign_trust(first_trust(signer.public, root_id=bytes(16), now_ms=NOW), [signer])
    parts = {part.sha256: part.data for part in made.parts()}
    place.write_bytes(msgspec.msgpack.encode(Manifest(signed, signed_files.sign_head(said, [signer]), parts)))


def _read(place: Path) -> dict[str, float]:
    """Verify it some times; the median, and the peak memory of this process."""
    manifest = msgspec.msgpack.decode(place.read_bytes(), type=Manifest)
    packed = sum(map(len, manifest.parts.values()))
    seconds, cpu = [], []
    for _ in range(15 if packed < 10 << 20 else 3):
        items = None
        began, cpu_began = time.perf_counter(), time.process_time()
        held = trust.open(manifest.trust)
        opened = head.open(manifest.head, trust=held, channel="candles", now_ms=NOW)
        items = body.read(opened.head, held.policy("candles"), lambda sha256, _: manifest.parts[sha256])
        seconds.append(time.perf_counter() - began)
        cpu.append(time.process_time() - cpu_began)
        if len(items) != opened.head.entry_count:
            raise RuntimeError("the list is not whole")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    middle = {"seconds": statistics.median(seconds), "cpu_s": statistics.median(cpu)}
    return middle | {"peak_mib": peak, "packed_mb": packed / 1e6}


# --- reading ----------------------------------------------------------------------------------------------------


def _reading(folder: Path, rounds: int, *, mbit: float = 0) -> Iterator[Figure]:
    """One large file over the same source, as it comes and verified, in turns."""
    link = ["--latency-ms", str(LATENCY_MS), "--bandwidth-mbit", str(mbit)] if mbit else []
    title = f"a file of 256 MiB, {LATENCY_MS} ms, {mbit:g} Mbit/s" if mbit else "a file of 256 MiB, no link between"
    with Emulator.start(*link) as dropbox:
        snapshot, source = _published(dropbox, folder)
        item = snapshot.item("large.bin")
        plain, proved = [], []
        for _ in range(rounds):
            plain.append(_seconds(lambda: _unverified(source, f"rev:{item.rev}", item.size)))
            proved.append(_seconds(lambda: snapshot.read("large.bin")))
    unverified, verified = (LARGE / 1e6 / statistics.median(each) for each in (plain, proved))
    yield Figure(f"{title}, unverified", unverified, "MB/s, median")
    yield Figure("verified", verified, "MB/s, median")
    share = verified / unverified * 100
    # With nothing between, what is left to compare is a copy of memory and SHA-256 at some 1.7 GB/s.
    yield at_least("", share, "% of unverified", 90) if mbit else Figure("", share, "% of unverified")


def _published(dropbox: Emulator, folder: Path) -> tuple[Snapshot, RemoteSource]:
    """A large file in a signed list, and who reads it."""
    machine = Ours(dropbox, folder)
    machine.make_keys()
    (folder / "src").mkdir()
    with (folder / "src/large.bin").open("wb") as file:
        for _ in range(LARGE >> 20):
            file.write(os.urandom(1 << 20))
    machine("push", folder / "src", "/Runpodhuracan", "--channel", "large")
    source = RemoteSource(connect(env=machine.env))
    hamilton = Hamilton.open(source=source, home=machine.home, place=source.place, keep_set=0)
    return hamilton.latest("large"), source


def _unverified(source: RemoteSource, place: str, size: int) -> bytes:
    """The same bytes by the same calls, believed."""
    with source.stream(place, 0, size) as pieces:
        return b"".join(pieces)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


# --- news -------------------------------------------------------------------------------------------------------


def _news(folder: Path) -> Iterator[Figure]:
    """Looking for news, proving a folder, waiting for a new set: all at some distance."""
    with Emulator.start("--latency-ms", str(LATENCY_MS)) as dropbox:
        machine = Ours(dropbox, folder)
        machine.make_keys()
        source = folder / "src"
        _set(source, b"1")
        remote = connect(env=machine.env)
        keys = {"HURACAN_SIGNING_KEY_FILE": machine.env["HURACAN_SIGNING_KEY_FILE"]}
        os.environ |= keys
        publish(source, remote=remote, home=machine.home)
        mine = RemoteSource(remote)
        hamilton = Hamilton.open(source=mine, home=folder / "hamilton", place=mine.place)
        hamilton.pin(json.loads(machine("keys", "show").out)["pinned"])
        hamilton.latest()
        with served(dropbox) as seen:
            unchanged = statistics.median(_seconds(hamilton.latest) for _ in range(ROUNDS))
        yield at_most(f"{LATENCY_MS} ms: latest() when nothing changed", seen.requests / ROUNDS, "requests", 1)
        yield Figure("", unchanged * 1000, "ms, median")
        yield from _verify(dropbox, machine, folder)
        yield at_most(
            f"{LATENCY_MS} ms: a set of 13 files reaches who follows", _reaching(hamilton, source, machine), "s", 2
        )
        for name in keys:
            del os.environ[name]


def _set(folder: Path, content: bytes) -> None:
    """Twelve models and a roster."""
    for n in range(12):
        model = folder / f"models/champions/latest/C{n}USDT.bin"
        model.parent.mkdir(parents=True, exist_ok=True)
        model.write_bytes(content * 100_000 + b"%d" % n)
    roster = folder / "hamilton/roster.json"
    roster.parent.mkdir(parents=True, exist_ok=True)
    roster.write_bytes(b'{"symbols": []}')


def _verify(dropbox: Emulator, machine: Ours, folder: Path) -> Iterator[Figure]:
    """A pushed folder of 1,000 files, as a command."""
    for n in range(1000):
        (folder / "many").mkdir(exist_ok=True)
        (folder / f"many/{n}.json").write_bytes(b"%d" % n * 100)
    push(folder / "many", "/Runpodhuracan/many", remote=connect(env=machine.env), home=machine.home)
    ran = []
    for _ in range(3):
        with served(dropbox) as seen:
            ran.append(machine("verify", "/Runpodhuracan/many").seconds)
        yield (
            at_most("verify 1,000 remote files", seen.requests, "requests", 2)
            if len(ran) == 1
            else Figure("again", seen.requests, "requests")
        )
    yield Figure("", statistics.median(ran), "s as a command, median")


def _reaching(hamilton: Hamilton, source: Path, machine: Ours) -> float:
    """Seconds from the first byte of a publish until who follows has the set, verified."""
    had, stop = threading.Event(), threading.Event()
    at: list[float] = []

    def follow() -> None:
        for snapshot in hamilton.follow(stop=stop.is_set):
            at.append(time.perf_counter())
            had.set()
            if len(at) == 2 and len(snapshot) == 13:
                return

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    had.wait(30)
    had.clear()
    time.sleep(1)  # he waits for news
    _set(source, b"2")
    remote = connect(env=machine.env)
    remote.tokens.token()
    began = time.perf_counter()
    publish(source, remote=remote, home=machine.home)
    if not had.wait(30):
        stop.set()
        raise TimeoutError("the new set never came")
    thread.join(10)
    return at[1] - began


if __name__ == "__main__":
    if sys.argv[1] == "--write":
        _write(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        print(json.dumps(_read(Path(sys.argv[2]))))
