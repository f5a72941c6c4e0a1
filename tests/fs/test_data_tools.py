"""The tools that data people use, each for real, with what it may cost. Run by name: scripts/test_data_tools.sh."""

# ruff: noqa: ICN001, S608 - modules under their own names; the SQL is ours

import os
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.tools

LARGEST, COLUMN_BYTES = 3_863_709, 510_000
"""The largest of the real candles, and the bytes that a column of it may cost."""
CANDLES = Path(os.environ.get("HURACAN_CANDLES", Path(__file__).parents[3] / "shared/data/candles"))


def tool(name):
    """The tool, or this test is skipped by its name."""
    return pytest.importorskip(name, reason=f"{name} is not installed: scripts/test_data_tools.sh installs it")


def made_candles(folder):
    """Like the real ones: 56 files of one row group with six columns, the largest of 3.9 MB."""
    import numpy
    import pyarrow
    import pyarrow.parquet

    chance = numpy.random.default_rng(1)
    for n in range(56):
        rows = 100_000 if n == 0 else 1000 + 400 * n
        table = pyarrow.table(
            {
                "ts": pyarrow.array(chance.integers(n * 10**6, (n + 1) * 10**6, rows)),
                **{name: chance.normal(size=rows) for name in ("open", "high", "low", "close")},
                "volume": chance.integers(0, 10**9, rows),
            }
        )
        file = folder / f"C{n:02}" / f"C{n:02}.parquet"
        file.parent.mkdir(parents=True)
        pyarrow.parquet.write_table(table, file, compression="NONE")


@pytest.fixture(scope="module")
def candles(tmp_path_factory):
    if CANDLES.is_dir():
        return CANDLES
    folder = tmp_path_factory.mktemp("candles")
    made_candles(folder)
    return folder


@pytest.fixture
def engine(dropbox, environment, tmp_path, monkeypatch):
    """The profile `engine` is logged in, here and in every process that is started here."""
    grant = dropbox.token()
    file = tmp_path / "refresh-token"
    file.write_text(grant["refresh_token"])
    file.chmod(0o400)
    monkeypatch.setenv("HURACAN_REFRESH_TOKEN_FILE", str(file))
    monkeypatch.setenv("HURACAN_APP_KEY", grant["app_key"])


@pytest.fixture
def fs(engine, candles):
    """The candles lie in Dropbox under `/candles`, and nothing is known of them here."""
    import fsspec

    from huracan_sync.fs import DropboxFileSystem

    fsspec.register_implementation("dropbox", DropboxFileSystem, clobber=True)
    DropboxFileSystem.clear_instance_cache()
    fs = DropboxFileSystem("engine", skip_instance_cache=True)
    fs.put(str(candles), "/candles", recursive=True)
    forget(fs)
    return fs


def forget(fs):
    """As in a new process: nothing is known, nothing is kept."""
    fs.invalidate_cache()
    fs.account.metadata._listings.clear()
    fs.account.kept.clear()


def received(fs):
    return fs.account.remote.wire.meter.read().bytes_received


@pytest.fixture
def largest(fs, candles):
    """The URL of the largest file, how many bytes its column `close` has, and its values."""
    import pyarrow.parquet

    file = max(candles.rglob("*.parquet"), key=lambda path: path.stat().st_size)
    name = "close" if "close" in pyarrow.parquet.read_schema(file).names else pyarrow.parquet.read_schema(file).names[1]
    values = pyarrow.parquet.read_table(file, columns=[name])[name].to_numpy()
    return f"/candles/{file.relative_to(candles)}", name, values


def budget(fs, requests, count, bytes_, call):
    """The call's result, for at most so many requests and bytes."""
    before = received(fs)
    with requests() as spent:
        result = call()
    assert spent.total <= count, spent.by_route
    assert received(fs) - before <= bytes_
    return result


