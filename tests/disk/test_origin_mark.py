"""The mark of a file whose content nobody has signed."""

import os

from huracan_sync.disk.origin_mark import mark, marked
from huracan_sync.disk.stable_read import StableRead
from huracan_sync.tree.paths import RelPath

DIGEST = bytes(range(32))


def test_a_mark_stays_with_the_file_and_goes_with_its_copy_of_everything(tmp_path):
    with (tmp_path / "a").open("wb") as file:
        assert marked(file.fileno()) == b""
        mark(file.fileno(), DIGEST)
        assert marked(file.fileno()) == DIGEST
    (tmp_path / "a").rename(tmp_path / "b")
    with StableRead(tmp_path, RelPath("b")) as reading:
        assert reading.marked == DIGEST


def test_what_takes_no_mark_is_no_trouble():
    reading, writing = os.pipe()
    mark(writing, DIGEST)
    assert marked(writing) == b""
    os.close(reading)
    os.close(writing)
