"""A folder's listing as a cursor keeps it: what a change does to what is known."""

import random
from datetime import UTC, datetime

import pytest

from huracan_sync.remote.folder_listing import FolderListing
from huracan_sync.remote.listing import DeletedMetadata, FileMetadata, FolderMetadata

THEN = datetime(2026, 1, 1, tzinfo=UTC)


def file(path, name=None, rev="1"):
    return FileMetadata(
        name=name or path.rpartition("/")[2],
        path_lower=path.lower(),
        path_display=path,
        id=f"id:{path}",
        client_modified=THEN,
        server_modified=THEN,
        rev=rev,
        size=1,
        content_hash="00" * 32,
    )


def folder(path):
    return FolderMetadata(name=path.rpartition("/")[2], path_lower=path.lower(), path_display=path, id=f"id:{path}")


def gone(path):
    return DeletedMetadata(name=path.rpartition("/")[2], path_lower=path.lower(), path_display=path)


BEFORE = [folder("/r/a"), file("/r/a/x"), file("/r/a/y"), folder("/r/ab"), file("/r/ab/x"), file("/r/z")]

# what Dropbox says has changed -> the paths that are known then
CHANGES = {
    "nothing": ([], ["/r/a", "/r/a/x", "/r/a/y", "/r/ab", "/r/ab/x", "/r/z"]),
    "a new file": ([file("/r/n")], ["/r/a", "/r/a/x", "/r/a/y", "/r/ab", "/r/ab/x", "/r/n", "/r/z"]),
    "the folder itself": ([folder("/R")], ["/r/a", "/r/a/x", "/r/a/y", "/r/ab", "/r/ab/x", "/r/z"]),
    "a file is gone": ([gone("/r/a/x")], ["/r/a", "/r/a/y", "/r/ab", "/r/ab/x", "/r/z"]),
    "a folder is gone, and all below it": ([gone("/R/A")], ["/r/ab", "/r/ab/x", "/r/z"]),
    "a folder nobody told of": ([gone("/r/a"), gone("/r/nobody")], ["/r/ab", "/r/ab/x", "/r/z"]),
    "a file in the place of a folder": ([file("/r/a")], ["/r/a", "/r/ab", "/r/ab/x", "/r/z"]),
    "a folder in the place of a file": ([folder("/r/z")], ["/r/a", "/r/a/x", "/r/a/y", "/r/ab", "/r/ab/x", "/r/z"]),
    "gone and there again": ([gone("/r/a"), folder("/r/a")], ["/r/a", "/r/ab", "/r/ab/x", "/r/z"]),
    "a folder that came and went": (
        [folder("/r/n"), folder("/r/n/m"), file("/r/n/m/x"), gone("/r/n")],
        ["/r/a", "/r/a/x", "/r/a/y", "/r/ab", "/r/ab/x", "/r/z"],
    ),
    "there and gone again": ([file("/r/n"), gone("/r/n")], ["/r/a", "/r/a/x", "/r/a/y", "/r/ab", "/r/ab/x", "/r/z"]),
}


def known(*changes, at="/r", recursive=True):
    listing = FolderListing(at, recursive=recursive)
    listing.apply(BEFORE)
    listing.apply(changes)
    return listing


@pytest.mark.parametrize(("changes", "paths"), CHANGES.values(), ids=CHANGES)
def test_a_change(changes, paths):
    listing = known(*changes)
    assert sorted(listing.entries) == paths
    assert len(listing) == len(paths)


def test_a_page_says_what_its_entries_say_one_after_the_other():
    chance = random.Random(14)
    paths = ["/r/a", "/r/a/x", "/r/a/b", "/r/a/b/x", "/r/ab", "/r/ab/x", "/r/z"]
    for _ in range(300):
        page, one_by_one = [], known()
        for _ in range(chance.randrange(1, 7)):
            path = chance.choice(paths)
            above = path.rpartition("/")[0]
            if above == "/r" or isinstance(one_by_one.entries.get(above), FolderMetadata):
                page.append(chance.choice([file, folder, gone])(path))
                one_by_one.apply(page[-1:])
        assert known(*page).entries == one_by_one.entries, page


def test_the_newest_is_what_counts():
    assert known(file("/r/z", rev="2")).entries["/r/z"].rev == "2"


# listing of, recursive, path -> whether it would show it
COVERS = [
    ("/r", True, "/r/a", True),
    ("/r", True, "/r/a/b/c", True),
    ("/r", False, "/r/a", True),
    ("/r", False, "/r/a/b", False),
    ("/R", True, "/r/a", True),
    ("/r", True, "/r", False),
    ("/r", True, "/ra", False),
    ("", True, "/a/b", True),
    ("", False, "/a", True),
    ("", False, "/a/b", False),
]


@pytest.mark.parametrize(("folder", "recursive", "path", "expected"), COVERS)
def test_what_it_covers(folder, recursive, path, expected):
    assert FolderListing(folder, recursive=recursive).covers(path) is expected


def test_names_are_spelled_as_each_folder_is():
    listing = FolderListing("/r", recursive=True)
    listing.apply([folder("/r/Data"), file("/r/data/X.json"), file("/r/unlisted/Y")])
    assert sorted(path for path, _ in listing.named("/r")) == ["/r/Data", "/r/Data/X.json", "/r/unlisted/Y"]
    assert [path for path, _ in listing.named("/R/DATA")] == ["/R/DATA/X.json"], "it begins as it was asked"
    assert list(listing.named("/r/dat")) == []