def column_bytes(fs, path, name):
    import pyarrow.parquet

    with fs.open(path) as file:
        metadata = pyarrow.parquet.read_metadata(file)
    at = metadata.schema.names.index(name)
    size = sum(metadata.row_group(g).column(at).total_compressed_size for g in range(metadata.num_row_groups))
    real = fs.size(path) == LARGEST
    forget(fs)
    return COLUMN_BYTES if real else size + 64 * 1024 + 1024


# --- one column of one file --------------------------------------------------------------------------------------


def test_pyarrow_reads_a_column(fs, largest, requests):
    dataset = tool("pyarrow.dataset")
    path, name, values = largest
    most = column_bytes(fs, path, name)
    read = budget(fs, requests, 3, most, lambda: dataset.dataset(path, filesystem=fs).to_table(columns=[name]))
    assert (read[name].to_numpy() == values).all()


def test_pandas_reads_a_column(fs, largest, requests):
    pandas = tool("pandas")
    path, name, values = largest
    most = column_bytes(fs, path, name)
    read = budget(
        fs,
        requests,
        3,
        most,
        lambda: pandas.read_parquet(f"dropbox:/{path}", columns=[name], storage_options={"profile": "engine"}),
    )
    assert (read[name].to_numpy() == values).all()


def test_polars_reads_a_column(fs, largest, requests):
    polars, dataset = tool("polars"), tool("pyarrow.dataset")
    path, name, values = largest
    most = column_bytes(fs, path, name)
    frame = budget(
        fs,
        requests,
        3,
        most,
        lambda: polars.scan_pyarrow_dataset(dataset.dataset(path, filesystem=fs)).select(name).collect(),
    )
    assert (frame[name].to_numpy() == values).all()


def test_duckdb_reads_a_column_and_then_for_one_request(fs, largest, requests):
    duckdb = tool("duckdb")
    path, name, values = largest
    most = column_bytes(fs, path, name)
    connection = duckdb.connect()
    connection.register_filesystem(fs)
    sql = f"SELECT sum({name}) FROM read_parquet('dropbox:/{path}')"
    (total,) = budget(fs, requests, 3, most, lambda: connection.execute(sql).fetchone())
    assert total == pytest.approx(values.sum())
    (again,) = budget(fs, requests, 1, most, lambda: connection.execute(sql).fetchone())
    assert again == total


def test_dask_reads_a_column(fs, largest, candles, requests):
    frames = tool("dask.dataframe")
    frames.read_parquet(str(next(candles.rglob("*.parquet")))).compute(scheduler="threads")  # what it imports late
    path, name, values = largest
    most = column_bytes(fs, path, name)

    def read():
        frame = frames.read_parquet(f"dropbox:/{path}", columns=[name], storage_options={"profile": "engine"})
        return frame.compute(scheduler="threads")

    assert (budget(fs, requests, 3, most, read)[name].to_numpy() == values).all()


# --- fifty-six files ---------------------------------------------------------------------------------------------

ALL = 67


def test_pyarrow_reads_a_column_of_all_files(fs, candles, largest, requests):
    dataset = tool("pyarrow.dataset")
    name = largest[1]
    read = budget(
        fs, requests, ALL, 1 << 30, lambda: dataset.dataset("/candles", filesystem=fs).to_table(columns=[name])
    )
    assert read.num_rows == dataset.dataset(candles).count_rows()


def test_duckdb_reads_a_column_of_all_files(fs, candles, largest, requests):
    duckdb, dataset = tool("duckdb"), tool("pyarrow.dataset")
    connection = duckdb.connect()
    connection.register_filesystem(fs)
    sql = f"SELECT count({largest[1]}) FROM read_parquet('dropbox://candles/*/*.parquet')"
    (rows,) = budget(fs, requests, ALL, 1 << 30, lambda: connection.execute(sql).fetchone())
    assert rows == dataset.dataset(candles).count_rows()


def test_dask_reads_a_column_of_all_files(fs, candles, largest, requests):
    frames, dataset = tool("dask.dataframe"), tool("pyarrow.dataset")

    def read():
        url, options = "dropbox://candles/*/*.parquet", {"profile": "engine"}
        return frames.read_parquet(url, columns=[largest[1]], storage_options=options).compute(scheduler="threads")

    rows = len(budget(fs, requests, ALL, 1 << 30, read))
    assert rows == dataset.dataset(candles).count_rows()


