"""When single questions become one listing."""

import pytest

from huracan_sync.fs.neighbours import ENOUGH, WITHIN_S, Neighbours

# questions, each a second after the one before -> the folder that the last of them is answered by
ASKED = {
    "one": (["/r/a/x"], None),
    "two": (["/r/a/x", "/r/a/y"], None),
    "three in a folder": (["/r/a/x", "/r/a/y", "/r/a/z"], "/r/a"),
    "three below one folder": (["/r/a/x", "/r/b/y", "/r/c/z"], "/r"),
    "one above the others": (["/r/a/b/x", "/r/a/y", "/r/a/b/z"], "/r/a"),
    "names that begin alike": (["/r/a/x", "/r/ab/y", "/r/abc/z"], "/r"),
    "all over the account": (["/a/x", "/b/y", "/c/z"], None),
    "in the root": (["/x", "/y", "/z"], None),
    "the last three count": (["/q/x", "/r/a/x", "/r/a/y", "/r/a/z"], "/r/a"),
}


@pytest.mark.parametrize(("paths", "folder"), ASKED.values(), ids=ASKED)
def test_the_folder_to_list(paths, folder):
    neighbours = Neighbours()
    assert [neighbours.asked(path, float(at)) for at, path in enumerate(paths)][-1] == folder


@pytest.mark.parametrize(("pause", "folder"), [(WITHIN_S / ENOUGH, "/r"), (WITHIN_S / 2, None), (WITHIN_S, None)])
def test_only_what_is_asked_at_about_the_same_time(pause, folder):
    neighbours = Neighbours()
    assert [neighbours.asked("/r/x", number * pause) for number in range(ENOUGH)][-1] == folder


def test_a_folder_too_large_is_not_listed_again():
    neighbours = Neighbours()
    neighbours.is_too_large("/r")
    assert [neighbours.asked("/r/x", 0.0) for _ in range(5)] == [None] * 5
    assert [neighbours.asked("/q/x", 0.0) for _ in range(3)][-1] == "/q"
