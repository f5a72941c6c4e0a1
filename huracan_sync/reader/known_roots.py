"""What this machine knows of all root folders: whose states end soon, which pins it holds. No network."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec

from huracan_sync.disk.sqlite import Database
from huracan_sync.manifest.trust import Pin
from huracan_sync.reader.trust_store import State, TrustStore, decoder, pinned_by, seal_of


def known(home: Path) -> Iterator[State]:
    """What is known of each root folder on this machine. What cannot be read is passed over."""
    for file in sorted((home / "trust").glob("*/seen.db")):
        with contextlib.suppress(sqlite3.Error, msgspec.DecodeError, UnicodeDecodeError, MemoryError):
            with contextlib.closing(Database(file, "ro", wait_s=5.0)) as db:
                document, seal = next(iter(db.execute("SELECT document, seal FROM seen")), (b"", b""))
            if seal == seal_of(document):
                yield decoder.decode(document)


def places(home: Path) -> set[str]:
    """Which root folders are pinned on this machine, whatever became of what was seen of them since."""
    noted = {place for marker in (home / "trust").glob("*/pinned") if (place := _place_by(home, marker))}
    return noted | {state.place for state in known(home)}


def _place_by(home: Path, marker: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError, ValueError):
        _, place, _ = marker.read_text(encoding="utf-8").rstrip("\n").split("\n")
        if TrustStore(home, place).folder.name == marker.parent.name:
            return place
    return ""


def pinned(home: Path) -> list[Pin]:
    """What was pinned on this machine, for each root folder."""
    return [pin for marker in sorted((home / "trust").glob("*/pinned")) if (pin := pinned_by(marker))]
