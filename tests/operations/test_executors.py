"""Push and restore whose bytes are carried by the workers of an executor that see the same disk."""

import inspect
import os
import signal
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

import pytest
import warm
from engine_world import write_candle
from publishing_machine import Publisher
from staging_world import driver_of

from huracan_sync import errors, push, restore
from huracan_sync.operations import push_shares, restore_shares
from huracan_sync.operations.workers import in_shares
from huracan_sync.transfer import elsewhere

MIB = 1024 * 1024
FOLDER = "/Engine/data"
FILES = {f"deep/{n:03}.bin": 500 + n for n in range(60)} | {
    "large.bin": 11 * MIB,
    "other.bin": 9 * MIB,
    "empty": b"",
    "grows.log": b"one\n",
    "ü/ß.txt": b"x",
}


@pytest.fixture
def driver(dropbox, tmp_path):
    machine = driver_of(dropbox, tmp_path)
    machine.write(FILES)
    return machine


def pushed(machine, executor, **options):
    return machine.push_folder(machine.src, FOLDER, executor=executor, **options)


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


class Mapping:
    """A pool that has nothing but `map`, as Ray's and multiprocessing's."""

    def __init__(self):
        self._pool = ThreadPool(2)
        self._processes = 2

    def map(self, work, items):
        return self._pool.map(work, items)

    def shutdown(self):
        self._pool.terminate()
        self._pool.join()


def spawned():
    return ProcessPoolExecutor(2, mp_context=warm.context())


@pytest.mark.parametrize("pool", [lambda: ThreadPoolExecutor(2), Mapping, spawned], ids=["threads", "map", "processes"])
def test_workers_push_and_restore_everything(driver, tmp_path, pool):
    executor = pool()
    report = pushed(driver, executor)
    assert (report.failed, report.uploaded) == ([], len(FILES))
    assert report.bytes_sent >= 20 * MIB
    assert pushed(driver, None).uploaded == 0  # what a worker has read is known here
    target = tmp_path / "restored"
    report = driver.restore(FOLDER, target, executor=executor)
    assert (report.failed, report.downloaded) == ([], len(FILES))
    assert tree(target) == tree(driver.src)
    assert driver.restore(FOLDER, target).downloaded == 0
    assert pushed(driver, None).uploaded == 0
    executor.shutdown()


@pytest.mark.slow
def test_bytes_travel_with_the_workers_and_the_driver_only_commits(dropbox, driver):
    before = driver.remote.wire.meter.read().bytes_sent
    with ThreadPoolExecutor(2) as pool:
        report = pushed(driver, pool)
    assert report.sequence == 1
    assert driver.remote.wire.meter.read().bytes_sent - before < MIB  # the head and the body of the manifest
    assert dropbox.log()["requests"]["files/upload_session/finish_batch_v2"] <= 3
    snapshot = driver.reader().latest("data")
    assert len(snapshot) == len(FILES)
    assert snapshot.read("data/large.bin") == (driver.src / "large.bin").read_bytes()


class Rewriting(ThreadPoolExecutor):
    """Changes a file between the driver's look and the worker's."""

    def __init__(self, change):
        super().__init__(1)
        self._change = change

    def submit(self, work, *args):
        self._change()
        return super().submit(work, *args)


@pytest.mark.slow
def test_a_file_that_changed_since_the_driver_saw_it_is_sent_by_the_driver(driver):
    def change():
        (driver.src / "empty").write_bytes(b"not any more")
        with (driver.src / "grows.log").open("ab") as log:
            log.write(b"two\n")

    with Rewriting(change) as pool:
        report = pushed(driver, pool)
    assert report.failed == []
    with Rewriting(lambda: None) as pool:
        assert pushed(driver, pool).uploaded <= 1
    assert driver.restore(FOLDER, driver.home / "again").failed == []
    assert tree(driver.home / "again") == tree(driver.src)


