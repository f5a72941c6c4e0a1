"""Which revisions this process has read, so that a write replaces exactly the one it was based on."""

from __future__ import annotations

from collections import OrderedDict

from huracan_sync.tree.paths import fold

MOST = 1000


class ReadRevisions:
    """The revision of each path that was read last; the oldest of many are forgotten."""

    def __init__(self) -> None:
        self._revs: OrderedDict[str, str] = OrderedDict()

    def note(self, path: str, rev: str) -> None:
        """Remember that this revision was read; empty: nothing lay there."""
        self._revs[fold(path)] = rev
        self._revs.move_to_end(fold(path))
        while len(self._revs) > MOST:
            self._revs.popitem(last=False)

    def take(self, path: str) -> str | None:
        """Return the revision that was read and forget it; None when none was."""
        return self._revs.pop(fold(path), None)
