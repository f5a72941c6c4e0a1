"""The trust files that keys of this machine began: kept here, because a root folder may not hold them yet.

One folder for each root id, in it the versions from 1 on, and which root folder they were sent to. Not secret; anybody
who changes them here changes what the next root folder is given, not what anybody believes: they are signed, and read
back by the rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from huracan_sync.disk.private_folder import Folder
from huracan_sync.manifest import sshsig, trust
from huracan_sync.manifest.refusals import refused
from huracan_sync.manifest.trust import Trust

FOLDER = "keys"
_PLACE = "place"
_BEGUN = "begun"
_MAX_PLACE = 4096


class Chain(NamedTuple):
    """Trust files from version 1 on, each following the one before."""

    files: tuple[bytes, ...]
    newest: Trust

    def names(self, public: bytes) -> bool:
        """Whether that key counts in the newest: as a root, or as one that signs channels."""
        key = self.newest.key(sshsig.key_id(public))
        return public in self.newest.roots or (key is not None and not self.newest.is_revoked(key.id))


def read(files: Sequence[bytes]) -> Chain:
    """The chain of these files. Raises `Refused` where one does not follow."""
    return Chain(tuple(files), trust.follow_all(trust.open(files[0]), files[1:]))


def kept(home: Path, public: bytes) -> dict[str, Chain]:
    """The chains in whose newest version that key counts, by the root folder they are for; `""`: of none yet.

    Raises:
        Refused: `TRUST_CHAIN`, versions are gone from one; or one does not follow; or its place is damaged.
    """
    try:
        folders = sorted((home / FOLDER).iterdir())
    except FileNotFoundError:
        return {}
    chains = [(_place(path), _read(path)) for path in folders]
    return {place: chain for place, chain in chains if chain is not None and chain.names(public)}


def keep(home: Path, chain: Chain, place: str) -> None:
    """Have these files on this machine, as those of a root folder; `place` is empty where they are of none yet."""
    folder = Folder(home / FOLDER / chain.newest.root_id.hex())
    for version, data in enumerate(chain.files, 1):
        if folder.read(_name(version), most=trust.FORM.max_size) != data:
            folder.write(_name(version), data)
    if place and folder.read(_PLACE, most=_MAX_PLACE) != place.encode():
        folder.write(_PLACE, place.encode())


def note_begun(home: Path, made: Trust) -> None:
    """This machine has made the id of that root folder: nobody has signed anything for it before."""
    Folder(home / FOLDER / made.root_id.hex()).write(_BEGUN, b"")


def is_begun_here(home: Path, known: Trust) -> bool:
    """Whether it is the first trust file of a root folder whose id this machine has made."""
    return known.version == 1 and Folder(home / FOLDER / known.root_id.hex()).read(_BEGUN, most=0) is not None


def _place(path: Path) -> str:
    try:
        return (Folder(path).read(_PLACE, most=_MAX_PLACE) or b"").decode()
    except UnicodeDecodeError as error:
        hint = "delete this file; it is written anew where the root folder's id tells that it is the one"
        raise refused("TRUST_CHAIN", f"{path / _PLACE} is damaged", hint=hint, path=str(path / _PLACE)) from error


def _read(path: Path) -> Chain | None:
    """The chain that lies in a folder; None where another process has just made the folder, and nothing lies in it."""
    there = {each.name for each in path.glob("*.hzt")}
    if there and _name(1) not in there:
        hint = "copy the missing ones from `.huracan/trust` of the root folder; or delete this folder, if it has none"
        raise refused("TRUST_CHAIN", f"{path} has {min(there)} and no version 1", hint=hint, path=str(path))
    return read(_files(Folder(path))) if there else None


def _files(folder: Folder) -> list[bytes]:
    files: list[bytes] = []
    while (data := folder.read(_name(len(files) + 1), most=trust.FORM.max_size)) is not None:
        files.append(data)
    return files


def _name(version: int) -> str:
    return f"{version}.hzt"