def dies(share):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_what_a_dead_worker_had_fails_and_is_done_by_the_next_run(driver, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(push_shares, "stage_share", dies)
        with spawned() as pool:
            report = pushed(driver, pool)
    assert len(report.failed) == len(FILES)
    assert all(isinstance(failure.error, errors.TryLater) for failure in report.failed)
    with ThreadPoolExecutor(2) as pool:
        assert pushed(driver, pool).failed == []
    target = tmp_path / "restored"
    with monkeypatch.context() as patched:
        patched.setattr(restore_shares, "fetch_share", dies)
        with spawned() as pool:
            report = driver.restore(FOLDER, target, executor=pool)
    assert len(report.failed) == len(FILES)
    with ThreadPoolExecutor(2) as pool:
        assert driver.restore(FOLDER, target, executor=pool).failed == []
    assert tree(target) == tree(driver.src)


@pytest.mark.slow
def test_a_conflict_stays_one(dropbox, driver, tmp_path):
    with ThreadPoolExecutor(2) as pool:
        assert pushed(driver, pool).failed == []
        other = Publisher(dropbox, tmp_path / "other", key="")
        from huracan_sync.remote import files

        files.put(other.remote, f"{FOLDER}/empty", b"theirs", mode=files.OVERWRITE)
        (driver.src / "empty").write_bytes(b"ours")
        report = pushed(driver, pool)
        assert [type(failure.error) for failure in report.failed] == [errors.Conflict]
        (driver.src / "deep/000.bin").write_bytes(b"work that was not pushed")
        files.put(other.remote, f"{FOLDER}/deep/000.bin", b"theirs", mode=files.OVERWRITE)
        report = driver.restore(FOLDER, driver.src, executor=pool, unsigned=True)
    assert sorted(failure.path for failure in report.failed) == ["deep/000.bin", "empty"]
    assert (driver.src / "deep/000.bin").read_bytes() == b"work that was not pushed"


@pytest.mark.slow
def test_what_is_no_executor_and_who_cannot_lend(dropbox, driver, tmp_path):
    with pytest.raises(errors.UsageError, match="neither `submit` nor `map`"):
        pushed(driver, object())
    other = Publisher(dropbox, tmp_path / "other", key="")
    other.write({"x": b"1"})
    with ThreadPoolExecutor(1) as pool, pytest.raises(errors.NotAuthorized, match="cannot be lent"):
        push(other.src, FOLDER, remote=other.remote, home=other.home, keys=other.keys, executor=pool)
    pushed(driver, None)
    with pytest.raises(errors.UsageError, match="neither"):
        restore(FOLDER, tmp_path / "r", remote=driver.remote, home=driver.home, keys=driver.keys, executor=3)


def test_candles_lie_in_their_places_on_both_sides(dropbox, driver, tmp_path):
    candles = tmp_path / "candles"
    for name in ("BTC/BTC-USDT_1d_20250101_20251114.parquet", "BTC/BTC-USDT:USDT_1d_20250101_20251114.parquet"):
        write_candle(candles / name, seed=name)
    with ThreadPoolExecutor(2) as pool:
        assert driver.push_folder(candles, "/Engine/data/candles", executor=pool).failed == []
        target = tmp_path / "again"
        assert driver.restore("/Engine/data/candles", target, executor=pool).failed == []
    assert tree(target) == tree(candles)


def test_shares_are_as_large_as_they_may_be():
    sizes = [3, 3, 3, 9, 1, 1]
    assert in_shares(sizes, lambda size: size, 6) == [[3, 3], [3], [9], [1, 1]]
    assert [len(share) for share in in_shares(range(2500), lambda _: 0, 6)] == [1000, 1000, 500]


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (elsewhere.UploadElsewhere, push_shares.PushShares),
        (elsewhere.DownloadElsewhere, restore_shares.RestoreShares),
    ],
)
def test_a_transfer_is_offered_what_it_asks_for(asked, kind):
    for name, method in inspect.getmembers(asked, inspect.isfunction):
        if not name.startswith("_"):
            assert (
                inspect.signature(method).parameters.keys() == inspect.signature(getattr(kind, name)).parameters.keys()
            )
