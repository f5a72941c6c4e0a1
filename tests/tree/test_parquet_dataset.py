"""Which files a dataset is made of."""

import pytest

from huracan_sync.tree.parquet_dataset import is_part


@pytest.mark.parametrize(
    ("key", "folder", "expected"),
    [
        ("a.parquet", "", True),
        ("b/a.parquet", "", True),
        ("b/a.parquet", "B/", True),
        ("b/c/a.parquet", "b/", True),
        ("bc/a.parquet", "b/", False),
        ("a.parquet", "b/", False),
        ("b/_metadata", "b/", False),
        ("b/a.parquet.tmp", "b/", False),
    ],
)
def test_what_is_part_of_a_dataset(key, folder, expected):
    assert is_part(key, folder) == expected
