"""What a folder holds."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

import msgspec

from huracan_sync.disk.files import Root, Stamp, local_failure
from huracan_sync.errors import HostilePath, HuracanError, LocalFailure, UsageError
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.paths import RelPath, check, fold, is_part, never_synced


class Found(msgspec.Struct, frozen=True, gc=False):
    """A file on disk, not yet read."""

    path: RelPath
    stamp: Stamp


class Problem(msgspec.Struct, frozen=True):
    """A file or folder that could not be taken into account; its state is unclear, not gone."""

    path: str
    error: HuracanError


class Scan(msgspec.Struct):
    """What a folder holds: files by their path, and what could not be read."""

    files: dict[RelPath, Stamp]
    problems: list[Problem]
    parts: list[str] = []
    """Half-written files of ours, of this run or a dead one."""
    others: list[str] = []
    """Symbolic links, sockets and the like: not followed, not read."""

    def unclear(self) -> frozenset[str]:
        """Folded paths about which nothing is known."""
        return frozenset(fold(problem.path) for problem in self.problems)


def _renamed(root: FolderView, scanned: Scan) -> Scan:
    """A scan under the names of the view. Of several files with one name, that in its place counts, else the newest."""
    files: dict[RelPath, Stamp] = {}
    ranks: dict[str, tuple[bool, int]] = {}
    for path, stamp in scanned.files.items():
        other = root.there(path)
        key, rank = fold(other), (path == root.here(other), stamp.mtime_ns)
        if rank > ranks.get(key, (not root.takes_strays, -1)):
            ranks[key], files[other], root.strays[other] = rank, stamp, path
    return Scan(files, scanned.problems, others=scanned.others)


def _asked_by_other_name(root: FolderView, wanted: Callable[[str], bool]) -> Callable[[str], bool]:
    def asked(path: str) -> bool:
        with contextlib.suppress(HostilePath):  # the scan reports it
            path = root.there(path)
        return wanted(path)

    return asked


def scan(root: Root, *, wanted: Callable[[str], bool] | None = None, is_flat: bool = False) -> Scan:
    """Every regular file below `root`.

    Args:
        root: an existing folder (it may itself be reached through a symbolic link).
        wanted: asked with each relative path; files it declines are passed over, as are symbolic links, sockets, the
            names Dropbox never takes (`.DS_Store`, ...) and our own half-written files.
        is_flat: only files directly in `root`.

    Raises:
        UsageError: there is no such folder.
        LocalFailure: it cannot be read, or was moved away meanwhile.
    """
    if isinstance(root, FolderView):
        asked = wanted and _asked_by_other_name(root, wanted)
        return _renamed(root, scan(root.path, wanted=asked, is_flat=root.is_flat))
    result = Scan({}, [])
    try:
        before = root.stat()
        _scan_folder(os.fspath(root), "", result, wanted, is_flat=is_flat)
        now = root.stat()
    except NotADirectoryError as error:
        raise UsageError(f"{root} is a file, not a folder", hint="name the folder that holds it") from error
    except FileNotFoundError as error:
        raise UsageError(f"there is no folder {root}", hint="check the spelling and where you are") from error
    except OSError as error:
        raise local_failure(error, str(root), "read") from error
    if (now.st_dev, now.st_ino) != (before.st_dev, before.st_ino):
        hint = "run it again when the folder is in its place"
        raise LocalFailure(f"{root} was replaced by another folder while it was read", hint=hint, path=str(root))
    return result


def _scan_folder(
    folder: str, prefix: str, result: Scan, wanted: Callable[[str], bool] | None, *, is_flat: bool = False
) -> None:
    names: dict[str, str] = {}
    folders: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if is_part(name):
                result.parts.append(prefix + name)
                continue
            if never_synced(name):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(name)
            elif not _take_file(entry, prefix + name, result, wanted):
                continue
            _note_twins(names, name, prefix, result)
    unclear = {problem.path for problem in result.problems}
    for name in () if is_flat else folders:
        if prefix + name in unclear:
            continue  # it has a twin
        try:
            _scan_folder(f"{folder}/{name}", f"{prefix}{name}/", result, wanted)
        except FileNotFoundError:
            continue  # gone since its parent was listed
        except OSError as error:
            result.problems.append(Problem(prefix + name, local_failure(error, prefix + name, "read")))


def _take_file(entry: os.DirEntry[str], path: str, result: Scan, wanted: Callable[[str], bool] | None) -> bool:
    """Note a file or the problem with it; False when it is none of our business."""
    if wanted is not None and not wanted(path):
        return False
    if not entry.is_file(follow_symlinks=False):
        result.others.append(path)
        return False
    try:
        result.files[check(path)] = Stamp.of(entry.stat(follow_symlinks=False))
    except HostilePath as error:
        result.problems.append(Problem(path, error))
        return False
    except FileNotFoundError:
        return False
    except OSError as error:
        result.problems.append(Problem(path, local_failure(error, path, "read")))
        return False
    return True


def _note_twins(names: dict[str, str], name: str, prefix: str, result: Scan) -> None:
    """Two names that Dropbox cannot hold side by side: neither is synced, both are reported."""
    twin = names.setdefault(fold(name), name)
    if twin == name:
        return
    for one, other in ((twin, name), (name, twin)):
        result.files.pop(RelPath(prefix + one), None)
        error = LocalFailure(
            f"{prefix}{one} and {prefix}{other} differ only in case or accents; Dropbox can hold one of them",
            hint="rename one of the two",
            path=prefix + one,
        )
        result.problems.append(Problem(prefix + one, error))
