"""The one doorway for bytes: what a reader asks of wherever it reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Protocol


class Source(Protocol):
    """A root folder that can be read: Dropbox through `remote`, a dictionary in the tests. It offers no writing.

    A *place* is a path relative to the root (`.huracan/heads/champions.hzh`), or `rev:<rev>` for one revision of a
    file wherever it lay. Nothing a source says is believed; it need only be honest about errors. Every method may
    raise `NotFound` (nothing lies there), `NotAuthorized`, `TryLater` or `Unavailable`, and nothing else; it makes
    calls again by itself where that is sensible. Called from one thread at a time unless the reader was given an
    `each` of several threads; then `stream` is called from those.
    """

    def fetch(self, place: str, limit: int) -> bytes:
        """A small file whole. Of a larger one than `limit` bytes the first `limit` + 1, which says that it is."""

    def stream(self, place: str, start: int, end: int) -> AbstractContextManager[Iterator[bytes]]:
        """The bytes from `start` up to, not including, `end`, in pieces of any size; the whole is never in memory.

        Leaving the context early gives the connection up. `NotFound` is raised on entering, not later.
        """

    def cursor(self, folder: str) -> str:
        """Where the listing of everything below the folder stands now (`get_latest_cursor`, recursive): 1 request."""

    def lying(self, folder: str) -> tuple[str, Mapping[str, bytes]] | None:
        """Everything below the folder, as `changed` tells it, where one answer holds it: 1 request. None where not."""

    def changed(self, folder: str, cursor: str) -> tuple[str, Mapping[str, bytes]] | None:
        """What came, changed or went below the folder since the cursor: the new cursor, and paths below the root.

        With each path the content hash of the file that lies there now, or nothing where none does. One request when
        nothing moved. Of a folder that went its own path is enough. None when the cursor is no longer known (`reset`).
        """

    def wait(self, cursor: str, timeout_s: int) -> bool:
        """Wait until something changes below the cursor's folder, at most `timeout_s` seconds (30 to 480).

        False when nothing did. True when something did, or when nobody knows. A pause that the service asks for
        afterwards is kept in here.
        """
