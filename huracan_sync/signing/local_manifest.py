"""The signed manifest of a local folder: the head and the body that say what the last push or verified restore left.

Kept whole on this disk, one file a folder, so that `verify LOCAL` needs no network. It proves nothing by itself: it is
judged again, by the keys that are trusted at that time, whenever it is read.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from huracan_sync.disk.atomic_write import write_file
from huracan_sync.disk.files import Root
from huracan_sync.errors import HuracanError, NotFound
from huracan_sync.manifest import body, head_history, trust
from huracan_sync.manifest.checks import Mark
from huracan_sync.manifest.entries import Item
from huracan_sync.manifest.head import Opened
from huracan_sync.manifest.refusals import refused
from huracan_sync.manifest.trust import Trust
from huracan_sync.reader.cache import blob_cache
from huracan_sync.reader.trust_store import Channel, TrustStore
from huracan_sync.tree.entry import Entry, Tree, tree
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.layout import candle_view
from huracan_sync.tree.paths import RelPath, below

ARRANGEMENTS: dict[str, Callable[[Path], Root]] = {"": lambda folder: folder, "candles": candle_view}
"""How a folder on disk is read, by what its manifest calls it."""


class LocalManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was signed of a folder."""

    place: str
    """The service, account and root folder: whom to trust is known for each."""
    prefix: str
    """The remote folder below that root."""
    channel: str
    head: bytes
    """The head file."""
    parts: Mapping[bytes, bytes]
    """The files of the list, by SHA-256."""
    arranged: str = ""
    """Which arrangement the local folder has; empty: the names here are those in Dropbox."""
    absent: tuple[str, ...] = ()
    """Folded paths below the folder that are listed and were not brought here: others have published them."""
    v: Literal[1] = 1

    def open(self, known: Trust) -> tuple[Opened, list[Item]]:
        """What it says, judged by whom is trusted now. Its age is no reason to refuse it.

        Raises:
            Refused: nobody who counts has signed it, or it was damaged.
        """
        opened = head_history.past(self.head, trust=known, channel=self.channel)
        return opened, body.read(opened.head, known.policy(self.channel), self._part)

    def _part(self, sha256: bytes, length: int) -> bytes:
        data = self.parts.get(sha256)
        if data is None:
            raise refused("BODY_MISSING", "the manifest lacks a part of its body", sha256=sha256.hex())
        body.check_part(data, sha256, length)
        return data


_decoder = msgspec.msgpack.Decoder(LocalManifest)


def arrangement(disk: Path | FolderView) -> str | None:
    """What a manifest calls the arrangement of a folder; None for one that only its caller can tell."""
    name = disk.name if isinstance(disk, FolderView) else ""
    return name if name in ARRANGEMENTS else None


def recall(store: TrustStore, channel: str, place: str, prefix: str, held: Tree) -> LocalManifest | None:
    """The newest list that this machine has seen of a channel, where it says of a folder exactly what is held there.

    No network. None also where nothing was seen, or nobody who counts has signed it.
    """
    with contextlib.suppress(HuracanError):
        state = store.load()
        known = state.channels[channel] if channel in state.channels else Channel(Mark(0, 0, b""))
        here = blob_cache(store.folder, channel)
        parts = {sha256: data for sha256 in known.parts if (data := here.part(sha256)) is not None}
        local_manifest = LocalManifest(place, prefix, channel, known.head, parts)
        _, items = local_manifest.open(trust.open(state.trust))
        listed = tree(below_prefix(prefix, (item.entry() for item in items)))
        if {key: _content(entry) for key, entry in listed.items()} == {k: _content(e) for k, e in held.items()}:
            return local_manifest
    return None


def below_prefix(prefix: str, entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries below a folder, relative to it."""
    for entry in entries:
        path = below(prefix, entry.path)
        if path:
            yield msgspec.structs.replace(entry, path=RelPath(path))


def _content(entry: Entry) -> tuple[int, bytes]:
    return entry.size, entry.content_hash


def keep(home: Path, local: Path, local_manifest: LocalManifest) -> None:
    """This is what the folder holds now. On disk when the call returns.

    Raises:
        DiskFull, LocalFailure: it could not be written; the one before stays.
    """
    folder, name = home / "statements", _name(local)
    write_file(folder / name, msgspec.msgpack.encode(local_manifest))


def find(home: Path, local: Path) -> LocalManifest:
    """The manifest of a local folder, not judged yet.

    Raises:
        NotFound: there is none.
    """
    with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
        return _decoder.decode((home / "statements" / _name(local)).read_bytes())
    raise NotFound(
        f"no signed manifest of {local} is on this machine",
        hint="a push leaves one where there is a key (`huracan-sync keys init`), and so does `restore --channel`",
        path=str(local),
    )


def _name(local: Path) -> RelPath:
    return RelPath(f"{hashlib.sha256(str(local).encode('utf-8', 'surrogateescape')).hexdigest()[:32]}.hzs")
