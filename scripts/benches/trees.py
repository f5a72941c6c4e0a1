"""Folders to move: made of bytes that look like nothing else, and compared byte for byte afterwards."""

import hashlib
import random
from pathlib import Path

KIB, MIB = 1024, 1024 * 1024


def _chance(seed: object) -> random.Random:
    """The same bytes for the same seed; no secret."""
    return random.Random(str(seed))  # noqa: S311


def many_small(folder: Path, count: int, size: int = 2 * KIB, *, folders: int = 10, seed: int = 1) -> list[Path]:
    """`count` files of `size` bytes, spread over a few folders, as the engine's notes are; where they lie."""
    chance = _chance(seed)
    places = []
    for number in range(folders):
        (folder / f"symbol-{number:02d}").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        place = folder / f"symbol-{number % folders:02d}" / f"note-{number:06d}.json"
        place.write_bytes(chance.randbytes(size))
        places.append(place)
    return places


def change(places: list[Path], seed: int) -> None:
    """Other bytes in these files, as many as before."""
    chance = _chance(f"changed {seed}")
    for place in places:
        place.write_bytes(chance.randbytes(place.stat().st_size))


def one_large(folder: Path, size: int, *, name: str = "model.bin", seed: int = 1) -> Path:
    """One file of `size` bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = _chance(seed)
    with (folder / name).open("wb") as file:
        for at in range(0, size, 8 * MIB):
            file.write(chance.randbytes(min(8 * MIB, size - at)))
    return folder / name


def sums(folder: Path) -> dict[str, str]:
    """Path -> SHA-256 of everything in a folder, but for what starts with a dot."""
    found = {}
    for place in sorted(folder.rglob("*")):
        name = place.relative_to(folder).as_posix()
        if place.is_file() and not name.startswith("."):
            with place.open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def size(folder: Path) -> tuple[int, int]:
    """How many files, and how many bytes."""
    sizes = [place.stat().st_size for place in folder.rglob("*") if place.is_file()]
    return len(sizes), sum(sizes)
