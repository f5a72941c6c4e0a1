"""Misfortune on the way, and processes that fork: what was promised holds, or an error says that it does not."""

import errno
import multiprocessing
import signal

import pytest
import warm
from forking import forked
from noise import noise
from quick_time import Time
from sampled import slow

from huracan_sync import errors
from huracan_sync.fs import DropboxFileSystem

# ruff: noqa: PT011 - errors are told apart by errno
MIB = 1024 * 1024
DATA = noise("data", 20_465_000)


@pytest.fixture(autouse=True)
def _no_pauses(dropbox_fs):
    """Waiting between attempts is tested where it is decided."""
    Time().rules(dropbox_fs.account.remote.pacing)


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "truncate", "fraction": 0.3, "times": 2},
        {"fault": "reset", "times": 2},
        slow({"fault": "close", "times": 2}),
        {"fault": "rate_limited", "retry_after": 0, "times": 3},
        slow({"fault": "server_error", "times": 3}),
        {"fault": "ignore_range", "times": 1},
        {"fault": "expired_access_token", "times": 0},
    ],
    ids=lambda fault: fault["fault"],
)
def test_what_is_read_is_right_or_an_error(dropbox_fs, dropbox, fault):
    dropbox_fs.pipe("/x", DATA)
    if fault["times"]:
        dropbox.faults({**fault, "route": "files/download"})
    with dropbox_fs.open("/x") as file:
        file.seek(1000)
        assert file.read(3000) == DATA[1000:4000]
    assert dropbox_fs.cat("/x") == DATA


def test_bytes_that_arrive_as_others_are_refused(dropbox_fs, dropbox, tmp_path):
    dropbox_fs.pipe("/x", DATA[: 3 * MIB])
    dropbox_fs.invalidate_cache()
    dropbox.faults({"fault": "corrupt", "route": "files/download", "offset": 5})
    with pytest.raises(OSError) as caught:
        dropbox_fs.get("/x", str(tmp_path / "x"))
    assert caught.value.errno == errno.EIO
    assert isinstance(caught.value.__cause__, errors.ContentMismatch)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("route", ["files/upload", "files/upload_session/*"])
