"""Whether whoever asks for files one by one is better served with a listing of the folder they lie in. Pure."""

from __future__ import annotations

from collections import deque

from huracan_sync.fs.paths import parent

ENOUGH = 3
"""Single questions below one folder after which the next ones are expected there too."""
WITHIN_S = 10.0
OF_ALL = frozenset({"_metadata", "_common_metadata"})
"""Files that describe all that lies below their folder: who asks for one is about to ask for the others."""


class Neighbours:
    """Remembers the last single questions. One thread at a time."""

    def __init__(self) -> None:
        self._asked: deque[tuple[str, float]] = deque(maxlen=ENOUGH)
        self._too_large: set[str] = set()

    def asked(self, path: str, now: float) -> str | None:
        """A single question for a path; the folder to list instead, or None to ask for the path alone.

        Args:
            path: what is asked for.
            now: monotonic seconds.
        """
        if path.rpartition("/")[2] in OF_ALL:
            folder = parent(path)
            return None if not folder or folder in self._too_large else folder
        self._asked.append((parent(path), now))
        recent = [folder for folder, at in self._asked if now - at < WITHIN_S]
        if len(recent) < ENOUGH:
            return None
        folder = recent[0]
        for other in recent[1:]:
            while other != folder and not other.startswith(f"{folder}/"):
                folder = parent(folder)
                if not folder:
                    return None  # the whole account is more than anybody asked for
        return None if not folder or folder in self._too_large else folder

    def is_too_large(self, folder: str) -> None:
        """One page does not hold that folder: it is not listed for single questions again."""
        self._too_large.add(folder)
