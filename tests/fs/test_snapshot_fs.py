"""`huracan://`: what is read was signed, or it is an error; and what that costs."""

import errno
import os
import pickle
import time
from unittest import mock

import fsspec
import pytest
import warm
from forking import forked, held_elsewhere
from publishing_machine import Publisher, read_as_hamilton
from sampled import sampled

from huracan_sync import errors
from huracan_sync.errors import ContentMismatch
from huracan_sync.fs import SnapshotFileSystem
from huracan_sync.fs.account import ACCOUNTS
from huracan_sync.fs.pinned import PinnedSnapshot

# ruff: noqa: PT011, S301 - errors are told apart by errno; what is unpickled is our own
MIB = 1024 * 1024
FILES = {"hamilton/roster.bin": 300, "models/BTC.bin": 70_000, "models/deep/ETH.bin": 9 * MIB + 17, "top.txt": 0}


@pytest.fixture
def engine(dropbox, tmp_path):
    """A machine that publishes in the channel `champions`."""
    machine = Publisher(dropbox, tmp_path / "engine", clock=time.time)
    machine.roots().begin()
    machine.write(FILES)
    machine.publish()
    return machine


@pytest.fixture
def reader(dropbox, engine, environment, tmp_path, monkeypatch):
    """This process reads as `hamilton` and has pinned the engine's key."""
    hamilton = read_as_hamilton(dropbox, engine, tmp_path, monkeypatch)
    SnapshotFileSystem.clear_instance_cache()
    fsspec.register_implementation("huracan", SnapshotFileSystem, clobber=True)
    return hamilton


@pytest.fixture
def fs(reader):
    return SnapshotFileSystem("champions", skip_instance_cache=True)


def expected(engine, path):
    return (engine.src / path).read_bytes()


def test_it_shows_and_reads_what_is_signed(engine, fs):
    assert sorted(fs.find("/")) == sorted(f"/{path}" for path in FILES)
    assert {path: fs.size(f"/{path}") for path in FILES} == FILES
    assert fs.ls("/", detail=False) == ["/hamilton", "/models", "/top.txt"]
    assert fs.glob("/models/**/*.bin") == ["/models/BTC.bin", "/models/deep/ETH.bin"]
    assert fs.isdir("/models/deep")
    assert not fs.exists("/models/none")
    assert [at for at, _, _ in fs.walk("/")] == ["", "/hamilton", "/models", "/models/deep"]
    for path in FILES:
        assert fs.cat(f"/{path}") == expected(engine, path)
    with fs.open("/models/deep/ETH.bin") as file:
        file.seek(5 * MIB)
        assert file.read(100) == expected(engine, "models/deep/ETH.bin")[5 * MIB : 5 * MIB + 100]
        file.seek(0)
        pieces = iter(lambda: file.read(100_000), b"")
        assert b"".join(pieces) == expected(engine, "models/deep/ETH.bin")


def test_a_number_that_no_sequence_can_have_is_part_of_a_name(reader):
    url = f"huracan://champions@{'9' * 5000}/models/BTC.bin"
    with pytest.raises(OSError, match="channel's name"):
        fsspec.open(url).open()


def test_what_cannot_be_proved_takes_the_place_of_nothing(engine, fs, tmp_path):
    here = tmp_path / "model.bin"
    fs.get("/models/deep/ETH.bin", str(here))
    assert here.read_bytes() == expected(engine, "models/deep/ETH.bin")
    here.write_bytes(b"mine")
    with (
        mock.patch.object(PinnedSnapshot, "read_range", side_effect=ContentMismatch("damaged")),
        pytest.raises(OSError),
    ):
        fs.get("/models/BTC.bin", str(here))
    assert [path.name for path in tmp_path.glob("*.bin*")] == ["model.bin"]
    assert here.read_bytes() == b"mine"


def test_what_it_costs(fs, requests, reader):
    with requests() as count:
        fs.find("/")
    assert count.total <= 5
    with requests() as count:
        fs.find("/")
        fs.ls("/models")
        fs.info("/models/BTC.bin")
        fs.exists("/none")
    assert count.total == 0
    with requests() as count:
        assert len(fs.cat_file("/models/deep/ETH.bin", 5 * MIB, 6 * MIB)) == MIB
        fs.cat_file("/models/deep/ETH.bin", 5 * MIB, 7 * MIB)
    assert count.by_route == {"files/download": 1}
    again = SnapshotFileSystem("champions", skip_instance_cache=True)
    with requests() as count:
        again.find("/")
    assert count.total == 1


