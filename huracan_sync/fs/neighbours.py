"""Whether a caller that asks for files or folders one by one is better served with one listing of all. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque
from itertools import takewhile
from posixpath import commonpath

from huracan_sync.fs.paths import parent
from huracan_sync.tree.paths import ancestors

ENOUGH = 3
"""Single questions below one folder after which the next ones are expected there too."""
WITHIN_S = 10.0
MOST_LISTED = 1000
MOST_TREES = 16
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
        folder = commonpath([folder or "/" for folder in recent]).rstrip("/")
        return None if not folder or folder in self._too_large else folder  # of the whole account nobody asked

    def is_too_large(self, folder: str) -> None:
        """One page does not hold that folder: it is not listed for single questions again."""
        self._too_large.add(folder)


class Walks:
    """Remembers the last listings of single folders. One thread at a time.

    Who lists a folder and then those in it, one after the other, walks a tree: all of it is given by one listing, each
    folder once, as by `find`. A second listing of a folder is there to see what has changed.
    """

    def __init__(self) -> None:
        self._listed: OrderedDict[str, float] = OrderedDict()
        self._too_large: set[str] = set()
        self._given: dict[str, set[str]] = {}

    def listed(self, folder: str, now: float) -> str | None:
        """Note that a folder is listed; the folder whose whole tree to list instead, or None."""
        self._listed[folder] = now
        self._listed.move_to_end(folder)
        while self._listed and (len(self._listed) > MOST_LISTED or now - next(iter(self._listed.values())) > WITHIN_S):
            self._listed.popitem(last=False)
        top = [folder, *takewhile(self._listed.__contains__, ancestors(folder))][-1]
        below = sum(each.startswith(f"{top}/") for each in self._listed)
        return top if top != folder and below >= ENOUGH and top not in self._too_large else None

    def is_too_large(self, folder: str) -> None:
        """One page does not hold that tree: it is not listed for a walk again."""
        self._too_large.add(folder)

    def begin(self, top: str) -> None:
        """The listing of that tree was brought up to date: every folder of it may be given again."""
        self._given[top] = set()
        while len(self._given) > MOST_TREES:
            del self._given[next(iter(self._given))]

    def was_given(self, top: str, folder: str) -> bool:
        """Whether that folder was given since then."""
        return folder in self._given.get(top, {folder})

    def give(self, folder: str) -> None:
        """Note that the folder was given."""
        for given in self._given.values():
            given.add(folder)
