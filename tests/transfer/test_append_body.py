"""How much one append carries."""

import pytest

from huracan_sync.remote import upload_session
from huracan_sync.transfer.append_body import AppendBody

SESSION = "s" * 40


def packed(sizes, **limits):
    """How many files of these sizes go into each append, one after the other."""
    counts, body = [], AppendBody(**limits)
    for size in sizes:
        if not (counts and body.takes(SESSION, size)):
            body = AppendBody(**limits)
            assert body.takes(SESSION, size), "an empty one takes every file"
            counts.append(0)
        counts[-1] += 1
    return counts


@pytest.mark.parametrize(
    ("sizes", "body_limit", "counts"),
    [
        ([10], 5, [1]),
        ([5, 5], 10, [2]),
        ([5, 6], 10, [1, 1]),
        ([11, 1, 9, 1], 10, [1, 2, 1]),
        ([0] * 3, 0, [3]),
    ],
)
def test_the_content_has_a_limit(sizes, body_limit, counts):
    assert packed(sizes, body_limit=body_limit) == counts


def test_the_header_has_a_limit():
    each = upload_session.entry_length(SESSION, 1)
    limit = upload_session.ARG_OVERHEAD + 3 * each
    assert packed([1] * 7, header_limit=limit) == [3, 3, 1]
    assert packed([1] * 7, header_limit=limit - 1) == [2, 2, 2, 1]
    assert packed([1] * 3, header_limit=1) == [1, 1, 1]
