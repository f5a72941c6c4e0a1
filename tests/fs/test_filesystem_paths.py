"""Paths as fsspec's callers write them."""

import pytest
from expecting import raises

from huracan_sync.errors import HostilePath
from huracan_sync.fs.paths import check_readable, check_writable, key, parent, strip

# as somebody writes it -> the path
STRIPPED = [
    ("", ""),
    ("/", ""),
    ("dropbox://", ""),
    ("dropbox:///", ""),
    ("dropbox://a/b", "/a/b"),
    ("dropbox:///a/b/", "/a/b"),
    ("dropbox:/a", "/a"),
    ("dropbox::a", "/a"),
    ("a/b", "/a/b"),
    ("/a//b", "/a//b"),
    ("dropbox://dropbox://a", "/dropbox://a"),
    ("s3://a", "/s3://a"),
]


@pytest.mark.parametrize(("text", "path"), STRIPPED)
def test_strip(text, path):
    assert strip(text, "dropbox") == path


@pytest.mark.parametrize("path", ["", "/a", "/a/b c", "/größe.json", "/a.", "/ a", "/CON", "/a" + "/b" * 50])
def test_what_dropbox_may_hold_can_be_asked_for(path):
    assert check_readable(path) == path


@pytest.mark.parametrize("path", ["/a//b", "/..", "/a/../b", "/./a", "/a/", "/a\x00", "/a\\b", "/\ud800", "/ü\\"])
def test_what_is_no_path(path):
    with raises(HostilePath, match="is refused"):
        check_readable(path)


@pytest.mark.parametrize("path", ["", "/a//b", "/..", "/a\x00", "/a\\b", "/a/ "])
def test_what_nothing_may_be_written_to(path):
    with raises(HostilePath):
        check_writable(path)


def test_what_something_may_be_written_to():
    assert check_writable("/a/größe.json") == "/a/größe.json"


@pytest.mark.parametrize(("path", "above"), [("", ""), ("/a", ""), ("/a/b", "/a"), ("/a/b/c", "/a/b")])
def test_the_folder_above(path, above):
    assert parent(path) == above


def test_dropbox_knows_no_case_and_its_own_letters():
    assert key("/A/GRÖßE") == key("/a/größe")
    assert key("/Maße") != key("/masse")
