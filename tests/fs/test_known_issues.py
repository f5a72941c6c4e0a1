"""What other filesystems were reported for, by its number: ours does not repeat it. More stand by their subject."""

import io
import zipfile
from pathlib import PurePosixPath

import fsspec
import pytest
from test_dropbox_fs import content

from huracan_sync.fs import DropboxFileSystem


@pytest.fixture
def registered(dropbox_fs, dropbox):
    """URLs of `dropbox://` lead to the filesystem of the test."""
    DropboxFileSystem.clear_instance_cache()
    fsspec.register_implementation("dropbox", DropboxFileSystem, clobber=True)
    return {"token": dropbox.token()["access_token"]}


def test_a_zip_is_read_through_it(dropbox_fs, registered):
    """filesystem_spec 844."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inner/a.txt", b"text" * 1000)
        archive.writestr("b.bin", content(100_000))
    dropbox_fs.pipe("/archive.zip", packed.getvalue())
    with fsspec.open("zip://inner/a.txt::dropbox://archive.zip", dropbox=registered) as file:
        assert file.read() == b"text" * 1000
    inside = fsspec.filesystem("zip", fo="dropbox://archive.zip", target_options=registered)
    assert inside.cat("b.bin") == content(100_000)


def test_every_call_takes_whole_urls(dropbox_fs, tmp_path):
    """filesystem_spec 1938."""
    fs, url = dropbox_fs, "dropbox://a/b.bin"
    (tmp_path / "up").write_bytes(b"up")
    fs.pipe_file(url, b"0123456789")
    with fs.open(url) as file:
        assert file.read() == b"0123456789"
    assert fs.cat_file(url, 2, 4) == b"23"
    assert fs.cat_ranges([url], [1], [3]) == [b"12"]
    assert (fs.head(url, 2), fs.tail(url, 2), fs.read_block(url, 1, 2)) == (b"01", b"89", b"12")
    assert (fs.size(url), fs.du("dropbox://a"), fs.sizes([url])) == (10, 10, [10])
    assert (fs.isfile(url), fs.isdir(url), fs.exists(url)) == (True, False, True)
    assert fs.ls("dropbox://a", detail=False) == fs.glob("dropbox://a/*") == fs.find("dropbox://") == ["/a/b.bin"]
    assert next(iter(fs.walk("dropbox://a"))) == ("/a", [], ["b.bin"])
    assert fs.checksum(url) == int(fs.ukey(url), 16)
    assert fs.created(url) <= fs.modified(url)
    fs.invalidate_cache(url)
    fs.cp(url, "dropbox://c/copy")
    fs.mv("dropbox://c/copy", "dropbox://c/moved")
    fs.put(str(tmp_path / "up"), "dropbox://c/up")
    fs.get("dropbox://c/up", str(tmp_path / "down"))
    assert (tmp_path / "down").read_bytes() == b"up"
    fs.touch("dropbox://c/empty")
    fs.mkdir("dropbox://d")
    fs.makedirs("dropbox://d/e", exist_ok=True)
    fs.rmdir("dropbox://d/e")
    fs.rm("dropbox://c", recursive=True)
    fs.rm_file(url)
    assert fs.find("dropbox://") == []
    assert fs.expand_path("dropbox://d") == ["/d"]


def test_arguments_have_the_names_that_fsspec_gives_them(dropbox_fs):
    """Unstructured-IO/unstructured 3189."""
    dropbox_fs.pipe(path="a/b", value=b"x")
    assert dropbox_fs.info(path="a/b") == dropbox_fs.info(path="/a/b")
    assert dropbox_fs.info(path="a/b")["name"] == dropbox_fs.find(path="a")[0]
    assert dropbox_fs.cat_file(path="a/b", start=0, end=1) == b"x"
    dropbox_fs.mv(path1="a/b", path2="a/c")
    dropbox_fs.rm(path="a/c", recursive=False, maxdepth=None)


def test_text_and_path_objects(dropbox_fs):
    """kedro 1262."""
    path = PurePosixPath("/03/primary/Zürich.csv")
    with dropbox_fs.open(path, mode="w", encoding="utf-8", newline="") as file:
        file.write("a,b\n1,ü\n")
    with dropbox_fs.open(path, mode="r", encoding="utf-8") as file:
        assert file.readlines() == ["a,b\n", "1,ü\n"]
    assert dropbox_fs.exists(path)


def test_a_few_bytes_from_the_middle_cost_a_few_bytes(dropbox_fs):
    """apache/arrow 34414: a readahead cache fetches megabytes around each of them."""
    data = content(12_000_000)
    dropbox_fs.pipe("/large", data)
    dropbox_fs.account.kept.clear()
    meter = dropbox_fs.account.remote.wire.meter
    with dropbox_fs.open("/large") as file:
        before = meter.read()
        for at in (5_000_000, 9_000_000, 1_000_000):
            file.seek(at)
            assert file.read(100) == data[at : at + 100]
    spent = meter.read() - before
    assert (spent.requests, spent.bytes_received) == (3, 300)


def test_what_was_written_twice_is_there_once(dropbox_fs, dropbox):
    """lakefs-spec 218, smart_open 684: an upload that failed and is tried again leaves neither half nor double."""
    dropbox.faults({"fault": "reset", "route": "files/upload", "when": "after", "times": 1})
    dropbox_fs.pipe("/once", b"x" * 1000)
    assert dropbox_fs.cat("/once") == b"x" * 1000
    assert dropbox_fs.ls("/", detail=False) == ["/once"]
