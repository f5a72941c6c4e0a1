"""Three filesystems at the same work: `filesystems.py LATENCY_MS`, inside `real_clients.py`; one JSON row a line.

dropbox:// (this project) and dropboxdrivefs on the emulator, s3fs on a local moto server; every work on an instance
that knows nothing yet, its result compared.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from dropboxdrivefs import DropboxDriveFileSystem

from huracan_sync.emulator.running import Emulator
from huracan_sync.fs import DropboxFileSystem

MIB = 1024 * 1024
SMALL, TABLES, LONG_MIB = 100, 56, 64


def rows_of(n: int) -> int:
    """The first file has 3.6 MB, the others are small, as candles are."""
    return 90_000 if n == 0 else 2000


def tables(folder: Path) -> None:
    """Write the parquet files."""
    for n in range(TABLES):
        names = ("open", "high", "low", "close", "volume")
        columns = {name: pa.array(range(n, n + rows_of(n)), pa.float64()) for name in names}
        pq.write_table(pa.table(columns), folder / f"{n:02}.parquet", compression="none", use_dictionary=False)


def need(condition: bool, words: str) -> None:  # noqa: FBT001 - as assert
    """Raise unless it is so."""
    if not condition:
        raise ValueError(words)


class Work:
    """The works, in their order; each raises where its result is wrong."""

    def __init__(self, racer: Racer, folder: Path) -> None:
        self.racer, self.root, self.folder = racer, racer.root, folder
        self.piece = os.urandom(MIB)

    def put_small(self, fs: Any) -> None:
        """See `WORKS`."""
        fs.put(f"{self.folder}/small/", f"{self.root}/small/", recursive=True)

    def list_all(self, fs: Any) -> None:
        """See `WORKS`."""
        need(len(fs.find(f"{self.root}/small")) == SMALL, "another number came")

    def get_small(self, fs: Any) -> None:
        """See `WORKS`."""
        back = self.folder / f"back{time.monotonic_ns()}"
        fs.get(f"{self.root}/small/", f"{back}/", recursive=True)
        for file in (self.folder / "small").iterdir():
            need((back / file.name).read_bytes() == file.read_bytes(), "other bytes came")

    def one_column(self, fs: Any) -> None:
        """See `WORKS`."""
        read = ds.dataset(f"{self.root}/tables/00.parquet", filesystem=fs, format="parquet").to_table(columns=["close"])
        need(read.num_rows == rows_of(0), "another number came")

    def all_columns(self, fs: Any) -> None:
        """See `WORKS`."""
        read = ds.dataset(f"{self.root}/tables", filesystem=fs, format="parquet").to_table(columns=["close"])
        need(read.num_rows == sum(map(rows_of, range(TABLES))), "another number came")

    def write_long(self, fs: Any) -> None:
        """See `WORKS`."""
        with fs.open(f"{self.root}/long/file.bin", "wb") as file:
            for _ in range(LONG_MIB):
                file.write(self.piece)

    def read_long(self, fs: Any) -> None:
        """See `WORKS`."""
        size = 0
        with fs.open(f"{self.root}/long/file.bin", "rb") as file:
            while data := file.read(MIB):
                need(data == self.piece, "other bytes came")
                size += len(data)
        need(size == LONG_MIB * MIB, "another number came")

    def move_folder(self, fs: Any) -> None:
        """See `WORKS`."""
        self.racer.move(fs, f"{self.root}/small/", f"{self.root}/moved/")

    def remove_folder(self, fs: Any) -> None:
        """See `WORKS`."""
        fs.rm(f"{self.root}/moved", recursive=True)

    def check(self, fs: Any, name: str) -> None:
        """What the moving and the removing have left, which is not part of what they cost."""
        if name == "move_folder":
            need(len(fs.find(f"{self.root}/moved")) == SMALL, "another number came")
            need(not fs.exists(f"{self.root}/small"), "something stayed")
        elif name == "remove_folder":
            need(not fs.exists(f"{self.root}/moved"), "something stayed")


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


class Racer:
    """One filesystem."""

    who = ""
    root = ""

    def fresh(self) -> Any:
        """An instance that knows nothing yet."""
        raise NotImplementedError

    def requests(self) -> int:
        """How many have come to its server."""
        raise NotImplementedError

    def prepare(self, folder: Path) -> None:
        """Have the parquet files there."""
        raise NotImplementedError

    def move(self, fs: Any, source: str, target: str) -> None:
        """Move a folder."""
        fs.mv(source, target, recursive=True)

    def repair(self, work: Work, name: str) -> None:
        """Have there what the work, which failed, was to leave for the next."""


class Ours(Racer):
    """`dropbox://`."""

    who = "dropbox://"
    root = "/ours"

    def __init__(self, dropbox: Emulator, token: str) -> None:
        self._dropbox = dropbox
        self._token = token

    def fresh(self) -> Any:
        """See `Racer`."""
        fs = DropboxFileSystem(token=self._token, skip_instance_cache=True)
        fs.account.metadata.renew_in_child()
        fs.account.kept.clear()
        return fs

    def requests(self) -> int:
        """See `Racer`."""
        return int(sum(self._dropbox.log(0)["requests"].values()))

    def prepare(self, folder: Path) -> None:
        """See `Racer`."""
        Ours.fresh(self).put(f"{folder}/tables/", f"{self.root}/tables/", recursive=True)

    def repair(self, work: Work, name: str) -> None:
        """See `Racer`."""
        fs = Ours.fresh(self)
        if name == "put_small":
            work.put_small(fs)
        elif name == "write_long":
            work.write_long(fs)
        elif name == "move_folder":
            fs.put(f"{work.folder}/small/", f"{self.root}/moved/", recursive=True)


class Drive(Ours):
    """dropboxdrivefs."""

    who = "dropboxdrivefs"
    root = "/drive"

    def fresh(self) -> Any:
        """See `Racer`."""
        return DropboxDriveFileSystem(token=self._token, skip_instance_cache=True)


class S3(Racer):
    """s3fs."""

    who = "s3fs on moto"
    root = "bucket"

    def __init__(self, address: str) -> None:
        self._address = address

    def fresh(self) -> Any:
        """See `Racer`."""
        keys = {"key": "x", "secret": "x", "endpoint_url": self._address}  # nobody's
        return fsspec.filesystem("s3", **keys, skip_instance_cache=True)

    def requests(self) -> int:
        """See `Racer`."""
        with urllib.request.urlopen(f"{self._address}/__requests") as answer:  # noqa: S310 - on loopback
            return int(answer.read())

    def move(self, fs: Any, source: str, target: str) -> None:
        """The two steps of its `mv`, which ends after the copy: it copies the folder's own name too, and that is none.

        S3 has no folders, so nothing has that name there either: `FileNotFoundError`, and every file is there twice.
        """
        fs.copy(source, target, recursive=True)
        fs.rm(source, recursive=True)

    def prepare(self, folder: Path) -> None:
        """See `Racer`."""
        fs = self.fresh()
        fs.mkdir(self.root)
        fs.put(f"{folder}/tables/", f"{self.root}/tables/", recursive=True)


def race(racer: Racer, folder: Path) -> None:
    """All works of one filesystem."""
    racer.prepare(folder)
    work = Work(racer, folder)
    for name, words in WORKS.items():
        fs, before, began, error = racer.fresh(), racer.requests(), time.monotonic(), ""
        try:
            getattr(work, name)(fs)
        except Exception as failure:  # noqa: BLE001 - whatever it is, it is the row
            error = f"{type(failure).__name__}: {str(failure)[:80]}"
        seconds, requests = time.monotonic() - began, racer.requests() - before
        try:
            work.check(racer.fresh(), name)
        except Exception as failure:  # noqa: BLE001 - as above
            error = error or f"{type(failure).__name__}: {str(failure)[:80]}"
        row = {"work": words, "who": racer.who, "seconds": seconds, "requests": requests, "error": error}
        print(json.dumps(row), flush=True)
        if error:
            racer.repair(work, name)


def main(latency_ms: str) -> None:
    """Race them."""
    dropbox = Emulator(json.loads(os.environ["DROPBOX_EMULATOR"]))
    token = dropbox.token()["access_token"]
    with tempfile.TemporaryDirectory(prefix="filesystems-") as name:
        folder = Path(name)
        os.environ |= dropbox.env(folder / "home")
        for each in ("small", "tables"):
            (folder / each).mkdir()
        for n in range(SMALL):
            (folder / f"small/{n:03}").write_bytes(os.urandom(2048))
        tables(folder / "tables")
        for racer in (Ours(dropbox, token), Drive(dropbox, token)):
            race(racer, folder)
        command = [sys.executable, str(Path(__file__).with_name("slow_s3.py")), latency_ms]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                port = server.stdout.readline().strip() if server.stdout else ""
                race(S3(f"http://127.0.0.1:{port}"), folder)
            finally:
                server.kill()


if __name__ == "__main__":
    main(sys.argv[1])
