"""What the filesystem decides without a request: what it remembers, what it refuses, what it lets pass."""

import errno
import io
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from huracan_sync.errors import Conflict, HuracanError, NotFound, Unreachable, UsageError
from huracan_sync.fs import metadata_cache
from huracan_sync.fs.commits import Batch, raise_first
from huracan_sync.fs.files import CompressedFile, ReadFile, WriteFile
from huracan_sync.fs.metadata_cache import TTL_S, MetadataCache
from huracan_sync.fs.movable import MovableFileSystem
from huracan_sync.fs.readable import ReadableFileSystem
from huracan_sync.fs.transaction import BatchTransaction
from huracan_sync.fs.writable import WritableFileSystem
from huracan_sync.remote.listing import FileMetadata, FolderMetadata

MOMENT = datetime(2025, 11, 14, tzinfo=UTC)


def file_at(path, content=b"x"):
    name = path.rpartition("/")[2]
    return FileMetadata(name, "rev", len(content), MOMENT, f"{len(content):064x}", path, path.lower(), "id:1", MOMENT)


def folder_at(path):
    return FolderMetadata(path.rpartition("/")[2], path, path.lower())


# -- what is remembered ----------------------------------------------------------------------------------------------


@pytest.fixture
def known(clock):
    """What a process knows that asks nobody."""
    return MetadataCache(None, clock=clock)


def test_what_was_learned_is_believed_for_a_moment_in_any_case(known, clock):
    known.learn("/a/X", file_at("/a/X"))
    assert known.info("/A/x").name == "X"
    assert known.remembered("/a") is None
    clock.now += TTL_S
    assert known.remembered("/a/X") is None
    assert known.remembered("/a/X", ttl_s=2 * TTL_S).name == "X"


def test_what_is_gone_is_gone_with_all_below_it(known):
    for path in ("/a/x", "/a/b/y", "/ab"):
        known.learn(path, file_at(path))
    known.gone("/A")
    assert [known.remembered(path) is not None for path in ("/a/x", "/a/b/y", "/ab")] == [False, False, True]
    known.forget("/ab")
    assert known.remembered("/ab") is None


def test_only_so_many_paths_are_remembered(known, monkeypatch):
    monkeypatch.setattr(metadata_cache, "MOST_PATHS", 2)
    for name in "abc":
        known.learn(f"/{name}", file_at(f"/{name}"))
    assert [known.remembered(f"/{name}") is not None for name in "abc"] == [False, True, True]


def test_a_child_remembers_nothing(known):
    known.learn("/a", file_at("/a"))
    known.renew_in_child()
    assert known.remembered("/a") is None


# -- reading, over three questions -----------------------------------------------------------------------------------

FILES = {"/a/x": b"0123456789", "/a/b/y": b"y", "/top": b""}
FOLDERS = {"/a", "/a/b"}


class Dictionary(ReadableFileSystem):
    """A filesystem over a dictionary."""

    protocol = "dictionary"
    cachable = False
    is_down = False
    threads = ThreadPoolExecutor(2)

    def lookup(self, path, ttl_s=None):
        if self.is_down:
            raise Unreachable("no network", sent=False)
        if path in FILES:
            return file_at(path, FILES[path])
        if path in FOLDERS:
            return folder_at(path)
        raise NotFound(f"nothing lies at {path}", path=path)

    def list_folder(self, path, *, recursive):
        if isinstance(self.lookup(path) if path else None, FileMetadata):
            raise UsageError(f"{path} is a file", path=path, tags="path/not_folder")
        inside = [each for each in (*FILES, *FOLDERS) if each.startswith(f"{path}/")]
        return [
            (each, self.lookup(each)) for each in sorted(inside) if recursive or each.count("/") == path.count("/") + 1
        ]

    def read_range(self, described, path, start, end):
        return FILES[path][start:end]


@pytest.fixture
def held():
    return Dictionary()


def test_what_cannot_be_found_out_is_no_no(held):
    assert [held.exists(path) for path in ("/a", "/a/x", "/nowhere", "dictionary://a", "/a/../x")] == [
        True,
        True,
        False,
        True,
        False,
    ]
    held.is_down = True
    for ask in (held.exists, held.isdir, held.isfile):
        with pytest.raises(OSError, match="no network"):
            ask("/a")


def test_listing_a_file_gives_itself_and_finding_nothing_is_empty(held):
    assert held.ls("/a/x", detail=False) == ["/a/x"]
    assert held.find("/a/x") == ["/a/x"]
    assert held.find("/nowhere", detail=True) == {}
    assert held.find("/") == ["/a/b/y", "/a/x", "/top"]
    assert held.du("/a") == 11
    with pytest.raises(ValueError, match="at least 1"):
        held.find("/", maxdepth=0)
    with pytest.raises(IsADirectoryError):
        held.ukey("/a")


def test_walking_hides_a_missing_folder_alone(held):
    told = []
    assert list(held.walk("/nowhere", on_error=told.append)) == []
    assert [type(error) for error in told] == [FileNotFoundError]
    with pytest.raises(FileNotFoundError):
        list(held.walk("/nowhere", on_error="raise"))
    assert list(held.walk("/a/x")) == [("/a/x", [], [""])]
    held.is_down = True
    with pytest.raises(OSError, match="no network"):
        list(held.walk("/a", on_error="omit"))


