"""How many requests a dry run announces."""

import pytest

from huracan_sync.transfer.estimate import RANGE, WHOLE, ZIP_BYTES, downloads, uploads
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import RelPath
from huracan_sync.tree.plan import Copy

MIB = 1 << 20


def copies(*sizes):
    return [Copy(Entry(RelPath(f"f{n}"), size, bytes(32), "")) for n, size in enumerate(sizes)]


# sizes -> requests up, requests down
ESTIMATES = {
    "nothing": ([], 0, 0),
    "an empty file": ([0], 1, 1),
    "two small ones, one by one": ([1, 1], 2, 2),
    "three small ones, in a batch": ([1] * 3, 1 + 2, 3),
    "six small ones come as a zip": ([1] * 6, 1 + 2, 1),
    "as many as one header holds": ([1] * 55, 1 + 2, 1),
    "one more than one header holds": ([1] * 56, 2 + 2, 1),
    "more than one commit holds": ([1] * 1001, 19 + 4, 1),
    "more bytes than one request takes": ([WHOLE] * 3, 3 + 2, 3),
    "the largest that is sent whole": ([WHOLE], 1, 1),
    "a byte more, in two parts": ([WHOLE + 1], 2 + 2, 1),
    "a large one comes by ranges": ([RANGE + 1], 33 + 2, 2),
    "a zip has a size too": ([8 * MIB] * 33, 33 + 2, 2),
    "large and small": ([1, 1, WHOLE + 1], 2 + 4, 2 + 1),
}


@pytest.mark.parametrize(("sizes", "up", "down"), ESTIMATES.values(), ids=ESTIMATES)
def test_requests(sizes, up, down):
    assert (uploads(copies(*sizes)), downloads(copies(*sizes))) == (up, down)
    assert ZIP_BYTES == 256 * MIB
