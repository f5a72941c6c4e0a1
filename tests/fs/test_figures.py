"""What it may cost at most, in requests and memory."""

import os
import tracemalloc

import pytest

MIB = 1024 * 1024


@pytest.mark.slow
def test_256_mib_are_written_and_read_as_a_stream(dropbox_fs, requests):
    piece = os.urandom(MIB)
    tracemalloc.start()
    with requests() as count, dropbox_fs.open("/long/file.bin", "wb") as file:
        for _ in range(256):
            file.write(piece)
    peak = tracemalloc.get_traced_memory()[1] / MIB
    tracemalloc.stop()
    assert count.total <= 36, count.by_route
    assert peak <= 100
    with requests() as count, dropbox_fs.open("/long/file.bin") as file:
        for _ in range(256):
            assert file.read(MIB) == piece
        assert file.read(1) == b""
    assert count.total <= 40, count.by_route


@pytest.mark.slow
def test_ten_thousand_files_cost_the_pages_of_their_listing(dropbox_fs, dropbox, requests):
    dropbox_fs.pipe({f"/many/{n % 50:02}/{n:05}.csv": b"" for n in range(10_000)})
    dropbox_fs.account.metadata.renew_in_child()
    pages = -(-(10_000 + 50) // 2000)
    with requests() as count:
        assert len(dropbox_fs.find("/many")) == 10_000
    assert count.total <= pages + 1, count.by_route
    with requests() as count:
        assert len(dropbox_fs.glob("/many/*/*.csv")) == 10_000
        assert len(dropbox_fs.glob("/many/**/0000*.csv")) == 10
        assert dropbox_fs.du("/many") == 0
        assert sum(len(files) for _, _, files in dropbox_fs.walk("/many")) == 10_000
    assert count.total <= 4, "each asks what has changed since, once"
