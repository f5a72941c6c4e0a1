"""One spelling of each folder. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from huracan_sync.tree.paths import RelPath, fold


class Spelling:
    """One spelling for each folder: that of the disk, else the first one met.

    Dropbox shows the folders of a path in one case here and another there, and means the same one.
    """

    def __init__(self, folders: Iterable[str]) -> None:
        """Begin with folders that are spelled right."""
        self._folders: dict[str, str] = {}
        for folder in folders:
            self._spelled(folder)

    def of(self, path: RelPath) -> RelPath:
        """The path, its folders spelled as they are known."""
        folder, slash, name = path.rpartition("/")
        return RelPath(f"{self._spelled(folder)}{slash}{name}")

    def _spelled(self, folder: str) -> str:
        key = fold(folder)
        if key not in self._folders:
            above, slash, name = folder.rpartition("/")
            self._folders[key] = f"{self._spelled(above) if above else ''}{slash}{name}"
        return self._folders[key]
