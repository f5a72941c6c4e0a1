"""Names that differ in case only: Dropbox holds one of them, and changes its spelling by way of a third name."""

import msgspec
import pytest

from huracan_sync.errors import Conflict, HuracanError, TryLater
from huracan_sync.fs.spelling import check_all_differ, check_differs, is_other, respell
from huracan_sync.remote.listing import FolderMetadata


def present(name):
    return FolderMetadata(name, f"/a/{name}", f"/a/{name.lower()}")


@pytest.mark.parametrize(
    ("path", "name", "other"),
    [
        ("/a/x", "X", True),
        ("/a/x", "x", False),
        ("/a/x", "y", False),
        ("/A/GRÖSSE", "größe", False),
        ("/x", "É", False),
    ],
)
def test_another_case_is_another_spelling_of_the_same_name(path, name, other):
    assert is_other(path, present(name)) is other


def test_two_paths_that_dropbox_takes_for_one_are_refused():
    check_all_differ(["/a", "/b", "/a", "/a/B"])
    with pytest.raises(FileExistsError) as caught:
        check_all_differ(["/a/x", "/A/X"])
    assert isinstance(caught.value.__cause__, Conflict)
    assert "/A/X and /a/x differ only in case" in str(caught.value)
    known = {}
    check_differs(known, "/a")
    assert known == {"/a": "/a"}


class Account:
    """An account that moves, as far as it is told to."""

    def __init__(self, *outcomes):
        self.outcomes, self.moves, self.noted = list(outcomes), [], []
        self.remote, self.metadata = self, self

    def rpc(self, route, arg, kind, *, commit):
        assert (route, commit) == ("files/move_v2", True)
        self.moves.append((arg["from_path"], arg["to_path"]))
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        path = arg["to_path"]
        name = path.rpartition("/")[2]
        moved = {".tag": "folder", "name": name, "path_display": path, "path_lower": path.lower(), "id": "id:1"}
        return msgspec.convert({"metadata": moved}, kind)

    def gone(self, path):
        self.noted.append(("gone", path))

    def wrote(self, path, entry):
        self.noted.append(("wrote", path, entry.name))


def test_a_name_changes_its_case_by_way_of_a_third():
    account = Account("moved", "moved")
    assert respell(account, "/a/x", "/a/X").name == "X"
    (first, between), (again, last) = account.moves
    assert (first, last, again) == ("/a/x", "/a/X", between)
    assert between.startswith("/a/X.")
    assert account.noted == [("gone", "/a/x"), ("wrote", "/a/X", "X")]


def test_what_fails_half_way_says_what_it_is_called_now():
    account = Account(TryLater("no"))
    with pytest.raises(HuracanError):
        respell(account, "/a/x", "/a/X")
    assert account.noted == [], "it has its old name"
    account = Account("moved", TryLater("no"))
    with pytest.raises(HuracanError) as caught:
        respell(account, "/a/x", "/a/X")
    assert caught.value.hint == f"it is called {account.moves[0][1]!a} now: move it to where it belongs"
    assert account.noted == [("gone", "/a/x")]
