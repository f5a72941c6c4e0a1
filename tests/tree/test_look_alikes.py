"""Names that a disk of macOS takes for one, found before anything is written."""

import pytest

from huracan_sync.tree.look_alikes import look_alikes


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["a", "A", "b/c"], {}),  # one file in Dropbox too
        (["é", "e"], {}),
        (["Maße", "Masse", "other"], {"Maße": "Masse", "Masse": "Maße"}),
        (["ﬁ/x", "fi/y", "f/z"], {"ﬁ/x": "fi", "fi/y": "ﬁ"}),
        (["a/ς/b/c", "a/σ/b/d", "a/x"], {"a/ς/b/c": "a/σ", "a/σ/b/d": "a/ς"}),
        (["ſ", "s/x"], {"ſ": "s", "s/x": "ſ"}),  # a file and a folder
    ],
)
def test_table(paths, found):
    assert look_alikes(paths) == found
