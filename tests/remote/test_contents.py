"""A listing that changes while it is read: what lies there in the end is worked out in one place."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huracan_sync.remote.contents import Contents, contents_of, taken_back
from huracan_sync.remote.listing import (
    Changes,
    DeletedMetadata,
    FileMetadata,
    FolderMetadata,
    Metadata,
    Page,
    relative,
)
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import RelPath, fold, folders_of

THEN = datetime(2026, 1, 1, tzinfo=UTC)


def entry(text: str) -> Metadata:
    """`+a/b` a file, `/a` a folder, `-a` something deleted; `+a/b 7` a file of 7 bytes."""
    what, (path, _, size) = text[0], text[1:].partition(" ")
    named = {"name": path.rpartition("/")[2], "path_display": f"/{path}", "path_lower": f"/{path.lower()}"}
    if what == "+":
        return FileMetadata(**named, rev="1", size=int(size or 1), client_modified=THEN, content_hash="00" * 32)
    return FolderMetadata(**named) if what == "/" else DeletedMetadata(**named)


def pages(*told: str) -> list[Changes]:
    """Pages as they come: each a line of entries."""
    return [relative("", Page([entry(word) for word in line.split(",") if word], "c", True)) for line in told]


@pytest.mark.parametrize(
    ("told", "there"),
    {
        # Seven places once put pages together, each in its own way. Executor, restore and upload took nothing back;
        # `migrate` took back a file that was deleted, and nothing else; `verify` kept what lay below a folder that a
        # file took the place of; and none, `compare` included, saw that entries of one page may contradict each other.
        "a file is deleted": (["+a,+b/c", "-a"], {"b/c"}),
        "a folder is deleted with what lay below": (["+a/b/c,+a/d,+ab", "-A"], {"ab"}),
        "a folder takes the place of a file": (["+a,+b", "/a,+a/x"], {"b", "a/x"}),
        "a file takes the place of a folder": (["+a/x,+a/y/z,+b", "+a"], {"a", "b"}),
        "a file takes the place of a folder and a folder that of the file": (["+a/x,+b", "+a,/a"], {"b"}),
        "a file is written again": (["+a 1", "-a", "+a 2"], {"a"}),
        "a folder is renamed in case only": (["+Logs/x", "-Logs", "+logs/x"], {"logs/x"}),
        "a folder entry says nothing of what lies in it": (["+a/x", "/a"], {"a/x"}),
        "written and deleted in one page": (["+b", "+a/x,+c,-a"], {"b", "c"}),
        "deleted and written in one page": (["+a/x", "-a,+a/y"], {"a/y"}),
        "a file, then a folder in one page": (["+a,/a,+a/x"], {"a/x"}),
        "a folder, then a file in one page": (["/a,+a/x,+a"], {"a"}),
        "a file in the place of a folder, in one page": (["/a,/a/a", "+a/a/a,+a"], {"a"}),
        "no ASCII": (["+ä/é,+ö", "-Ä"], {"ö"}),
    }.values(),
)
def test_what_lies_there_in_the_end(told: list[str], there: set[str]) -> None:
    assert set(contents_of(pages(*told), lambda e: e).files) == there


def test_the_last_content_of_a_file_counts() -> None:
    assert contents_of(pages("+a 1,+a 2", "+b 3", "+b 4"), lambda e: e.size).files == {"a": 2, "b": 4}


def test_names_that_no_tree_may_hold_go_as_files_do() -> None:
    contents = contents_of(pages("+a/b.,+c.,+d", "-a"), lambda e: e)
    assert (set(contents.files), list(contents.refused.values())) == ({"d"}, ["c."])


PATHS = st.lists(st.sampled_from(["a", "B", "c"]), min_size=1, max_size=3).map("/".join)
WRITES = st.tuples(st.sampled_from("+-"), PATHS)


class Dropbox:
    """A tree that tells what happens to it, as Dropbox tells it."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.told: list[str] = []

    def write(self, path: str) -> None:
        for above in sorted(folders_of([path])):
            if above.lower() in {f.lower() for f in self.files}:
                self.delete(above)
            self.told.append(f"/{above}")
        if any(f.lower().startswith(f"{path.lower()}/") for f in self.files):
            self.delete(path)
        self.files.add(path)
        self.told.append(f"+{path}")

    def delete(self, path: str) -> None:
        self.files = {
            f for f in self.files if f.lower() != path.lower() and not f.lower().startswith(f"{path.lower()}/")
        }
        self.told.append(f"-{path}")


@pytest.mark.slow
@pytest.mark.wide
@pytest.mark.wide
@given(
    history=st.lists(WRITES, max_size=20),
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=8),
    terse=st.booleans(),
)
def test_any_history_in_any_pages(history: list[tuple[str, str]], sizes: list[int], *, terse: bool) -> None:
    dropbox = Dropbox()
    for what, path in history:
        dropbox.write(path) if what == "+" else dropbox.delete(path)
    # Where a file takes a place, Dropbox need not say that something else was deleted there.
    told = [word for word in dropbox.told if not (terse and word[0] == "-" and _implied(word, dropbox.told))]
    lines, at = [], 0
    while at < len(told):
        size = sizes[len(lines) % len(sizes)]
        lines.append(",".join(told[at : at + size]))
        at += size
    contents = contents_of(pages(*lines), lambda e: e.path)
    assert set(contents.files) == {path.lower() for path in dropbox.files}


def _implied(word: str, told: list[str]) -> bool:
    following = told[told.index(word) + 1 : told.index(word) + 2]
    return told.count(word) == 1 and following == [f"+{word[1:]}"]


@pytest.mark.slow
@pytest.mark.wide
@pytest.mark.wide
@given(st.sets(PATHS), st.sets(PATHS), st.sets(PATHS), st.sets(PATHS))
def test_what_a_page_takes_back(known: set[str], gone: set[str], folders: set[str], files: set[str]) -> None:
    keys = {path.lower() for path in known}
    page = Changes("", False, [Entry(RelPath(f), 1, b"") for f in files], sorted(gone), sorted(folders))
    expected = {
        key
        for key in keys
        if any(key == g.lower() or key.startswith(f"{g.lower()}/") for g in gone)
        or any(key == f.lower() for f in folders)
        or any(key.startswith(f"{f.lower()}/") for f in files)
    }
    # A file that is told again is no loss: its key may be taken back and added once more.
    again = {fold(f) for f in files}
    assert set(taken_back(page, keys, folders_of(keys))) - again == expected - again


def test_the_cursor_is_that_of_the_last_page() -> None:
    contents = Contents(lambda e: e)
    for page in pages("+a", ""):
        contents.add(page)
    assert contents.cursor == "c"
