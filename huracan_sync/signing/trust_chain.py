"""The trust files that keys of this machine began: kept here, because a root folder may not hold them yet.

One folder for each first root key, in it the versions from 1 on. Not secret; whoever changes them here changes what the
next root folder is given, not what anybody believes: they are signed, and read back by the rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from huracan_sync.disk.private_folder import Folder
from huracan_sync.manifest import sshsig, trust
from huracan_sync.manifest.trust import Trust

FOLDER = "keys"


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
    newest = trust.open(files[0])
    for data in files[1:]:
        newest = trust.follow(newest, data)
    return Chain(tuple(files), newest)


def find(home: Path, public: bytes) -> Chain | None:
    """The chain on this machine in whose newest version that key counts."""
    try:
        folders = sorted((home / FOLDER).iterdir())
    except FileNotFoundError:
        return None
    for folder in folders:
        files = _files(Folder(folder))
        chain = read(files) if files else None
        if chain is not None and chain.names(public):
            return chain
    return None


def keep(home: Path, chain: Chain) -> None:
    """Have these files on this machine."""
    first = trust.open(chain.files[0])
    folder = Folder(home / FOLDER / sshsig.key_id(first.roots[0]).hex())
    for version, data in enumerate(chain.files, 1):
        if folder.read(_name(version), most=trust.FORM.max_size) != data:
            folder.write(_name(version), data)


def _files(folder: Folder) -> list[bytes]:
    files: list[bytes] = []
    while (data := folder.read(_name(len(files) + 1), most=trust.FORM.max_size)) is not None:
        files.append(data)
    return files


def _name(version: int) -> str:
    return f"{version}.hzt"