def test_dask_distributed_reads_all_files(fs, candles, largest, requests):
    distributed, frames, dataset = tool("distributed"), tool("dask.dataframe"), tool("pyarrow.dataset")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", processes=True) as cluster,
        distributed.Client(cluster),
        requests() as spent,
    ):
        frame = frames.read_parquet("dropbox://candles/*/*.parquet", columns=[largest[1]], filesystem=fs)
        rows = len(frame.compute())
    assert rows == dataset.dataset(candles).count_rows()
    assert spent.total <= 2 * 56 + 3, spent.by_route


# --- writing -----------------------------------------------------------------------------------------------------


def test_pandas_writes_and_reads(fs):
    pandas = tool("pandas")
    frame = pandas.DataFrame({"a": range(1000), "b": [str(n) for n in range(1000)]})
    options = {"profile": "engine"}
    for kind in ("parquet", "csv", "json"):
        url = f"dropbox://out/frame.{kind}"
        getattr(frame, f"to_{kind}")(url, storage_options=options, **({} if kind == "json" else {"index": False}))
        read = getattr(pandas, f"read_{kind}")(url, storage_options=options)
        assert read["a"].tolist() == frame["a"].tolist()
    frame.to_csv("dropbox://out/frame.csv.gz", storage_options=options, index=False)
    assert len(pandas.read_csv("dropbox://out/frame.csv.gz", storage_options=options)) == 1000


def test_polars_writes_and_reads(fs):
    polars = tool("polars")
    frame = polars.DataFrame({"a": range(1000)})
    with fs.open("/out/frame.parquet", "wb") as file:
        frame.write_parquet(file)
    with fs.open("/out/frame.parquet") as file:
        assert polars.read_parquet(file).equals(frame)


def test_pyarrow_writes_a_dataset_in_one_commit(fs, requests):
    import numpy
    import pyarrow

    dataset = tool("pyarrow.dataset")
    table = pyarrow.table({"part": numpy.arange(4000) % 40, "value": numpy.arange(4000)})
    with requests() as spent, fs.transaction:
        dataset.write_dataset(table, "/out/set", filesystem=fs, format="parquet", partitioning=["part"])
    assert spent.by_route.get("files/upload_session/finish_batch_v2") == 1
    assert dataset.dataset("/out/set", filesystem=fs, partitioning=["part"]).count_rows() == 4000


def test_duckdb_copies_to_dropbox(fs):
    duckdb = tool("duckdb")
    connection = duckdb.connect()
    connection.register_filesystem(fs)
    connection.execute("COPY (SELECT range AS n FROM range(1000)) TO 'dropbox://out/n.parquet' (FORMAT parquet)")
    assert connection.execute("SELECT sum(n) FROM 'dropbox://out/n.parquet'").fetchone() == (499_500,)


def test_dask_writes_a_dataset(fs):
    frames, pandas = tool("dask.dataframe"), tool("pandas")
    frame = frames.from_pandas(pandas.DataFrame({"a": range(100)}), npartitions=4)
    frame.to_parquet("dropbox://out/dask", storage_options={"profile": "engine"})
    read = frames.read_parquet("dropbox://out/dask", storage_options={"profile": "engine"})
    assert read["a"].sum().compute() == 4950


def test_zarr_and_xarray(fs):
    zarr, xarray, numpy = tool("zarr"), tool("xarray"), tool("numpy")
    store = zarr.storage.FsspecStore.from_url("dropbox://out/array.zarr", storage_options={"profile": "engine"})
    array = zarr.create_array(store, shape=(50, 50), chunks=(10, 10), dtype="f8")
    array[:] = numpy.arange(2500.0).reshape(50, 50)
    again = zarr.open_array(store, mode="r")
    assert (again[5:15] == numpy.arange(2500.0).reshape(50, 50)[5:15]).all()
    data = xarray.Dataset({"v": (("x",), numpy.arange(20.0))})
    data.to_zarr("dropbox://out/data.zarr", storage_options={"profile": "engine"}, consolidated=False)
    read = xarray.open_zarr("dropbox://out/data.zarr", storage_options={"profile": "engine"}, consolidated=False)
    assert (read["v"].values == data["v"].values).all()


