"""What a folder holds."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import unicodedata
from collections.abc import Callable, Iterator

import msgspec

from huracan_sync.disk.files import Root, Stamp, open_inner
from huracan_sync.errors import ConfigError, HostilePath, HuracanError, LocalFailure, UsageError, local_failure
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.never_synced import never_synced
from huracan_sync.tree.paths import MAX_DEPTH, RelPath, check, fold, is_part

MOST_OPEN = 64
"""Folders open at once while a folder that is not synced is looked through."""
SORTED = 10_000
"""Entries of a folder that are put in order at once."""


class Problem(msgspec.Struct, frozen=True):
    """A file or folder that could not be taken into account; its state is unclear, not gone."""

    path: str
    error: HuracanError


LINK = "symbolic link"
SPECIAL = "special file"
NEVER = "name that Dropbox never takes"


class Scan(msgspec.Struct):
    """What a folder holds: files by their path, and what could not be read."""

    files: dict[RelPath, Stamp]
    problems: list[Problem]
    parts: list[str] = []
    """Half-written files of ours, of this run or a dead one."""
    left_out: dict[str, str] = {}
    """What is not synced and no failure, by its path: `LINK`, `SPECIAL` or `NEVER`."""
    declined: list[str] = []
    """Files that were not wanted."""

    @property
    def others(self) -> list[str]:
        """Symbolic links, sockets and the like: not followed, not read."""
        return [path for path, why in self.left_out.items() if why in {LINK, SPECIAL}]

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
    return Scan(files, scanned.problems, left_out=scanned.left_out, declined=scanned.declined)


def _asked_by_other_name(root: FolderView, wanted: Callable[[str], bool]) -> Callable[[str], bool]:
    def asked(path: str) -> bool:
        with contextlib.suppress(HostilePath):  # the scan reports it
            path = root.there(path)
        return wanted(path)

    return asked


def scan(
    root: Root,
    *,
    wanted: Callable[[str], bool] | None = None,
    is_known: Callable[[RelPath, Stamp], bool] | None = None,
    relieve: Callable[[dict[RelPath, Stamp]], None] | None = None,
    is_flat: bool = False,
) -> Scan:
    """Every regular file below `root`.

    Args:
        root: an existing folder (it may itself be reached through a symbolic link).
        wanted: asked with each relative path; files it declines are passed over, as are symbolic links, sockets, the
            names Dropbox never takes (`.DS_Store`, ...) and our own half-written files. Where it raises `HostilePath`
            the file counts as wanted.
        is_known: asked with each file as it is; those that are known are not in the result. Not for a view.
        relieve: given the files of the result after each folder; it may take some out. Not for a view.
        is_flat: only files directly in `root`.

    Raises:
        UsageError: there is no such folder.
        LocalFailure: it cannot be read, or was moved away meanwhile.
    """
    if isinstance(root, FolderView):
        asked = wanted and _asked_by_other_name(root, wanted)
        return _renamed(root, scan(root.path, wanted=asked, is_flat=root.is_flat))
    require_utf8()
    result = Scan({}, [])
    try:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            before = os.fstat(folder)
            _Walk(result, wanted, is_known, relieve, is_flat=is_flat).run(folder)
        finally:
            os.close(folder)
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


def require_utf8() -> None:
    """Refuse to go on where this process reads and writes file names in another encoding than UTF-8.

    Raises:
        ConfigError: it does: names with accents would arrive in Dropbox as other names.
    """
    encoding = sys.getfilesystemencoding()
    if encoding.lower().replace("-", "") != "utf8":
        named = os.environ.get("LC_ALL") or os.environ.get("LC_CTYPE") or os.environ.get("LANG") or "of this process"
        raise ConfigError(
            f"the locale {named} spells file names in {encoding}, and Dropbox in UTF-8",
            hint="run it with LC_ALL=C.UTF-8 (or PYTHONUTF8=1)",
        )


class _Walk:
    """One walk through a tree, folder by folder, each opened from the one above it.

    Only the folders above the present one are open, and no path is resolved twice, so a folder that is exchanged for a
    link meanwhile does not lead out of the root.
    """

    def __init__(
        self,
        result: Scan,
        wanted: Callable[[str], bool] | None,
        is_known: Callable[[RelPath, Stamp], bool] | None,
        relieve: Callable[[dict[RelPath, Stamp]], None] | None,
        *,
        is_flat: bool,
    ) -> None:
        self._result = result
        self._wanted = wanted
        self._is_known = is_known
        self._relieve = relieve
        self._is_flat = is_flat

    def run(self, root: int) -> None:
        """Take everything below the open folder."""
        levels = [(root, "", iter(self._take_folder(root, "")))]
        try:
            while levels:
                folder, prefix, names = levels[-1]
                name = next(names, None)
                if name is None:
                    if len(levels) > 1:
                        os.close(folder)
                    levels.pop()
                elif (inner := self._open(folder, prefix, name)) is not None:
                    inside = f"{prefix}{name}/"
                    try:
                        levels.append((inner, inside, iter(self._take_folder(inner, inside))))
                    except BaseException:
                        os.close(inner)
                        raise
        finally:
            for folder, _, _ in levels[1:]:
                os.close(folder)

    def _open(self, folder: int, prefix: str, name: str) -> int | None:
        path = prefix + name
        try:
            inner = open_inner(folder, name)
        except FileNotFoundError:
            return None  # gone since its parent was listed
        except OSError as error:
            self._result.problems.append(Problem(path, local_failure(error, path, "read")))
            return None
        refused = _refusal_of_folder(path)
        if refused is None:
            return inner
        try:
            if self._holds_a_file(inner, path):
                self._result.problems.append(Problem(path, refused))
        except OSError as error:
            self._result.problems.append(Problem(path, local_failure(error, path, "read")))
        finally:
            os.close(inner)
        return None

    def _take_folder(self, folder: int, prefix: str) -> list[str]:
        """Note what lies directly in an open folder; the names of the folders in it."""
        names: dict[str, str] = {}
        folders: list[str] = []
        try:
            with os.scandir(folder) as entries:
                for entry in _in_order(entries):
                    name = entry.name if entry.name.isascii() else _composed(folder, entry.name)
                    if self._take(entry, name, prefix, folders):
                        _note_twins(names, name, prefix, self._result)
        except OSError as error:
            if not prefix:
                raise
            self._result.problems.append(Problem(prefix[:-1], local_failure(error, prefix[:-1], "read")))
            return []
        if self._relieve is not None:
            self._relieve(self._result.files)
        if self._is_flat:
            return []
        unclear = {problem.path for problem in self._result.problems}
        return [name for name in folders if prefix + name not in unclear]  # else it has a twin

    def _take(self, entry: os.DirEntry[str], name: str, prefix: str, folders: list[str]) -> bool:
        """Note an entry; whether it is a file or folder that is synced."""
        path, left_out = prefix + name, self._result.left_out
        if is_part(name):
            self._result.parts.append(path)
            return False
        is_folder = entry.is_dir(follow_symlinks=False)
        if is_folder and not never_synced(name):
            folders.append(name)
            return True
        is_wanted = self._is_wanted(path)
        if is_folder or never_synced(name):
            why = NEVER
        elif entry.is_symlink():
            why = LINK  # whether what lies behind it is wanted, nobody can say
        elif not entry.is_file(follow_symlinks=False):
            why = SPECIAL
        elif not is_wanted:
            if not self._is_flat:  # there single files were asked for, and nothing is said of the others
                self._result.declined.append(path)
            return False
        else:
            return self._take_file(entry, path)
        if is_wanted or not self._is_flat:
            left_out[path] = why
        return False

    def _take_file(self, entry: os.DirEntry[str], path: str) -> bool:
        error: HuracanError
        try:
            checked, stamp = check(path), Stamp.of(entry.stat(follow_symlinks=False))
        except HostilePath as refused:
            error = refused
        except FileNotFoundError:
            return False
        except OSError as failure:
            error = local_failure(failure, path, "read")
        else:
            if self._is_known is None or not self._is_known(checked, stamp):
                self._result.files[checked] = stamp
            return True
        self._result.problems.append(Problem(path, error))
        return False

    def _is_wanted(self, path: str) -> bool:
        """Whether the file is asked for. One whose name cannot even be asked about is: then it is reported."""
        try:
            return self._wanted is None or self._wanted(path)
        except HostilePath:
            return True

    def _holds_a_file(self, folder: int, path: str) -> bool:
        """Whether a wanted file lies anywhere below a folder that is not synced: else nobody misses anything."""
        waiting = [(os.dup(folder), f"{path}/")]
        try:
            while waiting:
                inner, prefix = waiting.pop()
                try:
                    with os.scandir(inner) as entries:
                        for entry in entries:
                            if entry.is_dir(follow_symlinks=False):
                                if len(waiting) >= MOST_OPEN:
                                    return True  # too wide or deep to know: better said than not
                                waiting.append((open_inner(inner, entry.name), f"{prefix}{entry.name}/"))
                            elif entry.is_file(follow_symlinks=False) and self._is_wanted(prefix + entry.name):
                                return True
                finally:
                    os.close(inner)
        finally:
            for inner, _ in waiting:
                os.close(inner)
        return False


def _in_order(entries: Iterator[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
    """The entries of a folder by name, those of a very large one many at a time: who looks each up is faster then."""
    while some := sorted(itertools.islice(entries, SORTED), key=lambda entry: entry.name):
        yield from some


def _composed(folder: int, name: str) -> str:
    """The name as Dropbox spells it, where the disk finds the same file by it: disks of macOS do, others do not."""
    composed = unicodedata.normalize("NFC", name)
    if composed == name:
        return name
    try:
        found = [os.stat(one, dir_fd=folder, follow_symlinks=False) for one in (name, composed)]
    except (OSError, UnicodeError):
        return name
    return composed if os.path.samestat(*found) else name


def _refusal_of_folder(path: str) -> HostilePath | None:
    """Why nothing below a folder is synced; None when it is."""
    try:
        check(path)
    except HostilePath as error:
        error.hint = error.hint.replace("rename the file", "rename the folder")
        return error
    if path.count("/") + 2 > MAX_DEPTH:
        shown = ascii(path if len(path) <= 200 else path[:200] + "...")
        return HostilePath(
            f"the folder {shown} is not synced: what lies in it is more than {MAX_DEPTH} levels deep",
            hint="move it further up",
            path=shown,
        )
    return None


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
