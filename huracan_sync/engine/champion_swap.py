"""Replacing a champion: only when the one before it lies in the archive."""

from __future__ import annotations

from collections.abc import Callable

from huracan_sync.engine.event_log import error_fields, log
from huracan_sync.engine.put import Put
from huracan_sync.errors import Conflict, HuracanError
from huracan_sync.remote import files
from huracan_sync.remote.client import Remote
from huracan_sync.remote.listing import FileMetadata
from huracan_sync.remote.stat import metadata
from huracan_sync.tree.layout import Artifact, Layout

TRIES = 3


class ChampionSwap:
    """Replacing the champion of one symbol on one day."""

    def __init__(self, remote: Remote, layout: Layout, symbol: str, day: str) -> None:
        self._remote = remote
        self._layout = layout
        self.symbol = symbol
        self._day = day
        self.place = layout.path(Artifact("champion", symbol=symbol))

    def replace(self, digest: bytes, put: Callable[..., Put], *, archive: bool, overwrite: bool) -> Put:
        """Put a champion in its place. Exactly the one that was archived is replaced.

        Args:
            digest: the content hash of the new one.
            put: puts it, with `overwrite=` or `rev=` as `Sender.put_file` takes them.
            archive: keep the one before it.
            overwrite: replace one that differs; else it stays.

        Raises:
            Conflict: somebody else kept replacing it, or no name is free in the archive.
        """
        for last in range(TRIES, 0, -1):
            there = metadata(self._remote, self.place)
            if isinstance(there, FileMetadata):
                if not overwrite or there.content_hash == digest.hex():
                    return put(overwrite=False)
                if archive:
                    self.archive(there)
            try:
                return put(rev=there.rev if isinstance(there, FileMetadata) else "")
            except Conflict:
                if last == 1:
                    raise
                # Somebody else was faster: theirs is the one to archive now.
        raise AssertionError

    def archive_place(self, mark: str = "") -> str:
        """Where in the archive it goes; `mark` tells several of one day apart."""
        return self._layout.path(Artifact("champion-archive", mark, self._day, self.symbol))

    def archive(self, there: FileMetadata) -> None:
        """Copy the champion to the archive. Raises when it cannot be sure that it lies there."""
        try:
            place = self._copied(there)
        except HuracanError as error:
            log.warning("champion_archive_failed", symbol=self.symbol, **error_fields(error))
            raise
        log.info("champion_archived", symbol=self.symbol, archive_path=place)

    def _copied(self, there: FileMetadata) -> str:
        for mark in ("", there.content_hash[:12]):
            place = self.archive_place(mark)
            try:
                kept = files.copy(self._remote, self.place, place)
            except Conflict:
                found = metadata(self._remote, place)
                if not isinstance(found, FileMetadata) or found.content_hash != there.content_hash:
                    continue  # the name is taken by another of the day's champions
                return place  # it was archived before; once is enough
            if kept.content_hash != there.content_hash:
                raise Conflict(f"{self.place} was replaced while it was archived", path=self.place)
            return place
        raise Conflict(f"no name is free for the champion of {self.symbol} in the archive of {self._day}")