@pytest.mark.parametrize("fault", ["reset", *map(slow, ("close", "truncate", "server_error")), "rate_limited"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_what_is_written_is_whole_after_lost_answers(dropbox_fs, dropbox, route, fault, when):
    dropbox.faults({"fault": fault, "route": route, "when": when, "every": 2, "times": 4, "retry_after": 0})
    data = DATA if "session" in route else DATA[:MIB]
    with dropbox_fs.open("/x", "wb") as file:
        for at in range(0, len(data), 3 * MIB):
            file.write(data[at : at + 3 * MIB])
    dropbox.faults()
    dropbox_fs.invalidate_cache()
    assert dropbox_fs.cat("/x") == data


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_transaction_is_whole_after_lost_answers(dropbox_fs, dropbox, when):
    dropbox.faults(
        {"fault": "reset", "route": "files/upload_session/*", "when": when, "every": 2, "times": 3},
        {
            "fault": "too_many_write_operations",
            "route": "files/upload_session/finish_batch_v2",
            "entries": [1, 3],
            "times": 1,
        },
    )
    with dropbox_fs.transaction:
        for n in range(6):
            dropbox_fs.pipe(f"/t/{n}", DATA[: n * 1000])
        dropbox_fs.pipe("/t/large", DATA)
    dropbox.faults()
    assert {name: info["size"] for name, info in dropbox_fs.find("/t", detail=True).items()} == {
        **{f"/t/{n}": n * 1000 for n in range(6)},
        "/t/large": len(DATA),
    }


def test_a_full_account_is_enospc(dropbox_fs, dropbox):
    dropbox.faults({"fault": "insufficient_space", "route": "files/upload"})
    with pytest.raises(OSError) as caught:
        dropbox_fs.pipe("/x", b"1")
    assert caught.value.errno == errno.ENOSPC
    assert isinstance(caught.value.__cause__, errors.OutOfSpace)


def test_a_revoked_login_is_a_permission_error_and_asks_no_more(dropbox_fs, dropbox):
    dropbox_fs.pipe("/x", DATA[:1000])
    dropbox.faults({"fault": "invalid_access_token"})
    for call in (dropbox_fs.ls, dropbox_fs.find):
        with pytest.raises(PermissionError):
            call("/")


def test_a_listing_whose_cursor_is_reset_begins_anew(dropbox_fs, dropbox):
    dropbox_fs.pipe({f"/d/{n}": b"x" for n in range(4)})
    assert len(dropbox_fs.find("/d")) == 4
    dropbox.faults({"fault": "cursor_reset", "route": "files/list_folder/continue", "times": 1})
    dropbox_fs.pipe("/d/new", b"x")
    assert len(dropbox_fs.find("/d")) == 5


@pytest.mark.parametrize("form", ["duplicate", "reorder", "empty"])
def test_pages_that_are_off_change_nothing(dropbox_fs, dropbox, form):
    dropbox_fs.pipe({f"/d/{n}": b"x" for n in range(9)})
    dropbox.config(page_size=3)
    dropbox.faults({"fault": "pages", "form": form, "every": 2})
    assert len(dropbox_fs.find("/d")) == 9


def _write_and_die(ready):
    fs = DropboxFileSystem("engine", skip_instance_cache=True)
    file = fs.open("/killed", "wb")
    for _ in range(4):
        file.write(DATA[: 9 * MIB])
    ready.set()
    signal.pause()


@pytest.fixture
def logged_in_here(dropbox, environment, tmp_path, monkeypatch):
    grant = dropbox.token()
    file = tmp_path / "refresh-token"
    file.write_text(grant["refresh_token"])
    file.chmod(0o400)
    monkeypatch.setenv("HURACAN_REFRESH_TOKEN_FILE", str(file))
    monkeypatch.setenv("HURACAN_APP_KEY", grant["app_key"])


@pytest.mark.slow
def test_a_process_killed_while_it_writes_leaves_nothing(dropbox_fs, logged_in_here):
    context = warm.context()
    ready = context.Event()
    process = context.Process(target=_write_and_die, args=(ready,))
    process.start()
    try:
        assert ready.wait(60)
    finally:
        process.kill()
        process.join()
    assert not dropbox_fs.exists("/killed")
    assert dropbox_fs.find("/") == []


def _read_in_child(fs, path, results):
    results.put(fs.cat(path))
    with fs.open("/from-child", "wb") as file:
        file.write(b"child")


def test_a_forked_child_goes_on(dropbox_fs, logged_in_here):
    """s3fs issues 369 and 914, gcsfs issue 379: asynchronous ones hang after a fork."""
    fs = DropboxFileSystem("engine", skip_instance_cache=True)
    fs.pipe("/x", DATA)
    assert fs.cat("/x") == DATA
    fs.account.metadata._lock.acquire()  # another thread of the parent holds it at this very moment
    fs.account._lock.acquire()
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    process = context.Process(target=_read_in_child, args=(fs, "/x", results))
    process.start()
    fs.account.metadata._lock.release()
    fs.account._lock.release()
    try:
        assert results.get() == DATA
        process.join(60)
        assert process.exitcode == 0
    finally:
        process.kill()
        process.join()
    assert fs.cat("/from-child") == b"child"


@pytest.mark.parametrize("size", [10, 20 * MIB], ids=["in memory", "in parts"])
def test_what_was_being_written_at_a_fork_belongs_to_the_parent(dropbox_fs, size):
    data = (DATA * 2)[:size]
    file = dropbox_fs.open("/x", "wb")
    file.write(data)

    def child():
        for work in (lambda: file.write(b"of the child"), file.close):
            with pytest.raises(OSError) as refused:
                work()
            assert "a fork" in str(refused.value) or "a write to /x failed" in str(refused.value)
        with dropbox_fs.open("/of the child", "wb") as other:
            other.write(b"its own")
        return True

    assert forked(child)
    assert not dropbox_fs.exists("/x")
    file.write(b"end")
    file.close()
    assert dropbox_fs.cat("/x") == data + b"end"
    assert dropbox_fs.cat("/of the child") == b"its own"


def test_a_transaction_is_the_parent_s(dropbox_fs):
    dropbox_fs.start_transaction()
    dropbox_fs.pipe("/x", b"in it")

    def child():
        with pytest.raises(OSError, match="a fork"):
            dropbox_fs.end_transaction()
        return True

    assert forked(child)
    assert not dropbox_fs.exists("/x")
    dropbox_fs.end_transaction()
    assert dropbox_fs.cat("/x") == b"in it"


def test_one_file_that_may_not_be_fetched_keeps_no_other_from_coming(dropbox_fs, dropbox, tmp_path):
    for n in range(5):
        dropbox_fs.pipe(f"/r/{n}.csv", b"%d" % n)
    dropbox.faults({"fault": "restricted_content", "path": "/r/1.csv"})
    with pytest.raises(PermissionError, match="keeps this content back") as refused:
        dropbox_fs.get("/r", str(tmp_path / "r"), recursive=True)
    assert "4 other files of 5 came" in refused.value.__notes__
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == ["0.csv", "2.csv", "3.csv", "4.csv"]