def test_ranges_of_many_files(held):
    paths = ["/a/x", "/a/x", "/nowhere"]
    first, last, missing = held.cat_ranges(paths, [1, -3, 0], [3, None, 1])
    assert (first, last, type(missing)) == (b"12", b"789", FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        held.cat_ranges(paths, 0, 1, on_error="raise")
    with pytest.raises(ValueError, match="as many starts"):
        held.cat_ranges(paths, [1], [2])
    with pytest.raises(TypeError, match="must be a list"):
        held.cat_ranges("/a/x", 0, 1)
    assert held.cat(["/a/x", "/nowhere"], on_error="omit") == {"/a/x": b"0123456789"}


def test_a_file_that_is_read_is_pickled_with_its_revision_and_its_place(held):
    file = ReadFile(held, "/a/x", file_at("/a/x", FILES["/a/x"]), cache_type="readahead", block_size=4)
    assert file.read1(3) == b"012"
    again, arguments = file.__reduce__()
    copy = again(*arguments)
    assert (copy.tell(), copy.read(), copy.described.rev) == (3, b"3456789", "rev")


# -- writing ---------------------------------------------------------------------------------------------------------


def test_the_first_error_says_how_many_there_are():
    results = [("/a", file_at("/a")), ("/b", Conflict("b is taken")), ("/c", HuracanError("no"))]
    with pytest.raises(OSError, match=r"b is taken \(and 1 more files failed\)") as caught:
        raise_first(results)
    assert caught.value.filename == "/b"
    raise_first(results[:1])


@pytest.mark.parametrize(
    ("sources", "target", "apart"),
    [(["/a"], "/b", True), (["/a"], "/ab", True), (["/a"], "/A/b", False), (["/x", "/a"], ["/b", "/a/c"], False)],
)
def test_a_folder_is_kept_out_of_itself(sources, target, apart):
    if apart:
        MovableFileSystem._check_apart(sources, target)
        return
    with pytest.raises(OSError, match="into itself") as caught:
        MovableFileSystem._check_apart(sources, target)
    assert caught.value.errno == errno.EINVAL


def fail_within(fs, path, **how):
    with fs.open(path, "wb", **how) as file:
        assert isinstance(file, CompressedFile if how else WriteFile)
        file.write(b"half")
        raise ZeroDivisionError


def leave_open(fs):
    with fs.transaction:
        held = fs.open("/c", "wb")
        held.write(b"open")
        with fs.open("/d", "wb") as closed:
            closed.write(b"closed")


def test_a_file_that_nobody_closed_well_is_never_seen(dropbox_fs):
    """An exception, also through layers above; a file that is abandoned; one whose transaction ends too early."""
    for how in ({}, {"compression": "gzip"}):
        with pytest.raises(ZeroDivisionError):
            fail_within(dropbox_fs, "/a", **how)
    file = WriteFile(dropbox_fs, "/b", exclusive=False, autocommit=True)
    file.write(b"abandoned")
    del file
    with pytest.raises(OSError, match="still open at the end"):
        leave_open(dropbox_fs)
    assert not dropbox_fs.is_in_transaction
    assert dropbox_fs.find("/") == []


def test_what_writing_refuses(dropbox_fs):
    assert isinstance(dropbox_fs, WritableFileSystem)
    with pytest.raises(io.UnsupportedOperation, match="replaces files whole"):
        dropbox_fs.open("/a", "ab")
    with pytest.raises(IsADirectoryError):
        dropbox_fs.open("/", "wb")
    with pytest.raises(io.UnsupportedOperation):
        dropbox_fs.sign("/a")
    dropbox_fs.mkdir("/folder")
    for make in (dropbox_fs.mkdir, dropbox_fs.makedirs):
        with pytest.raises(FileExistsError):
            make("/folder")
    with pytest.raises(FileNotFoundError):
        dropbox_fs.mkdir("/no/parent", create_parents=False)
    with pytest.raises(IsADirectoryError):
        dropbox_fs.open("/folder", "wb")
    dropbox_fs.pipe("/a", b"1")
    with pytest.raises(FileExistsError):
        dropbox_fs.pipe_file("/a", b"2", mode="create")
    dropbox_fs.touch("/a", truncate=False)
    assert dropbox_fs.cat("/a") == b"1"


def test_transactions_do_not_nest_and_of_two_writes_the_later_counts(dropbox_fs):
    with dropbox_fs.transaction as inside:
        assert isinstance(inside, BatchTransaction)
        with pytest.raises(RuntimeError, match="do not nest"):
            inside.start()
        for content in (b"earlier", b"later"):
            with dropbox_fs.open("/a", "wb") as file:
                file.write(content)
        assert not dropbox_fs.exists("/a")
    assert dropbox_fs.cat("/a") == b"later"


def test_small_files_wait_in_memory_up_to_a_limit(dropbox_fs, requests, monkeypatch):
    from huracan_sync.fs import commits

    monkeypatch.setattr(commits, "IN_MEMORY", 10)
    batch = Batch(dropbox_fs.account)
    with requests() as few:
        batch.add_content("/a", b"1234567")
    with requests() as more:
        batch.add_content("/b", b"1234567")
    assert (few.total, more.total > 0) == (0, True)
    batch.commit()
    assert sorted(dropbox_fs.find("/")) == ["/a", "/b"]
