import pytest
from listed import Told, item, page

from huracan_sync.errors import NotFound
from huracan_sync.remote.errors import CursorReset
from huracan_sync.remote.stat import children, folders, metadata


def test_children_are_the_files_of_all_pages():
    told = Told(page(item("file", "a"), item("folder", "b"), more=True), page(item("file", "c")))
    assert [child.name for child in children(told, "/f")] == ["a", "c"]


def test_a_later_page_takes_back_what_an_earlier_one_said():
    told = Told(page(item("file", "a"), item("file", "b"), more=True), page(item("deleted", "a")))
    assert [child.name for child in children(told, "/f")] == ["b"]


def test_a_listing_that_is_reset_begins_again():
    told = Told(page(item("file", "gone"), more=True), CursorReset("reset"), page(item("file", "a")))
    assert [child.name for child in children(told, "/f")] == ["a"]


def test_a_folder_that_is_not_there_has_no_folders_and_no_silent_children():
    assert folders(Told(NotFound("no")), "/f") == []
    with pytest.raises(NotFound):
        children(Told(NotFound("no")), "/f")


def test_folders_are_named():
    assert folders(Told(page(item("folder", "b"), item("file", "a"))), "/f") == ["b"]


def test_what_lies_at_a_path():
    assert metadata(Told(item("file", "a")), "/f/a").size == 1
    assert metadata(Told(item("folder", "b")), "/f/b").name == "b"
    assert metadata(Told(NotFound("no")), "/f/c") is None
