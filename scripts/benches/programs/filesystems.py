"""Three filesystems at the same work: `filesystems.py LATENCY_MS`, inside `real_clients.py`; one JSON row a line.

dropbox:// (this project) and dropboxdrivefs on the emulator, s3fs on a local moto server; every work on an instance that
knows nothing yet, its result compared.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from huracan_sync.emulator.running import Emulator

MIB = 1024 * 1024
SMALL, TABLES, LONG_MIB = 100, 56, 64
ENOUGH_S = 120.0


def rows_of(n: int) -> int:
    """The first file has 3.6 MB, the others are small, as candles are."""
    return 90_000 if n == 0 else 2000


def tables(folder: Path) -> None:
    for n in range(TABLES):
        names = ("open", "high", "low", "close", "volume")
        columns = {name: pa.array(range(n, n + rows_of(n)), pa.float64()) for name in names}
        pq.write_table(pa.table(columns), folder / f"{n:02}.parquet", compression="none", use_dictionary=False)


class Work:
    """The works, in their order; each raises where its result is wrong."""

    def __init__(self, root: str, folder: Path) -> None:
        self.root, self.folder = root, folder
        self.piece = os.urandom(MIB)

    def put_small(self, fs: Any) -> None:
        fs.put(f"{self.folder}/small/", f"{self.root}/small/", recursive=True)

    def list_all(self, fs: Any) -> None:
        assert len(fs.find(f"{self.root}/small")) == SMALL

    def get_small(self, fs: Any) -> None:
        back = self.folder / f"back{time.monotonic_ns()}"
        fs.get(f"{self.root}/small/", f"{back}/", recursive=True)
        for file in (self.folder / "small").iterdir():
            assert (back / file.name).read_bytes() == file.read_bytes(), "other bytes came"

    def one_column(self, fs: Any) -> None:
        read = ds.dataset(f"{self.root}/tables/00.parquet", filesystem=fs, format="parquet").to_table(columns=["close"])
        assert read.num_rows == rows_of(0)

    def all_columns(self, fs: Any) -> None:
        read = ds.dataset(f"{self.root}/tables", filesystem=fs, format="parquet").to_table(columns=["close"])
        assert read.num_rows == sum(map(rows_of, range(TABLES)))

    def write_long(self, fs: Any) -> None:
        with fs.open(f"{self.root}/long/file.bin", "wb") as file:
            for _ in range(LONG_MIB):
                file.write(self.piece)

    def read_long(self, fs: Any) -> None:
        size = 0
        with fs.open(f"{self.root}/long/file.bin", "rb") as file:
            while data := file.read(MIB):
                assert data == self.piece, "other bytes came"
                size += len(data)
        assert size == LONG_MIB * MIB

    def move_folder(self, fs: Any) -> None:
        fs.mv(f"{self.root}/small", f"{self.root}/moved", recursive=True)

    def remove_folder(self, fs: Any) -> None:
        fs.rm(f"{self.root}/moved", recursive=True)


WORKS = {
    "put_small": f"put {SMALL} files of 2 KiB",
    "list_all": f"find {SMALL} files",
    "get_small": f"get {SMALL} files of 2 KiB",
    "one_column": "a column of one parquet file",
    "all_columns": f"a column of {TABLES} parquet files",
    "write_long": f"{LONG_MIB} MiB written",
    "read_long": f"{LONG_MIB} MiB read in order",
    "move_folder": f"move a folder of {SMALL} files",
    "remove_folder": f"remove a folder of {SMALL} files",
}


def race(who: str, root: str, fresh: Callable[[], Any], counted: Callable[[], int], seeded: Callable[[Path], None]) -> None:
    """All works of one filesystem."""
    with tempfile.TemporaryDirectory(prefix="filesystems-") as name:
        folder = Path(name)
        for each in ("small", "tables"):
            (folder / each).mkdir()
        for n in range(SMALL):
            (folder / f"small/{n:03}").write_bytes(os.urandom(2048))
        tables(folder / "tables")
        seeded(folder)
        work = Work(root, folder)
        for key, words in WORKS.items():
            before, began, error = counted(), time.monotonic(), ""
            try:
                getattr(work, key)(fresh())
            except Exception as failure:  # noqa: BLE001 - whatever it is, it is the row
                error = f"{type(failure).__name__}: {str(failure)[:80]}"
            row = {"work": words, "who": who, "seconds": time.monotonic() - began, "requests": counted() - before}
            print(json.dumps({**row, "error": error}), flush=True)
            if error:  # what the next works need
                seeded(folder, key)  # type: ignore[call-arg]
        shutil.rmtree(folder / "small")


def main(latency_ms: str) -> None:
    """Race them."""
    import fsspec
    from dropboxdrivefs import DropboxDriveFileSystem

    from huracan_sync.fs import DropboxFileSystem

    dropbox = Emulator(json.loads(os.environ["DROPBOX_EMULATOR"]))
    token = dropbox.token()["access_token"]
    home = tempfile.mkdtemp(prefix="filesystems-home-")
    os.environ |= dropbox.env(Path(home))

    def ours() -> Any:
        fs = DropboxFileSystem(token=token, skip_instance_cache=True)
        fs.invalidate_cache()
        fs.account.metadata.renew_in_child()
        fs.account.kept.clear()
        return fs

    def requests() -> int:
        return sum(dropbox.log(0)["requests"].values())

    def seed(root: str) -> Callable[..., None]:
        def seeded(folder: Path, after: str = "") -> None:
            fs = ours()
            if not after:
                fs.put(f"{folder}/tables/", f"{root}/tables/", recursive=True)
            elif after == "put_small":
                fs.put(f"{folder}/small/", f"{root}/small/", recursive=True)
            elif after == "write_long":
                fs.pipe(f"{root}/long/file.bin", b"x" * MIB)
            elif after == "move_folder":
                fs.put(f"{folder}/small/", f"{root}/moved/", recursive=True)

        return seeded

    race("dropbox://", "/ours", ours, requests, seed("/ours"))
    drive = lambda: DropboxDriveFileSystem(token=token, skip_instance_cache=True)  # noqa: E731
    race("dropboxdrivefs", "/drive", drive, requests, seed("/drive"))
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("slow_s3.py")), latency_ms], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout
        address = f"http://127.0.0.1:{server.stdout.readline().strip()}"

        def s3() -> Any:
            keys = {"key": "x", "secret": "x", "endpoint_url": address}  # nobody's
            return fsspec.filesystem("s3", **keys, skip_instance_cache=True)

        def s3_requests() -> int:
            with urllib.request.urlopen(f"{address}/__requests") as answer:  # noqa: S310 - on loopback
                return int(answer.read())

        def s3_seed(folder: Path, after: str = "") -> None:
            if not after:
                s3().mkdir("bucket")
                s3().put(f"{folder}/tables/", "bucket/tables/", recursive=True)

        try:
            race("s3fs on moto", "bucket", s3, s3_requests, s3_seed)
        finally:
            server.kill()


if __name__ == "__main__":
    main(sys.argv[1])
