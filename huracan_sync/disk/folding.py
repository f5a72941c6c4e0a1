"""Disks that find one file under two names: most of those of macOS fold case and accents further than Dropbox does.

On such a disk a name that opens is not proof that the file is the one that was meant. The others pay one question.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from huracan_sync.errors import LocalFailure
from huracan_sync.tree.paths import PART_PREFIX, PART_SUFFIX, fold

HINT = "rename one of the two in Dropbox, or restore to a disk that tells them apart"


def is_folding(root: Path) -> bool:
    """Whether the folder, or the nearest above it that exists, finds its entries in another case too.

    Where no name in it can tell, a file of ours is made for it, and removed. The names of other disks tell nothing.
    """
    folder = root.absolute()
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    try:
        device = folder.stat().st_dev
        with os.scandir(folder) as entries:
            for name in (entry.name for entry in entries if _other_case(entry.name) != entry.name):
                if os.lstat(folder / name).st_dev == device:
                    return _is_found(folder / name, folder / _other_case(name))
        with tempfile.NamedTemporaryFile(prefix=PART_PREFIX, suffix=PART_SUFFIX, dir=folder) as probe:
            made = Path(probe.name)
            return _is_found(made, made.with_name(_other_case(made.name)))
    except OSError:
        return False


def refuse_another(folder: int, name: str, above: str = "") -> None:
    """Accept what the open folder finds as `name`, unless it is a file or folder that Dropbox tells from it.

    Args:
        folder: the folder.
        name: the name in it.
        above: the folder's path with a slash at its end, for the error.

    Raises:
        LocalFailure: it is another's.
        OSError: the folder cannot be read.
    """
    if not _is_found(name, _other_case(name), folder):
        return
    names = os.listdir(folder)
    if any(fold(other) == fold(name) for other in names):
        return
    for other in names:
        if _is_found(name, other, folder):
            raise one_to_this_disk(above + name, above + other, "the one that is here stays")


def refuse_another_way(folder: Path) -> None:
    """Accept the way to a folder, unless one of the folders on it has another name in Dropbox than it has here.

    Raises:
        LocalFailure: one has.
        OSError: a folder cannot be read.
    """
    for here in (folder, *folder.parents):
        if here.name and _is_found(here, here.with_name(_other_case(here.name))):
            above = os.open(here.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                refuse_another(above, here.name, f"{here.parent}/")
            finally:
                os.close(above)


def one_to_this_disk(path: str, other: str, outcome: str = "neither was written") -> LocalFailure:
    """The error for a file that cannot lie beside another one here."""
    message = f"{path} and {other} are two names in Dropbox and one to this disk; {outcome}"
    return LocalFailure(message, hint=HINT, path=path)


def _other_case(name: str) -> str:
    return "".join(other if len(other := one.swapcase()) == 1 else one for one in name)


def _is_found(name: str | Path, other: str | Path, folder: int | None = None) -> bool:
    """Whether both names lead to the same thing."""
    if name == other:
        return False
    try:
        found = [os.stat(one, dir_fd=folder, follow_symlinks=False) for one in (other, name)]
    except OSError:
        return False
    return os.path.samestat(*found)
