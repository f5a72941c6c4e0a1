"""What a push and a restore take of memory, whatever they move: less than 100 MiB, as a process of its own."""

import subprocess
import sys

import pyarrow as pa
import pytest
from machines import Commands
from pyarrow import parquet
from sampled import slow

from huracan_sync.transfer.session_parts import PARTS

MIB = 1024 * 1024
MOST_MIB = 100
RUN = """\
import sys
from huracan_sync.cli import main
from huracan_sync.transfer import session_parts
session_parts.PARTS = int(sys.argv.pop(1))
code = main(sys.argv[1:])
print(next(line for line in open("/proc/self/status") if "VmHWM" in line).split()[1], file=sys.stderr)
sys.exit(code)
"""


def peak_mib(machine, *words, parts=PARTS):
    done = subprocess.run(
        [sys.executable, "-c", RUN, *map(str, (parts, *words))],
        env=machine.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stderr.splitlines()[-1]) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is asked of Linux")
@pytest.mark.parametrize(
    ("count", "size"), [(16, 7 * MIB), (1, 192 * MIB), slow((1, 2048 * MIB)), slow((300, 600_000)), slow((5000, 2048))]
)
def test_neither_push_nor_restore_takes_a_hundred_mebibytes(dropbox, tmp_path, count, size):
    machine = Commands(dropbox, tmp_path / "machine")
    src, dst = tmp_path / "src", tmp_path / "dst"
    src.mkdir()
    for number in range(count):
        with (src / f"{number}.bin").open("wb") as file:
            file.write(b"%d" % number)
            file.truncate(size)
    assert peak_mib(machine, "push", src, "/r/d") < MOST_MIB
    assert peak_mib(machine, "restore", "/r/d", dst) < MOST_MIB
    assert sum(path.stat().st_size for path in dst.iterdir()) == count * size


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is asked of Linux")
def test_nor_do_the_larger_parts_of_a_file_of_many_gibibytes_beside_others(dropbox, tmp_path):
    machine = Commands(dropbox, tmp_path / "machine")
    src = tmp_path / "src"
    src.mkdir()
    for number, size in enumerate((200 * MIB, 60 * MIB, 200 * MIB, 60 * MIB)):
        with (src / f"{number}.bin").open("wb") as file:
            file.write(b"%d" % number)
            file.truncate(size)
    assert peak_mib(machine, "push", src, "/r/d", parts=8) < MOST_MIB  # as if 200 MiB were many GiB


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is asked of Linux")
def test_nor_do_parquet_files_which_are_looked_into(dropbox, tmp_path):
    machine = Commands(dropbox, tmp_path / "machine")
    src = tmp_path / "src"
    src.mkdir()
    prices = pa.table({"close": numbers(70_000)})
    for number in range(150):
        parquet.write_table(prices, src / f"{number}.parquet", use_dictionary=False, compression=None)
    assert sum(path.stat().st_size for path in src.iterdir()) > 32 * MIB
    assert peak_mib(machine, "push", src, "/r/d") < MOST_MIB


def numbers(count):
    return [number * 0.25 for number in range(count)]
