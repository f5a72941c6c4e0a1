"""One folder's listing, files and folders, kept up to date by a cursor: one request brings it to now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from huracan_sync.remote import listing
from huracan_sync.remote.listing import DeletedMetadata, FileMetadata, FolderMetadata, Metadata, Void, last_word
from huracan_sync.remote.read_client import ReadOnly
from huracan_sync.tree.paths import fold

Present = FileMetadata | FolderMetadata


class FolderListing:
    """What lies below a folder, by lower-cased path. Not thread-safe."""

    def __init__(self, folder: str, *, recursive: bool) -> None:
        """Nothing is known yet.

        Args:
            folder: as Dropbox spells it: `""` for the root, else `/a/b`.
            recursive: everything below it, not only what lies directly in it.
        """
        self.folder = folder
        self.recursive = recursive
        self.entries: dict[str, Present] = {}
        self.cursor = ""
        """Up to where in the folder's history it goes."""

    def __len__(self) -> int:
        return len(self.entries)

    def fetch_changes(self, remote: ReadOnly) -> tuple[list[Metadata], str]:
        """Everything, or, after the first time, what has changed since; to be given to `apply`, and the new cursor.

        Raises:
            CursorReset: Dropbox no longer knows the cursor: begin a new listing.
            NotFound: there is no such folder (any more).
            UsageError: it is a file.
        """
        changes: list[Metadata] = []
        cursor = self.cursor
        for page in listing.pages(remote, self.folder, cursor, recursive=self.recursive):
            changes += page.entries
            cursor = page.cursor
        return changes, cursor

    def fits_one_page(self, remote: ReadOnly) -> bool:
        """Fetch all of it where one answer holds it; else nothing is known, and it was one request.

        Raises:
            NotFound: there is no such folder.
            UsageError: it is a file.
        """
        page = next(listing.pages(remote, self.folder, recursive=self.recursive))
        if page.has_more:
            return False
        self.apply(page.entries)
        self.cursor = page.cursor
        return True

    def apply(self, changes: Iterable[Metadata]) -> None:
        """Take what is known to have changed."""
        own, void = fold(self.folder), Void()
        latest = last_word([item for item in changes if isinstance(item, DeletedMetadata) or item.path_lower != own])
        for item in latest:  # without the folder itself, which Dropbox lists among what lies below it
            before = self.entries.get(item.path_lower)
            is_gone = isinstance(item, DeletedMetadata)
            if is_gone and isinstance(before, FileMetadata):
                del self.entries[item.path_lower]  # nothing lies below it
            elif is_gone or (isinstance(item, FileMetadata) and isinstance(before, FolderMetadata)):
                void.with_all_below.add(item.path_lower)
        if void.with_all_below:
            self.entries = {key: entry for key, entry in self.entries.items() if key not in void}
        self.entries |= {item.path_lower: item for item in latest if not isinstance(item, DeletedMetadata)}

    def drop(self, path_lower: str) -> None:
        """Forget a path and everything below it."""
        self.apply([DeletedMetadata("", path_lower, path_lower)])

    def covers(self, path_lower: str) -> bool:
        """Whether the listing would show that path, if something lay there."""
        inside = f"{fold(self.folder)}/"
        if not path_lower.startswith(inside):
            return False
        return self.recursive or "/" not in path_lower[len(inside) :]

    def named(self, folder: str) -> Iterator[tuple[str, Present]]:
        """Every entry below `folder`, this listing's own or one inside it, with its path.

        The path begins with `folder` as it is given and goes on as Dropbox spells each name. Dropbox shows the folders
        of a path in one case here and another there; a name alone is always right.
        """
        inside, depth = f"{fold(folder)}/", folder.count("/")
        is_all = fold(folder) == fold(self.folder)
        spelled: dict[str, str] = {}

        def spell(path_lower: str) -> str:
            if path_lower.count("/") <= depth:
                return folder
            known = spelled.get(path_lower)
            if known is None:
                above, _, name = path_lower.rpartition("/")
                entry = self.entries.get(path_lower)
                known = spelled[path_lower] = f"{spell(above)}/{entry.name if entry else name}"
            return known

        for path_lower, entry in self.entries.items():
            if is_all or path_lower.startswith(inside):
                yield f"{spell(path_lower.rpartition('/')[0])}/{entry.name}", entry
