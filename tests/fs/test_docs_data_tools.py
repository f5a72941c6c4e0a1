"""The examples of docs/data-tools.md, each executed as it stands."""

import re
import sys
import time
from pathlib import Path

import pytest
from test_data_tools import end_loky, engine, tool

import huracan_sync

PAGE = Path(huracan_sync.__file__).parent / "docs" / "data-tools.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)

__all__ = ["engine"]


def needs(example):
    """The tools that an example imports."""
    names = set(re.findall(r"^(?:import|from) (\w+)", example, re.MULTILINE))
    return sorted(names - sys.stdlib_module_names - {"huracan_sync", "fsspec"})


@pytest.fixture
def account(engine, monkeypatch, tmp_path):
    """Candles lie in Dropbox; `engine` is logged in; a snapshot of `champions` is signed, and its key pinned."""
    import io

    import fsspec
    import pyarrow as pa
    import pyarrow.parquet

    from huracan_sync import DropboxSync  # noqa: F401 - the front door opens
    from huracan_sync.fs import DropboxFileSystem, SnapshotFileSystem

    monkeypatch.chdir(tmp_path)  # some of them write there
    for kind in (DropboxFileSystem, SnapshotFileSystem):
        kind.clear_instance_cache()
        fsspec.register_implementation(kind.protocol, kind, clobber=True)
    written = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"close": [1.0, 2.0, 3.0]}), written)
    fs = DropboxFileSystem("engine", skip_instance_cache=True)
    fs.pipe({f"/candles/{name}.parquet": written.getvalue() for name in ("BTC", "ETH")})
    combined = pyarrow.parquet.read_metadata(io.BytesIO(written.getvalue()))
    combined.set_file_path("BTC.parquet")
    footers = io.BytesIO()
    combined.write_metadata_file(footers)
    fs.pipe({"/dataset/BTC.parquet": written.getvalue(), "/dataset/_metadata": footers.getvalue()})
    fs.account.metadata.forget()


@pytest.mark.parametrize("example", [e for e in EXAMPLES if "SnapshotFileSystem" not in e and not needs(e)])
def test_examples_that_need_no_tool(account, example):
    exec(compile(example, str(PAGE), "exec"), {})  # noqa: S102 - our own page


@pytest.mark.tools
@pytest.mark.parametrize("example", [e for e in EXAMPLES if needs(e)], ids=lambda e: ",".join(needs(e)))
def test_examples_with_tools(account, example):
    for name in needs(example):
        tool(name)
    if "ray" in needs(example):
        tool("ray").init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    try:
        exec(compile(example, str(PAGE), "exec"), {})  # noqa: S102 - our own page
    finally:
        if "ray" in needs(example):
            tool("ray").shutdown()
        if "joblib" in needs(example):
            end_loky()


def test_the_example_of_a_signed_snapshot(dropbox, environment, tmp_path, monkeypatch):
    from publishing_machine import Publisher, read_as_hamilton

    from huracan_sync.fs import SnapshotFileSystem

    publisher = Publisher(dropbox, tmp_path / "publisher", clock=time.time)
    publisher.roots().begin()
    publisher.write({"models/BTC.bin": 1000})
    publisher.publish()
    read_as_hamilton(dropbox, publisher, tmp_path, monkeypatch)
    SnapshotFileSystem.clear_instance_cache()
    (example,) = (e for e in EXAMPLES if "SnapshotFileSystem" in e)
    names = {}
    exec(compile(example, str(PAGE), "exec"), names)  # noqa: S102 - our own page
    assert len(names["data"]) == 1000