def test_an_open_one_stays_what_it_was(engine, fs, reader):
    before = expected(engine, "models/BTC.bin")
    assert fs.snapshot.sequence == 1
    engine.write({"models/BTC.bin": b"the next one"})
    engine.publish()
    assert fs.cat("/models/BTC.bin") == before
    assert SnapshotFileSystem("champions", skip_instance_cache=True).cat("/models/BTC.bin") == b"the next one"


@pytest.mark.slow
def test_an_earlier_sequence_is_read_and_never_stale(engine, reader, requests):
    before = expected(engine, "models/BTC.bin")
    for n in range(3):
        engine.write({"models/BTC.bin": b"later %d" % n})
        engine.publish()
    assert SnapshotFileSystem("champions", 1).cat("/models/BTC.bin") == before
    assert SnapshotFileSystem("champions", 3).cat("/models/BTC.bin") == b"later 1"
    assert SnapshotFileSystem("champions", 4).cat("/models/BTC.bin") == b"later 2"
    with pytest.raises(FileNotFoundError) as caught:
        SnapshotFileSystem("champions", 9).ls("/")
    assert isinstance(caught.value.__cause__, errors.NotFound)


def test_urls(engine, reader):
    data = expected(engine, "models/BTC.bin")
    for url in (
        "huracan://champions/models/BTC.bin",
        "huracan://champions@1/models/BTC.bin",
        "huracan://champions@latest/models/BTC.bin",
    ):
        with fsspec.open(url) as file:
            assert file.read() == data
    fs, path = fsspec.url_to_fs("huracan://champions@1/models")
    assert path == "/models"
    assert fs.unstrip_protocol(path) == "huracan://champions@1/models"
    assert SnapshotFileSystem._get_kwargs_from_urls("huracan://sync/data@7/x/y@z") == {
        "channel": "sync/data",
        "sequence": 7,
    }
    assert SnapshotFileSystem._strip_protocol("huracan://sync/data@7/x/y@z") == "/x/y@z"
    assert SnapshotFileSystem._get_kwargs_from_urls("huracan://champions") == {"channel": "champions"}


def test_bytes_that_are_not_what_was_signed_are_refused(dropbox, fs):
    fs.find("/")
    dropbox.faults({"fault": "corrupt", "route": "files/download", "offset": 5})
    for call in (lambda: fs.cat("/models/BTC.bin"), lambda: fs.cat_file("/models/deep/ETH.bin", 10, 20)):
        with pytest.raises(OSError) as caught:
            call()
        assert caught.value.errno == errno.EIO
        assert isinstance(caught.value.__cause__, errors.Refused)


def test_a_file_replaced_behind_the_signature_is_refused(engine, fs, dropbox_fs):
    fs.find("/")
    item = fs.snapshot.item("models/BTC.bin")
    assert item
    dropbox_fs.pipe(f"{engine.remote.root}/models/BTC.bin", b"evil" * 17_500)
    # Its revision is still there, so the signed bytes come all the same.
    assert fs.cat("/models/BTC.bin") == expected(engine, "models/BTC.bin")


@pytest.mark.parametrize("path", ["/../models/BTC.bin", "/models/\x00", "/models//BTC.bin"])
def test_paths_that_nothing_can_have(fs, path):
    with pytest.raises(OSError) as caught:
        fs.cat(path)
    assert caught.value.errno == errno.EINVAL


def test_it_cannot_be_written_to(fs):
    calls = [
        lambda: fs.open("/x", "wb"),
        lambda: fs.open("/x", "ab"),
        lambda: fs.pipe("/x", b""),
        lambda: fs.rm("/top.txt"),
        lambda: fs.mkdir("/d"),
        lambda: fs.makedirs("/d"),
        lambda: fs.cp("/top.txt", "/y"),
        lambda: fs.mv("/top.txt", "/y"),
        lambda: fs.put("/etc/hostname", "/y"),
        lambda: fs.touch("/y"),
    ]
    for call in calls:
        with pytest.raises(OSError) as caught:
            call()
        assert caught.value.errno == errno.EROFS


