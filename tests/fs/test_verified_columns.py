"""A column of many signed files: what it costs to have every byte of it proved."""

import os
import shutil
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from publishing_machine import Publisher, read_as_hamilton

from huracan_sync import commit, stage
from huracan_sync.errors import ContentMismatch
from huracan_sync.fs import DropboxFileSystem, SnapshotFileSystem
from huracan_sync.manifest import locations
from huracan_sync.remote import files

MIB = 1024 * 1024
PUSHED, STAGED = "pushed", "staged"
REAL = Path(os.environ.get("HURACAN_CANDLES", Path(__file__).parents[3] / "shared/data/candles"))
FILES, LARGE = 56, 4
"""As many as the candles of one day have; and how many of them are larger than 1 MiB here."""


def candles(folder, files=FILES):
    """Parquet files of one row group with six columns that do not compress, the largest of 4 MB."""
    for n in range(files):
        rows = 30_000 + 6000 * n if n < LARGE else 20 * n
        columns = {
            name: pa.array(memoryview(os.urandom(8 * rows)).cast("q"))
            for name in ("ts", "open", "high", "low", "close", "volume")
        }
        columns["n"] = pa.array([n] * rows)
        file = folder / f"C{n:02}" / f"C{n:02}.parquet"
        file.parent.mkdir(parents=True)
        pq.write_table(pa.table(columns), file, compression="none", use_dictionary=False)


@pytest.fixture
def engine(request, dropbox, tmp_path):
    machine = Publisher(dropbox, tmp_path / "engine", clock=time.time)
    machine.roots().begin()
    files, way = getattr(request, "param", (FILES, PUSHED))
    if files is REAL:
        shutil.copytree(REAL, machine.src, dirs_exist_ok=True)
    else:
        candles(machine.src, files)
    if way is PUSHED:
        machine.push()
    else:
        made = {file: file.relative_to(machine.src).as_posix() for file in machine.src.rglob("*.parquet")}
        commit(machine.remote, [stage(machine.remote, made)], "/Engine/data", home=machine.home, keys=machine.keys)
    return machine


@pytest.fixture
def verified(dropbox, engine, environment, tmp_path, monkeypatch):
    read_as_hamilton(dropbox, engine, tmp_path, monkeypatch)
    return SnapshotFileSystem("data", skip_instance_cache=True)


def column(fs, folder):
    """What a column of all files costs: bytes of the answers, requests."""
    fs.ls(folder)
    before = fs.account.remote.wire.meter.read()
    table = ds.dataset(folder, filesystem=fs, format="parquet").to_table(columns=["close"])
    spent = fs.account.remote.wire.meter.read() - before
    return table["close"].to_pylist(), spent.bytes_received, spent.requests


@pytest.mark.slow
@pytest.mark.parametrize("engine", [(FILES, PUSHED), (FILES, STAGED)], indirect=True, ids=[PUSHED, STAGED])
def test_it_costs_at_most_a_quarter_more_bytes(verified, dropbox, environment, engine):
    plain = DropboxFileSystem(token=dropbox.token()["access_token"], skip_instance_cache=True)
    expected = ds.dataset(engine.src, format="parquet").to_table(columns=["close"])["close"].to_pylist()
    values, unproved, _ = column(plain, "/Engine/data")
    assert values == expected
    values, proved, requests = column(verified, "/data")
    assert values == expected

    assert proved <= 1.25 * unproved
    assert requests <= FILES + 2 * LARGE


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="the real candles are not here: HURACAN_CANDLES names their folder")
@pytest.mark.parametrize("engine", [(REAL, PUSHED)], indirect=True, ids=["real"])
def test_so_it_does_with_real_candles(verified, dropbox, environment, engine):
    plain = DropboxFileSystem(token=dropbox.token()["access_token"], skip_instance_cache=True)
    values, unproved, _ = column(plain, "/Engine/data")
    assert column(verified, "/data")[0] == values
    verified.account.proved.clear()
    _, proved, requests = column(SnapshotFileSystem("data", skip_instance_cache=True), "/data")
    large = sum(file.stat().st_size > MIB for file in engine.src.rglob("*.parquet"))
    assert proved <= 1.25 * unproved
    assert requests <= FILES + 2 * large


@pytest.mark.parametrize("engine", [(2, PUSHED)], indirect=True)
def test_flipped_bytes_are_refused_and_a_flipped_table_is_not_believed(verified, engine, dropbox):
    path = "data/C01/C01.parquet"
    data = (engine.src / "C01/C01.parquet").read_bytes()
    table = f"/Engine/{locations.leaves(verified.snapshot.item(path).leaves)}"
    good = files.fetch(engine.remote, table, limit=1 << 20)[1]
    files.put(engine.remote, table, bytes([good[0] ^ 1]) + good[1:])
    assert verified.cat_file(path, 10, 20) == data[10:20], "the block proves the same"
    files.put(engine.remote, table, good)

    again = SnapshotFileSystem("data", skip_instance_cache=True)
    again.account.proved.clear()
    assert again.cat_file(path, 10, 20) == data[10:20]
    dropbox.faults({"route": "files/download", "fault": "corrupt", "times": 9})
    with pytest.raises(OSError, match="is not what was signed") as caught:
        again.cat_file(path, 1_000_000, 1_000_010)
    assert isinstance(caught.value.__cause__, ContentMismatch)
    dropbox.faults()
    assert again.cat_file(path, 1_000_000, 1_000_010) == data[1_000_000:1_000_010]


@pytest.mark.slow
def test_with_its_metadata_file_a_column_costs_a_request_a_file(engine, dropbox, environment, verified):
    engine.push(parquet_metadata=True)
    plain = DropboxFileSystem(token=dropbox.token()["access_token"], skip_instance_cache=True)
    verified = SnapshotFileSystem("data", skip_instance_cache=True)
    for fs, root, most in ((plain, "/Engine/data", FILES + 2), (verified, "/data", FILES + LARGE + 2)):
        fs.account.remote.place  # noqa: B018 - whose account it is, one request a process
        getattr(fs, "snapshot", None)  # read and verified, as at the first use
        meter = fs.account.remote.wire.meter
        before = meter.read()
        dataset = ds.parquet_dataset(f"{root}/_metadata", filesystem=fs)
        assert (meter.read() - before).requests <= 2
        opened = meter.read()
        assert dataset.count_rows() == ds.parquet_dataset(engine.src / "_metadata").count_rows()
        assert (meter.read() - opened).requests == 0, "counted by the footers"
        values = dataset.to_table(columns=["close"])["close"].to_pylist()
        assert (meter.read() - before).requests <= most
        assert values == ds.dataset(engine.src, format="parquet").to_table(columns=["close"])["close"].to_pylist()
        for kept in (fs.account.kept, fs.account.proved):
            kept.clear()
        before = meter.read()
        some = dataset.to_table(columns=["close"], filter=ds.field("n") < 8)
        assert some.num_rows == dataset.count_rows(filter=ds.field("n") < 8)
        assert (meter.read() - before).requests <= 8 * 3 + 2, "the others are left out by their statistics"
