"""Very many tiny files: what a push, an unchanged push and a verified restore cost in seconds, memory and journal."""

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benches import trees
from benches.figures import Figure, at_most
from benches.measured import served
from benches.ours import Ours

from huracan_sync.emulator.running import Emulator

ABOUT = "very many tiny files: seconds, peak memory, journal (minutes; a million take 12 GiB of --folder)"
MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 - only the default, and a folder of its own is made in it
BYTES_IN_A_FILE = 64
FILES_IN_A_FOLDER = 50
PATIENCE_S = 4 * 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--files", type=int, default=1_000_000, metavar="N", help="how many")
    default = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
    parser.add_argument("--folder", type=Path, default=default, metavar="DIR", help=f"work there ({default})")


def run(options: argparse.Namespace) -> list[Figure]:
    """Measure. Each figure is also shown as soon as it is known."""
    figures = []
    with tempfile.TemporaryDirectory(prefix="bench-scale-", dir=options.folder) as name, Emulator.start() as dropbox:
        for figure in _measured(Path(name), dropbox, options.files):
            print(f"{figure.name}: {figure.value:,.4g} {figure.unit}", file=sys.stderr, flush=True)
            figures.append(figure)
    return figures


def _measured(folder: Path, dropbox: Emulator, count: int) -> Iterator[Figure]:
    src, dst, remote = folder / "src", folder / "dst", "/Runpodhuracan/many"
    trees.many_small(src, count, BYTES_IN_A_FILE, folders=-(-count // FILES_IN_A_FOLDER))
    machine, other = (Ours(dropbox, folder / name, patience_s=PATIENCE_S) for name in ("machine", "other"))
    other.env["HURACAN_ROOT_PIN"] = machine.make_keys()

    title = f"{count:,} files, first push, signed"
    with served(dropbox) as seen:
        first = machine("push", src, remote)
    yield Figure(f"{title}: time", first.seconds, "s")
    yield Figure(f"{title}: processor", first.cpu_s, "s")
    yield Figure(f"{title}: requests", seen.requests, "")
    yield at_most(f"{title}: peak memory", first.peak_mib, "MiB", 500)
    yield at_most(f"{title}: journal", machine.state_bytes / count, "bytes a file", 300)

    title = f"{count:,} files, nothing changed"
    with served(dropbox) as seen:
        again = machine("push", src, remote)
    yield at_most(f"{title}: time", again.seconds, "s", 15)
    yield Figure(f"{title}: processor", again.cpu_s, "s")
    yield at_most(f"{title}: requests", seen.requests, "", 2)
    yield at_most(f"{title}: peak memory", again.peak_mib, "MiB", 300)

    expected = _digest(src)
    shutil.rmtree(src)
    title = f"{count:,} files, restored, verified"
    with served(dropbox) as seen:
        restored = other("restore", remote, dst, "--channel", "many")
    if _digest(dst) != expected:
        raise RuntimeError("what was restored is not what was pushed")
    yield Figure(f"{title}: time", restored.seconds, "s")
    yield Figure(f"{title}: processor", restored.cpu_s, "s")
    yield Figure(f"{title}: requests", seen.requests, "")
    yield at_most(f"{title}: peak memory", restored.peak_mib, "MiB", 500)
    yield at_most(f"{title}: journal", other.state_bytes / count, "bytes a file", 300)


def _digest(folder: Path) -> str:
    """One digest of all names and contents, in little memory however many there are."""
    hasher = hashlib.sha256()
    for at, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            place = Path(at, name)
            data = place.read_bytes()
            hasher.update(f"{place.relative_to(folder)}\0{len(data)}\0".encode() + data)
    return hasher.hexdigest()
