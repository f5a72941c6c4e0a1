"""What the filesystem promises, each with what it may cost."""

# ruff: noqa: PT012, PT011 - blocks that fail in the middle, and errors told apart by errno, are what is tested

import errno
import gzip
import io
import json
import pickle
import threading

import fsspec
import pytest

from huracan_sync import errors
from huracan_sync.fs import DropboxFileSystem
from huracan_sync.transfer.journal import Journal
from huracan_sync.tree.content_hash import content_hash

MIB = 1024 * 1024


def content(size, seed=0):
    """Bytes that do not repeat from block to block."""
    piece = bytes((seed + at) % 251 for at in range(4093))
    return (piece * (size // len(piece) + 1))[:size]


# --- paths -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spelled", ["dropbox://a/b.bin", "dropbox:///a/b.bin", "/a/b.bin", "a/b.bin", "/a/b.bin/", "dropbox::a/b.bin"]
)
def test_every_spelling_of_a_path_is_one_file(dropbox_fs, spelled):
    dropbox_fs.pipe("/a/b.bin", b"x")
    assert dropbox_fs.cat(spelled) == b"x"
    assert dropbox_fs.info(spelled)["name"] == "/a/b.bin"
    assert dropbox_fs.exists(spelled)
    assert dropbox_fs.modified(spelled)
    assert dropbox_fs.find(spelled) == ["/a/b.bin"]
    with dropbox_fs.open(spelled) as file:
        assert file.read() == b"x"


@pytest.mark.parametrize("path", ["/a/../b", "/a/./b", "/a//b", "/a\x00b", "/a\\b", "/a/\ud800"])
def test_a_path_that_nothing_can_have_is_refused(dropbox_fs, path):
    for call in (dropbox_fs.info, dropbox_fs.cat, dropbox_fs.ls, dropbox_fs.open):
        with pytest.raises(OSError) as caught:
            call(path)
        assert caught.value.errno == errno.EINVAL
        assert isinstance(caught.value.__cause__, errors.HostilePath)
    assert not dropbox_fs.exists(path)


@pytest.mark.parametrize("path", ["/a/trailing.", "/a/desktop \u202e.txt", "/" + "x" * 300, "/a\tb"])
def test_nothing_is_written_under_a_name_no_tree_may_hold(dropbox_fs, dropbox, path):
    with pytest.raises(OSError) as caught:
        dropbox_fs.pipe(path, b"x")
    assert caught.value.errno == errno.EINVAL
    assert dropbox.log()["requests"] == {}


def test_another_case_is_not_the_file(dropbox_fs):
    dropbox_fs.pipe("/Data.bin", b"x")
    dropbox_fs.invalidate_cache()
    assert not dropbox_fs.exists("/data.bin")
    with pytest.raises(FileNotFoundError, match="spelled"):
        dropbox_fs.cat("/data.bin")


def test_the_root_is_a_folder(dropbox_fs):
    dropbox_fs.pipe("/x", b"1")
    assert dropbox_fs.isdir("dropbox://")
    assert dropbox_fs.ls("", detail=False) == ["/x"]
    with pytest.raises(IsADirectoryError):
        dropbox_fs.cat("/")
    with pytest.raises(IsADirectoryError):
        dropbox_fs.pipe("/", b"x")


# --- errors ------------------------------------------------------------------------------------------------------


def test_errors_are_oserrors_with_ours_as_cause(dropbox_fs):
    dropbox_fs.pipe("/folder/file", b"x")
    table = [
        (lambda: dropbox_fs.cat("/none"), FileNotFoundError, errors.NotFound),
        (lambda: dropbox_fs.ls("/none"), FileNotFoundError, errors.NotFound),
        (lambda: dropbox_fs.pipe("/folder", b"x"), IsADirectoryError, None),
        (lambda: dropbox_fs.pipe("/folder/file/below", b"x"), NotADirectoryError, errors.Conflict),
        (lambda: dropbox_fs.mkdir("/folder"), FileExistsError, None),
        (lambda: dropbox_fs.rmdir("/folder/file"), NotADirectoryError, None),
        (lambda: dropbox_fs.cat("/folder"), IsADirectoryError, None),
        (lambda: dropbox_fs.pipe_file("/folder/file", b"x", mode="create"), FileExistsError, None),
    ]
    for call, kind, cause in table:
        with pytest.raises(kind) as caught:
            call()
        assert cause is None or isinstance(caught.value.__cause__, cause)
    with pytest.raises(OSError) as caught:
        dropbox_fs.rmdir("/folder")
    assert caught.value.errno == errno.ENOTEMPTY


def test_no_login_is_a_permission_error(dropbox, environment):
    fs = DropboxFileSystem("engine", skip_instance_cache=True)
    with pytest.raises(PermissionError) as caught:
        fs.ls("/")
    assert isinstance(caught.value.__cause__, errors.NotAuthorized)


def test_a_missing_scope_is_a_permission_error(dropbox, environment):
    token = dropbox.token(["files.metadata.read", "files.content.read"])["access_token"]
    fs = DropboxFileSystem(token=token, skip_instance_cache=True)
    with pytest.raises(PermissionError, match=r"files\.content\.write"):
        fs.pipe("/x", b"1")


@pytest.mark.parametrize("call", ["exists", "isdir", "isfile", "find", "glob", "ls"])
def test_what_cannot_be_found_out_is_an_error_and_not_a_no(dropbox_fs, dropbox, call):
    """s3fs issue 750."""
    dropbox.faults({"fault": "error", "tags": ["path", "no_permission"]}, {"fault": "user_suspended"})
    with pytest.raises(OSError):
        getattr(dropbox_fs, call)("/x*" if call == "glob" else "/x")


# --- metadata ----------------------------------------------------------------------------------------------------


def test_a_listing_is_never_stale(dropbox_fs, dropbox, environment, requests):
    """s3fs issues 260, 490, 657, 851, 903: what others write shows at once, for one request."""
    other = DropboxFileSystem(token=dropbox.token()["access_token"], skip_instance_cache=True)
    dropbox_fs.pipe({f"/d/{n}": b"x" for n in range(5)})
    assert len(dropbox_fs.ls("/d")) == 5
    other.pipe("/d/new", b"1")
    other.rm("/d/0")
    other.pipe("/d/1", b"longer")
    with requests() as count:
        listed = {info["name"]: info["size"] for info in dropbox_fs.ls("/d")}
    assert listed == {"/d/1": 6, "/d/2": 1, "/d/3": 1, "/d/4": 1, "/d/new": 1}
    assert count.by_route == {"files/list_folder/continue": 1}
    other.rm("/d", recursive=True)
    with pytest.raises(FileNotFoundError):
        dropbox_fs.ls("/d")
    assert dropbox_fs.find("/d") == []


@pytest.mark.parametrize("learned", ["ls", "info", "cat"])
@pytest.mark.parametrize("told", ["find", "ls"])
def test_what_a_later_listing_does_not_show_is_not_there(dropbox_fs, dropbox, environment, learned, told):
    other = DropboxFileSystem(token=dropbox.token()["access_token"], skip_instance_cache=True)
    dropbox_fs.pipe({"/d/a": b"a", "/d/b": b"b"})
    getattr(dropbox_fs, learned)("/d" if learned == "ls" else "/d/b")
    dropbox_fs.find("/")
    other.rm("/d/b")
    assert (dropbox_fs.find("/d") if told == "find" else dropbox_fs.ls("/d", detail=False)) == ["/d/a"]
    assert not dropbox_fs.exists("/d/b")


def test_what_is_not_there_is_asked_again(dropbox_fs, dropbox, environment):
    other = DropboxFileSystem(token=dropbox.token()["access_token"], skip_instance_cache=True)
    assert not dropbox_fs.exists("/x")
    other.pipe("/x", b"1")
    assert dropbox_fs.exists("/x")


def test_a_tree_is_listed_once(dropbox_fs, requests):
    dropbox_fs.pipe({f"/t/{n % 4}/{n}.parquet": b"x" for n in range(20)})
    with requests() as count:
        assert len(dropbox_fs.glob("/t/*/*.parquet")) == 20
        assert sum(len(files) for _, _, files in dropbox_fs.walk("/t")) == 20
        assert len(dropbox_fs.find("/t/1")) == 5
        assert dropbox_fs.du("/t") == 20
    assert count.by_route == {"files/list_folder": 1, "files/list_folder/continue": 3}
    with requests() as count:
        for name in dropbox_fs.find("/t"):
            assert dropbox_fs.info(name)["size"] == 1
            assert dropbox_fs.isfile(name)
    assert count.total == 1


def test_a_glob_in_one_folder_does_not_list_the_tree(dropbox_fs, dropbox, requests):
    dropbox_fs.pipe({"/t/a.csv": b"x", "/t/deep/b.csv": b"x"})
    dropbox_fs.account.metadata.forget()
    with requests() as count:
        assert dropbox_fs.glob("/t/*.csv") == ["/t/a.csv"]
    assert count.total == 1
    assert not any("/t/deep/b.csv" in listing.entries for listing, _ in dropbox_fs.account.metadata._listings.values())


def test_who_walks_folder_by_folder_is_given_one_listing(dropbox_fs, dropbox, environment, requests):
    """As Ray does: it lists a folder, then each in it."""
    dropbox_fs.pipe({f"/tree/{n:02}/{name}": b"x" for n in range(40) for name in "ab"})
    dropbox_fs.invalidate_cache()
    dropbox_fs.account.metadata._listings.clear()
    with requests() as count:
        found = [
            path for folder in dropbox_fs.ls("/tree", detail=False) for path in dropbox_fs.ls(folder, detail=False)
        ]
    assert found == [f"/tree/{n:02}/{name}" for n in range(40) for name in "ab"]
    assert count.total <= 4, count.by_route
    other = DropboxFileSystem(token=dropbox.token()["access_token"], skip_instance_cache=True)
    other.pipe("/tree/07/new", b"x")
    assert dropbox_fs.ls("/tree/07", detail=False)[-1] == "/tree/07/new", "a second time it is asked"
    other.rm("/tree/07/new")
    other.pipe("/elsewhere/x", b"")
    dropbox_fs.ls("/elsewhere")
    assert dropbox_fs.ls("/tree/07", detail=False)[-1] == "/tree/07/b"
    assert dropbox_fs.ls("/tree/07", detail=False)[-1] == "/tree/07/b"


def test_walk_strikes_folders_that_the_caller_strikes(dropbox_fs):
    dropbox_fs.pipe({"/w/a/x": b"1", "/w/b/y": b"1", "/w/z": b"1"})
    seen = []
    for folder, folders, _ in dropbox_fs.walk("/w"):
        seen.append(folder)
        if "a" in folders:
            folders.remove("a")
    assert seen == ["/w", "/w/b"]
    assert [folder for folder, _, _ in dropbox_fs.walk("/w", topdown=False)] == ["/w/a", "/w/b", "/w"]
    assert [folder for folder, _, _ in dropbox_fs.walk("/w", maxdepth=1)] == ["/w"]


def test_a_listing_costs_its_pages_and_no_more(dropbox_fs, dropbox, requests):
    dropbox_fs.pipe({f"/many/{n:04}": b"" for n in range(1000)})
    dropbox.config(page_size=200)
    dropbox_fs.account.metadata.forget()
    with requests() as count:
        assert len(dropbox_fs.find("/many")) == 1000
    assert count.total == 6  # 1,001 entries: the folder is one of them


def test_files_asked_for_one_by_one_are_listed_together(dropbox_fs, requests):
    """What a worker does that is given files by name."""
    dropbox_fs.pipe({f"/one/{n % 3}/{n}": b"x" * n for n in range(30)})
    dropbox_fs.account.metadata.forget()
    with requests() as count:
        assert [dropbox_fs.size(f"/one/{n % 3}/{n}") for n in range(30)] == list(range(30))
    assert count.by_route == {"files/get_metadata": 2, "files/list_folder": 1}


def test_a_folder_of_many_pages_is_not_listed_for_single_questions(dropbox_fs, dropbox, requests):
    dropbox_fs.pipe({f"/one/{n}": b"x" for n in range(20)})
    dropbox.config(page_size=10)
    dropbox_fs.account.metadata.forget()
    with requests() as count:
        for n in range(20):
            dropbox_fs.info(f"/one/{n}")
    assert count.by_route == {"files/get_metadata": 20, "files/list_folder": 1}


# --- reading -----------------------------------------------------------------------------------------------------


def test_an_open_file_reads_on_what_was_there(dropbox_fs):
    """s3fs issue 424."""
    dropbox_fs.pipe("/x", content(3 * MIB))
    with dropbox_fs.open("/x") as file:
        first = file.read(1000)
        dropbox_fs.pipe("/x", content(3 * MIB, seed=7))
        assert first + file.read() == content(3 * MIB)
    dropbox_fs.pipe("/x", b"now")
    with dropbox_fs.open("/x") as file:
        dropbox_fs.rm("/x")
        assert file.read() == b"now"


def test_a_column_of_a_file_costs_three_requests(dropbox_fs, requests):
    data = content(3 * MIB)
    dropbox_fs.pipe("/x.parquet", data)
    dropbox_fs.invalidate_cache()
    with requests() as count, dropbox_fs.open("/x.parquet") as file:
        file.seek(-8, 2)
        assert file.read(8) == data[-8:]
        file.seek(-5000, 2)
        assert file.read(5000) == data[-5000:]
        file.seek(100_000)
        assert file.read(400_000) == data[100_000:500_000]
    assert count.by_route == {"files/get_metadata": 1, "files/download": 2}
    with requests() as count, dropbox_fs.open("/x.parquet") as file:
        file.seek(-8, 2)
        assert file.read(8) == data[-8:]
    assert count.total == 0


@pytest.mark.slow
def test_a_file_read_in_order_is_read_ahead(dropbox_fs, requests):
    data = content(40 * MIB)
    dropbox_fs.pipe("/long", data)
    with requests() as count, dropbox_fs.open("/long") as file:
        read = bytearray()
        while piece := file.read(300_000):
            read += piece
    assert read == data
    assert count.total <= 16


def test_lines_are_read_with_few_requests(dropbox_fs, requests):
    text = "".join(f"{n},{n * n}\n" for n in range(200_000))
    dropbox_fs.write_text("/t.csv", text)
    with requests() as count, dropbox_fs.open("/t.csv", "r") as file:
        assert "".join(file) == text
    assert count.total <= 8
    assert dropbox_fs.read_text("/t.csv") == text
    with dropbox_fs.open("/t.csv", "rb") as file:
        assert file.readline() == b"0,0\n"
        assert file.readline() == b"1,1\n"


def test_ranges_are_fetched_at_once_and_right(dropbox_fs):
    data = content(3 * MIB)
    dropbox_fs.pipe({"/a": data, "/b": data[::-1]})
    starts, ends = [0, 10, -20, None], [10, 2 * MIB, None, -1]
    wanted = [data[0:10], data[10 : 2 * MIB], data[-20:], data[None:-1]]
    assert dropbox_fs.cat_ranges(["/a"] * 4, starts, ends) == wanted
    assert dropbox_fs.cat_ranges(["/a", "/b"], 5, 9) == [data[5:9], data[::-1][5:9]]
    assert dropbox_fs.cat(["/a", "/b"]) == {"/a": data, "/b": data[::-1]}
    found = dropbox_fs.cat_ranges(["/a", "/none"], 0, 1)
    assert found[0] == data[:1]
    assert isinstance(found[1], FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        dropbox_fs.cat_ranges(["/none"], 0, 1, on_error="raise")


def test_fsspec_own_caches_work_too(dropbox_fs):
    data = content(2 * MIB + 5)
    dropbox_fs.pipe("/x", data)
    for cache in ("none", "readahead", "bytes", "blockcache", "all", "background", "first"):
        with dropbox_fs.open("/x", cache_type=cache, block_size=MIB) as file:
            file.seek(MIB - 3)
            assert file.read(7) == data[MIB - 3 : MIB + 4], cache


# --- writing -----------------------------------------------------------------------------------------------------


def test_a_small_file_is_one_request_and_a_long_one_few(dropbox_fs, requests):
    with requests() as count:
        dropbox_fs.pipe("/small", content(5 * MIB))
    assert count.by_route == {"files/upload": 1}
    data = content(33 * MIB)
    with requests() as count, dropbox_fs.open("/long", "wb") as file:
        for at in range(0, len(data), 100_001):
            file.write(data[at : at + 100_001])
    assert count.by_route == {
        "files/upload_session/start": 1,
        "files/upload_session/append_v2": 5,
        "files/upload_session/finish_batch_v2": 1,
    }
    assert dropbox_fs.cat("/long") == data


@pytest.mark.parametrize("layer", ["binary", "text", "gzip", "buffered", "pandas-like"])
def test_a_write_that_fails_is_never_committed(dropbox_fs, layer):
    """PyFilesystem/s3fs 95, smart_open 684, lakefs-spec 218: layers close the file also when an exception passes."""
    dropbox_fs.pipe("/x", b"before")
    with pytest.raises(ZeroDivisionError):
        _write_and_fail(dropbox_fs, layer)
    assert dropbox_fs.cat("/x") == b"before"


def _write_and_fail(fs, layer):
    if layer == "binary":
        with fs.open("/x", "wb") as file:
            file.write(b"half")
            raise ZeroDivisionError
    if layer == "text":
        with fs.open("/x", "w") as file:
            file.write("half")
            raise ZeroDivisionError
    if layer == "gzip":
        with fs.open("/x", "wb", compression="gzip") as file:
            file.write(b"half")
            raise ZeroDivisionError
    if layer == "buffered":
        with io.BufferedWriter(fs.open("/x", "wb")) as file:
            file.write(b"half")
            raise ZeroDivisionError
    file = fs.open("/x", "wb")
    try:
        file.write(b"half")
        raise ZeroDivisionError
    finally:
        file.close()


def test_a_file_written_while_another_error_is_handled_is_committed(dropbox_fs):
    try:
        raise KeyError  # noqa: TRY301 - it fails on purpose
    except KeyError:
        with dropbox_fs.open("/x", "w") as file:
            file.write("whole")
    assert dropbox_fs.cat("/x") == b"whole"


def test_a_file_that_nobody_closed_is_not_committed(dropbox_fs):
    file = dropbox_fs.open("/x", "wb")
    file.write(b"half")
    del file
    assert not dropbox_fs.exists("/x")


def test_a_file_whose_write_failed_is_not_committed_by_close(dropbox_fs, dropbox):
    dropbox.faults({"fault": "insufficient_space", "route": "files/upload_session/append_v2"})
    file = dropbox_fs.open("/x", "wb")
    with pytest.raises(OSError) as caught:
        for _ in range(9):
            file.write(content(8 * MIB))
    assert caught.value.errno == errno.ENOSPC
    dropbox.faults()
    with pytest.raises(OSError, match="nothing of it"):
        file.write(b"more")
    with pytest.raises(OSError, match="nothing of it"):
        file.close()
    assert not dropbox_fs.exists("/x")


def test_append_is_refused(dropbox_fs):
    dropbox_fs.pipe("/x", b"1")
    for mode in ("ab", "r+b"):
        with pytest.raises(io.UnsupportedOperation):
            dropbox_fs.open("/x", mode)
    assert dropbox_fs.cat("/x") == b"1"


def test_of_two_who_create_one_wins(dropbox_fs, dropbox, environment):
    other = DropboxFileSystem(token=dropbox.token()["access_token"], skip_instance_cache=True)
    ours, theirs = dropbox_fs.open("/x", "xb"), other.open("/x", "xb")
    ours.write(b"ours")
    theirs.write(b"theirs")
    ours.close()
    with pytest.raises(FileExistsError):
        theirs.close()
    assert dropbox_fs.cat("/x") == b"ours"


@pytest.mark.slow
def test_two_writers_on_one_path_leave_one_whole_file(dropbox_fs, dropbox, environment):
    other = DropboxFileSystem(token=dropbox.token()["access_token"], skip_instance_cache=True)
    with dropbox_fs.open("/x", "wb") as ours, other.open("/x", "wb") as theirs:
        for _ in range(3):
            ours.write(b"a" * 5 * MIB)
            theirs.write(b"b" * 5 * MIB)
    dropbox_fs.invalidate_cache()
    assert dropbox_fs.cat("/x") in {b"a" * 15 * MIB, b"b" * 15 * MIB}


# --- transactions ------------------------------------------------------------------------------------------------


def test_a_transaction_is_one_batch(dropbox_fs, requests):
    large = content(20 * MIB)
    with requests() as count, dropbox_fs.transaction:
        for n in range(200):
            with dropbox_fs.open(f"/t/{n}", "wb") as file:
                file.write(content(1000, n))
        for n in range(2):
            with dropbox_fs.open(f"/t/large{n}", "wb") as file:
                file.write(large)
        assert not dropbox_fs.exists("/t/0")
    assert count.total <= 14 + 1  # the look in the middle is the test's own
    assert dropbox_fs.cat("/t/large1") == large
    assert dropbox_fs.cat("/t/199") == content(1000, 199)
    assert len(dropbox_fs.find("/t")) == 202


def test_a_failed_transaction_commits_nothing_and_poisons_nothing(dropbox_fs):
    """filesystem_spec issue 2108."""
    with pytest.raises(ZeroDivisionError), dropbox_fs.transaction:
        dropbox_fs.pipe("/t/a", b"1")
        with dropbox_fs.open("/t/b", "wb") as file:
            file.write(content(9 * MIB))
        raise ZeroDivisionError
    assert dropbox_fs.find("/t") == []
    dropbox_fs.pipe("/t/c", b"1")
    assert dropbox_fs.find("/t") == ["/t/c"]
    with dropbox_fs.transaction:
        dropbox_fs.pipe("/t/d", b"1")
    assert dropbox_fs.find("/t") == ["/t/c", "/t/d"]


def test_a_refused_commit_ends_the_transaction(dropbox_fs):
    dropbox_fs.pipe("/t/folder/x", b"1")
    with pytest.raises(IsADirectoryError), dropbox_fs.transaction:
        dropbox_fs.pipe("/t/a", b"1")
        dropbox_fs.account.metadata.forget()
        dropbox_fs.pipe("/t/folder", b"1")
        dropbox_fs.pipe("/t/b", b"1")
    assert not dropbox_fs._intrans
    assert dropbox_fs.find("/t") == ["/t/a", "/t/b", "/t/folder/x"]
    dropbox_fs.pipe("/t/c", b"1")
    assert dropbox_fs.exists("/t/c")


@pytest.mark.parametrize("begin", ["with", "start"])
def test_transactions_do_not_nest(dropbox_fs, begin):
    """The inner one would forget what the outer one holds."""

    def both():
        with dropbox_fs.transaction:
            dropbox_fs.pipe("/outer", b"x")
            if begin == "start":
                dropbox_fs.start_transaction()
            with dropbox_fs.transaction:
                dropbox_fs.pipe("/inner", b"x")

    with pytest.raises(RuntimeError, match="do not nest"):
        both()
    assert dropbox_fs.find("/") == []
    dropbox_fs.start_transaction()
    dropbox_fs.pipe("/next", b"x")
    assert dropbox_fs.find("/") == []
    dropbox_fs.end_transaction()
    assert dropbox_fs.find("/") == ["/next"]


@pytest.mark.parametrize("path", [None, 5, b"/a", ["/a"]])
def test_a_path_is_text(dropbox_fs, path):
    for call in (dropbox_fs.info, dropbox_fs.exists, dropbox_fs.isfile, dropbox_fs.open, dropbox_fs.ls):
        with pytest.raises(TypeError, match="a path is text"):
            call(path)


def test_a_file_that_is_written_is_not_read(dropbox_fs):
    with dropbox_fs.open("/w", "wb") as file, pytest.raises(io.UnsupportedOperation):
        file.read()


def test_in_a_transaction_the_last_write_counts(dropbox_fs):
    with dropbox_fs.transaction:
        dropbox_fs.pipe("/x", b"first")
        dropbox_fs.pipe("/x", content(9 * MIB))
        dropbox_fs.pipe("/x", b"last")
    assert dropbox_fs.cat("/x") == b"last"


def test_a_file_left_open_commits_nothing(dropbox_fs):
    with pytest.raises(OSError, match="still open"), dropbox_fs.transaction:
        file = dropbox_fs.open("/x", "wb")
        file.write(b"half")
        dropbox_fs.pipe("/y", b"1")
    assert dropbox_fs.ls("/") == []


# --- many files --------------------------------------------------------------------------------------------------


class Progress(fsspec.Callback):
    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def branched(self, source, target, **kwargs):
        self.seen.append(source)
        return fsspec.Callback()


@pytest.mark.slow
def test_two_hundred_files_are_put_and_got_with_few_requests(dropbox_fs, tmp_path, requests):
    source, back = tmp_path / "source", tmp_path / "back"
    for n in range(200):
        file = source / f"{n % 5}" / f"{n}.bin"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content(500, n))
    seen = []
    progress = Progress(seen)
    with requests() as count:
        dropbox_fs.put(str(source), "/put", recursive=True, callback=progress)
    assert count.total <= 14
    assert count.by_route["files/upload_session/finish_batch_v2"] == 1
    assert len(seen) == progress.value == progress.size == 200
    with requests() as count:
        dropbox_fs.get("/put", str(back), recursive=True)
    assert count.total <= 6
    assert count.by_route["files/download_zip"] == 1
    assert {p.relative_to(back): p.read_bytes() for p in back.rglob("*.bin")} == {
        p.relative_to(source): p.read_bytes() for p in source.rglob("*.bin")
    }


def test_a_file_that_is_got_appears_whole_or_not_at_all(dropbox_fs, dropbox, tmp_path):
    dropbox_fs.pipe("/x", content(9 * MIB))
    target = tmp_path / "x"
    target.write_bytes(b"before")
    dropbox.faults({"fault": "error", "route": "files/download", "tags": ["path", "restricted_content"], "nth": 2})
    with pytest.raises(OSError):
        dropbox_fs.get("/x", str(target))
    assert target.read_bytes() == b"before"
    dropbox.faults()
    dropbox_fs.get("/x", str(target))
    assert target.read_bytes() == content(9 * MIB)
    assert [p.name for p in tmp_path.iterdir() if p.name != "home"] == ["x"]


def test_a_folder_is_copied_and_moved_by_the_server(dropbox_fs, requests):
    dropbox_fs.pipe({f"/a/{n}": b"x" for n in range(20)})
    with requests() as count:
        dropbox_fs.cp("/a", "/b", recursive=True)
        dropbox_fs.mv("/b", "/c", recursive=True)
    assert count.by_route["files/copy_v2"] == count.by_route["files/move_v2"] == 1
    assert "files/download" not in count.by_route
    assert len(dropbox_fs.find("/c")) == 20
    assert not dropbox_fs.exists("/b")
    with requests() as count:
        dropbox_fs.rm("/a", recursive=True)
    assert count.by_route == {"files/delete_v2": 1}


def test_copy_and_move_replace_what_lies_there(dropbox_fs):
    dropbox_fs.pipe({"/a": b"new", "/b": b"old", "/c": b"older"})
    dropbox_fs.cp("/a", "/b")
    assert dropbox_fs.cat("/b") == b"new"
    dropbox_fs.mv("/a", "/c")
    assert dropbox_fs.cat("/c") == b"new"
    assert not dropbox_fs.exists("/a")


def test_a_removed_file_is_the_one_that_lies_there(dropbox_fs, dropbox, environment):
    other = DropboxFileSystem(token=dropbox.token()["access_token"], skip_instance_cache=True)
    dropbox_fs.pipe("/x", b"1")
    other.pipe("/x", b"2")
    dropbox_fs.rm("/x")
    assert other.find("/") == []
    with pytest.raises(FileNotFoundError):
        dropbox_fs.rm("/x")


# --- identity ----------------------------------------------------------------------------------------------------


def test_a_content_is_known_by_its_hash(dropbox_fs):
    dropbox_fs.pipe({"/a": b"same", "/b": b"same", "/c": b"else"})
    assert dropbox_fs.ukey("/a") == dropbox_fs.ukey("/b") != dropbox_fs.ukey("/c")
    assert dropbox_fs.checksum("/a") == dropbox_fs.checksum("/b") != dropbox_fs.checksum("/c")
    assert dropbox_fs.created("/a").tzinfo
    assert dropbox_fs.modified("/a").tzinfo


def test_it_pickles_small_and_holds_no_secret(environment):
    fs = DropboxFileSystem("engine", skip_instance_cache=True)
    pickled = pickle.dumps(fs)
    assert len(pickled) < 400
    assert pickle.loads(pickled).storage_options == fs.storage_options  # noqa: S301 - our own
    assert fsspec.AbstractFileSystem.from_json(fs.to_json())._login == fs._login


def test_a_token_is_in_nothing_that_leaves(dropbox, dropbox_fs):
    token = dropbox_fs._token.reveal()
    with pytest.raises(TypeError, match="profile"):
        pickle.dumps(dropbox_fs)
    for text in (
        repr(dropbox_fs),
        dropbox_fs.to_json(),
        json.dumps(dropbox_fs.to_dict()),
        str(dropbox_fs.storage_options),
    ):
        assert token not in text
    with pytest.raises(OSError) as caught:
        dropbox_fs.cat("/none")
    assert token not in repr(caught.value)


def test_threads_share_connections_and_what_is_known(dropbox, dropbox_fs, environment):
    token = dropbox_fs._token.reveal()
    accounts = []

    def work():
        accounts.append(DropboxFileSystem(token=token).account)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(account is dropbox_fs.account for account in accounts)


def test_a_gzip_file_is_written_and_read(dropbox_fs):
    with dropbox_fs.open("/x.gz", "wt", compression="infer") as file:
        file.write("text\n" * 1000)
    assert gzip.decompress(dropbox_fs.cat("/x.gz")) == b"text\n" * 1000
    with dropbox_fs.open("/x.gz", "rt", compression="infer") as file:
        assert file.readline() == "text\n"


def test_what_was_fetched_is_not_signed_by_being_pushed(dropbox_fs, tmp_path):
    dropbox_fs.pipe({"/d/a": b"1", "/d/empty": b""})
    dropbox_fs.get("/d/", str(tmp_path / "d"), recursive=True)
    with Journal(dropbox_fs.account.home) as journal:
        assert journal.unsigned_contents() == {content_hash(b"1")}


@pytest.mark.parametrize("name", [".git/config", ".ssh/authorized_keys", ".bashrc"])
def test_a_folder_with_what_programs_act_on_is_fetched_only_when_asked_for(dropbox_fs, tmp_path, name):
    dropbox_fs.pipe({f"/d/{name}": b"1", "/d/a": b"2"})
    with pytest.raises(PermissionError):
        dropbox_fs.get("/d/", str(tmp_path / "d"), recursive=True)
    assert not (tmp_path / "d" / "a").exists()
    dropbox_fs.get("/d/", str(tmp_path / "d"), recursive=True, active_names=True)
    assert (tmp_path / "d" / name).read_bytes() == b"1"
    dropbox_fs.get(f"/d/{name}", str(tmp_path / "alone"))  # asked for by name
    assert (tmp_path / "alone").read_bytes() == b"1"


@pytest.mark.parametrize("path", ["sub/a", "sub/deep/a"])
def test_no_link_below_the_local_folder_is_followed(dropbox_fs, tmp_path, path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "sub").symlink_to(outside)
    dropbox_fs.pipe({f"/d/{path}": b"1"})
    with pytest.raises(OSError, match="sub"):
        dropbox_fs.get("/d/", str(tmp_path / "d"), recursive=True)
    assert not list(outside.iterdir())


def test_names_that_dropbox_never_takes_are_left_out_of_what_a_folder_or_a_pattern_brings(dropbox_fs, tmp_path, caplog):
    names = ["ok.bin", "in/ok.bin", "~$x.xlsx", "in/~a.tmp", ".~lock", "~$in/lost.bin", ".DS_Store"]
    for name in names:
        (tmp_path / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "src" / name).write_bytes(b"x")
    dropbox_fs.put(str(tmp_path / "src"), "/whole", recursive=True)
    assert sorted(dropbox_fs.find("/whole")) == ["/whole/in/ok.bin", "/whole/ok.bin"]
    assert sum("~$x.xlsx' is left out" in record.getMessage() for record in caplog.records) == 1
    dropbox_fs.put(str(tmp_path / "src/*"), "/pattern/")
    assert dropbox_fs.find("/pattern") == ["/pattern/ok.bin"]
    with pytest.raises(OSError, match="does not take this name"):
        dropbox_fs.put(str(tmp_path / "src/~$x.xlsx"), "/named/~$x.xlsx")
