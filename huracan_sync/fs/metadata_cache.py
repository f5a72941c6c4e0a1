"""What lies where, remembered for a moment, and listings brought up to date by their cursors.

Rules: a listing is never given without asking Dropbox what has changed since; that is one request for any tree. What
was learned about a single path is believed for `ttl_s` seconds; that nothing lies at a path is never remembered. What
this process writes, moves or removes is known at once.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator

from huracan_sync.errors import NotFound, UsageError
from huracan_sync.fs.neighbours import Neighbours, Walks
from huracan_sync.fs.paths import key
from huracan_sync.remote.errors import CursorReset
from huracan_sync.remote.folder_listing import FolderListing, Present
from huracan_sync.remote.forked import renewed_in_child
from huracan_sync.remote.listing import FileMetadata, FolderMetadata
from huracan_sync.remote.read_client import ReadOnly
from huracan_sync.remote.stat import metadata

TTL_S = 2.0
"""Seconds for which what was learned about a path is believed: what one operation of a data tool takes."""
MOST_PATHS = 20_000
"""Single paths remembered."""
MOST_LISTINGS = 16
MOST_LISTED = 500_000
"""Entries in all listings together."""


class MetadataCache:
    """Shared by all filesystems of one login. Thread-safe."""

    def __init__(self, remote: ReadOnly, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._remote = remote
        self._clock = clock
        self.renew_in_child()
        renewed_in_child(self)

    def renew_in_child(self) -> None:
        """See `forked`: a thread of the parent may have been at work on what is remembered."""
        self._lock = threading.Lock()  # guards the two below, and what lies in the listings
        self._paths: OrderedDict[str, tuple[Present, float]] = OrderedDict()
        self._listings: OrderedDict[tuple[str, bool], tuple[FolderListing, float]] = OrderedDict()
        self._refreshing = threading.Lock()  # one listing is brought up to date at a time; guards the next two
        self._neighbours = Neighbours()
        self._walks = Walks()

    def info(self, path: str, *, ttl_s: float = TTL_S) -> Present:
        """What lies at a path (not the root).

        Raises:
            NotFound: nothing does.
        """
        present = self.remembered(path, ttl_s=ttl_s) or self._asked_again(path, ttl_s=ttl_s)
        if present is None:
            present = metadata(self._remote, path)
            if present is None:
                self.gone(path)
                raise NotFound(f"nothing lies at {path} in Dropbox", path=path)
            self.learn(path, present)
        return present

    def _asked_again(self, path: str, *, ttl_s: float) -> Present | None:
        """What lies at a path by a listing that holds it, brought up to date: one request for all that it holds."""
        wanted = key(path)
        with self._refreshing:
            if present := self.remembered(path, ttl_s=ttl_s):  # another thread was here before us
                return present
            with self._lock:
                held = (listing for listing, _ in self._listings.values() if wanted in listing.entries)
                listing = next(held, None)
            if listing is None:
                return self._listed_with_its_neighbours(path)
            try:
                self._bring_up_to_date(listing)
            except (CursorReset, NotFound, UsageError):
                self._drop_listing(listing)
                return None
            return listing.entries.get(wanted)

    def _listed_with_its_neighbours(self, path: str) -> Present | None:
        """What lies at a path, by a listing of a folder above, where others below it were asked for just now."""
        folder = self._neighbours.asked(path, self._clock())
        if folder is None:
            return None
        listing = FolderListing(folder, recursive=True)
        try:
            if not listing.fits_one_page(self._remote):
                self._neighbours.is_too_large(folder)
                return None
        except (NotFound, UsageError):
            return None
        self._keep(listing)
        return listing.entries.get(key(path))

    def remembered(self, path: str, *, ttl_s: float = TTL_S) -> Present | None:
        """What lay at a path a moment ago; None when that is not known. What was learned last counts."""
        wanted, since = key(path), self._clock() - ttl_s
        with self._lock:
            known, at = self._paths.get(wanted, (None, since))
            for listing, then in self._listings.values():
                if then > since and then >= at and listing.covers(wanted):
                    known, at = listing.entries.get(wanted), then  # None: a later listing does not show it
            return known if at > since else None

    def listing(self, folder: str, *, recursive: bool) -> list[tuple[str, Present]]:
        """What lies in a folder now, with its paths.

        Raises:
            NotFound: there is no such folder.
            UsageError: it is a file.
        """
        with self._refreshing:
            listing = None if recursive else self._walked(folder)
            if listing is not None:
                with self._lock:
                    return list(_inside(listing, folder, recursive=False))
            listing = self._known_listing(folder, recursive=recursive)
            if listing is not None:
                try:
                    self._bring_up_to_date(listing)
                except (CursorReset, NotFound, UsageError):
                    self._drop_listing(listing)  # Dropbox forgot the cursor, or the folder went: ask again
                    listing = None
            if listing is None:
                listing = FolderListing(folder, recursive=recursive)
                self._bring_up_to_date(listing)
            self._walks.give(key(folder))
            with self._lock:
                _check_folder(listing, folder)
                return list(_inside(listing, folder, recursive=recursive))

    def _walked(self, folder: str) -> FolderListing | None:
        """The listing of a tree that holds the folder, where folder after folder of it is listed (see `Walks`)."""
        top = self._walks.listed(key(folder), self._clock())
        if top is None:
            return None
        known = self._listings.get((top, True))
        if known is None:
            listing = FolderListing(top, recursive=True)
            try:
                if not listing.fits_one_page(self._remote):
                    self._walks.is_too_large(top)
                    return None
            except (NotFound, UsageError):
                return None
            self._keep(listing)
        else:
            listing, at = known
            if self._clock() - at > TTL_S or self._walks.was_given(top, key(folder)):
                return None
        self._walks.give(key(folder))
        return listing if isinstance(listing.entries.get(key(folder)), FolderMetadata) else None

    def learn(self, path: str, present: Present) -> None:
        """This lies at a path: an answer of Dropbox said so just now."""
        with self._lock:
            self._paths[key(path)] = (present, self._clock())
            self._paths.move_to_end(key(path))
            while len(self._paths) > MOST_PATHS:
                self._paths.popitem(last=False)

    def wrote(self, path: str, present: Present) -> None:
        """This process has put it there."""
        self.learn(path, present)
        with self._lock:
            for listing, _ in self._listings.values():
                if listing.covers(key(path)) and present.path_lower:
                    listing.apply([present])

    def gone(self, path: str) -> None:
        """Nothing lies at a path any more, nor below it."""
        wanted, inside = key(path), f"{key(path)}/"
        with self._lock:
            for known in [known for known in self._paths if known == wanted or known.startswith(inside)]:
                del self._paths[known]
            for listing, _ in self._listings.values():
                listing.drop(wanted)

    def forget(self, path: str | None = None) -> None:
        """Forget what is known of a path, or of all paths. Listings stay: they ask Dropbox each time anyway."""
        with self._lock:
            if path is None:
                self._paths.clear()
            else:
                self._paths.pop(key(path), None)
            for known, (listing, _) in self._listings.items():
                self._listings[known] = (listing, float("-inf"))

    def _known_listing(self, folder: str, *, recursive: bool) -> FolderListing | None:
        """The same listing as asked for earlier, or one of everything below a folder above."""
        wanted = key(folder)
        with self._lock:
            for each in (True,) if recursive else (False, True):
                if known := self._listings.get((wanted, each)):
                    return known[0]
            for listing, _ in self._listings.values():
                if listing.recursive and listing.covers(wanted):
                    return listing
        return None

    def _bring_up_to_date(self, listing: FolderListing) -> None:
        changes, cursor = listing.fetch_changes(self._remote)
        with self._lock:
            listing.apply(changes)
            listing.cursor = cursor
            for item in changes:
                self._paths.pop(item.path_lower, None)
        self._keep(listing)

    def _keep(self, listing: FolderListing) -> None:
        """It was brought up to date just now."""
        known = (key(listing.folder), listing.recursive)
        if listing.recursive:
            self._walks.begin(key(listing.folder))
        with self._lock:
            self._listings[known] = (listing, self._clock())
            self._listings.move_to_end(known)
            while len(self._listings) > 1 and (
                len(self._listings) > MOST_LISTINGS
                or sum(len(each) for each, _ in self._listings.values()) > MOST_LISTED
            ):
                self._listings.popitem(last=False)

    def _drop_listing(self, listing: FolderListing) -> None:
        with self._lock:
            self._listings.pop((key(listing.folder), listing.recursive), None)


def _check_folder(listing: FolderListing, folder: str) -> None:
    """Raise unless the listing, of this folder or of one above, says that there is such a folder."""
    if key(listing.folder) == key(folder):
        return
    present = listing.entries.get(key(folder))
    if present is None:
        raise NotFound(f"nothing lies at {folder} in Dropbox", path=folder)
    if isinstance(present, FileMetadata):
        raise UsageError(f"{folder} is a file in Dropbox, not a folder", path=folder, tags="path/not_folder")


def _inside(listing: FolderListing, folder: str, *, recursive: bool) -> Iterable[tuple[str, Present]]:
    found: Iterator[tuple[str, Present]] = listing.named(folder)
    if recursive or not listing.recursive:
        return found
    depth = folder.count("/") + 1
    return ((path, entry) for path, entry in found if path.count("/") == depth)
