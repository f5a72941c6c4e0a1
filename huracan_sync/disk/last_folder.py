"""The folder that a file was opened in last, kept open: of many files the next one mostly lies there too."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Self


class LastFolder:
    """One open folder at a time. Of one thread. Use as a context manager."""

    def __init__(self) -> None:
        self._at: tuple[Path, str] | None = None
        self._folder = -1

    def open(self, root: Path, path: str, opened: Callable[[Path, str], int]) -> int:
        """The folder that holds `path`, as `opened` opens it where it is another than last. It stays ours."""
        at = root, path.rpartition("/")[0]
        if at != self._at:
            self.close()
            self._folder, self._at = opened(root, path), at
        return self._folder

    def close(self) -> None:
        """Close it."""
        if self._at is not None:
            self._at = None
            os.close(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