# --- others ------------------------------------------------------------------------------------------------------


def test_datasets_streams_and_keeps(fs, candles, tmp_path):
    datasets = tool("datasets")
    options = {"profile": "engine"}
    name = max(candles.rglob("*.parquet"), key=lambda path: path.stat().st_size).relative_to(candles)
    url = f"dropbox://candles/{name}"
    streamed = datasets.load_dataset(
        "parquet", data_files=url, storage_options=options, streaming=True, split="train", cache_dir=str(tmp_path)
    )
    assert len(list(streamed.take(10))) == 10
    kept = datasets.Dataset.from_dict({"a": list(range(100))})
    kept.save_to_disk("dropbox://out/kept", storage_options=options)
    assert datasets.load_from_disk("dropbox://out/kept", storage_options=options)["a"][:3] == [0, 1, 2]


def test_upath(fs):
    upath = tool("upath")
    folder = upath.UPath("dropbox://out/paths", profile="engine")
    (folder / "a.txt").parent.mkdir(parents=True, exist_ok=True)
    (folder / "a.txt").write_text("text")
    assert [each.name for each in folder.iterdir()] == ["a.txt"]
    assert (folder / "a.txt").read_text() == "text"


def test_filecache(fs, tmp_path, requests):
    fsspec = tool("fsspec")
    fs.pipe("/cached", b"x" * 1000)
    options = {"dropbox": {"profile": "engine"}, "filecache": {"cache_storage": str(tmp_path / "cache")}}
    for _ in range(2):
        with fsspec.open("filecache::dropbox://cached", **options) as file:
            assert file.read() == b"x" * 1000
    forget(fs)
    with requests() as spent, fsspec.open("filecache::dropbox://cached", **options) as file:
        assert file.read() == b"x" * 1000
    assert "files/download" not in spent.by_route


def end_loky():
    """Its workers, and the process that watches over what they share."""
    from joblib.externals.loky import get_reusable_executor
    from joblib.externals.loky.backend import resource_tracker

    get_reusable_executor().shutdown(wait=True)
    resource_tracker._resource_tracker._stop()


def read_size(fs, path):
    return len(fs.cat(path))


def test_loky_workers(fs, candles):
    joblib = tool("joblib")
    paths = fs.find("/candles")[:6]
    with joblib.parallel_config(backend="loky", n_jobs=2):
        sizes = joblib.Parallel()(joblib.delayed(read_size)(fs, path) for path in paths)
    assert sizes == [fs.info(path)["size"] for path in paths]
    end_loky()


def test_ray_data_reads_all_files(fs, candles, largest, requests):
    ray, dataset = tool("ray"), tool("pyarrow.dataset")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    try:
        with requests() as spent:
            rows = ray.data.read_parquet("/candles", filesystem=fs, columns=[largest[1]]).count()
    finally:
        ray.shutdown()
    assert rows == dataset.dataset(candles).count_rows()
    listings = sum(spent.by_route.pop(f"files/list_folder{form}", 0) for form in ("", "/continue"))
    assert listings <= 2 * 6, "Ray lists each folder, in two processes"
    assert spent.total <= 2 * 56, spent.by_route


# --- many machines, one commit -----------------------------------------------------------------------------------


def made(worker):
    """What a worker has made: its own files, each with its path."""
    return [(f"{worker} made number {n}".encode() * 40, f"{worker}/{n}.bin") for n in range(100)]


def stage_one(grant, worker):
    from huracan_sync import stage

    return stage(grant, made(worker))


def commit_all(fs, tmp_path, receipts):
    from huracan_sync import commit

    report = commit(fs.account.remote, receipts, "/runs", home=tmp_path / "home")
    assert (report.uploaded, report.failed) == (200, [])
    for content, path in (*made("a")[-2:], *made("b")[-2:]):
        assert fs.cat(f"/runs/{path}") == content


