"""The heavy figures of a push: large files against a link, a kill half-way, many processes."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benches import trees
from benches.figures import Figure, at_most
from benches.measured import served
from benches.ours import Ours

from huracan_sync.emulator.running import Emulator
from huracan_sync.tree.content_hasher import ContentHasher

MIB = trees.MIB
BIG = 256 * MIB
HUGE = 512 * MIB
PART = 8 * MIB


def large(folder: Path, mbit: float) -> Iterator[Figure]:
    """One large file over a link of so many megabits a second, and one with all the link there is."""
    link_s = BIG / (mbit * 125_000)
    with Emulator.start("--latency-ms", "80", "--bandwidth-mbit", str(mbit)) as dropbox:
        trees.one_large(folder / "src", BIG)
        machine = Ours(dropbox, folder / "machine")
        up = machine("push", folder / "src", "/Bench/large")
        down = machine("restore", "/Bench/large", folder / "dst")
        if trees.sums(folder / "dst") != trees.sums(folder / "src"):
            raise RuntimeError("what was restored is not what was pushed")
        title = f"80 ms, {mbit:g} Mbit/s: 256 MiB"
        yield at_most(f"{title} up", up.seconds / link_s, "x the link's own time", 1.3)
        yield at_most("", up.peak_mib, "MiB at most", 100)
        yield at_most(f"{title} down", down.seconds / link_s, "x the link's own time", 1.3)
        yield at_most("", down.peak_mib, "MiB at most", 100)
    shutil.rmtree(folder)
    with Emulator.start() as dropbox:
        place = trees.one_large(folder / "src", HUGE)
        machine = Ours(dropbox, folder / "machine")
        (folder / "nothing").mkdir()
        idle = machine("push", folder / "nothing", "/Bench/nothing")
        _warm(folder / "warm")
        hashing = _cost_of_hashing(place)
        up = machine("push", folder / "src", "/Bench/large")
        down = machine("restore", "/Bench/large", folder / "dst")
        yield at_most("512 MiB up", up.peak_mib, "MiB at most", 100)
        yield at_most("", (up.cpu_s - idle.cpu_s - hashing) / (HUGE / 1e9), "CPU s a GB beside hashing", 1.5)
        yield at_most("512 MiB down", down.peak_mib, "MiB at most", 100)
        yield at_most("", (down.cpu_s - idle.cpu_s - hashing) / (HUGE / 1e9), "CPU s a GB beside hashing", 1.5)
    shutil.rmtree(folder)


def _warm(place: Path) -> None:
    """Have the system hand out its memory once: on a virtual machine the first touch of it costs more than the work."""
    with place.open("wb") as file:
        for _ in range(3 * HUGE // PART):
            file.write(bytes(PART))
    place.unlink()


def _cost_of_hashing(place: Path) -> float:
    """CPU seconds to read a file and hash it, and no more."""
    began = time.process_time()
    hasher, buffer = ContentHasher(), bytearray(4 * MIB)
    with place.open("rb", buffering=0) as file:
        while size := file.readinto(buffer):
            hasher.update(memoryview(buffer)[:size])
    hasher.digest()
    return time.process_time() - began


def _moved(dropbox: Emulator, verb: str, folder: Path) -> int:
    """Bytes that a push has sent in whole calls, or a restore has written so far: its calls are long."""
    if verb == "push":
        return int(dropbox.log(recent=0)["uploaded_bytes"])
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def kill(folder: Path, mbit: float) -> Iterator[Figure]:
    """SIGKILL half-way through a large file, then the same command again; up and down."""
    for link in (200.0, mbit):
        with Emulator.start("--latency-ms", "80", "--bandwidth-mbit", str(link)) as dropbox:
            trees.one_large(folder / "src", BIG)
            machine = Ours(dropbox, folder / "machine")
            for verb, words, way in (
                ("push", (folder / "src", "/Bench/large"), "uploaded"),
                ("restore", ("/Bench/large", folder / "dst"), "downloaded"),
            ):
                with served(dropbox) as seen:
                    running = machine.start(verb, *words)
                    while _moved(dropbox, verb, folder / "dst") < BIG // 2:
                        time.sleep(0.02)
                        if running.poll() is not None:
                            raise RuntimeError(f"{verb} ended before it could be killed")
                    running.kill()
                    running.wait()
                    machine(verb, *words)
                twice = (getattr(seen, way) - BIG) / MIB
                # Up: a part of 8 MiB, and what the line holds while an answer is awaited. Down: a block a range.
                aim = (PART + link * 125_000 * 0.08) / MIB if verb == "push" else 16
                yield at_most(f"{link:g} Mbit/s: kill -9 half-way, {verb} again", twice, "MiB twice", aim)
            if trees.sums(folder / "dst") != trees.sums(folder / "src"):
                raise RuntimeError("what was restored is not what was pushed")
        shutil.rmtree(folder)


def tokens(folder: Path) -> Iterator[Figure]:
    """Eight processes of sixteen threads find at the same moment that their token has expired."""
    program = Path(__file__).parent / "programs" / "together.py"
    with Emulator.start() as dropbox:
        machine = Ours(dropbox, folder / "machine")
        (folder / "nothing").mkdir()
        machine("push", folder / "nothing", "/Bench/nothing")
        dropbox.advance(5 * 3600)
        with served(dropbox) as seen:
            moment = time.time() + 3.0
            command = [sys.executable, os.fspath(program), str(moment)]
            asking = [subprocess.Popen(command, env=machine.env) for _ in range(8)]
            if any([process.wait() for process in asking]):  # noqa: C419  wait for all of them
                raise RuntimeError("an answer failed; it is said above")
        yield at_most("8 processes x 16 threads, token expired", seen.token_requests, "refreshes", 1)
