"""One spelling for each folder."""

import pytest

from huracan_sync.tree.paths import RelPath
from huracan_sync.tree.spelling import Spelling

# folders known to be right, paths as they come -> the paths as they are spelled
SPELLED = {
    "nothing is known": ([], ["A/x", "a/y"], ["A/x", "A/y"]),
    "the disk's own": (["data"], ["DATA/x", "Data/y"], ["data/x", "data/y"]),
    "names stay as they are": (["data"], ["data/X.JSON"], ["data/X.JSON"]),
    "no folder": (["data"], ["DATA"], ["DATA"]),
    "each part by itself": (["a/b"], ["A/B/c/x", "A/C/x"], ["a/b/c/x", "a/C/x"]),
    "the first one met": ([], ["a/B/x", "A/b/y", "A/z"], ["a/B/x", "a/B/y", "a/z"]),
    "letters of Dropbox's own": (["größe"], ["GRÖßE/x", "GRÖSSE/x"], ["größe/x", "GRÖSSE/x"]),
}


@pytest.mark.parametrize(("folders", "paths", "expected"), SPELLED.values(), ids=SPELLED)
def test_spelled(folders, paths, expected):
    spelling = Spelling(folders)
    assert [spelling.of(RelPath(path)) for path in paths] == expected