def test_dask_workers_stage_and_the_driver_commits(fs, tmp_path, requests):
    distributed, dask = tool("distributed"), tool("dask")
    grant = fs.account.remote.lend(share=0.5)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", processes=True) as cluster,
        distributed.Client(cluster) as client,
    ):
        with requests() as spent:
            receipts = list(client.get_executor().map(stage_one, [grant] * 2, ["a", "b"]))
        again = dask.compute(*[dask.delayed(stage_one)(grant, worker) for worker in "ab"])
    assert spent.total <= 14, spent.by_route
    commit_all(fs, tmp_path, [*receipts, *again])


def test_loky_and_joblib_workers_stage(fs, tmp_path):
    joblib = tool("joblib")
    grant = fs.account.remote.lend(share=0.5)
    with joblib.parallel_config(backend="loky", n_jobs=2):
        receipts = joblib.Parallel()(joblib.delayed(stage_one)(grant, worker) for worker in "ab")
    end_loky()
    commit_all(fs, tmp_path, receipts)


def carries_push_and_restore(fs, tmp_path, executor):
    from huracan_sync import push, restore

    made = {f"{n}.bin": f"made {n}".encode() * 200 for n in range(30)} | {"large.bin": bytes(9 * 1024 * 1024)}
    (tmp_path / "made").mkdir()
    for name, data in made.items():
        (tmp_path / "made" / name).write_bytes(data)
    remote, home = fs.account.remote, tmp_path / "home"
    assert push(tmp_path / "made", "/carried", remote=remote, home=home, executor=executor).failed == []
    assert restore("/carried", tmp_path / "again", remote=remote, home=home, executor=executor).downloaded == 31
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()} == made


def test_loky_carries_push_and_restore(fs, tmp_path):
    tool("joblib")
    from joblib.externals.loky import get_reusable_executor

    carries_push_and_restore(fs, tmp_path, get_reusable_executor(max_workers=2))
    end_loky()


def test_ray_s_pool_carries_push_and_restore(fs, tmp_path):
    ray = tool("ray")
    pools = tool("ray.util.multiprocessing")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    try:
        pool = pools.Pool(2)
        carries_push_and_restore(fs, tmp_path, pool)
        pool.close()
        pool.join()
    finally:
        ray.shutdown()


def test_ray_tasks_stage_and_the_driver_commits(fs, tmp_path, requests):
    ray = tool("ray")
    grant = fs.account.remote.lend(share=0.5)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    try:
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
        task = ray.remote(stage_one)
        with requests() as spent:
            receipts = ray.get([task.remote(grant, worker) for worker in "ab"])
    finally:
        ray.shutdown()
    assert spent.total <= 14, spent.by_route
    commit_all(fs, tmp_path, receipts)


def test_ray_data_writes_with_one_commit(fs, requests):
    ray, dataset = tool("ray"), tool("pyarrow.dataset")
    from huracan_sync.fs.ray import StagedParquet

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    try:
        sink = StagedParquet("/out/ray")
        with requests() as spent:
            ray.data.range(1000, override_num_blocks=4).write_datasink(sink)
    finally:
        ray.shutdown()
    assert spent.by_route["files/upload_session/finish_batch_v2"] == 1
    assert dataset.dataset("/out/ray", filesystem=fs).count_rows() == 1000
    assert sink.report.failed == []


def test_a_grant_reads_too_where_it_may(fs):
    import pickle

    from huracan_sync.fs import DropboxFileSystem

    fs.pipe("/x", b"lent")
    grant = fs.account.remote.lend(("files.metadata.read", "files.content.read"))
    lent = pickle.loads(pickle.dumps(DropboxFileSystem(grant=grant, skip_instance_cache=True)))  # noqa: S301 - our own
    assert lent.cat("/x") == b"lent"
    assert grant.token.reveal() not in lent.to_json() + repr(lent.storage_options)
    with pytest.raises(PermissionError):
        lent.pipe("/y", b"1")
