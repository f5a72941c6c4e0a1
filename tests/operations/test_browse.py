"""What `ls` says of a folder that changes while it is listed, and in which channels a signed file is looked for."""

import pytest
from listed import Told, item, page

from huracan_sync.errors import NotFound
from huracan_sync.operations.browse import list_folder
from huracan_sync.remote.errors import CursorReset


def names(*answers, recursive=True):
    folder = item("folder", "", path="/f")
    return [entry.path for entry in list_folder(Told(folder, *answers), "/f", recursive=recursive)]


def test_a_folder_is_listed_in_order_and_without_itself():
    told = page(item("folder", "b"), item("file", "b/x"), item("file", "a"), item("folder", "", path="/f"))
    assert names(told) == ["a", "b", "b/x"]


@pytest.mark.parametrize(
    ("later", "left"),
    {
        "a file is deleted": (item("deleted", "a"), ["b", "b/c", "b/c/x"]),
        "a folder is deleted with what lay below": (item("deleted", "B"), ["a"]),
        "a folder deep below": (item("deleted", "b/c"), ["a", "b"]),
        "a file takes the place of a folder": (item("file", "b"), ["a", "b"]),
        "a file is renamed in case only": (item("file", "A"), ["A", "b", "b/c", "b/c/x"]),
    }.values(),
)
def test_a_later_page_takes_back_what_an_earlier_one_said(later, left):
    first = page(item("file", "a"), item("folder", "b"), item("folder", "b/c"), item("file", "b/c/x"), more=True)
    assert names(first, page(later)) == left


def test_a_listing_that_is_reset_begins_again():
    assert names(page(item("file", "gone"), more=True), CursorReset("reset"), page(item("file", "a"))) == ["a"]


def test_a_file_lists_itself_and_nothing_is_not_found():
    (entry,) = list_folder(Told(item("file", "a")), "/f/a")
    assert (entry.path, entry.type, entry.size) == ("a", "file", 1)
    with pytest.raises(NotFound, match="/f/a does not exist"):
        list_folder(Told(NotFound("no")), "/f/a")
