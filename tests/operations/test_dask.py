"""Real Dask: a cluster of processes stages, pushes and restores for a driver, over `get_executor()` and `delayed`."""

import pytest
from staging_world import commits, driver_of, shard, staged, there

from huracan_sync.tree.content_hash import content_hash

pytestmark = pytest.mark.slow  # what an executor is asked for stands in test_executors.py; a cluster takes seconds


@pytest.fixture
def driver(dropbox, tmp_path):
    return driver_of(dropbox, tmp_path)


@pytest.fixture(scope="module")
def client():
    """Two workers, each a process."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", silence_logs="CRITICAL"
        ) as cluster,
        distributed.Client(cluster) as one,
    ):
        yield one


def stage_shard(grant, worker):
    return staged(grant, shard(worker, small=100))


def spent(dropbox, before=None):
    requests = {route: n for route, n in dropbox.log()["requests"].items() if "oauth2" not in route}
    return sum(requests.values()) - (before or 0)


def test_workers_stage_and_the_driver_commits_once(dropbox, driver, client):
    grant = driver.remote.lend(share=0.5)
    before = spent(dropbox)
    receipts = list(client.get_executor().map(stage_shard, [grant] * 2, ["a", "b"]))
    assert spent(dropbox, before) <= 14
    dask = pytest.importorskip("dask")
    again = dask.compute(dask.delayed(stage_shard)(grant, "a"), scheduler=client)  # the same task twice
    before = spent(dropbox)
    report = commits(driver, [*receipts, *again], channel="training")
    assert (report.uploaded, report.failed, report.sequence) == (202, [], 1)
    assert spent(dropbox, before) <= 1 + 4
    files = shard("a") | shard("b")
    assert there(driver) == {path: content_hash(data) for path, data in files.items()}


def test_its_executor_carries_push_and_restore(driver, client, tmp_path):
    driver.write({f"d/{n}.bin": 1000 + n for n in range(30)} | {"large.bin": 9 * 1024 * 1024})
    executor = client.get_executor()
    assert driver.push_folder(driver.src, "/Engine/data", executor=executor).failed == []
    report = driver.restore("/Engine/data", tmp_path / "again", executor=executor)
    assert (report.failed, report.downloaded) == ([], 31)
    for path in driver.src.rglob("*.bin"):
        assert (tmp_path / "again" / path.relative_to(driver.src)).read_bytes() == path.read_bytes()


def fails(grant):
    raise ValueError(f"a task of {grant} failed")


def test_nothing_that_dask_shows_of_a_task_is_secret(driver, client, caplog, capfd):
    grant = driver.remote.lend()
    future = client.submit(fails, grant)
    error = future.exception()
    shown = [str(error), repr(error), repr(future), caplog.text, *capfd.readouterr()]
    assert "a task of" in str(error)
    assert not any(secret.reveal() in text for text in shown for secret in (grant.token, grant.seal))
