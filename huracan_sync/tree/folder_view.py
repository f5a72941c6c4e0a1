"""A folder whose files have other names on disk than in Dropbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from huracan_sync.tree.paths import RelPath

if TYPE_CHECKING:
    from pathlib import Path


class FolderView(msgspec.Struct, frozen=True):
    """A folder on disk whose files have other names in Dropbox. Code that takes one works with the names over there."""

    path: Path
    """The folder; absolute."""
    name: str
    """The name of the view: the journal keeps what it knows of the folder under it."""
    there: Callable[[str], RelPath]
    """The name over there of a path here."""
    here: Callable[[str], RelPath]
    """The proper place here of a name over there."""
    takes_strays: bool = True
    """Whether files here count that lie outside their proper place."""
    is_flat: bool = False
    """Whether only files directly in the folder count; what lies deeper is not looked at."""
    strays: dict[RelPath, RelPath] = {}
    """Where files were found here, by their names over there. A scan fills it in."""

    def at(self, path: RelPath) -> RelPath:
        """Where a file lies here, or would."""
        return self.strays.get(path) or self.here(path)