def test_without_pins_or_channel(engine, reader, environment, monkeypatch, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        SnapshotFileSystem("none").ls("/")
    assert isinstance(caught.value.__cause__, errors.NotFound)
    with pytest.raises(OSError):
        SnapshotFileSystem("No Channel").ls("/")
    monkeypatch.setenv("HURACAN_SYNC_HOME", str(tmp_path / "elsewhere"))
    with pytest.raises(PermissionError) as caught:
        SnapshotFileSystem("champions", skip_instance_cache=True).ls("/")
    assert isinstance(caught.value.__cause__, errors.NoTrust)


def test_a_pickled_one_verifies_elsewhere_without_a_request(engine, fs, requests):
    fs.find("/")
    pickled = pickle.dumps(fs)
    engine.write({"models/BTC.bin": b"the next one"})
    engine.publish()
    with requests() as count:
        there = pickle.loads(pickled)
        assert there.find("/") == fs.find("/")
        assert there.info("/models/BTC.bin")["size"] == 70_000
    assert count.total == 0
    assert there.cat("/models/BTC.bin") == fs.cat("/models/BTC.bin")
    assert len(pickled) < 10_000


def test_a_pickled_one_that_was_changed_is_refused(fs):
    fs.find("/")
    carried = fs.pinned.to_carry()
    head = bytearray(carried.head)
    head[len(head) // 2] ^= 1
    evil = SnapshotFileSystem("champions", skip_instance_cache=True)
    evil._carried = type(carried)(carried.channel, carried.trust, bytes(head), carried.parts)
    with pytest.raises(OSError) as caught:
        evil.find("/")
    assert isinstance(caught.value.__cause__, errors.Refused)


def _size(fs, results):
    results.put((fs.find("/"), fs.cat("/models/BTC.bin")))


@pytest.mark.slow
def test_a_worker_process_reads_it(engine, fs):
    fs.find("/")
    context = warm.context()
    results = context.SimpleQueue()
    process = context.Process(target=_size, args=(fs, results))
    process.start()
    try:
        found, data = results.get()
    finally:
        process.join(60)
        process.kill()
    assert data == expected(engine, "models/BTC.bin")
    assert found == fs.find("/")


def test_an_open_file_travels(fs, engine):
    with fs.open("/models/BTC.bin") as file:
        file.seek(10)
        again = pickle.loads(pickle.dumps(file))
        assert again.read(5) == expected(engine, "models/BTC.bin")[10:15]


class TestTheReadHalfOfTheSuite:
    """What fsspec's own suite asks of `get`, over a signed tree."""

    def test_get(self, fs, engine, tmp_path):
        fs.get("/models", str(tmp_path / "got"), recursive=True)
        assert (tmp_path / "got" / "deep" / "ETH.bin").read_bytes() == expected(engine, "models/deep/ETH.bin")
        fs.get("/models/BTC.bin", str(tmp_path / "one.bin"))
        assert (tmp_path / "one.bin").read_bytes() == expected(engine, "models/BTC.bin")
        fs.get(["/top.txt", "/models/BTC.bin"], str(tmp_path / "list") + "/")
        assert sorted(p.name for p in (tmp_path / "list").iterdir()) == ["BTC.bin", "top.txt"]
        fs.get("/models/*.bin", str(tmp_path / "glob") + "/")
        assert [p.name for p in (tmp_path / "glob").iterdir()] == ["BTC.bin"]


LOCKS = {
    "a reader": lambda fs, hamilton: hamilton.reader._locks[os.getpid()],
    "the snapshot": lambda fs, hamilton: fs._lock,
    "the threads of the account": lambda fs, hamilton: fs.account._lock,
    "bytes that were proved": lambda fs, hamilton: fs.account.proved._lock,
    "bytes that are kept": lambda fs, hamilton: fs.account.kept._lock,
    "metadata": lambda fs, hamilton: fs.account.metadata._lock,
    "a listing": lambda fs, hamilton: fs.account.metadata._refreshing,
    "the accounts": lambda fs, hamilton: ACCOUNTS._lock,
    "the pool": lambda fs, hamilton: fs.threads._shutdown_lock,
}


@pytest.mark.slow
@pytest.mark.parametrize("what", sampled(LOCKS, 3))
def test_a_forked_worker_reads_on_whatever_another_thread_held(engine, fs, reader, what):
    path, content = "/models/deep/ETH.bin", expected(engine, "models/deep/ETH.bin")
    assert fs.cat("/models/BTC.bin") == expected(engine, "models/BTC.bin")
    account = fs.account

    def reads_on():
        account.metadata.forget()
        with account.metadata._refreshing:
            account.kept.put(("x",), b"x")
        account.proved.put(("x",), b"x")
        list(account.threads.map(len, ["x"]))
        with fs.open(path) as file:
            return file.read() == content and reader.latest().sequence == fs.snapshot.sequence

    with held_elsewhere(LOCKS[what](fs, reader)):
        assert forked(reads_on)
    assert fs.cat(path) == content
